//! Ports of DPDK: the wire of shared memory, and of NICs.

use std::{collections::BTreeMap, io};

use dpdk::{
    Burst, DynfieldError, Eal, Errno, Failed, Mbuf, Mempool, MempoolConfig, MempoolError,
    PlugError, Port, PortConfig, PortError, PortObserver, RxQueue, RxTimestamps, Started, TxQueue,
    free_burst,
};
use linux::clock::TickRate;

use super::stamps::{Known, StampError};
use crate::{
    probe::{Frames, Take, Wire},
    run::arm::Driver,
};

/// Of our own virtio-user device, which would be given a random one, and say so.
const MAC: &str = "02:b7:00:00:00:05";

/// Frames asked for at once.
const BURST: usize = 32;

/// Buffers that a generator needs at a time.
pub const BUFFERS: u32 = 8191;

/// Buffers that a device of net_af_xdp does not give back when it is closed: those of its fill ring (DPDK 22.11), and some.
pub const KEPT: u32 = 2560;

/// DPDK in this process, and the buffers that frames leave in.
#[derive(Debug, Clone, Copy)]
pub struct Generator<'eal> {
    eal: &'eal Eal,
    pool: Mempool<'eal>,
}

/// Why there is no such wire.
#[derive(Debug, thiserror::Error)]
pub enum DpdkWireError {
    /// No buffers.
    #[error(transparent)]
    Pool(#[from] MempoolError),
    /// No device.
    #[error(transparent)]
    Plug(#[from] PlugError),
    /// Its stamps can not be used.
    #[error(transparent)]
    Stamps(#[from] StampError),
    /// An mbuf has no room for them.
    #[error(transparent)]
    Field(#[from] DynfieldError),
    /// It is there, and can not be used.
    #[error(transparent)]
    Port(#[from] PortError),
}

impl<S> From<Failed<S>> for DpdkWireError {
    fn from(failed: Failed<S>) -> Self {
        Self::Port(failed.error)
    }
}

impl<'eal> Generator<'eal> {
    /// Makes the buffers; once in the life of the process.
    ///
    /// # Errors
    /// [`DpdkWireError::Pool`]
    pub fn new(eal: &'eal Eal, buffers: u32) -> Result<Self, DpdkWireError> {
        let config = MempoolConfig { buffers, ..MempoolConfig::default() };
        Ok(Self { eal, pool: Mempool::create(eal, "probes", config)? })
    }
}

/// One or two ports. Dropping it closes them; virtual ones are unplugged as well.
#[derive(Debug)]
pub struct DpdkWire<'eal> {
    generator: Generator<'eal>,
    out: Option<Port<'eal, Started>>,
    /// None: frames come back where they left.
    back: Option<Port<'eal, Started>>,
    /// The devices to unplug, the last one first.
    plugged: Vec<String>,
    arrived: u64,
    /// None: frames are stamped by us.
    stamps: Option<Stamps<'eal>>,
}

impl<'eal> DpdkWire<'eal> {
    /// Plugs a virtual device in: `net_vhost0`, `iface=/tmp/a.sock,queues=1`.
    ///
    /// # Errors
    /// [`DpdkWireError`]
    pub fn plug(
        generator: Generator<'eal>,
        device: &str,
        arguments: &str,
    ) -> Result<Self, DpdkWireError> {
        generator.eal.plug(device, arguments)?;
        let plugged = vec![device.to_owned()];
        // From here on, dropping it unplugs the device.
        let mut wire = Self { generator, out: None, back: None, plugged, arrived: 0, stamps: None };
        wire.out = Some(start(generator, device, false)?);
        Ok(wire)
    }

    /// Devices of this driver on interfaces of the kernel's. The same one twice is one that frames come back to.
    ///
    /// # Errors
    /// [`DpdkWireError`]
    pub fn on(
        generator: Generator<'eal>,
        driver: Driver,
        out: &str,
        back: &str,
    ) -> Result<Self, DpdkWireError> {
        let device = |number, interface| {
            let device = driver.device(number, interface);
            let (name, arguments) = device.split_once(',').unwrap_or((&device, ""));
            (name.to_owned(), arguments.to_owned())
        };
        let (name, arguments) = device(0, out);
        let mut wire = Self::plug(generator, &name, &arguments)?;
        if out != back {
            let (name, arguments) = device(1, back);
            generator.eal.plug(&name, &arguments)?;
            wire.plugged.push(name.clone());
            wire.back = Some(start(generator, &name, false)?);
        }
        Ok(wire)
    }

    /// vhost-user and virtio-user on one socket, both ours: frames leave through the one and come back through the other.
    ///
    /// # Errors
    /// [`DpdkWireError`]
    pub fn joined(generator: Generator<'eal>, socket: &str) -> Result<Self, DpdkWireError> {
        let [first, second] = ["net_vhost0", "net_virtio_user0"];
        let mut wire = Self::plug(generator, first, &format!("iface={socket},queues=1"))?;
        let arguments = format!("path={socket},queues=1,queue_size=1024,mac={MAC}");
        generator.eal.plug(second, &arguments)?;
        wire.plugged.push(second.to_owned());
        wire.back = Some(start(generator, second, false)?);
        Ok(wire)
    }

    /// Takes devices that are there: PCI addresses, or virtual devices with or without their arguments. The same one twice is one that frames come back to.
    ///
    /// # Errors
    /// [`DpdkWireError`]
    pub fn ports(generator: Generator<'eal>, out: &str, back: &str) -> Result<Self, DpdkWireError> {
        Self::some_ports(generator, out, back, false)
    }

    fn some_ports(
        generator: Generator<'eal>,
        out: &str,
        back: &str,
        stamps_too: bool,
    ) -> Result<Self, DpdkWireError> {
        let name = |device: &str| {
            let device = device.strip_prefix("vdev:").unwrap_or(device);
            device.split(',').next().unwrap_or(device).to_owned()
        };
        let (out, back) = (&name(out), &name(back));
        let first = Some(start(generator, out, stamps_too && out == back)?);
        let mut wire = Self {
            generator,
            out: first,
            back: None,
            plugged: Vec::new(),
            arrived: 0,
            stamps: None,
        };
        if out != back {
            wire.back = Some(start(generator, back, stamps_too)?);
        }
        Ok(wire)
    }

    /// The same, with the stamps of the device that frames come back through.
    ///
    /// # Errors
    /// [`DpdkWireError`]; [`DpdkWireError::Stamps`] where the device has none, or its clock can not be read.
    pub fn stamped_ports(
        generator: Generator<'eal>,
        rate: TickRate,
        out: &str,
        back: &str,
    ) -> Result<Self, DpdkWireError> {
        let mut wire = Self::some_ports(generator, out, back, true)?;
        let Some(port) = wire.back.as_ref().or(wire.out.as_ref()) else { return Ok(wire) };
        let info = port.info()?;
        if !info.offers_rx_timestamps() {
            return Err(StampError::None { port: info.name }.into());
        }
        let field = RxTimestamps::register(generator.eal)?;
        let (device, known) = (port.observer(), Known::new(&info.name, rate));
        wire.stamps = Some(Stamps { field, device, known });
        wire.begin()?;
        Ok(wire)
    }

    /// Before a trial: gets to know the device's clock.
    ///
    /// # Errors
    /// [`StampError`]
    pub fn begin(&mut self) -> Result<(), StampError> {
        let Some(Stamps { known, device, .. }) = &mut self.stamps else { return Ok(()) };
        known.begin(&mut || read(device))
    }

    /// Since [`begin`](Self::begin): frames with a stamp of the device, frames without, and how wrong one may be, in ns.
    /// None where we stamp.
    #[must_use]
    pub fn stamped(&self) -> Option<(u64, u64, u64)> {
        self.stamps.as_ref().map(|stamps| stamps.known.told())
    }

    /// What the ports are: driver, firmware, speed.
    #[must_use]
    pub fn told(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        for (name, port) in [("out", &self.out), ("back", &self.back)] {
            let Some(port) = port else { continue };
            let (info, observer) = (port.info(), port.observer());
            let unknown = |error: &PortError| format!("unknown: {error}");
            let driver = info.map_or_else(|error| unknown(&error), |info| info.driver);
            all.insert(format!("{name}.pmd"), driver);
            let firmware = match observer.firmware() {
                Ok(firmware) => firmware,
                Err(PortError::Driver { source: Errno::NOT_SUPPORTED, .. }) => None,
                Err(error) => Some(unknown(&error)),
            };
            all.extend(firmware.map(|text| (format!("{name}.firmware"), text)));
            let speed = observer.link().ok().and_then(|link| link.speed_mbps);
            all.extend(speed.map(|speed| (format!("{name}.speed"), format!("{speed} Mbit/s"))));
        }
        all
    }

    /// Throws away what came in until now.
    pub fn flush(&mut self) {
        if let Some(mut turn) = self.turn() {
            while turn.fetch() > 0 {
                free_burst(&mut turn.burst);
            }
        }
        self.arrived = 0;
    }

    /// Frames that arrived since the last [`flush`](Self::flush).
    #[must_use]
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Its queues, for some time.
    pub fn turn(&mut self) -> Option<Turn<'_, 'eal>> {
        let Self { generator, out, back, arrived, stamps, .. } = self;
        let stamps = stamps.as_mut();
        let mut ours = out.as_mut()?.split();
        let mut theirs = back.as_mut().map(Port::split);
        let receive = match &mut theirs {
            Some(queues) => queues.rx.pop()?,
            None => ours.rx.pop()?,
        };
        let send = ours.tx.pop()?;
        let pool = generator.pool;
        let (burst, leaving) = (Burst::new(), Burst::new());
        Some(Turn { receive, send, pool, burst, leaving, arrived, stamps })
    }
}

fn start<'eal>(
    generator: Generator<'eal>,
    device: &str,
    stamps_too: bool,
) -> Result<Port<'eal, Started>, DpdkWireError> {
    let port = generator.eal.port(device)?;
    let config = PortConfig {
        rx_descriptors: Some(1024),
        tx_descriptors: Some(1024),
        rx_timestamps: stamps_too,
        ..PortConfig::default()
    };
    Ok(port.configure(&config, |_| generator.pool)?.start()?)
}

impl Drop for DpdkWire<'_> {
    fn drop(&mut self) {
        // A virtio-user device goes before the vhost-user one that it is connected to.
        for port in [self.back.take(), self.out.take()].into_iter().flatten() {
            let _closed_all_the_same = port.close();
        }
        for device in self.plugged.iter().rev() {
            let _gone = self.generator.eal.unplug(device);
        }
    }
}

/// The queues of a wire, on the thread that turns.
#[derive(Debug)]
pub struct Turn<'port, 'eal> {
    receive: RxQueue<'port, 'eal>,
    send: TxQueue<'port, 'eal>,
    pool: Mempool<'eal>,
    burst: Burst<'eal>,
    leaving: Burst<'eal>,
    arrived: &'port mut u64,
    stamps: Option<&'port mut Stamps<'eal>>,
}

/// What it takes to use the stamps of a device.
#[derive(Debug)]
struct Stamps<'eal> {
    field: RxTimestamps<'eal>,
    device: PortObserver<'eal>,
    known: Known,
}

