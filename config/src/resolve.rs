//! From what is written to what is meant: references looked up, defaults filled in, the graph checked.

use std::{collections::HashMap, time::Duration};

use toml::Spanned;

use crate::{
    Auto, Config, Control, CpuSet, Device, Edge, Huge, Latency, Log, LogFormat, Memory, Mode,
    Pipeline, Port, PortIx, Stage, StageIx, StageKind, Tune, TuneProfile,
    diagnostic::{Place, Report},
    graph,
    names::Names,
    schema::{self, File},
    section::Item,
    stage::{self, Draft},
    value::{Cpus, Field, List, Whole},
};

/// The path that `barewire` looks at unless told otherwise.
const DEFAULT_SOCKET: &str = "/run/barewire/control.sock";

/// Where the frames of a port go first; stages are numbered as in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Input {
    /// Not known; reported already.
    Unknown,
    /// Nowhere: the port only transmits.
    None,
    /// To a stage.
    Stage(StageIx),
}

/// Make a configuration of a file; none when something was reported.
pub(crate) fn resolve(file: &File, report: &mut Report<'_>) -> Option<Config> {
    let names = Names::collect(file, report);
    let inputs: Vec<Input> = file.ports.iter().map(|port| input(port, &names, report)).collect();
    let drafts: Vec<Draft> = (0..)
        .zip(&file.stages)
        .map(|(index, item)| stage::draft(index, item, &names, report))
        .collect();
    let devices: Vec<Option<&Device>> =
        file.ports.iter().map(|port| device(port, report)).collect();
    check_devices(&file.ports, &devices, report);
    if file.ports.is_empty() && report.is_empty() {
        let help = "add a section [[port]] with name, device and input".to_owned();
        report.add(&Place::Top, "port", 0..0, "there is no port", Some(help));
    }
    let edges: Vec<Vec<usize>> = drafts
        .iter()
        .map(|draft| draft.next.iter().map(|(_, StageIx(next))| *next).collect())
        .collect();
    check_cycles(file, &drafts, &edges, report);
    // While a name leads nowhere, "not reached" would be said of stages that are meant to be.
    let all_known = !inputs.contains(&Input::Unknown)
        && drafts.iter().all(|draft| draft.edges_known)
        && file.stages.iter().all(|item| item.section.name.given().is_some());
    if all_known {
        check_reach(file, &inputs, &drafts, &edges, report);
    }
    let cores = cores(&file.cores, report);
    if !report.is_empty() {
        return None;
    }

    let order = graph::order(&edges);
    let mut place = vec![StageIx(0); order.len()];
    for (to, from) in order.iter().enumerate() {
        place[*from] = StageIx(to);
    }
    let ports = (file.ports.iter().zip(inputs).zip(devices))
        .map(|((item, input), device)| port(item, input, device?.clone(), &place))
        .collect::<Option<_>>()?;
    let stages = order
        .iter()
        .map(|index| stage(&file.stages[*index], &drafts[*index], &place))
        .collect::<Option<_>>()?;
    Some(Config {
        cores,
        memory: memory(&file.memory),
        ports,
        pipeline: pipeline(&file.pipeline),
        stages,
        latency: latency(&file.latency),
        control: control(&file.control),
        log: log(&file.log),
        tune: tune(&file.tune),
    })
}

fn input(item: &Item<schema::Port>, names: &Names<'_>, report: &mut Report<'_>) -> Input {
    let text = match &item.section.input {
        Field::Given(text) => text,
        Field::Absent => {
            let help = "name the first stage for what the port receives, or write input = \"none\" \
                        for a port that only transmits";
            report.missing(item, "input", help);
            return Input::Unknown;
        }
        Field::Bad => return Input::Unknown,
    };
    match names.input(&text.get_ref().0, report) {
        Ok(Some(stage)) => Input::Stage(stage),
        Ok(None) => Input::None,
        Err(unknown) => {
            report.bad_value(&item.place, "input", text.span(), unknown.why, unknown.help);
            Input::Unknown
        }
    }
}

fn device<'f>(item: &'f Item<schema::Port>, report: &mut Report<'_>) -> Option<&'f Device> {
    if item.section.device.is_absent() {
        let help = "a PCI address such as \"0000:3b:00.0\", or \"vdev:\" with a virtual device";
        report.missing(item, "device", help);
    }
    item.section.device.given().map(Spanned::get_ref)
}

/// No device stands behind two ports.
fn check_devices(
    ports: &[Item<schema::Port>],
    devices: &[Option<&Device>],
    report: &mut Report<'_>,
) {
    let mut first: HashMap<String, usize> = HashMap::new();
    for (item, device) in ports.iter().zip(devices) {
        let name = match device {
            None => continue,
            Some(Device::Pci(address)) => address.to_string(),
            Some(Device::Vdev { name, args: _ }) => name.clone(),
        };
        if let Some(offset) = first.get(&name) {
            let why = format!("the port of line {} has {name} already", report.line(*offset));
            let span = item.section.device.span().unwrap_or(item.offset..item.offset);
            report.bad_value(&item.place, "device", span, why, None);
        } else {
            first.insert(name, item.offset);
        }
    }
}

