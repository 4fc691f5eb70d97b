//! A command with an end: what it says is bounded, and so is its time.

use std::{
    io::Read,
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use super::{HandsError, Output};

/// The most that is kept of what a command says, in bytes.
const SAID: u64 = 64 * 1024;

/// How often the end is looked for.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) fn run(command: &[&str], limit: Duration) -> Result<Output, HandsError> {
    let name = || command.join(" ");
    let failed = |source| HandsError::Run { command: name(), source };
    let [program, arguments @ ..] = command else {
        return Err(failed(std::io::ErrorKind::InvalidInput.into()));
    };
    let mut child = Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let stdout = child.stdout.take().map(listen);
    let stderr = child.stderr.take().map(listen);
    let deadline = Instant::now() + limit;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < deadline => thread::sleep(LOOK),
            Ok(None) => {
                end(&mut child);
                return Err(HandsError::TooSlow { command: name(), limit });
            }
            Err(source) => {
                end(&mut child);
                return Err(failed(source));
            }
        }
    };
    Ok(Output { code: status.code(), stdout: said(stdout), stderr: said(stderr) })
}

/// Kills it, and leaves no zombie.
fn end(child: &mut Child) {
    // It may have ended meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// Keeps the first of what comes and lets the rest pass, so that the command never blocks on a full pipe.
fn listen(mut from: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (to, received) = mpsc::channel();
    thread::spawn(move || {
        let mut kept = Vec::new();
        // What could be read before an error is what there is.
        let _ = from.by_ref().take(SAID).read_to_end(&mut kept);
        // Nobody waits any more when the command took too long.
        let _ = to.send(kept);
        let _ = std::io::copy(&mut from, &mut std::io::sink());
    });
    received
}

/// A grandchild may hold the pipe open for ever; what it says is not waited for.
fn said(received: Option<Receiver<Vec<u8>>>) -> String {
    let kept = received.and_then(|from| from.recv_timeout(Duration::from_secs(1)).ok());
    String::from_utf8_lossy(&kept.unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_says_and_how_it_ends_is_told() {
        let output =
            run(&["sh", "-c", "echo out; echo err >&2; exit 3"], Duration::from_secs(30)).unwrap();

        let expected =
            Output { code: Some(3), stdout: "out\n".to_owned(), stderr: "err\n".to_owned() };
        assert_eq!(output, expected);
    }

    #[test]
    fn a_command_that_does_not_end_is_ended() {
        let result = run(&["sleep", "1000"], Duration::from_millis(20));

        assert!(matches!(result, Err(HandsError::TooSlow { .. })), "{result:?}");
    }

    #[test]
    fn a_command_that_talks_without_end_is_cut_short_and_does_not_block() {
        let output =
            run(&["sh", "-c", "head -c 1000000 /dev/zero | tr '\\0' x"], Duration::from_secs(60))
                .unwrap();

        assert_eq!(output.code, Some(0));
        assert_eq!(output.stdout.len() as u64, SAID);
    }

    #[test]
    fn a_command_that_is_not_there_is_named() {
        let error = run(&["/no/such/command", "-x"], Duration::from_secs(1)).unwrap_err();

        assert_eq!(error.to_string(), "cannot run /no/such/command -x");
    }
}
