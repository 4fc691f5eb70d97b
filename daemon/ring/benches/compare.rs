//! This ring, DPDK's and crossbeam's, side by side in one run: `cargo bench -p ring`.
//!
//! Every measurement moves the same pointer-sized items in the same bursts. `one-thread` pushes a
//! burst and pops it again, so it counts instructions; `two-threads` streams from one thread to
//! another, so it counts cache-line transfers. The two threads are left to the scheduler: pin them
//! with `taskset -c A,B` for numbers worth keeping.
//!
//! `rte_ring` is made for one producer and one consumer, and is called as the daemon would call it:
//! through one C function a burst, because its own are inline C. `ArrayQueue` has no bursts (it
//! takes any number of producers); its line is what the same loop costs with the nearest published
//! queue.

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use arrayvec::ArrayVec;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use crossbeam::queue::ArrayQueue;
use ring::Capacity;

/// The daemon's default.
const CAPACITY: usize = 1024;
const BURSTS: [usize; 3] = [1, 8, 32];

type Item = usize;
type Burst = ArrayVec<Item, 32>;

/// One queue under test, and its two ends as the two threads use them.
trait Queue {
    type Push<'q>: Send
    where
        Self: 'q;
    type Pop<'q>
    where
        Self: 'q;
    const NAME: &'static str;

    /// The ends of an empty queue.
    fn ends(&mut self) -> (Self::Push<'_>, Self::Pop<'_>);
    /// Moves what fits from the front of the burst.
    fn push(end: &mut Self::Push<'_>, burst: &mut Burst);
    /// Appends up to `max`.
    fn pop(end: &mut Self::Pop<'_>, burst: &mut Burst, max: usize);
}

struct Ours;

impl Queue for Ours {
    type Push<'q> = ring::Producer<Item>;
    type Pop<'q> = ring::Consumer<Item>;
    const NAME: &'static str = "ring";

    fn ends(&mut self) -> (ring::Producer<Item>, ring::Consumer<Item>) {
        ring::channel(Capacity::new(CAPACITY).expect("1024 is a power of two"))
    }

    fn push(end: &mut ring::Producer<Item>, burst: &mut Burst) {
        end.push_burst(burst);
    }

    fn pop(end: &mut ring::Consumer<Item>, burst: &mut Burst, max: usize) {
        end.pop_burst(burst, max);
    }
}

struct Dpdk<'eal>(dpdk::Ring<'eal>);

impl Queue for Dpdk<'_> {
    type Push<'q>
        = dpdk::Producer<'q>
    where
        Self: 'q;
    type Pop<'q>
        = dpdk::Consumer<'q>
    where
        Self: 'q;
    const NAME: &'static str = "rte_ring";

    fn ends(&mut self) -> (dpdk::Producer<'_>, dpdk::Consumer<'_>) {
        self.0.split()
    }

    fn push(end: &mut dpdk::Producer<'_>, burst: &mut Burst) {
        let pushed = end.enqueue(burst);
        burst.drain(..pushed);
    }

    fn pop(end: &mut dpdk::Consumer<'_>, burst: &mut Burst, max: usize) {
        // The function writes into slots, and a burst has none beyond its length: give it some.
        let held = burst.len();
        burst.extend(std::iter::repeat_n(0, max));
        let popped = end.dequeue(&mut burst[held..]);
        burst.truncate(held + popped);
    }
}

struct Crossbeam(ArrayQueue<Item>);

impl Queue for Crossbeam {
    type Push<'q> = &'q ArrayQueue<Item>;
    type Pop<'q> = &'q ArrayQueue<Item>;
    const NAME: &'static str = "ArrayQueue";

    fn ends(&mut self) -> (&ArrayQueue<Item>, &ArrayQueue<Item>) {
        (&self.0, &self.0)
    }

    fn push(end: &mut &ArrayQueue<Item>, burst: &mut Burst) {
        let pushed = burst.iter().take_while(|item| end.push(**item).is_ok()).count();
        burst.drain(..pushed);
    }

    fn pop(end: &mut &ArrayQueue<Item>, burst: &mut Burst, max: usize) {
        burst.extend(std::iter::from_fn(|| end.pop()).take(max));
    }
}

fn one_thread<Q: Queue>(criterion: &mut Criterion, queue: &mut Q) {
    let mut group = criterion.benchmark_group("one-thread");
    for size in BURSTS {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new(Q::NAME, size), |bencher| {
            let (mut push, mut pop) = queue.ends();
            let mut burst: Burst = (0..size).collect();
            bencher.iter(|| {
                Q::push(&mut push, black_box(&mut burst));
                Q::pop(&mut pop, black_box(&mut burst), size);
                assert_eq!(burst.len(), size);
            });
        });
    }
    group.finish();
}

fn two_threads<Q: Queue>(criterion: &mut Criterion, queue: &mut Q) {
    let mut group = criterion.benchmark_group("two-threads");
    for size in BURSTS {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new(Q::NAME, size), |bencher| {
            bencher.iter_custom(|bursts| stream(queue, bursts.saturating_mul(size as u64), size));
        });
    }
    group.finish();
}

/// The time from the first pop to the last of `items` that another thread pushes in bursts.
fn stream<Q: Queue>(queue: &mut Q, items: u64, size: usize) -> Duration {
    let (mut push, mut pop) = queue.ends();
    let begin = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !begin.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let mut idle = Idle(0);
            let mut left = items;
            let mut burst = Burst::new();
            while left > 0 || !burst.is_empty() {
                while left > 0 && burst.len() < size {
                    burst.push(black_box(1));
                    left -= 1;
                }
                let before = burst.len();
                Q::push(&mut push, &mut burst);
                idle.turn(burst.len() < before);
            }
        });
        let mut idle = Idle(0);
        let mut burst = Burst::new();
        let mut left = items;
        begin.store(true, Ordering::Release);
        let start = Instant::now();
        while left > 0 {
            Q::pop(&mut pop, &mut burst, size);
            left -= burst.len() as u64;
            idle.turn(!burst.is_empty());
            black_box(&burst);
            burst.clear();
        }
        start.elapsed()
    })
}

/// Turns in a row that moved nothing. A thread spins for its partner as a worker does, but on a busy
/// machine the partner may not be running at all; then it makes room.
struct Idle(u32);

impl Idle {
    fn turn(&mut self, moved: bool) {
        self.0 = if moved { 0 } else { self.0 + 1 };
        if self.0 > 1_000 {
            self.0 = 0;
            thread::yield_now();
        }
    }
}

fn all(criterion: &mut Criterion) {
    // In 22.11 --no-huge implies --legacy-mem, which excludes --in-memory.
    let eal = ["--no-huge", "--no-pci", "--no-shconf", "--no-telemetry", "-m", "64"];
    let eal = dpdk::Eal::init(eal.map(String::from)).expect("this EAL needs no privilege");
    let capacity = u32::try_from(CAPACITY).expect("1024 fits");
    let ring = dpdk::Ring::create(&eal, "compare", capacity).expect("64 MiB hold such a ring");

    let mut dpdk = Dpdk(ring);
    let mut crossbeam = Crossbeam(ArrayQueue::new(CAPACITY));
    one_thread(criterion, &mut Ours);
    one_thread(criterion, &mut dpdk);
    one_thread(criterion, &mut crossbeam);
    two_threads(criterion, &mut Ours);
    two_threads(criterion, &mut dpdk);
    two_threads(criterion, &mut crossbeam);
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .without_plots()
        .configure_from_args()
}

criterion_group!(name = compare; config = short(); targets = all);
criterion_main!(compare);
