//! The types that a value of the file can have: each says what it wants, and takes nothing else.

use std::{net::IpAddr, ops::Range, path::PathBuf, time::Duration};

use ipnet::IpNet;
use toml::{Spanned, de::DeValue};

use crate::{
    Auto, CpuSet, Device, Huge, LogFormat, MacAddress, Mode, NumaNode, TuneProfile,
    diagnostic::{Place, Report, any_of, nearest},
    format_duration, parse_duration,
};

/// Why a value was not taken.
#[derive(Debug)]
pub(crate) struct Wrong {
    pub(crate) span: Range<usize>,
    pub(crate) why: String,
    pub(crate) help: Option<String>,
}

/// A type that a value of the file can have.
pub(crate) trait Value: Sized {
    /// What is wanted: `a whole number from 1 to 64`.
    fn wanted() -> String;

    /// Take the value.
    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>>;
}

/// A key of the file: left out, there with a wrong value (reported already), or there with a right one.
#[derive(Debug, Default)]
pub(crate) enum Field<T> {
    #[default]
    Absent,
    Bad,
    Given(Spanned<T>),
}

impl<T: Value> Field<T> {
    /// Read a value, and report what is wrong with it.
    pub(crate) fn read(
        place: &Place,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        report: &mut Report<'_>,
    ) -> Self {
        match T::read(value) {
            Ok(read) => Self::Given(Spanned::new(value.span(), read)),
            Err(wrongs) => {
                for Wrong { span, why, help } in wrongs {
                    report.bad_value(place, key, span, why, help);
                }
                Self::Bad
            }
        }
    }
}

impl<T> Field<T> {
    /// The value, if there is a right one.
    pub(crate) fn given(&self) -> Option<&Spanned<T>> {
        match self {
            Self::Given(value) => Some(value),
            Self::Absent | Self::Bad => None,
        }
    }

    /// The value, or the default.
    pub(crate) fn copied_or(&self, default: T) -> T
    where
        T: Copy,
    {
        self.given().map_or(default, |value| *value.get_ref())
    }

    /// Was the key left out?
    pub(crate) fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Where the value stands, if there is a right one.
    pub(crate) fn span(&self) -> Option<Range<usize>> {
        self.given().map(Spanned::span)
    }
}

/// The usual reason: something else is wanted.
pub(crate) fn unwanted<T: Value>(value: &Spanned<DeValue<'_>>) -> Vec<Wrong> {
    because(value, format!("{} is wanted", T::wanted()), None)
}

fn because(value: &Spanned<DeValue<'_>>, why: String, help: Option<String>) -> Vec<Wrong> {
    vec![Wrong { span: value.span(), why, help }]
}

/// The value's text, if it is a text.
pub(crate) fn text<'v, T: Value>(value: &'v Spanned<DeValue<'_>>) -> Result<&'v str, Vec<Wrong>> {
    value.get_ref().as_str().ok_or_else(|| unwanted::<T>(value))
}

