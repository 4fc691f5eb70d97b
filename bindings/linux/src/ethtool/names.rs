//! ethtool's short names of features, and the kernel's.
//!
//! Source: ethtool 6.1's manual, `-K`; the groups are those of its `off_flag_def` table, told by how `ethtool -k` prints
//! them.

/// The kernel's names that a short name stands for, among those that an interface has. A kernel's name stands for
/// itself.
pub fn kernel_names<'a, T: AsRef<str> + 'a>(
    name: &str,
    there: impl Iterator<Item = &'a T>,
) -> Vec<&'a T> {
    there.filter(|kernel| kernel.as_ref() == name || is_short_for(name, kernel.as_ref())).collect()
}

fn is_short_for(short: &str, kernel: &str) -> bool {
    match short {
        "rx" => kernel == "rx-checksum",
        "tx" => kernel.starts_with("tx-checksum-"),
        "sg" => kernel.starts_with("tx-scatter-gather"),
        "tso" => kernel.starts_with("tx-tcp") && kernel.ends_with("-segmentation"),
        "gso" => kernel == "tx-generic-segmentation",
        "gro" => kernel == "rx-gro",
        "lro" => kernel == "rx-lro",
        "rxvlan" => kernel == "rx-vlan-hw-parse",
        "txvlan" => kernel == "tx-vlan-hw-insert",
        "ntuple" => kernel == "rx-ntuple-filter",
        "rxhash" => kernel == "rx-hashing",
        _ => false,
    }
}
