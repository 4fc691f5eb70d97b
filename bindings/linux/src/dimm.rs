//! Memory modules: which channels of the memory controllers have one.
//!
//! EDAC drivers know the channels; the firmware's tables (DMI) know the slots of the board, by names that only its
//! maker understands.
//!
//! Sources: `drivers/edac/edac_mc_sysfs.c` and `Documentation/ABI/testing/sysfs-firmware-dmi-entries` of Linux 6.18;
//! System Management BIOS reference specification 3.7, 7.18 "Memory Device (Type 17)".

use serde::{Deserialize, Serialize};

use crate::{ReadError, Root, text};

/// Where EDAC's memory controllers are in sysfs.
const CONTROLLERS: &str = "sys/devices/system/edac/mc";
/// Where the firmware's tables are in sysfs.
const ENTRIES: &str = "sys/firmware/dmi/entries";
/// The most that is read of a table: its length is a byte, and its texts are short.
const LARGEST: usize = 4096;
/// More channels than any controller has; a larger number is nonsense.
const MOST_CHANNELS: u32 = 256;

/// One memory controller, by its EDAC driver.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Controller {
    /// `mc0`
    pub name: String,
    /// How many channels it has.
    pub channels: u32,
    /// MiB of memory at each channel; 0 for one without a module.
    pub mib: Vec<u64>,
}

impl Controller {
    /// The channels that have memory.
    #[must_use]
    pub fn populated(&self) -> usize {
        self.mib.iter().filter(|mib| **mib > 0).count()
    }
}

/// The memory controllers that an EDAC driver knows; those whose driver does not speak of channels are left out.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Missing`] without EDAC.
pub fn controllers(root: &Root) -> Result<Vec<Controller>, ReadError> {
    let names = root.names(CONTROLLERS)?;
    let names = names.into_iter().filter(|name| text::numbered(name, "mc").is_some());
    Ok(names.filter_map(|name| controller(root, name)).collect())
}

fn controller(root: &Root, name: String) -> Option<Controller> {
    let dir = format!("{CONTROLLERS}/{name}");
    // "channel 3 slot 1": the largest number of each layer.
    let last = channel(&root.text(&format!("{dir}/max_location")).ok()?)?;
    let channels = last.checked_add(1).filter(|channels| *channels <= MOST_CHANNELS)?;
    let mut mib = vec![0_u64; channels as usize];
    let modules = root.names(&dir).unwrap_or_default();
    // Drivers of ranks rather than modules call them so.
    let is_module =
        |name: &&String| ["dimm", "rank"].iter().any(|p| text::numbered(name, p).is_some());
    for module in modules.iter().filter(is_module) {
        let at = root.text(&format!("{dir}/{module}/dimm_location")).ok().and_then(|t| channel(&t));
        let size = root.parse::<u64>(&format!("{dir}/{module}/size"), "MiB").ok();
        if let (Some(at), Some(size)) = (at, size)
            && let Some(here) = mib.get_mut(at as usize)
        {
            *here = here.saturating_add(size);
        }
    }
    Some(Controller { name, channels, mib })
}

/// The number behind the word `channel`.
fn channel(location: &str) -> Option<u32> {
    let mut words = location.split_ascii_whitespace();
    words.find(|word| *word == "channel")?;
    words.next()?.parse().ok()
}

/// One slot for a memory module, by the firmware's tables.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What is printed on the board: `DIMM_A1`.
    pub locator: String,
    /// The module's size in MiB; 0 when the slot is empty, `None` when the firmware does not know.
    pub mib: Option<u64>,
}

/// The slots for memory modules.
///
/// # Errors
/// [`ReadError`]; [`ReadError::Missing`] without such tables, [`ReadError::Denied`] for anybody but root.
pub fn slots(root: &Root) -> Result<Vec<Slot>, ReadError> {
    let mut slots = Vec::new();
    let names = root.names(ENTRIES)?;
    for name in names.iter().filter(|name| name.starts_with("17-")) {
        let raw = root.binary(&format!("{ENTRIES}/{name}/raw"), LARGEST)?;
        slots.extend(slot(&raw));
    }
    Ok(slots)
}

