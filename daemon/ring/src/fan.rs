//! Many workers on either side: a ring for every pair, so that each ring keeps one producer and one
//! consumer.

use std::num::NonZeroUsize;

use arrayvec::ArrayVec;

use crate::{Capacity, Consumer, Gauge, Producer, channel};

/// A ring from each of `from` workers to each of `to` workers: the *i*-th fan-out's ring *j* leads
/// to the *j*-th fan-in. Memory: `from × to × capacity` items.
///
/// ```
/// use std::num::NonZeroUsize;
/// use arrayvec::ArrayVec;
/// use ring::{Capacity, mesh};
///
/// let two = NonZeroUsize::new(2).unwrap();
/// let (mut rx, mut graph) = mesh::<&str>(NonZeroUsize::MIN, two, Capacity::new(64).unwrap());
/// let flow = 0xdead_beef;
/// let ring = rx[0].route(flow);
/// let mut burst: ArrayVec<_, 32> = ["a frame", "of one flow"].into_iter().collect();
/// rx[0].push_burst(ring, &mut burst);
/// let mut out: ArrayVec<_, 32> = ArrayVec::new();
/// assert_eq!(graph[ring].pop_burst(&mut out, 32), 2);
/// ```
#[must_use]
pub fn mesh<T: Send>(
    from: NonZeroUsize,
    to: NonZeroUsize,
    capacity: Capacity,
) -> (Vec<FanOut<T>>, Vec<FanIn<T>>) {
    let mut ins: Vec<Vec<Consumer<T>>> = (0..to.get()).map(|_| Vec::new()).collect();
    let outs = (0..from.get())
        .map(|_| {
            let producers = ins.iter_mut().map(|consumers| {
                let (producer, consumer) = channel(capacity);
                consumers.push(consumer);
                producer
            });
            FanOut { producers: producers.collect() }
        })
        .collect();
    let ins = ins.into_iter().map(|consumers| FanIn { consumers, first: 0 }).collect();
    (outs, ins)
}

/// One worker's way to several: a producer end for each. At least one.
#[derive(Debug)]
pub struct FanOut<T> {
    producers: Vec<Producer<T>>,
}

impl<T> FanOut<T> {
    /// The ring that every frame of a flow takes, below [`FanOut::rings`]; order within the flow
    /// follows.
    ///
    /// Multiply and shift, so the *high* bits of the hash decide. A NIC picks the rx queue by the
    /// low bits of the RSS hash; a remainder would look at the same bits again and leave rings idle
    /// whenever the two counts have a common factor. A software hash must mix its high bits well.
    #[inline] // per packet
    #[must_use]
    pub fn route(&self, flow_hash: u32) -> usize {
        let scaled = u64::from(flow_hash) * self.producers.len() as u64;
        (scaled >> u32::BITS) as usize // below the number of rings, which is a usize
    }

    /// How many rings there are.
    #[must_use]
    pub fn rings(&self) -> usize {
        self.producers.len()
    }

    /// [`Producer::push_burst`] into one ring.
    ///
    /// # Panics
    ///
    /// When `ring` is not below [`FanOut::rings`]; one from [`FanOut::route`] always is.
    #[inline] // as for Producer::push_burst
    pub fn push_burst<const N: usize>(&mut self, ring: usize, burst: &mut ArrayVec<T, N>) -> usize {
        self.producers[ring].push_burst(burst)
    }

    /// A gauge for each ring, in order.
    pub fn gauges(&self) -> impl Iterator<Item = Gauge> + '_ {
        self.producers.iter().map(Producer::gauge)
    }
}

/// One worker's way from several: a consumer end for each. At least one.
#[derive(Debug)]
pub struct FanIn<T> {
    consumers: Vec<Consumer<T>>,
    /// The ring that the next pop starts at.
    first: usize,
}

impl<T> FanIn<T> {
    /// Appends up to `max` items, as far as there is room, from as many rings as that takes, and
    /// returns how many. Each call starts one ring further, so of *n* rings each comes first in
    /// every *n*-th call, however busy the others are. Items of one ring keep their order.
    #[inline] // as for Consumer::pop_burst
    pub fn pop_burst<const N: usize>(&mut self, burst: &mut ArrayVec<T, N>, max: usize) -> usize {
        let (wrapped, from_first) = self.consumers.split_at_mut(self.first);
        let mut left = max;
        for consumer in from_first.iter_mut().chain(wrapped) {
            if left == 0 || burst.is_full() {
                break;
            }
            left -= consumer.pop_burst(burst, left);
        }
        self.first += 1;
        if self.first == self.consumers.len() {
            self.first = 0;
        }
        max - left
    }

    /// How many rings there are.
    #[must_use]
    pub fn rings(&self) -> usize {
        self.consumers.len()
    }

    /// A gauge for each ring, in order.
    pub fn gauges(&self) -> impl Iterator<Item = Gauge> + '_ {
        self.consumers.iter().map(Consumer::gauge)
    }
}
