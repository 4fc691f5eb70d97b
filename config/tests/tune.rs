//! `[tune]`: what is taken, what is refused, and what is written out again.

use config::{Config, TuneProfile, Wish};

const REST: &str = "[[port]]\nname = \"a\"\ndevice = \"vdev:net_null0\"\ninput = \"s\"\n\
                    [[stage]]\nname = \"s\"\nkind = \"count\"\nto = \"drop\"\n";

fn parse(tune: &str) -> Result<Config, config::Errors> {
    config::parse(&format!("{tune}\n{REST}"), "tune.toml")
}

fn refused(tune: &str) -> String {
    parse(tune).expect_err(tune).to_string()
}

#[test]
fn without_the_section_everything_is_at_its_default() {
    let tune = parse("").unwrap().tune;

    assert_eq!(tune.profile, TuneProfile::LowLatency);
    assert!(tune.management.is_empty() && tune.i_want.is_empty() && tune.set.is_empty());
}

#[test]
fn wishes_are_words_or_values_of_any_simple_type() {
    let tune = parse(
        "[tune]\nprofile = \"balanced\"\nmanagement = [\"eno1\", \"bond0.7\"]\ni_want = [\"SEC-01\"]\n\
         [tune.set]\nCLK-05 = \"apply\"\n\"MEM-13\" = \"skip\"\nMEM-14 = 1\nISO-18 = -1\nWD-01 = true\n\
         PWR-01 = \"schedutil\"\n",
    )
    .unwrap()
    .tune;

    assert_eq!(tune.profile, TuneProfile::Balanced);
    assert_eq!(tune.management, ["eno1", "bond0.7"]);
    assert_eq!(tune.i_want[0].as_str(), "SEC-01");
    let wishes: Vec<(&str, &Wish)> =
        tune.set.iter().map(|(id, wish)| (id.as_str(), wish)).collect();
    let value = |text: &str| Wish::Value(text.to_owned());
    assert_eq!(
        wishes,
        [
            ("CLK-05", &Wish::Apply),
            ("ISO-18", &value("-1")),
            ("MEM-13", &Wish::Skip),
            ("MEM-14", &value("1")),
            ("PWR-01", &value("schedutil")),
            ("WD-01", &value("1")),
        ]
    );
}

#[test]
fn wishes_survive_being_written_out() {
    let config =
        parse("tune.set = { CLK-05 = \"apply\", MEM-14 = 1 }\ntune.i_want = [\"SEC-01\"]").unwrap();

    let written = toml::to_string(&config).unwrap();

    assert_eq!(config::parse(&written, "written.toml"), Ok(config), "{written}");
}

#[test]
fn what_can_not_be_an_id_a_name_or_a_value_is_refused_where_it_stands() {
    for (tune, line, says) in [
        ("[tune]\nprofile = \"lowlatency\"", 2, "did you mean \"low-latency\"?"),
        ("[tune]\nprofil = \"balanced\"", 2, "did you mean profile?"),
        ("[tune]\nmanagement = [\"eno1\", \"a/b\"]", 2, "the name of an interface"),
        ("[tune]\nmanagement = [\"sixteen-letters-\"]", 2, "the name of an interface"),
        ("[tune]\nmanagement = [\"..\"]", 2, "the name of an interface"),
        ("[tune]\ni_want = [\"sec-01\"]", 2, "capital letters, a dash and two digits"),
        ("[tune.set]\nclk05 = \"apply\"", 2, "capital letters, a dash and two digits"),
        ("[tune.set]\nCLK-5 = \"apply\"", 2, "capital letters, a dash and two digits"),
        ("[tune.set]\nCLK-05 = [1]", 2, "\"apply\", \"skip\" or a value on one line is wanted"),
        ("[tune.set]\nCLK-05 = \"\"", 2, "\"apply\", \"skip\" or a value on one line is wanted"),
        ("[tune.set]\nCLK-05 = \"a\\nb\"", 2, "\"apply\", \"skip\" or a value on one line"),
        ("[tune]\nset = 1", 2, "a table of up to"),
    ] {
        let message = refused(tune);
        assert!(message.starts_with(&format!("tune.toml:{line}: ")), "{message}");
        assert!(message.contains(says), "{tune}: {message}");
    }
}

#[test]
fn every_wrong_wish_is_reported_at_once() {
    let message = refused("[tune.set]\nA = 1\nCLK-05 = 1.5\nB = \"skip\"\n");

    for line in [2, 3, 4] {
        assert!(message.contains(&format!("tune.toml:{line}: ")), "{message}");
    }
}