/// The value's whole number, if it is one and not negative.
fn whole(value: &Spanned<DeValue<'_>>) -> Option<u64> {
    let integer = value.get_ref().as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

impl Value for bool {
    fn wanted() -> String {
        "true or false".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        value.get_ref().as_bool().ok_or_else(|| unwanted::<Self>(value))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(u64);

impl<const MIN: u64, const MAX: u64> Whole<MIN, MAX> {
    /// The number as the model's type, which reaches to `MAX` at least.
    pub(crate) fn to<T: TryFrom<u64>>(self) -> T {
        T::try_from(self.0).ok().expect("the model's type reaches as far as the schema's limit")
    }
}

impl<const MIN: u64, const MAX: u64> Value for Whole<MIN, MAX> {
    fn wanted() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let number = whole(value).filter(|number| (MIN..=MAX).contains(number));
        number.map(Self).ok_or_else(|| unwanted::<Self>(value))
    }
}

/// A power of two from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PowerOfTwo<const MIN: u64, const MAX: u64>(pub(crate) usize);

impl<const MIN: u64, const MAX: u64> Value for PowerOfTwo<MIN, MAX> {
    fn wanted() -> String {
        format!("a power of two from {MIN} to {MAX}")
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let Some(number) = whole(value) else { return Err(unwanted::<Self>(value)) };
        if (MIN..=MAX).contains(&number) && number.is_power_of_two() {
            return usize::try_from(number).map(Self).map_err(|_| unwanted::<Self>(value));
        }
        // A number between two powers of two is the usual mistake: say which they are.
        let help = (MIN..=MAX)
            .contains(&number)
            .then(|| number.next_power_of_two())
            .map(|next| format!("the nearest are {} and {next}", next / 2));
        Err(because(value, format!("{} is wanted", Self::wanted()), help))
    }
}

/// `"auto"`, or a `T`.
impl<T: Value> Value for Auto<T> {
    fn wanted() -> String {
        format!("{}, or \"auto\"", T::wanted())
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        if value.get_ref().as_str() == Some("auto") {
            return Ok(Self::Auto);
        }
        T::read(value).map(Self::Set).map_err(|mut wrongs| {
            for wrong in &mut wrongs {
                if wrong.why == format!("{} is wanted", T::wanted()) {
                    wrong.why = format!("{} is wanted", Self::wanted());
                }
            }
            wrongs
        })
    }
}

/// CPUs, at least one.
#[derive(Debug, Clone)]
pub(crate) struct Cpus(pub(crate) CpuSet);

impl Value for Cpus {
    fn wanted() -> String {
        "a CPU list such as \"2-5,8\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let set: CpuSet = text::<Self>(value)?.parse().map_err(|error| {
            because(value, format!("{error}"), Some(format!("{} is wanted", Self::wanted())))
        })?;
        if set.is_empty() {
            Err(because(value, "it names no CPU".to_owned(), None))
        } else {
            Ok(Self(set))
        }
    }
}

/// One of a few words.
pub(crate) trait Choice: Copy + 'static {
    const ALL: &'static [(&'static str, Self)];

    /// The word for it.
    fn word(self) -> &'static str
    where
        Self: PartialEq,
    {
        let found = Self::ALL.iter().find(|(_, choice)| *choice == self);
        found.map_or("", |(word, _)| word)
    }
}

impl<T: Choice> Value for T {
    fn wanted() -> String {
        let words: Vec<&str> = T::ALL.iter().map(|(word, _)| *word).collect();
        any_of(&words)
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let text = text::<Self>(value)?;
        let words = T::ALL.iter().map(|(word, _)| *word);
        let found = T::ALL.iter().find(|(word, _)| *word == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let help = nearest(text, words).map(|word| format!("did you mean \"{word}\"?"));
            because(value, format!("{} is wanted", Self::wanted()), help)
        })
    }
}

impl Choice for Huge {
    const ALL: &'static [(&'static str, Self)] =
        &[("2M", Self::M2), ("1G", Self::G1), ("none", Self::None)];
}

impl Choice for Mode {
    const ALL: &'static [(&'static str, Self)] =
        &[("run-to-completion", Self::RunToCompletion), ("staged", Self::Staged)];
}

impl Choice for LogFormat {
    const ALL: &'static [(&'static str, Self)] = &[("text", Self::Text), ("json", Self::Json)];
}

impl Choice for TuneProfile {
    const ALL: &'static [(&'static str, Self)] = &[
        ("low-latency", Self::LowLatency),
        ("throughput", Self::Throughput),
        ("balanced", Self::Balanced),
    ];
}

/// What a stage does, without its parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Cross,
    Reflect,
    Count,
    Sample,
}

impl Choice for Kind {
    const ALL: &'static [(&'static str, Self)] = &[
        ("cross", Self::Cross),
        ("reflect", Self::Reflect),
        ("count", Self::Count),
        ("sample", Self::Sample),
    ];
}

/// What happens to the MAC addresses, without the new ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MacsWord {
    Keep,
    Swap,
    Rewrite,
}

impl Choice for MacsWord {
    const ALL: &'static [(&'static str, Self)] =
        &[("keep", Self::Keep), ("swap", Self::Swap), ("rewrite", Self::Rewrite)];
}

/// The name of a port or a stage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(pub(crate) String);

