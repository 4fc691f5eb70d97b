//! TRex as a second generator: it knows nothing of ours, so what both say of a path is worth more than what one does.
//!
//! ```text
//!  barewire-bench ─┬─► t-rex-64 -i          the generator, with the ports of its own configuration
//!                  └─► python3 client.py    its own client library: a plan in, a line for each trial out
//! ```
//! TRex is not shipped: it has to be installed, and its directory named. Its times are one way through the path, from port to
//! port, as are ours; they are averages and extremes, not distributions, and are never put into our tables.

use std::{
    fs,
    io::{self, Write as _},
    net::Ipv4Addr,
    path::{Path, PathBuf},
    time::Duration,
};

use config::MacAddress;
use serde::{Deserialize, Serialize};

use crate::{
    cli::TrexArgs,
    exit::Exit,
    interrupt::{Interrupt, STEP},
    program::{CommandLine, Deadline, Program, ProgramError},
    say,
};

/// The format of `trex.json`.
pub const SCHEMA: &str = "barewire-bench/trex/1";

/// How long TRex may take until it can be talked to: it maps its memory and waits for its links.
const CONNECT: Duration = Duration::from_secs(90);

/// How long it may take to say what came of a trial, besides the trial.
const ANSWER: Duration = Duration::from_secs(30);

/// How long the last frames are waited for.
const DRAIN: Duration = Duration::from_millis(500);

/// The first source port of our own probes, and their destination.
const PORTS: (u16, u16) = (49_152, 7);

/// Where its client library is, from its directory.
const LIBRARY: &str = "automation/trex_control_plane/interactive";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum TrexError {
    /// It is not there.
    #[error("no TRex in {}: there is no {missing} in it (unpack a release of TRex, and name that directory)", dir.display())]
    Absent {
        /// Where.
        dir: PathBuf,
        /// What is missing.
        missing: &'static str,
    },
    /// It, or its client, did not do what it should.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// Its client says something else.
    #[error("TRex's client said \"{said}\", which is no result")]
    Nonsense {
        /// What.
        said: String,
        /// Why.
        source: serde_json::Error,
    },
    /// A file or directory.
    #[error("{what}")]
    Io {
        /// What failed.
        what: String,
        /// Why.
        source: io::Error,
    },
}

impl TrexError {
    /// How the program ends with it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Absent { .. } => Exit::Skipped,
            Self::Program(ProgramError::Interrupted(_)) => Exit::Interrupted,
            Self::Program(_) | Self::Nonsense { .. } | Self::Io { .. } => Exit::Failure,
        }
    }
}

/// What it is told.
#[derive(Debug, Serialize)]
struct Order<'a> {
    ports: [u8; 2],
    mac: MacAddress,
    source: Ipv4Addr,
    destination: Ipv4Addr,
    first_port: u16,
    port: u16,
    flows: u16,
    loads: &'a [f64],
    sizes: &'a [usize],
    seconds: f64,
    drain_ms: u128,
    connect_s: u64,
}

/// What it answers first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    version: String,
}

/// What came of a trial, as TRex counts. Times are in µs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrexTrial {
    /// Frames a second.
    pub load: f64,
    /// Bytes of a frame, with its check sequence.
    pub size: usize,
    /// For how long, in seconds.
    pub seconds: f64,
    /// Frames that left the first port.
    pub sent: u64,
    /// Frames that came in at the second.
    pub returned: u64,
    /// Of the frames that are timed, at most a thousand a second.
    pub average_us: f64,
    /// The shortest.
    pub least_us: f64,
    /// The longest.
    pub most_us: f64,
    /// As RFC 3550 has it.
    pub jitter_us: f64,
    /// Timed ones that did not come.
    pub timed_lost: u64,
    /// Timed ones that came behind a later one.
    pub timed_reordered: u64,
    /// Timed ones that came twice.
    pub timed_twice: u64,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrexResult {
    /// [`SCHEMA`]
    pub schema: String,
    /// What TRex says of itself.
    pub trex: String,
    /// How it was started.
    pub command: String,
    /// Each trial.
    pub trials: Vec<TrexTrial>,
}

