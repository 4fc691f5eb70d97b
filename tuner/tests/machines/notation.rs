//! The notation of `tests/fixtures/machines`: its README says what it is.
//!
//! It is read strictly: what is not understood is a mistake in the fixture, and says its line.

use std::{collections::BTreeMap, fmt::Write as _};

/// What is in a machine, in order; what comes later is in place of what came before.
#[derive(Debug, Default)]
pub(crate) struct Machine {
    /// The topology that it stands on.
    pub(crate) base: Option<String>,
    /// Its files, by path.
    pub(crate) items: Vec<(String, Item)>,
    /// Its interrupts, which are rows of a table too.
    pub(crate) interrupts: Vec<Interrupt>,
}

/// What is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A file.
    File(Vec<u8>),
    /// A symbolic link to this.
    Link(String),
    /// A file that can not be read, for this reason.
    Refused(String),
    /// A directory.
    Folder,
    /// Nothing, though the base has something.
    Gone,
}

/// One interrupt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Interrupt {
    /// Its number.
    pub(crate) number: u32,
    /// Who handles it.
    pub(crate) handlers: String,
    /// The CPU that takes it.
    pub(crate) cpu: u32,
}

/// Reads a machine; `part` gives the text of a part by its name.
pub(crate) fn parse(text: &str, part: &dyn Fn(&str) -> Option<String>) -> Result<Machine, String> {
    let mut machine = Machine::default();
    machine.read(text, part, 0)?;
    Ok(machine)
}

impl Machine {
    fn read(
        &mut self,
        text: &str,
        part: &dyn Fn(&str) -> Option<String>,
        depth: u32,
    ) -> Result<(), String> {
        let mut lines = text.lines().enumerate();
        while let Some((index, line)) = lines.next() {
            let at = |why: &str| format!("line {}: {why}: {line}", index + 1);
            if let Some(path) = line.strip_prefix("-- ") {
                let mut content = String::new();
                loop {
                    match lines.next() {
                        Some((_, "--")) => break,
                        Some((_, line)) => content.extend([line, "\n"]),
                        None => return Err(at("this section has no end")),
                    }
                }
                self.add(path, &Item::File(content.into_bytes())).map_err(|why| at(&why))?;
                continue;
            }
            let words: Vec<&str> = line.split_ascii_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["base", name] if depth == 0 && self.base.is_none() => {
                    self.base = Some((*name).to_owned());
                }
                ["with", name, arguments @ ..] if depth < 4 => {
                    let text = part(name).ok_or_else(|| at("there is no such part"))?;
                    let text = filled(&text, arguments).map_err(|why| at(&why))?;
                    let inner = |why| format!("line {}: part {name}: {why}", index + 1);
                    self.read(&text, part, depth + 1).map_err(inner)?;
                }
                ["task", number, name, kind, cpus, last, policy @ ..] => {
                    let files = task(number, name, kind, cpus, last, policy);
                    for (path, text) in files.ok_or_else(|| at("this is not a task"))? {
                        self.items.push((path, Item::File(text.into_bytes())));
                    }
                }
                ["irq", number, handlers, requested, cpu] => {
                    let irq = || -> Option<Interrupt> {
                        let (number, cpu) = (number.parse().ok()?, cpu.parse().ok()?);
                        Some(Interrupt { number, handlers: (*handlers).to_owned(), cpu })
                    };
                    let irq = irq().ok_or_else(|| at("this is not an interrupt"))?;
                    for (path, text) in [
                        (format!("proc/irq/{number}/smp_affinity_list"), *requested),
                        (format!("proc/irq/{number}/effective_affinity_list"), *cpu),
                        (format!("sys/kernel/irq/{number}/actions"), *handlers),
                    ] {
                        self.items.push((path, Item::File(format!("{text}\n").into_bytes())));
                    }
                    self.interrupts.push(irq);
                }
                _ => {
                    let (path, item) = item(line).ok_or_else(|| at("this is nothing"))?;
                    self.add(path, &item).map_err(|why| at(&why))?;
                }
            }
        }
        Ok(())
    }

    /// One item, or one for each number of `{0-3,8}` in the path; then `{}` in a text is the number.
    fn add(&mut self, path: &str, item: &Item) -> Result<(), String> {
        let is_inside = !path.is_empty()
            && !path.starts_with('/')
            && path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !is_inside {
            return Err("this is no path below the root".to_owned());
        }
        let Some((before, rest)) = path.split_once('{') else {
            self.items.push((path.to_owned(), item.clone()));
            return Ok(());
        };
        let (list, after) = rest.split_once('}').ok_or("a brace is open")?;
        let numbers: config::CpuSet = list.parse().map_err(|_| "these are no numbers")?;
        for number in numbers.iter() {
            let number = number.get().to_string();
            let item = match item {
                Item::File(bytes) => {
                    let text = String::from_utf8_lossy(bytes).replace("{}", &number);
                    Item::File(text.into_bytes())
                }
                other => other.clone(),
            };
            self.add(&format!("{before}{number}{after}"), &item)?;
        }
        Ok(())
    }
}

