//! What a datagram costs through the kernel: there and back over the loopback interface.

use std::{
    io,
    net::{Ipv4Addr, UdpSocket},
    thread,
    time::Duration,
};

use config::CpuId;
use hdrhistogram::Histogram;
use linux::clock::{TickRate, ticks};

use crate::{MeasureError, histogram, record};

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(1);

/// Sends `rounds` datagrams from a thread on `from` to one on `to`, which sends each back: ns a round trip.
///
/// # Errors
/// [`MeasureError`]; a datagram that does not come back within a second is one.
pub fn round_trip(from: CpuId, to: CpuId, rounds: u64) -> Result<Histogram<u64>, MeasureError> {
    let rate = TickRate::calibrate(Duration::from_millis(50))?;
    let fail = |source| MeasureError::System { what: "a datagram's round trip", source };
    let socket = || -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    };
    let (here, there) = (socket().map_err(fail)?, socket().map_err(fail)?);
    here.connect(there.local_addr().map_err(fail)?).map_err(fail)?;
    there.connect(here.local_addr().map_err(fail)?).map_err(fail)?;
    let echo = thread::Builder::new().name(format!("bw-echo-{to}")).spawn(
        move || -> Result<(), MeasureError> {
            linux::thread::pin(to).map_err(|source| MeasureError::Affinity { cpu: to, source })?;
            let mut buffer = [0; 64];
            for _ in 0..rounds {
                match there.recv(&mut buffer) {
                    Ok(length) => {
                        there.send(&buffer[..length]).map_err(fail)?;
                    }
                    // The other side gave up.
                    Err(_) => return Ok(()),
                }
            }
            Ok(())
        },
    );
    let echo = echo.map_err(fail)?;
    let ask = thread::Builder::new().name(format!("bw-ask-{from}")).spawn(
        move || -> Result<Histogram<u64>, MeasureError> {
            linux::thread::pin(from)
                .map_err(|source| MeasureError::Affinity { cpu: from, source })?;
            let mut times = histogram();
            let mut buffer = [0; 64];
            for round in 0..rounds {
                let begin = ticks();
                here.send(&round.to_be_bytes()).map_err(fail)?;
                here.recv(&mut buffer).map_err(fail)?;
                record(&mut times, rate.to_ns(ticks().saturating_sub(begin)));
            }
            Ok(times)
        },
    );
    let ask = ask.map_err(fail)?;
    let times = ask.join().map_err(|_| MeasureError::Died)?;
    // An echo that could not begin is the better reason.
    echo.join().map_err(|_| MeasureError::Died)??;
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_datagram_comes_back() {
        let cpus = linux::thread::affinity().unwrap();
        let (one, other) = (cpus.first().unwrap(), cpus.last().unwrap());

        assert_eq!(round_trip(one, other, 200).unwrap().len(), 200);
    }
}
