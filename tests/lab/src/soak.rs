//! Hours under random frames, reloads and faults, and a reckoning at the end.
//!
//! ```text
//!  frames of all lengths, both ways ────────────────────────────────────────────────► counted
//!  every few seconds one event: reload, ports restarted, cable pulled, SIGKILL, …  ─► frames flow again, all accounted for
//!  in between: a look at the process's memory                                      ─► flat
//! ```
//! What happens when is decided by a seed, which is printed: the same seed does the same again.

use std::{
    fmt,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{Flow, Guest, LabError, Tally};

/// Frames a second, each way.
const RATE: u32 = 150;
/// How long frames may take to flow again after an event.
const AGAIN: Duration = Duration::from_secs(120);
/// Frames that have to come through after each event.
const FRAMES: u32 = 100;
/// A process whose memory grew by more than this, in KiB, after its first minute, leaks.
const GROWTH: u64 = 8 * 1024;
const UNIT: &str = "barewired.service";
const CONFIG: &str = "/etc/barewire/barewire.toml";

/// Something that is done to the daemon while frames flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Reload,
    Ask,
    Refused,
    PortsRestarted,
    CablePulled,
    ClockJumped,
    Restarted,
    Killed,
}

/// More often what loses nothing.
const EVENTS: [Event; 16] = [
    Event::Reload,
    Event::Reload,
    Event::Reload,
    Event::Reload,
    Event::Ask,
    Event::Ask,
    Event::Ask,
    Event::Refused,
    Event::Refused,
    Event::PortsRestarted,
    Event::PortsRestarted,
    Event::CablePulled,
    Event::CablePulled,
    Event::ClockJumped,
    Event::Restarted,
    Event::Killed,
];

/// What came of it.
#[derive(Debug, Default)]
pub struct Soaked {
    /// Each event with how often it happened.
    events: Vec<(String, u32)>,
    /// From east to west, and back.
    tallies: [Tally; 2],
    /// What the daemon that ran last says: received, sent, dropped, held.
    balance: [u64; 4],
    /// Kilobytes: after a minute, and at the end, of the process that lived longest.
    memory: Option<(u64, u64)>,
}

impl Soaked {
    /// What is wrong, in words; nothing when all is accounted for and memory is flat.
    #[must_use]
    pub fn complaints(&self) -> Vec<String> {
        let mut all = Vec::new();
        let [received, sent, dropped, held] = self.balance;
        if received != sent + dropped + held || held != 0 {
            all.push(format!(
                "received {received}, but sent {sent} + dropped {dropped} + held {held}"
            ));
        }
        for tally in &self.tallies {
            if (tally.twice, tally.out_of_order, tally.changed) != (0, 0, 0) {
                all.push(format!("frames came twice, late or changed: {tally:?}"));
            }
        }
        if let Some((before, after)) = self.memory
            && after > before + GROWTH
        {
            all.push(format!("memory grew from {before} to {after} KiB"));
        }
        all
    }
}

impl fmt::Display for Soaked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (event, times) in &self.events {
            writeln!(f, "{times:6}  {event}")?;
        }
        for (way, tally) in ["east to west", "west to east"].iter().zip(&self.tallies) {
            let Tally { sent, arrived, longest_gap, .. } = tally;
            let (lost, gap) = (tally.lost(), longest_gap.as_secs_f64());
            writeln!(
                f,
                "{way}: {sent} frames, {arrived} arrived, {lost} lost, longest gap {gap:.2} s"
            )?;
        }
        let [received, sent, dropped, held] = self.balance;
        writeln!(f, "received {received} = sent {sent} + dropped {dropped} + held {held}")?;
        match self.memory {
            Some((before, after)) => write!(f, "memory {before} KiB, at the end {after} KiB"),
            None => f.write_str("no process lived long enough to tell of its memory"),
        }
    }
}

