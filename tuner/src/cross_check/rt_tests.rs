//! cyclictest and oslat of the rt-tests, as version 2 writes them.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{COLUMNS, Question, Step, Theirs, cpu, micros};

/// What `--json` writes, as far as it is needed. The file is not ours, so what else is in it is left alone.
#[derive(Debug, Deserialize)]
struct Json {
    #[serde(default)]
    resolution_in_ns: u64,
    thread: BTreeMap<String, Thread>,
}

#[derive(Debug, Deserialize)]
struct Thread {
    cpu: Option<u64>,
    /// Only oslat has it.
    freq: Option<u64>,
    /// Only cyclictest has it.
    cycles: Option<u64>,
    duration: Option<f64>,
    max: u64,
    histogram: BTreeMap<String, u64>,
}

pub(super) fn json(text: &str) -> Result<Vec<Theirs>, String> {
    let json: Json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if json.thread.len() > COLUMNS {
        return Err(format!("it has more than {COLUMNS} threads"));
    }
    let threads = json.thread.values();
    let read = threads.map(|thread| match (thread.freq, thread.cycles) {
        (Some(_), _) => oslat(thread),
        (None, Some(cycles)) => cyclictest(thread, cycles, json.resolution_in_ns != 0),
        (None, None) => Err("a thread has neither \"freq\" nor \"cycles\"".to_owned()),
    });
    let read: Vec<Theirs> = read.collect::<Result<_, _>>()?;
    Ok(read.into_iter().filter(|theirs| theirs.max.is_some()).collect())
}

/// cyclictest drops what is less than a microsecond (a nanosecond with `--nsecs`).
fn cyclictest(thread: &Thread, cycles: u64, in_ns: bool) -> Result<Theirs, String> {
    let mut theirs = Theirs::new("cyclictest", Question::WakeUp);
    theirs.cpu = thread.cpu.map(cpu).transpose()?;
    let range = |value: u64| match in_ns {
        true => Ok((value, value)),
        false => micros(value).and_then(|from| Ok((from, micros(value + 1)?))),
    };
    let mut counted = 0_u64;
    for (key, count) in numbers(&thread.histogram)? {
        let (from_ns, to_ns) = range(whole(key)?)?;
        theirs.steps.push(Step { from_ns, to_ns, count });
        counted = counted.saturating_add(count);
    }
    theirs.over = match theirs.steps.is_empty() {
        // No histogram was asked for.
        true => 0,
        false => cycles.saturating_sub(counted),
    };
    theirs.max = (cycles > 0).then(|| range(thread.max)).transpose()?;
    Ok(theirs)
}

/// oslat rounds up to whole steps of a microsecond, and names a step by its upper end; since 2.5 by that of the next.
fn oslat(thread: &Thread) -> Result<Theirs, String> {
    let mut theirs = Theirs::new("oslat", Question::Reading);
    theirs.cpu = thread.cpu.map(cpu).transpose()?;
    theirs.seconds = thread.duration.filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    // Narrower steps have digits behind the point, and then its figures are in nanoseconds.
    let in_ns = thread.histogram.keys().any(|key| key.contains('.'));
    let keys = numbers(&thread.histogram)?;
    let width = keys.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(1000);
    let width = if in_ns { width } else { width.min(1000) };
    for (key, count) in keys {
        let (from_ns, to_ns) = (key.saturating_sub(2 * width), key);
        theirs.steps.push(Step { from_ns, to_ns, count });
    }
    let max = if in_ns { thread.max } else { micros(thread.max)? };
    theirs.max = Some((max.saturating_sub(if in_ns { 1 } else { 1000 }), max));
    // The last step has everything beyond it.
    if let Some(last) = theirs.steps.last().copied()
        && max > last.to_ns
    {
        theirs.steps.pop();
        theirs.over = last.count;
    }
    Ok(theirs)
}

/// The keys of a histogram, microseconds, as nanoseconds in ascending order, with their counts.
fn numbers(histogram: &BTreeMap<String, u64>) -> Result<Vec<(u64, u64)>, String> {
    let key = |text: &String| -> Option<u64> {
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        if part.len() > 3 || !part.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let part: u64 = format!("{part:0<3}").parse().ok()?;
        whole.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(part)
    };
    let mut keys = Vec::with_capacity(histogram.len());
    for (text, count) in histogram {
        let key = key(text).ok_or_else(|| format!("{text:?} is not a number of microseconds"))?;
        keys.push((key, *count));
    }
    keys.sort_unstable();
    Ok(keys)
}

/// Back from nanoseconds: cyclictest's keys are whole numbers of whatever it counted in.
fn whole(key: u64) -> Result<u64, String> {
    match key % 1000 {
        0 => Ok(key / 1000),
        _ => Err(format!("a step of cyclictest is not a whole number: {key} thousandths")),
    }
}

/// cyclictest's own text: a histogram (`-h`), or the line of each thread. Neither says on which CPU, nor whether it
/// counted in nanoseconds; microseconds are what it counts in unless told.
pub(super) fn text(text: &str) -> Result<Vec<Theirs>, String> {
    let mut theirs = Theirs::new("cyclictest", Question::WakeUp);
    let mut longest = None;
    for line in text.lines() {
        let line = line.trim_ascii();
        if let Some(rest) = line.strip_prefix("# Histogram Overflows:") {
            theirs.over = sum(rest)?;
        } else if let Some(rest) = line.strip_prefix("# Max Latencies:") {
            for word in rest.split_ascii_whitespace() {
                longest = longest.max(Some(number(word)?));
            }
        } else if line.starts_with("T:") {
            // `T: 0 ( 1243) P: 0 I:1000 C:     61 Min:     69 Act:89685 Avg:16922 Max:  101095`
            let max = line.rsplit_once("Max:").ok_or("a line of a thread has no Max:")?.1;
            let word = max.split_ascii_whitespace().next().unwrap_or("");
            longest = longest.max(Some(number(word)?));
        } else if line.starts_with(|first: char| first.is_ascii_digit()) {
            let (step, counts) = line.split_once([' ', '\t']).ok_or("a step has no counts")?;
            let (value, count) = (number(step)?, sum(counts)?);
            if count > 0 {
                let (from_ns, to_ns) = (micros(value)?, micros(value.saturating_add(1))?);
                theirs.steps.push(Step { from_ns, to_ns, count });
            }
        } else if !line.is_empty() && !line.starts_with('#') && !line.starts_with("policy:") {
            return Err(format!("it has a line {:?}", line.chars().take(40).collect::<String>()));
        }
    }
    let sorted = theirs.steps.windows(2).all(|pair| pair[0].from_ns < pair[1].from_ns);
    if !sorted {
        return Err("its steps are not in order".to_owned());
    }
    let range = |max: u64| Ok::<_, String>((micros(max)?, micros(max.saturating_add(1))?));
    theirs.max = longest.map(range).transpose()?;
    Ok(if theirs.max.is_some() && (theirs.count() > 0 || longest > Some(0)) {
        vec![theirs]
    } else {
        Vec::new()
    })
}

fn number(word: &str) -> Result<u64, String> {
    word.parse()
        .map_err(|_| format!("{:?} is not a number", word.chars().take(40).collect::<String>()))
}

/// The counts of all threads of a line.
fn sum(counts: &str) -> Result<u64, String> {
    let mut sum = 0_u64;
    for (column, word) in counts.split_ascii_whitespace().enumerate() {
        if column >= COLUMNS {
            return Err(format!("a step has more than {COLUMNS} threads"));
        }
        sum = sum.saturating_add(number(word)?);
    }
    Ok(sum)
}
