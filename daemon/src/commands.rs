//! The verbs: each takes the chain of values one step further and prints it.

use std::{
    io::{self, Write as _},
    path::Path,
    time::Instant,
};

use config::{Config, Errors};
use linux::Root;

use crate::{
    cli::{Cli, Command, GraphFormat, PlanArgs, Source},
    eal_args::eal_args,
    exit::Exit,
    facts::Facts,
    logging::{self, Logging},
    plan::{Plan, PlanError},
    runtime::{self, RunError},
};

/// Does what the command line says.
pub(crate) fn run(cli: Cli, started: Instant) -> Exit {
    match cli.command {
        Command::Check(source) => check(&source),
        Command::Graph(args) => match load(&args.source) {
            Ok(config) => graph(&config, args.source.json, args.format),
            Err(exit) => exit,
        },
        Command::Plan(args) => plan(&args),
        Command::Completions { shell } => completions(shell),
        Command::Man { folder } => man(&folder),
        Command::Run(source) => match load(&source) {
            Ok(config) => {
                let mut logging = Logging::start(&config.log, cli.color);
                match runtime::run(config, &source.config, started, &mut logging) {
                    Ok(exit) => exit,
                    Err(error) => {
                        complain(&error.to_string(), error.help());
                        error.exit()
                    }
                }
            }
            Err(exit) => exit,
        },
    }
}

/// A line of talk. Where nobody hears it the exit code says the rest.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// One error, its causes are in the text.
fn complain(error: &str, help: Option<String>) {
    // Every line of it is an error's, to the journal.
    let priority = if logging::is_journal() { "<3>" } else { "" };
    for line in format!("barewired: {error}").lines() {
        say(&format!("{priority}{line}"));
    }
    if let Some(help) = help {
        say(&format!("{priority}help: {help}"));
    }
}

fn load(source: &Source) -> Result<Config, Exit> {
    config::load(&source.config).map_err(|errors| refuse(&errors, source.json))
}

fn refuse(errors: &Errors, json: bool) -> Exit {
    if json {
        let mut value = serde_json::to_value(errors).unwrap_or_default();
        value["schema"] = api::SCHEMA.into();
        if print(&format!("{value:#}\n")) == Exit::Failure {
            return Exit::Failure;
        }
    }
    say(&errors.to_string());
    Exit::Config
}

fn check(source: &Source) -> Exit {
    let config = match load(source) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if source.json {
        let value = serde_json::json!({ "schema": api::SCHEMA, "errors": [], "config": config });
        return print(&format!("{value:#}\n"));
    }
    let (ports, stages) = (config.ports.len(), config.stages.len());
    print(&format!("{}: ok ({ports} ports, {stages} stages)\n", source.config.display()))
}

fn graph(config: &Config, json: bool, format: GraphFormat) -> Exit {
    let graph = config.graph();
    if json {
        let mut value = serde_json::to_value(&graph).unwrap_or_default();
        value["schema"] = api::SCHEMA.into();
        return print(&format!("{value:#}\n"));
    }
    match format {
        GraphFormat::Dot => print(&config.to_dot()),
        GraphFormat::Text => {
            let line = |edge: &config::GraphEdge| {
                format!("{} -> {} ({})\n", edge.from, edge.to, edge.label)
            };
            print(&graph.edges.iter().map(line).collect::<String>())
        }
    }
}

fn plan(args: &PlanArgs) -> Exit {
    let config = match load(&args.source) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    let facts = Root::at(&args.root)
        .map_err(RunError::from)
        .and_then(|root| Facts::read(&root, &config).map_err(RunError::from));
    let facts = match facts {
        Ok(facts) => facts,
        Err(error) => {
            complain(&error.to_string(), error.help());
            return error.exit();
        }
    };
    match Plan::new(&config, &facts) {
        Ok(plan) => show(&plan, args.source.json),
        Err(errors) => {
            for error in &errors {
                complain(&error.to_string(), Some(PlanError::help(error)));
            }
            Exit::Machine
        }
    }
}

fn show(plan: &Plan, json: bool) -> Exit {
    let told = plan.to_api(eal_args(plan, "barewire"));
    if json {
        return match serde_json::to_string_pretty(&told) {
            Ok(text) => print(&format!("{text}\n")),
            Err(error) => {
                complain(&error.to_string(), None);
                Exit::Failure
            }
        };
    }
    let mut text = format!("mode          {}\nhousekeeping  {}\n", told.mode, told.housekeeping);
    let queues = |queues: &[api::PlanQueue]| {
        let each = queues.iter().map(|queue| format!("{}:{}", queue.port, queue.queue));
        each.collect::<Vec<_>>().join(" ")
    };
    for worker in &told.workers {
        text += &format!(
            "worker {}      cpu {}, {}, rx {}, tx {}\n",
            worker.worker,
            worker.cpu,
            worker.role,
            queues(&worker.rx),
            queues(&worker.tx)
        );
    }
    for port in &told.ports {
        let node = port.node.map_or_else(|| "any".to_owned(), |node| node.to_string());
        text += &format!(
            "port          {} ({}), node {node}, pool {}\n",
            port.name, port.device, port.pool
        );
    }
    for pool in &told.pools {
        text += &format!(
            "pool          {}: {} buffers of {} bytes\n",
            pool.name, pool.buffers, pool.data_room
        );
    }
    for ring in &told.rings {
        text += &format!(
            "ring          worker {} -> worker {}: {}\n",
            ring.from, ring.to, ring.capacity
        );
    }
    for cpu in &told.cpus {
        text += &format!("cpu {:<9} {}\n", cpu.cpu, cpu.reason);
    }
    text += &format!("eal           {}\n", told.eal_args.join(" "));
    for warning in &told.warnings {
        say(&format!("warning: {warning}"));
    }
    for shortage in &plan.shortages {
        say(&format!("help: {}", shortage.help()));
    }
    print(&text)
}

fn completions(shell: clap_complete::Shell) -> Exit {
    let mut command = <Cli as clap::CommandFactory>::command();
    // clap panics when its writer fails, so it gets one that does not.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, "barewired", &mut script);
    print(&String::from_utf8_lossy(&script))
}

/// Writes the manual pages.
fn man(folder: &Path) -> Exit {
    let command = <Cli as clap::CommandFactory>::command();
    match clap_mangen::generate_to(command, folder) {
        Ok(()) => Exit::Success,
        Err(error) => {
            complain(&format!("can not write manual pages to {}: {error}", folder.display()), None);
            Exit::Failure
        }
    }
}

/// Data to standard output. Whoever closes the pipe has seen enough.
fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Success,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Success,
        Err(error) => {
            complain(&format!("can not write to standard output: {error}"), None);
            Exit::Failure
        }
    }
}
