//! `/v1/stalls`

use crate::state::State;

/// So many stalls are in one answer, of all workers alike: the newest. With what the kernel counted meanwhile, one may
/// take a kilobyte.
const MOST: usize = 8192;
/// … but so many of each worker.
const FEWEST: usize = 16;

/// More numbers than workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("after has {given} numbers, and there are {workers} workers")]
pub(crate) struct StallsError {
    given: usize,
    workers: usize,
}

/// `GET /v1/stalls`: those after each worker's number in `after`, as an earlier answer's `next` gave them; all that are
/// remembered without it, and of a worker that came later.
///
/// # Errors
/// [`StallsError`] when there are more numbers than workers.
pub(crate) fn stalls(state: &State<'_>, after: Option<&[u64]>) -> Result<api::Stalls, StallsError> {
    let past = state.past.workers.iter().map(|worker| (worker.cpu, &worker.stalls));
    let now = state.workers.iter().map(|worker| (worker.cpu, &worker.stalls));
    let logs: Vec<_> = now.chain(past.skip(state.workers.len())).collect();
    let workers = logs.len();
    if let Some(given) = after.map(<[u64]>::len).filter(|&given| given > workers) {
        return Err(StallsError { given, workers });
    }
    let threshold = state.config.latency.stall_threshold.as_nanos();
    let mut answer = api::Stalls {
        schema: api::SCHEMA,
        threshold_ns: u64::try_from(threshold).unwrap_or(u64::MAX),
        stalls: Vec::new(),
        next: Vec::with_capacity(workers),
        lost: 0,
        total: 0,
    };
    let most = (MOST / workers.max(1)).max(FEWEST);
    for (number, (cpu, log)) in logs.into_iter().enumerate() {
        // The log counts from 0 and reads from a number on; the page counts from 1 and reads after one.
        let from = after.and_then(|after| after.get(number)).copied().unwrap_or(0);
        let read = log.read(from);
        let unsaid = read.stalls.len().saturating_sub(most);
        answer.lost += unsaid as u64;
        answer.stalls.extend(read.stalls.into_iter().skip(unsaid).map(|stall| {
            let start_ticks = stall.at_tick.saturating_sub(stall.length_ticks);
            api::Stall {
                worker: number,
                cpu,
                sequence: stall.sequence + 1,
                start_ticks,
                start_unix_ns: state.clock.unix_ns(start_ticks),
                length_ns: state.clock.rate.to_ns(stall.length_ticks),
                pending: stall.pending,
                saturated: stall.saturated,
                meanwhile: state.witness.of(number, stall.sequence),
            }
        }));
        answer.next.push(read.next);
        answer.lost += read.lost;
        answer.total += read.next;
    }
    answer.stalls.sort_by_key(|stall| stall.start_ticks);
    Ok(answer)
}
