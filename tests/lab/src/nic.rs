//! The test's end of a NIC's cable: one datagram is one frame.

use std::{
    io,
    os::{fd::OwnedFd, unix::net::UnixDatagram},
    time::{Duration, Instant},
};

use rustix::net::sockopt;

use crate::LabError;

/// No NIC here takes longer frames.
const LONGEST: usize = 16 * 1024;
/// How long the guest may keep a frame from entering its NIC.
const ENTER: Duration = Duration::from_secs(30);
/// What may wait on its way, in bytes, each way.
const BACKLOG: usize = 8 << 20;

/// One cable. It outlives reboots and power cuts.
#[derive(Debug)]
pub struct Nic {
    name: String,
    mac: [u8; 6],
    pci_address: String,
    socket: UnixDatagram,
}

impl Nic {
    /// A cable, and the end of it for QEMU.
    pub(crate) fn new(
        name: &str,
        mac: [u8; 6],
        pci_address: String,
    ) -> Result<(Nic, OwnedFd), LabError> {
        let failed = || LabError::io(format!("cannot make the cable {name}"));
        let (socket, qemu) = UnixDatagram::pair().map_err(failed())?;
        for end in [&socket, &qemu] {
            sockopt::set_socket_send_buffer_size(end, BACKLOG)
                .map_err(|errno| failed()(errno.into()))?;
        }
        socket.set_write_timeout(Some(ENTER)).map_err(failed())?;
        Ok((Nic { name: name.to_owned(), mac, pci_address, socket }, qemu.into()))
    }

    /// The same cable once more, for another thread.
    ///
    /// # Errors
    /// [`LabError::Io`]
    pub fn another(&self) -> Result<Nic, LabError> {
        let socket = self.socket.try_clone().map_err(LabError::io("cannot share a cable"))?;
        let Nic { name, mac, pci_address, .. } = self;
        Ok(Nic { name: name.clone(), mac: *mac, pci_address: pci_address.clone(), socket })
    }

    /// What the machine calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The NIC's address on its Ethernet.
    #[must_use]
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    /// Where the guest finds the NIC, as in `/sys/bus/pci/devices`.
    #[must_use]
    pub fn pci_address(&self) -> &str {
        &self.pci_address
    }

    /// Puts a frame on the cable, towards the guest. It begins with the destination's address; there is no FCS.
    ///
    /// # Errors
    /// [`LabError::Io`] when the guest takes nothing for long, and what may wait has filled up.
    pub fn send(&self, frame: &[u8]) -> Result<(), LabError> {
        let what = || LabError::io(format!("cannot send on the cable {}", self.name));
        loop {
            match self.socket.send(frame) {
                // A process that is stopped and goes on is interrupted where it waits with a limit (signal(7)).
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                sent => return sent.map(|_| ()).map_err(what()),
            }
        }
    }

    /// The next frame that the guest put on the cable; nothing when none comes in time.
    ///
    /// # Errors
    /// [`LabError::Io`]
    pub fn recv(&self, within: Duration) -> Result<Option<Vec<u8>>, LabError> {
        self.recv_that(within, |_| true)
    }

    /// The next frame from the guest that `wanted` likes; a guest's kernel also talks by itself.
    ///
    /// # Errors
    /// [`LabError::Io`]
    pub fn recv_that(
        &self,
        within: Duration,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>, LabError> {
        let what = || LabError::io(format!("cannot receive on the cable {}", self.name));
        let deadline = Instant::now() + within;
        let mut frame = vec![0; LONGEST];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // A timeout of zero would mean none.
            let left = left.max(Duration::from_millis(1));
            self.socket.set_read_timeout(Some(left)).map_err(what())?;
            match self.socket.recv(&mut frame) {
                Ok(length) if wanted(&frame[..length]) => {
                    frame.truncate(length);
                    return Ok(Some(frame));
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(what()(error)),
            }
            if Instant::now() >= deadline {
                return Ok(None);
            }
        }
    }

    /// Forgets what the guest has sent until now.
    ///
    /// # Errors
    /// [`LabError::Io`]
    pub fn forget(&self) -> Result<(), LabError> {
        while self.recv(Duration::ZERO)?.is_some() {}
        Ok(())
    }
}
