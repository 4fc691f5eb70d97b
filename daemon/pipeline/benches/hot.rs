//! What the hot path costs without a NIC: nanoseconds per burst of 32 frames, and per record.
//!
//! `cargo bench -p pipeline`. Frames lie in ordinary memory and in the first-level cache, so this is the code's own cost.

use std::{hint::black_box, time::Duration};

use config::{Edge, Macs, PortIx, Stage, StageIx, StageKind};
use criterion::{Criterion, criterion_group, criterion_main};
use etherparse::PacketBuilder;
use pipeline::{
    Burst, Egress, Graph, Meta, StageCounterSet, counters, histogram,
    testing::{VecFrame, two_ports},
};

const FRAMES: usize = 32;

fn udp() -> Vec<u8> {
    let mut bytes = Vec::new();
    PacketBuilder::ethernet2([2, 0, 0, 0, 0, 9], [2, 0, 0, 0, 0, 0])
        .ipv4([192, 0, 2, 9], [192, 0, 2, 1], 64)
        .udp(5, 6)
        .write(&mut bytes, &[0; 18])
        .expect("a vector takes every byte");
    bytes
}

/// One burst in, out of port 1, and back into the hand that feeds the next run.
fn stages(c: &mut Criterion, name: &str, kinds: Vec<StageKind>) {
    let stages: Vec<_> = kinds
        .into_iter()
        .enumerate()
        .map(|(at, kind)| Stage { name: format!("stage-{at}"), kind })
        .collect();
    let inputs = [Some(StageIx(0)), None];
    let none = StageCounterSet::default();
    let mut graph =
        Graph::assemble(&stages, &inputs, &two_ports(), &none).expect("the bench's graph is sound");
    let mut egress = Egress::new(2);
    let mut burst: Box<Burst<VecFrame>> =
        Box::new((0..FRAMES).map(|_| VecFrame::new(udp())).collect());
    c.bench_function(name, |b| {
        b.iter(|| {
            graph.run(0, black_box(&mut burst), &mut egress, || 0);
            std::mem::swap(&mut burst, &mut egress.ports[1]);
            egress.touched = 0;
        });
    });
    assert_eq!(burst.len(), FRAMES, "every frame came back");
}

fn hot(c: &mut Criterion) {
    let to = Edge::Tx(PortIx(1));
    let reflect = |any_address| StageKind::Reflect {
        to,
        other: Edge::Drop,
        addresses: vec![[192, 0, 2, 1].into(), [192, 0, 2, 9].into()],
        any_address,
        udp_echo: true,
    };
    stages(c, "cross/keep/burst32", vec![StageKind::Cross { to, macs: Macs::Keep }]);
    stages(c, "cross/swap/burst32", vec![StageKind::Cross { to, macs: Macs::Swap }]);
    stages(c, "reflect/any_address/burst32", vec![reflect(true)]);
    let next = Edge::Stage(StageIx(1));
    stages(
        c,
        "sample/every2/burst32",
        vec![
            StageKind::Sample { to: next, sampled: next, every: 2 },
            StageKind::Cross { to, macs: Macs::Keep },
        ],
    );
    stages(c, "count/burst32", vec![StageKind::Count { to }]);

    let frame = udp();
    c.bench_function("meta/parse", |b| b.iter(|| Meta::parse(black_box(&frame))));

    let (mut recorder, _reader) = histogram::new();
    let mut ticks = 1_000;
    c.bench_function("histogram/record_n", |b| {
        b.iter(|| {
            ticks = (ticks * 5 + 1) % 8_192;
            recorder.record_n(black_box(ticks), 32);
        });
    });

    let (mut worker, _reader) = counters::new(2);
    c.bench_function("counters/busy_turn", |b| {
        b.iter(|| {
            worker.polled(32, 64);
            worker.received(0, 32, 2_048);
            worker.sent(1, 32, 2_048);
            worker.end_turn(0, |_| {});
        });
    });
    c.bench_function("counters/idle_turn", |b| b.iter(|| worker.idle_turn(black_box(1), |_| {})));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .without_plots();
    targets = hot
}
criterion_main!(benches);
