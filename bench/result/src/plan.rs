//! What is measured: a file of TOML, or one of those that are built in.

mod group;
mod shorter;

use std::{net::Ipv4Addr, path::Path, time::Duration};

use config::MacAddress;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    arm::{Arm, Group},
    generator::Limits,
    mix::Mix,
    throughput::ThroughputPlan,
};

pub use self::{group::GroupPlan, shorter::TooShort};

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// As it is called in reports.
    pub name: String,
    /// Blocks: in each, every arm of a group is started afresh and measured once, in random order. Intervals come from
    /// the differences between blocks, so fewer than 5 decide nothing.
    pub blocks: usize,
    /// Before each trial, in ms. What leaves meanwhile is kept apart.
    #[serde(default = "warm_up_ms")]
    pub warm_up_ms: u64,
    /// Of each trial, in ms.
    pub measure_ms: u64,
    /// How long the last probes are waited for, in ms. What is not back then is lost.
    #[serde(default = "drain_ms")]
    pub drain_ms: u64,
    /// What the generator must keep for a trial to count.
    #[serde(default)]
    pub limits: Keep,
    /// Let generator and path go before all other programs while a trial lasts (SCHED_FIFO): for machines that others use
    /// too. A trial has to be short for it, with warm-up and drain 900 ms at most.
    #[serde(default)]
    pub is_first: bool,
    /// A difference as large as this share is to be seen: where the intervals are wider, the answer is inconclusive.
    #[serde(default = "resolution")]
    pub resolution: f64,
    /// How long the host is looked at first, in ms for each CPU.
    #[serde(default = "qualify_ms")]
    pub qualify_ms: u64,
    /// Who is compared, at what.
    #[serde(rename = "group", default)]
    pub groups: Vec<GroupPlan>,
    /// Where group external begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external: Option<External>,
    /// What is searched: how much paths carry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throughput: Vec<ThroughputPlan>,
}

/// Ports of this machine, and who is behind them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct External {
    /// The port that frames leave through: a PCI address, or `vdev:` and a virtual device of DPDK's with its arguments.
    pub out: String,
    /// The port that they come back through; the same one where they are sent back.
    pub back: String,
    /// Whom they are addressed to.
    #[schemars(with = "String")]
    pub mac: MacAddress,
    /// Where they come from.
    pub source: Ipv4Addr,
    /// Where they go to.
    pub destination: Ipv4Addr,
    /// Who says when they came back.
    #[serde(default)]
    pub stamps: StampedBy,
}

/// Who stamps frames that come back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StampedBy {
    /// This program, when it has fetched them.
    #[default]
    Software,
    /// The device, where its driver offers that (receive timestamps) and its clock can be read. What leaves is stamped by
    /// this program in any case.
    Hardware,
}

/// What the generator must keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// What a virtual machine can.
    #[default]
    Virtual,
    /// What bare metal can.
    Metal,
}

impl Keep {
    /// As numbers.
    #[must_use]
    pub fn limits(self) -> Limits {
        match self {
            Self::Virtual => Limits::VIRTUAL,
            Self::Metal => Limits::METAL,
        }
    }
}

fn warm_up_ms() -> u64 {
    200
}
fn drain_ms() -> u64 {
    50
}
fn resolution() -> f64 {
    0.1
}
fn qualify_ms() -> u64 {
    1000
}
/// What sizes are told and made of: those of the mix on average, or what was asked for, or the least.
pub(crate) fn settle(sizes: &mut Vec<usize>, mix: Option<&Mix>) -> Option<String> {
    let told = match mix {
        Some(mix) => vec![mix.mean()],
        None => vec![64],
    };
    if sizes.is_empty() {
        *sizes = told;
    } else if mix.is_some() && *sizes != told {
        return Some("sizes and a mix; either of them".to_owned());
    }
    mix.and_then(Mix::wrong)
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// The file can not be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no plan.
    #[error("{file} is no plan: {why}")]
    Parse {
        /// The file.
        file: String,
        /// Where and why.
        why: String,
    },
    /// It asks for what can not be.
    #[error("{file}: {}", wrong.join("; "))]
    Wrong {
        /// The file.
        file: String,
        /// Everything that is wrong.
        wrong: Vec<String>,
    },
}

