//! What the entries of a boot loader say of some keys.

use std::collections::BTreeSet;

use super::{Arguments, arguments::canonical_key};
use crate::{
    Fact, Source,
    facts::boot::{Entry, bls::Bls},
};

/// What every entry that is not for repairs says of these keys, in words: absent where they say nothing.
pub(super) fn current(source: &Source, keys: &[String]) -> Fact<String> {
    let entries = match Bls::read(source).entries {
        Fact::Is(entries) => entries,
        Fact::Absent => return Fact::Absent,
        Fact::Unknown { why } => return Fact::Unknown { why },
    };
    let mut said =
        entries.iter().filter(|e| is_normal(e)).map(|entry| (&entry.id, ours(&entry.line, keys)));
    let Some((_, first)) = said.next() else { return Fact::Absent };
    match said.find(|(_, words)| *words != first) {
        Some((name, words)) => Fact::Is(format!("{words} ({name} differs from others)")),
        None if first.is_empty() => Fact::Absent,
        None => Fact::Is(first),
    }
}

/// Neither for repairs, nor ours for one boot.
fn is_normal(entry: &Entry) -> bool {
    !entry.is_rescue && entry.id != crate::executor::trial::ENTRY
}

/// The kernels of every entry that is not for repairs, by the paths that grubby knows them by.
pub(crate) fn kernels(source: &Source) -> Fact<Vec<String>> {
    Bls::read(source).entries.map(|entries| {
        let path = |kernel: &str| match kernel.starts_with("/boot/") {
            true => kernel.to_owned(),
            // An entry names it from the root of its file system, which /boot is.
            false => format!("/boot/{}", kernel.trim_start_matches('/')),
        };
        let normal = entries.iter().filter(|entry| is_normal(entry));
        let all: BTreeSet<String> = normal.map(|entry| path(&entry.kernel)).collect();
        all.into_iter().collect()
    })
}

/// The words of a line that are about these keys, in the order of the keys; pairs keep theirs.
fn ours(line: &str, keys: &[String]) -> String {
    let keys: Vec<String> = keys.iter().map(|key| canonical_key(key)).collect();
    let place = |word: &String| {
        let key = canonical_key(word.split_once('=').map_or(word.as_str(), |(key, _)| key));
        // A pair stands where its first key does.
        let key = if key == "hugepages" { "hugepagesz".to_owned() } else { key };
        keys.iter().position(|known| *known == key)
    };
    let mut words = Arguments::from_line(line).words();
    words.retain(|word| place(word).is_some());
    words.sort_by_key(place);
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(entries: &[(&str, &str)]) -> (tempfile::TempDir, Source) {
        let dir = tempfile::tempdir().unwrap();
        let entries_dir = dir.path().join("boot/loader/entries");
        std::fs::create_dir_all(&entries_dir).unwrap();
        for (name, options) in entries {
            let text = format!("title {name}\nlinux /vmlinuz-{name}\noptions {options}\n");
            std::fs::write(entries_dir.join(format!("{name}.conf")), text).unwrap();
        }
        let source = Source::at(dir.path()).unwrap();
        (dir, source)
    }

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|key| (*key).to_owned()).collect()
    }

    #[test]
    fn entries_that_agree_say_it_once_and_the_rescue_entry_is_not_asked() {
        let (_dir, source) = machine(&[
            ("m-6.1", "ro nohz-full=2-3 hugepagesz=1G hugepages=4 nosmt root=/dev/sda"),
            ("m-6.2", "nosmt hugepagesz=1G hugepages=4 nohz-full=2-3 ro root=/dev/sda"),
            ("m-0-rescue", "ro root=/dev/sda"),
            ("a-barewire-trial", "ro root=/dev/sda nohz_full=2-4"),
        ]);

        let said = current(&source, &keys(&["nosmt", "nohz_full", "hugepagesz", "hugepages"]));

        assert_eq!(said, Fact::Is("nosmt nohz-full=2-3 hugepagesz=1G hugepages=4".to_owned()));
        assert_eq!(current(&source, &keys(&["isolcpus"])), Fact::Absent);
    }

    #[test]
    fn grubby_is_told_of_every_kernel_but_the_one_for_repairs() {
        let (dir, source) = machine(&[("m-6.1", "ro"), ("m-6.2", "ro"), ("m-0-rescue", "ro")]);
        // A trial is a copy of an entry; /boot may be a directory of the root's file system.
        for (name, kernel) in
            [("a-barewire-trial", "/vmlinuz-m-6.2"), ("m-6.3", "/boot/vmlinuz-m-6.3")]
        {
            let text = format!("title {name}\nlinux {kernel}\noptions ro\n");
            std::fs::write(dir.path().join(format!("boot/loader/entries/{name}.conf")), text)
                .unwrap();
        }

        let all = ["/boot/vmlinuz-m-6.1", "/boot/vmlinuz-m-6.2", "/boot/vmlinuz-m-6.3"];
        assert_eq!(kernels(&source), Fact::Is(all.map(str::to_owned).to_vec()));
    }

    #[test]
    fn entries_that_differ_are_no_value_that_can_be_wanted() {
        let (_dir, source) = machine(&[("m-6.1", "nosmt"), ("m-6.2", "nosmt=force")]);

        let Fact::Is(said) = current(&source, &keys(&["nosmt"])) else { panic!("nothing said") };
        assert!(said.contains("differs from others"), "{said}");
    }

    #[test]
    fn a_machine_without_entries_says_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let source = Source::at(dir.path()).unwrap();

        assert_eq!(current(&source, &keys(&["nosmt"])), Fact::Absent);
    }
}
