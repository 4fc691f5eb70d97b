use std::{collections::BTreeMap, thread, time::Duration};

use linux::counters::{Count, Event};
use noise::Cost;

use super::*;
use crate::{
    Facts, Source, Verdict,
    checks::{catalogue, testing::Fake},
    facts::process::Counting,
};

const EVERYTHING_REFUSED: &str = "cycles are not counted here (ENOENT)";

fn process(cost: Fact<Counted>) -> Process {
    Process {
        id: 7,
        name: "poller".to_owned(),
        threads: Vec::new(),
        memlock: Fact::Absent,
        memory: Fact::Absent,
        transparent_huge: Fact::Absent,
        swapped: Fact::Absent,
        locked: Fact::Absent,
        cost,
    }
}

fn counted(counted: &[(Event, u64)], unknown: &[Event]) -> Fact<Counted> {
    let count = |value| Count { value, share: 1.0, is_user_only: false };
    Fact::Is(Counted {
        seconds: 0.5,
        threads: 2,
        of: 3,
        cost: Cost {
            counted: counted.iter().map(|(event, value)| (*event, count(*value))).collect(),
            unknown: unknown
                .iter()
                .map(|event| (*event, EVERYTHING_REFUSED.to_owned()))
                .collect::<BTreeMap<_, _>>(),
        },
    })
}

/// Verdict, what was seen, and the details of a check of a process with this cost.
fn look(id: &str, cost: Fact<Counted>) -> (Verdict, String, Vec<String>) {
    let process = process(cost);
    let check = catalogue().find(|check| check.id == id).unwrap();
    let finding =
        Fake::new().with_context(|context| check.run(&context.with_process(Some(&process))));
    (finding.verdict, finding.seen, finding.details)
}

#[test]
fn counts_of_the_processor_are_shown_as_rates_and_not_judged() {
    let cost = counted(
        &[
            (Event::Cycles, 1_000),
            (Event::Instructions, 3_500),
            (Event::CacheReferences, 200),
            (Event::CacheMisses, 10),
            (Event::TaskClock, 1),
        ],
        &[Event::Branches],
    );

    let (verdict, seen, details) = look("PROC-09", cost);

    assert_eq!(verdict, Verdict::Info);
    assert_eq!(seen, "3.50 instructions a cycle, 5.00 % of cache accesses missed");
    assert_eq!(details[0], "2 of 3 threads, counted for 0.50 s");
    assert!(details.contains(&"cycles: 1000".to_owned()), "{details:?}");
    let branches = format!("branches: not known: {EVERYTHING_REFUSED}");
    assert!(details.contains(&branches), "{details:?}");
    assert!(!details.iter().any(|line| line.starts_with("task clock")), "{details:?}");
}

#[test]
fn a_machine_without_counters_is_unknown_with_the_reason_and_the_kernel_still_counts() {
    let cost = || {
        counted(
            &[(Event::TaskClock, 250_000_000), (Event::ContextSwitches, 4)],
            &[Event::Cycles, Event::Instructions],
        )
    };

    let (verdict, seen, _) = look("PROC-09", cost());
    assert_eq!((verdict, seen.as_str()), (Verdict::Unknown, EVERYTHING_REFUSED));
    let (verdict, seen, details) = look("PROC-10", cost());
    assert_eq!((verdict, seen.as_str()), (Verdict::Info, "0.50 CPUs busy, 4 context switches"));
    assert!(details.contains(&"task clock: 250 ms".to_owned()), "{details:?}");
}

#[test]
fn what_was_not_counted_is_unknown_or_does_not_apply() {
    for id in ["PROC-09", "PROC-10"] {
        assert_eq!(look(id, Fact::unknown("why")).0, Verdict::Unknown, "{id}");
        assert_eq!(look(id, Fact::Absent).0, Verdict::NotApplicable, "{id}");
    }
    let refused = look("PROC-10", counted(&[], &[Event::TaskClock]));
    assert_eq!((refused.0, refused.1.as_str()), (Verdict::Unknown, EVERYTHING_REFUSED));
    let empty = look("PROC-10", counted(&[], &[Event::Cycles]));
    assert_eq!((empty.0, empty.1.as_str()), (Verdict::Unknown, "nothing was counted"));
}

#[test]
fn a_count_that_was_shared_or_is_the_users_part_says_so() {
    let Fact::Is(mut cost) = counted(&[(Event::Cycles, 1_000)], &[]) else { unreachable!() };
    let shared = Count { value: 9, share: 0.5, is_user_only: true };
    cost.cost.counted.insert(Event::Cycles, shared);

    let (_, seen, details) = look("PROC-09", Fact::Is(cost));

    assert_eq!(seen, "counted, but not enough for a rate");
    let said = "cycles: 9, estimated from 50 % of the time, without the kernel's part";
    assert!(details.contains(&said.to_owned()), "{details:?}");
}

#[test]
fn this_process_is_counted_while_one_of_its_threads_spins() {
    let root = linux::Root::system().unwrap();
    let source = Source::of(root.remembering());
    let facts = Facts::read(&source);
    let id = std::process::id().to_string();
    let mine = Process::read(&source, &facts, &id).unwrap();

    let counting = Counting::start(&mine, Some(2));
    // The calling thread ran before it was counted, so it is among those that are.
    let until = std::time::Instant::now() + Duration::from_millis(30);
    while std::time::Instant::now() < until {
        thread::yield_now();
    }
    let counted = counting.finish();

    assert_eq!(counted.of, mine.threads.len());
    assert!(counted.seconds >= 0.03);
    match counted.cost.counted.get(&Event::TaskClock) {
        Some(clock) => assert!(clock.value > 0, "{counted:?}"),
        None => eprintln!("SKIPPED: task clock of this process: {:?}", counted.cost.unknown),
    }
    for event in Event::ALL {
        let known = counted.cost.counted.contains_key(&event);
        assert!(known || counted.cost.unknown.contains_key(&event), "{event}");
    }
}
