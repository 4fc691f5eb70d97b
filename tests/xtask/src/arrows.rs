//! Which crate may know which: the arrows between the crates point one way, and this looks at all of them.

use crate::{
    run::{self, Failure},
    tree,
};

/// Who must never see whom, through any number of crates between them. Tests and benchmarks may.
const NEVER: &[(&str, &[&str])] = &[
    ("config", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring", "api"]),
    ("pipeline", &["dpdk", "dpdk-sys", "linux", "ring", "api"]),
    ("ring", &["dpdk", "dpdk-sys", "linux", "pipeline"]),
    ("linux", &["dpdk", "dpdk-sys", "pipeline", "ring"]),
    ("dpdk", &["linux", "config", "pipeline", "ring"]),
    ("api", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring"]),
    ("distribution", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring", "config"]),
    ("ctl", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring"]),
    ("bench-report", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring", "noise"]),
    ("bench-result", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring", "api", "noise", "plots"]),
    ("statistics", &["config", "dpdk", "dpdk-sys", "linux", "pipeline", "ring"]),
    ("plots", &["api", "config", "dpdk", "dpdk-sys", "linux", "pipeline", "ring", "statistics"]),
    ("noise", &["dpdk", "dpdk-sys", "pipeline", "ring", "tuner"]),
    ("tuner", &["dpdk", "dpdk-sys", "pipeline", "ring"]),
    ("barewire-lab", &["dpdk", "dpdk-sys", "linux", "pipeline", "ring"]),
    ("xtask", &["dpdk-sys", "hwloc2", "bindgen", "cc"]),
];

/// Nothing depends on these.
const LEAVES: &[&str] = &["barewire-lab", "bench", "scenarios", "xtask"];

/// An error naming every arrow that points the wrong way.
pub(crate) fn check() -> Result<(), Failure> {
    let members = run::output(
        "list of crates",
        &mut tree::cargo([
            "tree",
            "--workspace",
            "--depth",
            "0",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ]),
    )?;
    let mut wrong = Vec::new();
    for member in names(&members) {
        let below = run::output(
            "tree of crates",
            &mut tree::cargo([
                "tree",
                "--package",
                member,
                "--edges",
                "normal,build",
                "--prefix",
                "none",
                "--format",
                "{p}",
            ]),
        )?;
        wrong.extend(forbidden(member, &names(&below)));
    }
    if wrong.is_empty() {
        Ok(())
    } else {
        Err(Failure::Check(format!("crates know others that they must not: {}", wrong.join("; "))))
    }
}

fn forbidden(member: &str, seen: &[&str]) -> Vec<String> {
    let never =
        NEVER.iter().filter(|(name, _)| *name == member).flat_map(|(_, never)| never.iter());
    let leaves = LEAVES.iter().filter(|leaf| **leaf != member);
    never
        .chain(leaves)
        .filter(|name| seen.contains(name))
        .map(|name| format!("{member} sees {name}"))
        .collect()
}

/// The first word of each line.
fn names(tree: &str) -> Vec<&str> {
    tree.lines().filter_map(|line| line.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_that_points_the_wrong_way_is_named() {
        let seen =
            names("pipeline v0.1.0 (/x)\nserde v1.0.0\ndpdk v0.1.0 (/y) (*)\nbench v0.1.0\n");
        assert_eq!(forbidden("pipeline", &seen), ["pipeline sees dpdk", "pipeline sees bench"]);
        assert!(forbidden("daemon", &names("daemon v0.1.0\ndpdk v0.1.0\n")).is_empty());
    }

    #[test]
    fn a_leaf_may_see_itself() {
        assert!(forbidden("bench", &["bench", "dpdk"]).is_empty());
    }
}
