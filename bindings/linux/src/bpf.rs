//! Small programs for the kernel's XDP hook, written instruction by instruction: no compiler and no object file is needed.
//!
//! # Safety
//! `bpf(2)` reads a structure whose size it is told, and buffers that the structure points to; both are ours, whole, and
//! live until it returns. What the program may do is checked by the kernel's verifier.

use std::{
    io,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// One instruction (Documentation/bpf/standardization/instruction-set.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction(u64);

/// A register: R0 is the answer, R1 the context at the start, R1 to R5 the arguments of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "their names are all there is to say")]
pub enum Register {
    R0 = 0,
    R1 = 1,
    R2 = 2,
    R3 = 3,
    R4 = 4,
    R5 = 5,
}

/// How many bytes are loaded or stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Width {
    /// 1
    Byte,
    /// 2
    Half,
    /// 4
    Word,
}

impl Width {
    /// The size bits of a load's or store's code.
    fn bits(self) -> u8 {
        match self {
            Self::Word => 0x00,
            Self::Half => 0x08,
            Self::Byte => 0x10,
        }
    }
}

impl Instruction {
    fn new(code: u8, to: u8, from: u8, offset: i16, value: i32) -> Self {
        let [low, high] = offset.to_le_bytes();
        let [a, b, c, d] = value.to_le_bytes();
        Self(u64::from_le_bytes([code, from << 4 | to, low, high, a, b, c, d]))
    }

    /// `to = value`
    #[must_use]
    pub fn set(to: Register, value: i32) -> Self {
        Self::new(0xb7, to as u8, 0, 0, value)
    }

    /// `to = from`
    #[must_use]
    pub fn copy(to: Register, from: Register) -> Self {
        Self::new(0xbf, to as u8, from as u8, 0, 0)
    }

    /// `to += value`
    #[must_use]
    pub fn add(to: Register, value: i32) -> Self {
        Self::new(0x07, to as u8, 0, 0, value)
    }

    /// `to = *(from + offset)`
    #[must_use]
    pub fn load(width: Width, to: Register, from: Register, offset: i16) -> Self {
        Self::new(0x61 | width.bits(), to as u8, from as u8, offset, 0)
    }

    /// `*(to + offset) = from`
    #[must_use]
    pub fn store(width: Width, to: Register, offset: i16, from: Register) -> Self {
        Self::new(0x63 | width.bits(), to as u8, from as u8, offset, 0)
    }

    /// `if register != value, skip so many instructions`
    #[must_use]
    pub fn skip_if_not(register: Register, value: i32, instructions: i16) -> Self {
        Self::new(0x55, register as u8, 0, instructions, value)
    }

    /// `if register > other, skip so many instructions`
    #[must_use]
    pub fn skip_if_above(register: Register, other: Register, instructions: i16) -> Self {
        Self::new(0x2d, register as u8, other as u8, instructions, 0)
    }

    /// `r0 = helper(r1, …, r5)`
    #[must_use]
    pub fn call(helper: i32) -> Self {
        Self::new(0x85, 0, 0, 0, helper)
    }

    /// `return r0`
    #[must_use]
    pub fn exit() -> Self {
        Self::new(0x95, 0, 0, 0, 0)
    }

    /// `to = map`, which takes two instructions.
    #[must_use]
    pub fn set_map(to: Register, map: &Map) -> [Self; 2] {
        // BPF_PSEUDO_MAP_FD
        [Self::new(0x18, to as u8, 1, 0, map.descriptor.as_raw_fd()), Self(0)]
    }
}

/// What an XDP program answers (linux/bpf.h, `enum xdp_action`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Throw the frame away.
    Drop = 1,
    /// On to the kernel's protocols.
    Pass = 2,
    /// Out where it came in.
    SendBack = 3,
}

/// Where a program sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Where the kernel's protocols begin: every interface has it.
    Generic,
    /// In the driver.
    Driver,
}

/// A map from the number of a receive queue to an AF_XDP socket.
#[derive(Debug)]
pub struct Map {
    descriptor: OwnedFd,
}

/// A program that the kernel has accepted.
#[derive(Debug)]
pub struct Program {
    descriptor: OwnedFd,
}

/// A program at its place. It goes when this is dropped, or when the process ends in whatever way.
#[derive(Debug)]
pub struct Attached {
    _link: OwnedFd,
    _program: OwnedFd,
}

