//! Debian's `dpdk-testpmd` as the peer, driven through its prompt; and as the generator in front of case (c).

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use config::{CpuId, CpuSet};
use serde::Serialize;

use super::{
    case::{Memory, Settings},
    reading::{PortReading, Reading},
};
use crate::{
    interrupt::Interrupt,
    program::{CommandLine, Deadline, Program, ProgramError},
};

/// How long it may take to start. It waits up to 9 s for links by itself.
const START: Duration = Duration::from_secs(30);

/// How long it may take to answer or to end.
const ANSWER: Duration = Duration::from_secs(10);

/// What to start it with.
#[derive(Debug, Clone)]
pub struct Setup<'a> {
    /// The program's file.
    pub file: &'a Path,
    /// Its file prefix, unique on the machine.
    pub prefix: String,
    /// The CPU of its prompt.
    pub main: CpuId,
    /// The CPU of its forwarding thread.
    pub worker: CpuId,
    /// Memory, burst, descriptors, buffers.
    pub settings: &'a Settings,
    /// Set bursts, descriptors and buffers as in barewired; leave them at testpmd's defaults otherwise.
    pub is_matched: bool,
    /// Virtual devices, in order.
    pub devices: Vec<String>,
    /// `io`, `macswap`, `5tswap`, `flowgen`.
    pub forward: &'static str,
    /// Share memory with another process, as vhost-user and virtio-user need it.
    pub is_sharing: bool,
}

/// The buffers that testpmd makes when nobody tells it how many, on one worker: DPDK 22.11, app/test-pmd/testpmd.c.
pub const DEFAULT_BUFFERS: u32 = 155_456;

impl Setup<'_> {
    /// How many buffers it will have.
    #[must_use]
    pub fn buffers(&self) -> u32 {
        if self.is_matched { self.settings.buffers } else { DEFAULT_BUFFERS }
    }

    /// The command line.
    #[must_use]
    pub fn command(&self) -> CommandLine {
        let Self { main, worker, settings, .. } = self;
        let mut eal = vec![
            "--lcores".to_owned(),
            format!("0@{main},1@{worker}"),
            "--main-lcore".to_owned(),
            "0".to_owned(),
            "--no-pci".to_owned(),
            "--no-telemetry".to_owned(),
            format!("--file-prefix={}", self.prefix),
        ];
        match settings.memory {
            Memory::Huge2M => eal.push("--in-memory".to_owned()),
            Memory::Ordinary => eal.extend([
                "--no-huge".to_owned(),
                "--no-shconf".to_owned(),
                "-m".to_owned(),
                // A page for each buffer, and as much again as the devices and the rest may want.
                (128 + self.buffers() / 256).to_string(),
            ]),
        }
        if self.is_sharing {
            eal.push("--single-file-segments".to_owned());
        }
        eal.extend(self.devices.iter().map(|device| format!("--vdev={device}")));
        let mut own = vec![
            "--interactive".to_owned(),
            "--nb-cores=1".to_owned(),
            format!("--forward-mode={}", self.forward),
            // It would empty the receive queues for a second each before it starts, and ours never run dry.
            "--no-flush-rx".to_owned(),
            // It would wait 9 s for the link of a vhost-user port, which comes when the other side does.
            "--disable-link-check".to_owned(),
        ];
        if self.is_matched {
            let Settings { burst, descriptors, buffers, cache, .. } = settings;
            own.extend([
                format!("--burst={burst}"),
                format!("--rxd={descriptors}"),
                format!("--txd={descriptors}"),
                format!("--total-num-mbufs={buffers}"),
                format!("--mbcache={cache}"),
            ]);
        }
        // Written to a pipe, its lines would come in blocks of 4 KiB.
        CommandLine::new(Path::new("stdbuf"))
            .args(["-oL", "--"])
            .args([self.file])
            .args(eal)
            .args(["--"])
            .args(own)
    }
}

/// A running testpmd that forwards.
#[derive(Debug)]
pub struct Testpmd {
    program: Program,
    ports: usize,
}

/// What it says it moved from `start` to `stop`, all ports.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Frames received.
    pub received: u64,
    /// Frames transmitted.
    pub sent: u64,
    /// Frames that a transmit queue did not take.
    pub dropped: u64,
}

