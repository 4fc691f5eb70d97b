//! `barewired` as a process: started, waited for, asked, stopped; killed and shown when a test fails.

use std::{
    io::{self, BufRead as _, BufReader},
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use serde::de::DeserializeOwned;

use crate::{
    Netns, Site,
    http::{self, Answer},
    programs, wait,
};

/// How to start a daemon.
#[derive(Debug)]
pub struct Setup<'a> {
    site: &'a Site,
    config: PathBuf,
    netns: Option<&'a Netns>,
    is_nobody: bool,
    environment: Vec<(String, String)>,
    socket: PathBuf,
}

impl<'a> Setup<'a> {
    /// With this configuration, in which `{dir}` is the site's directory. A `[control]` section with a socket in the
    /// site is added unless there is one.
    #[must_use]
    pub fn new(site: &'a Site, config: &str) -> Setup<'a> {
        let config = with_control(config);
        let config = site.write("barewired.toml", &config);
        Setup {
            site,
            config,
            netns: None,
            is_nobody: false,
            environment: Vec::new(),
            socket: site.path("control.sock"),
        }
    }

    /// In a network namespace.
    #[must_use]
    pub fn netns(mut self, netns: &'a Netns) -> Self {
        self.netns = Some(netns);
        self
    }

    /// As nobody, without a capability and without a way to get one. Takes root; the site becomes everybody's.
    #[must_use]
    pub fn as_nobody(mut self) -> Self {
        self.is_nobody = true;
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Starts it, without waiting.
    ///
    /// # Panics
    /// When it can not be started at all.
    #[must_use]
    pub fn spawn(self) -> Daemon {
        let notify = self.site.path("notify.sock");
        let _left_by_an_earlier_one = std::fs::remove_file(&notify);
        let ready = UnixDatagram::bind(&notify).expect("a socket for READY");
        let program = programs::barewired();
        let mut command = match self.netns {
            Some(netns) => netns.command(&program),
            None if self.is_nobody => {
                for path in [self.site.dir(), &notify] {
                    let everybody = std::fs::Permissions::from_mode(0o777);
                    std::fs::set_permissions(path, everybody).expect("the site is ours");
                }
                let mut command = Command::new("setpriv");
                command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
                command.args(["--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]);
                command.arg(&program);
                command
            }
            None => Command::new(&program),
        };
        command
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .current_dir(self.site.dir())
            .env("NOTIFY_SOCKET", &notify)
            .env_remove("RUST_LOG")
            .envs(self.environment)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("cannot start barewired: {e}"));
        let said = Said::default();
        said.collect(child.stderr.take().expect("stderr is a pipe"));
        said.collect(child.stdout.take().expect("stdout is a pipe"));
        let notices = Said::default();
        notices.receive(ready);
        Daemon {
            child,
            notices,
            heard: 0,
            said,
            socket: self.socket,
            config: self.config,
            ended: false,
        }
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Panics
    /// When it ends before that, or does not get ready in time.
    #[must_use]
    pub fn start(self) -> Daemon {
        let mut daemon = self.spawn();
        daemon.wait_until_ready();
        daemon
    }
}

/// A configuration with a control socket in the site.
#[must_use]
pub fn with_control(config: &str) -> String {
    if config.contains("[control]") {
        config.to_owned()
    } else {
        format!("{config}\n[control]\nsocket = \"{{dir}}/control.sock\"\n")
    }
}

/// What a daemon writes, line by line, as it comes.
#[derive(Debug, Clone, Default)]
struct Said(Arc<(Mutex<Vec<String>>, Condvar)>);

impl Said {
    fn collect(&self, from: impl io::Read + Send + 'static) {
        let said = self.clone();
        thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while from.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
                said.lines().push(String::from_utf8_lossy(&line).trim_end().to_owned());
                said.0.1.notify_all();
                line.clear();
            }
        });
    }

    /// What it tells its service manager. The socket holds ten notices, and who sends one more waits.
    fn receive(&self, from: UnixDatagram) {
        let said = Arc::downgrade(&self.0);
        from.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket can time out");
        thread::spawn(move || {
            let mut notice = [0; 4096];
            while let Some(said) = said.upgrade().map(Said) {
                if let Ok(length) = from.recv(&mut notice) {
                    let notice = String::from_utf8_lossy(&notice[..length]);
                    said.lines().extend(notice.lines().map(str::to_owned));
                    said.0.1.notify_all();
                }
            }
        });
    }

    fn lines(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A running `barewired`. Killed on drop; if the test is failing, what it wrote is shown.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    /// What it told its service manager, line by line …
    notices: Said,
    /// … and how much of that was looked at.
    heard: usize,
    said: Said,
    socket: PathBuf,
    config: PathBuf,
    ended: bool,
}

/// How a daemon ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Everything it wrote.
    pub said: String,
    /// From the signal to the end.
    pub took: Duration,
}

impl Daemon {
    /// Starts it with this configuration, and waits until it is ready; see [`Setup`] for more.
    #[must_use]
    pub fn start(site: &Site, config: &str) -> Daemon {
        Setup::new(site, config).start()
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> Pid {
        i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id is positive")
    }

    /// Whether it has not ended.
    ///
    /// # Panics
    /// When the state of the process can not be had.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("the state of our child").is_none()
    }