/// No frame comes back to a stage it has passed.
fn check_cycles(file: &File, drafts: &[Draft], edges: &[Vec<usize>], report: &mut Report<'_>) {
    for cycle in graph::cycles(edges) {
        let (first, last) = (cycle[0], cycle[cycle.len() - 1]);
        let name = |index: &usize| match file.stages[*index].section.name.given() {
            Some(name) => name.get_ref().0.clone(),
            None => format!("stage {}", index + 1),
        };
        let mut way: Vec<String> = cycle.iter().map(name).collect();
        way.push(name(&first));
        let key = drafts[last].next.iter().find(|(_, next)| next.0 == first);
        let key = key.map_or("to", |(key, _)| *key);
        let stage = &file.stages[last];
        let field = match key {
            "other" => &stage.section.other,
            "sampled" => &stage.section.sampled,
            _ => &stage.section.to,
        };
        let span = field.span().unwrap_or(stage.offset..stage.offset);
        let why = format!("that closes a cycle: {}", way.join(" → "));
        let help = "frames go through a stage once: let one of these edges lead to a port or drop";
        report.bad_value(&stage.place, key, span, why, Some(help.to_owned()));
    }
}

/// Every stage gets frames, every port has a use, and every `reflect` has something to answer for.
fn check_reach(
    file: &File,
    inputs: &[Input],
    drafts: &[Draft],
    edges: &[Vec<usize>],
    report: &mut Report<'_>,
) {
    let reach_of = |input: &Input| match input {
        Input::Stage(StageIx(stage)) => graph::reach(edges, [*stage]),
        Input::None | Input::Unknown => vec![false; edges.len()],
    };
    let reached: Vec<Vec<bool>> = inputs.iter().map(reach_of).collect();
    for (index, item) in file.stages.iter().enumerate() {
        let from = |port: &usize| reached[*port][index];
        if !(0..inputs.len()).any(|port| from(&port)) {
            let help = "let an input or an edge lead to it, or take it out".to_owned();
            let span = item.offset..item.offset;
            report.add(&item.place, "name", span, "no frame reaches this stage", Some(help));
        } else if matches!(
            &drafts[index].kind,
            Some(StageKind::Reflect { addresses, any_address: false, .. })
                if addresses.is_empty()
        ) && (0..inputs.len())
            .filter(from)
            .all(|port| file.ports[port].section.addresses.is_empty_list())
            && item.section.addresses.is_empty_list()
        {
            let help = "give it addresses, or give them to the ports whose frames reach it, or write \
                        any_address = true for a load test";
            report.missing(item, "addresses", help);
        }
    }
    let all_drafted = drafts.iter().all(|draft| draft.kind.is_some());
    let sent_to = |port: usize| {
        drafts
            .iter()
            .filter_map(|draft| draft.kind.as_ref())
            .any(|kind| kind.edges().iter().any(|(_, edge)| *edge == Edge::Tx(PortIx(port))))
    };
    for (index, item) in file.ports.iter().enumerate() {
        if inputs[index] == Input::None && !sent_to(index) && all_drafted {
            let span = item.section.input.span().unwrap_or(item.offset..item.offset);
            let why = "no stage sends to this port either";
            let help = "let an edge lead to it, or take the port out".to_owned();
            report.bad_value(&item.place, "input", span, why, Some(help));
        }
    }
}

fn port(
    item: &Item<schema::Port>,
    input: Input,
    device: Device,
    place: &[StageIx],
) -> Option<Port> {
    let port = &item.section;
    let addresses = port.addresses.given().map_or(&[][..], |list| &list.get_ref().0);
    Some(Port {
        name: port.name.given()?.get_ref().0.clone(),
        device,
        rx_queues: number_or_auto(&port.rx_queues),
        tx_queues: number_or_auto(&port.tx_queues),
        rx_ring: number_or_auto(&port.rx_ring),
        tx_ring: number_or_auto(&port.tx_ring),
        mtu: number(&port.mtu, 1500),
        promiscuous: port.promiscuous.copied_or(true),
        addresses: addresses.iter().map(|address| *address.get_ref()).collect(),
        input: match input {
            Input::Stage(StageIx(stage)) => Some(place[stage]),
            Input::None => None,
            Input::Unknown => return None,
        },
        numa_node: port.numa_node.copied_or(Auto::Auto),
    })
}

fn stage(item: &Item<schema::Stage>, draft: &Draft, place: &[StageIx]) -> Option<Stage> {
    let mut kind = draft.kind.clone()?;
    for edge in kind.edges_mut() {
        if let Edge::Stage(stage) = edge {
            *stage = place[stage.0];
        }
    }
    Some(Stage { name: item.section.name.given()?.get_ref().0.clone(), kind })
}

