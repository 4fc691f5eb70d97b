//! Safe ownership of DPDK objects.
//!
//! What the C headers say in sentences ("not in parallel on the same queue", "after this call, no
//! DPDK function calls may be made"), the types here say to the compiler:
//!
//! ```text
//!  Eal ◄── Mempool<'eal>           Copy; lives until the EAL is cleaned up
//!   ▲  ◄── Mbuf<'eal>              owned, not Clone; Burst = up to 64 of them
//!   │  ◄── Registered<'eal>        this thread is an lcore
//!   │  ◄── Stamps, RxTimestamps    fields that travel with a frame
//!   └───── Port<'eal, Found ─► Configured ⇄ Started>   ─ observer() ─► PortObserver<'eal>  (any thread)
//!                                            │ split(&mut self)
//!                                            ▼
//!                         RxQueue<'port, 'eal>, TxQueue<'port, 'eal>     Send, not Sync, not Clone
//! ```
//!
//! Four misuses do not compile, which tests keep so: sharing a queue between threads, stopping a
//! port while its queues are lent, a frame that outlives the EAL, dropping the EAL under a pool or
//! ring.
//!
//! The crate does not configure devices beyond queues, MTU, receive-side scaling and time stamps;
//! it plugs in and unplugs virtual devices only, and it refuses to be a secondary process, because
//! another process could then do what the types here forbid.
//!
//! ```no_run
//! use dpdk::{Burst, Eal, Mempool, MempoolConfig, PortConfig, free_burst};
//!
//! let eal = Eal::init(["--no-huge", "-m", "64", "--no-pci", "--vdev=net_null0"].map(String::from))?;
//! let pool = Mempool::create(&eal, "frames", MempoolConfig { cache: 0, ..Default::default() })?;
//! let port = eal.port("net_null0")?;
//! let port = port.configure(&PortConfig::default(), |_queue| pool).map_err(|failed| failed.error)?;
//! let mut port = port.start().map_err(|failed| failed.error)?;
//!
//! let mut queues = port.split();
//! let mut burst = Burst::new();
//! queues.rx[0].recv(&mut burst, 32);
//! queues.tx[0].send(&mut burst);
//! free_burst(&mut burst); // what the queue did not take
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where this is weaker than it looks
//! Drivers are trusted: that a frame they deliver is owned by nobody else, and that its data lies
//! within its buffer. (net_null with `size=` larger than a buffer breaks the second; debug builds
//! notice, so check that argument before.) A driver that lends frames out of memory of its own
//! (mlx5 with multi-packet receive) wants them back before its port is closed; that is not
//! expressed in types. Nor is a device that is pulled out of the machine.

mod burst;
mod dynfield;
mod eal;
mod error;
mod hotplug;
mod log;
mod mbuf;
mod mempool;
mod packed;
mod port;
mod port_info;
mod queue;
mod ring;
mod stats;
mod thread;

pub use burst::{Burst, MAX_BURST, free_burst, total_len};
pub use dynfield::{DynfieldError, RxTimestamps, Stamps};
pub use eal::{Eal, EalError};
pub use error::Errno;
pub use hotplug::PlugError;
pub use log::{LogError, LogLevel, log_to, set_log_level, set_log_level_of};
pub use mbuf::{CopyError, Mbuf, ResizeError, Segments};
pub use mempool::{HEADROOM, Mempool, MempoolConfig, MempoolError, PoolEmpty, Reuse};
pub use port::{Configured, Failed, Found, Port, PortConfig, PortError, Settings, Started};
pub use port_info::{DescriptorLimits, PortInfo};
pub use queue::{Queues, RxQueue, TxQueue};
pub use ring::{Consumer, Producer, Ring, RingError};
pub use stats::{Link, PortObserver, PortStats, Xstat};
pub use thread::{Registered, ThreadError, lcore_id};