/// Why a program does not run.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    /// The verifier, or permissions.
    #[error("the kernel does not take the program{}", said(log))]
    Load {
        /// What the verifier says, as far as it says anything.
        log: String,
        /// The kernel's error.
        source: io::Error,
    },
    /// The interface.
    #[error("the program can not be attached to interface {interface}")]
    Attach {
        /// The interface's number.
        interface: u32,
        /// The kernel's error: `EBUSY` when another is there, `EOPNOTSUPP` when its driver has no such hook.
        source: io::Error,
    },
    /// The map.
    #[error("a map for AF_XDP sockets can not be made or written")]
    Map(#[source] io::Error),
}

fn said(log: &str) -> String {
    match log.trim().lines().last() {
        Some(line) => format!(": {line}"),
        None => String::new(),
    }
}

/// The commands of bpf(2) that are used here (linux/bpf.h, `enum bpf_cmd`).
#[derive(Debug, Clone, Copy)]
enum Command {
    MapCreate = 0,
    MapUpdate = 2,
    Load = 5,
    LinkCreate = 28,
}

/// The parts of `union bpf_attr` that are used here.
#[repr(C)]
#[derive(Default)]
struct LoadAttributes {
    kind: u32,
    count: u32,
    instructions: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

#[repr(C)]
struct LinkAttributes {
    program: u32,
    interface: u32,
    attach_type: u32,
    flags: u32,
}

#[repr(C)]
struct MapAttributes {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
}

#[repr(C)]
struct UpdateAttributes {
    map: u32,
    padding: u32,
    key: u64,
    value: u64,
    flags: u64,
}

const PROGRAM_XDP: u32 = 6;
const ATTACH_XDP: u32 = 37;
const MAP_XSK: u32 = 17;
const FLAG_GENERIC: u32 = 1 << 1;
const FLAG_DRIVER: u32 = 1 << 2;

/// Calls `bpf(2)`.
///
/// # Safety
/// `attributes` is what the command reads, and every pointer in it is to memory of the size that it says.
unsafe fn bpf<T>(command: Command, attributes: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes from `attributes`, which is a whole T; what those point to is the
    // caller's duty.
    let answer = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command as libc::c_long,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    match i32::try_from(answer) {
        Ok(answer) if answer >= 0 => Ok(answer),
        _ => Err(io::Error::last_os_error()),
    }
}

fn owned(descriptor: i32) -> OwnedFd {
    // SAFETY: the kernel has made this descriptor just now, for the commands that this is called after, and nobody else
    // knows it.
    unsafe { OwnedFd::from_raw_fd(descriptor) }
}

fn number(descriptor: &OwnedFd) -> u32 {
    u32::try_from(descriptor.as_raw_fd()).expect("an open descriptor is not negative")
}

impl Program {
    /// Has the kernel check and translate an XDP program.
    ///
    /// # Errors
    /// [`BpfError::Load`]
    pub fn load(instructions: &[Instruction]) -> Result<Self, BpfError> {
        let mut log = vec![0_u8; 64 * 1024];
        let mut name = [0; 16];
        name[..8].copy_from_slice(b"barewire");
        let license = c"Dual BSD/GPL";
        let attributes = LoadAttributes {
            kind: PROGRAM_XDP,
            count: u32::try_from(instructions.len()).unwrap_or(u32::MAX),
            instructions: instructions.as_ptr() as u64,
            license: license.as_ptr() as u64,
            log_level: 1,
            log_size: u32::try_from(log.len()).unwrap_or(0),
            log: log.as_mut_ptr() as u64,
            attach_type: ATTACH_XDP,
            name,
            ..LoadAttributes::default()
        };
        // SAFETY: BPF_PROG_LOAD reads these fields; the pointers are to the instructions (an Instruction is one, of eight
        // bytes), to a terminated text, and to a log of the size given, all of which live until the end of this function.
        let loaded = unsafe { bpf(Command::Load, &attributes) };
        let descriptor = loaded.map_err(|source| {
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
            BpfError::Load { log: String::from_utf8_lossy(&log[..end]).into_owned(), source }
        })?;
        Ok(Self { descriptor: owned(descriptor) })
    }