/// Starts it, lets it send, and says what came of it.
///
/// # Errors
/// [`TrexError`]; nothing of it runs then.
pub fn run(args: &TrexArgs) -> Result<Exit, TrexError> {
    let dir = args.dir.canonicalize().unwrap_or_else(|_| args.dir.clone());
    let missing = ["t-rex-64", LIBRARY].into_iter().find(|name| !dir.join(name).exists());
    if let Some(missing) = missing {
        return Err(TrexError::Absent { dir, missing });
    }
    let interrupt = Interrupt::install().map_err(io("cannot catch signals"))?;
    let cpus = linux::thread::affinity()
        .map_err(|error| io("cannot read this process's CPUs")(io::Error::other(error)))?;
    let files = tempfile::tempdir().map_err(io("cannot make a directory for the client"))?;
    let script = files.path().join("client.py");
    fs::write(&script, include_str!("client.py")).map_err(io("cannot write the client"))?;

    let config = args.config.display().to_string();
    let line = CommandLine::new(&dir.join("t-rex-64")).args(["-i", "--iom", "0", "--cfg", &config]);
    let mut server = Program::start("t-rex-64", &line, &dir, &cpus)?;
    let mut python = CommandLine::new(Path::new("python3")).args([&script]);
    let library = dir.join(LIBRARY).into_os_string();
    python.environment.push(("PYTHONPATH".to_owned(), library));
    let mut client = Program::start("TRex's client", &python, files.path(), &cpus)?;
    let order =
        serde_json::to_string(&order(args)).map_err(|error| io("no order")(error.into()))?;
    client.say(&order)?;

    let mut talk = Talk { server: &mut server, client: &mut client, interrupt: &interrupt };
    let Hello { version } = talk.hear("connecting", CONNECT + ANSWER)?;
    let mut trials = Vec::new();
    for number in 0..args.sizes.len() * args.loads.len() {
        say::progress(format_args!(
            "trial {} of {}",
            number + 1,
            args.sizes.len() * args.loads.len()
        ));
        let trial: TrexTrial =
            talk.hear("sending", Duration::from_secs_f64(args.seconds) + DRAIN + ANSWER)?;
        trials.push(trial);
    }
    say::end_of_progress();
    client.wait(&Deadline::after(ANSWER), &interrupt)?;
    let command = line.shown();
    let result = TrexResult { schema: SCHEMA.to_owned(), trex: version, command, trials };
    tell(args, &result)?;
    Ok(Exit::Measured)
}

fn io(what: &str) -> impl FnOnce(io::Error) -> TrexError + use<> {
    let what = what.to_owned();
    move |source| TrexError::Io { what, source }
}

fn order(args: &TrexArgs) -> Order<'_> {
    let TrexArgs { mac, source, destination, flows, loads, sizes, seconds, .. } = args;
    Order {
        ports: [0, if args.one_port { 0 } else { 1 }],
        mac: *mac,
        source: *source,
        destination: *destination,
        first_port: PORTS.0,
        port: PORTS.1,
        flows: *flows,
        loads,
        sizes,
        seconds: *seconds,
        drain_ms: DRAIN.as_millis(),
        connect_s: CONNECT.as_secs(),
    }
}

/// The generator and its client.
struct Talk<'a> {
    server: &'a mut Program,
    client: &'a mut Program,
    interrupt: &'a Interrupt,
}

impl Talk<'_> {
    /// The next line that is a result; TRex's library may say other things in between.
    fn hear<T: for<'de> Deserialize<'de>>(
        &mut self,
        doing: &str,
        limit: Duration,
    ) -> Result<T, TrexError> {
        let deadline = Deadline::after(limit);
        loop {
            match self.client.hear(
                doing,
                &Deadline::after(deadline.left().min(STEP)),
                self.interrupt,
            ) {
                Ok(line) if line.starts_with('{') => {
                    return serde_json::from_str(&line).map_err(|source| TrexError::Nonsense {
                        said: line.chars().take(200).collect(),
                        source,
                    });
                }
                Ok(_) => {}
                Err(ProgramError::Late { .. }) if self.server.has_ended() => {
                    return Err(self.server.ended(doing).into());
                }
                Err(ProgramError::Late { .. }) if deadline.has_passed() => {
                    return Err(self.client.late(doing, &deadline).into());
                }
                Err(ProgramError::Late { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn tell(args: &TrexArgs, result: &TrexResult) -> Result<(), TrexError> {
    let json = serde_json::to_string_pretty(result)
        .map_err(|error| io("cannot write the result")(error.into()))?;
    if let Some(file) = &args.out {
        let what = format!("cannot write {}", file.display());
        fs::write(file, format!("{json}\n")).map_err(io(&what))?;
    }
    let text = if args.json { format!("{json}\n") } else { table(result) };
    let mut out = io::stdout();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.map_err(io("cannot write the answer")),
    }
}

/// For a terminal.
fn table(result: &TrexResult) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "TRex ({}); from port to port, in µs; an average, without distribution\n{:>10} {:>6} {:>12} {:>12} {:>10} {:>9} {:>9} {:>9}\n",
        result.trex, "frames/s", "bytes", "sent", "returned", "lost", "average", "least", "most"
    );
    for trial in &result.trials {
        let lost = trial.sent.saturating_sub(trial.returned);
        let _infallible = writeln!(
            text,
            "{:>10.0} {:>6} {:>12} {:>12} {:>10} {:>9.1} {:>9.1} {:>9.1}",
            trial.load,
            trial.size,
            trial.sent,
            trial.returned,
            lost,
            trial.average_us,
            trial.least_us,
            trial.most_us
        );
    }
    text
}
