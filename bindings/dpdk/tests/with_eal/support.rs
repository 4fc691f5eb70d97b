//! What the tests share: an EAL without hugepages, hardware or root.

use std::path::Path;

use dpdk::{Burst, Eal, Mempool, MempoolConfig};

/// An EAL with these virtual devices.
pub(crate) fn eal(vdevs: &[&str]) -> Eal {
    eal_with(vdevs, &[])
}

/// An EAL with these virtual devices and further arguments.
pub(crate) fn eal_with(vdevs: &[&str], more: &[&str]) -> Eal {
    Eal::init(args(vdevs, more)).expect("run with nextest: one process per test")
}

pub(crate) fn args(vdevs: &[&str], more: &[&str]) -> Vec<String> {
    let prefix = format!("--file-prefix=barewire-test-{}", std::process::id());
    ["--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "64", "-l", "0", &prefix]
        .into_iter()
        .map(String::from)
        .chain(vdevs.iter().map(|vdev| format!("--vdev={vdev}")))
        .chain(more.iter().map(ToString::to_string))
        .collect()
}

/// A small pool.
pub(crate) fn pool<'eal>(eal: &'eal Eal, name: &str) -> Mempool<'eal> {
    let config = MempoolConfig { buffers: 2047, cache: 0, ..Default::default() };
    Mempool::create(eal, name, config).unwrap()
}

/// Writes a pcap file (the classic format, microseconds, Ethernet).
pub(crate) fn write_pcap(path: &Path, frames: &[Vec<u8>]) {
    let mut bytes = Vec::new();
    for word in [0xA1B2_C3D4u32, 0x0004_0002, 0, 0, 65_535, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for frame in frames {
        let len = u32::try_from(frame.len()).unwrap();
        for word in [0, 0, len, len] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(frame);
    }
    std::fs::write(path, bytes).unwrap();
}

/// The frames in a pcap file.
pub(crate) fn read_pcap(path: &Path) -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path).unwrap();
    let mut rest = &bytes[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_le_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    frames
}

/// A frame with a number in it, 60 bytes or longer.
pub(crate) fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut frame = vec![0x5A; len];
    frame[..12].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2]);
    frame[12..14].copy_from_slice(&[0x88, 0xB5]);
    frame[14..18].copy_from_slice(&number.to_be_bytes());
    frame
}

/// The number in each frame of a burst.
pub(crate) fn numbers(burst: &Burst<'_>) -> Vec<u32> {
    burst.iter().map(|f| u32::from_be_bytes(f.head()[14..18].try_into().unwrap())).collect()
}
