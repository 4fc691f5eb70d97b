//! The process that keeps a guest's QEMU and folder, and ends both when we end, however that happens.

use std::{
    io::{BufRead, BufReader, Write},
    os::fd::AsFd,
    path::Path,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use rustix::io::{FdFlags, fcntl_setfd};

use crate::LabError;

const SCRIPT: &str = include_str!("keeper.sh");
/// Killing QEMU frees some GiB of memory; on a busy machine that takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// A QEMU, on or off, and the folder it is in. Dropping it ends the first and removes the second.
#[derive(Debug)]
pub(crate) struct Keeper {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Receiver<String>,
}

impl Keeper {
    /// Takes over a folder. `qemu` is QEMU's command line; it starts with [`Keeper::on`].
    ///
    /// The files are inherited, so that they stay open as long as the keeper or QEMU lives.
    pub(crate) fn new(
        dir: &Path,
        qemu: &Command,
        inherited: &[&dyn AsFd],
    ) -> Result<Keeper, LabError> {
        for file in inherited {
            fcntl_setfd(file, FdFlags::empty())
                .map_err(|errno| LabError::io("cannot pass a file to QEMU")(errno.into()))?;
        }
        let mut command = Command::new("setsid");
        command.args(["sh", "-c", SCRIPT, "sh"]).arg(dir).arg(qemu.get_program());
        command.args(qemu.get_args());
        for (name, value) in qemu.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(LabError::io("cannot run setsid, of util-linux"))?;
        let orders = child.stdin.take();
        let (tell, answers) = mpsc::channel();
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if tell.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        Ok(Keeper { child, orders, answers })
    }

    /// Starts QEMU, with these words at the end of its command line; kills the one before.
    pub(crate) fn on(&mut self, words: &str) -> Result<(), LabError> {
        self.order(&format!("on {words}\n"))
    }

    /// Kills QEMU, as a power cut does a machine. It is gone when this returns.
    pub(crate) fn off(&mut self) -> Result<(), LabError> {
        self.order("off\n")
    }

    fn order(&mut self, order: &str) -> Result<(), LabError> {
        let orders = self.orders.as_mut().ok_or_else(|| gone("nobody listens"))?;
        orders.write_all(order.as_bytes()).map_err(LabError::io("a guest's keeper is gone"))?;
        match self.answers.recv_timeout(PATIENCE) {
            Ok(_) => Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                Err(LabError::Late { what: "a guest's keeper".into(), limit: PATIENCE })
            }
            Err(RecvTimeoutError::Disconnected) => Err(gone("it ended")),
        }
    }
}

fn gone(why: &str) -> LabError {
    LabError::io("a guest's keeper is gone")(std::io::Error::other(why.to_owned()))
}

impl Drop for Keeper {
    fn drop(&mut self) {
        drop(self.orders.take());
        // It ends by itself; this only waits, so that all is gone when the test ends.
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let dir = std::env::temp_dir().join(format!("lab-keeper-{name}-{}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        dir
    }

    fn until(what: &str, mut ask: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while !ask() {
            assert!(Instant::now() < deadline, "still waiting for {what}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn runs(pid: &str) -> bool {
        fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// A keeper of a program that writes its process id, and that id.
    fn kept(dir: &Path) -> (Keeper, String) {
        let mut program = Command::new("sh");
        program.args(["-c", "echo $$ $1 > pid.new; mv pid.new pid; exec sleep 1000", "sh"]);
        let mut keeper = Keeper::new(dir, &program, &[]).unwrap();
        keeper.on("word").unwrap();
        until("the program", || dir.join("pid").exists());
        let pid = fs::read_to_string(dir.join("pid")).unwrap();
        let pid = pid.strip_suffix(" word\n").unwrap().to_owned();
        (keeper, pid)
    }

    #[test]
    fn dropping_a_keeper_ends_the_program_and_removes_the_folder() {
        let dir = folder("drop");
        let (keeper, pid) = kept(&dir);
        assert!(runs(&pid));

        drop(keeper);

        assert!(!runs(&pid) && !dir.exists());
    }

    #[test]
    fn off_kills_the_program_and_on_starts_it_anew() {
        let dir = folder("off");
        let (mut keeper, first) = kept(&dir);

        keeper.off().unwrap();
        assert!(!runs(&first) && dir.exists());
        fs::remove_file(dir.join("pid")).unwrap();
        keeper.on("").unwrap();

        until("the program", || dir.join("pid").exists());
    }

    #[test]
    fn a_killed_keeper_takes_the_program_with_it() {
        let dir = folder("killed");
        let (mut keeper, pid) = kept(&dir);

        keeper.child.kill().unwrap();

        until("the program's end", || !runs(&pid));
        fs::remove_dir_all(&dir).unwrap();
    }
}
