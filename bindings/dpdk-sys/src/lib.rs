//! Raw DPDK: what the installed headers declare, and a C shim for what they only define inline.
//!
//! Nothing here is safe; the `dpdk` crate is. There are four parts:
//!
//! * the functions, types and constants that bindgen found in `wrapper.h`, under the names DPDK
//!   gives them. Layouts come from the headers that are installed where this is built, never from
//!   memory: they differ between releases.
//! * `shim_*`, from `shim.c`: DPDK's inline functions and macros, compiled with exactly the flags
//!   libdpdk.pc asks for.
//! * [`mbuf`]: the fields of a frame, read inline at the offsets of the installed header. A call
//!   costs about 1.3 ns, which is nothing per burst and too much per packet.
//! * [`gate`]: which DPDK releases are supported. Another one is refused by `build.rs`, by name.
//!
//! DPDK is linked as libdpdk.pc says, which is shared: the EAL loads drivers from its plug-in
//! directory at run time. With the feature `static` every driver becomes part of the program
//! instead.
//!
//! ```
//! // Any patch release of the DPDK that this was built against has the same ABI.
//! let release = dpdk_sys::gate::check(dpdk_sys::VERSION)?;
//! assert_eq!(release.abi, dpdk_sys::ABI);
//! # Ok::<(), String>(())
//! ```

pub mod burst;
pub mod gate;
pub mod mbuf;

mod bindings {
    #![expect(
        missing_docs,
        non_camel_case_types,
        clippy::all,
        clippy::allow_attributes,
        clippy::allow_attributes_without_reason,
        clippy::cast_possible_truncation,
        clippy::multiple_unsafe_ops_per_block,
        clippy::ptr_as_ptr,
        clippy::undocumented_unsafe_blocks,
        reason = "generated; the names and their documentation are DPDK's"
    )]
    include!(concat!(env!("OUT_DIR"), "/bindings.rs"));
}

pub use bindings::*;

/// The version of the DPDK that this was built against, such as `22.11.11`.
pub const VERSION: &str = env!("BAREWIRE_DPDK_VERSION");

/// The ABI of that DPDK, such as 23: the number that its libraries carry in their soname.
pub const ABI: u32 = bindings::SHIM_ABI;
