//! Ethernet ports, and the order in which things can be done to them.
//!
//! # Safety
//! Calls the control functions of ethdev. Those of one port must not run in parallel, and some only
//! in certain states: a call takes the port's lock, and a port in the wrong state has no such
//! method.

use std::fmt;

use dpdk_sys as c;

use crate::eal::{Eal, port_name};
use crate::error::{Errno, c_string};
use crate::mempool::{HEADROOM, Mempool};
use crate::port_info::PortInfo;
use crate::queue::Queues;
use crate::stats::PortObserver;

/// A port of an Ethernet device, owned. `S` is its state:
///
/// ```text
///  Eal::port ─► Found ── configure ──► Configured ── start ──► Started ── split ──► Queues
///                 ▲                     │      ▲                  │
///                 └───── release ───────┘      └────── stop ──────┘
/// ```
///
/// A step that fails gives the port back in the state it was in. Dropping a port stops it if it is
/// started, and closes the device if it was configured; a port only found goes back to where
/// [`Eal::port`] finds it.
pub struct Port<'eal, S> {
    claim: Claim<'eal>,
    state: S,
}

/// A probed device that nothing has been done to.
#[derive(Debug, Clone, Copy)]
pub struct Found(());

/// Its queues are set up; it does not receive or send.
#[derive(Debug, Clone, Copy)]
pub struct Configured(Settings);

/// It receives and sends.
#[derive(Debug, Clone, Copy)]
pub struct Started(Settings);

/// A port id. In the [`Eal`], under the port's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Slot {
    pub(crate) holder: Holder,
    /// Devices that had this id before: DPDK gives it to another one when one is gone.
    pub(crate) generation: u32,
}

/// Who has a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Holder {
    /// Nobody.
    #[default]
    Free,
    /// A [`Port`].
    Claimed,
    /// It was closed, and its device is gone.
    Closed,
}

/// How far a claimed port has come: what dropping it has to undo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Found,
    Configured,
    Started,
}

/// The claim on a port, and what it takes to give it up.
struct Claim<'eal> {
    eal: &'eal Eal,
    id: u16,
    generation: u32,
    stage: Stage,
}

/// What to ask of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortConfig {
    /// Number of receive queues.
    pub rx_queues: u16,
    /// Number of transmit queues.
    pub tx_queues: u16,
    /// Descriptors in each receive queue, at most; `None` for what the driver prefers. The
    /// driver's limits apply, see [`Settings`] for what came of it.
    pub rx_descriptors: Option<u16>,
    /// Descriptors in each transmit queue; as above.
    pub tx_descriptors: Option<u16>,
    /// Largest payload of a frame, in bytes, without the Ethernet header.
    pub mtu: u16,
    /// Leave the MTU of a kernel's interface behind the port as it is, for drivers that would refuse the one it has.
    pub keep_interface_mtu: bool,
    /// Receive frames for any address. A device that can not tell the difference, as most virtual
    /// ones, counts as promiscuous.
    pub promiscuous: bool,
    /// Spread flows over the receive queues by a hash of addresses and ports (receive-side
    /// scaling), and deliver the hash with each frame, as far as the device does these.
    pub rss: bool,
    /// Let the device stamp received frames, if it can; see [`RxTimestamps`](crate::RxTimestamps).
    pub rx_timestamps: bool,
    /// Receive and send frames of several segments, if the device can. Receiving them is turned on
    /// only where the MTU does not fit into a buffer. Some drivers send faster without.
    pub multi_segment: bool,
}

impl Default for PortConfig {
    /// One queue each way, for frames of the usual size.
    fn default() -> Self {
        Self {
            rx_queues: 1,
            tx_queues: 1,
            rx_descriptors: None,
            tx_descriptors: None,
            mtu: 1500,
            keep_interface_mtu: false,
            promiscuous: true,
            rss: false,
            rx_timestamps: false,
            multi_segment: true,
        }
    }
}