    /// Its control socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Its configuration file.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// Waits until it says READY.
    ///
    /// # Panics
    /// When it ends before that, or not in time.
    pub fn wait_until_ready(&mut self) {
        if let Err(why) = self.notice("READY=1") {
            panic!("barewired {why}\n{}", self.state());
        }
    }

    /// Waits until it tells its service manager this, in a line of its own.
    ///
    /// # Errors
    /// When it ends before that, or does not say it in time.
    ///
    /// # Panics
    /// When the state of the process can not be had.
    pub fn notice(&mut self, wanted: &str) -> Result<(), String> {
        let deadline = Instant::now() + wait::PATIENCE;
        let mut lines = self.notices.lines();
        loop {
            if let Some(at) = lines.iter().skip(self.heard).position(|line| line == wanted) {
                self.heard += at + 1;
                return Ok(());
            }
            if self.child.try_wait().expect("the state of our child").is_some() {
                return Err(format!("ended instead of saying {wanted}"));
            }
            if Instant::now() > deadline {
                return Err(format!("does not say {wanted}"));
            }
            // Not longer, to look at the process again.
            let a_while = Duration::from_millis(20);
            let waited = self.notices.0.1.wait_timeout(lines, a_while);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Everything it has told its service manager so far, line by line.
    #[must_use]
    pub fn notices(&self) -> Vec<String> {
        self.notices.lines().clone()
    }

    /// Everything it has written so far.
    #[must_use]
    pub fn said(&self) -> String {
        self.said.lines().join("\n")
    }

    /// Waits until it has written a line that contains this, and gives it back.
    ///
    /// # Panics
    /// When it does not, in time.
    pub fn wait_for_line(&self, wanted: &str) -> String {
        let deadline = Instant::now() + wait::PATIENCE;
        let mut lines = self.said.lines();
        loop {
            if let Some(line) = lines.iter().find(|line| line.contains(wanted)) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                drop(lines);
                panic!("barewired does not write {wanted:?}\n{}", self.state());
            }
            lines =
                self.said.0.1.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// One request to the control socket.
    ///
    /// # Panics
    /// When there is no answer.
    #[must_use]
    pub fn request(&self, method: &str, path: &str, body: Option<&str>) -> Answer {
        http::request(&self.socket, method, path, body)
            .unwrap_or_else(|e| panic!("no answer to {method} {path}: {e}\n{}", self.state()))
    }

    /// `GET`, and the answer as what it should be.
    ///
    /// # Panics
    /// When there is none, or it is something else.
    #[must_use]
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> T {
        let answer = self.request("GET", path, None);
        assert_eq!(answer.status, 200, "GET {path}: {}\n{}", answer.body, self.state());
        answer.parse()
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> api::Counters {
        self.get("/v1/counters")
    }

    /// Waits until every frame of this many has been received and is accounted for: none is inside any more.
    ///
    /// # Panics
    /// When that does not happen in time, or more are received.
    pub fn wait_until_through(&self, frames: u64) -> api::Counters {
        let mut last = None;
        let begun = Instant::now();
        while begun.elapsed() < wait::PATIENCE {
            let counters = self.counters();
            let Balance { received, sent, dropped, .. } = Balance::of(&counters);
            assert!(received <= frames, "received {received} of {frames} frames\n{}", self.state());
            if received == frames && sent + dropped == frames {
                return counters;
            }
            last = Some(counters);
            thread::sleep(Duration::from_millis(5));
        }
        panic!("not all {frames} frames came through: {last:#?}\n{}", self.state());
    }

    /// `barewire` with these arguments, at this daemon's socket.
    ///
    /// # Panics
    /// When it can not be run.
    #[must_use]
    pub fn barewire<const N: usize>(&self, args: [&str; N]) -> Output {
        Command::new(programs::barewire())
            .arg("--socket")
            .arg(&self.socket)
            .args(args)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|e| panic!("cannot run barewire: {e}"))
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal)
            .unwrap_or_else(|e| panic!("{signal:?}: {e}\n{}", self.state()));
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn stop(self) -> Ended {
        self.end_by(Signal::TERM)
    }

    /// A signal that ends it, and how it ended.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn end_by(self, signal: Signal) -> Ended {
        self.signal(signal);
        self.wait()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end in time.
    #[must_use]
    pub fn wait(mut self) -> Ended {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("the state of our child") {
                break status;
            }
            assert!(begun.elapsed() < wait::PATIENCE, "barewired does not end\n{}", self.state());
            thread::sleep(Duration::from_millis(2));
        };
        self.ended = true;
        // The pipes' last lines: the collectors end when the pipes do.
        let said = Arc::downgrade(&self.said.0);
        let lines = self.said.clone();
        wait::until("barewired's last words", || (said.strong_count() <= 2).then_some(()));
        let said = lines.lines().join("\n");
        Ended { status, said, took: begun.elapsed() }
    }

    /// What is known of it, for the message of a failing test.
    #[must_use]
    pub fn state(&self) -> String {
        let config = std::fs::read_to_string(&self.config).unwrap_or_default();
        let said = self.said.lines().join("\n");
        let counters = http::request(&self.socket, "GET", "/v1/counters", None)
            .map_or_else(|e| e.to_string(), |answer| answer.body);
        format!(
            "--- configuration\n{config}\n--- barewired wrote\n{said}\n--- counters\n{counters}\n---"
        )
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        if thread::panicking() {
            let said = self.said.lines().join("\n");
            eprintln!("--- barewired wrote\n{said}\n---");
        }
        let _gone_already = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sums over all workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Balance {
    /// Frames received from ports.
    pub received: u64,
    /// Frames sent to ports.
    pub sent: u64,
    /// Frames dropped, for any reason.
    pub dropped: u64,
    /// Frames that workers hold.
    pub held: u64,
    /// Frames in rings.
    pub in_rings: u64,
}

impl Balance {
    /// Added up from the workers' own counters, not taken from the daemon's sum.
    ///
    /// # Panics
    /// When more was taken from rings than put into them.
    #[must_use]
    pub fn of(counters: &api::Counters) -> Balance {
        let sum =
            |of: fn(&api::WorkerCounters) -> u64| counters.workers.iter().map(of).sum::<u64>();
        let handed = sum(|worker| worker.handed);
        let taken = sum(|worker| worker.taken);
        Balance {
            received: sum(|worker| worker.received),
            sent: sum(|worker| worker.sent),
            dropped: sum(|worker| worker.dropped.values().sum()),
            held: sum(|worker| worker.held),
            // Workers are read one after the other, so a frame may be seen leaving a ring before entering it.
            in_rings: handed.saturating_sub(taken),
        }
    }
}
