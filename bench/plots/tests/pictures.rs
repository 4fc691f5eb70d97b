//! Pictures read back: as XML, by the places of their marks, and as pixels.
#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use hdrhistogram::Histogram;
use plots::{
    Bar, Caption, Curve, Forest, Gaps, Plot, Ratio, Series, Width, gaps, latency_against_load,
    loss_against_load, maxima_over_time, percentiles, ratios,
};
use proptest::prelude::*;
use roxmltree::{Document, Node};

const CAPTION: Caption<'_> = Caption { title: "a title", note: "a note", width: Width::Wide };

/// All elements that have a class, in the order they were drawn in.
fn marks<'a>(document: &'a Document<'_>, class: &str) -> Vec<Node<'a, 'a>> {
    document
        .descendants()
        .filter(|node| {
            node.attribute("class").is_some_and(|all| all.split(' ').any(|one| one == class))
        })
        .collect()
}

fn number(node: Node<'_, '_>, attribute: &str) -> f64 {
    node.attribute(attribute).unwrap().parse().unwrap()
}

fn points(node: Node<'_, '_>) -> Vec<(f64, f64)> {
    let point = |point: &str| {
        let (x, y) = point.split_once(',').unwrap();
        (x.parse().unwrap(), y.parse().unwrap())
    };
    node.attribute("points").unwrap().split(' ').map(point).collect()
}

fn words(document: &Document<'_>, class: &str) -> Vec<String> {
    marks(document, class).iter().map(|node| node.text().unwrap_or("").to_owned()).collect()
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() < 0.02
}

#[test]
fn each_nine_and_each_decade_is_as_wide_as_the_one_before() {
    let points_given = vec![(0.0, 1e3), (0.9, 1e4), (0.99, 1e5), (0.999, 1e6)];
    let svg = percentiles(CAPTION, &[Curve::new("daemon", points_given)]).svg();
    let document = Document::parse(&svg).unwrap();
    let lines = marks(&document, "plot-line");
    assert_eq!(lines.len(), 1);
    let seen = points(lines[0]);
    assert_eq!(seen.len(), 4);
    assert_eq!(marks(&document, "plot-dot").len(), 4);
    for step in 1..4 {
        assert!(close(seen[step].0 - seen[step - 1].0, seen[1].0 - seen[0].0), "{seen:?}");
        assert!(close(seen[step].1 - seen[step - 1].1, seen[1].1 - seen[0].1), "{seen:?}");
        assert!(seen[step].1 < seen[step - 1].1, "longer is higher: {seen:?}");
    }
    let ticks = words(&document, "plot-tick");
    for tick in ["0 %", "50 %", "90 %", "99 %", "99.9 %", "1 µs", "10 µs", "100 µs", "1 ms"] {
        assert!(ticks.iter().any(|seen| seen == tick), "{tick}: {ticks:?}");
    }
    assert_eq!(words(&document, "plot-name"), ["daemon"]);
    assert_eq!(words(&document, "plot-note"), ["a note"]);
}

#[test]
fn the_tail_of_a_histogram_is_faint_where_fewer_than_ten_values_lie_beyond() {
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    for ns in 1..=1_000 {
        histogram.record(ns * 10).unwrap();
    }
    let curve = Curve::of("core 2", &histogram);
    assert_eq!(curve.samples, Some(1_000));
    let svg = percentiles(CAPTION, &[curve]).svg();
    let document = Document::parse(&svg).unwrap();
    let full = points(marks(&document, "plot-line")[0]);
    let few = points(marks(&document, "plot-few")[0]);
    // Up to 99 %, which ten of a thousand lie beyond: twenty steps of a tenth of a nine.
    assert_eq!(full.len(), 21);
    assert_eq!(few[0], full[20], "the faint part begins where the full one ends");
    assert!(words(&document, "plot-note").iter().any(|note| note.starts_with("faint")));
    let greatest = marks(&document, "plot-dot")
        .last()
        .and_then(|dot| dot.first_element_child()?.text().map(str::to_owned));
    assert_eq!(greatest.as_deref(), Some("core 2: 99.9 %, 10 µs"));
}

#[test]
fn an_extreme_survives_the_thinning_of_a_long_row() {
    let mut row: Vec<(f64, f64)> = (0..100_000).map(|step| (f64::from(step), 1e3)).collect();
    row[77_777].1 = 1e6;
    let svg = maxima_over_time(CAPTION, &[Series::new("core", row)]).svg();
    let document = Document::parse(&svg).unwrap();
    let seen = points(marks(&document, "plot-line")[0]);
    assert!(seen.len() <= 1_600, "{}", seen.len());
    let highest = seen.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
    assert_eq!(seen.iter().filter(|point| close(point.1, highest)).count(), 1);
}

