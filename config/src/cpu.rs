//! CPU numbers and sets of them, in the notations of the Linux kernel.
//!
//! The list grammar is that of `bitmap_parselist()` (Linux `lib/bitmap-str.c`, and "Format of the cpu lists" in
//! `Documentation/admin-guide/kernel-parameters.rst`): `0-3,8`, and `0-15:2/4` for the first two of every four. The
//! words `all` and `N` are refused, for they mean something only on one machine.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// The number of a logical CPU, as in `/sys/devices/system/cpu/cpu<N>`: at most [`CpuId::MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct CpuId(u32);

impl CpuId {
    /// The largest CPU number: the kernel's largest `NR_CPUS` is 8192 on all architectures.
    pub const MAX: Self = Self(8191);
    /// CPU 0, which boots the machine and keeps some kernel work for ever.
    pub const ZERO: Self = Self(0);

    /// CPU `number`, or `None` when the number is larger than [`CpuId::MAX`].
    #[must_use]
    pub const fn new(number: u32) -> Option<Self> {
        if number <= Self::MAX.0 { Some(Self(number)) } else { None }
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The number, to index with: 0 to 8191.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for CpuId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl TryFrom<u32> for CpuId {
    type Error = CpuParseError;

    fn try_from(number: u32) -> Result<Self, Self::Error> {
        Self::new(number).ok_or(CpuParseError::TooLarge)
    }
}

impl From<CpuId> for u32 {
    fn from(cpu: CpuId) -> Self {
        cpu.0
    }
}

impl FromStr for CpuId {
    type Err = CpuParseError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(CpuParseError::NotANumber { part: excerpt(text) });
        }
        // Digits only, so the one way to fail is a number beyond u32.
        text.parse::<u32>().ok().and_then(Self::new).ok_or(CpuParseError::TooLarge)
    }
}

/// Why a text is not a CPU, a list of CPUs or a mask of CPUs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CpuParseError {
    /// The text is longer than any list of [`CpuId::MAX`] CPUs has to be.
    #[error("CPU list of {bytes} bytes is longer than {}", CpuSet::MAX_TEXT)]
    TooLong {
        /// How long it is.
        bytes: usize,
    },
    /// A CPU number was expected.
    #[error("\"{part}\" is not a CPU number")]
    NotANumber {
        /// What was there instead.
        part: String,
    },
    /// A CPU number beyond what Linux can have.
    #[error("CPU number is larger than {}", CpuId::MAX)]
    TooLarge,
    /// The first CPU of a range is larger than its last.
    #[error("range {first}-{last} runs backwards")]
    Backwards {
        /// The first CPU.
        first: CpuId,
        /// The last CPU.
        last: CpuId,
    },
    /// The part behind the colon of `0-15:2/4`.
    #[error("\":{part}\" is not a pattern such as \":2/4\" (the first two of every four)")]
    Pattern {
        /// What was there instead.
        part: String,
    },
    /// Not a mask of hexadecimal digits.
    #[error("\"{part}\" is not a group of up to eight hexadecimal digits")]
    NotHex {
        /// What was there instead.
        part: String,
    },
}

/// What an error repeats of a text: short, and without control characters.
fn excerpt(text: &str) -> String {
    text.chars().take(24).flat_map(char::escape_default).collect()
}

/// A set of CPUs.
///
/// Read with [`FromStr`] (the kernel's lists) or [`CpuSet::from_hex_mask`]; written as a plain list (`0-3,8`) or with
/// [`CpuSet::to_hex_mask`]. It takes at most 1 KiB. The order of two sets is stable, and has no other meaning.
///
/// ```
/// let set: config::CpuSet = "0-15:2/4,20".parse()?;
/// assert_eq!(set.to_string(), "0-1,4-5,8-9,12-13,20");
/// assert_eq!(set.to_hex_mask(), "00103333");
/// # Ok::<(), config::CpuParseError>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CpuSet {
    /// Bit `n % 64` of word `n / 64` stands for CPU `n`. The last word is not zero, so equal sets have equal words.
    words: Vec<u64>,
}

impl CpuSet {
    /// The longest text that is read, in bytes; a list of every other CPU of 8192 is 20 KiB.
    pub const MAX_TEXT: usize = 64 * 1024;

    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Add a CPU; `false` when it was there already.
    pub fn insert(&mut self, cpu: CpuId) -> bool {
        let added = !self.contains(cpu);
        self.insert_range(cpu, cpu);
        added
    }

