//! A process of one thread, which the usual test harness is not: hwloc is told of another root through the environment.

use std::{env, path::Path, process::ExitCode};

use config::machine::Source;
use linux::{Root, hwloc, topology};

const NAME: &str = "a_process_of_one_thread_tells_hwloc_by_itself";

/// As much of the harness's command line as test runners use.
fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let has = |wanted: &str| arguments.iter().any(|argument| argument == wanted);
    let filter = arguments.iter().find(|argument| !argument.starts_with("--"));
    if has("--list") {
        if !has("--ignored") {
            println!("{NAME}: test");
        }
    } else if filter.is_none_or(|filter| NAME.contains(filter.as_str())) {
        a_process_of_one_thread_tells_hwloc_by_itself();
        println!("test {NAME} ... ok");
    }
    ExitCode::SUCCESS
}

fn a_process_of_one_thread_tells_hwloc_by_itself() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sysroots");
    let before = (env::var_os(hwloc::FSROOT), env::var_os(hwloc::COMPONENTS));
    for name in Root::at(&dir).expect("the fixtures").names("").expect("their names") {
        let root = Root::at(dir.join(&name)).expect("a fixture");

        let machine = topology::discover(&root).expect("a machine");

        assert_eq!(machine.source, Source::Hwloc, "{name}: {:?}", machine.notes);
        assert_eq!((env::var_os(hwloc::FSROOT), env::var_os(hwloc::COMPONENTS)), before, "{name}");
    }
}
