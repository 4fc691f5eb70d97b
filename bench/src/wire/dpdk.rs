//! Ports of DPDK: the wire of shared memory, and of NICs.

use std::{collections::BTreeMap, io};

use dpdk::{
    Burst, Eal, Errno, Failed, Mbuf, Mempool, MempoolConfig, MempoolError, PlugError, Port,
    PortConfig, PortError, RxQueue, Started, TxQueue, free_burst,
};

use crate::{probe::Wire, run::arm::Driver};

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
        let mut wire = Self { generator, out: None, back: None, plugged, arrived: 0 };
        wire.out = Some(start(generator, device)?);
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
            wire.back = Some(start(generator, &name)?);
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
        wire.back = Some(start(generator, second)?);
        Ok(wire)
    }

    /// Takes devices that are there: PCI addresses, or virtual devices with or without their arguments. The same one twice is one that frames come back to.
    ///
    /// # Errors
    /// [`DpdkWireError`]
    pub fn ports(generator: Generator<'eal>, out: &str, back: &str) -> Result<Self, DpdkWireError> {
        let name = |device: &str| {
            let device = device.strip_prefix("vdev:").unwrap_or(device);
            device.split(',').next().unwrap_or(device).to_owned()
        };
        let (out, back) = (&name(out), &name(back));
        let first = Some(start(generator, out)?);
        let mut wire = Self { generator, out: first, back: None, plugged: Vec::new(), arrived: 0 };
        if out != back {
            wire.back = Some(start(generator, back)?);
        }
        Ok(wire)
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
        let Self { generator, out, back, arrived, .. } = self;
        let mut ours = out.as_mut()?.split();
        let mut theirs = back.as_mut().map(Port::split);
        let receive = match &mut theirs {
            Some(queues) => queues.rx.pop()?,
            None => ours.rx.pop()?,
        };
        let send = ours.tx.pop()?;
        let pool = generator.pool;
        Some(Turn { receive, send, pool, burst: Burst::new(), one: Burst::new(), arrived })
    }
}

fn start<'eal>(
    generator: Generator<'eal>,
    device: &str,
) -> Result<Port<'eal, Started>, DpdkWireError> {
    let port = generator.eal.port(device)?;
    let config = PortConfig {
        rx_descriptors: Some(1024),
        tx_descriptors: Some(1024),
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
    one: Burst<'eal>,
    arrived: &'port mut u64,
}

impl Turn<'_, '_> {
    fn fetch(&mut self) -> usize {
        let count = self.receive.recv(&mut self.burst, BURST);
        *self.arrived += count as u64;
        count
    }
}

impl Wire for Turn<'_, '_> {
    fn send(&mut self, frame: &[u8]) -> io::Result<bool> {
        let mbuf = match Mbuf::copy_from(&self.pool, frame) {
            Ok(mbuf) => mbuf,
            // Buffers that the device still has come back when it has sent them.
            Err(dpdk::CopyError::PoolEmpty(_)) => return Ok(false),
            Err(error) => return Err(io::Error::other(error)),
        };
        self.one.push(mbuf);
        let went = self.send.send(&mut self.one) == 1;
        free_burst(&mut self.one);
        Ok(went)
    }

    fn receive(&mut self, take: &mut dyn FnMut(&[u8])) -> io::Result<usize> {
        let count = self.fetch();
        for frame in &self.burst {
            take(frame.head());
        }
        free_burst(&mut self.burst);
        Ok(count)
    }
}
