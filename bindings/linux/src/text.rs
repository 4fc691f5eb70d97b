//! The notations that many of the kernel's files share.

use config::CpuSet;

/// What an error repeats of a text: short, and without control characters.
pub(crate) fn excerpt(text: &str) -> String {
    text.chars().take(40).flat_map(char::escape_default).collect()
}

/// A list of CPUs. Some kernels print `(null)` for none (`/sys/devices/system/cpu/nohz_full`).
pub(crate) fn cpu_list(text: &str) -> Option<CpuSet> {
    match text.trim_ascii() {
        "(null)" => Some(CpuSet::new()),
        text => text.parse().ok(),
    }
}

/// A number with `0x` in front, as PCI identifiers are written.
pub(crate) fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    u32::from_str_radix(digits, 16).ok().filter(|_| is_hex)
}

/// The bytes of a line such as `Node 0 MemTotal:  8388608 kB`, found by its label.
pub(crate) fn meminfo_bytes(text: &str, label: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (before, after) = line.split_once(':')?;
        let is_it = before.split_ascii_whitespace().next_back() == Some(label);
        let mut words = after.split_ascii_whitespace();
        let kib: u64 = words.next().filter(|_| is_it)?.parse().ok()?;
        // The unit is "kB", and means 1024 bytes.
        kib.checked_mul(1024).filter(|_| words.next() == Some("kB"))
    })
}

/// The number behind a prefix: 3 of `cpu3`, nothing of `cpufreq`.
pub(crate) fn numbered(name: &str, prefix: &str) -> Option<u32> {
    let digits = name.strip_prefix(prefix)?;
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_behind_a_prefix_are_only_digits() {
        assert_eq!(numbered("cpu12", "cpu"), Some(12));
        for odd in ["cpu", "cpufreq", "cpu+1", "cpu1a", "node1", "cpu99999999999"] {
            assert_eq!(numbered(odd, "cpu"), None, "{odd}");
        }
    }

    #[test]
    fn memory_is_read_from_a_node_and_from_the_machine() {
        let text = "Node 0 MemTotal:       8140368 kB\nNode 0 MemFree:        7000000 kB";

        assert_eq!(meminfo_bytes(text, "MemTotal"), Some(8_140_368 * 1024));
        assert_eq!(meminfo_bytes("MemTotal: 12 kB", "MemTotal"), Some(12 * 1024));
        for odd in ["MemTotal: 12", "MemTotal: 99999999999999999999 kB", "MemTotal", ""] {
            assert_eq!(meminfo_bytes(odd, "MemTotal"), None, "{odd}");
        }
    }

    #[test]
    fn hexadecimal_needs_its_prefix() {
        assert_eq!(hex("0x8086"), Some(0x8086));
        for odd in ["8086", "0x", "0x+1", "0xfffffffff"] {
            assert_eq!(hex(odd), None, "{odd}");
        }
    }

    #[test]
    fn the_kernels_null_is_no_cpu() {
        assert_eq!(cpu_list("(null)"), Some(CpuSet::new()));
        assert_eq!(cpu_list("0-2"), "0-2".parse().ok());
        assert_eq!(cpu_list("two"), None);
    }
}
