use std::{fs, path::Path, time::Duration};

use tempfile::TempDir;

use super::{How, again::carry_out_each, new_entry, promote};
use crate::{
    Fact, Risk,
    boot::{ArgumentTool, Arguments, KernelArguments, MenuTool, grub},
    change::{Change, Form},
    commands::{Color, Common, Session, Surroundings, Unheard, changes::StateDir},
    executor::{self, Overwrite, compile, trial, verify},
    hands::{
        Hands,
        fake::{Fake, Manner},
    },
    journal::{Entry, Journal, Kind},
    plan::{Blast, Scope, Step},
};

const STATE: &str = "var/lib/barewire/tune";
const SWAPPINESS: &str = "proc/sys/vm/swappiness";

const MENU: &str = r#"set default="0"
menuentry 'Debian GNU/Linux' --class debian $menuentry_id_option 'gnulinux-simple-1' {
	insmod ext2
	if [ x$feature = xy ]; then
	  search --fs-uuid 1
	fi
	linux	/boot/vmlinuz-6.12 root=UUID=1 ro quiet isolcpus=1
	initrd	/boot/initrd.img-6.12
}
menuentry 'Other' $menuentry_id_option 'other' {
	linux	/boot/vmlinuz-6.1 root=UUID=1 ro
}
if [ -f  ${config_directory}/custom.cfg ]; then
  source ${config_directory}/custom.cfg
fi
"#;

const BLS: &str = "title Fedora\nversion 6.12.0\nlinux /vmlinuz-6.12.0\ninitrd /initramfs.img\n\
                   options root=/dev/sda1 ro isolcpus=1 $tuned_params\ngrub_class kernel\n";

fn put(root: &Path, path: &str, text: &str) {
    let at = root.join(path);
    fs::create_dir_all(at.parent().unwrap()).unwrap();
    fs::write(at, text).unwrap();
}

fn block(variables: &str) -> String {
    let mut text = format!("# GRUB Environment Block\n{variables}");
    text.extend(std::iter::repeat_n('#', 1024 - text.len()));
    text
}

fn machine(filesystem: &str) -> (TempDir, Fake) {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in [
        ("proc/sys/kernel/random/boot_id", "one\n"),
        ("proc/cmdline", "root=UUID=1 ro quiet isolcpus=1\n"),
        ("proc/self/mountinfo", &format!("22 1 8:1 / / rw - {filesystem} /dev/sda1 rw\n")),
        (SWAPPINESS, "60\n"),
        ("etc/default/grub", "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet isolcpus=1\"\n"),
        ("boot/grub/grub.cfg", MENU),
        ("boot/grub/grubenv", &block("saved_entry=x\n")),
    ] {
        put(dir.path(), path, text);
    }
    fs::create_dir_all(dir.path().join("etc/default/grub.d")).unwrap();
    let fake = Fake::at(dir.path()).unwrap();
    (dir, fake)
}

fn step(change: Change) -> Step {
    Step {
        checks: vec!["ISO-03".to_owned()],
        change,
        from: Fact::unknown("not looked at"),
        to: String::new(),
        scope: Scope::Boot,
        risk: Risk::None,
        blast: Blast::Boot,
        why: String::new(),
        sources: Vec::new(),
    }
}

fn steps() -> Vec<Step> {
    let arguments = Arguments::from_line("nohz_full=2-3 isolcpus=managed_irq,2-3");
    vec![
        step(Change::File {
            path: grub::DROP_IN.to_owned(),
            content: grub::drop_in(&arguments, false),
        }),
        step(Change::BootMenu { tool: MenuTool::UpdateGrub }),
        Step {
            scope: Scope::Both,
            ..step(Change::Kernel {
                path: SWAPPINESS.to_owned(),
                value: "10".to_owned(),
                form: Form::Number,
            })
        },
    ]
}

fn journal(hands: &dyn Hands) -> Journal {
    Journal::open(hands, STATE, Duration::ZERO).unwrap()
}

/// What `apply` does with a plan that has kernel arguments.
fn apply(hands: &dyn Hands, steps: Vec<Step>) -> Entry {
    let split = trial::split(hands, steps).unwrap();
    let mut effects = compile(hands, &split.steps[..split.at_once]).unwrap();
    let (trial, more) = split.trial.unwrap();
    effects.extend(more);
    let mut entry = new_entry(hands, 1, Kind::Apply, split.steps, effects);
    entry.trial = Some(trial);
    executor::apply(hands, &journal(hands), &mut entry, &mut |_| ()).unwrap();
    entry
}

/// What `verify --boot` does.
fn is_promoted(hands: &dyn Hands) -> bool {
    let journal = journal(hands);
    let entries = journal.entries(hands).unwrap();
    promote(hands, &journal, &entries, &mut |_| ()).unwrap().is_some()
}

