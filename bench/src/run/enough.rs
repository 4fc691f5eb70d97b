//! Whether there are enough trials that count. Pure.

use std::{collections::BTreeSet, fmt};

use super::{
    arm::Group,
    conclude::LEAST_BLOCKS,
    plan::Member,
    result::RunResult,
    trial::{Cell, Trial},
};

/// A path with too few blocks, at some load and size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Short {
    /// Its group.
    pub group: Group,
    /// Which one.
    pub member: Member,
    /// At what.
    pub cell: Cell,
    /// Blocks in which it and the reference have a trial that counts.
    pub blocks: usize,
    /// How many there should be.
    pub needed: usize,
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, member, cell, blocks, needed } = self;
        let Cell { load, size } = cell;
        write!(
            f,
            "{group}, {load} frames of {size} bytes a second: {member} has {blocks} blocks that count, of {needed} at least"
        )
    }
}

/// Those of all that took part.
#[must_use]
pub fn short(result: &RunResult) -> Vec<Short> {
    let needed = result.plan.blocks.min(LEAST_BLOCKS);
    let is_left_out = |group: Group, member: Member| {
        let left_out = &mut result.left_out.iter();
        left_out.any(|out| out.group == group && out.member.is_none_or(|it| it == member))
    };
    let mut all = Vec::new();
    for group in &result.groups {
        for cell in &group.cells {
            let of = |member| blocks(&result.trials, group.kind, member, cell.cell);
            let reference = of(group.reference);
            for member in cell.members.iter().map(|it| it.member) {
                let blocks = of(member).intersection(&reference).count();
                if blocks < needed && !is_left_out(group.kind, member) {
                    let (group, cell) = (group.kind, cell.cell);
                    all.push(Short { group, member, cell, blocks, needed });
                }
            }
        }
    }
    all
}

fn blocks(trials: &[Trial], group: Group, member: Member, cell: Cell) -> BTreeSet<usize> {
    let own = trials.iter().filter(|it| (it.group, it.member, it.cell) == (group, member, cell));
    own.filter(|trial| trial.is_valid()).map(|trial| trial.block).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{
        conclude::tests::{a_run, trials},
        result::LeftOut,
        trial::Invalid,
    };

    fn spoil(result: &mut RunResult, member: Member, blocks: std::ops::Range<usize>) {
        let own = result.trials.iter_mut().filter(|it| it.member == member);
        for trial in own.filter(|it| blocks.contains(&it.block)) {
            trial.faults = vec![Invalid::Stolen { ms: 9 }];
        }
    }

    #[test]
    fn a_path_is_short_when_fewer_blocks_count_than_an_interval_takes() {
        let mut result = a_run(trials(10, 2.0, 0));
        assert_eq!(short(&result), []);
        let all = result.plan.blocks;
        let member = result.groups[0].cells[0].members[1].member;

        spoil(&mut result, member, LEAST_BLOCKS..all);
        assert_eq!(short(&result), [], "{LEAST_BLOCKS} are enough");
        spoil(&mut result, member, 0..1);
        let found = short(&result);

        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!((found[0].member, found[0].blocks, found[0].needed), (member, 4, 5));
        let (group, member) = (found[0].group, Some(member));
        result.left_out.push(LeftOut { group, member, why: "it broke".to_owned() });
        assert_eq!(short(&result), []);
    }

    #[test]
    fn without_the_reference_everybody_is_short() {
        let mut result = a_run(trials(10, 2.0, 0));
        let reference = result.groups[0].reference;
        let all = result.plan.blocks;
        spoil(&mut result, reference, 0..all);
        let found = short(&result);
        assert_eq!(found.len(), result.groups[0].cells[0].members.len());
        assert!(found.iter().all(|it| it.blocks == 0));
    }
}
