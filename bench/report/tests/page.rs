//! What the page says is what the result says, and nothing in the result is more than text.

mod browser;
mod made;

use std::fs;

use bench_result::{
    run::{End, Word},
    trial::{Cell, Invalid},
};
use browser::Browser;
use serde_json::json;
use statistics::Estimate;

#[test]
fn a_run_becomes_a_page_and_the_files_of_its_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let mut result = made::run();
    // One of each picture: drawing pixels takes a while.
    result.groups[0].cells.truncate(2);
    result.groups.truncate(1);

    let files = bench_report::write(&result, dir.path()).unwrap();

    assert!(fs::metadata(&files.page).unwrap().len() > 10_000);
    let of = |ending: &str| {
        files.plots.iter().filter(|file| file.extension().is_some_and(|it| it == ending)).count()
    };
    assert!(of("svg") > 10);
    assert_eq!((of("svg"), of("svg")), (of("png"), of("csv")));
}

/// What would do something if it were more than text.
const HOSTILE: &str = "</style></script><script>window.hacked = 1</script><img src=x onerror=\"window.hacked = 1\">' \" &amp; \u{202e}";

/// A run that says it everywhere it can.
fn hostile() -> bench_result::run::RunResult {
    let mut result = made::run();
    let text = || HOSTILE.to_owned();
    result.groups.truncate(1);
    result.groups[0].cells.truncate(1);
    result.version = text();
    result.schema = text();
    result.begun = text();
    result.plan.name = text();
    result.end = End::Failed { why: text() };
    result.environment.insert(text(), text());
    result.left_out[0].why = text();
    for start in &mut result.starts {
        start.command = Some(text());
        start.configuration = Some(text());
    }
    for member in &mut result.groups[0].cells[0].members {
        for versus in &mut member.versus {
            versus.word = Word::Inconclusive { why: text() };
        }
    }
    for found in &mut result.throughput {
        found.remark = Some(text());
        found.searches[0].goal = text();
        found.searches[0].remark = text();
    }
    result
}

#[test]
fn streams_that_were_repeated_are_told_by_their_middle_and_their_ends() {
    let page = bench_report::page(&made::run());

    assert!(page.contains("310 µs (290 µs to lost)"));
}

#[test]
fn whatever_a_result_says_is_text() {
    let page = bench_report::page(&hostile());

    let scripts = page.matches("<script").count();
    assert_eq!(scripts, 1, "ours, and no other");
    assert!(!page.contains("<img"));
    assert!(page.matches("&lt;script&gt;window.hacked").count() > 10);
}

#[test]
fn a_browser_runs_nothing_of_what_a_result_says() {
    let Some(chromium) = browser::find("a_browser_runs_nothing_of_what_a_result_says") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    bench_report::write_page(&hostile(), &file).unwrap();
    let mut browser = Browser::start(&chromium);
    browser.look(360, 800, "light");

    browser.open(&file);

    assert_eq!(browser.value("typeof window.hacked"), json!("undefined"));
    assert_eq!(browser.value("document.images.length"), json!(0));
    assert_eq!(browser.value("document.documentElement.scrollWidth"), json!(360));
}

#[test]
fn a_run_in_which_nothing_counts_says_so_and_shows_nothing() {
    let mut result = made::run();
    for trial in &mut result.trials {
        trial.faults = vec![Invalid::Unbalanced];
    }
    for member in
        result.groups.iter_mut().flat_map(|it| &mut it.cells).flat_map(|it| &mut it.members)
    {
        member.invalid += std::mem::take(&mut member.valid);
        member.versus.clear();
    }
    result.throughput.clear();

    let page = bench_report::page(&result);

    assert!(page.contains("this machine, as it was, is not fit to measure on"));
    assert!(page.contains("No bypass path was compared with the kernel"));
    assert!(page.contains("frames are missing from the path’s own account"));
    assert!(!page.contains("<figure id=\"percentiles"));
}

#[test]
fn numbers_that_nobody_measures_and_texts_that_are_no_distributions_are_no_panic() {
    let mut result = made::run();
    result.groups.truncate(1);
    let absurd = Cell { load: 1e308, size: usize::MAX };
    let estimate = Estimate { value: 1e308, low: 0.0, high: f64::MAX, blocks: 0 };
    for trial in &mut result.trials {
        (trial.at_s, trial.interval_ms, trial.maxima_ns) = (1e308, u64::MAX, vec![u64::MAX, 0]);
        (trial.gap_hdr, trial.service_hdr) = ("no distribution".to_owned(), String::new());
        (trial.path_gap_hdr, trial.cell) = (Some("AAAA".to_owned()), absurd);
    }
    for cell in &mut result.groups[0].cells {
        cell.cell = absurd;
        for member in &mut cell.members {
            (member.range_ns, member.sent, member.lost) = ((0, u64::MAX), 1, u64::MAX);
            (member.send_ns, member.cpu_s_per_million) = (-1e308, Some(1e308));
            member.versus.iter_mut().for_each(|versus| versus.ratio = Some(estimate));
        }
    }

    let page = bench_report::page(&result);

    assert!(page.contains("p99.9"));
}

#[test]
fn where_bypass_loses_the_first_line_says_so() {
    let mut result = made::run();
    for member in
        result.groups.iter_mut().flat_map(|it| &mut it.cells).flat_map(|it| &mut it.members)
    {
        member.versus.iter_mut().for_each(|versus| versus.word = Word::Slower);
    }

    let page = bench_report::page(&result);

    let wanted = "<h1>At the median, bypass was slower than the kernel in all 10 comparisons; at p99, slower in all 10 comparisons</h1>";
    assert!(page.contains(wanted), "{}", &page[page.find("<h1>").unwrap()..][..200]);
}

#[test]
#[ignore = "writes the page of the made run into $BAREWIRE_REPORT, to be looked at"]
fn the_page_is_kept_to_be_looked_at() {
    let dir = std::env::var_os("BAREWIRE_REPORT").expect("a directory");
    bench_report::write(&made::run(), std::path::Path::new(&dir)).unwrap();
}
