//! Where facts come from: the machine, or a copy of what it said.

use std::{
    path::{Path, PathBuf},
    str::FromStr,
    sync::Arc,
};

use config::CpuSet;
use linux::{ReadError, Root, Seen};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Fact,
    capture::{self, CaptureError},
    journal::DEFAULT_DIR,
};

/// The machine, or a captured one.
///
/// Files are read through one [`Root`] that remembers them; what is asked of the kernel by other means (netlink, ioctl,
/// MSRs, systemd) goes through [`Source::ask`]. So a capture holds exactly what was looked at, and a captured machine
/// answers like the real one.
#[derive(Debug, Clone)]
pub struct Source {
    root: Root,
    /// Where it is written down what was done, from the root.
    state: String,
    /// The unpacked archive that `root` is in, which goes when nobody looks any more.
    _unpacked: Option<Arc<tempfile::TempDir>>,
}

/// Where the answers that are not files of the machine are kept in a capture.
pub(crate) const ASKED: &str = "barewire/asked";

/// The most that such an answer may hold, in bytes: what 8192 CPUs did while they were watched takes some MiB.
const ANSWER: usize = 32 << 20;

/// A file that lists what may be chosen and marks what is: `always [madvise] never`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// What is chosen.
    pub chosen: String,
    /// What may be.
    pub offered: Vec<String>,
}

impl Choice {
    /// Reads the notation; a text without brackets that is one word is a choice without an alternative.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let words: Vec<&str> = text.split_ascii_whitespace().collect();
        let inside = |word: &str| -> Option<String> {
            Some(word.strip_prefix('[')?.strip_suffix(']')?.to_owned())
        };
        let chosen = match words.as_slice() {
            [] => return None,
            [one] => inside(one).unwrap_or_else(|| (*one).to_owned()),
            many => {
                let mut marked = many.iter().filter_map(|word| inside(word));
                let chosen = marked.next()?;
                if marked.next().is_some() {
                    return None;
                }
                chosen
            }
        };
        let bare = |word: &&str| word.trim_matches(['[', ']']).to_owned();
        Some(Self { chosen, offered: words.iter().map(bare).collect() })
    }
}

impl Source {
    /// The machine this program runs on.
    ///
    /// # Errors
    /// [`ReadError`] when `/` can not be opened.
    pub fn system() -> Result<Self, ReadError> {
        Ok(Self::of(Root::system()?.remembering()))
    }

    /// A machine whose files are below `dir`: a fixture, a chroot, an unpacked capture.
    ///
    /// # Errors
    /// [`CaptureError`] when `dir` can not be opened, or is a capture whose manifest is wrong.
    pub fn at(dir: impl Into<PathBuf>) -> Result<Self, CaptureError> {
        let dir = dir.into();
        let root = Root::at(&dir)
            .map_err(|error| CaptureError::NotACapture { path: dir, why: error.to_string() })?;
        Ok(Self::of(capture::open_folder(root)?.remembering()))
    }

    /// The machine in an archive.
    ///
    /// # Errors
    /// [`CaptureError`]
    pub fn snapshot(archive: &Path) -> Result<Self, CaptureError> {
        let folder = tempfile::tempdir()
            .map_err(|source| CaptureError::Write { path: std::env::temp_dir(), source })?;
        capture::unpack(archive, folder.path())?;
        let source = Self::at(folder.path())?;
        Ok(Self { _unpacked: Some(Arc::new(folder)), ..source })
    }

    /// A machine whose files are read through `root`, which should [remember](Root::remembering).
    #[must_use]
    pub fn of(root: Root) -> Self {
        Self { root, state: DEFAULT_DIR.to_owned(), _unpacked: None }
    }

    /// The same machine, on which what was done is written down in `dir`, from the root.
    #[must_use]
    pub fn with_state(self, dir: impl Into<String>) -> Self {
        Self { state: dir.into(), ..self }
    }