fn reboot(fake: &Fake, line: &str) {
    put(fake.root(), "proc/sys/kernel/random/boot_id", "two\n");
    put(fake.root(), "proc/cmdline", line);
    // GRUB empties the choice as it takes it.
    put(fake.root(), "boot/grub/grubenv", &block("saved_entry=x\nnext_entry=\n"));
}

fn text(fake: &Fake, path: &str) -> String {
    fs::read_to_string(fake.root().join(path)).unwrap()
}

fn roll_back(fake: &Fake) {
    let journal = journal(fake);
    for mut entry in journal.entries(fake).unwrap().into_iter().rev() {
        let undone =
            executor::undo(fake, &journal, &mut entry, Overwrite::Nothing, &mut |_| ()).unwrap();
        assert_eq!(undone.kept, Vec::<String>::new());
    }
}

#[test]
fn kernel_arguments_are_tried_once_and_nothing_lasting_is_written() {
    let (_dir, fake) = machine("ext4");

    apply(&fake, steps());

    let custom = text(&fake, "boot/grub/custom.cfg");
    assert!(
        custom.contains(
            "\tlinux\t/boot/vmlinuz-6.12 root=UUID=1 ro quiet nohz_full=2-3 isolcpus=managed_irq,2-3\n"
        ),
        "{custom}"
    );
    assert!(custom.contains("--id a-barewire-trial {") && custom.contains("initrd"), "{custom}");
    let environment = text(&fake, "boot/grub/grubenv");
    assert!(environment.contains("saved_entry=x\nnext_entry=a-barewire-trial\n#"), "{environment}");
    assert_eq!(environment.len(), 1024);
    assert!(!fake.root().join(grub::DROP_IN).exists());
    // What needs no reboot is done at once.
    assert_eq!(text(&fake, SWAPPINESS), "10\n");
    assert!(!is_promoted(&fake), "the machine was not rebooted");
    let entries = journal(&fake).entries(&fake).unwrap();
    let pending = verify(&fake, &entries);
    assert!(pending.iter().any(|one| one.standing == executor::Standing::Pending), "{pending:#?}");

    roll_back(&fake);
    assert!(!fake.root().join("boot/grub/custom.cfg").exists());
    assert_eq!(text(&fake, "boot/grub/grubenv"), block("saved_entry=x\n"));
}

#[test]
fn a_machine_that_came_up_keeps_them_and_leads_back() {
    let (_dir, fake) = machine("ext4");
    apply(&fake, steps());
    reboot(&fake, "root=UUID=1 ro quiet nohz_full=2-3 isolcpus=managed_irq,2-3\n");
    fake.deeds();

    assert!(is_promoted(&fake));

    assert!(text(&fake, grub::DROP_IN).contains("nohz_full=2-3"));
    assert!(fake.deeds().contains(&"run update-grub".to_owned()));
    assert!(!fake.root().join("boot/grub/custom.cfg").exists());
    assert!(!is_promoted(&fake), "once is enough");

    roll_back(&fake);
    assert!(!fake.root().join(grub::DROP_IN).exists());
    assert!(fake.deeds().contains(&"run update-grub".to_owned()));
}

#[test]
fn a_machine_that_came_up_with_the_old_entry_keeps_the_old_one() {
    let (_dir, fake) = machine("ext4");
    apply(&fake, steps());
    reboot(&fake, "root=UUID=1 ro quiet isolcpus=1\n");

    assert!(!is_promoted(&fake));

    assert!(!fake.root().join(grub::DROP_IN).exists());
    let before = text(&fake, "boot/grub/grubenv");
    roll_back(&fake);
    assert!(!fake.root().join("boot/grub/custom.cfg").exists());
    assert_eq!(text(&fake, "boot/grub/grubenv"), before);
}

#[test]
fn where_the_choice_would_not_be_forgotten_there_is_no_trial() {
    let refused = |prepare: &dyn Fn(&Path), filesystem: &str| {
        let (_dir, fake) = machine(filesystem);
        prepare(fake.root());
        trial::split(&fake, steps()).unwrap_err().0
    };

    let why = refused(&|_| (), "btrfs");
    assert!(why.contains("GRUB can not write to btrfs"), "{why}");
    let why = refused(&|root| put(root, "sys/dev/block/8:1/dm/uuid", "LVM-abc\n"), "ext4");
    assert!(why.contains("GRUB can not write"), "{why}");
    let why = refused(&|root| put(root, "boot/grub/custom.cfg", "menuentry 'mine' {\n}\n"), "ext4");
    assert!(why.contains("somebody else's"), "{why}");
    let why = refused(&|root| fs::remove_file(root.join("boot/grub/grubenv")).unwrap(), "ext4");
    assert!(why.contains("no environment block"), "{why}");
    let why = refused(&|root| put(root, "boot/grub/grubenv", "short\n"), "ext4");
    assert!(why.contains("is not an environment block"), "{why}");
}

