//! Histograms of rtla: `timerlat hist` and `osnoise hist`.

use super::{COLUMNS, Question, Step, Theirs, cpu};

pub(super) fn histogram(text: &str) -> Result<Vec<Theirs>, String> {
    let is_timer = text.contains("# RTLA timerlat histogram");
    if !is_timer && !text.contains("# RTLA osnoise histogram") {
        return Err("it is of rtla, and neither a timerlat nor an osnoise histogram".to_owned());
    }
    let mut unit = 1000_u64;
    let mut seconds = None;
    let mut columns: Option<Vec<Theirs>> = None;
    let mut rows: Vec<(u64, Vec<u64>)> = Vec::new();
    for line in text.lines() {
        let line = line.trim_ascii();
        let mut words = line.split_ascii_whitespace();
        if line.starts_with("# Time unit is nanoseconds") {
            unit = 1;
        } else if let Some(duration) = line.strip_prefix("# Duration:") {
            seconds = duration_of(duration);
        } else if line.starts_with('#') || line.is_empty() {
        } else if line.starts_with("ALL:") {
            // What follows is of all CPUs together.
            break;
        } else if words.next() == Some("Index") {
            columns = Some(words.map(|word| column(word, is_timer)).collect::<Result<_, _>>()?);
        } else {
            let Some(columns) = &mut columns else {
                return Err(
                    "its first line of numbers comes before the names of its columns".to_owned()
                );
            };
            let (name, values) = line.split_once([' ', '\t']).unwrap_or((line, ""));
            let values = values.split_ascii_whitespace().take(COLUMNS + 1);
            // A summary of a CPU without values is a dash.
            let values: Vec<Option<u64>> = values.map(|word| word.parse().ok()).collect();
            if values.len() != columns.len() {
                return Err(format!(
                    "{name} has {} values for {} columns",
                    values.len(),
                    columns.len()
                ));
            }
            match name {
                "over:" => {
                    columns
                        .iter_mut()
                        .zip(&values)
                        .for_each(|(of, value)| of.over = value.unwrap_or(0));
                }
                "max:" => {
                    for (of, value) in columns.iter_mut().zip(&values) {
                        of.max = value.map(|value| range(value, 1, unit)).transpose()?;
                    }
                }
                "count:" | "min:" | "avg:" => {}
                index => {
                    let index = index.parse().map_err(|_| format!("{index:?} is not a step"))?;
                    let values = values.into_iter().collect::<Option<Vec<u64>>>();
                    rows.push((
                        index,
                        values.ok_or_else(|| format!("step {index} has no number"))?,
                    ));
                }
            }
        }
    }
    let mut columns = columns.unwrap_or_default();
    // How wide steps are is not said, and those without values may be left out: as wide as all of them fit.
    let width =
        rows.iter().fold(0, |width, (index, _)| greatest_common_divisor(width, *index)).max(1);
    if rows.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("its steps are not in order".to_owned());
    }
    for (index, values) in rows {
        let (from_ns, to_ns) = range(index, width, unit)?;
        for (of, count) in columns.iter_mut().zip(values) {
            if count > 0 {
                of.steps.push(Step { from_ns, to_ns, count });
            }
        }
    }
    columns.iter_mut().for_each(|of| of.seconds = seconds);
    columns.retain(|of| of.count() > 0);
    Ok(columns)
}

/// `IRQ-001`, `Thr-001`, `Usr-001` of timerlat; `CPU-001` of osnoise.
fn column(word: &str, is_timer: bool) -> Result<Theirs, String> {
    let (kind, number) = word.split_once('-').ok_or_else(|| format!("{word:?} is not a column"))?;
    let (tool, question) = match (is_timer, kind) {
        (true, "IRQ") => ("rtla timerlat", Question::TimerInterrupt),
        (true, "Thr") => ("rtla timerlat", Question::WakeUp),
        // Until the thread is back in user space: that is when ours reads the clock.
        (true, "Usr") => ("rtla timerlat, user", Question::WakeUp),
        (false, "CPU") => ("rtla osnoise", Question::Gap),
        _ => return Err(format!("{word:?} is not a column")),
    };
    let number = number.parse().map_err(|_| format!("{word:?} is not a column"))?;
    let mut theirs = Theirs::new(tool, question);
    theirs.cpu = Some(cpu(number)?);
    Ok(theirs)
}

fn range(value: u64, width: u64, unit: u64) -> Result<(u64, u64), String> {
    let from = value.checked_mul(unit);
    let to = value.checked_add(width).and_then(|end| end.checked_mul(unit));
    from.zip(to).ok_or_else(|| format!("{value} is more than fits"))
}

/// `0 00:10:00`: days, hours, minutes, seconds.
fn duration_of(text: &str) -> Option<f64> {
    let (days, clock) = text.trim_ascii().split_once(' ')?;
    let mut seconds: u32 = days.parse().ok()?;
    for (part, scale) in clock.split(':').zip([24, 60, 60]) {
        seconds = seconds.checked_mul(scale)?.checked_add(part.parse().ok()?)?;
    }
    (seconds > 0).then(|| f64::from(seconds))
}

fn greatest_common_divisor(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}
