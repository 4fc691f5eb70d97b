//! Two runs: before and after a change, of two builds, on two hosts. `barewire-bench compare A.json B.json`.
//!
//! A path is compared with itself in the other run, never with another path. The blocks of two runs are no pairs, so each
//! run's are resampled by themselves. What equal paths differed by *inside* each run is the floor; what two runs of the
//! same thing differ by may be more (another day, another placement of memory), and only repeating both would tell.

use std::{
    fmt::{self, Write as _},
    fs::File,
    io::{self, Read as _, Write as _},
    path::Path,
    str::FromStr,
};

use serde::Serialize;
use statistics::{CONFIDENCE, Estimate, RESAMPLES, median, quantile};

use crate::{
    cli::CompareArgs,
    environment,
    exit::Exit,
    run::{
        arm::Group,
        conclude::{COMPARED, LEAST_BLOCKS, word},
        plan::Member,
        result::{RunResult, SCHEMA, Word},
        trial::Cell,
    },
    say,
};

/// The format of `--json`.
pub const OWN_SCHEMA: &str = "barewire-bench/compare/1";

/// The longest file that is read, in bytes.
const LONGEST: u64 = 1 << 30;

/// Resamples draw the same for the same files.
const SEED: u64 = 0xb7;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file can not be read.
    #[error("cannot read {file}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A file is no result of a run.
    #[error("{file} is no result of a run")]
    Parse {
        /// The file.
        file: String,
        /// Why.
        source: serde_json::Error,
    },
    /// It is a result of another format.
    #[error("{file} is of the format \"{found}\", and this program reads \"{SCHEMA}\"")]
    Schema {
        /// The file.
        file: String,
        /// What it is.
        found: String,
    },
    /// The answer can not be written.
    #[error("cannot write the answer")]
    Write(#[source] io::Error),
}

/// What makes the program end with [`Exit::Worse`]: `p99>1.05`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FailOn {
    /// Of the response.
    pub percentile: f64,
    /// B's time through A's.
    pub above: f64,
}

impl FromStr for FailOn {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is not like p99>1.05, with p50, p99 or p99.9");
        let (percentile, above) = text
            .trim()
            .strip_prefix('p')
            .and_then(|rest| rest.split_once('>'))
            .ok_or_else(wrong)?;
        let percentile: f64 = percentile.trim().parse().map_err(|_| wrong())?;
        let above: f64 = above.trim().parse().map_err(|_| wrong())?;
        let is_known = COMPARED.iter().any(|known| same(*known, percentile));
        if is_known && above.is_finite() && above > 0.0 {
            Ok(Self { percentile, above })
        } else {
            Err(wrong())
        }
    }
}

impl fmt::Display for FailOn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "p{}>{}", self.percentile, self.above)
    }
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// [`OWN_SCHEMA`]
    pub schema: &'static str,
    /// What was compared, and the classes of the hosts.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// Each path of both runs.
    pub rows: Vec<Row>,
    /// Paths that only one of them has.
    pub only_in_one: Vec<String>,
    /// What else differs: name, in A, in B.
    pub environment: Vec<(String, String, String)>,
    /// What `--fail-on` found.
    pub broken: Vec<String>,
    /// What it could not decide.
    pub undecided: Vec<String>,
}

/// One of the runs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Side {
    /// The file.
    pub file: String,
    /// When it began.
    pub begun: String,
    /// The plan's name.
    pub plan: String,
    /// The class of its host.
    pub class: String,
}

/// One path, at one load, size and percentile.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its group.
    pub group: Group,
    /// Which path.
    pub member: Member,
    /// At what.
    pub cell: Cell,
    /// Of the response.
    pub percentile: f64,
    /// The medians over the blocks, in ns; none when it never came, or nothing supports it.
    pub ns: (Option<f64>, Option<f64>),
    /// B's time through A's.
    pub ratio: Option<Estimate>,
    /// What equal paths differ by, in the noisier of the two runs.
    pub floor: Option<f64>,
    /// What it means for B.
    pub word: Word,
}