    /// Where it is written down what was done, from the root, without a slash in front.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Is it the machine this program runs on?
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.root.is_system()
    }

    /// For the functions of the `linux` crate.
    #[must_use]
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Everything that was looked at so far, by path.
    #[must_use]
    pub fn seen(&self) -> std::collections::BTreeMap<String, Seen> {
        self.root.seen()
    }

    /// The text of a file, without white space at its ends.
    #[must_use]
    pub fn text(&self, path: &str) -> Fact<String> {
        self.root.text(path).into()
    }

    /// The first `limit` bytes of a file that need not be text.
    #[must_use]
    pub fn binary(&self, path: &str, limit: usize) -> Fact<Vec<u8>> {
        self.root.binary(path, limit).into()
    }

    /// What a file says, read by [`FromStr`]; `expected` describes it in the reason ("a number").
    #[must_use]
    pub fn parse<T: FromStr>(&self, path: &str, expected: &'static str) -> Fact<T> {
        self.root.parse(path, expected).into()
    }

    /// A whole number.
    #[must_use]
    pub fn number(&self, path: &str) -> Fact<i64> {
        self.parse(path, "a whole number")
    }

    /// A list of CPUs: `0-3,8`.
    #[must_use]
    pub fn cpu_list(&self, path: &str) -> Fact<CpuSet> {
        self.root.cpu_list(path).into()
    }

    /// A mask of CPUs in comma-grouped hexadecimal: `ff,00000000`.
    #[must_use]
    pub fn cpu_mask(&self, path: &str) -> Fact<CpuSet> {
        self.root.parse_with(path, "a mask of CPUs", |text| CpuSet::from_hex_mask(text).ok()).into()
    }

    /// A choice: `always [madvise] never`.
    #[must_use]
    pub fn choice(&self, path: &str) -> Fact<Choice> {
        self.root.parse_with(path, "a choice such as \"a [b] c\"", Choice::parse).into()
    }

    /// The names in a directory, sorted.
    #[must_use]
    pub fn names(&self, path: &str) -> Fact<Vec<String>> {
        self.root.names(path).into()
    }

    /// The last part of what a symbolic link points to.
    #[must_use]
    pub fn link_name(&self, path: &str) -> Fact<String> {
        self.root.link_name(path).into()
    }

    /// Is there such a file?
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.root.exists(path)
    }

    /// The value of a sysctl by its dotted name: `vm.swappiness`.
    #[must_use]
    pub fn sysctl(&self, name: &str) -> Fact<String> {
        self.text(&format!("proc/sys/{}", name.replace('.', "/")))
    }

    /// Ask the kernel something that is not a file. On a captured machine the answer of then is given, or unknown.
    ///
    /// `name` is the question, as a path: `ethtool/eth0/rings`.
    pub fn ask<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        ask: impl FnOnce() -> Fact<T>,
    ) -> Fact<T> {
        let path = format!("{ASKED}/{name}.json");
        if self.is_live() {
            let answer = ask();
            if let Ok(text) = serde_json::to_vec_pretty(&answer) {
                self.root.note(&path, text);
            }
            return answer;
        }
        self.answer(&path)
            .unwrap_or_else(|| Fact::unknown("this was not asked when the machine was captured"))
    }

    /// The same for a question that the machine's files can answer as well, where nobody asked then: a fixture.
    pub fn ask_or_read<T: Serialize + DeserializeOwned>(
        &self,
        name: &str,
        read: impl FnOnce(&Root) -> Fact<T>,
    ) -> Fact<T> {
        if self.is_live() {
            return self.ask(name, || read(&self.root));
        }
        self.answer(&format!("{ASKED}/{name}.json")).unwrap_or_else(|| read(&self.root))
    }

    /// What the captured machine answered; nothing when it was not asked.
    fn answer<T: DeserializeOwned>(&self, path: &str) -> Option<Fact<T>> {
        Some(match self.root.text_up_to(path, ANSWER) {
            Ok(text) => serde_json::from_str(&text).unwrap_or_else(|error| {
                Fact::unknown(format!("{path} of the captured machine is not an answer: {error}"))
            }),
            Err(error) if error.is_missing() => return None,
            Err(error) => Fact::unknown(error.to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_the_word_in_brackets() {
        let choice = Choice::parse("always [madvise] never").unwrap();

        assert_eq!(choice.chosen, "madvise");
        assert_eq!(choice.offered, ["always", "madvise", "never"]);
        assert_eq!(Choice::parse("performance").unwrap().chosen, "performance");
        for odd in ["", "a b", "[a] [b]"] {
            assert_eq!(Choice::parse(odd), None, "{odd}");
        }
    }

    #[test]
    fn a_missing_file_is_absent_and_a_wrong_one_unknown() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("n"), "many\n").unwrap();
        let source = Source::at(dir.path()).unwrap();

        assert_eq!(source.number("nothing"), Fact::Absent);
        assert!(source.number("n").is_unknown());
        assert_eq!(source.text("n"), Fact::Is("many".to_owned()));
    }
}
