//! What the kernel makes of `hugepagesz=` and `hugepages=`.
//!
//! Source: `hugepages_setup()` and `hugepagesz_setup()` of Linux 6.1 `mm/hugetlb.c`.

use std::collections::BTreeSet;

use config::NumaNode;
use linux::{cmdline::Cmdline, hugepages::Pool};

use super::{
    super::{Context, Outcome, judge::known, judge::settled, wording::lines},
    need::size_name,
};
use crate::facts::memory::huge::size_kib;

/// What a command line asks for, and what of it the kernel ignores.
#[derive(Debug, Default, PartialEq, Eq)]
struct Asked {
    /// Pages of each size that is named; the default size is 0.
    pages: Vec<(u32, u64)>,
    /// What is ignored, in sentences.
    ignored: Vec<String>,
}

pub(super) fn look(context: &Context<'_>) -> Outcome {
    settled(|| {
        let cmdline = context.cmdline()?;
        let huge = &context.facts.memory.huge;
        let pools = known(&huge.machine, "this kernel has no hugepages")?;
        let nodes: BTreeSet<NumaNode> = match context.facts.machine.value() {
            Some(machine) => machine.nodes.iter().map(|node| node.id).collect(),
            None => [NumaNode(0)].into(),
        };
        let asked = read(cmdline, pools, &nodes);
        if asked == Asked::default() {
            return Ok(Outcome::not_applicable("no hugepages on the command line"));
        }
        let wanted = "each size once, before its count";
        if !asked.ignored.is_empty() {
            return Ok(Outcome::bad(format!("{} ignored", asked.ignored.len()))
                .wanted(wanted)
                .details(lines(asked.ignored))
                .advice("write hugepagesz=1G hugepages=0:4,1:4: the size first, then the count"));
        }
        let default = default_kib(cmdline);
        let short = asked.pages.iter().filter_map(|&(size, pages)| {
            let size = if size == 0 { default } else { size };
            let total = pools.iter().find(|pool| pool.size_kib == size)?.total;
            (total < pages)
                .then(|| format!("{}: {pages} asked for, {total} there", size_name(size)))
        });
        let short: Vec<String> = short.collect();
        Ok(match short.is_empty() {
            true => Outcome::good("understood, and the pages are there"),
            false => Outcome::warn(short.join(", "))
                .advice("the kernel could not find them at boot, or somebody took some back since"),
        }
        .wanted(wanted))
    })
}

/// The default size, in KiB: of x86-64, and of Arm with pages of 4 KiB, unless the command line says otherwise.
fn default_kib(cmdline: &Cmdline) -> u32 {
    cmdline.value("default_hugepagesz").and_then(size_kib).unwrap_or(2 << 10)
}

fn read(cmdline: &Cmdline, pools: &[Pool], nodes: &BTreeSet<NumaNode>) -> Asked {
    /// What the next count is about.
    enum Next {
        Default,
        Size(u32),
        /// The size was wrong, so the count is ignored.
        Wrong,
        /// There was a count already.
        Counted,
    }
    let exists = |kib: u32| pools.iter().any(|pool| pool.size_kib == kib);
    let mut asked = Asked::default();
    let mut sizes = BTreeSet::new();
    let mut next = Next::Default;
    for parameter in cmdline.parameters() {
        let name = parameter.name.replace('-', "_");
        let value = parameter.value.as_deref().unwrap_or_default();
        match name.as_str() {
            "hugepagesz" => match size_kib(value) {
                Some(kib) if exists(kib) => {
                    if sizes.insert(kib) {
                        next = Next::Size(kib);
                    } else {
                        asked.ignored.push(format!("hugepagesz={value} is there twice"));
                        next = Next::Wrong;
                    }
                }
                _ => {
                    asked.ignored.push(format!("hugepagesz={value}: there are no such pages here"));
                    next = Next::Wrong;
                }
            },
            "hugepages" => {
                let size = match next {
                    Next::Default => Some(0),
                    Next::Size(kib) => Some(kib),
                    Next::Wrong => {
                        asked.ignored.push(format!("hugepages={value} follows a wrong size"));
                        None
                    }
                    Next::Counted => {
                        asked.ignored.push(format!("hugepages={value} has no size before it"));
                        None
                    }
                };
                match (size, count(value, nodes)) {
                    (Some(size), Ok(pages)) => asked.pages.push((size, pages)),
                    (Some(_), Err(why)) => asked.ignored.push(why),
                    (None, _) => {}
                }
                next = Next::Counted;
            }
            "default_hugepagesz" if !size_kib(value).is_some_and(exists) => {
                asked
                    .ignored
                    .push(format!("default_hugepagesz={value}: there are no such pages here"));
            }
            _ => {}
        }
    }
    asked
}

/// `512`, or `0:256,1:256` for each node.
fn count(value: &str, nodes: &BTreeSet<NumaNode>) -> Result<u64, String> {
    let wrong = || format!("hugepages={value} is not a number of pages");
    if !value.contains(':') {
        return value.parse().map_err(|_| wrong());
    }
    let mut sum = 0_u64;
    for part in value.split(',') {
        let (node, pages) = part.split_once(':').ok_or_else(wrong)?;
        let node: NumaNode = node.parse().map_err(|_| wrong())?;
        if !nodes.contains(&node) {
            return Err(format!("hugepages={value}: there is no node {node}"));
        }
        sum = sum.saturating_add(pages.parse().map_err(|_| wrong())?);
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool(size_kib: u32) -> Pool {
        Pool { node: None, size_kib, total: 0, free: 0, surplus: 0, reserved: None }
    }

    fn read_line(line: &str) -> Asked {
        let nodes = [NumaNode(0), NumaNode(1)].into();
        read(&Cmdline::parse(line), &[pool(2048), pool(1 << 20)], &nodes)
    }

    #[test]
    fn counts_are_about_the_size_before_them() {
        let pages = |line: &str| {
            let asked = read_line(line);
            assert!(asked.ignored.is_empty(), "{line}: {asked:?}");
            asked.pages
        };

        assert_eq!(pages("quiet"), []);
        assert_eq!(pages("hugepages=8"), [(0, 8)]);
        assert_eq!(pages("hugepagesz=1G hugepages=0:4,1:2"), [(1 << 20, 6)]);
        assert_eq!(
            pages("hugepagesz=1G hugepages=4 hugepagesz=2M hugepages=512"),
            [(1 << 20, 4), (2048, 512)]
        );
        assert_eq!(pages("default_hugepagesz=1G hugepages=4"), [(0, 4)]);
    }

    #[test]
    fn what_the_kernel_ignores_is_told() {
        for (line, ignored) in [
            ("hugepages=8 hugepagesz=1G hugepages=4", 0),
            ("hugepagesz=1G hugepages=4 hugepages=8", 1),
            ("hugepagesz=3M hugepages=4", 2),
            ("hugepagesz=2M hugepages=4 hugepagesz=2M hugepages=8", 2),
            ("hugepages=0:4,7:4", 1),
            ("hugepages=many", 1),
            ("hugepages", 1),
            ("default_hugepagesz=5G", 1),
        ] {
            assert_eq!(read_line(line).ignored.len(), ignored, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_taken_without_a_panic(line in "((default_)?hugepages(z)?=[0-9:,MGx]{0,8} ?){0,6}.{0,40}") {
            let _ = read_line(&line);
        }
    }
}
