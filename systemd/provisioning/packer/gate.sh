#!/bin/sh
# Approves the image, or fails the build.
set -eu

to=${BAREWIRE_TO:-}
PATH=/usr/local/bin:$PATH

# What the reboot forgot, and what it tried out; without a reboot these find nothing to do.
barewire-tune apply --boot
barewire-tune verify --boot
barewire-tune --config "$to/etc/barewire/barewire.toml" gate --waivers "$to/etc/barewire/waivers.toml"

# What no file keeps is set again whenever the image boots.
mkdir -p "$to/var/lib/barewire/first-boot"
touch "$to/var/lib/barewire/first-boot/approved"
systemctl enable barewire-first-boot.service
