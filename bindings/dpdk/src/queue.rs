//! Where frames come in and go out: the packet path.
//!
//! # Safety
//! Lets C write frames into the free places of a burst, and take frames out of it.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use dpdk_sys as c;

use crate::burst::{Burst, MAX_BURST, forget_front};
use crate::eal::Eal;

/// The queues of a started port, lent by [`Port::split`](crate::Port::split).
#[derive(Debug)]
pub struct Queues<'port, 'eal> {
    /// The receive queues, by index.
    pub rx: Vec<RxQueue<'port, 'eal>>,
    /// The transmit queues, by index.
    pub tx: Vec<TxQueue<'port, 'eal>>,
}

/// Which queue of which port. Shared by both kinds.
struct Queue<'port, 'eal> {
    port: u16,
    queue: u16,
    /// The port is lent, and so can not be stopped.
    borrow: PhantomData<&'port mut Eal>,
    eal: PhantomData<&'eal Eal>,
    /// Not Sync: a shared reference to a queue is of no use to another thread, and never needed.
    one_thread: PhantomData<Cell<()>>,
}

/// One receive queue of a started port.
///
/// DPDK: "the receive function of a PMD cannot be invoked in parallel on two logical cores to poll
/// the same Rx queue". There is one `RxQueue` per queue, it can not be cloned, and receiving needs
/// `&mut`; it may move to another thread.
pub struct RxQueue<'port, 'eal>(Queue<'port, 'eal>);

/// One transmit queue of a started port. The rule for [`RxQueue`] holds for it too.
pub struct TxQueue<'port, 'eal>(Queue<'port, 'eal>);

impl<'port, 'eal> Queues<'port, 'eal> {
    /// # Safety
    /// The port is started, has these numbers of queues, stays started during `'port`, and no queue
    /// of it is lent otherwise.
    pub(crate) unsafe fn lend(port: u16, rx: u16, tx: u16) -> Self {
        let queue = |queue| Queue {
            port,
            queue,
            borrow: PhantomData,
            eal: PhantomData,
            one_thread: PhantomData,
        };
        Self {
            rx: (0..rx).map(|index| RxQueue(queue(index))).collect(),
            tx: (0..tx).map(|index| TxQueue(queue(index))).collect(),
        }
    }
}

impl<'eal> RxQueue<'_, 'eal> {
    /// Id of the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Index of the queue in its port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.0.queue
    }

    /// Appends up to `max` received frames to `burst`, as far as it has room, and says how many.
    /// Never waits.
    ///
    /// DPDK says of the number asked for, which is the smaller of `max` and the room: "the value
    /// must be divisible by 8 in order to work with any driver". With another number some
    /// drivers return fewer frames than there are, or none; so empty the burst before receiving
    /// into it, and make `max` a multiple of 8.
    #[inline]
    pub fn recv(&mut self, burst: &mut Burst<'eal>, max: usize) -> usize {
        let held = burst.len();
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_BURST")]
        let room = max.min(MAX_BURST - held) as u16;
        // SAFETY: the burst's array has MAX_BURST places, of which `held` are taken.
        let free = unsafe { burst.as_mut_ptr().add(held) };
        // SAFETY: the queue belongs to a started port and to nobody else (see `lend`); an Mbuf is a
        // pointer to rte_mbuf (repr(transparent)), and there are `room` free places.
        let count = unsafe { c::burst::rx(self.0.port, self.0.queue, free.cast(), room) };
        let count = usize::from(count);
        // SAFETY: the driver has written `count` pointers to frames, and gave them away with that.
        unsafe { burst.set_len(held + count) };
        count
    }
}

impl<'eal> TxQueue<'_, 'eal> {
    /// Id of the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.0.port
    }

    /// Index of the queue in its port.
    #[must_use]
    pub fn index(&self) -> u16 {
        self.0.queue
    }

    /// Sends frames from the front of `burst`, as many as the queue takes, and says how many; the
    /// others stay in the burst, in order. Never waits. A driver frees a frame some time after
    /// it was sent, often at a later call.
    #[inline]
    pub fn send(&mut self, burst: &mut Burst<'eal>) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "at most MAX_BURST")]
        let held = burst.len() as u16;
        let frames = burst.as_mut_ptr();
        // SAFETY: the queue belongs to a started port and to nobody else (see `lend`); an Mbuf is a
        // pointer to rte_mbuf (repr(transparent)), and there are `held` of them.
        let sent = unsafe { c::burst::tx(self.0.port, self.0.queue, frames.cast(), held) };
        // SAFETY: the driver owns the first `sent` frames now, and `sent` is at most `held`.
        unsafe { forget_front(burst, usize::from(sent)) };
        usize::from(sent)
    }
}

impl fmt::Debug for Queue<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "port {}, queue {}", self.port, self.queue)
    }
}

impl fmt::Debug for RxQueue<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RxQueue").field(&self.0).finish()
    }
}

impl fmt::Debug for TxQueue<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TxQueue").field(&self.0).finish()
    }
}