/// A device's clock, or why it can not be read.
fn read(device: &PortObserver<'_>) -> Result<u64, String> {
    device.read_clock().map_err(|error| match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    })
}

impl Turn<'_, '_> {
    fn fetch(&mut self) -> usize {
        let count = self.receive.recv(&mut self.burst, BURST);
        *self.arrived += count as u64;
        count
    }
}

impl Wire for Turn<'_, '_> {
    fn send(&mut self, frames: &Frames) -> io::Result<usize> {
        for frame in frames.iter().take(Frames::MOST) {
            match Mbuf::copy_from(&self.pool, frame) {
                Ok(mbuf) => self.leaving.push(mbuf),
                // Buffers that the device still has come back when it has sent them.
                Err(dpdk::CopyError::PoolEmpty(_)) => break,
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let went = self.send.send(&mut self.leaving);
        free_burst(&mut self.leaving);
        Ok(went)
    }

    fn receive(&mut self, take: &mut Take<'_>) -> io::Result<usize> {
        let count = self.fetch();
        match &mut self.stamps {
            None => self.burst.iter().for_each(|frame| take(frame.head(), None)),
            Some(Stamps { field, known, device }) => {
                for frame in &self.burst {
                    take(frame.head(), known.of(field.of(frame)));
                }
                if count == 0 {
                    known.keep(&mut || read(device)).map_err(io::Error::other)?;
                }
            }
        }
        free_burst(&mut self.burst);
        Ok(count)
    }
}
