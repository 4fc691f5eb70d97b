//! This ring, DPDK's and crossbeam's, side by side in one run: `cargo bench -p ring`.
//!
//! Every measurement moves the same pointers-sized items in the same bursts. `one-thread` pushes a
//! burst and pops it again, so it counts instructions; `two-threads` streams from one thread to
//! another, so it counts cache-line transfers. The two threads are left to the scheduler: pin them
//! with `taskset -c A,B` for numbers worth keeping. `ArrayQueue` has no bursts (it takes any number
//! of producers); its line is what the same loop costs with the nearest published queue.

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

/// One queue under test: its two ends, as the two threads use them.
trait Queue {
    type Push: Send;
    type Pop: Send;
    const NAME: &'static str;

    fn ends() -> (Self::Push, Self::Pop);
    /// Moves what fits from the front of the burst.
    fn push(end: &mut Self::Push, burst: &mut Burst);
    /// Appends up to `max`.
    fn pop(end: &mut Self::Pop, burst: &mut Burst, max: usize);
}

struct Ours;

impl Queue for Ours {
    type Push = ring::Producer<Item>;
    type Pop = ring::Consumer<Item>;
    const NAME: &'static str = "ring";

    fn ends() -> (Self::Push, Self::Pop) {
        ring::channel(Capacity::new(CAPACITY).expect("1024 is a power of two"))
    }

    fn push(end: &mut Self::Push, burst: &mut Burst) {
        end.push_burst(burst);
    }

    fn pop(end: &mut Self::Pop, burst: &mut Burst, max: usize) {
        end.pop_burst(burst, max);
    }
}

struct Crossbeam;

impl Queue for Crossbeam {
    type Push = std::sync::Arc<ArrayQueue<Item>>;
    type Pop = std::sync::Arc<ArrayQueue<Item>>;
    const NAME: &'static str = "crossbeam-array-queue";

    fn ends() -> (Self::Push, Self::Pop) {
        let queue = std::sync::Arc::new(ArrayQueue::new(CAPACITY));
        (std::sync::Arc::clone(&queue), queue)
    }

    fn push(end: &mut Self::Push, burst: &mut Burst) {
        let pushed = burst.iter().take_while(|item| end.push(**item).is_ok()).count();
        burst.drain(..pushed);
    }

    fn pop(end: &mut Self::Pop, burst: &mut Burst, max: usize) {
        burst.extend(std::iter::from_fn(|| end.pop()).take(max));
    }
}

fn one_thread<Q: Queue>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("one-thread");
    for size in BURSTS {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new(Q::NAME, size), |bencher| {
            let (mut push, mut pop) = Q::ends();
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

fn two_threads<Q: Queue>(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("two-threads");
    for size in BURSTS {
        group.throughput(Throughput::Elements(size as u64));
        group.bench_function(BenchmarkId::new(Q::NAME, size), |bencher| {
            bencher.iter_custom(|bursts| stream::<Q>(bursts.saturating_mul(size as u64), size));
        });
    }
    group.finish();
}

/// The time from the first pop to the last of `items` that another thread pushes in bursts.
fn stream<Q: Queue>(items: u64, size: usize) -> Duration {
    let (mut push, mut pop) = Q::ends();
    let begin = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !begin.load(Ordering::Acquire) {
                std::hint::spin_loop();
            }
            let mut left = items;
            let mut burst = Burst::new();
            while left > 0 || !burst.is_empty() {
                while left > 0 && burst.len() < size {
                    burst.push(black_box(1));
                    left -= 1;
                }
                Q::push(&mut push, &mut burst);
            }
        });
        let mut burst = Burst::new();
        let mut left = items;
        begin.store(true, Ordering::Release);
        let start = Instant::now();
        while left > 0 {
            Q::pop(&mut pop, &mut burst, size);
            left -= burst.len() as u64;
            black_box(&burst);
            burst.clear();
        }
        start.elapsed()
    })
}

fn all(criterion: &mut Criterion) {
    one_thread::<Ours>(criterion);
    one_thread::<Crossbeam>(criterion);
    two_threads::<Ours>(criterion);
    two_threads::<Crossbeam>(criterion);
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(30)
        .configure_from_args()
}

criterion_group!(name = compare; config = short(); targets = all);
criterion_main!(compare);
