//! Any frames through a graph with every kind of stage: none is lost, none appears, and the counters add up.
//!
//! The input is a sequence of frames, each behind two bytes: its port and first segment, and its length.
#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use pipeline::{Burst, Egress, Graph, MAX_BURST, PortIdentity, StageCounterSet, testing::VecFrame};

/// Every kind of stage, and edges of every sort.
const CONFIG: &str = r#"
[[port]]
name = "north"
device = "vdev:net_null0"
input = "count"
addresses = ["192.0.2.1/24", "2001:db8::1/64"]

[[port]]
name = "south"
device = "vdev:net_null1"
input = "reflect"
addresses = ["198.51.100.1/24", "2001:db8:1::1/64"]

[[stage]]
name = "count"
kind = "count"
to = "sample"

[[stage]]
name = "sample"
kind = "sample"
every = 3
to = "anybody"
sampled = "rewrite"

[[stage]]
name = "anybody"
kind = "reflect"
any_address = true
to = "tx:north"
other = "swap"

[[stage]]
name = "reflect"
kind = "reflect"
to = "tx:south"
other = "swap"

[[stage]]
name = "swap"
kind = "cross"
macs = "swap"
to = "tx:north"

[[stage]]
name = "rewrite"
kind = "cross"
macs = "rewrite"
source = "02:00:00:00:00:01"
destination = "02:00:00:00:00:02"
to = "drop"
"#;

const PORTS: usize = 2;

struct World {
    graph: Graph<VecFrame>,
    egress: Egress<VecFrame>,
    burst: Box<Burst<VecFrame>>,
}

impl World {
    fn new() -> World {
        let config = config::parse(CONFIG, "fuzz.toml").expect("a valid configuration");
        let identity = |port: &config::Port| PortIdentity {
            mac: [2, 0, 0, 0, 0, 0xaa],
            addresses: port.addresses.iter().map(|net| net.addr()).collect(),
        };
        let ports: Vec<PortIdentity> = config.ports.iter().map(identity).collect();
        let graph = Graph::build(&config, &ports, &StageCounterSet::default())
            .expect("a graph of a valid configuration");
        World { graph, egress: Egress::new(PORTS), burst: Box::default() }
    }
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

fuzz_target!(|input: &[u8]| {
    WORLD.with_borrow_mut(|World { graph, egress, burst }| {
        let mut rest = input;
        let mut port = 0;
        while let [how, length, bytes @ ..] = rest {
            let length = (usize::from(*length) * 8).min(bytes.len());
            let (frame, behind) = bytes.split_at(length);
            rest = behind;
            port = usize::from(how & 1);
            let segment = usize::from(how >> 1);
            let frame = VecFrame::new(frame);
            burst.push(if segment == 0 { frame } else { frame.split_at(segment) });
            if burst.len() == MAX_BURST {
                break;
            }
        }
        let given = burst.len();
        graph.run(port, burst, egress, || 0);

        assert!(burst.is_empty(), "the burst is empty after a run");
        assert_eq!(egress.len(), given, "every frame is sent or dropped");
        assert_eq!(
            egress.drops.total(),
            u64::try_from(egress.dropped.len()).expect("few"),
            "every drop has a reason"
        );
        for sent in &mut egress.ports {
            sent.clear();
        }
        egress.dropped.clear();
        egress.touched = 0;
        egress.drops = Default::default();
    });
});