fn same(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-9
}

fn read(file: &Path) -> Result<RunResult, CompareError> {
    let name = || file.display().to_string();
    let failed = |source| CompareError::Read { file: name(), source };
    let file = if file.is_dir() { file.join("result.json") } else { file.to_owned() };
    let mut text = String::new();
    File::open(&file).map_err(failed)?.take(LONGEST).read_to_string(&mut text).map_err(failed)?;
    parse(&text, &name())
}

fn parse(text: &str, file: &str) -> Result<RunResult, CompareError> {
    #[derive(serde::Deserialize)]
    struct Head {
        schema: String,
    }
    let failed = |source| CompareError::Parse { file: file.to_owned(), source };
    let head: Head = serde_json::from_str(text).map_err(failed)?;
    if head.schema != SCHEMA {
        return Err(CompareError::Schema { file: file.to_owned(), found: head.schema });
    }
    serde_json::from_str(text).map_err(failed)
}

/// `barewire-bench compare`
///
/// # Errors
/// [`CompareError`]
pub fn run(args: &CompareArgs) -> Result<Exit, CompareError> {
    let (a, b) = (read(&args.a)?, read(&args.b)?);
    let names = [&args.a, &args.b].map(|file| file.display().to_string());
    let comparison = compare(&a, &b, names, &args.fail_on, &args.arms);
    let mut out = io::stdout();
    let text = if args.json {
        serde_json::to_string_pretty(&comparison)
            .map_err(|error| CompareError::Write(error.into()))?
            + "\n"
    } else {
        comparison.to_string()
    };
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            return Err(CompareError::Write(error));
        }
        _ => {}
    }
    for undecided in &comparison.undecided {
        say::note(format_args!("could not be decided: {undecided}"));
    }
    for broken in &comparison.broken {
        say::note(format_args!("worse than allowed: {broken}"));
    }
    Ok(if comparison.broken.is_empty() { Exit::Measured } else { Exit::Worse })
}

/// Compares two runs. Of `arms`, if any are named.
#[must_use]
pub fn compare(
    a: &RunResult,
    b: &RunResult,
    names: [String; 2],
    fail_on: &[FailOn],
    arms: &[String],
) -> Comparison {
    let mut random = fastrand::Rng::with_seed(SEED);
    let [of_a, of_b] = [a, b].map(|run| paths(run, arms));
    let mut rows = Vec::new();
    for path in of_a.iter().filter(|path| of_b.contains(path)) {
        for percentile in COMPARED {
            rows.push(row(a, b, *path, percentile, &mut random));
        }
    }
    let only = |own: &[At], other: &[At], name: &str| {
        let lone = own.iter().filter(|path| !other.contains(path));
        lone.map(|path| format!("{} (only in {name})", path.shown())).collect::<Vec<_>>()
    };
    let mut only_in_one = only(&of_a, &of_b, "A");
    only_in_one.extend(only(&of_b, &of_a, "B"));
    let (mut broken, mut undecided) = (Vec::new(), Vec::new());
    for row in &rows {
        for limit in fail_on.iter().filter(|limit| same(limit.percentile, row.percentile)) {
            match judge(row, limit) {
                Judged::Kept => {}
                Judged::Broken(why) => broken.push(why),
                Judged::Undecided(why) => undecided.push(why),
            }
        }
    }
    let [name_a, name_b] = names;
    let side = |run: &RunResult, file| Side {
        file,
        begun: run.begun.clone(),
        plan: run.plan.name.clone(),
        class: run.host.class.to_string(),
    };
    Comparison {
        schema: OWN_SCHEMA,
        a: side(a, name_a),
        b: side(b, name_b),
        rows,
        only_in_one,
        environment: environment(a, b),
        broken,
        undecided,
    }
}

