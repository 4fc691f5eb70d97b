//! How a daemon is started.

use std::{
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::PathBuf,
    process::{Command, Stdio},
};

use super::{Daemon, said::Said};
use crate::{Netns, Site, programs};

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
