//! The `trace` of the kernel's hwlat tracer, which stops everything on a CPU and sees what still takes time away.

use std::collections::BTreeMap;

use config::CpuId;

use super::{COLUMNS, Question, Theirs, cpu, micros};

/// Lines such as `<...>-1729 [001] d... 678.473: #1 inner/outer(us): 11/12 ts:1581527483.343962693 count:6`: the longest
/// between two readings of a pair, and between one pair and the next.
pub(super) fn hwlat(text: &str) -> Result<Vec<Theirs>, String> {
    let mut longest: BTreeMap<CpuId, u64> = BTreeMap::new();
    for line in text.lines() {
        let Some((before, after)) = line.split_once("inner/outer(us):") else { continue };
        let wrong = || format!("{:?} is no sample", line.chars().take(60).collect::<String>());
        let number = before.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
        let number = number.and_then(|(number, _)| number.trim_ascii().parse().ok());
        let pair = after.split_ascii_whitespace().collect::<Vec<_>>();
        // The kernel pads the first number: `   11/12` or `11/  12`.
        let pair =
            pair.iter().take_while(|word| !word.starts_with("ts:")).copied().collect::<String>();
        let (inner, outer) = pair.split_once('/').ok_or_else(wrong)?;
        let read = |word: &str| word.parse::<u64>().map_err(|_| wrong());
        let sample = read(inner)?.max(read(outer)?);
        let at = longest.entry(cpu(number.ok_or_else(wrong)?)?).or_default();
        *at = sample.max(*at);
        if longest.len() > COLUMNS {
            return Err(format!("it has more than {COLUMNS} CPUs"));
        }
    }
    let of = |(cpu, max): (CpuId, u64)| {
        let mut theirs = Theirs::new("hwlat", Question::Hardware);
        theirs.cpu = Some(cpu);
        theirs.max = Some((micros(max)?, micros(max.saturating_add(1))?));
        Ok(theirs)
    };
    longest.into_iter().map(of).collect()
}
