//! `cargo xtask fuzz`: libFuzzer, guided by coverage, on the stable toolchain.
//!
//! Coverage comes from LLVM's SanitizerCoverage pass, which stable rustc can run; only the address sanitizer needs a
//! nightly, and the fuzzed crates have no unsafe code for it to watch. Overflow checks and debug assertions are on.

use std::fs;

use crate::{
    run::{self, Failure, Interrupt},
    say, tree,
};

/// How to fuzz.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long to fuzz each target
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Which target; all of them when none is named
    #[arg(value_name = "TARGET", value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    targets: Vec<String>,
}

/// The programs of tests/fuzz.
const TARGETS: [&str; 3] = ["wire", "graph", "configuration"];

impl Options {
    /// A few seconds for each target: enough to see that they run and find nothing easy.
    pub(crate) fn short() -> Options {
        Options { seconds: 5, targets: Vec::new() }
    }
}

/// What cargo-fuzz would pass, without its sanitizer.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1 \
    -Cdebug-assertions -Coverflow-checks --cfg fuzzing";

/// Builds the targets and runs them one after the other; what they find stays in tests/fuzz/artifacts.
pub(crate) fn run(options: &Options, interrupt: &Interrupt) -> Result<(), Failure> {
    let host = host()?;
    let folder = tree::top().join("tests/fuzz");
    let target = tree::target().join("fuzz");
    run::step(
        interrupt,
        "fuzz targets",
        tree::cargo([
            "build",
            "--release",
            "--bins",
            "--quiet",
            "--locked",
            "--manifest-path",
            "tests/fuzz/Cargo.toml",
        ])
        // With --target, the flags do not reach build scripts and macros.
        .args(["--target", &host, "--target-dir"])
        .arg(&target)
        .env("RUSTFLAGS", COVERAGE),
    )?;
    let named: Vec<&str> = if options.targets.is_empty() {
        TARGETS.to_vec()
    } else {
        options.targets.iter().map(String::as_str).collect()
    };
    for name in named {
        let corpus = folder.join("corpus").join(name);
        let artifacts = folder.join("artifacts").join(name);
        for dir in [&corpus, &artifacts] {
            fs::create_dir_all(dir)
                .map_err(Failure::io(format!("cannot create {}", dir.display())))?;
        }
        let log = folder.join("artifacts").join(format!("{name}.log"));
        let file = fs::File::create(&log)
            .map_err(Failure::io(format!("cannot create {}", log.display())))?;
        let mut fuzzer = std::process::Command::new(target.join(&host).join("release").join(name));
        fuzzer
            .current_dir(&folder)
            .stderr(file)
            .arg(format!("-max_total_time={}", options.seconds))
            .arg(format!("-artifact_prefix={}/", artifacts.display()))
            .args(["-rss_limit_mb=1024", "-timeout=5", "-print_final_stats=1"])
            .arg(&corpus);
        if name == "configuration" {
            // Read as a second corpus, never written.
            let examples = tree::top().join("config/examples");
            fuzzer.args(examples.is_dir().then_some(examples));
        }
        let ended =
            run::step(interrupt, &format!("fuzz {name} for {} s", options.seconds), &mut fuzzer);
        let said = fs::read_to_string(&log).unwrap_or_default();
        if ended.is_err() {
            eprintln!("{said}");
            say::loud(format!(
                "what was found is in {}; all that was said, in {}",
                artifacts.display(),
                log.display()
            ));
            return ended;
        }
        say::note(summary(&said));
    }
    Ok(())
}

/// Runs and coverage, from libFuzzer's last words.
fn summary(said: &str) -> String {
    let number =
        |label: &str| said.lines().find_map(|line| line.strip_prefix(label)).map_or("?", str::trim);
    let word_after = |label: &str| {
        let mut words = said
            .lines()
            .rfind(|line| line.contains(" cov: "))
            .unwrap_or_default()
            .split_whitespace();
        words.find(|word| *word == label).and_then(|_| words.next()).unwrap_or("?").to_owned()
    };
    format!(
        "{} inputs, {} places in the code reached, {} inputs kept",
        number("stat::number_of_executed_units:"),
        word_after("cov:"),
        word_after("corp:").split('/').next().unwrap_or("?"),
    )
}

/// The target triple of this toolchain.
fn host() -> Result<String, Failure> {
    let version = run::output("toolchain", std::process::Command::new("rustc").arg("-vV"))?;
    version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| Failure::Check("rustc does not name its host".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_has_the_last_numbers() {
        let said = "#2 INITED cov: 5 ft: 6 corp: 1/1b\n#90 DONE   cov: 1391 ft: 7000 corp: 26/9Kb lim: 4096\n\
            stat::number_of_executed_units: 85104\n";
        assert_eq!(summary(said), "85104 inputs, 1391 places in the code reached, 26 inputs kept");
        assert_eq!(summary(""), "? inputs, ? places in the code reached, ? inputs kept");
    }
}
