//! One group of a plan: paths that do the same work on the same kind of wire.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Member;
use crate::{
    arm::{Arm, Group},
    generator::{Pattern, Via},
    mix::Mix,
};

/// One group of a plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupPlan {
    /// What its paths do.
    pub kind: Group,
    /// The paths.
    pub arms: Vec<Arm>,
    /// The one that the others are compared with.
    pub reference: Arm,
    /// The one that takes part twice: what two equal paths differ by here. None: nothing is called faster or slower.
    #[serde(default)]
    pub twin: Option<Arm>,
    /// Frames a second.
    pub loads: Vec<f64>,
    /// Bytes of a frame, with its check sequence: 64 to 1518.
    #[serde(default)]
    pub sizes: Vec<usize>,
    /// Instead of `sizes`: frames of several sizes take turns, `"imix"` or a list. Results are under the mean size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mix: Option<Mix>,
    /// A capture (pcap), whose sizes and distances are taken: it becomes `mix` and `spacing`, stretched to each load.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<PathBuf>,
    /// What the generator uses, in groups reflect and forward.
    #[serde(default)]
    pub generator: Via,
    /// How frames are spaced.
    #[serde(default = "constant")]
    pub spacing: Pattern,
    /// Flows: source ports that take turns.
    #[serde(default = "one")]
    pub flows: u16,
}

fn constant() -> Pattern {
    Pattern::Constant
}
fn one() -> u16 {
    1
}

impl GroupPlan {
    /// Everything that is wrong with it.
    pub(super) fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut check = |is_right: bool, what: String| {
            if !is_right {
                wrong.push(what);
            }
        };
        for (place, arm) in self.arms.iter().enumerate() {
            check(arm.fits(self.kind), format!("{arm} does other work"));
            check(!self.arms[..place].contains(arm), format!("{arm} twice; see twin"));
        }
        check(
            self.arms.contains(&self.reference),
            format!("the reference {} is not among the arms", self.reference),
        );
        check(
            self.twin.is_none_or(|twin| self.arms.contains(&twin)),
            "the twin is not among the arms".to_owned(),
        );
        check(!self.loads.is_empty(), "no load".to_owned());
        for load in &self.loads {
            let is_possible = (1.0..=10e6).contains(load);
            check(is_possible, format!("a load of {load}: 1 to 10000000"));
        }
        if let Err(error) = self.spacing.check() {
            check(false, error.to_string());
        }
        let takes_any = matches!(self.kind, Group::Reflect | Group::Forward);
        check(
            takes_any || self.generator == Via::PacketSocket,
            "its wire is not one that the generator could be chosen for".to_owned(),
        );
        let is_plain = self.mix.is_none() && self.spacing == Pattern::Constant;
        check(self.replay.is_none() || is_plain, "replay, and mix or spacing".to_owned());
        for size in &self.sizes {
            let is_possible = (64..=1518).contains(size);
            check(is_possible, format!("frames of {size} bytes: 64 to 1518"));
        }
        check((1..=16384).contains(&self.flows), format!("{} flows: 1 to 16384", self.flows));
        wrong
    }

    /// All that take part.
    #[must_use]
    pub fn members(&self) -> Vec<Member> {
        Member::all(&self.arms, self.twin)
    }

    /// Combinations of load and size.
    #[must_use]
    pub fn cells(&self) -> usize {
        self.loads.len() * self.sizes.len()
    }
}
