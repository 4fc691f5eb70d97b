//! A lock-free ring between two threads that moves *bursts*, not items.
//!
//! In staged mode a frame crosses cores twice: from an rx worker to a graph worker, and from there
//! to a tx worker. This crate is that crossing: one producer, one consumer, one release store per
//! burst, and no wait on either side. A ring that is full leaves the rest of the burst with its
//! owner, who drops and counts it.
//!
//! ```text
//!            Producer<T>                                   Consumer<T>
//!      tail, cached head, high water                    head, cached tail      private to each thread
//!                │                                            │
//!                ▼ release                                    ▼ release
//!        ┌──────────────┐  ┌──────────────┐  ┌─────────────────────────┐
//!        │ tail, high   │  │ head         │  │ slots: capacity × T     │   shared, a cache line each
//!        └──────────────┘  └──────────────┘  └─────────────────────────┘
//!                ▲                ▲
//!                └──── Gauge ─────┘       any thread: occupancy, high-water mark, totals
//!
//!      FanOut<T>  one producer end per consumer; a flow's hash always takes the same ring
//!      FanIn<T>   one consumer end per producer; no ring waits longer than one turn of the others
//! ```
//!
//! What it refuses to do: block, allocate after [`channel`], grow, be shared by two producers or
//! two consumers (the ends are neither `Clone` nor `Sync`, and every operation takes `&mut self`).
//!
//! ```
//! use arrayvec::ArrayVec;
//! use ring::{Capacity, channel};
//!
//! let (mut producer, mut consumer) = channel::<u32>(Capacity::new(4)?);
//! let mut burst: ArrayVec<u32, 8> = (1..=6).collect();
//! assert_eq!(producer.push_burst(&mut burst), 4);
//! assert_eq!(burst.as_slice(), [5, 6]); // what did not fit, still in order
//!
//! let mut out: ArrayVec<u32, 8> = ArrayVec::new();
//! assert_eq!(consumer.pop_burst(&mut out, 3), 3);
//! assert_eq!(out.as_slice(), [1, 2, 3]);
//! assert_eq!(producer.gauge().occupancy(), 1);
//! # Ok::<(), ring::InvalidCapacity>(())
//! ```
//!
//! # How it is checked
//!
//! * loom, every interleaving of a small ring:
//!   `CARGO_TARGET_DIR=target/loom RUSTFLAGS="--cfg loom" cargo test -p ring --release --test loom`
//! * a property test against `VecDeque`, and two real threads: `cargo test -p ring`
//!
//! # How fast it is
//!
//! `cargo bench -p ring` prints, in one run, the time per item of this ring, of DPDK's `rte_ring`
//! (single producer, single consumer) and of crossbeam's `ArrayQueue`, for bursts of 1, 8 and 32,
//! on one thread and between two.

mod channel;
mod fan;
mod gauge;
mod slots;
mod sync;

pub use channel::{Consumer, Producer, channel};
pub use fan::{FanIn, FanOut, mesh};
pub use gauge::{Gauge, Reading, time_to_overflow};
pub use slots::{Capacity, InvalidCapacity};
