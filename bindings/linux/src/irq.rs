//! Interrupts: how many each CPU took, and where each may go.
//!
//! Sources: `/proc/interrupts` as written by `kernel/irq/proc.c` and `arch/*/kernel/irq.c`,
//! `Documentation/core-api/irq/irq-affinity.rst` of Linux 6.18.

use std::collections::HashMap;

use config::{CpuId, CpuSet};

use crate::{Known, ReadError, Root, text};

/// `/proc/interrupts` of 8192 CPUs has lines of 90 KiB; this is enough for 700 of them.
const LARGEST: usize = 64 * 1024 * 1024;

/// What `/proc/interrupts` says.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Interrupts {
    /// The CPUs of the columns: those that were online.
    pub cpus: Vec<CpuId>,
    /// One row for each interrupt and each kind of system event.
    pub rows: Vec<Row>,
}

/// One interrupt, or one kind of system event.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Its number (`24`) or name (`LOC`).
    pub label: String,
    /// How often each CPU took it, in the order of [`Interrupts::cpus`]. `ERR` and `MIS` count once for all CPUs, and
    /// have one number.
    pub counts: Vec<u64>,
    /// Controller, hardware interrupt and handlers; or what the event is.
    pub description: String,
}

impl Row {
    /// The interrupt's number; `None` of a system event.
    #[must_use]
    pub fn number(&self) -> Option<u32> {
        text::numbered(&self.label, "")
    }
}

impl Interrupts {
    /// Read `/proc/interrupts`.
    ///
    /// # Errors
    /// [`ReadError`]
    pub fn read(root: &Root) -> Result<Self, ReadError> {
        let text = root.text_up_to("proc/interrupts", LARGEST)?;
        Self::parse(&text).ok_or_else(|| ReadError::Malformed {
            path: root.path().join("proc/interrupts"),
            expected: "a table of interrupts",
            found: text::excerpt(&text),
        })
    }

    /// Read the text of `/proc/interrupts`; `None` when it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let header = lines.next()?.split_ascii_whitespace();
        let cpus: Option<Vec<CpuId>> =
            header.map(|column| text::numbered(column, "CPU").and_then(CpuId::new)).collect();
        let cpus = cpus.filter(|cpus| !cpus.is_empty())?;
        let rows = lines.filter(|line| !line.trim_ascii().is_empty());
        let rows: Option<Vec<Row>> = rows.map(|line| row(line, cpus.len())).collect();
        Some(Self { cpus, rows: rows? })
    }

    /// How many interrupts and events of all kinds a CPU took; `None` when it has no column.
    #[must_use]
    pub fn total(&self, cpu: CpuId) -> Option<u64> {
        let column = self.cpus.iter().position(|&id| id == cpu)?;
        let rows = self.rows.iter().filter(|row| row.counts.len() == self.cpus.len());
        Some(rows.filter_map(|row| row.counts.get(column)).fold(0, |sum, &n| sum.saturating_add(n)))
    }

    /// What happened since `earlier`. Rows that are new count from zero; columns are matched by CPU.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let old_rows: HashMap<&str, &Row> =
            earlier.rows.iter().map(|row| (row.label.as_str(), row)).collect();
        let old_columns: HashMap<CpuId, usize> =
            earlier.cpus.iter().enumerate().map(|(column, &cpu)| (cpu, column)).collect();
        // Where each of today's columns was.
        let columns: Vec<Option<usize>> =
            self.cpus.iter().map(|cpu| old_columns.get(cpu).copied()).collect();
        let rows = self.rows.iter().map(|row| {
            let before = old_rows.get(row.label.as_str());
            let is_by_cpu = row.counts.len() == self.cpus.len()
                && before.is_some_and(|old| old.counts.len() == earlier.cpus.len());
            let old_count = |index: usize| {
                let column = if is_by_cpu { columns.get(index).copied().flatten()? } else { index };
                before?.counts.get(column).copied()
            };
            // A CPU that was off and on again begins at zero, as does a 32-bit counter that ran over.
            let counts = row.counts.iter().enumerate();
            let counts =
                counts.map(|(i, &now)| now.checked_sub(old_count(i).unwrap_or(0)).unwrap_or(now));
            Row { counts: counts.collect(), ..row.clone() }
        });
        Self { cpus: self.cpus.clone(), rows: rows.collect() }
    }
}