    /// Take a CPU out; `false` when it was not there.
    pub fn remove(&mut self, cpu: CpuId) -> bool {
        let present = self.contains(cpu);
        if present {
            self.words[cpu.index() / 64] &= !(1 << (cpu.index() % 64));
            self.trim();
        }
        present
    }

    /// Is this CPU in the set?
    #[must_use]
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.words.get(cpu.index() / 64).is_some_and(|word| word >> (cpu.index() % 64) & 1 == 1)
    }

    /// How many CPUs there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Is there no CPU?
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The smallest CPU.
    #[must_use]
    pub fn first(&self) -> Option<CpuId> {
        self.iter().next()
    }

    /// The largest CPU.
    #[must_use]
    pub fn last(&self) -> Option<CpuId> {
        let (index, word) = self.words.iter().enumerate().next_back()?;
        Some(cpu_at(index, 63 - word.leading_zeros()))
    }

    /// The CPUs, the smallest first.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { words: &self.words, index: 0, rest: self.words.first().copied().unwrap_or(0) }
    }

    /// The CPUs in either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let length = self.words.len().max(other.words.len());
        self.combine(other, length, |a, b| a | b)
    }

    /// The CPUs in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let length = self.words.len().min(other.words.len());
        self.combine(other, length, |a, b| a & b)
    }

    /// The CPUs in this set that are not in the other.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        self.combine(other, self.words.len(), |a, b| a & !b)
    }

    /// Have the sets no CPU in common?
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).all(|(a, b)| a & b == 0)
    }

    /// Is every CPU of this set in the other one?
    #[must_use]
    pub fn is_subset(&self, other: &Self) -> bool {
        self.difference(other).is_empty()
    }

    /// Read the masks of `/proc/irq/*/smp_affinity` and `rps_cpus`: groups of up to eight hexadecimal digits, the
    /// most significant first, with commas between them; `0x` in front and a newline behind are allowed.
    ///
    /// # Errors
    /// [`CpuParseError`] when it is not such a mask, or has a bit beyond [`CpuId::MAX`].
    pub fn from_hex_mask(text: &str) -> Result<Self, CpuParseError> {
        check_length(text)?;
        let text = text.trim_ascii();
        let mut words = Vec::new();
        let digits = text.strip_prefix("0x").unwrap_or(text);
        for (index, part) in digits.rsplit(',').enumerate() {
            let group = Some(part)
                .filter(|part| part.len() <= 8 && part.bytes().all(|b| b.is_ascii_hexdigit()))
                .and_then(|part| u64::from_str_radix(part, 16).ok())
                .ok_or_else(|| CpuParseError::NotHex { part: excerpt(part) })?;
            if index % 2 == 0 {
                words.push(group);
            } else if let Some(word) = words.last_mut() {
                *word |= group << 32;
            }
        }
        let mut set = Self { words };
        set.trim();
        if set.words.len() > CpuId::MAX.index() / 64 + 1 {
            Err(CpuParseError::TooLarge)
        } else {
            Ok(set)
        }
    }

    /// Write the mask that `/proc/irq/*/smp_affinity` takes: `00000001,0000000f`.
    #[must_use]
    pub fn to_hex_mask(&self) -> String {
        let mut halves: Vec<u64> =
            self.words.iter().flat_map(|word| [word & u64::from(u32::MAX), word >> 32]).collect();
        while halves.len() > 1 && halves.last() == Some(&0) {
            halves.pop();
        }
        if halves.is_empty() {
            halves.push(0);
        }
        let groups: Vec<String> = halves.iter().rev().map(|half| format!("{half:08x}")).collect();
        groups.join(",")
    }

    fn combine(&self, other: &Self, length: usize, f: impl Fn(u64, u64) -> u64) -> Self {
        let word = |set: &Self, index: usize| set.words.get(index).copied().unwrap_or(0);
        let words = (0..length).map(|index| f(word(self, index), word(other, index))).collect();
        let mut set = Self { words };
        set.trim();
        set
    }

    /// Add `first` to `last`, both included, a word at a time.
    fn insert_range(&mut self, first: CpuId, last: CpuId) {
        let (from, to) = (first.index() / 64, last.index() / 64);
        if self.words.len() <= to {
            self.words.resize(to + 1, 0);
        }
        for (index, word) in self.words.iter_mut().enumerate().take(to + 1).skip(from) {
            let low = if index == from { first.index() % 64 } else { 0 };
            let high = if index == to { last.index() % 64 } else { 63 };
            *word |= u64::MAX << low & u64::MAX >> (63 - high);
        }
    }

    fn trim(&mut self) {
        while self.words.last() == Some(&0) {
            self.words.pop();
        }
    }

    /// Add what one part of a list between two commas says.
    fn insert_part(&mut self, part: &str) -> Result<(), CpuParseError> {
        let (range, pattern) = match part.split_once(':') {
            Some((range, pattern)) => (range, Some(pattern)),
            None => (part, None),
        };
        let (first, last) = match range.split_once('-') {
            Some((first, last)) => (first.parse::<CpuId>()?, last.parse::<CpuId>()?),
            None => {
                let cpu = range.parse::<CpuId>()?;
                (cpu, cpu)
            }
        };
        if first > last {
            return Err(CpuParseError::Backwards { first, last });
        }
        let Some(pattern) = pattern else {
            self.insert_range(first, last);
            return Ok(());
        };
        let (used, group) = parse_pattern(pattern)
            .ok_or_else(|| CpuParseError::Pattern { part: excerpt(pattern) })?;
        for start in (first.0..=last.0).step_by(group.index()) {
            let end = (start + used.0 - 1).min(last.0);
            self.insert_range(CpuId(start), CpuId(end));
        }
        Ok(())
    }
}

