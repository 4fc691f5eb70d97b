//! Plans for made-up findings on a made-up machine: two nodes of four cores with two threads each (cpu n and n + 8).

use std::{fs, process::Command};

use config::{NumaNode, Wish};
use proptest::prelude::*;

use super::*;
use crate::{
    Section, Verdict,
    boot::{ArgumentTool, Arguments, MenuTool, grub},
    change::{BootValue, EthtoolSetting, Form, SYSCTL_FILE, UnitState},
};

mod asked;
mod interfaces;
mod isolation;
mod loaders;
mod steps;

const CONFIG: &str = r#"
[cores]
housekeeping = "0,8,4,12"
workers = "1-3"
[[port]]
name = "north"
device = "0000:3b:00.0"
input = "wire"
[[stage]]
name = "wire"
kind = "cross"
to = "tx:north"
"#;

struct Fake {
    dir: tempfile::TempDir,
    config: String,
    wishes: Wishes,
}

impl Fake {
    /// The machine, with Debian's GRUB.
    fn new() -> Self {
        let fake = Self::bare("two-socket-smt");
        fake.file(
            "boot/grub/grub.cfg",
            "menuentry 'a' --id a {\n  linux /vmlinuz root=/dev/sda1 ro quiet\n}\n",
        );
        fake.file(
            "etc/default/grub",
            "GRUB_CMDLINE_LINUX=\"\"\nGRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\n",
        );
        fake.file(
            "etc/default/grub.d/50-cloud.cfg",
            "GRUB_CMDLINE_LINUX_DEFAULT=\"$GRUB_CMDLINE_LINUX_DEFAULT console=ttyS0\"\n",
        );
        fake.file("proc/sys/kernel/osrelease", "6.12.1-amd64\n");
        fake
    }

    /// With what the kernel says of its two ports, so that it can be told which of them may be given away.
    fn with_links() -> Self {
        let fake = Self::new();
        let link = |index: u32, name: &str| {
            format!(
                r#"{{"index":{index},"name":"{name}","kind":null,"master":null,"parent":null,"parent_namespace":null,"is_up":true}}"#
            )
        };
        let links = format!(r#"{{"is":[{},{}]}}"#, link(2, "ens1f0np0"), link(3, "ens1f1np1"));
        let none = r#"{"is":[]}"#;
        for (name, answer) in
            [("links", &*links), ("defaults", none), ("addresses", none), ("elsewhere", none)]
        {
            fake.file(&format!("{}/route/{name}.json", crate::source::ASKED), answer);
        }
        fake
    }

    fn bare(machine: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let from = format!("{}/../tests/fixtures/sysroots/{machine}/.", env!("CARGO_MANIFEST_DIR"));
        let copied = Command::new("cp").args(["-a", &from]).arg(dir.path()).status().unwrap();
        assert!(copied.success());
        Self { dir, config: CONFIG.to_owned(), wishes: Wishes::default() }
    }

    fn file(&self, path: &str, text: &str) {
        let path = self.dir.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs::remove_file(self.dir.path().join(path)).unwrap();
    }

    fn with(mut self, id: &str, wish: Wish) -> Self {
        self.wishes.set.insert(id.to_owned(), wish);
        self
    }

    fn plan(&self, findings: &[Finding]) -> Plan {
        let source = Source::at(self.dir.path()).unwrap();
        let facts = Facts::read(&source);
        let mut intent = Intent::new(&config::parse(&self.config, "test").unwrap(), &facts);
        intent.management = vec!["eno1".to_owned()];
        let plan = Plan::new(findings, &intent, &facts, &source, &self.wishes);
        // What is stored is what was planned.
        let text = serde_json::to_string(&plan).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), plan);
        plan
    }
}

fn finding(id: &'static str, verdict: Verdict, fix: Vec<Change>) -> Finding {
    Finding {
        id,
        section: Section::System,
        title: "",
        verdict,
        seen: String::new(),
        wanted: String::new(),
        why: "because",
        details: Vec::new(),
        needs_reboot: fix.iter().any(Change::needs_reboot),
        fix,
        advice: None,
        risk: Risk::Low,
        cost: "",
        is_contested: false,
        is_proposed: false,
    }
}

