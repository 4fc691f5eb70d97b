//! What a program says it has moved, and how fast that is.

use std::time::{Duration, Instant};

use serde::Serialize;

/// One port's counters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PortReading {
    /// Frames received.
    pub rx: u64,
    /// Frames transmitted.
    pub tx: u64,
    /// Frames that were not received although they were there.
    pub missed: u64,
    /// Transmit rate since the reading before, by the program's own clock, in frames a second; `None` when the program
    /// stamps its readings instead.
    pub tx_rate: Option<u64>,
    /// What the driver counts as transmitted, where the program counts for itself.
    pub driver_tx: Option<u64>,
}

/// All ports' counters, at one moment.
#[derive(Debug, Clone, Serialize)]
pub struct Reading {
    /// When we asked.
    #[serde(skip)]
    pub asked: Instant,
    /// When the answer was complete.
    #[serde(skip)]
    pub answered: Instant,
    /// The program's own stamp, if it gives one: nanoseconds since some moment.
    pub at_ns: Option<u64>,
    /// The ports, in the order they were given to the program.
    pub ports: Vec<PortReading>,
    /// Does the program itself say that no frame is missing? `None` when it does not say.
    pub balanced: Option<bool>,
}

/// How far a program's clock and ours may disagree about an interval, beyond what asking took.
const CLOCKS: f64 = 0.005;

/// How far the program's count and the driver's may disagree over an interval: they are not read at the same moment.
const COUNTERS: f64 = 0.05;

/// What happened between two readings.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Interval {
    /// Frames transmitted, by egress port.
    pub frames: u64,
    /// Frames a second, all egress ports, by the program's own clock.
    pub rate: f64,
    /// The same by ours: between these, since asking takes time.
    pub rate_by_our_clock: (f64, f64),
    /// What is wrong with it.
    pub faults: Vec<String>,
}

/// What happened on the egress ports between two readings of one program.
#[must_use]
pub fn between(before: &Reading, after: &Reading, egress: &[usize]) -> Interval {
    let longest = after.answered.saturating_duration_since(before.asked);
    let shortest = after.asked.saturating_duration_since(before.answered);
    let mut frames = 0;
    let mut rate = 0.0;
    let mut faults = Vec::new();
    for &port in egress {
        let (Some(first), Some(last)) = (before.ports.get(port), after.ports.get(port)) else {
            faults.push(format!("port {port} is missing from a reading"));
            continue;
        };
        let Some(sent) = last.tx.checked_sub(first.tx) else {
            faults.push(format!("port {port} counted backwards"));
            continue;
        };
        frames += sent;
        rate += match (last.tx_rate, before.at_ns.zip(after.at_ns)) {
            (Some(rate), _) => float(rate),
            (None, Some((start, end))) if end > start => {
                per_second(sent, Duration::from_nanos(end - start))
            }
            (None, _) => {
                faults.push("the readings carry no time".to_owned());
                0.0
            }
        };
        let driver =
            first.driver_tx.zip(last.driver_tx).map(|(first, last)| last.saturating_sub(first));
        if let Some(by_driver) =
            driver.filter(|&by_driver| differs(float(sent), float(by_driver), COUNTERS))
        {
            faults.push(format!(
                "port {port}: the program counts {sent} frames, its driver {by_driver}"
            ));
        }
    }
    let (low, high) = (per_second(frames, longest), per_second(frames, shortest));
    if frames == 0 {
        faults.push("nothing was transmitted".to_owned());
    } else if !(low * (1.0 - CLOCKS)..=high * (1.0 + CLOCKS)).contains(&rate) {
        faults.push(format!(
            "its clock says {rate:.0} frames a second, ours between {low:.0} and {high:.0}"
        ));
    }
    if after.balanced == Some(false) {
        faults.push("the program says that frames are missing".to_owned());
    }
    Interval { frames, rate, rate_by_our_clock: (low, high), faults }
}

fn differs(a: f64, b: f64, share: f64) -> bool {
    (a - b).abs() > share * a.max(b)
}

fn per_second(frames: u64, time: Duration) -> f64 {
    float(frames) / time.as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "counts of a trial are far below 2^52")]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn port(tx: u64, tx_rate: Option<u64>) -> PortReading {
        PortReading { rx: tx, tx, missed: 0, tx_rate, driver_tx: None }
    }

    fn reading(start: Instant, at_ms: u64, at_ns: Option<u64>, ports: Vec<PortReading>) -> Reading {
        let asked = start + Duration::from_millis(at_ms);
        Reading { asked, answered: asked + Duration::from_millis(1), at_ns, ports, balanced: None }
    }

    #[test]
    fn a_stamped_rate_is_frames_over_the_programs_own_time() {
        let start = Instant::now();
        let before = reading(start, 0, Some(5 * SECOND), vec![port(100, None), port(7, None)]);
        let after =
            reading(start, 1000, Some(6 * SECOND), vec![port(1_100_100, None), port(9, None)]);
        let interval = between(&before, &after, &[0]);
        assert_eq!(
            (interval.frames, interval.rate, interval.faults),
            (1_100_000, 1_100_000.0, vec![])
        );
    }

    #[test]
    fn a_rate_that_the_program_tells_is_taken_and_checked_against_our_clock() {
        let start = Instant::now();
        let before = reading(start, 0, None, vec![port(0, Some(3)), port(0, Some(3))]);
        let honest = vec![port(500_000, Some(500_100)), port(500_000, Some(499_900))];
        let interval = between(&before, &reading(start, 1000, None, honest), &[0, 1]);
        assert_eq!(
            (interval.frames, interval.rate, interval.faults),
            (1_000_000, 1_000_000.0, vec![])
        );

        let boasting = vec![port(500_000, Some(600_000)), port(500_000, Some(600_000))];
        let interval = between(&before, &reading(start, 1000, None, boasting), &[0, 1]);
        assert_eq!(interval.faults.len(), 1, "{interval:?}");
    }

    #[test]
    fn silence_lost_ports_and_counting_backwards_are_faults() {
        let start = Instant::now();
        let before = reading(start, 0, Some(0), vec![port(10, None)]);
        for (ports, egress) in
            [(vec![port(10, None)], 0), (vec![port(9, None)], 0), (vec![port(20, None)], 1)]
        {
            let interval = between(&before, &reading(start, 1000, Some(SECOND), ports), &[egress]);
            assert!(!interval.faults.is_empty(), "{interval:?}");
        }
        let unstamped = between(&before, &reading(start, 1000, None, vec![port(20, None)]), &[0]);
        assert!(!unstamped.faults.is_empty(), "{unstamped:?}");
    }

    #[test]
    fn a_program_that_counts_what_its_driver_did_not_send_is_found_out() {
        let start = Instant::now();
        let with = |tx, driver| PortReading { driver_tx: Some(driver), ..port(tx, None) };
        let before = reading(start, 0, Some(0), vec![with(0, 0)]);
        let after = reading(start, 1000, Some(SECOND), vec![with(1_000_000, 700_000)]);
        assert_eq!(between(&before, &after, &[0]).faults.len(), 1);
    }
}