#[test]
fn load_begins_at_nothing_and_no_loss_lies_on_the_axis() {
    let row = vec![(5e5, 0.0), (1e6, 0.001), (2e6, 0.5)];
    let svg = loss_against_load(CAPTION, &[Series::new("kernel", row.clone())]).svg();
    let document = Document::parse(&svg).unwrap();
    let seen = points(marks(&document, "plot-line")[0]);
    let edge = marks(&document, "plot-edge")[1];
    assert!(close(seen[0].1, number(edge, "y1")), "no loss is at the bottom: {seen:?}");
    assert!(seen[1].1 < seen[0].1 - 10.0, "a little loss is told from none: {seen:?}");
    // 0.5 M, 1 M and 2 M from an axis that begins at 0.
    let left = number(edge, "x1");
    assert!(close((seen[1].0 - left) * 2.0, seen[2].0 - left), "{seen:?}");
    let svg = latency_against_load(CAPTION, &[Series::new("kernel", row).styled(1, 1)]).svg();
    let document = Document::parse(&svg).unwrap();
    let line = marks(&document, "plot-line")[0];
    assert!(line.attribute("class").unwrap().ends_with("plot-s1"));
    assert_ne!(line.attribute("stroke-dasharray"), Some("none"));
}

#[test]
fn ratios_have_a_row_each_and_are_told_apart_only_outside_the_band() {
    let row = |name: &str, low: f64, estimate: f64, high: f64| Ratio {
        name: name.to_owned(),
        estimate,
        low,
        high,
    };
    let rows = [
        row("clearly less", 0.5, 0.6, 0.7),
        row("touches the band", 0.8, 0.9, 0.96),
        row("clearly more", 1.1, 1.2, 1.3),
        row("not a ratio", f64::NAN, 0.0, -1.0),
    ];
    let forest =
        Forest { caption: CAPTION, band: Some((0.95, 1.05)), below: "less", above: "more" };
    let svg = ratios(forest, &rows).svg();
    let document = Document::parse(&svg).unwrap();
    for class in ["plot-row-below", "plot-row-same", "plot-row-above", "plot-band", "plot-one"] {
        assert_eq!(marks(&document, class).len(), 1, "{class}");
    }
    assert_eq!(words(&document, "plot-name").len(), 4);
    assert_eq!(words(&document, "plot-numbers")[0], "0.6 [0.5, 0.7]");
    assert_eq!(
        (words(&document, "plot-below"), words(&document, "plot-above")),
        (vec!["← less".to_owned()], vec!["more →".to_owned()])
    );
    assert!(words(&document, "plot-note").iter().any(|note| note.starts_with("1 ratios with no")));
    let one = number(marks(&document, "plot-one")[0], "x1");
    let below = points(marks(&document, "plot-row-below")[0]);
    let above = points(marks(&document, "plot-row-above")[0]);
    assert!(below[1].0 < one && one < above[0].0, "{below:?} {one} {above:?}");
}

#[test]
fn a_single_long_gap_among_a_million_has_a_bar() {
    let mut histogram = Histogram::<u64>::new(3).unwrap();
    histogram.record_n(1_000, 1_000_000).unwrap();
    histogram.record(5_000_000).unwrap();
    let given = Gaps::of("core 3", &histogram);
    assert_eq!(given.bars.iter().map(|bar| bar.count).collect::<Vec<_>>(), [1_000_000, 1]);
    let svg = gaps(CAPTION, &[given]).svg();
    let document = Document::parse(&svg).unwrap();
    let bars = marks(&document, "plot-bar");
    assert_eq!(bars.len(), 2);
    assert!(number(bars[1], "height") > 5.0);
    assert!(number(bars[0], "height") > 3.0 * number(bars[1], "height"));
    assert!(number(bars[0], "x") < number(bars[1], "x"));
    assert!(close(number(bars[0], "width"), number(bars[1], "width")), "a tenth of a decade each");
}

#[test]
fn a_png_has_the_pictures_size_and_its_colours_and_letters() {
    let plot = percentiles(CAPTION, &[Curve::new("daemon", vec![(0.0, 1e3), (0.999, 1e6)])]);
    let (width, height) = plot.size();
    for scale in [1_u8, 2] {
        let bytes = plot.png(f32::from(scale)).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        assert_eq!(
            (info.width, info.height),
            (width * u32::from(scale), height * u32::from(scale))
        );
        let pixels: Vec<&[u8]> = pixels.chunks(4).collect();
        assert_eq!(pixels[0], [255, 255, 255, 255], "white paper");
        let blue = pixels.iter().filter(|pixel| pixel[..3] == [0x00, 0x72, 0xb2]).count();
        assert!(blue > 100, "the line is in the first colour: {blue}");
        // The title is alone in the top 28 lines.
        let top = (width * u32::from(scale) * 28 * u32::from(scale)) as usize;
        let dark = pixels[..top].iter().filter(|pixel| pixel[0] < 100).count();
        assert!(dark > 50, "the title is lettered: {dark}");
    }
}

