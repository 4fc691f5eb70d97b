//! Virtual devices that come and go while DPDK runs.
//!
//! # Safety
//! Plugging in makes a port id that another device may have had: the slot of the id is given a new generation before
//! anybody can claim it, so that handles to the old device answer that it is closed. Unplugging frees the device, so it
//! is done only while nobody has its port.

use std::ffi::CStr;

use dpdk_sys as c;

use crate::eal::Eal;
use crate::error::{Errno, c_string};
use crate::port::{Holder, find};

/// The bus of devices that are made of arguments.
const VDEV: &CStr = c"vdev";

/// Why a virtual device could not be plugged in or unplugged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlugError {
    /// A text can not be passed to C.
    #[error("virtual device \"{name}\": its name or arguments have a zero byte inside")]
    ZeroByte {
        /// The device.
        name: String,
    },
    /// A port of that name is there already.
    #[error("virtual device \"{name}\" is there already")]
    Present {
        /// The device.
        name: String,
    },
    /// Somebody has its port.
    #[error("virtual device \"{name}\" has a port that is in use")]
    InUse {
        /// The device.
        name: String,
    },
    /// It was made, and has no port of its name.
    #[error("virtual device \"{name}\" has no port of that name")]
    NoPort {
        /// The device.
        name: String,
    },
    /// DPDK's or the driver's own reason.
    #[error("virtual device \"{name}\": can not be {action}")]
    Driver {
        /// The device.
        name: String,
        /// What was tried.
        action: &'static str,
        /// What DPDK said.
        source: Errno,
    },
}

impl Eal {
    /// Makes a virtual device, as `--vdev=name,args` does at the start; [`Eal::port`] finds its port from then on.
    ///
    /// # Errors
    /// [`PlugError`]; nothing is left of a device that could not be made.
    pub fn plug(&self, name: &str, args: &str) -> Result<(), PlugError> {
        let zero_byte = || PlugError::ZeroByte { name: name.to_owned() };
        let c_name = c_string(name).ok_or_else(zero_byte)?;
        let c_args = c_string(args).ok_or_else(zero_byte)?;
        let id = {
            let _control = self.control();
            if find(name).is_some() {
                return Err(PlugError::Present { name: name.to_owned() });
            }
            // SAFETY: the EAL is up, since it is borrowed; the strings are terminated, and copied by the function.
            let answer =
                unsafe { c::rte_eal_hotplug_add(VDEV.as_ptr(), c_name.as_ptr(), c_args.as_ptr()) };
            Errno::check(answer).map_err(|source| PlugError::Driver {
                name: name.to_owned(),
                action: "plugged in",
                source,
            })?;
            find(name)
        };
        let id = id.ok_or_else(|| PlugError::NoPort { name: name.to_owned() })?;
        let mut slot = self.slot(id);
        if slot.holder == Holder::Closed {
            slot.holder = Holder::Free;
            slot.generation = slot.generation.wrapping_add(1);
        }
        Ok(())
    }

    /// Unmakes a virtual device whose port is closed, or was never claimed: its name can be used again.
    ///
    /// # Errors
    /// [`PlugError::InUse`] while somebody has the port; what the driver says.
    pub fn unplug(&self, name: &str) -> Result<(), PlugError> {
        let c_name = c_string(name).ok_or_else(|| PlugError::ZeroByte { name: name.to_owned() })?;
        let id = {
            let _control = self.control();
            find(name)
        };
        // A port that is there is closed by its driver on the way; nobody may claim it meanwhile.
        let mut slot = id.map(|id| self.slot(id));
        if let Some(slot) = &mut slot {
            if slot.holder == Holder::Claimed {
                return Err(PlugError::InUse { name: name.to_owned() });
            }
            slot.holder = Holder::Closed;
        }
        let _control = self.control();
        // SAFETY: the EAL is up, since it is borrowed; the string is terminated; nobody has the port, which the lock on
        // its slot keeps so, and its queues are lent by whoever has it.
        let answer = unsafe { c::rte_eal_hotplug_remove(VDEV.as_ptr(), c_name.as_ptr()) };
        Errno::check(answer).map_err(|source| {
            if let (Some(slot), true) = (&mut slot, find(name).is_some()) {
                slot.holder = Holder::Free;
            }
            PlugError::Driver { name: name.to_owned(), action: "unplugged", source }
        })
    }
}