/// Reads a table of type 17, with the texts behind it; `None` when it is something else.
#[must_use]
pub fn slot(raw: &[u8]) -> Option<Slot> {
    let (&kind, &length) = (raw.first()?, raw.get(1)?);
    let (table, texts) = raw.split_at_checked(usize::from(length))?;
    let word = |at: usize| Some(u16::from_le_bytes(table.get(at..at + 2)?.try_into().ok()?));
    let mib = match word(0x0c).filter(|_| kind == 17)? {
        0xffff => None,
        // A module of 32 GiB or more has its size in a field of its own.
        0x7fff => table.get(0x1c..0x20).and_then(|bytes| {
            let wide = u32::from_le_bytes(bytes.try_into().ok()?);
            Some(u64::from(wide & 0x7fff_ffff))
        }),
        // The highest bit says KiB.
        small if small & 0x8000 != 0 => Some(u64::from(small & 0x7fff) / 1024),
        size => Some(u64::from(size)),
    };
    let locator = text_at(texts, *table.get(0x10)?);
    Some(Slot { locator: locator.unwrap_or_else(|| "unnamed".to_owned()), mib })
}

/// A text behind a table: they are counted from 1, and each ends with a zero.
fn text_at(texts: &[u8], number: u8) -> Option<String> {
    let text = texts.split(|byte| *byte == 0).nth(usize::from(number).checked_sub(1)?)?;
    let text: String =
        text.iter().map(|&byte| char::from(byte)).filter(char::is_ascii_graphic).collect();
    Some(text).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn table(size: u16, extended: u32) -> Vec<u8> {
        let mut raw = vec![0_u8; 0x22];
        (raw[0], raw[1], raw[0x10]) = (17, 0x22, 2);
        raw[0x0c..0x0e].copy_from_slice(&size.to_le_bytes());
        raw[0x1c..0x20].copy_from_slice(&extended.to_le_bytes());
        raw.extend(b"BANK 0\0DIMM_A1\0\0");
        raw
    }

    #[test]
    fn a_slot_says_its_name_and_size() {
        let size = |small, wide| slot(&table(small, wide)).unwrap().mib;

        assert_eq!(slot(&table(16384, 0)).unwrap().locator, "DIMM_A1");
        assert_eq!(size(16384, 0), Some(16384));
        assert_eq!(size(0, 0), Some(0));
        assert_eq!(size(0xffff, 0), None);
        assert_eq!(size(0x7fff, 65536), Some(65536));
        assert_eq!(size(0x8000 | 2048, 0), Some(2));
        assert_eq!(slot(&[]), None);
        assert_eq!(slot(&[16, 0x22]), None);
    }

    #[test]
    fn channels_without_a_module_are_seen() {
        let dir = tempfile::tempdir().unwrap();
        for (file, text) in [
            ("max_location", "channel 2 slot 1 \n"),
            ("dimm0/dimm_location", "channel 0 slot 0 \n"),
            ("dimm0/size", "16384\n"),
            ("dimm1/dimm_location", "channel 0 slot 1 \n"),
            ("dimm1/size", "16384\n"),
            ("dimm4/dimm_location", "channel 2 slot 0 \n"),
            ("dimm4/size", "8192\n"),
            ("dimm9/dimm_location", "channel 77 slot 0 \n"),
            ("dimm9/size", "1\n"),
        ] {
            let path = dir.path().join(CONTROLLERS).join("mc0").join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let found = controllers(&Root::at(dir.path()).unwrap()).unwrap();

        let mc0 = Controller { name: "mc0".to_owned(), channels: 3, mib: vec![32768, 0, 8192] };
        assert_eq!(mc0.populated(), 2);
        assert_eq!(found, [mc0]);
    }

    #[test]
    fn a_controller_with_absurdly_many_channels_is_left_out() {
        let dir = tempfile::tempdir().unwrap();
        let mc = dir.path().join(CONTROLLERS).join("mc0");
        fs::create_dir_all(&mc).unwrap();
        fs::write(mc.join("max_location"), "channel 4294967295").unwrap();
        assert_eq!(controllers(&Root::at(dir.path()).unwrap()).unwrap(), []);
    }

    proptest! {
        #[test]
        fn no_table_makes_the_parser_panic(mut raw in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = slot(&raw);
            if let Some(first) = raw.first_mut() {
                *first = 17;
                let _ = slot(&raw);
            }
        }
    }
}
