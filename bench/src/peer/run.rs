//! The experiment: blocks of fresh programs, rounds of short slices, everything in random order.

use std::time::{Duration, Instant};

use super::{
    case::{Arm, Case},
    result::{Block, CaseResult},
    running::{Lab, Running, Start},
    trial,
};
use crate::{program::ProgramError, say};

/// How much is measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Amount {
    /// Blocks.
    pub blocks: usize,
    /// Rounds in each block, not counting the warm-up.
    pub rounds: usize,
    /// The time of a slice.
    pub slice: Duration,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A program is of no use.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// A directory could not be made.
    #[error("cannot make a directory for the programs' files")]
    Directory(#[source] std::io::Error),
}

/// Measures a case.
///
/// # Errors
/// When a program does not start, dies or does not answer. Nothing is left running.
pub fn case(lab: &Lab, case: Case, amount: &Amount, seed: u64) -> Result<CaseResult, RunError> {
    let mut random = fastrand::Rng::with_seed(seed);
    let begun = Instant::now();
    let mut blocks = Vec::new();
    let mut starts = Vec::new();
    for number in 0..amount.blocks {
        let left = match u32::try_from(number) {
            Ok(done @ 1..) => {
                begun.elapsed() / done * u32::try_from(amount.blocks - number).unwrap_or(1)
            }
            _ => estimate(&case, amount),
        };
        say::progress(format_args!(
            "case {}: block {} of {}, about {} left",
            case.name,
            number + 1,
            amount.blocks,
            say::duration(left)
        ));
        let (block, started) = block(lab, &case, number, amount, &mut random)?;
        blocks.push(block);
        starts.extend(started);
    }
    say::end_of_progress();
    Ok(CaseResult::conclude(case, starts, blocks, seed))
}

/// What the first block will tell better: a second to start and stop each program, and the slices.
fn estimate(case: &Case, amount: &Amount) -> Duration {
    let slices = u32::try_from(amount.rounds + 1).unwrap_or(u32::MAX);
    let arm = Duration::from_secs(1) + (amount.slice + trial::SETTLE) * slices;
    arm * u32::try_from(case.arms.len() * amount.blocks).unwrap_or(u32::MAX)
}

fn block(
    lab: &Lab,
    case: &Case,
    number: usize,
    amount: &Amount,
    random: &mut fastrand::Rng,
) -> Result<(Block, Vec<Start>), RunError> {
    let dir = tempfile::tempdir_in(&lab.dir).map_err(RunError::Directory)?;
    let mut order: Vec<Arm> = case.arms.clone();
    random.shuffle(&mut order);
    let mut running = Vec::new();
    for (place, &arm) in order.iter().enumerate() {
        let dir = dir.path().join(format!("{number}-{place}"));
        std::fs::create_dir(&dir).map_err(RunError::Directory)?;
        let started = Running::start(lab, case.wiring, arm, &dir)?;
        started.pause()?;
        running.push(started);
    }
    let starts = running.iter().map(|running| running.start.clone()).collect();

    let mut slices = Vec::new();
    for round in 0..=amount.rounds {
        random.shuffle(&mut running);
        for arm in &mut running {
            slices.push(trial::slice(lab, arm, case.wiring.egress(), round, amount.slice)?);
        }
    }

    let mut ends = Vec::new();
    for arm in running {
        ends.push(arm.stop(&lab.interrupt)?);
    }
    for end in ends.iter().filter(|end| !end.is_conserved) {
        for slice in slices.iter_mut().filter(|slice| slice.arm == end.arm) {
            slice
                .faults
                .push("its frames do not add up at the end: received = sent + dropped".to_owned());
        }
    }
    Ok((Block { block: number, slices, ends }, starts))
}
