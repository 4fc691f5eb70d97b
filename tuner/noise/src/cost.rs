//! What a thread cost, in the processor's and the kernel's own counts.

use std::{collections::BTreeMap, fmt};

use linux::counters::{Count, CounterError, Event};
use serde::{Deserialize, Serialize};

/// What a thread, or several, cost while they were counted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// What could be counted.
    pub counted: BTreeMap<Event, Count>,
    /// Why the rest could not.
    pub unknown: BTreeMap<Event, String>,
}

/// One count for each of another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// The counts divided.
    pub value: f64,
    /// What they are, in words.
    pub what: &'static str,
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2} {}", self.value, self.what)
    }
}

impl Cost {
    /// Of one thread.
    #[must_use]
    pub fn of(counts: &BTreeMap<Event, Result<Count, CounterError>>) -> Self {
        let mut cost = Self::default();
        for (event, count) in counts {
            match count {
                Ok(count) => _ = cost.counted.insert(*event, *count),
                Err(error) => _ = cost.unknown.insert(*event, error.to_string()),
            }
        }
        cost
    }

    /// Adds what another thread cost. What is not known of one is known of both together only as far as the other goes;
    /// the share becomes the lesser.
    pub fn add(&mut self, other: &Self) {
        for (event, count) in &other.counted {
            self.counted
                .entry(*event)
                .and_modify(|sum| {
                    sum.value = sum.value.saturating_add(count.value);
                    sum.share = sum.share.min(count.share);
                    sum.is_user_only |= count.is_user_only;
                })
                .or_insert(*count);
        }
        for (event, why) in &other.unknown {
            self.unknown.entry(*event).or_insert_with(|| why.clone());
        }
    }

    /// Instructions for each cycle, misses for each hundred accesses and branches: those that both counts are known of.
    #[must_use]
    pub fn rates(&self) -> Vec<Rate> {
        let rate = |of: Event, per: Event, scale: f64, what: &'static str| {
            let (of, per) = (self.counted.get(&of)?.value, self.counted.get(&per)?.value);
            #[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
            (per > 0).then(|| Rate { value: of as f64 / per as f64 * scale, what })
        };
        [
            rate(Event::Instructions, Event::Cycles, 1.0, "instructions a cycle"),
            rate(Event::CacheMisses, Event::CacheReferences, 100.0, "% of cache accesses missed"),
            rate(Event::BranchMisses, Event::Branches, 100.0, "% of branches mispredicted"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Why the processor counted nothing, once where it is the same for all of its events; none when it counted any.
    #[must_use]
    pub fn no_hardware(&self) -> Option<&str> {
        if self.counted.keys().any(|event| event.is_hardware()) {
            return None;
        }
        let mut reasons =
            self.unknown.iter().filter(|(event, _)| event.is_hardware()).map(|(_, why)| why);
        reasons.next().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(value: u64, share: f64) -> Count {
        Count { value, share, is_user_only: false }
    }

    fn cost(counted: &[(Event, Count)], unknown: &[Event]) -> Cost {
        Cost {
            counted: counted.iter().copied().collect(),
            unknown: unknown.iter().map(|event| (*event, "why".to_owned())).collect(),
        }
    }

    #[test]
    fn rates_are_of_counts_that_are_known() {
        let both = cost(
            &[(Event::Cycles, count(100, 1.0)), (Event::Instructions, count(250, 1.0))],
            &[Event::Branches],
        );

        assert_eq!(both.rates(), [Rate { value: 2.5, what: "instructions a cycle" }]);
        assert_eq!(both.rates()[0].to_string(), "2.50 instructions a cycle");
        assert_eq!(both.no_hardware(), None);
        let idle =
            cost(&[(Event::Cycles, count(0, 1.0)), (Event::Instructions, count(0, 1.0))], &[]);
        assert_eq!(idle.rates(), []);
    }

    #[test]
    fn threads_add_up_and_the_lesser_share_is_told() {
        let mut sum = cost(&[(Event::PageFaults, count(3, 1.0))], &[Event::Cycles]);
        sum.add(&cost(
            &[(Event::PageFaults, Count { is_user_only: true, ..count(4, 0.5) })],
            &[Event::Cycles],
        ));

        assert_eq!(
            sum.counted[&Event::PageFaults],
            Count { value: 7, share: 0.5, is_user_only: true }
        );
        assert_eq!(sum.no_hardware(), Some("why"));
    }
}