fn row(line: &str, columns: usize) -> Option<Row> {
    let (label, rest) = line.trim_ascii().split_once(':')?;
    let mut counts = Vec::new();
    let mut rest = rest.trim_ascii_start();
    while counts.len() < columns {
        let end = rest.find(|c: char| c.is_ascii_whitespace()).unwrap_or(rest.len());
        let Ok(count) = rest[..end].parse() else { break };
        counts.push(count);
        rest = rest[end..].trim_ascii_start();
    }
    let is_row = !counts.is_empty() && !label.contains(|c: char| c.is_ascii_whitespace());
    let (label, description) = (label.to_owned(), rest.to_owned());
    is_row.then_some(Row { label, counts, description })
}

/// Where an interrupt may go, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Affinity {
    /// The CPUs it was told.
    pub requested: Known<CpuSet>,
    /// The CPUs the hardware delivers it to.
    pub effective: Known<CpuSet>,
}

/// The affinity of one interrupt.
#[must_use]
pub fn affinity(root: &Root, irq: u32) -> Affinity {
    Affinity {
        requested: root.cpu_list(&format!("proc/irq/{irq}/smp_affinity_list")).into(),
        effective: root.cpu_list(&format!("proc/irq/{irq}/effective_affinity_list")).into(),
    }
}

/// The CPUs that new interrupts are given.
///
/// # Errors
/// [`ReadError`]
pub fn default_affinity(root: &Root) -> Result<CpuSet, ReadError> {
    root.parse_with("proc/irq/default_smp_affinity", "a mask of CPUs", |text| {
        CpuSet::from_hex_mask(text).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "           CPU0       CPU2       \n  \
        1:          9          0   IO-APIC   1-edge      i8042\n \
        24:       1000         20  PCI-MSIX-0000:3b:00.0   0-edge      ice-eth0-TxRx-0, other\n\
        LOC:     123456       4242   Local timer interrupts\n\
        ERR:          3\n";

    fn cpu(id: u32) -> CpuId {
        CpuId::new(id).unwrap()
    }

    #[test]
    fn columns_are_the_cpus_that_were_online() {
        let table = Interrupts::parse(TABLE).unwrap();

        assert_eq!(table.cpus, [cpu(0), cpu(2)]);
        assert_eq!(table.rows[1].number(), Some(24));
        assert_eq!(table.rows[1].counts, [1000, 20]);
        assert_eq!(
            table.rows[1].description,
            "PCI-MSIX-0000:3b:00.0   0-edge      ice-eth0-TxRx-0, other"
        );
        assert_eq!(table.rows[2].number(), None);
        assert_eq!(table.rows[3].counts, [3]);
        assert_eq!(table.total(cpu(2)), Some(4262), "ERR has no column");
        assert_eq!(table.total(cpu(1)), None);
    }

    #[test]
    fn a_difference_follows_the_cpus_when_columns_move() {
        let before = Interrupts::parse("CPU0 CPU1 CPU2\nLOC: 1 5 10 timer\n").unwrap();
        let after = Interrupts::parse("CPU0 CPU2\nLOC: 4 11 timer\n9: 7 7 new\n").unwrap();

        let delta = after.since(&before);

        assert_eq!(delta.rows[0].counts, [3, 1]);
        assert_eq!(delta.rows[1].counts, [7, 7]);
    }

    #[test]
    fn what_is_not_such_a_table_is_refused() {
        for odd in ["", "hello", "CPU0 CPUx\n", "CPU0\nno colon\n", "CPU0\n1: x\n", "CPU99999\n"] {
            assert_eq!(Interrupts::parse(odd), None, "{odd:?}");
        }
    }
}