fn cores(cores: &schema::Cores, report: &mut Report<'_>) -> crate::Cores {
    let place = Place::Section("cores");
    let (housekeeping, workers) = (cpus(&cores.housekeeping), cpus(&cores.workers));
    if let (Auto::Set(ours), Auto::Set(theirs), Some(span)) =
        (&housekeeping, &workers, cores.workers.span())
        && !ours.is_disjoint(theirs)
    {
        let why = format!("housekeeping has {} as well", ours.intersection(theirs));
        let help = "a worker needs its CPU for itself: take it out of one of the two".to_owned();
        report.bad_value(&place, "workers", span, why, Some(help));
    }
    let count = number_or_auto(&cores.count);
    if let (Auto::Set(_), Auto::Set(_), Some(span)) = (&count, &workers, cores.count.span()) {
        let help =
            "a list of workers is taken as it is: take count out, or let workers be \"auto\"";
        report.bad_value(&place, "count", span, "workers is a list", Some(help.to_owned()));
    }
    crate::Cores { housekeeping, workers, count, strict: cores.strict.copied_or(false) }
}

fn memory(memory: &schema::Memory) -> Memory {
    Memory {
        huge: memory.huge.copied_or(Huge::M2),
        per_node_mib: number_or_auto(&memory.per_node_mib),
        buffers: number_or_auto(&memory.buffers),
    }
}

fn pipeline(pipeline: &schema::Pipeline) -> Pipeline {
    Pipeline {
        mode: pipeline.mode.copied_or(Mode::RunToCompletion),
        burst: number(&pipeline.burst, 32),
        ring_capacity: pipeline.ring_capacity.given().map_or(1024, |given| given.get_ref().0),
        tx_retries: number(&pipeline.tx_retries, 8),
    }
}

fn latency(latency: &schema::Latency) -> Latency {
    Latency {
        histograms: latency.histograms.copied_or(true),
        stall_threshold: (latency.stall_threshold.given())
            .map_or(Duration::from_micros(20), |given| given.get_ref().0),
        stall_log: latency.stall_log.given().map_or(4096, |given| given.get_ref().0),
        stall_causes: latency.stall_causes.copied_or(true),
        hardware_timestamps: latency.hardware_timestamps.copied_or(true),
    }
}

fn control(control: &schema::Control) -> Control {
    Control {
        socket: (control.socket.given())
            .map_or_else(|| DEFAULT_SOCKET.into(), |given| given.get_ref().0.clone()),
        group: control.group.given().map(|given| given.get_ref().0.clone()),
        stop_timeout: (control.stop_timeout.given())
            .map_or(Duration::from_secs(5), |given| given.get_ref().0),
        link_timeout: (control.link_timeout.given())
            .map_or(Duration::from_secs(2), |given| given.get_ref().0),
    }
}

fn log(log: &schema::Log) -> Log {
    Log {
        level: log
            .level
            .given()
            .map_or_else(|| "info".to_owned(), |given| given.get_ref().0.clone()),
        format: log.format.copied_or(LogFormat::Text),
    }
}

fn tune(tune: &schema::Tune) -> Tune {
    let wishes = tune.set.given().map(|given| given.get_ref().0.clone());
    Tune {
        profile: tune.profile.copied_or(TuneProfile::LowLatency),
        management: listed(&tune.management, |name| name.0.clone()),
        i_want: listed(&tune.i_want, Clone::clone),
        set: wishes.unwrap_or_default(),
    }
}

/// What is in a list, or nothing.
fn listed<T, U, const MAX: usize>(field: &Field<List<T, MAX>>, of: impl Fn(&T) -> U) -> Vec<U> {
    let list = field.given().map_or(&[][..], |list| &list.get_ref().0);
    list.iter().map(|item| of(item.get_ref())).collect()
}

/// The number, or the default.
fn number<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(
    field: &Field<Whole<MIN, MAX>>,
    default: T,
) -> T {
    field.given().map_or(default, |given| given.get_ref().to())
}

/// The number, or `"auto"`, which is the default.
fn number_or_auto<T: TryFrom<u64>, const MIN: u64, const MAX: u64>(
    field: &Field<Auto<Whole<MIN, MAX>>>,
) -> Auto<T> {
    match field.given().map(Spanned::get_ref) {
        Some(Auto::Set(number)) => Auto::Set(number.to()),
        Some(Auto::Auto) | None => Auto::Auto,
    }
}

/// The CPUs, or `"auto"`, which is the default.
fn cpus(field: &Field<Auto<Cpus>>) -> Auto<Box<CpuSet>> {
    match field.given().map(Spanned::get_ref) {
        Some(Auto::Set(cpus)) => Auto::Set(Box::new(cpus.0.clone())),
        Some(Auto::Auto) | None => Auto::Auto,
    }
}