/// The plans that are built in, by name.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("quick", include_str!("../../plans/quick.toml")),
    ("standard", include_str!("../../plans/standard.toml")),
    ("soak", include_str!("../../plans/soak.toml")),
    ("throughput", include_str!("../../plans/throughput.toml")),
    ("peer", include_str!("../../plans/peer.toml")),
    ("rfc2544", include_str!("../../plans/rfc2544.toml")),
];

/// The longest file that is read.
const LONGEST: u64 = 1 << 20;

impl Plan {
    /// The longest trial that goes before all other programs: the kernel lets them wait for 950 ms.
    pub const LONGEST_FIRST: Duration = Duration::from_millis(900);

    /// After a trial that goes before all other programs, these have one part in so many of its time.
    pub const PAUSE: u32 = 8;

    /// One that is built in, or a file.
    ///
    /// # Errors
    /// [`PlanError`]
    pub fn find(name: &str) -> Result<Self, PlanError> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
            return Self::parse(text, name);
        }
        let failed = |source| PlanError::Read { file: name.to_owned(), source };
        let mut text = String::new();
        let file = std::fs::File::open(Path::new(name)).map_err(failed)?;
        std::io::Read::read_to_string(&mut std::io::Read::take(file, LONGEST), &mut text)
            .map_err(failed)?;
        Self::parse(&text, name)
    }

    /// Reads a plan.
    ///
    /// # Errors
    /// [`PlanError`], with everything that is wrong at once.
    pub fn parse(text: &str, file: &str) -> Result<Self, PlanError> {
        let file = || file.to_owned();
        let mut plan: Self = toml::from_str(text)
            .map_err(|error| PlanError::Parse { file: file(), why: error.to_string() })?;
        let mut wrong = plan.settle();
        wrong.extend(plan.wrong());
        if wrong.is_empty() { Ok(plan) } else { Err(PlanError::Wrong { file: file(), wrong }) }
    }

    fn settle(&mut self) -> Vec<String> {
        let mut wrong = Vec::new();
        for group in &mut self.groups {
            let why = settle(&mut group.sizes, group.mix.as_ref());
            wrong.extend(why.map(|why| format!("group {}: {why}", group.kind)));
        }
        for search in &mut self.throughput {
            let why = settle(&mut search.sizes, search.mix.as_ref());
            wrong.extend(why.map(|why| format!("throughput ({}): {why}", search.kind)));
        }
        wrong
    }

    fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, what: String| {
            if !is_right {
                wrong.push(what);
            }
        };
        check((1..=1000).contains(&self.blocks), format!("blocks = {}: 1 to 1000", self.blocks));
        check(self.warm_up_ms <= 60_000, format!("warm_up_ms = {}: 0 to 60000", self.warm_up_ms));
        check(
            (10..=900_000).contains(&self.measure_ms),
            format!("measure_ms = {}: 10 to 900000", self.measure_ms),
        );
        check(
            (1..=10_000).contains(&self.drain_ms),
            format!("drain_ms = {}: 1 to 10000", self.drain_ms),
        );
        check(
            !self.is_first || self.trial() <= Self::LONGEST_FIRST,
            format!("is_first with trials of {} ms: at most 900", self.trial().as_millis()),
        );
        check(
            (0.001..=1.0).contains(&self.resolution),
            format!("resolution = {}: 0.001 to 1", self.resolution),
        );
        check(
            (100..=600_000).contains(&self.qualify_ms),
            format!("qualify_ms = {}: 100 to 600000", self.qualify_ms),
        );
        let is_something = !self.groups.is_empty() || !self.throughput.is_empty();
        check(is_something, "no group".to_owned());
        for (number, group) in self.groups.iter().enumerate() {
            let at = format!("group {} ({})", number + 1, group.kind);
            let before = &self.groups[..number];
            check(
                before.iter().all(|other| other.kind != group.kind),
                format!("{at}: the second of this kind"),
            );
            for what in group.wrong() {
                check(false, format!("{at}: {what}"));
            }
        }
        let is_outside = self.groups.iter().map(|group| group.kind);
        let is_outside = is_outside.chain(self.throughput.iter().map(|search| search.kind));
        if is_outside.into_iter().any(|kind| kind == Group::External) && self.external.is_none() {
            wrong.push(
                "group external takes [external]: which ports, and who is behind them".to_owned(),
            );
        }
        wrong.extend(self.throughput.iter().flat_map(ThroughputPlan::wrong));
        wrong
    }

    /// How long a trial takes, with what belongs to it.
    #[must_use]
    pub fn trial(&self) -> Duration {
        Duration::from_millis(self.warm_up_ms + self.measure_ms + self.drain_ms)
    }

    /// Does any group have this?
    #[must_use]
    pub fn needs(&self, is_it: impl Fn(Arm) -> bool) -> bool {
        let searched = self.throughput.iter().flat_map(|search| &search.arms);
        self.groups.iter().flat_map(|group| &group.arms).chain(searched).any(|arm| is_it(*arm))
    }

    /// Without the arms that can not run here; groups that are left without a reference or an arm to compare go, too.
    #[must_use]
    pub fn without(mut self, is_out: impl Fn(Arm) -> bool) -> Self {
        for group in &mut self.groups {
            group.arms.retain(|arm| !is_out(*arm));
            group.twin = group.twin.filter(|twin| !is_out(*twin));
        }
        self.groups.retain(|group| group.arms.contains(&group.reference));
        for search in &mut self.throughput {
            search.arms.retain(|arm| !is_out(*arm));
            search.twin = search.twin.filter(|twin| !is_out(*twin));
            search.reference = search.reference.filter(|reference| !is_out(*reference));
        }
        self.throughput.retain(|search| !search.arms.is_empty());
        self
    }

    /// About how long it takes: all trials, starts and searches, without those trials that have to be made again.
    #[must_use]
    pub fn expected(&self) -> Duration {
        let searched: Duration = self.throughput.iter().map(ThroughputPlan::whole).sum();
        Duration::from_millis(self.qualify_ms).mul_f64(1.5) + self.trials_only() + searched
    }

    /// That of the groups.
    fn trials_only(&self) -> Duration {
        let starts: Duration =
            self.groups.iter().flat_map(GroupPlan::members).map(|member| member.arm.start()).sum();
        let pause = if self.is_first { self.trial() / Self::PAUSE } else { Duration::ZERO };
        starts * count(self.blocks) + (self.trial() + pause) * count(self.trials())
    }

    /// Trials of the whole run.
    #[must_use]
    pub fn trials(&self) -> usize {
        self.groups.iter().map(|group| group.cells() * group.members().len()).sum::<usize>()
            * self.blocks
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// One that takes part: an arm, or its twin.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// The path.
    pub arm: Arm,
    /// Is it the second of its kind?
    pub is_twin: bool,
}

