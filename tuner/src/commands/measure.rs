//! `--measure`: watch the machine for some seconds before judging it.

use std::time::Duration;

use super::{Failure, Session};
use crate::{Fact, Intent, Measured, Source};

/// What verbs take that can watch the machine.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(crate) struct Measure {
    /// Watch the machine for so long (1s to 1440m), and judge what happened too.
    #[arg(long = "measure", value_name = "TIME", value_parser = parse)]
    over: Option<Duration>,
}

pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let over = config::parse_duration(text).map_err(|error| error.to_string())?;
    let day = Duration::from_secs(24 * 60 * 60);
    if (Duration::from_secs(1)..=day).contains(&over) {
        Ok(over)
    } else {
        Err("not between 1s and 1440m".to_owned())
    }
}

impl Session<'_> {
    /// What happened while the machine was watched: now when asked for, or when it was captured.
    pub(crate) fn measured(
        &mut self,
        measure: Measure,
        source: &Source,
        intent: &Intent,
    ) -> Result<Option<Measured>, Failure> {
        let measured = match measure.over {
            Some(over) if source.is_live() => {
                let (err, is_terminal) = (&mut *self.err, self.surroundings.stderr_is_terminal);
                let mut is_first = true;
                let mut progress = |left: Duration| {
                    // One line for a log, a count-down for a person. Nobody is left to tell when it can not be written.
                    let seconds = left.as_secs_f64();
                    if is_terminal {
                        let _ = write!(err, "\rmeasuring: {seconds:.0} s left \x1b[K");
                    } else if is_first {
                        let _ = writeln!(err, "measuring for {seconds:.0} s");
                    }
                    is_first = false;
                };
                let measured = Measured::take(source, intent, over, &mut progress);
                if is_terminal {
                    let _ = write!(self.err, "\r\x1b[K");
                }
                measured
            }
            _ => Measured::captured(source),
        };
        match measured {
            Fact::Is(measured) => Ok(Some(measured)),
            Fact::Unknown { why } if measure.over.is_some() => {
                writeln!(self.err, "warning: nothing is measured: {why}")?;
                Ok(None)
            }
            Fact::Unknown { .. } | Fact::Absent => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_between_a_second_and_a_day() {
        assert_eq!(parse("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(parse("1s"), Ok(Duration::from_secs(1)));
        for wrong in ["0s", "999ms", "1441m", "5", "long"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
