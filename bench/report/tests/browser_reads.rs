//! The page in a browser: the numbers on it are those of the JSON, it asks nobody for anything, and it fits a phone.

mod browser;
mod made;

use std::path::Path;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use bench_result::run::RunResult;
use browser::Browser;
use serde_json::json;

/// What a row of a table says, as `[[label, visible text, [values for programs]], …]`.
const ROW: &str = "(cells => [...cells].map(cell => [cell.dataset.label, cell.innerText, \
    [...cell.querySelectorAll('data')].map(datum => datum.value)]))";

/// From the file of a run, as `barewire-bench report` makes it; and what is in the file.
fn page_of_a_run(dir: &Path) -> (std::path::PathBuf, RunResult) {
    let text = serde_json::to_string(&made::run()).expect("a result is JSON");
    std::fs::write(dir.join("result.json"), &text).expect("a directory of our own");
    let result = bench_report::read(dir).expect("what was written just now");
    let file = dir.join("report.html");
    bench_report::write_page(&result, &file).expect("a directory of our own");
    (file, serde_json::from_str(&text).expect("a result is JSON"))
}

/// Nothing was complained of, and nothing but the file was asked for.
fn check_events(browser: &Browser, file: &Path) {
    for event in &browser.events {
        let method = event["method"].as_str().unwrap_or_default();
        let is_complaint = matches!(
            method,
            "Runtime.consoleAPICalled" | "Runtime.exceptionThrown" | "Log.entryAdded"
        );
        assert!(!is_complaint, "{event}");
        if method == "Network.requestWillBeSent" {
            let url = event["params"]["request"]["url"].as_str().unwrap_or_default();
            assert!(url == "about:blank" || url == format!("file://{}", file.display()), "{url}");
        }
    }
}