/// What a port was configured to, after the device had its say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Number of receive queues.
    pub rx_queues: u16,
    /// Number of transmit queues.
    pub tx_queues: u16,
    /// Descriptors in each receive queue.
    pub rx_descriptors: u16,
    /// Descriptors in each transmit queue.
    pub tx_descriptors: u16,
    /// Largest payload of a frame in bytes.
    pub mtu: u16,
    /// Whether frames for any address are asked for.
    pub promiscuous: bool,
    /// Offloads on receive that are on (`RTE_ETH_RX_OFFLOAD_*`).
    pub rx_offloads: u64,
    /// Offloads on transmit that are on (`RTE_ETH_TX_OFFLOAD_*`).
    pub tx_offloads: u64,
    /// Flow types that the device hashes (`RTE_ETH_RSS_*`); 0 without receive-side scaling.
    pub rss_types: u64,
}

impl Settings {
    /// Whether frames come with a hash of their flow ([`Mbuf::rss_hash`](crate::Mbuf::rss_hash)).
    #[must_use]
    pub fn rss_hash(&self) -> bool {
        self.rx_offloads & c::SHIM_RX_OFFLOAD_RSS_HASH != 0
    }

    /// Whether the device stamps received frames.
    #[must_use]
    pub fn rx_timestamps(&self) -> bool {
        self.rx_offloads & c::SHIM_RX_OFFLOAD_TIMESTAMP != 0
    }
}

impl<'eal, S> Port<'eal, S> {
    /// Id of the port.
    #[must_use]
    pub fn id(&self) -> u16 {
        self.claim.id
    }

    /// What the device is and offers.
    ///
    /// # Errors
    /// What the driver says.
    pub fn info(&self) -> Result<PortInfo, PortError> {
        let _slot = self.claim.eal.slot(self.claim.id);
        PortInfo::read(self.claim.id)
    }

    /// A handle for looking at the port from any thread.
    #[must_use]
    pub fn observer(&self) -> PortObserver<'eal> {
        PortObserver::new(self.claim.eal, self.claim.id, self.claim.generation)
    }

    /// Closes the device; it can not be found again, unless it is virtual and plugged in again
    /// ([`Eal::unplug`], [`Eal::plug`]).
    ///
    /// # Errors
    /// What the driver says. The port is closed all the same.
    pub fn close(mut self) -> Result<(), PortError> {
        self.claim.close()
    }
}

impl<'eal> Port<'eal, Found> {
    pub(crate) fn claim(eal: &'eal Eal, name: &str) -> Result<Self, PortError> {
        let not_found =
            || PortError::NotFound { name: name.to_owned(), probed: eal.port_names().join(", ") };
        let id = {
            let _control = eal.control();
            // The EAL names PCI devices with their domain.
            find(name).or_else(|| find(&format!("0000:{name}")))
        };
        let id = id.ok_or_else(not_found)?;
        let mut slot = eal.slot(id);
        match slot.holder {
            Holder::Free => {}
            Holder::Claimed => return Err(PortError::Claimed { name: name.to_owned() }),
            Holder::Closed => {
                drop(slot);
                return Err(not_found());
            }
        }
        let mut owner = c::rte_eth_dev_owner::default();
        // SAFETY: the port exists, and the structure is the installed header's.
        let answer = unsafe { c::rte_eth_dev_owner_get(id, &raw mut owner) };
        check(id, "read the owner", answer)?;
        if owner.id != u64::from(c::RTE_ETH_DEV_NO_OWNER) {
            let owner = crate::error::text_of(&owner.name);
            return Err(PortError::Owned { name: name.to_owned(), owner });
        }
        slot.holder = Holder::Claimed;
        let generation = slot.generation;
        drop(slot);
        Ok(Self { claim: Claim { eal, id, generation, stage: Stage::Found }, state: Found(()) })
    }

    /// Sets the port up: offloads, queues in memory of the port's NUMA node, MTU. `pool_of` says
    /// which pool a receive queue takes its buffers from.
    ///
    /// # Errors
    /// What the device can not do, with the port as it was found.
    pub fn configure(
        mut self,
        config: &PortConfig,
        pool_of: impl FnMut(u16) -> Mempool<'eal>,
    ) -> Result<Port<'eal, Configured>, Failed<Self>> {
        match self.claim.set_up(config, pool_of) {
            Ok(settings) => {
                self.claim.stage = Stage::Configured;
                Ok(Port { claim: self.claim, state: Configured(settings) })
            }
            Err(error) => Err(Failed { port: self, error }),
        }
    }
}

