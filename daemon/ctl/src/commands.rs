//! What each command asks for, and what it makes of the answer.

use std::{
    io::{self, Write},
    time::Duration,
};

use api::{Latency, LatencyOf};
use clap_complete::generate;
use distribution::{encode, figures, since};
use hyper::Method;
use serde::de::DeserializeOwned;
use tokio::{runtime, time};

use crate::{
    Surroundings, bundle,
    cli::{self, Cli, Command},
    client::{Answer, Client},
    failure::Failure,
    hlog,
    metric::Metric,
    openmetrics,
    render::{self, latency::View, paint::Paint, rates::Rates},
    stop, top,
};

const PATIENCE: Duration = Duration::from_secs(5);
/// A reload may stop and start ports, and links take seconds to come up.
const RELOAD_PATIENCE: Duration = Duration::from_secs(60);

/// Runs a command that was parsed.
pub(crate) fn run(
    cli: Cli,
    surroundings: &Surroundings,
    paint: Paint,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let patience = match cli.command {
        Command::Reload(_) => RELOAD_PATIENCE,
        _ => PATIENCE,
    };
    let timeout = cli.common.timeout.map_or(patience, |seconds| seconds.0);
    let client = Client { socket: cli.common.socket, timeout };
    let mut session = Session { client, json: cli.common.json, paint, surroundings, out };
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Failure::Runtime)?
        .block_on(session.run(cli.command))
}

struct Session<'a> {
    client: Client,
    json: bool,
    paint: Paint,
    surroundings: &'a Surroundings,
    out: &'a mut dyn Write,
}

