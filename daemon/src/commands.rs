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
    let written = if json {
        print_json(serde_json::to_value(errors).unwrap_or_default())
    } else {
        Exit::Success
    };
    say(&errors.to_string());
    if written == Exit::Failure { written } else { Exit::Config }
}

/// What is wrong with a plan or its machine: where JSON is wanted, in the same form as what is wrong with the file.
fn refuse_plan(source: &Source, errors: Vec<(String, Option<String>)>, exit: Exit) -> Exit {
    for (message, help) in &errors {
        complain(message, help.clone());
    }
    if !source.json {
        return exit;
    }
    let file = source.config.display().to_string();
    let each = errors.into_iter().map(|(message, help)| {
        serde_json::json!({
            "file": file, "line": null, "column": null, "key": "", "message": message, "help": help
        })
    });
    let errors: Vec<_> = each.collect();
    match print_json(serde_json::json!({ "errors": errors, "omitted": 0 })) {
        Exit::Failure => Exit::Failure,
        _ => exit,
    }
}

fn check(source: &Source) -> Exit {
    let config = match load(source) {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if source.json {
        return print_json(serde_json::json!({ "errors": [], "config": config }));
    }
    let (ports, stages) = (config.ports.len(), config.stages.len());
    print(&format!("{}: ok ({ports} ports, {stages} stages)\n", source.config.display()))
}

fn graph(config: &Config, json: bool, format: GraphFormat) -> Exit {
    let graph = config.graph();
    if json {
        return print_json(serde_json::to_value(&graph).unwrap_or_default());
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
            return refuse_plan(
                &args.source,
                vec![(error.to_string(), error.help())],
                error.exit(),
            );
        }
    };
    match Plan::new(&config, &facts) {
        Ok(plan) => show(&plan, args.source.json),
        Err(errors) => {
            let said = |error: &PlanError| (error.to_string(), Some(error.help()));
            refuse_plan(&args.source, errors.iter().map(said).collect(), Exit::Machine)
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

/// An object of JSON, with the schema's number.
fn print_json(mut object: serde_json::Value) -> Exit {
    object["schema"] = api::SCHEMA.into();
    print(&format!("{object:#}\n"))
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
