//! What is written into the image over what the packages bring: what makes it boot here, and boot quickly.
//!
//! But for the clock's, no kernel argument and no sysctl differs from a stock Debian's: those are the tuner's to change.

/// The kernel's arguments in every boot. Without those about the TSC an emulated machine falls back to the HPET, and an
/// idle guest takes most of a CPU of the host. A server with a real TSC needs neither: they are what this machine has
/// that a stock one has not.
const CMDLINE: &str = "console=ttyS0,115200 tsc=reliable clocksource=tsc";

/// Directories of drivers and file systems that this machine has no use for, and that are not unpacked. igb needs
/// drivers/i2c.
pub(super) const NOT_UNPACKED: &[&str] = &[
    "drivers/ata",
    "drivers/bluetooth",
    "drivers/firewire",
    "drivers/gpu",
    "drivers/hwmon",
    "drivers/iio",
    "drivers/infiniband",
    "drivers/input",
    "drivers/isdn",
    "drivers/leds",
    "drivers/md",
    "drivers/media",
    "drivers/mfd",
    "drivers/mmc",
    "drivers/mtd",
    "drivers/net/can",
    "drivers/net/ethernet/broadcom",
    "drivers/net/ethernet/chelsio",
    "drivers/net/ethernet/mellanox",
    "drivers/net/ethernet/qlogic",
    "drivers/net/usb",
    "drivers/net/wireless",
    "drivers/platform",
    "drivers/power",
    "drivers/scsi",
    "drivers/spi",
    "drivers/staging",
    "drivers/usb",
    "fs/btrfs",
    "fs/ceph",
    "fs/cifs",
    "fs/f2fs",
    "fs/gfs2",
    "fs/jfs",
    "fs/nfs",
    "fs/nfsd",
    "fs/ocfs2",
    "fs/reiserfs",
    "fs/smb",
    "fs/xfs",
    "net/bluetooth",
    "net/mac80211",
    "net/openvswitch",
    "net/rxrpc",
    "net/sctp",
    "net/tipc",
    "net/wireless",
    "sound",
];

/// Units that only take time here. dpdk.service alone took ten seconds; logind stays, for shutting down needs it.
pub(super) const MASKED: &[&str] = &[
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "dpdk.service",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@tty1.service",
    "modprobe@configfs.service",
    "modprobe@dm_mod.service",
    "modprobe@drm.service",
    "modprobe@fuse.service",
    "modprobe@loop.service",
    "serial-getty@ttyS0.service",
    "systemd-binfmt.service",
    "systemd-pstore.service",
    "systemd-update-utmp-runlevel.service",
];

/// Drivers for a CPU that QEMU's says it is, and that its kernel would try again and again.
const BLACKLISTED: &[&str] = &[
    "acpi_cpufreq",
    "aesni_intel",
    "ccp",
    "crc32_pclmul",
    "crct10dif_pclmul",
    "ghash_clmulni_intel",
    "kvm",
    "kvm_amd",
    "kvm_intel",
    "powernow_k8",
    "sha1_ssse3",
    "sha256_ssse3",
    "sha512_ssse3",
];

/// Where the agent is in the image.
pub(super) const AGENT: &str = "usr/local/sbin/barewire-lab-agent";

/// The agent is up early, and stays: it is how a test looks at a boot that went wrong.
const AGENT_UNIT: &str = "\
[Unit]
Description=The lab's agent
DefaultDependencies=no
After=local-fs.target systemd-remount-fs.service
Before=shutdown.target
Conflicts=shutdown.target

[Service]
ExecStart=/usr/local/sbin/barewire-lab-agent
Environment=HOME=/root LANG=C.UTF-8
KillMode=process
Restart=always
OOMPolicy=continue
TasksMax=infinity
LimitMEMLOCK=infinity

[Install]
WantedBy=sysinit.target
";

/// Files of the image, and their content.
pub(super) fn files(uuid: &str) -> Vec<(&'static str, String)> {
    let blacklist: String =
        BLACKLISTED.iter().map(|module| format!("blacklist {module}\n")).collect();
    vec![
        ("etc/fstab", format!("UUID={uuid} / ext4 noatime,errors=remount-ro 0 1\n")),
        ("etc/hostname", "lab\n".into()),
        ("etc/hosts", "127.0.0.1 localhost lab\n::1 localhost\n".into()),
        ("etc/modprobe.d/lab.conf", blacklist),
        ("etc/systemd/system/barewire-lab-agent.service", AGENT_UNIT.into()),
        ("etc/default/grub", grub_defaults()),
    ]
}

/// As Debian's, but for the serial console and no waiting.
fn grub_defaults() -> String {
    format!(
        "GRUB_DEFAULT=0\nGRUB_TIMEOUT=0\nGRUB_TIMEOUT_STYLE=hidden\nGRUB_RECORDFAIL_TIMEOUT=0\n\
         GRUB_DISTRIBUTOR=Debian\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n\
         GRUB_CMDLINE_LINUX=\"{CMDLINE}\"\nGRUB_TERMINAL=serial\n\
         GRUB_SERIAL_COMMAND=\"serial --unit=0 --speed=115200\"\nGRUB_DISABLE_OS_PROBER=true\n\
         GRUB_DISABLE_RECOVERY=true\n"
    )
}

/// GRUB's configuration for the one boot that makes the real one.
pub(super) fn first_grub_cfg(uuid: &str, kernel: &str) -> String {
    format!(
        "linux /boot/vmlinuz-{kernel} root=UUID={uuid} ro {CMDLINE}\ninitrd /boot/initrd.img-{kernel}\nboot\n"
    )
}

/// All of the above, for the hash of an image.
pub(super) fn everything() -> String {
    let files = files("");
    format!("{files:?}{MASKED:?}{NOT_UNPACKED:?}{}", first_grub_cfg("", ""))
}