impl Session<'_> {
    async fn run(&mut self, command: Command) -> Result<(), Failure> {
        match command {
            Command::Status => self.show("/v1/status", render::status::draw).await,
            Command::Plan => self.show("/v1/plan", render::plan::draw).await,
            Command::Stages => self.show("/v1/stages", render::stages::draw).await,
            Command::Ports(args) => {
                let draw = |ports: &api::Ports, paint| {
                    render::counters::ports(&ports.ports, args.driver, paint)
                };
                self.show("/v1/ports", draw).await
            }
            Command::Drops(args) => {
                let draw =
                    |drops: &api::Drops, paint| render::counters::drops(drops, args.all, paint);
                self.show("/v1/drops", draw).await
            }
            Command::Counters(cli::Counters { rate: None }) => {
                self.show("/v1/counters", render::counters::counters).await
            }
            Command::Counters(cli::Counters { rate: Some(interval) }) => {
                self.rates(interval.0).await
            }
            Command::Latency(args) => self.latency(&args).await,
            Command::Stalls(args) => self.stalls(&args).await,
            Command::LogLevel(args) => self.log_level(args.level).await,
            Command::Reload(args) => {
                let request = api::ReloadRequest { restart_ports: args.restart_ports };
                let answer = self.client.send(Method::POST, "/v1/reload", &request).await?;
                self.print(&answer, render::steer::reload)
            }
            Command::Stop(args) => self.stop(args.wait).await,
            Command::Top(args) => self.top(&args).await,
            Command::Metrics(args) => self.metrics(&args).await,
            Command::DebugBundle(args) => {
                self.refuse_json("debug-bundle")?;
                let now = self.surroundings.now;
                let path = args.file.unwrap_or_else(|| bundle::usual_path(now));
                match bundle::make(&self.client, &path, now, args.journal_lines).await {
                    Ok(contents) => {
                        self.write(format!("{contents}\n{}\n", path.display()).as_bytes())
                    }
                    Err(source) => Err(Failure::Bundle { path, source }),
                }
            }
            Command::Completions { shell } => {
                self.refuse_json("completions")?;
                // clap panics when its writer fails, so it gets one that does not.
                let mut script = Vec::new();
                generate(shell, &mut crate::command(), "barewire", &mut script);
                self.write(&script)
            }
            Command::Man { folder } => {
                self.refuse_json("man")?;
                clap_mangen::generate_to(crate::command(), &folder)
                    .map_err(|source| Failure::Man { path: folder, source })
            }
        }
    }

    /// Asks for one thing and shows it.
    async fn show<T: DeserializeOwned>(
        &mut self,
        path: &str,
        draw: impl FnOnce(&T, Paint) -> String,
    ) -> Result<(), Failure> {
        let answer = self.client.get(path).await?;
        self.print(&answer, draw)
    }

    fn print<T>(
        &mut self,
        answer: &Answer<T>,
        draw: impl FnOnce(&T, Paint) -> String,
    ) -> Result<(), Failure> {
        if self.json {
            self.line(answer.text.trim())
        } else {
            let text = draw(&answer.value, self.paint);
            self.write(text.as_bytes())
        }
    }

    fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.write(format!("{text}\n").as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.out.write_all(bytes).and_then(|()| self.out.flush()).map_err(Failure::Output)
    }

    fn refuse_json(&self, command: &'static str) -> Result<(), Failure> {
        if self.json { Err(Failure::NoJson(command)) } else { Ok(()) }
    }

    async fn rates(&mut self, interval: Duration) -> Result<(), Failure> {
        let earlier: Answer<api::Counters> = self.client.get("/v1/counters").await?;
        time::sleep(interval).await;
        let later: Answer<api::Counters> = self.client.get("/v1/counters").await?;
        let rates = Rates::between(&earlier.value, &later.value)?;
        if self.json {
            self.line(&json(&rates))
        } else {
            let text = render::rates::draw(&rates, self.paint);
            self.write(text.as_bytes())
        }
    }

    async fn latency(&mut self, args: &cli::Latency) -> Result<(), Failure> {
        let mut answer: Answer<Latency> = self.client.get("/v1/latency").await?;
        let mut length = Duration::from_nanos(answer.value.at_ns);
        let mut when = "since the start".to_owned();
        if let Some(interval) = args.interval {
            time::sleep(interval.0).await;
            let later: Answer<Latency> = self.client.get("/v1/latency").await?;
            length = Duration::from_nanos(later.value.at_ns).saturating_sub(length);
            when = format!("in {:.1} s", length.as_secs_f64());
            let between = between(&answer.value, later.value)?;
            answer = Answer { text: json(&between), value: between };
        }
        if args.worker.is_some() || args.port.is_some() {
            answer.value.entries.retain(|entry| {
                args.worker.is_none_or(|worker| entry.worker == Some(worker))
                    && args.port.as_ref().is_none_or(|port| entry.port == *port)
            });
            if answer.value.entries.is_empty() {
                return Err(Failure::NoSuchEntry { what: filters(args) });
            }
            answer.text = json(&answer.value);
        }
        if self.json {
            return self.line(answer.text.trim());
        }
        if let Some(path) = &args.hlog {
            hlog::write(path, &answer.value, self.surroundings.now, length)
                .map_err(|source| Failure::Hlog { path: path.clone(), source })?;
        }
        let columns = self.surroundings.columns.map_or(80, usize::from);
        let view = View { summary: args.summary, when: &when, columns };
        let text = render::latency::draw(&answer.value, view, self.paint)?;
        self.write(text.as_bytes())
    }

    async fn metrics(&mut self, args: &cli::Metrics) -> Result<(), Failure> {
        self.refuse_json("metrics")?;
        let status = self.client.get("/v1/status").await?.value;
        let counters = self.client.get("/v1/counters").await?.value;
        let latency: Answer<Latency> = self.client.get("/v1/latency").await?;
        let reading = openmetrics::Reading::new(status, counters, &latency.value)?;
        let page = reading.into_text().map_err(io::Error::other).map_err(Failure::Output)?;
        match &args.file {
            None => self.write(page.as_bytes()),
            Some(path) => openmetrics::write(path, &page)
                .map_err(|source| Failure::Metrics { path: path.clone(), source }),
        }
    }

    async fn stalls(&mut self, args: &cli::Stalls) -> Result<(), Failure> {
        let mut answer: Answer<api::Stalls> = self.client.get("/v1/stalls").await?;
        if !args.follow {
            return self.print(&answer, render::stalls::draw);
        }
        loop {
            if self.json {
                for stall in &answer.value.stalls {
                    self.line(&json(stall))?;
                }
            } else {
                let text = render::stalls::more(&answer.value, self.paint);
                self.write(text.as_bytes())?;
            }
            time::sleep(args.every.0).await;
            answer = self.client.get(&stalls_after(&answer.value.next)).await?;
        }
    }

    async fn log_level(&mut self, level: Option<String>) -> Result<(), Failure> {
        let answer = match level {
            None => self.client.get("/v1/log-level").await?,
            Some(level) => {
                let request = api::LogLevel { schema: api::SCHEMA, level };
                self.client.send(Method::PUT, "/v1/log-level", &request).await?
            }
        };
        self.print(&answer, render::steer::log_level)
    }

    async fn stop(&mut self, and_wait: bool) -> Result<(), Failure> {
        let nothing = serde_json::Map::new();
        let answer: Answer<api::Stopping> =
            self.client.send(Method::POST, "/v1/stop", &nothing).await?;
        if and_wait {
            stop::wait(&answer.value, self.client.timeout)?;
        }
        self.print(&answer, |stopping, paint| render::steer::stopping(stopping, and_wait, paint))
    }

    async fn top(&mut self, args: &cli::Top) -> Result<(), Failure> {
        if args.once || self.json {
            let view = top::look_twice(&self.client, args.every.0).await?;
            if self.json {
                return self.line(&json(&view));
            }
            let text = top::one_frame(&view, args.tab, self.surroundings.columns);
            return self.write(text.as_bytes());
        }
        if !self.surroundings.stdout_is_terminal {
            return Err(Failure::NoTerminal);
        }
        top::live(&self.client, args.every.0, args.tab, self.paint).await
    }
}