#[test]
fn a_scale_that_gives_no_picture_or_too_large_a_one_is_refused() {
    let plot = maxima_over_time(CAPTION, &[]);
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e6] {
        let error = plot.png(scale).unwrap_err().to_string();
        assert!(error.contains("can't be scaled by"), "{scale}: {error}");
    }
}

#[test]
fn a_page_can_restyle_an_inline_picture_and_a_file_brings_both_styles() {
    let plot = maxima_over_time(CAPTION, &[Series::new("a", vec![(0.0, 1.0), (1.0, 2.0)])]);
    let (file, inline) = (plot.svg(), plot.inline());
    assert!(file.contains("prefers-color-scheme:dark"));
    assert!(!inline.contains("<style"));
    let document = Document::parse(&inline).unwrap();
    assert!(document.root_element().attribute("color").is_none(), "text has the page's colour");
    assert!(marks(&document, "plot-line")[0].attribute("class").unwrap().contains("plot-s0"));
}

#[test]
fn hostile_names_stay_names() {
    let name = "</text><script>alert(1)</script>&\"'\u{0}\u{1b}[31m\u{ffff}\n]]>";
    let caption = Caption { title: name, note: name, ..CAPTION };
    let row = vec![(1.0, 1.0), (2.0, 2.0)];
    let ratio = Ratio { name: name.to_owned(), estimate: 1.0, low: 0.9, high: 1.1 };
    let forest = Forest { caption, band: None, below: name, above: name };
    let bar = Bar { from: 1.0, to: 2.0, count: 3 };
    for plot in [
        maxima_over_time(caption, &[Series::new(name, row)]),
        ratios(forest, &[ratio]),
        gaps(caption, &[Gaps { name: name.to_owned(), bars: vec![bar] }]),
    ] {
        let svg = plot.svg();
        let document = Document::parse(&svg).unwrap();
        let known =
            ["svg", "style", "title", "rect", "text", "line", "polyline", "polygon", "circle"];
        for node in document.descendants().filter(Node::is_element) {
            assert!(known.contains(&node.tag_name().name()), "{node:?}");
        }
        assert!(!plot.png(0.5).unwrap().is_empty());
    }
}

#[test]
fn a_narrow_picture_has_everything_within_its_width_and_letters_as_large() {
    let caption = Caption {
        title: "reflect, 10 000/s, 64 bytes: longest response of each interval",
        note: "What a reader has to know to believe it, in more words than a line of a phone has room for.",
        width: Width::Narrow,
    };
    let names = ["kernel-echo-busy-poll", "xdp-socket-echo-spin", "barewired-af-packet", "xdp-tx"];
    let points = || (0..900).map(|n| (f64::from(n), f64::from(n % 97 + 1) * 1e4)).collect();
    let series: Vec<Series> = names.iter().map(|name| Series::new(*name, points())).collect();
    let row = |name: &&str| Ratio { name: (*name).to_owned(), estimate: 0.9, low: 0.26, high: 4.0 };
    let rows: Vec<Ratio> = names.iter().map(row).collect();
    let forest = Forest { caption, band: Some((0.3, 3.6)), below: "faster", above: "slower" };
    for plot in [maxima_over_time(caption, &series), ratios(forest, &rows)] {
        assert_eq!(plot.size().0, 320);
        let svg = plot.svg();
        let document = Document::parse(&svg).unwrap();
        for text in document.descendants().filter(|node| node.has_tag_name("text")) {
            let of = |name| text.attribute(name).unwrap().parse::<f64>().unwrap();
            assert!(of("font-size") >= 10.0, "{text:?}");
            if text.has_attribute("transform") {
                continue;
            }
            // The renderer's font is about so wide.
            let letters = text.text().unwrap_or_default().chars().count() as f64;
            let wide = letters * of("font-size") * 0.6;
            let left = match text.attribute("text-anchor") {
                Some("end") => of("x") - wide,
                Some("middle") => of("x") - wide / 2.0,
                _ => of("x"),
            };
            assert!(left >= 0.0 && left + wide <= 320.0, "{left} {wide} {:?}", text.text());
        }
        assert_eq!(words(&document, "plot-name"), names);
        assert!(words(&document, "plot-title").len() <= 2, "{svg}");
    }
}

