//! barewired under measurement, driven through its control socket.

use std::{
    io,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use config::CpuSet;
use serde::de::DeserializeOwned;

use super::reading::{PortReading, Reading};
use crate::{
    http,
    interrupt::{Interrupt, STEP},
    program::{CommandLine, Deadline, Program, ProgramError},
};

/// How long it may take to say READY.
const START: Duration = Duration::from_secs(30);

/// How long it may take to answer or to end.
const ANSWER: Duration = Duration::from_secs(10);

/// A running barewired that forwards.
#[derive(Debug)]
pub struct Barewired {
    program: Program,
    socket: PathBuf,
    /// Which core turns which queue with which memory.
    pub plan: api::Plan,
}

impl Barewired {
    /// Starts it with a configuration, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start(
        name: &str,
        file: &Path,
        configuration: &str,
        socket: &Path,
        dir: &Path,
        cpus: &CpuSet,
        interrupt: &Interrupt,
    ) -> Result<Self, ProgramError> {
        // As testpmd's: DPDK leaves a directory for each process.
        let runtime = ("RUNTIME_DIRECTORY".to_owned(), dir.as_os_str().to_owned());
        Self::start_as(name, file, configuration, socket, dir, cpus, interrupt, |mut line| {
            line.environment.push(runtime);
            line
        })
    }

    /// The same with a command line that is changed: to run somewhere else.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    #[expect(clippy::too_many_arguments, reason = "as above, and one more")]
    pub fn start_as(
        name: &str,
        file: &Path,
        configuration: &str,
        socket: &Path,
        dir: &Path,
        cpus: &CpuSet,
        interrupt: &Interrupt,
        change: impl FnOnce(CommandLine) -> CommandLine,
    ) -> Result<Self, ProgramError> {
        let (config, notify) = (dir.join("barewired.toml"), dir.join("notify.sock"));
        let started =
            |source| ProgramError::Start { name: name.to_owned(), file: file.to_owned(), source };
        std::fs::write(&config, configuration).map_err(started)?;
        let ready = UnixDatagram::bind(&notify).map_err(started)?;
        ready.set_read_timeout(Some(STEP)).map_err(started)?;
        let mut line = command(file, &config);
        line.environment.push(("NOTIFY_SOCKET".to_owned(), notify.into_os_string()));
        let mut program = Program::start(name, &change(line), dir, cpus)?;
        wait_until_ready(&mut program, &ready, interrupt)?;
        let plan = ask(&program, socket, "/v1/plan")?;
        Ok(Self { program, socket: socket.to_owned(), plan })
    }

    /// The process.
    #[must_use]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Reads its ports' counters.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn read(&self) -> Result<Reading, ProgramError> {
        let asked = Instant::now();
        let counters: api::Counters = ask(&self.program, &self.socket, "/v1/counters")?;
        let answered = Instant::now();
        let ports = counters.ports.into_iter().map(|port| PortReading {
            rx: port.rx_packets,
            tx: port.tx_packets,
            missed: port.rx_missed,
            tx_rate: None,
            driver_tx: port.driver.get("tx_good_packets").copied(),
        });
        Ok(Reading {
            asked,
            answered,
            at_ns: Some(counters.at_ns),
            ports: ports.collect(),
            balanced: Some(counters.balance.balanced),
        })
    }

    /// Polls of all workers by the number of frames that they returned, since the start.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn bursts(&self) -> Result<Vec<u64>, ProgramError> {
        let counters: api::Counters = ask(&self.program, &self.socket, "/v1/counters")?;
        let mut sum: Vec<u64> = Vec::new();
        for worker in &counters.workers {
            sum.resize(sum.len().max(worker.burst_sizes.len()), 0);
            sum.iter_mut().zip(&worker.burst_sizes).for_each(|(sum, polls)| *sum += polls);
        }
        Ok(sum)
    }

    /// The stalls of its workers after these numbers, which an earlier answer gave as `next`; all that it remembers
    /// without.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn stalls(&self, after: Option<&[u64]>) -> Result<api::Stalls, ProgramError> {
        let after = after.map(|numbers| {
            let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
            format!("?after={}", numbers.join(","))
        });
        let path = format!("/v1/stalls{}", after.unwrap_or_default());
        ask(&self.program, &self.socket, &path)
    }

    /// Asks it to end; answers whether it says that every frame is accounted for.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(mut self, interrupt: &Interrupt) -> Result<bool, ProgramError> {
        self.program.resume()?;
        self.program.terminate()?;
        let status = self.program.wait(&Deadline::after(ANSWER), interrupt)?;
        match status.code() {
            Some(0) => Ok(true),
            // Exit code 5: stopped, but frames or buffers were lost.
            Some(5) => Ok(false),
            _ => Err(self.program.nonsense(format!("ended with {status}"))),
        }
    }
}

/// The command line.
#[must_use]
pub fn command(file: &Path, config: &Path) -> CommandLine {
    CommandLine::new(file).args(["run", "--config"]).args([config])
}

fn wait_until_ready(
    program: &mut Program,
    ready: &UnixDatagram,
    interrupt: &Interrupt,
) -> Result<(), ProgramError> {
    let deadline = Deadline::after(START);
    let mut notice = [0; 4096];
    loop {
        interrupt.check()?;
        match ready.recv(&mut notice) {
            Ok(length) => {
                if notice[..length].split(|&byte| byte == b'\n').any(|line| line == b"READY=1") {
                    return Ok(());
                }
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
            Err(error) => return Err(program.talk("wait until it is ready")(error)),
        }
        if program.has_ended() {
            return Err(program.ended("getting ready"));
        }
        if deadline.has_passed() {
            return Err(program.late("getting ready", &deadline));
        }
    }
}

fn ask<T: DeserializeOwned>(
    program: &Program,
    socket: &Path,
    path: &str,
) -> Result<T, ProgramError> {
    let body = http::get(socket, path, ANSWER).map_err(program.talk(&format!("ask for {path}")))?;
    serde_json::from_str(&body)
        .map_err(|error| program.nonsense(format!("answers {path} with something else: {error}")))
}

/// Where barewired is, unless told otherwise: next to this program.
#[must_use]
pub fn find(told: Option<&Path>) -> Option<PathBuf> {
    match told {
        Some(file) => file.is_file().then(|| file.to_owned()),
        None => {
            let own = std::env::current_exe().ok()?;
            let sibling = own.parent()?.join("barewired");
            if sibling.is_file() { Some(sibling) } else { crate::program::find("barewired") }
        }
    }
}