/// The lines that are about one path.
fn item(line: &str) -> Option<(&str, Item)> {
    let (path, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (sign, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let item = match (sign, value) {
        ("=", value) => Item::File(format!("{value}\n").into_bytes()),
        ("->", target) if !target.is_empty() => Item::Link(target.to_owned()),
        ("!!", why) if !why.is_empty() => Item::Refused(why.to_owned()),
        ("x", hex) => Item::File(
            hex.split_ascii_whitespace()
                .map(|byte| u8::from_str_radix(byte, 16).ok().filter(|_| byte.len() == 2))
                .collect::<Option<Vec<u8>>>()?,
        ),
        ("*", value) => {
            let (count, text) = value.split_once(' ')?;
            Item::File(text.repeat(count.parse().ok().filter(|n| *n <= 1 << 20)?).into_bytes())
        }
        ("~", "") => Item::Gone,
        ("", "") if path.ends_with('/') => return Some((&path[..path.len() - 1], Item::Folder)),
        _ => return None,
    };
    Some((path, item))
}

/// A part's text with `@name@` replaced by the argument `name=…`, and `=` of the argument's own kept. Blanks in an
/// argument are written `+`.
fn filled(text: &str, arguments: &[&str]) -> Result<String, String> {
    let mut text = text.to_owned();
    for argument in arguments {
        let (name, value) = argument.split_once('=').ok_or("an argument is NAME=VALUE")?;
        let mark = format!("@{name}@");
        if !text.contains(&mark) {
            return Err(format!("the part has no {mark}"));
        }
        text = text.replace(&mark, &value.replace('+', " "));
    }
    let is_name = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase());
    // `a@b` of an unit's name is no mark, `@b@` is.
    let left = text.split('@').skip(1).step_by(2).find(|word| is_name(word));
    match left.filter(|word| text.contains(&format!("@{word}@"))) {
        Some(word) => Err(format!("@{word}@ is not given")),
        None => Ok(text),
    }
}

/// The files of a thread: `PID` or `PID/TID`, its name, what it is, where it may run, where it ran last, and
/// `fifo:50` where it is a real-time one.
fn task(
    number: &str,
    name: &str,
    kind: &str,
    cpus: &str,
    last: &str,
    policy: &[&str],
) -> Option<Vec<(String, String)>> {
    let (process, thread) = number.split_once('/').unwrap_or((number, number));
    let (process, thread): (u32, u32) = (process.parse().ok()?, thread.parse().ok()?);
    // PF_KTHREAD, and PF_NO_SETAFFINITY.
    let (flags, parent, state) = match kind {
        "user" => (0x40_0000_u32, 1_u32, 'S'),
        "busy" => (0x40_0000, 1, 'R'),
        "kernel" => (0x20_0040, 2, 'S'),
        "bound" => (0x420_0040, 2, 'S'),
        _ => return None,
    };
    let (policy, priority) = match policy {
        [] => (0, 0),
        [one] => match one.split_once(':')? {
            ("fifo", priority) => (1, priority.parse::<u32>().ok()?),
            ("rr", priority) => (2, priority.parse::<u32>().ok()?),
            _ => return None,
        },
        _ => return None,
    };
    let last: u32 = last.parse().ok()?;
    let _: config::CpuSet = cpus.parse().ok()?;
    let mut stat = format!("{thread} ({name}) {state} {parent} 0 0 0 -1 {flags} 0 0 0 0 5 7");
    // Fields 16 to 38 of proc_pid_stat(5); the 22nd is when it was started.
    for field in 16..=38 {
        let _ = write!(stat, " {}", if field == 22 { 200 } else { 0 });
    }
    let _ = writeln!(stat, " {last} {priority} {policy} 0 0 0");
    let status = format!(
        "Name:\t{name}\nTgid:\t{process}\nPid:\t{thread}\nCpus_allowed_list:\t{cpus}\nMems_allowed_list:\t0\n\
         voluntary_ctxt_switches:\t10\nnonvoluntary_ctxt_switches:\t0\n"
    );
    let comm = format!("{name}\n");
    let mut files = BTreeMap::new();
    for dir in [format!("proc/{thread}"), format!("proc/{process}/task/{thread}")] {
        files.insert(format!("{dir}/comm"), comm.clone());
        files.insert(format!("{dir}/status"), status.clone());
        files.insert(format!("{dir}/stat"), stat.clone());
    }
    Some(files.into_iter().collect())
}

#[test]
fn a_machine_is_read_item_by_item() {
    let text = "# one\nbase one-node\na/b = c  d\nl -> ../x\nr !! not for us\nz x 00 ff\nlong * 3 ab\nold ~\ndir/\n\
                cpu{1-2}/n = {} of {}\n-- t\nx = y\n\n--\nwith p k=1+2\n";
    let part = |name: &str| (name == "p").then(|| "in/part = @k@ a@b\n".to_owned());

    let machine = parse(text, &part).unwrap();

    let file = |text: &str| Item::File(text.as_bytes().to_vec());
    let expected = [
        ("a/b", file("c  d\n")),
        ("l", Item::Link("../x".to_owned())),
        ("r", Item::Refused("not for us".to_owned())),
        ("z", Item::File(vec![0, 255])),
        ("long", file("ababab")),
        ("old", Item::Gone),
        ("dir", Item::Folder),
        ("cpu1/n", file("1 of 1\n")),
        ("cpu2/n", file("2 of 2\n")),
        ("t", file("x = y\n\n")),
        ("in/part", file("1 2 a@b\n")),
    ];
    let expected = expected.map(|(path, item)| (path.to_owned(), item));
    assert_eq!(machine.base.as_deref(), Some("one-node"));
    assert_eq!(machine.items, expected);
}

#[test]
fn a_thread_and_an_interrupt_are_files_that_are_understood() {
    let text = "task 9/12 rcuog/3 kernel 0-3 2 fifo:50\nirq 24 eth0-rx-0 0-3 2\n";

    let machine = parse(text, &|_| None).unwrap();

    let of = |path: &str| {
        let item = machine.items.iter().find(|(at, _)| at == path);
        let Some((_, Item::File(bytes))) = item else { panic!("no {path}") };
        String::from_utf8(bytes.clone()).unwrap()
    };
    let stat = linux::task::Stat::parse(of("proc/9/task/12/stat").trim()).unwrap();
    assert_eq!((stat.id, stat.name.as_str(), stat.last_cpu.get()), (12, "rcuog/3", 2));
    assert!(stat.is_kernel() && !stat.is_bound() && stat.policy.is_real_time());
    assert_eq!(stat.rt_priority, 50);
    let status = linux::task::Status::parse(&of("proc/9/task/12/status")).unwrap();
    assert_eq!((status.process, status.allowed.to_string().as_str()), (9, "0-3"));
    assert_eq!(of("proc/irq/24/effective_affinity_list"), "2\n");
    assert_eq!(machine.interrupts.len(), 1);
}

#[test]
fn what_is_not_understood_is_refused_with_its_line() {
    let part = |name: &str| (name == "p").then(|| "a = @k@\n".to_owned());
    for (text, says) in [
        ("a\n", "this is nothing"),
        ("\n/a = b\n", "line 2: this is no path"),
        ("a/../b = c\n", "this is no path"),
        ("a{1 = b\n", "a brace is open"),
        ("a{x} = b\n", "no numbers"),
        ("-- a\nb\n", "no end"),
        ("with q\n", "no such part"),
        ("with p\n", "@k@ is not given"),
        ("with p k=1 z=2\n", "the part has no @z@"),
        ("a x 0\n", "this is nothing"),
        ("a -> \n", "this is nothing"),
        ("task 1 a user x 0\n", "not a task"),
        ("irq x a 0 0\n", "not an interrupt"),
        ("base a\nbase b\n", "this is nothing"),
    ] {
        let why = parse(text, &part).unwrap_err();
        assert!(why.contains(says), "{text:?}: {why}");
    }
}