#[test]
fn entries_of_the_red_hat_family_are_tried_and_kept_but_the_one_for_repairs_stays_as_it_is() {
    let (_dir, fake) = machine("xfs");
    fs::remove_dir_all(fake.root().join("boot/grub")).unwrap();
    for (path, text) in [
        ("etc/default/grub", "GRUB_ENABLE_BLSCFG=true\n"),
        ("boot/grub2/grub.cfg", "set default=\"${saved_entry}\"\nblscfg\n"),
        ("boot/grub2/grubenv", &block("saved_entry=m-6.12.0\n")),
        ("boot/loader/entries/m-6.12.0.conf", BLS),
    ] {
        put(fake.root(), path, text);
    }
    let rescue = BLS.replace("6.12.0", "0-rescue-m");
    put(fake.root(), "boot/loader/entries/m-0-rescue.conf", &rescue);
    let arguments = Arguments::from_line("isolcpus=managed_irq,2-3");
    let change = KernelArguments::with(ArgumentTool::Grubby, &arguments);

    apply(&fake, vec![step(Change::KernelArguments(change))]);

    let ours = text(&fake, "boot/loader/entries/a-barewire-trial.conf");
    assert!(
        ours.contains("options root=/dev/sda1 ro $tuned_params isolcpus=managed_irq,2-3\n"),
        "{ours}"
    );
    assert!(!ours.contains("grub_class"), "{ours}");
    assert!(text(&fake, "boot/grub2/grubenv").contains("next_entry=a-barewire-trial\n"));

    // It came up with them: now every kernel has them, but for the one for repairs.
    reboot(&fake, "root=/dev/sda1 ro isolcpus=managed_irq,2-3\n");
    fake.deeds();
    assert!(is_promoted(&fake));
    let entry = text(&fake, "boot/loader/entries/m-6.12.0.conf");
    assert!(entry.contains("isolcpus=managed_irq,2-3"), "{entry}");
    assert_eq!(text(&fake, "boot/loader/entries/m-0-rescue.conf"), rescue);
    let deeds = fake.deeds();
    assert!(
        deeds.contains(
            &"run grubby --update-kernel=/boot/vmlinuz-6.12.0 --remove-args=isolcpus".to_owned()
        ),
        "{deeds:#?}"
    );

    roll_back(&fake);
    assert!(text(&fake, "boot/loader/entries/m-6.12.0.conf").contains(" isolcpus=1\n"));
    assert_eq!(text(&fake, "boot/loader/entries/m-0-rescue.conf"), rescue);
    assert!(!fake.root().join("boot/loader/entries/a-barewire-trial.conf").exists());
    assert_eq!(text(&fake, "boot/grub2/grubenv"), block("saved_entry=m-6.12.0\n"));
}

#[test]
fn what_one_boot_can_not_set_again_leaves_the_rest_set_and_is_no_success() {
    for json in [false, true] {
        let (_dir, fake) = machine("ext4");
        put(fake.root(), "proc/sys/vm/stat_interval", "1\n");
        let kernel = |path: &str| {
            let change = Change::Kernel {
                path: path.to_owned(),
                value: "10".to_owned(),
                form: Form::Number,
            };
            Step { scope: Scope::Both, ..step(change) }
        };
        let steps = vec![kernel("proc/sys/vm/stat_interval"), kernel(SWAPPINESS)];
        let effects = compile(&fake, &steps).unwrap();
        fake.rule("proc/sys/vm/stat_interval", Manner::Clamp(5));
        let entry = new_entry(&fake, 1, Kind::Boot, steps, effects);
        let surroundings = Surroundings::default();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let common = Common {
            root: fake.root().to_owned(),
            snapshot: None,
            config: None,
            without_config: false,
            state: StateDir::default(),
            color: Color::Never,
        };
        let mut session = Session {
            common,
            surroundings: &surroundings,
            out: &mut out,
            err: &mut err,
            unheard: Unheard::default(),
        };
        let how = How { json, confirm_within: None };

        let failure = carry_out_each(how, &fake, &journal(&fake), entry, &mut session).unwrap_err();

        assert_eq!(failure.exit(), crate::Exit::Incomplete);
        assert!(
            failure.to_string().contains("set again as 0001, but not all of it: 1 done, 1 not"),
            "{failure}"
        );
        assert_eq!(text(&fake, SWAPPINESS), "10\n");
        assert_eq!(text(&fake, "proc/sys/vm/stat_interval"), "1\n");
        let (out, err) = (String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap());
        assert!(err.contains("not set: /proc/sys/vm/stat_interval"), "{err}");
        if json {
            let answer: serde_json::Value = serde_json::from_str(&out).unwrap();
            assert_eq!(answer["exit"], 61);
            assert_eq!(answer["left"].as_array().unwrap().len(), 1, "{answer:#}");
        } else {
            assert!(out.contains("FAILED    /proc/sys/vm/stat_interval"), "{out}");
        }
    }
}