/// Machine and plan.
fn environment(a: &RunResult, b: &RunResult) -> Vec<(String, String, String)> {
    let of = |run: &RunResult| {
        let mut all = run.environment.clone();
        let plan = &run.plan;
        let mut add = |name: &str, value: String| all.insert(name.to_owned(), value);
        add("plan.blocks", plan.blocks.to_string());
        add("plan.warm_up_ms", plan.warm_up_ms.to_string());
        add("plan.measure_ms", plan.measure_ms.to_string());
        add("cpu.measured", run.cpus.measured.to_string());
        add("cpu.generator", run.cpus.other.to_string());
        for group in &plan.groups {
            add(&format!("plan.{}.flows", group.kind), group.flows.to_string());
            add(&format!("plan.{}.spacing", group.kind), format!("{:?}", group.spacing));
        }
        all
    };
    environment::differences(&of(a), &of(b))
}

/// A path at a load and size.
#[derive(Debug, Clone, Copy, PartialEq)]
struct At {
    group: Group,
    member: Member,
    cell: Cell,
}

impl At {
    fn shown(&self) -> String {
        let Cell { load, size } = self.cell;
        format!("{}: {}, {load}/s of {size} bytes", self.group, self.member)
    }
}

fn paths(run: &RunResult, arms: &[String]) -> Vec<At> {
    let mut found = Vec::new();
    for trial in run.trials.iter().filter(|trial| !trial.member.is_twin) {
        let path = At { group: trial.group, member: trial.member, cell: trial.cell };
        let is_wanted = arms.is_empty() || arms.contains(&trial.member.to_string());
        if is_wanted && !found.contains(&path) {
            found.push(path);
        }
    }
    found
}

fn row(a: &RunResult, b: &RunResult, path: At, percentile: f64, random: &mut fastrand::Rng) -> Row {
    let [first, second] = [a, b].map(|run| {
        let own = run.trials.iter().filter(|trial| {
            let of = At { group: trial.group, member: trial.member, cell: trial.cell };
            of == path && trial.is_valid()
        });
        own.filter_map(|trial| trial.response_at(percentile)).collect::<Vec<f64>>()
    });
    let floor = [a, b].map(|run| floor(run, path, percentile));
    // Of two runs the one without a twin says nothing about the floor.
    let floor = floor[0].zip(floor[1]).map(|(a, b)| a.max(b));
    let resolution = a.plan.resolution.max(b.plan.resolution);
    let medians = [&first, &second].map(|values| median(values));
    let [came_first, came_second] = medians.map(|value| value.map(f64::is_finite));
    let few = first.len().min(second.len());
    let (ratio, word) = match (came_first, came_second) {
        (None, _) | (_, None) => (None, inconclusive("one of them supports no such percentile")),
        (Some(false), Some(false)) => (None, inconclusive("it came back in neither")),
        _ if few < LEAST_BLOCKS => {
            (None, inconclusive(&format!("{few} blocks of {LEAST_BLOCKS} count")))
        }
        (Some(true), Some(false)) => (None, Word::Slower),
        (Some(false), Some(true)) => (None, Word::Faster),
        (Some(true), Some(true)) => match between(&first, &second, random) {
            Some(ratio) => (Some(ratio), self::word(&ratio, floor, resolution)),
            None => (None, inconclusive("no numbers")),
        },
    };
    let finite = |value: Option<f64>| value.filter(|ns| ns.is_finite());
    Row {
        group: path.group,
        member: path.member,
        cell: path.cell,
        percentile,
        ns: (finite(medians[0]), finite(medians[1])),
        ratio,
        floor,
        word,
    }
}

fn inconclusive(why: &str) -> Word {
    Word::Inconclusive { why: why.to_owned() }
}

fn floor(run: &RunResult, path: At, percentile: f64) -> Option<f64> {
    let group = run.groups.iter().find(|group| group.kind == path.group)?;
    let cell = group.cells.iter().find(|cell| cell.cell == path.cell)?;
    let found = cell.floors.iter().find(|floor| same(floor.percentile, percentile))?;
    Some(found.share)
}