impl<'eal> Port<'eal, Configured> {
    /// What came of the configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.state.0
    }

    /// Starts the port: it receives and sends from here on.
    ///
    /// # Errors
    /// What the driver says, with the port still configured.
    pub fn start(mut self) -> Result<Port<'eal, Started>, Failed<Self>> {
        match self.claim.start(self.state.0.promiscuous) {
            Ok(()) => {
                self.claim.stage = Stage::Started;
                Ok(Port { claim: self.claim, state: Started(self.state.0) })
            }
            Err(error) => Err(Failed { port: self, error }),
        }
    }

    /// Back to before [`configure`](Port::configure), to configure it in another way.
    #[must_use]
    pub fn release(mut self) -> Port<'eal, Found> {
        self.claim.stage = Stage::Found;
        Port { claim: self.claim, state: Found(()) }
    }
}

impl<'eal> Port<'eal, Started> {
    /// What came of the configuration.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.state.0
    }

    /// Lends the queues, for as long as the port is borrowed. DPDK: "the transmit and receive
    /// functions should not be invoked when the device or the queue is stopped", and stopping
    /// needs the port itself.
    #[must_use]
    pub fn split(&mut self) -> Queues<'_, 'eal> {
        let Settings { rx_queues, tx_queues, .. } = self.state.0;
        // SAFETY: the port is started with these queues; it is borrowed mutably as long as the
        // queues are out, so it can be neither stopped nor split again.
        unsafe { Queues::lend(self.claim.id, rx_queues, tx_queues) }
    }

    /// Stops the port; frames in its queues go back to their pools.
    ///
    /// # Errors
    /// What the driver says, with the port still started.
    pub fn stop(mut self) -> Result<Port<'eal, Configured>, Failed<Self>> {
        match self.claim.stop() {
            Ok(()) => Ok(Port { claim: self.claim, state: Configured(self.state.0) }),
            Err(error) => Err(Failed { port: self, error }),
        }
    }
}

impl<'eal> Claim<'eal> {
    fn set_up(
        &self,
        config: &PortConfig,
        mut pool_of: impl FnMut(u16) -> Mempool<'eal>,
    ) -> Result<Settings, PortError> {
        let id = self.id;
        let pools: Vec<Mempool<'eal>> = (0..config.rx_queues).map(&mut pool_of).collect();
        let _slot = self.eal.slot(id);
        let info = PortInfo::read(id)?;
        info.check(config)?;
        let room = pools.iter().map(|pool| pool.data_room() - HEADROOM).min().unwrap_or(u16::MAX);
        let mut settings = settle(config, &info, room);
        let device = device_conf(&settings);
        // SAFETY: the port is claimed and not started, and the structure is the installed header's,
        // complete and copied.
        let answer = unsafe {
            c::rte_eth_dev_configure(id, settings.rx_queues, settings.tx_queues, &raw const device)
        };
        check(id, "configure", answer)?;
        let (rx, tx) = (&raw mut settings.rx_descriptors, &raw mut settings.tx_descriptors);
        // SAFETY: the port is claimed, and both pointers are to live variables.
        let answer = unsafe { c::rte_eth_dev_adjust_nb_rx_tx_desc(id, rx, tx) };
        check(id, "adjust the number of descriptors", answer)?;

        // SOCKET_ID_ANY, all ones, where the device has no node.
        let socket = info.socket.unwrap_or(u32::MAX);
        for queue in 0..settings.tx_queues {
            let descriptors = settings.tx_descriptors;
            // SAFETY: the port is configured with this queue and not started; null asks for the
            // driver's defaults, to which the port's offloads are added.
            let answer = unsafe {
                c::rte_eth_tx_queue_setup(id, queue, descriptors, socket, std::ptr::null())
            };
            check(id, "set up a transmit queue", answer)?;
        }
        for (queue, pool) in (0..settings.rx_queues).zip(pools) {
            let descriptors = settings.rx_descriptors;
            // SAFETY: as above; the pool lives until the EAL is cleaned up, so longer than the
            // queue.
            let answer = unsafe {
                c::rte_eth_rx_queue_setup(
                    id,
                    queue,
                    descriptors,
                    socket,
                    std::ptr::null(),
                    pool.as_ptr(),
                )
            };
            check(id, "set up a receive queue", answer)?;
        }
        // Drivers that sit on a network interface of the kernel's set its MTU only here; others
        // have no such function.
        if !config.keep_interface_mtu {
            // SAFETY: the port is configured and not started.
            let answer = unsafe { c::rte_eth_dev_set_mtu(id, settings.mtu) };
            tolerate_unsupported(id, "set the MTU", answer)?;
        }
        Ok(settings)
    }