fn warn(id: &'static str, change: Change) -> Finding {
    finding(id, Verdict::Warn, vec![change])
}

fn bad(id: &'static str, change: Change) -> Finding {
    finding(id, Verdict::Bad, vec![change])
}

fn sysctl(key: &str, value: &str) -> Change {
    Change::Sysctl { key: key.to_owned(), value: value.to_owned() }
}

fn kernel(path: &str, value: &str, form: Form) -> Change {
    Change::Kernel { path: path.to_owned(), value: value.to_owned(), form }
}

fn boot(key: &str, value: &str) -> Change {
    Change::BootParameter { key: key.to_owned(), value: BootValue::Is(value.to_owned()) }
}

fn no_boot(key: &str) -> Change {
    Change::BootParameter { key: key.to_owned(), value: BootValue::Absent }
}

/// What the drop-in of a plan sets.
fn words(plan: &Plan) -> Vec<String> {
    let content = plan.steps.iter().find_map(|step| match &step.change {
        Change::File { path, content } if path == grub::DROP_IN => Some(content.clone()),
        _ => None,
    });
    content.map(|content| grub::read(&content).words()).unwrap_or_default()
}

fn targets(plan: &Plan) -> Vec<String> {
    plan.steps.iter().map(|step| step.change.target()).collect()
}

fn why(plan: &Plan, check: &str) -> String {
    let left: Vec<&LeftOut> = plan.left_out.iter().filter(|left| left.check == check).collect();
    assert!(!left.is_empty(), "{plan:#?}");
    left[0].why.clone()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Whatever is wanted: least harm first, one step a knob, and a second plan where the first one was carried out is
    /// empty.
    #[test]
    fn any_plan_is_in_order_and_once_done_is_done(
        wanted in proptest::collection::vec((0_usize..8, 0_u32..4, any::<bool>()), 0..24),
    ) {
        let fake = Fake::new();
        let files = [
            "proc/sys/vm/swappiness", "proc/sys/kernel/nmi_watchdog", "sys/kernel/mm/ksm/run",
            "sys/class/net/eno1/queues/rx-0/rps_cpus",
        ];
        for file in files {
            fake.file(file, "7\n");
        }
        let findings: Vec<Finding> = wanted
            .iter()
            .map(|(which, value, is_bad)| {
                let value = value.to_string();
                let change = match which {
                    0 => sysctl("vm.swappiness", &value),
                    1 => sysctl("kernel.nmi_watchdog", &value),
                    2 => kernel("sys/kernel/mm/ksm/run", &value, Form::Number),
                    3 => kernel("sys/class/net/eno1/queues/rx-0/rps_cpus", "1", Form::CpuMask),
                    4 => boot("skew_tick", &value),
                    5 => no_boot("mce"),
                    6 => Change::File { path: "etc/modprobe.d/90-barewire.conf".into(), content: value },
                    _ => Change::Setting {
                        path: "etc/default/irqbalance".into(),
                        key: "K".into(),
                        value,
                    },
                };
                if *is_bad { bad("MEM-14", change) } else { warn("MEM-11", change) }
            })
            .collect();

        let plan = fake.plan(&findings);
        prop_assert_eq!(&fake.plan(&findings), &plan);
        prop_assert!(plan.steps.is_sorted_by_key(|step| step.blast));
        let mut targets = targets(&plan);
        targets.sort();
        let all = targets.len();
        targets.dedup();
        prop_assert_eq!(targets.len(), all);

        for step in &plan.steps {
            match &step.change {
                Change::Kernel { path, value, .. } => fake.file(path, value),
                Change::File { path, content } => fake.file(path, content),
                Change::Setting { path, key, value } => {
                    fake.file(path, &crate::change::setting_line(key, value));
                }
                _ => {}
            }
        }
        let again = fake.plan(&findings);
        prop_assert!(again.is_empty(), "{again:#?}");
    }
}