/// `2/4`: both at least 1, the first not larger than the second.
fn parse_pattern(text: &str) -> Option<(CpuId, CpuId)> {
    let (used, group) = text.split_once('/')?;
    let (used, group) = (used.parse::<CpuId>().ok()?, group.parse::<CpuId>().ok()?);
    (used.0 >= 1 && used <= group).then_some((used, group))
}

fn check_length(text: &str) -> Result<(), CpuParseError> {
    if text.len() > CpuSet::MAX_TEXT {
        return Err(CpuParseError::TooLong { bytes: text.len() });
    }
    Ok(())
}

/// The CPU of a bit; only bits of numbers up to [`CpuId::MAX`] are ever set.
fn cpu_at(word: usize, bit: u32) -> CpuId {
    CpuId(u32::try_from(word * 64).expect("a set has at most 128 words") + bit)
}

impl FromStr for CpuSet {
    type Err = CpuParseError;

    /// Read a list of the kernel's; an empty text, as of `/sys/devices/system/cpu/isolated`, is the empty set.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check_length(text)?;
        let mut set = Self::new();
        let text = text.trim_ascii();
        if !text.is_empty() {
            text.split(',').try_for_each(|part| set.insert_part(part.trim_ascii()))?;
        }
        Ok(set)
    }
}

impl fmt::Display for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().peekable();
        let mut comma = "";
        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if(|next| next.0 == last.0 + 1) {
                last = next;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}

impl fmt::Debug for CpuSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CpuSet({self})")
    }
}

impl TryFrom<String> for CpuSet {
    type Error = CpuParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<CpuSet> for String {
    fn from(set: CpuSet) -> Self {
        set.to_string()
    }
}

impl FromIterator<CpuId> for CpuSet {
    fn from_iter<I: IntoIterator<Item = CpuId>>(cpus: I) -> Self {
        let mut set = Self::new();
        set.extend(cpus);
        set
    }
}

impl Extend<CpuId> for CpuSet {
    fn extend<I: IntoIterator<Item = CpuId>>(&mut self, cpus: I) {
        for cpu in cpus {
            self.insert(cpu);
        }
    }
}

impl<'a> IntoIterator for &'a CpuSet {
    type Item = CpuId;
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The CPUs of a [`CpuSet`], the smallest first.
#[derive(Debug, Clone)]
pub struct Iter<'a> {
    words: &'a [u64],
    index: usize,
    /// What is left of the word at `index`.
    rest: u64,
}

impl Iterator for Iter<'_> {
    type Item = CpuId;

    fn next(&mut self) -> Option<CpuId> {
        while self.rest == 0 {
            self.index += 1;
            self.rest = *self.words.get(self.index)?;
        }
        let bit = self.rest.trailing_zeros();
        self.rest &= self.rest - 1;
        Some(cpu_at(self.index, bit))
    }
}