    fn start(&self, promiscuous: bool) -> Result<(), PortError> {
        let id = self.id;
        let _slot = self.eal.slot(id);
        // SAFETY: the port is configured, and its queues are set up.
        let answer = unsafe { c::rte_eth_dev_start(id) };
        check(id, "start", answer)?;
        // Some drivers talk to their device for this, which they can not do before it is started.
        let answer = if promiscuous {
            // SAFETY: the port is claimed.
            unsafe { c::rte_eth_promiscuous_enable(id) }
        } else {
            // SAFETY: the port is claimed.
            unsafe { c::rte_eth_promiscuous_disable(id) }
        };
        tolerate_unsupported(id, "set promiscuous mode", answer).inspect_err(|_| {
            // SAFETY: the port was started just now, and no queue of it is lent.
            let _failed = unsafe { c::rte_eth_dev_stop(id) };
        })
    }

    fn stop(&mut self) -> Result<(), PortError> {
        let _slot = self.eal.slot(self.id);
        // SAFETY: the port is claimed, and none of its queues is lent: they borrow the port.
        let answer = unsafe { c::rte_eth_dev_stop(self.id) };
        check(self.id, "stop", answer)?;
        self.stage = Stage::Configured;
        Ok(())
    }

    fn close(&mut self) -> Result<(), PortError> {
        // "Close a stopped Ethernet device." A failed stop is not a reason to keep the device.
        let stopped = if self.stage == Stage::Started { self.stop() } else { Ok(()) };
        let mut slot = self.eal.slot(self.id);
        if slot.holder == Holder::Closed {
            return stopped;
        }
        // Closing clears the name, which others may be looking for.
        let _control = self.eal.control();
        let name = port_name(self.id);
        slot.holder = Holder::Closed;
        self.stage = Stage::Found;
        // SAFETY: the port is claimed and stopped; nobody reaches it any more, since its slot says
        // that it is closed.
        let answer = unsafe { c::rte_eth_dev_close(self.id) };
        stopped.and(Errno::check(answer).map_err(|source| PortError::Driver {
            port: name.unwrap_or_else(|| self.id.to_string()),
            action: "close",
            source,
        }))
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        if self.stage != Stage::Found {
            let _failed = self.close();
        }
        let mut slot = self.eal.slot(self.id);
        if slot.holder == Holder::Claimed {
            slot.holder = Holder::Free;
        }
    }
}

/// The port of that name.
pub(crate) fn find(name: &str) -> Option<u16> {
    let name = c_string(name)?;
    let mut id = 0;
    // SAFETY: the name is terminated, and the pointer is to a live variable.
    let answer = unsafe { c::rte_eth_dev_get_port_by_name(name.as_ptr(), &raw mut id) };
    (answer == 0).then_some(id)
}

/// What to ask the device for: the configuration, without what it does not offer. `room` is the
/// bytes of a frame that fit into a buffer.
fn settle(config: &PortConfig, info: &PortInfo, room: u16) -> Settings {
    let want =
        |wanted: bool, offload: u64, offered: u64| if wanted { offload & offered } else { 0 };
    let rss_wanted = c::SHIM_RSS_IP | c::SHIM_RSS_TCP | c::SHIM_RSS_UDP | c::SHIM_RSS_SCTP;
    let rss_types = want(config.rss, rss_wanted, info.rss_types);
    let is_long = u32::from(config.mtu) + info.overhead > u32::from(room);
    Settings {
        rx_queues: config.rx_queues,
        tx_queues: config.tx_queues,
        rx_descriptors: config.rx_descriptors.unwrap_or(info.rx_ring_size),
        tx_descriptors: config.tx_descriptors.unwrap_or(info.tx_ring_size),
        mtu: config.mtu,
        promiscuous: config.promiscuous,
        rx_offloads: want(rss_types != 0, c::SHIM_RX_OFFLOAD_RSS_HASH, info.rx_offloads)
            | want(config.rx_timestamps, c::SHIM_RX_OFFLOAD_TIMESTAMP, info.rx_offloads)
            | want(config.multi_segment && is_long, c::SHIM_RX_OFFLOAD_SCATTER, info.rx_offloads),
        tx_offloads: want(config.multi_segment, c::SHIM_TX_OFFLOAD_MULTI_SEGS, info.tx_offloads),
        rss_types,
    }
}