impl Member {
    /// These arms, and the twin of one.
    pub(crate) fn all(arms: &[Arm], twin: Option<Arm>) -> Vec<Self> {
        let twin = twin.map(|arm| Self { arm, is_twin: true });
        let arms = arms.iter().map(|arm| Self { arm: *arm, is_twin: false });
        arms.chain(twin).collect()
    }
}

impl std::fmt::Display for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let twin = if self.is_twin { "-twin" } else { "" };
        f.pad(&format!("{}{twin}", self.arm))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::generator::Pattern;

    const SMALL: &str = "name = \"t\"\nblocks = 5\nmeasure_ms = 100\n[[group]]\nkind = \"null\"\n\
        arms = [\"wire\"]\nreference = \"wire\"\nloads = [1000]\n";

    #[test]
    fn the_plans_that_are_built_in_are_plans() {
        for (name, _) in BUILT_IN {
            let plan = Plan::find(name).unwrap();
            assert_eq!(plan.name, name);
            assert!(plan.groups.iter().all(|group| group.twin.is_some()), "{name}");
        }
    }

    #[test]
    fn the_plans_that_are_built_in_take_as_long_as_they_are_said_to() {
        let minutes = |name: &str| Plan::find(name).unwrap().expected().as_secs_f64() / 60.0;
        assert!((1.2..1.8).contains(&minutes("quick")), "{}", minutes("quick"));
        // A quarter of the trials may be made again.
        assert!((7.0..12.0).contains(&minutes("standard")), "{}", minutes("standard"));
        assert!((10.0..15.0).contains(&minutes("throughput")), "{}", minutes("throughput"));
        assert!((3.0..15.0).contains(&minutes("peer")), "{}", minutes("peer"));
        assert!((120.0..180.0).contains(&minutes("soak")), "{}", minutes("soak"));
        assert!((24.0..36.0).contains(&(minutes("rfc2544") / 60.0)), "{}", minutes("rfc2544"));
    }

    #[test]
    fn the_strict_plan_has_the_durations_and_repetitions_of_the_rfc() {
        let plan = Plan::find("rfc2544").unwrap();
        let [search] = plan.throughput.as_slice() else { panic!("{plan:?}") };
        // RFC 2544: 9.1, 24, 26.2, 26.4, 23.
        assert_eq!(search.sizes, [64, 128, 256, 512, 1024, 1280, 1518]);
        let strict = search.rfc2544.unwrap();
        assert_eq!(strict.trial_ms, 60_000);
        assert_eq!((strict.latency_ms, strict.latency_repeats), (120_000, 20));
        assert_eq!((strict.burst_ms, strict.burst_repeats), (2_000, 50));
        assert_eq!((strict.residual_ms, strict.settle_ms), (2_000, 5_000));
        // RFC 8219: 7.2.
        let repeated = search.rfc8219.unwrap();
        assert_eq!((repeated.stream_ms, repeated.repeats), (120_000, 20));
    }

    #[test]
    fn a_plan_that_is_written_is_the_plan_that_is_read() {
        for (name, _) in BUILT_IN {
            let plan = Plan::find(name).unwrap();
            let again = Plan::parse(&toml::to_string(&plan).unwrap(), name).unwrap();
            assert_eq!(again, plan);
        }
    }

    #[test]
    fn what_is_left_out_has_a_default() {
        let plan = Plan::parse(SMALL, "t").unwrap();
        assert_eq!(plan.groups[0].sizes, [64]);
        assert_eq!(plan.groups[0].spacing, Pattern::Constant);
        assert_eq!(plan.trial(), Duration::from_millis(350));
        assert_eq!(plan.trials(), 5);
    }

    #[test]
    fn what_can_not_be_is_refused_and_named() {
        for (from, to, named) in [
            ("blocks = 5", "blocks = 0", "blocks = 0"),
            ("blocks = 5", "blocks = 5\nblock = 5", "block"),
            ("[1000]", "[]", "no load"),
            ("[1000]", "[nan]", "a load of NaN"),
            ("[1000]", "[1000]\nsizes = [63]", "63 bytes"),
            ("[1000]", "[1000]\nflows = 0", "0 flows"),
            ("[1000]", "[1000]\nsizes = [64]\nmix = \"imix\"", "either of them"),
            ("[1000]", "[1000]\nmix = [64, 9000]", "9000 bytes"),
            ("[1000]", "[1000]\nmix = \"imix\"\nreplay = \"a.pcap\"", "replay, and mix"),
            ("[1000]", "[1000]\ngenerator = \"xdp-socket\"", "could be chosen"),
            ("[1000]", "[1000]\nspacing = { pattern = \"bursts\", size = 0 }", "no frames"),
            ("[\"wire\"]", "[\"wire\", \"wire\"]", "twice"),
            ("[\"wire\"]", "[\"wire\", \"kernel-route\"]", "other work"),
            ("reference = \"wire\"", "reference = \"kernel-route\"", "not among"),
            ("measure_ms = 100", "measure_ms = 1", "measure_ms = 1"),
            ("measure_ms = 100", "measure_ms = 900\nis_first = true", "at most 900"),
            ("null", "external", "[external]"),
            (
                "[[group]]",
                "[[throughput]]\nkind = \"reflect\"\narms = []\nmost = 0\n[[group]]",
                "no arm",
            ),
        ] {
            let text = SMALL.replace(from, to);
            assert_ne!(text, SMALL, "{from}");
            let error = Plan::parse(&text, "t").unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once() {
        let text = SMALL.replace("blocks = 5", "blocks = 0").replace("[1000]", "[0]");
        let Err(PlanError::Wrong { wrong, .. }) = Plan::parse(&text, "t") else { panic!() };
        assert_eq!(wrong.len(), 2, "{wrong:?}");
    }

    #[test]
    fn a_group_without_its_reference_is_left_out() {
        let plan = Plan::find("standard").unwrap();
        let without = plan.clone().without(Arm::is_testpmd);
        assert!(without.groups.iter().all(|group| !group.arms.iter().any(|arm| arm.is_testpmd())));
        // Over shared memory testpmd is what barewired is compared with.
        let kinds = |plan: &Plan| plan.groups.iter().map(|group| group.kind).collect::<Vec<_>>();
        let expected: Vec<Group> =
            kinds(&plan).into_iter().filter(|kind| *kind != Group::Shared).collect();
        assert_eq!(kinds(&without), expected);
        assert!(plan.without(|_| true).groups.is_empty());
    }

    proptest! {
        #[test]
        fn no_text_is_a_panic(text: String) {
            let _plan = Plan::parse(&text, "t");
        }
    }
}