/// The second's median through the first's, with an interval: each one's blocks are drawn again by themselves. Blocks in
/// which it never came are left as they are: they move the median, and a median that is one of them is no number.
fn between(first: &[f64], second: &[f64], random: &mut fastrand::Rng) -> Option<Estimate> {
    let value = median(second)? / median(first)?;
    let mut draw = |from: &[f64]| {
        let drawn: Vec<f64> = (0..from.len()).map(|_| from[random.usize(..from.len())]).collect();
        median(&drawn)
    };
    let mut ratios = Vec::with_capacity(RESAMPLES);
    for _ in 0..RESAMPLES {
        let ratio = draw(second)? / draw(first)?;
        if ratio.is_finite() {
            ratios.push(ratio);
        }
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - CONFIDENCE) / 2.0;
    Some(Estimate {
        value,
        low: quantile(&ratios, tail)?.min(value),
        high: quantile(&ratios, 1.0 - tail)?.max(value),
        blocks: first.len().min(second.len()),
    })
}

/// What a limit says of a row.
#[derive(Debug, Clone, PartialEq)]
enum Judged {
    /// Not above it.
    Kept,
    /// Above it with all of its interval, and the machine is not too noisy to say so.
    Broken(String),
    /// Above it, and nobody can be sure.
    Undecided(String),
}

fn judge(row: &Row, limit: &FailOn) -> Judged {
    let path = At { group: row.group, member: row.member, cell: row.cell };
    let of = format!("{}, {limit}", path.shown());
    match (&row.ratio, &row.word) {
        (None, Word::Slower) => Judged::Broken(format!("{of}: in B it never came back")),
        (None, Word::Faster) => Judged::Kept,
        (None, word) => Judged::Undecided(format!("{of}: {word}")),
        (Some(ratio), _) if ratio.value <= limit.above => Judged::Kept,
        (Some(ratio), _) => {
            let shown = format!("{of}: {:.3} [{:.3}, {:.3}]", ratio.value, ratio.low, ratio.high);
            // Nor may it be what equal paths differ by.
            let is_noise = row.floor.is_none_or(|floor| ratio.low <= 1.0 + floor);
            if ratio.low > limit.above && !is_noise {
                Judged::Broken(shown)
            } else {
                Judged::Undecided(shown)
            }
        }
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { a, b, .. } = self;
        for (name, side) in [("A", a), ("B", b)] {
            let Side { file, begun, plan, class } = side;
            writeln!(f, "{name}: {file} (plan {plan}, {begun}, host class {class})")?;
        }
        writeln!(f, "Ratios are B's time through A's: below 1, B is faster.")?;
        let mut last = None;
        for row in &self.rows {
            let heading = (row.group, row.cell);
            if last != Some(heading) {
                let Cell { load, size } = row.cell;
                writeln!(f, "\n{}: {load} frames of {size} bytes a second", row.group)?;
                last = Some(heading);
            }
            let time = |ns: Option<f64>| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "nanoseconds of a trial"
                )]
                ns.map_or("–".to_owned(), |ns| say::time(ns as u64))
            };
            let mut line = format!(
                "  {:<26} p{:<5} {:>9} {:>9}  ",
                row.member.to_string(),
                row.percentile,
                time(row.ns.0),
                time(row.ns.1)
            );
            match &row.ratio {
                Some(ratio) => {
                    write!(line, "{:.3} [{:.3}, {:.3}]  ", ratio.value, ratio.low, ratio.high)?
                }
                None => line.push_str("–  "),
            }
            writeln!(f, "{line}{}", row.word)?;
        }
        for lone in &self.only_in_one {
            writeln!(f, "{lone}")?;
        }
        if !self.environment.is_empty() {
            writeln!(f, "\nThe runs also differ in:")?;
        }
        for (name, a, b) in &self.environment {
            writeln!(f, "  {name}: {a:?} → {b:?}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