fn device_conf(settings: &Settings) -> c::rte_eth_conf {
    let mut conf = c::rte_eth_conf::default();
    conf.rxmode.mtu = u32::from(settings.mtu);
    conf.rxmode.offloads = settings.rx_offloads;
    conf.txmode.offloads = settings.tx_offloads;
    if settings.rss_types != 0 {
        conf.rxmode.mq_mode = c::RTE_ETH_MQ_RX_RSS;
        conf.rx_adv_conf.rss_conf.rss_hf = settings.rss_types;
    }
    conf
}

pub(crate) fn check(id: u16, action: &'static str, answer: i32) -> Result<(), PortError> {
    Errno::check(answer).map_err(|source| PortError::Driver {
        port: port_name(id).unwrap_or_else(|| id.to_string()),
        action,
        source,
    })
}

fn tolerate_unsupported(id: u16, action: &'static str, answer: i32) -> Result<(), PortError> {
    match check(id, action, answer) {
        Err(PortError::Driver { source: Errno::NOT_SUPPORTED, .. }) => Ok(()),
        other => other,
    }
}

impl<S: fmt::Debug> fmt::Debug for Port<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("id", &self.claim.id).field("state", &self.state).finish()
    }
}

/// A step that failed: the port as it was before, and why.
pub struct Failed<P> {
    /// The port, in the state it was in.
    pub port: P,
    /// Why.
    pub error: PortError,
}

impl<P> fmt::Debug for Failed<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failed").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<P> From<Failed<P>> for PortError {
    /// Drops the port.
    fn from(failed: Failed<P>) -> Self {
        failed.error
    }
}

/// Why something could not be done to a port.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// The EAL has probed no such device, or the port was closed.
    #[error("no port is named \"{name}\"; there {}", probed_list(.probed))]
    NotFound {
        /// The name asked for.
        name: String,
        /// The names of all ports.
        probed: String,
    },
    /// Somebody has it already.
    #[error("port \"{name}\" is claimed already")]
    Claimed {
        /// The port.
        name: String,
    },
    /// Another part of DPDK has it.
    #[error("port \"{name}\" belongs to {owner}")]
    Owned {
        /// The port.
        name: String,
        /// What DPDK calls the owner.
        owner: String,
    },
    /// The device has fewer queues.
    #[error("port \"{port}\": {asked} {direction} queues, but it offers 1 to {most}")]
    Queues {
        /// The port.
        port: String,
        /// "receive" or "transmit".
        direction: &'static str,
        /// Queues asked for.
        asked: u16,
        /// Queues there are.
        most: u16,
    },
    /// The device does not do this MTU.
    #[error("port \"{port}\": an MTU of {asked}, but it offers {least} to {most}")]
    Mtu {
        /// The port.
        port: String,
        /// Bytes asked for.
        asked: u16,
        /// The least it does.
        least: u16,
        /// The most it does.
        most: u16,
    },
    /// The port is closed.
    #[error("port {id} is closed")]
    Closed {
        /// Id of the port.
        id: u16,
    },
    /// DPDK's or the driver's own reason.
    #[error("port \"{port}\": can not {action}")]
    Driver {
        /// The port.
        port: String,
        /// What was tried.
        action: &'static str,
        /// What DPDK said.
        source: Errno,
    },
}

fn probed_list(probed: &str) -> String {
    if probed.is_empty() { "is none at all".to_owned() } else { format!("are {probed}") }
}

/// Checks at compile time that ports and what they lend may move between threads.
const _: () = {
    const fn send<T: Send>() {}
    send::<Port<'static, Found>>();
    send::<Port<'static, Configured>>();
    send::<Port<'static, Started>>();
    send::<Queues<'static, 'static>>();
    const fn sync<T: Sync>() {}
    sync::<PortObserver<'static>>();
    sync::<Eal>();
};
