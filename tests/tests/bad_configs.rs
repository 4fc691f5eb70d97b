//! A bad configuration is refused before anything is touched: exit code 2, and what is wrong in which line.

use std::process::{Command, Stdio};

use scenarios::{mutations::mutants, programs, site::Site};

/// Every so many of the bad files: the configuration's own tests read all of them, this one starts a program for each.
const STEP: usize = 11;

#[test]
fn check_refuses_every_bad_file_with_its_line_and_exit_code_2() {
    let examples = programs::top().join("config/examples");
    let site = Site::new();
    let file = site.path("bad.toml");
    let mut seen = 0;
    let mut wrong = Vec::new();
    for mutant in mutants(&examples).iter().step_by(STEP) {
        std::fs::write(&file, &mutant.bytes).expect("the site can be written to");
        let output = Command::new(programs::barewired())
            .args(["check", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .output()
            .expect("barewired can be started");
        let said = String::from_utf8_lossy(&output.stderr);
        let place = match mutant.line {
            Some(line) => format!("{}:{line}: ", file.display()),
            None => format!("{}:", file.display()),
        };
        if output.status.code() != Some(2) || !said.contains(&place) {
            let status = output.status;
            wrong.push(format!("{}: {status}, wanted 2 and {place:?}:\n{said}", mutant.name));
        }
        seen += 1;
    }
    assert!(seen >= 200, "{seen} bad files");
    assert!(wrong.is_empty(), "{} of {seen}:\n{}", wrong.len(), wrong.join("\n"));
}
