//! Packages for another Debian, made in it.

use std::{fs, time::Instant};

use super::{Options, clear};
use crate::{
    debian,
    run::{self, Failure, Interrupt},
    say, tree,
};

/// Where they are made, in there.
const THERE: &str = "var/tmp/package";

/// Makes them, and brings them here.
pub(super) fn run(options: &Options, suite: &str, interrupt: &Interrupt) -> Result<(), Failure> {
    let begun = Instant::now();
    let root = debian::named(suite)?.root(interrupt)?;
    let there = root.path().join(THERE);
    clear(&there)?;
    say::begin(format!("packages: in {}", root.path().display()));
    run::quiet_step(interrupt, "packages", &mut root.shell(&line(options), interrupt)?)?;
    let out = options.out.clone().unwrap_or_else(|| tree::target().join("package").join(suite));
    clear(&out)?;
    let failed = || Failure::io(format!("cannot copy {} to {}", there.display(), out.display()));
    for entry in fs::read_dir(&there).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.path().extension().is_some_and(|extension| extension == "deb") {
            let file = out.join(entry.file_name());
            fs::copy(entry.path(), &file).map_err(failed())?;
            say::note(file.display());
        }
    }
    say::done(format!("packages for {suite}"), begun.elapsed());
    Ok(())
}

/// What is run there.
fn line(options: &Options) -> String {
    let mut line = String::new();
    // It packages what is built, and there nobody else builds.
    if options.quick {
        line += "cargo build --locked --bins -p daemon -p ctl -p tuner -p bench && ";
    }
    line += "cargo xtask package --no-setup --no-lintian";
    for (is_so, word) in [(options.quick, " --quick"), (options.no_build, " --no-build")] {
        line += if is_so { word } else { "" };
    }
    line + &format!(" --revision {} --out /{THERE}", options.revision)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unoptimised_programs_are_built_there_before_they_are_packaged() {
        let quick = line(&Options::of_a_plain_build().on("trixie"));
        assert!(quick.starts_with("cargo build ") && quick.contains(" --quick "), "{quick}");
        assert_eq!(
            line(&Options::for_the_lab()),
            "cargo xtask package --no-setup --no-lintian --revision 1 --out /var/tmp/package"
        );
    }
}