/// Soaks the daemon that is installed in the guest.
///
/// # Errors
/// [`LabError`]
///
/// # Panics
/// When the daemon does not do what it must after an event; with its journal.
pub fn soak(
    guest: &mut Guest,
    time: Duration,
    seed: u64,
    mut say: impl FnMut(&str),
) -> Result<Soaked, LabError> {
    let mut text = prepare(guest)?;
    let (east, west) = (guest.nic("east").another()?, guest.nic("west").another()?);
    let flows = [Flow::begin(&east, &west, RATE)?, Flow::begin(&west, &east, RATE)?];
    flow_again(guest, &flows, "the start");
    let (begun, mut soaked, mut dice) = (Instant::now(), Soaked::default(), Dice(seed | 1));
    let mut memory = Memory::default();
    while begun.elapsed() < time {
        let event = EVENTS[dice.below(EVENTS.len())];
        let at = Instant::now();
        happen(guest, event, &mut text, &mut dice)?;
        flow_again(guest, &flows, &format!("{event:?}"));
        let balance = balance(guest);
        assert_eq!(balance[0], balance[1] + balance[2] + balance[3], "after {event:?}");
        memory.look(guest);
        count(&mut soaked.events, &format!("{event:?}"));
        say(&format!("{event:?}, {:.1} s", at.elapsed().as_secs_f64()));
    }
    let [there, back] = flows;
    soaked.tallies = [there.end()?, back.end()?];
    soaked.balance = balance(guest);
    soaked.memory = memory.of_the_longest();
    guest.must(&format!("systemctl stop {UNIT}"));
    let ended = guest.must(&format!("systemctl show -P Result -P ExecMainStatus {UNIT}"));
    assert_eq!(ended, "success\n0\n", "{}", journal(guest));
    Ok(soaked)
}

/// Binds the NICs and starts a wire between them; its configuration.
fn prepare(guest: &mut Guest) -> Result<String, LabError> {
    let mut text =
        "[cores]\nhousekeeping = \"0-1\"\nworkers = \"3\"\n[memory]\nper_node_mib = 64\n"
            .to_owned();
    for (here, there) in [("east", "west"), ("west", "east")] {
        let device = guest.nic(here).pci_address().to_owned();
        guest.must(&format!("systemctl start barewire-bind@{device}"));
        text += &format!(
            "[[port]]\nname = \"{here}\"\ndevice = \"{device}\"\ninput = \"{here}-in\"\n\
             [[stage]]\nname = \"{here}-in\"\nkind = \"cross\"\nto = \"tx:{there}\"\n"
        );
    }
    guest.write(CONFIG, 0o644, &text)?;
    // Killed more often than an operator's limit allows.
    let drop_in = "[Unit]\nStartLimitIntervalSec=0\n";
    guest.write("/etc/systemd/system/barewired.service.d/soak.conf", 0o644, drop_in)?;
    guest.must(&format!("systemctl daemon-reload; systemctl start {UNIT}"));
    Ok(text)
}

fn happen(
    guest: &mut Guest,
    event: Event,
    text: &mut String,
    dice: &mut Dice,
) -> Result<(), LabError> {
    let pipeline = |dice: &mut Dice| format!("[pipeline]\nburst = {}\n", 1 + dice.below(64));
    match event {
        Event::Reload => {
            let other = text.clone() + &pipeline(dice);
            guest.write(CONFIG, 0o644, &other)?;
            guest.must(&format!("systemctl reload {UNIT}"));
        }
        Event::Ask => {
            guest.must(
                "for what in status plan counters latency stalls stages ports drops; do \
                 barewire $what --json > /dev/null || exit; done",
            );
        }
        Event::Refused => {
            guest.write(CONFIG, 0o644, &text.replace("tx:west", "tx:nowhere"))?;
            guest.must(&format!("! systemctl reload {UNIT} 2>/dev/null"));
            guest.write(CONFIG, 0o644, text)?;
        }
        Event::PortsRestarted => {
            let ring = ["256", "512", "1024"][dice.below(3)];
            let changed = format!("name = \"east\"\nrx_ring = {ring}\ndevice");
            // It stays so: without another restart of ports only other things can change.
            let lines = text.lines().filter(|line| !line.starts_with("rx_ring"));
            *text = lines.fold(String::new(), |all, line| all + line + "\n");
            *text = text.replace("name = \"east\"\ndevice", &changed);
            guest.write(CONFIG, 0o644, text)?;
            guest.must("barewire reload --restart-ports > /dev/null");
        }
        Event::CablePulled => {
            let name = ["east", "west"][dice.below(2)];
            guest.set_link(name, false)?;
            guest.must("sleep 1");
            guest.set_link(name, true)?;
        }
        Event::ClockJumped => {
            let days = 1 + dice.below(30);
            guest.must(&format!("date --set=\"$(date) +{days} days\" > /dev/null"));
        }
        Event::Restarted => {
            guest.must(&format!("systemctl restart {UNIT}"));
        }
        Event::Killed => {
            guest.must(&format!("systemctl kill --signal=KILL {UNIT}"));
            guest.must(&format!(
                "timeout 90 sh -c 'sleep 1; until barewire status >/dev/null 2>&1 && \
                                 systemctl is-active --quiet {UNIT}; do sleep 0.2; done'"
            ));
        }
    }
    Ok(())
}

