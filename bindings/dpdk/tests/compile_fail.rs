//! The misuses that the types of this crate exist to refuse: each file in `tests/ui` must not
//! compile, for the reason that its `.stderr` gives.
//!
//! The texts are those of one compiler ([`BLESSED`]). Another one must refuse the same files with
//! the same error codes.

use std::fs;
use std::path::Path;
use std::process::Command;

/// The compiler whose words the `.stderr` files hold. To renew them: `TRYBUILD=overwrite cargo
/// nextest run -p dpdk misuse`.
const BLESSED: &str = "rustc 1.95.";

/// Names the directory to run, in the process that the test starts for a compiler it does not know.
const DIRECTORY: &str = "BAREWIRE_UI_DIRECTORY";

#[test]
fn misuse_does_not_compile() {
    if let Some(directory) = std::env::var_os(DIRECTORY) {
        trybuild::TestCases::new().compile_fail(Path::new(&directory).join("*.rs"));
    } else if rustc_version().starts_with(BLESSED) || std::env::var_os("TRYBUILD").is_some() {
        trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
    } else {
        same_codes();
    }
}

fn rustc_version() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output().expect("rustc runs");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Lets trybuild write the errors of this compiler next to copies of the files, and compares the
/// codes in them.
fn same_codes() {
    let copies = tempfile::tempdir().expect("a directory");
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ui");
    let files: Vec<_> = fs::read_dir(&sources)
        .expect("tests/ui")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect();
    for file in &files {
        fs::copy(file, copies.path().join(file.file_name().expect("a name"))).expect("a copy");
    }
    let output = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "misuse_does_not_compile", "--nocapture"])
        .env("TRYBUILD", "overwrite")
        .env(DIRECTORY, copies.path())
        .output()
        .expect("the test starts itself");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(!files.is_empty() && output.status.success(), "{said}");
    for file in &files {
        let expected = codes(&file.with_extension("stderr"));
        let name = file.with_extension("stderr");
        let got = codes(&copies.path().join(name.file_name().expect("a name")));
        assert_eq!(got, expected, "{}: {said}", file.display());
    }
}

/// The error codes in a compiler's output, sorted.
fn codes(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("the compiler's errors");
    let mut codes: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("error[")?.split_once(']'))
        .map(|(code, _)| code.to_owned())
        .collect();
    codes.sort();
    codes
}
