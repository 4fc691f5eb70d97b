//! A Chromium without a window, spoken to over two pipes in the DevTools protocol: messages of JSON, each ended by a NUL.
#![expect(clippy::unwrap_used, reason = "a helper of tests that fails says where")]

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

/// A busy machine starts it slowly; a browser that is stuck has to end all the same.
const PATIENCE: Duration = Duration::from_secs(120);

/// A browser with one page.
pub(crate) struct Browser {
    child: Child,
    say: ChildStdin,
    hear: Receiver<Value>,
    next: u64,
    session: Option<String>,
    /// Events of the page so far, in order.
    pub(crate) events: Vec<Value>,
    _home: tempfile::TempDir,
}

/// The browser's file; says so when there is none.
pub(crate) fn find(test: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::split_paths(&path)
        .flat_map(|dir| names.map(|name| dir.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        eprintln!("SKIPPED: {test}: no chromium (Debian: chromium)");
    }
    found
}

impl Browser {
    pub(crate) fn start(file: &Path) -> Self {
        let home = tempfile::tempdir().unwrap();
        // It reads from 3 and writes to 4: our pipes, without a line of unsafe code.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 0</dev/null 1>&2"])
            .arg(file)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
                "--disable-dev-shm-usage",
                "--hide-scrollbars",
                "--remote-debugging-pipe",
            ])
            .arg(format!("--user-data-dir={}", home.path().display()))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let say = child.stdin.take().unwrap();
        let mut from = BufReader::new(child.stdout.take().unwrap());
        let (send, hear) = channel();
        thread::spawn(move || {
            let mut message = Vec::new();
            while from.read_until(0, &mut message).is_ok_and(|count| count > 0) {
                message.pop();
                let Ok(value) = serde_json::from_slice(&message) else { return };
                if send.send(value).is_err() {
                    return;
                }
                message.clear();
            }
        });
        let mut browser =
            Self { child, say, hear, next: 0, session: None, events: Vec::new(), _home: home };
        let target = browser.ask("Target.createTarget", json!({"url": "about:blank"}));
        let attach = json!({"targetId": target["targetId"], "flatten": true});
        let attached = browser.ask("Target.attachToTarget", attach);
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log", "Network"] {
            browser.ask(&format!("{domain}.enable"), json!({}));
        }
        browser
    }

    /// Asks something and waits for the answer.
    pub(crate) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({"id": id, "method": method, "params": params});
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        self.say.write_all(message.to_string().as_bytes()).unwrap();
        self.say.write_all(&[0]).unwrap();
        self.say.flush().unwrap();
        let answer = self.wait(method, |message| message["id"] == json!(id));
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// The next message of a kind; the others before it are kept.
    fn wait(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let message =
                self.hear.recv_timeout(left).unwrap_or_else(|error| panic!("{what}: {error}"));
            if message.get("method").is_some() {
                self.events.push(message.clone());
            }
            if is_it(&message) {
                return message;
            }
        }
    }

    /// As a screen of this size, in one of both colour schemes.
    pub(crate) fn look(&mut self, width: u32, height: u32, scheme: &str) {
        let screen = json!({
            "width": width, "height": height, "deviceScaleFactor": 2, "mobile": width < 600,
        });
        self.ask("Emulation.setDeviceMetricsOverride", screen);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.ask("Emulation.setEmulatedMedia", json!({"media": "", "features": features}));
    }

    /// Opens a file and waits until it is loaded.
    pub(crate) fn open(&mut self, file: &Path) {
        let url = format!("file://{}", file.display());
        let loaded = |message: &Value| message["method"] == "Page.loadEventFired";
        let before = self.events.iter().filter(|event| loaded(event)).count();
        self.ask("Page.navigate", json!({"url": url}));
        if self.events.iter().filter(|event| loaded(event)).count() == before {
            self.wait("loading", loaded);
        }
    }

    /// What an expression is on the page.
    pub(crate) fn value(&mut self, expression: &str) -> Value {
        let params = json!({"expression": expression, "returnByValue": true});
        let found = self.ask("Runtime.evaluate", params);
        assert!(found.get("exceptionDetails").is_none(), "{expression}: {found}");
        found["result"]["value"].clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.session = None;
        let close = json!({"id": 0, "method": "Browser.close"}).to_string();
        let _gone = self.say.write_all(close.as_bytes()).and_then(|()| self.say.write_all(&[0]));
        let _gone = self.say.flush();
        // Its output ends when it and its helpers have.
        let deadline = Instant::now() + Duration::from_secs(10);
        while let left = deadline.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && self.hear.recv_timeout(left).is_ok()
        {}
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