#[test]
fn more_than_fits_is_left_out_and_said() {
    let many: Vec<Series> =
        (0..40).map(|number| Series::new(format!("arm {number}"), vec![(0.0, 1.0)])).collect();
    let svg = maxima_over_time(CAPTION, &many).svg();
    let document = Document::parse(&svg).unwrap();
    assert_eq!(words(&document, "plot-name").len(), 28);
    assert!(words(&document, "plot-note").iter().any(|note| note.starts_with("12 more")));
    let rows: Vec<Ratio> = (0..70)
        .map(|number| Ratio { name: number.to_string(), estimate: 1.0, low: 0.9, high: 1.1 })
        .collect();
    let svg = ratios(Forest::default(), &rows).svg();
    assert!(svg.contains("10 more rows are not drawn"));
}

#[test]
fn nothing_is_a_picture_too() {
    for (plot, said) in [
        (percentiles(CAPTION, &[]), "nothing was measured"),
        (
            percentiles(CAPTION, &[Curve::of("x", &Histogram::new(3).unwrap())]),
            "nothing was measured",
        ),
        (maxima_over_time(CAPTION, &[]), "nothing was measured"),
        (gaps(CAPTION, &[Gaps { name: String::new(), bars: Vec::new() }]), "nothing was measured"),
        (ratios(Forest::default(), &[]), "nothing was compared"),
    ] {
        assert!(plot.svg().contains(said), "{}", plot.svg());
        assert!(!plot.png(1.0).unwrap().is_empty());
    }
}

/// Numbers that no measurement should give.
fn absurd() -> impl Strategy<Value = f64> {
    #[expect(clippy::cast_precision_loss, reason = "the largest there is, about")]
    let greatest = u64::MAX as f64;
    prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
        Just(0.0),
        Just(-0.0),
        Just(1.0),
        Just(f64::MAX),
        Just(f64::MIN),
        Just(f64::MIN_POSITIVE),
        Just(1.0 - f64::EPSILON),
        Just(greatest),
        any::<f64>(),
        0.0..1.0,
        1.0..1e9,
    ]
}

/// The picture is XML and all of its numbers are places on it.
fn check(plot: &Plot) {
    let svg = plot.svg();
    let document = Document::parse(&svg).unwrap_or_else(|error| panic!("{error}: {svg}"));
    for node in document.descendants() {
        for attribute in ["x", "y", "cx", "cy", "x1", "x2", "y1", "y2", "height"] {
            if let Some(value) = node.attribute(attribute).filter(|value| *value != "100%") {
                let value: f64 = value.parse().unwrap();
                assert!(value.is_finite() && value.abs() < 1e5, "{node:?}");
            }
        }
        if node.attribute("points").is_some() {
            assert!(points(node).iter().all(|(x, y)| x.abs() < 1e5 && y.abs() < 1e5), "{node:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn absurd_numbers_are_drawn_or_left_out(
        row in prop::collection::vec((absurd(), absurd()), 0..12),
        samples in prop_oneof![Just(None), Just(Some(0)), Just(Some(u64::MAX)), any::<u64>().prop_map(Some)],
        triple in (absurd(), absurd(), absurd()),
        band in prop::option::of((absurd(), absurd())),
        count in prop_oneof![Just(0), Just(u64::MAX), any::<u64>()],
        name in ".{0,80}",
    ) {
        let series = [Series::new(name.clone(), row.clone())];
        check(&percentiles(CAPTION, &[Curve { series: series[0].clone(), samples }]));
        check(&maxima_over_time(CAPTION, &series));
        check(&latency_against_load(CAPTION, &series));
        check(&loss_against_load(CAPTION, &series));
        let (low, estimate, high) = triple;
        let ratio = Ratio { name: name.clone(), estimate, low, high };
        check(&ratios(Forest { band, ..Forest::default() }, &[ratio]));
        let bars = row.iter().map(|(from, to)| Bar { from: *from, to: *to, count }).collect();
        check(&gaps(CAPTION, &[Gaps { name, bars }]));
    }

    #[test]
    fn any_histogram_has_a_picture(values in prop::collection::vec(any::<u64>(), 0..40)) {
        let mut histogram = Histogram::<u64>::new_with_bounds(1, u64::MAX, 2).unwrap();
        for value in values {
            histogram.record(value).unwrap();
        }
        check(&percentiles(CAPTION, &[Curve::of("x", &histogram)]));
        check(&gaps(CAPTION, &[Gaps::of("x", &histogram)]));
    }
}

proptest! {
    // Lettering takes long in a build without optimisation.
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn absurd_pictures_have_pixels(
        row in prop::collection::vec((absurd(), absurd()), 0..12),
        name in ".{0,80}",
    ) {
        let series = [Series::new(name, row)];
        prop_assert!(!latency_against_load(CAPTION, &series).png(0.25).unwrap().is_empty());
    }
}
