//! Every example is a valid configuration, and says what its comments say.

use std::{fs, path::PathBuf};

use config::{Config, Edge, Mode, StageKind};

fn examples() -> Vec<(String, String)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples");
    let mut found: Vec<(String, String)> = fs::read_dir(folder)
        .expect("the examples' folder can be read")
        .map(|entry| entry.expect("an example can be read").path())
        .map(|path| {
            let name = path.file_name().expect("an example has a name").to_string_lossy();
            (name.into_owned(), fs::read_to_string(&path).expect("an example is text"))
        })
        .collect();
    found.sort();
    found
}

fn example(name: &str) -> Config {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples").join(name);
    config::load(&path).unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn every_example_is_valid() {
    let examples = examples();
    assert!(examples.len() >= 8, "{} examples", examples.len());
    for (name, text) in examples {
        assert!(name.ends_with(".toml"), "{name}");
        if let Err(errors) = config::parse(&text, &name) {
            panic!("{errors}");
        }
    }
}

#[test]
fn an_example_written_out_with_its_defaults_means_the_same() {
    for (name, text) in examples() {
        let config = config::parse(&text, &name).unwrap();
        let written = toml::to_string(&config).unwrap();
        assert_eq!(config::parse(&written, &name), Ok(config), "{written}");
    }
}

#[test]
fn the_packaged_default_needs_no_hardware() {
    let config = example("default.toml");
    assert_eq!(config.memory.huge, config::Huge::None);
    for port in &config.ports {
        assert!(matches!(&port.device, config::Device::Vdev { .. }), "{port:?}");
    }
    assert!(!config.cores.strict);
    assert_eq!(config.control.socket.to_str(), Some("/run/barewire/control.sock"));
}

#[test]
fn the_defaults_are_those_of_the_manual() {
    let text = "[[port]]\nname = \"a\"\ndevice = \"vdev:net_null0\"\ninput = \"s\"\n\
                [[stage]]\nname = \"s\"\nkind = \"count\"\nto = \"drop\"\n";
    let config = config::parse(text, "defaults.toml").unwrap();
    let written = toml::to_string(&config).unwrap();
    insta::assert_snapshot!(written);
}

#[test]
fn the_json_shape_is_that_of_the_file() {
    let json = serde_json::to_string_pretty(&example("sample-count.toml")).unwrap();
    insta::assert_snapshot!(json);
}

#[test]
fn stages_stand_in_topological_order() {
    for (name, _) in examples() {
        let config = example(&name);
        for (index, stage) in config.stages.iter().enumerate() {
            for (_, edge) in stage.kind.edges() {
                assert!(!matches!(edge, Edge::Stage(next) if next.0 <= index), "{name}: {stage:?}");
            }
        }
    }
}

#[test]
fn the_examples_use_every_mode_and_every_kind() {
    let configs: Vec<Config> = examples().iter().map(|(name, _)| example(name)).collect();
    let kind = |wanted: fn(&StageKind) -> bool| {
        configs.iter().flat_map(|config| &config.stages).any(|stage| wanted(&stage.kind))
    };
    assert!(kind(|kind| matches!(kind, StageKind::Cross { .. })));
    assert!(kind(|kind| matches!(kind, StageKind::Reflect { .. })));
    assert!(kind(|kind| matches!(kind, StageKind::Count { .. })));
    assert!(kind(|kind| matches!(kind, StageKind::Sample { .. })));
    assert!(configs.iter().any(|config| config.pipeline.mode == Mode::Staged));
}

#[test]
fn a_graph_is_drawn_for_graphviz() {
    let dot = example("sample-count.toml").to_dot();
    insta::assert_snapshot!(dot);
}

#[test]
fn a_graph_is_data_too() {
    let json = serde_json::to_string_pretty(&example("reflect.toml").graph()).unwrap();
    insta::assert_snapshot!(json);
}

#[test]
fn every_key_of_the_manual_has_a_default_and_an_example_that_is_toml() {
    let keys = config::reference();
    assert!(keys.len() > 40, "{} keys", keys.len());
    for key in keys {
        let name = format!("{} {}", key.section, key.key);
        let says_default = ["Default", "No default", "no default", "Required"];
        assert!(says_default.iter().any(|word| key.text.contains(word)), "{name}: {}", key.text);
        let example = key.text.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next());
        let example = example.unwrap_or_else(|| panic!("{name} has no example"));
        let table: toml::Table = toml::from_str(example).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(table.contains_key(key.key), "{name}: {example}");
    }
}