    /// Puts it on an interface of this network namespace.
    ///
    /// # Errors
    /// [`BpfError::Attach`]
    pub fn attach(self, interface: u32, hook: Hook) -> Result<Attached, BpfError> {
        let flags = match hook {
            Hook::Generic => FLAG_GENERIC,
            Hook::Driver => FLAG_DRIVER,
        };
        let program = number(&self.descriptor);
        let attributes = LinkAttributes { program, interface, attach_type: ATTACH_XDP, flags };
        // SAFETY: BPF_LINK_CREATE reads these four fields, and none is a pointer.
        let link = unsafe { bpf(Command::LinkCreate, &attributes) };
        let link = link.map_err(|source| BpfError::Attach { interface, source })?;
        Ok(Attached { _link: owned(link), _program: self.descriptor })
    }
}

impl Map {
    /// A map for so many receive queues.
    ///
    /// # Errors
    /// [`BpfError::Map`]
    pub fn of_sockets(queues: u32) -> Result<Self, BpfError> {
        let attributes =
            MapAttributes { kind: MAP_XSK, key_size: 4, value_size: 4, entries: queues, flags: 0 };
        // SAFETY: BPF_MAP_CREATE reads these five fields, and none is a pointer.
        let map = unsafe { bpf(Command::MapCreate, &attributes) }.map_err(BpfError::Map)?;
        Ok(Self { descriptor: owned(map) })
    }

    /// Lets frames of a queue go to a socket.
    ///
    /// # Errors
    /// [`BpfError::Map`]
    pub fn set(&self, queue: u32, socket: &impl std::os::fd::AsFd) -> Result<(), BpfError> {
        let value = socket.as_fd().as_raw_fd();
        let attributes = UpdateAttributes {
            map: number(&self.descriptor),
            padding: 0,
            key: &raw const queue as u64,
            value: &raw const value as u64,
            flags: 0,
        };
        // SAFETY: BPF_MAP_UPDATE_ELEM reads a key and a value of four bytes each, as the map was made; both are live ints.
        let done = unsafe { bpf(Command::MapUpdate, &attributes) };
        done.map(drop).map_err(BpfError::Map)
    }
}

/// The number of an interface of this network namespace.
///
/// # Errors
/// The kernel's: `ENODEV` when there is none of this name.
pub fn interface(name: &str) -> io::Result<u32> {
    crate::packet::interface_index(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_encoded_as_the_specification_says() {
        // Written out by hand from instruction-set.rst, "Instruction encoding".
        assert_eq!(Instruction::set(Register::R0, 2).0, 0x0000_0002_0000_00b7);
        assert_eq!(Instruction::copy(Register::R4, Register::R2).0, 0x0000_0000_0000_24bf);
        assert_eq!(Instruction::add(Register::R4, -1).0, 0xffff_ffff_0000_0407);
        let load = Instruction::load(Width::Half, Register::R5, Register::R2, 12);
        assert_eq!(load.0, 0x0000_0000_000c_2569);
        let store = Instruction::store(Width::Word, Register::R2, -4, Register::R5);
        assert_eq!(store.0, 0x0000_0000_fffc_5263);
        assert_eq!(Instruction::skip_if_not(Register::R5, 8, 3).0, 0x0000_0008_0003_0555);
        assert_eq!(Instruction::skip_if_above(Register::R4, Register::R3, 1).0, 0x1_342d);
        assert_eq!(Instruction::exit().0, 0x95);
    }

    #[test]
    fn the_kernel_takes_what_is_right_and_says_what_is_wrong() {
        if !rustix::process::geteuid().is_root() {
            eprintln!(
                "SKIPPED: the_kernel_takes_what_is_right_and_says_what_is_wrong: bpf(2) takes root"
            );
            return;
        }
        let pass = [Instruction::set(Register::R0, Action::Pass as i32), Instruction::exit()];
        Program::load(&pass).unwrap();

        let error = Program::load(&[Instruction::exit()]).unwrap_err();

        assert!(
            error.to_string().contains("R0 !read_ok") || error.to_string().contains("processed"),
            "{error}"
        );
        let nowhere = Program::load(&pass).unwrap().attach(u32::MAX, Hook::Generic);
        assert!(matches!(nowhere, Err(BpfError::Attach { .. })), "{nowhere:?}");
    }
}