/// Words that mean something else where a name could stand.
const RESERVED: [&str; 3] = ["drop", "none", "auto"];

impl Value for Name {
    fn wanted() -> String {
        "a name of up to 32 letters, digits, \".\", \"_\" and \"-\", with a letter in front"
            .to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let text = text::<Self>(value)?;
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        if !text.starts_with(|c: char| c.is_ascii_alphabetic())
            || text.len() > 32
            || !text.bytes().all(letters)
        {
            return Err(unwanted::<Self>(value));
        }
        if RESERVED.contains(&text) {
            return Err(because(value, "that word has a meaning of its own".to_owned(), None));
        }
        Ok(Self(text.to_owned()))
    }
}

/// Where frames go, as written: what it names is looked up when all names are known.
#[derive(Debug, Clone)]
pub(crate) struct EdgeText(pub(crate) String);

impl Value for EdgeText {
    fn wanted() -> String {
        "the name of a stage, \"tx:<port>\" or \"drop\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        Ok(Self(text::<Self>(value)?.to_owned()))
    }
}

/// The first stage for what a port receives, as written.
#[derive(Debug, Clone)]
pub(crate) struct InputText(pub(crate) String);

impl Value for InputText {
    fn wanted() -> String {
        "the name of a stage, or \"none\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        Ok(Self(text::<Self>(value)?.to_owned()))
    }
}

impl Value for Device {
    fn wanted() -> String {
        "a PCI address such as \"0000:3b:00.0\", or \"vdev:\" with a virtual device".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        text::<Self>(value)?
            .parse::<Self>()
            .map_err(|error| because(value, error.to_string(), Some(error.help().to_owned())))
    }
}

/// The number of a NUMA node; the kernel knows at most 1024.
impl Value for NumaNode {
    fn wanted() -> String {
        Whole::<0, 1023>::wanted()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        Whole::<0, 1023>::read(value).map(|number| Self(number.to()))
    }
}

/// An address of a host, with or without its network.
impl Value for IpNet {
    fn wanted() -> String {
        "an address such as \"192.0.2.1/24\" or \"2001:db8::1/64\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let text = text::<Self>(value)?;
        let net = text.parse::<Self>().or_else(|_| text.parse::<IpAddr>().map(Self::from));
        let net = net.map_err(|_| unwanted::<Self>(value))?;
        check_host(value, net.addr())?;
        Ok(net)
    }
}

impl Value for IpAddr {
    fn wanted() -> String {
        "an address such as \"192.0.2.1\" or \"2001:db8::1\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let address = text::<Self>(value)?.parse().map_err(|_| unwanted::<Self>(value))?;
        check_host(value, address)?;
        Ok(address)
    }
}

/// Can a host have this address?
fn check_host(value: &Spanned<DeValue<'_>>, address: IpAddr) -> Result<(), Vec<Wrong>> {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    if address.is_unspecified() || address.is_multicast() || broadcast {
        return Err(because(value, "no host can have that address".to_owned(), None));
    }
    Ok(())
}

impl Value for MacAddress {
    fn wanted() -> String {
        "an Ethernet address such as \"02:00:00:00:00:01\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        text::<Self>(value)?.parse().map_err(|_| unwanted::<Self>(value))
    }
}

/// A list of up to `MAX` values.
#[derive(Debug, Clone)]
pub(crate) struct List<T, const MAX: usize>(pub(crate) Vec<Spanned<T>>);

impl<T, const MAX: usize> Field<List<T, MAX>> {
    /// Is the list left out or empty? One with something wrong in it is not.
    pub(crate) fn is_empty_list(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Bad => false,
            Self::Given(list) => list.get_ref().0.is_empty(),
        }
    }
}

impl<T: Value, const MAX: usize> Value for List<T, MAX> {
    fn wanted() -> String {
        format!("a list in brackets of up to {MAX} values, each {}", T::wanted())
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let items = value.get_ref().as_array().ok_or_else(|| unwanted::<Self>(value))?;
        if items.len() > MAX {
            return Err(because(value, format!("at most {MAX} values are taken"), None));
        }
        let (mut taken, mut wrongs) = (Vec::with_capacity(items.len()), Vec::new());
        for item in items.iter() {
            match T::read(item) {
                Ok(read) => taken.push(Spanned::new(item.span(), read)),
                Err(wrong) => wrongs.extend(wrong),
            }
        }
        if wrongs.is_empty() { Ok(Self(taken)) } else { Err(wrongs) }
    }
}

