//! The XDP programs of arms, a few dozen instructions each.

use linux::bpf::{
    self, Action, Attached, BpfError, Hook, Instruction as I, Map, Program, Register, Width,
};

use Register::{R0, R1, R2, R3, R4, R5};

/// Ethernet, IPv4 and UDP.
const HEADERS: i32 = 14 + 20 + 8;

/// The halves of what changes places: Ethernet addresses, IPv4 addresses, UDP ports.
const SWAPPED: [(i16, i16); 6] = [(0, 6), (2, 8), (4, 10), (26, 30), (28, 32), (34, 36)];

/// Sends UDP over IPv4 back to where it came from; everything else goes to the kernel.
///
/// The same work as the echo of frames does, and no checksum changes with it.
#[must_use]
pub fn send_back() -> Vec<I> {
    // struct xdp_md: data, data_end, … (linux/bpf.h)
    let mut program = vec![
        I::load(Width::Word, R2, R1, 0),
        I::load(Width::Word, R3, R1, 4),
        I::copy(R4, R2),
        I::add(R4, HEADERS),
    ];
    let swaps: Vec<I> = SWAPPED
        .iter()
        .flat_map(|(first, second)| {
            [
                I::load(Width::Half, R5, R2, *first),
                I::load(Width::Half, R0, R2, *second),
                I::store(Width::Half, R2, *first, R0),
                I::store(Width::Half, R2, *second, R5),
            ]
        })
        .chain([I::set(R0, Action::SendBack as i32), I::exit()])
        .collect();
    // Where it is passed on: behind the checks that are left, and the swaps.
    let rest = |checks_left: i16| {
        i16::try_from(swaps.len()).expect("a few dozen instructions") + 2 * checks_left
    };
    let is = |width, offset, value, checks_left| {
        [I::load(width, R5, R2, offset), I::skip_if_not(R5, value, rest(checks_left))]
    };
    program.push(I::skip_if_above(R4, R3, rest(3)));
    program.extend(is(Width::Half, 12, i32::from(0x0800_u16.to_be()), 2));
    program.extend(is(Width::Byte, 14, 0x45, 1));
    program.extend(is(Width::Byte, 23, 17, 0));
    program.extend(swaps);
    program.extend([I::set(R0, Action::Pass as i32), I::exit()]);
    program
}

/// Puts a program on an interface of ours that lets every frame through.
///
/// # Errors
/// [`BpfError`]
pub fn hold_open(interface: &str) -> Result<Attached, BpfError> {
    let number =
        bpf::interface(interface).map_err(|source| BpfError::Attach { interface: 0, source })?;
    let program = Program::load(&[I::set(R0, Action::Pass as i32), I::exit()])?;
    program.attach(number, Hook::Driver)
}

/// Sends every frame out of another interface, as it is.
#[must_use]
pub fn pass_on(interface: u32) -> Vec<I> {
    /// `bpf_redirect` (linux/bpf.h)
    const REDIRECT: i32 = 23;
    let interface = i32::try_from(interface).unwrap_or(-1);
    vec![I::set(R1, interface), I::set(R2, 0), I::call(REDIRECT), I::exit()]
}

/// Hands every frame to the AF_XDP socket of its receive queue; without one, to the kernel.
#[must_use]
pub fn to_socket(map: &Map) -> Vec<I> {
    /// `bpf_redirect_map` (linux/bpf.h)
    const REDIRECT_MAP: i32 = 51;
    // struct xdp_md: rx_queue_index is the fifth word.
    let mut program = vec![I::load(Width::Word, R2, R1, 16)];
    program.extend(I::set_map(R1, map));
    program.extend([I::set(R3, Action::Pass as i32), I::call(REDIRECT_MAP), I::exit()]);
    program
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_takes_every_program() {
        if !rustix::process::geteuid().is_root() {
            eprintln!("SKIPPED: the_kernel_takes_every_program: bpf(2) takes root");
            return;
        }
        Program::load(&send_back()).unwrap();
        Program::load(&pass_on(1)).unwrap();
        Program::load(&to_socket(&Map::of_sockets(1).unwrap())).unwrap();
    }
}
