//! Any text as a configuration: it is accepted, or every error has a place and words.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    match config::parse(text, "fuzz.toml") {
        Ok(config) => {
            // What is said about a valid configuration can be said.
            let graph = config.graph();
            assert_eq!(graph.to_dot(), config.graph().to_dot());
            for stage in &config.stages {
                for (_, edge) in stage.kind.edges() {
                    assert!(!config.edge_text(edge).is_empty());
                }
            }
        }
        Err(errors) => {
            assert!(!errors.diagnostics().is_empty(), "an error has words");
            let lines = text.lines().count() + 1;
            for diagnostic in errors.diagnostics() {
                assert!(!diagnostic.message.is_empty());
                assert!(
                    diagnostic.line.is_none_or(|line| (1..=lines).contains(&line)),
                    "{diagnostic:?}"
                );
            }
        }
    }
});