impl Testpmd {
    /// Starts it, and waits until it forwards.
    ///
    /// # Errors
    /// When it does not, or not on one core.
    pub fn start(
        name: &str,
        setup: &Setup<'_>,
        dir: &Path,
        cpus: &CpuSet,
        interrupt: &Interrupt,
    ) -> Result<Self, ProgramError> {
        // DPDK makes a directory for each process and leaves it; here it goes with the others of the arm.
        let mut line = setup.command();
        line.environment.push(("RUNTIME_DIRECTORY".to_owned(), dir.as_os_str().to_owned()));
        Self::start_as(name, &line, setup.devices.len(), dir, cpus, interrupt)
    }

    /// The same with a command line that was changed: to run somewhere else.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_as(
        name: &str,
        line: &CommandLine,
        ports: usize,
        dir: &Path,
        cpus: &CpuSet,
        interrupt: &Interrupt,
    ) -> Result<Self, ProgramError> {
        let program = Program::start(name, line, dir, cpus)?;
        let mut testpmd = Self { program, ports };
        testpmd.forward(interrupt)?;
        Ok(testpmd)
    }

    fn forward(&mut self, interrupt: &Interrupt) -> Result<(), ProgramError> {
        self.program.say("start")?;
        let deadline = Deadline::after(START);
        loop {
            // "io packet forwarding - ports=2 - cores=1 - streams=2 - NUMA support enabled, MP allocation mode: native"
            let line = self.program.hear("starting to forward", &deadline, interrupt)?;
            let Some((_, what)) = line.split_once(" packet forwarding - ") else { continue };
            if !what.contains("cores=1 ") {
                let what = format!("forwards on other than one core: {line}");
                return Err(self.program.nonsense(what));
            }
            return Ok(());
        }
    }

    /// Stops and starts again, which sets the totals to zero.
    ///
    /// # Errors
    /// When it does not do either.
    pub fn restart(&mut self, interrupt: &Interrupt) -> Result<(), ProgramError> {
        self.end_forwarding(interrupt)?;
        self.forward(interrupt)
    }

    fn end_forwarding(&mut self, interrupt: &Interrupt) -> Result<Totals, ProgramError> {
        self.program.say("stop")?;
        let deadline = Deadline::after(ANSWER);
        let mut lines = Vec::new();
        loop {
            lines.push(self.program.hear("stopping", &deadline, interrupt)?);
            if let Some(totals) = accumulated(&lines) {
                return Ok(totals);
            }
        }
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
    pub fn read(&mut self, interrupt: &Interrupt) -> Result<Reading, ProgramError> {
        let asked = Instant::now();
        self.program.say("show port stats all")?;
        let deadline = Deadline::after(ANSWER);
        let mut ports = Vec::new();
        let mut lines = Vec::new();
        while ports.len() < self.ports {
            let line = self.program.hear("showing its counters", &deadline, interrupt)?;
            let is_last_of_port = line.contains("Tx-pps:");
            lines.push(line);
            if is_last_of_port {
                ports.push(
                    port_statistics(&lines).ok_or_else(|| {
                        self.program.nonsense("shows counters that can not be read")
                    })?,
                );
                lines.clear();
            }
        }
        Ok(Reading { asked, answered: Instant::now(), at_ns: None, ports, balanced: None })
    }

    /// Stops forwarding, reads the totals, and waits for the end.
    ///
    /// # Errors
    /// When it does not do these.
    pub fn stop(mut self, interrupt: &Interrupt) -> Result<Totals, ProgramError> {
        self.program.resume()?;
        let totals = self.end_forwarding(interrupt)?;
        self.program.say("quit")?;
        self.program.wait(&Deadline::after(ANSWER), interrupt)?;
        Ok(totals)
    }
}

/// One port's part of `show port stats`.
fn port_statistics(lines: &[String]) -> Option<PortReading> {
    Some(PortReading {
        rx: number(lines, "RX-packets:")?,
        tx: number(lines, "TX-packets:")?,
        missed: number(lines, "RX-missed:")?,
        tx_rate: Some(number(lines, "Tx-pps:")?),
        driver_tx: None,
    })
}

