//! Where a worker is that does not turn, seen from outside: nothing is asked of it.

use linux::Root;

use crate::state::WorkerView;

/// The stage that it is in. A stage counts frames that come in before it looks at them, and where they go after, so a
/// worker that has stopped in one leaves a difference there.
pub(super) fn stage(view: &WorkerView) -> String {
    let inside = view.stages.iter().find(|stage| {
        let stage = stage.snapshot();
        let out =
            stage.edges.iter().chain(&stage.drops).fold(0, |sum: u64, n| sum.wrapping_add(*n));
        stage.frames != out
    });
    match inside {
        Some(stage) => stage.name().to_owned(),
        None => "none: between stages, in a driver, or without its CPU".to_owned(),
    }
}

/// What the kernel says of its thread.
pub(super) fn thread(root: &Root, worker: usize) -> String {
    let Some(thread) = number(root, worker) else { return "gone".to_owned() };
    let stat = root.text(&format!("/proc/self/task/{thread}/stat")).ok();
    stat.as_deref().and_then(state).unwrap_or("unknown").to_owned()
}

/// The number of its thread.
pub(in crate::runtime) fn number(root: &Root, worker: usize) -> Option<u32> {
    let name = name(worker);
    let threads = root.names("/proc/self/task").unwrap_or_default();
    let found = threads.iter().find(|thread| {
        let comm = root.text(&format!("/proc/self/task/{thread}/comm"));
        comm.is_ok_and(|comm| comm.trim_end() == name)
    });
    found?.parse().ok()
}

/// What a worker's thread is called.
pub(in crate::runtime) fn name(worker: usize) -> String {
    format!("bw-worker-{worker}")
}

/// The third field of proc_pid_stat(5), in words. The second is a name in parentheses, which may have some itself.
fn state(stat: &str) -> Option<&'static str> {
    let (_, fields) = stat.rsplit_once(')')?;
    Some(match fields.split_whitespace().next()? {
        "R" => "running, or waiting for its CPU",
        "S" => "sleeping",
        "D" => "waiting in the kernel",
        "T" => "stopped by a signal",
        "t" => "stopped by a debugger",
        "X" | "Z" => "ended",
        "I" => "idle",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_state_stands_behind_the_last_parenthesis() {
        assert_eq!(state("17 (bw-worker-0) T 1 17"), Some("stopped by a signal"));
        assert_eq!(state("17 (odd) R (name) D 1 17"), Some("waiting in the kernel"));
        assert_eq!(state("17 (bw-worker-0) ? 1"), None);
        assert_eq!(state("17 (bw-worker-0)"), None);
        assert_eq!(state(""), None);
    }

    #[test]
    fn a_thread_is_found_by_its_name_and_one_that_is_not_there_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        for (thread, comm, state) in [("8", "barewired", "S"), ("9", "bw-worker-1", "t")] {
            let task = dir.path().join("proc/self/task").join(thread);
            fs::create_dir_all(&task).unwrap();
            fs::write(task.join("comm"), format!("{comm}\n")).unwrap();
            fs::write(task.join("stat"), format!("{thread} ({comm}) {state} 1 8 8 0")).unwrap();
        }
        let root = Root::at(dir.path()).unwrap();
        assert_eq!(thread(&root, 1), "stopped by a debugger");
        assert_eq!(thread(&root, 2), "gone");
    }
}