#[test]
fn the_numbers_on_the_page_are_those_of_the_result() {
    let Some(chromium) = browser::find("the_numbers_on_the_page_are_those_of_the_result") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (file, result) = page_of_a_run(dir.path());
    let mut browser = Browser::start(&chromium);
    browser.look(1280, 900, "light");

    browser.open(&file);

    let mut compared = 0;
    for group in &result.groups {
        for cell in &group.cells {
            let place = format!("{}-{}-{}", group.kind, cell.cell.load, cell.cell.size);
            let rows = cell.members.iter().filter(|it| !it.member.is_twin && !it.versus.is_empty());
            for member in rows {
                let row = browser.value(&format!(
                    "{ROW}(document.getElementById('{place}').querySelectorAll('.ratios tr[data-path=\"{}\"] td'))",
                    member.member
                ));
                for versus in &member.versus {
                    let label = format!("p{}", versus.percentile);
                    let found = row.as_array().unwrap().iter().find(|it| it[0] == json!(label));
                    let [_, text, values] = found.unwrap().as_array().unwrap().as_slice() else {
                        panic!("{row}")
                    };
                    let text = text.as_str().unwrap().replace('\u{a0}', " ");
                    assert!(text.contains(&versus.word.to_string()), "{text}: {versus:?}");
                    let wanted: Vec<f64> = versus
                        .ratio
                        .iter()
                        .flat_map(|ratio| [ratio.value, ratio.low, ratio.high])
                        .collect();
                    let values: Vec<f64> = values
                        .as_array()
                        .unwrap()
                        .iter()
                        .map(|value| value.as_str().unwrap().parse().unwrap())
                        .collect();
                    assert_eq!(values, wanted, "{text}");
                    // And what is seen is what a program reads.
                    for number in wanted {
                        assert!(text.contains(&format!("{number:.3}")), "{text}: {number}");
                    }
                    compared += 1;
                }
            }
            for member in &cell.members {
                let row = browser.value(&format!(
                    "[...document.getElementById('{place}').querySelectorAll('.times tr[data-path=\"{}\"] data')]\
                     .map(datum => datum.value)",
                    member.member
                ));
                for percentile in member.response.iter().chain(&member.service) {
                    let raw = percentile.ns.map_or("inf".to_owned(), |ns| ns.to_string());
                    assert!(
                        row.as_array().unwrap().contains(&json!(raw)),
                        "{row:?}: {percentile:?}"
                    );
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 100, "{compared}");
    let (trials, invalid) = result.validity();
    let stamp =
        browser.value("[...document.querySelectorAll('.stamps data')].map(datum => datum.value)");
    assert_eq!(stamp, json!([(trials - invalid).to_string(), trials.to_string()]));
    let warned = browser.value("document.getElementById('trials').textContent");
    assert!(
        warned.as_str().unwrap().contains("the hypervisor took a CPU away for 20 ms"),
        "{warned}"
    );
    check_events(&browser, &file);
}

#[test]
fn it_fits_a_phone_and_can_be_read_in_light_dark_and_print() {
    let Some(chromium) = browser::find("it_fits_a_phone_and_can_be_read_in_light_dark_and_print")
    else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let (file, _) = page_of_a_run(dir.path());
    let mut browser = Browser::start(&chromium);
    for (width, height, scheme) in
        [(360, 800, "light"), (360, 800, "dark"), (1280, 900, "light"), (1280, 900, "dark")]
    {
        browser.look(width, height, scheme);
        browser.open(&file);
        browser
            .value("document.querySelectorAll('details').forEach(details => details.open = true)");

        let wide = browser.value("document.documentElement.scrollWidth");
        let faint = browser.value(FAINT);
        let lines = browser.value(LINES);

        let pictures = browser.value(PICTURES);

        assert_eq!(wide, json!(width), "{width} px, {scheme}");
        assert_eq!(pictures, json!([]), "{width} px, {scheme}: pictures that do not fit");
        assert_eq!(faint, json!([]), "{width} px, {scheme}: contrast below 4.5");
        assert_eq!(lines, json!([]), "{width} px, {scheme}: lines with a contrast below 3");
    }
    browser.open(&file);
    let pdf = browser.ask("Page.printToPDF", json!({"preferCSSPageSize": true}));
    let pdf = BASE64.decode(pdf["data"].as_str().unwrap()).unwrap();
    assert!(pdf.starts_with(b"%PDF"));
    check_events(&browser, &file);
}

/// Figures that do not show one picture, whole and with letters of nine pixels at least.
const PICTURES: &str = r"(() => {
  const figures = [...document.querySelectorAll('figure')];
  if (figures.length < 5) return ['no figures at all'];
  const isFine = figure => {
    const shown = [...figure.querySelectorAll('svg')].filter(svg => svg.getClientRects().length > 0);
    if (shown.length != 1) return false;
    const [box, [, , units]] = [shown[0].getBoundingClientRect(), shown[0].getAttribute('viewBox').split(' ')];
    const least = Math.min(...[...shown[0].querySelectorAll('text')].map(text => text.getAttribute('font-size')));
    return box.left >= 0 && box.right <= innerWidth && least * box.width / units >= 9;
  };
  return figures.filter(figure => !isFine(figure)).map(figure => figure.id);
})()";

/// Classes of lines whose contrast with the paper is below 3 (WCAG 2, 1.4.11).
const LINES: &str = r"(() => {
  const parse = text => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const faint = new Set();
  const lines = document.querySelectorAll('article svg polyline.plot-line');
  if (lines.length < 10) return ['no lines at all'];
  for (const line of lines) {
    const paper = getComputedStyle(line.closest('article')).backgroundColor;
    const [a, b] = [light(parse(getComputedStyle(line).stroke)), light(parse(paper))];
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 3) faint.add(line.getAttribute('class'));
  }
  return [...faint];
})()";

/// Texts whose contrast with what is behind them is below 4.5 (WCAG 2, 1.4.3), the first ten of them.
const FAINT: &str = r"(() => {
  const parse = text => text.match(/[\d.]+/g).map(Number);
  const light = ([r, g, b]) => {
    const linear = [r, g, b].map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2];
  };
  const behind = element => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length < 4 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('script, style, svg')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    if ((Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) < 4.5) {
      faint.add(`${element.tagName}.${element.className}: ${walker.currentNode.data.trim().slice(0, 40)}`);
    }
  }
  return [...faint].slice(0, 10);
})()";
