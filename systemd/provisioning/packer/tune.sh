#!/bin/sh
# Installs and applies; reboots where the kernel arguments wait for it.
set -eu

from=${BAREWIRE_FROM:-/tmp/barewire}
to=${BAREWIRE_TO:-}

install -D -m 0755 "$from/barewire-tune" "$to/usr/local/bin/barewire-tune"
install -D -m 0755 "$from/barewire-first-boot" "$to/usr/local/libexec/barewire-first-boot"
install -D -m 0644 "$from/barewire-first-boot.service" "$to/etc/systemd/system/barewire-first-boot.service"
install -D -m 0644 "$from/barewire.toml" "$to/etc/barewire/barewire.toml"
install -D -m 0644 "$from/waivers.toml" "$to/etc/barewire/waivers.toml"
PATH=/usr/local/bin:$PATH

# Nobody is there who could be cut off, or confirm.
code=0
barewire-tune --config "$to/etc/barewire/barewire.toml" apply --without-confirmation || code=$?
case $code in
0) ;;
40) systemctl reboot ;;
*) exit "$code" ;;
esac
