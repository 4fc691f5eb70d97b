//! A machine that runs, and what a test does with it.

use std::{
    fs::{self, File, Permissions},
    io,
    os::{
        fd::{AsFd, AsRawFd, OwnedFd},
        unix::{fs::PermissionsExt, net::UnixStream},
    },
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    Exit, Image, LabError, Machine, Nic, Output, Snapshot, agent::Agent, image::Lab,
    keeper::Keeper, program, qmp::Qmp,
};

/// A cold boot takes 30 to 60 seconds of a quiet machine.
const BOOT: Duration = Duration::from_secs(300);
/// What one command may take, unless said otherwise.
const COMMAND: Duration = Duration::from_secs(120);
/// What copying one file may take.
const COPY: Duration = Duration::from_secs(120);
/// Between the start of QEMU and its first word.
const START: Duration = Duration::from_secs(30);
/// Files of a guest's folder that are in a snapshot as well.
const KEPT: [&str; 2] = ["disk.qcow2", "console.log"];
/// Lines of the console in an error.
const TAIL: usize = 40;

/// What talks to a QEMU that runs.
#[derive(Debug)]
struct Channels {
    agent: Agent,
    qmp: Qmp,
    /// Whether the agent waits for a request.
    in_step: bool,
    boot_id: String,
}

/// A machine. Dropping it ends it and removes all that it left on the host.
#[derive(Debug)]
pub struct Guest {
    channels: Option<Channels>,
    // Before the folder's handle, so that the folder goes first.
    keeper: Keeper,
    dir: PathBuf,
    dir_handle: File,
    nics: Vec<Nic>,
}