/// What to ask for after an answer that ended so: one number for each worker.
pub(crate) fn stalls_after(next: &[u64]) -> String {
    let numbers: Vec<String> = next.iter().map(u64::to_string).collect();
    format!("/v1/stalls?after={}", numbers.join(","))
}

/// `worker 3 sent nothing to port "north"`
fn filters(args: &cli::Latency) -> String {
    let port = args.port.as_ref().map_or_else(String::new, |port| format!(" to port \"{port}\""));
    match args.worker {
        Some(worker) => format!("worker {worker} sent nothing{port}"),
        None => format!("nothing was sent{port}"),
    }
}

fn json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("answers are structs, maps with text keys and numbers")
}

/// The distributions of what came between two readings. An entry that is new counts from nothing.
fn between(earlier: &Latency, later: Latency) -> Result<Latency, Failure> {
    let entries = later.entries.into_iter().map(|now| {
        let before = earlier
            .entries
            .iter()
            .find(|before| before.worker == now.worker && before.port == now.port);
        Ok(LatencyOf {
            residence: subtract(Metric::Residence, before, &now)?,
            bound: subtract(Metric::Bound, before, &now)?,
            bound_stamped: now
                .bound_stamped
                .saturating_sub(before.map_or(0, |before| before.bound_stamped)),
            ..now
        })
    });
    Ok(Latency { entries: entries.collect::<Result<_, Failure>>()?, ..later })
}

fn subtract(
    metric: Metric,
    earlier: Option<&LatencyOf>,
    later: &LatencyOf,
) -> Result<api::Distribution, Failure> {
    let now = metric.read(later)?;
    let histogram = match earlier {
        None => now,
        Some(earlier) => since(&metric.read(earlier)?, &now).ok_or(render::rates::Restarted)?,
    };
    let text = encode(&histogram);
    Ok(figures(&histogram, text))
}