/// A duration from `MIN` to `MAX` microseconds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Time<const MIN: u64, const MAX: u64>(pub(crate) Duration);

impl<const MIN: u64, const MAX: u64> Value for Time<MIN, MAX> {
    fn wanted() -> String {
        let (min, max) = (Duration::from_micros(MIN), Duration::from_micros(MAX));
        format!("a duration from \"{}\" to \"{}\"", format_duration(min), format_duration(max))
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        if value.get_ref().is_integer() {
            let help = "write the unit, and quotes around it: ns, us, ms, s or m".to_owned();
            return Err(because(value, format!("{} is wanted", Self::wanted()), Some(help)));
        }
        let time = parse_duration(text::<Self>(value)?).map_err(|error| {
            because(
                value,
                format!("{} is wanted", Self::wanted()),
                Some(format!("this is {error}")),
            )
        })?;
        let range = Duration::from_micros(MIN)..=Duration::from_micros(MAX);
        if range.contains(&time) { Ok(Self(time)) } else { Err(unwanted::<Self>(value)) }
    }
}

/// Where the control socket is.
#[derive(Debug, Clone)]
pub(crate) struct SocketPath(pub(crate) PathBuf);

impl SocketPath {
    /// `sun_path` has 108 bytes (Linux `include/uapi/linux/un.h`), the last of them for the NUL.
    const MAX: usize = 107;
}

impl Value for SocketPath {
    fn wanted() -> String {
        "an absolute path such as \"/run/barewire/control.sock\"".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let path = text::<Self>(value)?;
        if !path.starts_with('/') || path.ends_with('/') || path.chars().any(char::is_control) {
            return Err(unwanted::<Self>(value));
        }
        if path.len() > Self::MAX {
            let why =
                format!("it has {} bytes, and a socket's path at most {}", path.len(), Self::MAX);
            return Err(because(value, why, None));
        }
        Ok(Self(PathBuf::from(path)))
    }
}

/// The name or number of a group.
#[derive(Debug, Clone)]
pub(crate) struct Group(pub(crate) String);

impl Value for Group {
    fn wanted() -> String {
        "the name or number of a group".to_owned()
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let name = text::<Self>(value)?;
        // What groupadd(8) takes, and more: others write upper case and dots into /etc/group.
        let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'@');
        let fits = (1..=32).contains(&name.len())
            && !name.starts_with(['-', '.', '@'])
            && name.bytes().all(letters);
        if fits { Ok(Self(name.to_owned())) } else { Err(unwanted::<Self>(value)) }
    }
}

/// What is logged: a level, or levels for parts of the program.
#[derive(Debug, Clone)]
pub(crate) struct LogFilter(pub(crate) String);

impl LogFilter {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
}

impl Value for LogFilter {
    fn wanted() -> String {
        format!("{}, or a list such as \"info,barewired=debug\"", any_of(&Self::LEVELS))
    }

    fn read(value: &Spanned<DeValue<'_>>) -> Result<Self, Vec<Wrong>> {
        let filter = text::<Self>(value)?;
        if filter.len() > 256 {
            return Err(because(value, "at most 256 bytes are taken".to_owned(), None));
        }
        for directive in filter.split(',') {
            // tracing takes a lone unknown word for a target, and logs everything of it: a typing error would pass.
            let (target, level) = directive.split_once('=').unwrap_or(("", directive));
            let known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b':');
            if !Self::LEVELS.contains(&level)
                || !target.bytes().all(known)
                || directive.starts_with('=')
            {
                let help = nearest(level, Self::LEVELS).filter(|near| *near != level);
                let help = help.map(|level| format!("did you mean \"{level}\"?"));
                return Err(because(value, format!("{} is wanted", Self::wanted()), help));
            }
        }
        Ok(Self(filter.to_owned()))
    }
}