impl Guest {
    /// Boots the image on that machine, through its firmware and GRUB, and waits until all its services are up. What
    /// it writes to its disk is gone with it.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn boot(image: &Image, machine: &Machine) -> Result<Guest, LabError> {
        let mut guest = Guest::prepare(image.lab(), machine, |dir| image.overlay(dir))?;
        guest.power_on()?;
        Ok(guest)
    }

    /// Continues a machine that was booted before, and sets its clock. Takes about two seconds.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn restore(snapshot: &Snapshot) -> Result<Guest, LabError> {
        let mut guest = Guest::prepare(snapshot.lab(), snapshot.machine(), |dir| {
            for name in KEPT {
                let (from, to) = (snapshot.dir().join(name), dir.join(name));
                fs::copy(from, &to).map_err(LabError::file("write", &to))?;
            }
            Ok(())
        })?;
        guest.resume(snapshot)?;
        Ok(guest)
    }

    /// A machine that is off, with its disk in its folder, as `disk.qcow2`.
    pub(crate) fn prepare(
        lab: &Lab,
        machine: &Machine,
        disk: impl FnOnce(&Path) -> Result<(), LabError>,
    ) -> Result<Guest, LabError> {
        let (dir, lock) = lab.cache().run_dir()?;
        disk(&dir)?;
        Guest::with_disk(lab, machine, dir, lock, Path::new("disk.qcow2"), "qcow2")
    }

    /// A machine that is off, with that disk.
    pub(crate) fn with_disk(
        lab: &Lab,
        machine: &Machine,
        dir: PathBuf,
        lock: File,
        disk: &Path,
        format: &str,
    ) -> Result<Guest, LabError> {
        let mut command = lab.qemu().system();
        command.args(machine.arguments(disk, format));
        let (mut nics, mut ends): (Vec<Nic>, Vec<OwnedFd>) = (Vec::new(), Vec::new());
        for (index, slot) in machine.slots().iter().enumerate() {
            let (nic, end) = Nic::new(&slot.name, Machine::mac(index), machine.pci_address(index))?;
            let number = end.as_raw_fd();
            command.arg("-netdev");
            command.arg(format!("dgram,id=cable{index},local.type=fd,local.str={number}"));
            nics.push(nic);
            ends.push(end);
        }
        let mut inherited: Vec<&dyn AsFd> = vec![&lock];
        inherited.extend(ends.iter().map(|end| -> &dyn AsFd { end }));
        let keeper = Keeper::new(&dir, &command, &inherited)?;
        let dir_handle = File::open(&dir).map_err(LabError::file("open", &dir))?;
        Ok(Guest { channels: None, keeper, dir, dir_handle, nics })
    }

    /// Boots a machine that is off, and waits until all its services are up.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn power_on(&mut self) -> Result<(), LabError> {
        self.start("")?;
        self.step_in("the boot", Instant::now() + BOOT)?;
        self.settle()
    }

    /// Starts QEMU, with these words at the end of its command line, and connects to it.
    pub(crate) fn start(&mut self, words: &str) -> Result<(), LabError> {
        self.keeper.on(words)?;
        let deadline = Instant::now() + START;
        let qmp = self.connect("qmp.sock", deadline)?;
        let qmp = Qmp::new(qmp).map_err(|error| self.failed("QEMU's start", &error))?;
        let agent = Agent::new(self.connect("agent.sock", deadline)?);
        self.channels = Some(Channels { agent, qmp, in_step: true, boot_id: String::new() });
        Ok(())
    }

    fn connect(&self, name: &str, deadline: Instant) -> Result<UnixStream, LabError> {
        // The path of a socket has a hundred-odd bytes; the way through the folder's handle is short.
        let path = format!("/proc/self/fd/{}/{name}", self.dir_handle.as_raw_fd());
        loop {
            match UnixStream::connect(&path) {
                Ok(stream) => return Ok(stream),
                Err(_) if Instant::now() < deadline => thread::sleep(Duration::from_millis(5)),
                Err(error) => return Err(self.failed("QEMU's start", &error)),
            }
        }
    }

    /// Loads the snapshot's memory and lets it continue.
    fn resume(&mut self, snapshot: &Snapshot) -> Result<(), LabError> {
        self.start("-incoming defer")?;
        self.monitor("migrate-set-capabilities", crate::snapshot::capabilities())?;
        let uri = format!("file:{}", snapshot.dir().join("memory").display());
        self.monitor("migrate-incoming", json!({ "uri": uri }))?;
        self.migrated("the snapshot's memory")?;
        self.monitor("cont", json!({}))?;
        self.step_in("the snapshot's agent", Instant::now() + START)?;
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let now = now.map(|now| now.as_secs_f64()).unwrap_or_default();
        self.must(&format!("date --set=@{now:.3}"));
        Ok(())
    }

    /// Waits until memory has been written or read.
    pub(crate) fn migrated(&mut self, what: &str) -> Result<(), LabError> {
        let deadline = Instant::now() + BOOT;
        loop {
            let answer = self.monitor("query-migrate", json!({}))?;
            let status = answer.get("status").and_then(|status| status.as_str()).unwrap_or("none");
            match status {
                "completed" => return Ok(()),
                "failed" | "cancelled" => {
                    return Err(self.failed(what, &io::Error::other(answer.to_string())));
                }
                _ if Instant::now() > deadline => {
                    return Err(LabError::Late { what: what.into(), limit: BOOT });
                }
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Runs a line of shell in the guest, as root, for at most two minutes.
    ///
    /// # Errors
    /// [`LabError::Guest`] when it takes longer or the guest does not answer; how it ends is in the [`Output`].
    pub fn run(&mut self, line: &str) -> Result<Output, LabError> {
        self.run_within(line, COMMAND)
    }

    /// Runs a line of shell in the guest, as root, for at most so long.
    ///
    /// # Errors
    /// As [`Guest::run`].
    pub fn run_within(&mut self, line: &str, limit: Duration) -> Result<Output, LabError> {
        let output = self.ask(&format!("`{line}`"), |agent| agent.run(line, limit))?;
        if output.exit == Exit::TimedOut {
            let late = format!("it took longer than {} s\n{output:?}", limit.as_secs_f64());
            return Err(self.failed(&format!("`{line}`"), &io::Error::other(late)));
        }
        Ok(output)
    }

    /// Runs a line of shell that must succeed, and gives back its standard output.
    ///
    /// # Panics
    /// When it does not, with its output and the end of the console.
    #[track_caller]
    pub fn must(&mut self, line: &str) -> String {
        match self.run(line) {
            Ok(output) if output.success() => output.text(),
            Ok(output) => {
                let tail = self.tail();
                panic!("in the guest, `{line}`: {output:?}\n----- console:\n{tail}\n-----")
            }
            Err(error) => panic!("in the guest, {error:?}"),
        }
    }

    /// Copies a file of the host into the guest, with its mode; the folders it is in are made.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn copy_in(&mut self, from: &Path, to: &str) -> Result<(), LabError> {
        let mut file = File::open(from).map_err(LabError::file("read", from))?;
        let mode = file.metadata().map_err(LabError::file("read", from))?.permissions().mode();
        self.ask(&format!("copying to {to}"), |agent| agent.put(&mut file, to, mode & 0o7777, COPY))
    }

    /// Writes a file in the guest; the folders it is in are made.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn write(&mut self, to: &str, mode: u32, content: &str) -> Result<(), LabError> {
        self.ask(&format!("writing {to}"), |agent| {
            agent.put(&mut content.as_bytes(), to, mode, COPY)
        })
    }

    /// Reads a file in the guest.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn read(&mut self, from: &str) -> Result<Vec<u8>, LabError> {
        self.ask(&format!("reading {from}"), |agent| agent.get(from, COPY))
    }

    /// Copies a file of the guest to the host.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn copy_out(&mut self, from: &str, to: &Path) -> Result<(), LabError> {
        let content = self.read(from)?;
        fs::write(to, content).map_err(LabError::file("write", to))?;
        fs::set_permissions(to, Permissions::from_mode(0o644)).map_err(LabError::file("write", to))
    }

    /// Shuts down and boots again, as `systemctl reboot` does; returns when all services are up.
    ///
    /// # Errors
    /// [`LabError::Guest`]
    pub fn reboot(&mut self) -> Result<(), LabError> {
        let before = self.channels_mut("a reboot")?.boot_id.clone();
        // The agent may be gone before it has said how the command ended.
        let asked = self.run_within("systemctl reboot --no-block", Duration::from_secs(20));
        self.another_boot_than(&before, &format!("systemctl: {asked:?}"))
    }

    /// Waits for a boot that the guest began by itself, or that a command began which did not wait for it.
    ///
    /// # Errors
    /// [`LabError::Guest`]
    pub fn wait_for_reboot(&mut self) -> Result<(), LabError> {
        let before = self.channels_mut("a reboot")?.boot_id.clone();
        self.another_boot_than(&before, "nobody asked for it")
    }

    fn another_boot_than(&mut self, before: &str, asked: &str) -> Result<(), LabError> {
        let deadline = Instant::now() + BOOT;
        loop {
            self.step_in("the reboot", deadline)?;
            if self.channels_mut("a reboot")?.boot_id != before {
                return self.settle();
            }
            if Instant::now() > deadline {
                let why = io::Error::other(format!("the machine did not go down; {asked}"));
                return Err(self.failed("the reboot", &why));
            }
            thread::sleep(Duration::from_millis(200));
        }
    }

    /// Cuts the power, in the middle of whatever the guest does: what it did not flush to its disk is lost. Then it is
    /// off, until [`Guest::power_on`].
    ///
    /// # Errors
    /// [`LabError`]
    pub fn power_cut(&mut self) -> Result<(), LabError> {
        self.channels = None;
        self.keeper.off()
    }

    /// Shuts down, and switches the machine off.
    ///
    /// # Errors
    /// [`LabError`]
    pub fn power_off(&mut self) -> Result<(), LabError> {
        self.run("systemctl poweroff --no-block")?;
        let deadline = Instant::now() + BOOT;
        // QEMU ends with its machine, and its socket with it.
        while self.monitor("query-status", json!({})).is_ok() {
            if Instant::now() > deadline {
                let why = io::Error::other("the machine did not switch itself off");
                return Err(self.failed("the shutdown", &why));
            }
            thread::sleep(Duration::from_millis(50));
        }
        self.power_cut()
    }

    /// Which boot this is; another one after every boot.
    ///
    /// # Errors
    /// [`LabError::Guest`] while it is off.
    pub fn boot_id(&mut self) -> Result<&str, LabError> {
        Ok(&self.channels_mut("its boot id")?.boot_id)
    }

    /// The cable of that name.
    ///
    /// # Panics
    /// When the machine has no such NIC.
    #[must_use]
    pub fn nic(&self, name: &str) -> &Nic {
        self.nics
            .iter()
            .find(|nic| nic.name() == name)
            .unwrap_or_else(|| panic!("the machine has no NIC {name}"))
    }

    /// Plugs a cable in, or pulls it.
    ///
    /// # Errors
    /// [`LabError::Guest`]
    ///
    /// # Panics
    /// When the machine has no such NIC.
    pub fn set_link(&mut self, name: &str, up: bool) -> Result<(), LabError> {
        let nic = self.qemu_id(name);
        self.monitor("set_link", json!({ "name": nic, "up": up })).map(|_| ())
    }

    /// Asks the guest to let go of a NIC, as pressing the button of a hot-plug slot does, until `heard`, a line of shell,
    /// is true. When a kernel of PREEMPT_RT does not hear it, the running test is skipped.
    ///
    /// The guest gives an operator five seconds to change his mind. With PREEMPT_RT it then forgets what it was asked
    /// for, with its indicator blinking (6.1: of the two threads that the slot's interrupt has there, it wakes the one
    /// that asks the hardware), and QEMU presses no button whose indicator blinks.
    ///
    /// # Panics
    /// When the machine has no such NIC, or another kernel does not hear it.
    #[must_use]
    pub fn unplug_or_skip(&mut self, name: &str, heard: &str) -> bool {
        let nic = self.qemu_id(name);
        self.monitor("device_del", json!({ "id": nic })).expect("the slot has a button");
        let line = format!("for i in $(seq 300); do {heard} && exit 0; sleep 0.1; done; exit 1");
        let waited = self.run_within(&line, Duration::from_secs(120)).expect("the guest answers");
        if waited.success() {
            return true;
        }
        let kernel = self.must("uname -v");
        assert!(kernel.contains("PREEMPT_RT"), "{name} stays: {kernel}\n{}", self.tail());
        crate::skip(
            "unplugging a NIC: kernels of PREEMPT_RT forget what a hot-plug slot was asked",
        );
        false
    }

    fn qemu_id(&self, name: &str) -> String {
        let index = self.nics.iter().position(|nic| nic.name() == name);
        format!("nic{}", index.unwrap_or_else(|| panic!("the machine has no NIC {name}")))
    }

    /// All that the guest wrote to its serial console, of which at most the last 64 KiB.
    #[must_use]
    pub fn console(&self) -> String {
        program::tail(&self.dir.join("console.log"), usize::MAX)
    }

    /// The end of the console, and what QEMU complained about.
    fn tail(&self) -> String {
        let mut tail = program::tail(&self.dir.join("console.log"), TAIL);
        let complaints = program::tail(&self.dir.join("qemu.log"), TAIL);
        if !complaints.is_empty() {
            tail.push_str("\n----- qemu:\n");
            tail.push_str(&complaints);
        }
        tail
    }

    /// Waits until systemd has started all it should, or given up on some of it, and udev knows all devices.
    fn settle(&mut self) -> Result<(), LabError> {
        let output = self.run_within("systemctl is-system-running --wait", BOOT)?;
        match output.text().trim() {
            // The drivers of devices that no unit waits for may still be on their way, those of the NICs above all.
            "running" | "degraded" => {
                let waited = self.run("udevadm settle --timeout=100")?;
                if waited.success() {
                    return Ok(());
                }
                let why = io::Error::other(format!("udev does not come to rest: {waited:?}"));
                Err(self.failed("the boot", &why))
            }
            other => {
                let state = io::Error::other(format!("systemd says that it is {other}"));
                Err(self.failed("the boot", &state))
            }
        }
    }

    /// A command for QEMU.
    pub(crate) fn monitor(
        &mut self,
        command: &str,
        arguments: serde_json::Value,
    ) -> Result<serde_json::Value, LabError> {
        let answer = self.channels_mut(command)?.qmp.execute(command, arguments);
        answer.map_err(|error| self.failed(command, &error))
    }

    /// Asks the agent something, after a new beginning if the last thing went wrong.
    fn ask<T>(
        &mut self,
        what: &str,
        ask: impl FnOnce(&mut Agent) -> io::Result<T>,
    ) -> Result<T, LabError> {
        if !self.channels_mut(what)?.in_step {
            self.step_in(what, Instant::now() + START)?;
        }
        let channels = self.channels_mut(what)?;
        let answer = ask(&mut channels.agent);
        channels.in_step = answer.is_ok();
        answer.map_err(|error| self.failed(what, &error))
    }

    /// Begins a conversation with the agent.
    fn step_in(&mut self, what: &str, deadline: Instant) -> Result<(), LabError> {
        let channels = self.channels_mut(what)?;
        match channels.agent.sync(deadline) {
            Ok(boot_id) => {
                channels.in_step = true;
                channels.boot_id = boot_id;
                Ok(())
            }
            Err(error) => Err(self.failed(what, &error)),
        }
    }

    fn channels_mut(&mut self, what: &str) -> Result<&mut Channels, LabError> {
        self.channels.as_mut().ok_or_else(|| LabError::Guest {
            what: format!("{what}: the machine is off"),
            console: String::new(),
        })
    }

    fn failed(&self, what: &str, error: &io::Error) -> LabError {
        let why = match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe => {
                "the machine is gone".into()
            }
            io::ErrorKind::TimedOut => "it does not answer".into(),
            _ => error.to_string(),
        };
        LabError::Guest { what: format!("{what}: {why}"), console: self.tail() }
    }
}

impl Guest {
    /// Stops the machine, and writes its memory, its disk and its console to a folder.
    pub(crate) fn save(mut self, to: &Path) -> Result<(), LabError> {
        self.monitor("stop", json!({}))?;
        self.monitor("migrate-set-capabilities", crate::snapshot::capabilities())?;
        // As fast as the disk is.
        self.monitor("migrate-set-parameters", json!({ "max-bandwidth": 0 }))?;
        self.monitor("migrate", json!({ "uri": format!("file:{}", to.join("memory").display()) }))?;
        self.migrated("saving memory")?;
        // QEMU has let go of the disk, and written all it knew about it.
        self.power_cut()?;
        for name in KEPT {
            let from = self.dir.join(name);
            fs::copy(&from, to.join(name)).map_err(LabError::file("copy", &from))?;
        }
        Ok(())
    }
}
