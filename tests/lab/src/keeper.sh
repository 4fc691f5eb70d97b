# sh -c KEEPER sh DIR PROGRAM ARGUMENT…
#
# Keeps one guest: starts and kills its QEMU as it is told on standard input, and when that ends (the test is done, or
# dead) kills QEMU and removes the guest's folder. It is in a session of its own, so what is sent to the test's process
# group does not reach it; QEMU asks the kernel to be killed with it, should it be killed itself.
dir=$1
shift
trap '' HUP INT TERM PIPE
vm=
off() {
    [ -n "$vm" ] || return 0
    kill -KILL "$vm" 2>/dev/null
    wait "$vm" 2>/dev/null
    vm=
}
cd "$dir" || exit 1
while read -r order words; do
    off
    case $order in
    on)
        # shellcheck disable=SC2086 # they are words of ours, to be split
        setpriv --pdeathsig KILL -- nice -n 10 "$@" $words </dev/null >>qemu.log 2>&1 &
        vm=$!
        ;;
    esac
    echo "done"
done
off
cd /
rm -rf -- "$dir"
