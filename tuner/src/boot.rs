//! Kernel arguments, whoever keeps them: GRUB's drop-ins, BLS entries, systemd-boot, an image-based system.
//!
//! ```text
//!  checks ─► BootParameter ─┐
//!  what is ours already ────┴─► Arguments ─┬─► grub      a drop-in, and update-grub
//!                               (one set,  ├─► entries   grubby on BLS
//!                                canonical)├─► cmdline   /etc/kernel/cmdline, and kernel-install
//!                                          └─► printed   rpm-ostree, bootc: by hand
//! ```
//! A rescue or recovery entry is never touched: it is the way back.

mod arguments;
mod entries;
mod line;
mod tool;

pub mod grub;
pub mod shell;

pub use arguments::{Argument, Arguments};
pub(crate) use entries::kernels;
pub use line::{rewrite, touches, without};
pub use tool::{ArgumentTool, KernelArguments, MenuTool};