#[track_caller]
fn flow_again(guest: &mut Guest, flows: &[Flow; 2], after: &str) {
    let flows = flows.iter().all(|flow| flow.goes_on(FRAMES, AGAIN));
    assert!(flows, "after {after} nothing comes through\n{}", journal(guest));
}

fn journal(guest: &mut Guest) -> String {
    guest.must(&format!("journalctl --unit {UNIT} --no-pager --lines 60"))
}

/// Received, sent, dropped, held.
fn balance(guest: &mut Guest) -> [u64; 4] {
    let text = guest.must("barewire status --json");
    let status: Value = serde_json::from_str(&text).unwrap_or_default();
    ["received", "sent", "dropped", "held"].map(|name| {
        let count = status["balance"][name].as_u64();
        count.unwrap_or_else(|| panic!("the daemon's status has no {name}: {text}"))
    })
}

fn count(events: &mut Vec<(String, u32)>, name: &str) {
    match events.iter_mut().find(|(event, _)| event == name) {
        Some((_, times)) => *times += 1,
        None => events.push((name.to_owned(), 1)),
    }
}

/// What each process took, by its number: when first looked at for good, and last.
#[derive(Debug, Default)]
struct Memory {
    now: Option<Life>,
    longest: Option<Life>,
}

#[derive(Debug, Clone)]
struct Life {
    process: String,
    born: Instant,
    grown: Option<u64>,
    last: u64,
    seen: Instant,
}

impl Memory {
    fn look(&mut self, guest: &mut Guest) {
        let line = format!(
            "pid=$(systemctl show -P MainPID {UNIT}); echo $pid $(sed -n 's/^VmRSS:\\s*\\([0-9]*\\).*/\\1/p' \
             /proc/$pid/status)"
        );
        let text = guest.must(&line);
        let Some((process, Ok(kib))) =
            text.trim().split_once(' ').map(|(process, kib)| (process, kib.parse()))
        else {
            return;
        };
        let now = Instant::now();
        match &mut self.now {
            Some(life) if life.process == process => {
                (life.last, life.seen) = (kib, now);
                // By then every command was asked once, and every buffer filled.
                if life.grown.is_none() && now - life.born > Duration::from_secs(60) {
                    life.grown = Some(kib);
                }
                let age = |life: &Life| life.seen - life.born;
                if self.longest.as_ref().is_none_or(|longest| age(longest) <= age(life)) {
                    self.longest = Some(life.clone());
                }
            }
            _ => {
                let (process, born, grown) = (process.to_owned(), now, None);
                self.now = Some(Life { process, born, grown, last: kib, seen: now });
            }
        }
    }

    fn of_the_longest(&self) -> Option<(u64, u64)> {
        let life = self.longest.as_ref()?;
        Some((life.grown?, life.last))
    }
}

/// xorshift64*: chance that can be repeated.
#[derive(Debug)]
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_add_up_or_grows_is_complained_of() {
        let fine =
            Soaked { balance: [10, 8, 2, 0], memory: Some((1000, 1100)), ..Soaked::default() };
        assert_eq!(fine.complaints(), Vec::<String>::new());
        let lost = Soaked { balance: [10, 8, 1, 0], ..Soaked::default() };
        assert_eq!(lost.complaints().len(), 1);
        let held = Soaked { balance: [10, 8, 1, 1], ..Soaked::default() };
        assert_eq!(held.complaints().len(), 1);
        let grown = Soaked { memory: Some((1000, 1001 + GROWTH)), ..Soaked::default() };
        assert_eq!(grown.complaints().len(), 1);
        let twice = Tally { twice: 1, ..Tally::default() };
        let twice = Soaked { tallies: [twice, Tally::default()], ..Soaked::default() };
        assert_eq!(twice.complaints().len(), 1);
    }

    #[test]
    fn one_seed_does_the_same_again_and_every_event_comes() {
        let rolls = |seed| {
            let mut dice = Dice(seed);
            (0..200).map(|_| dice.below(EVENTS.len())).collect::<Vec<_>>()
        };
        assert_eq!(rolls(7), rolls(7));
        assert_ne!(rolls(7), rolls(9));
        assert!((0..EVENTS.len()).all(|event| rolls(7).contains(&event)));
    }
}