/// The totals under "Accumulated forward statistics", once their last line is there.
fn accumulated(lines: &[String]) -> Option<Totals> {
    let from = lines.iter().position(|line| line.contains("Accumulated forward statistics"))?;
    let lines = &lines[from..];
    Some(Totals {
        received: number(lines, "RX-packets:")?,
        sent: number(lines, "TX-packets:")?,
        dropped: number(lines, "TX-dropped:")?,
    })
}

/// The number behind a label, in whichever line it first is.
fn number(lines: &[String], label: &str) -> Option<u64> {
    let line = lines.iter().find_map(|line| line.split_once(label))?.1;
    line.split_ascii_whitespace().next()?.parse().ok()
}

/// Where testpmd is, unless told otherwise.
#[must_use]
pub fn find(told: Option<&Path>) -> Option<PathBuf> {
    match told {
        Some(file) => file.is_file().then(|| file.to_owned()),
        None => crate::program::find("dpdk-testpmd"),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn counters_are_read_as_testpmd_22_11_prints_them() {
        let text = "\n  ######################## NIC statistics for port 1  ########################\n  \
            RX-packets: 43229376   RX-missed: 3          RX-bytes:  0\n  RX-errors: 0\n  RX-nombuf:  0         \n  \
            TX-packets: 42833088   TX-errors: 0          TX-bytes:  0\n\n  Throughput (since last show)\n  \
            Rx-pps:     25163717          Rx-bps:            0\n  Tx-pps:     25163716          Tx-bps:            0";
        assert_eq!(
            port_statistics(&lines(text)),
            Some(PortReading {
                rx: 43_229_376,
                tx: 42_833_088,
                missed: 3,
                tx_rate: Some(25_163_716),
                driver_tx: None
            })
        );
    }

    #[test]
    fn totals_are_those_of_all_ports() {
        let text = "  ---------------------- Forward statistics for port 0  ----------------------\n  \
            RX-packets: 1       RX-dropped: 0             RX-total: 1\n  \
            TX-packets: 1       TX-dropped: 0             TX-total: 1\n  \
            +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++\n  \
            RX-packets: 12             RX-dropped: 0             RX-total: 12\n  \
            TX-packets: 10             TX-dropped: 2             TX-total: 12";
        let lines = lines(text);
        let totals = Totals { received: 12, sent: 10, dropped: 2 };
        assert_eq!(accumulated(&lines), Some(totals));
        assert_eq!(accumulated(&lines[..lines.len() - 1]), None);
    }

    proptest! {
        #[test]
        fn nothing_that_it_prints_is_a_panic(text: String) {
            let lines = lines(&text);
            let _port = port_statistics(&lines);
            let _totals = accumulated(&lines);
        }
    }

    #[test]
    fn both_kinds_run_on_the_same_cpus_and_devices_and_only_one_is_tuned() {
        let settings = Settings {
            memory: Memory::Ordinary,
            burst: 32,
            descriptors: 1024,
            buffers: 8192,
            cache: 256,
        };
        let setup = Setup {
            file: Path::new("/usr/bin/dpdk-testpmd"),
            prefix: "p".into(),
            main: CpuId::new(0).unwrap(),
            worker: CpuId::new(3).unwrap(),
            settings: &settings,
            is_matched: true,
            devices: vec!["net_null0".into(), "net_null1".into()],
            forward: "io",
            is_sharing: false,
        };
        assert_eq!(
            setup.command().shown(),
            "stdbuf -oL -- /usr/bin/dpdk-testpmd --lcores 0@0,1@3 --main-lcore 0 --no-pci --no-telemetry --file-prefix=p --no-huge \
             --no-shconf -m 160 --vdev=net_null0 --vdev=net_null1 -- --interactive --nb-cores=1 --forward-mode=io \
             --no-flush-rx --disable-link-check --burst=32 --rxd=1024 --txd=1024 --total-num-mbufs=8192 --mbcache=256"
        );
        let plain = Setup { is_matched: false, ..setup };
        assert_eq!(
            plain.command().shown(),
            "stdbuf -oL -- /usr/bin/dpdk-testpmd --lcores 0@0,1@3 --main-lcore 0 --no-pci --no-telemetry --file-prefix=p --no-huge \
             --no-shconf -m 735 --vdev=net_null0 --vdev=net_null1 -- --interactive --nb-cores=1 --forward-mode=io \
             --no-flush-rx --disable-link-check"
        );
    }
}
