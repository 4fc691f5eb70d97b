//! Bad configuration files, made from good ones: each example with one thing wrong, in every place it can be wrong.
//!
//! The list is the same in every run. What reads it: the tests of the configuration, and the scenario that gives each
//! file to `barewired check`.

use std::{fs, path::Path};

/// One bad file.
#[derive(Debug, Clone)]
pub struct Mutant {
    /// What was done to which example, and where: `wire.toml:12: wrong type`.
    pub name: String,
    /// The file.
    pub bytes: Vec<u8>,
    /// The line that has to be named, from 1, where the mutation has one for certain.
    pub line: Option<usize>,
}

/// Every mutation of every example in a folder, in the order of file names, mutations and lines.
///
/// # Panics
/// When the folder can not be read.
#[must_use]
pub fn mutants(examples: &Path) -> Vec<Mutant> {
    let mut files: Vec<_> = fs::read_dir(examples)
        .unwrap_or_else(|error| panic!("{}: {error}", examples.display()))
        .map(|entry| entry.expect("a folder lists its files").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    let mut mutants = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).expect("an example is text");
        let name = path.file_name().expect("a file has a name").to_string_lossy().into_owned();
        let example = Example { name, lines: text.lines().map(str::to_owned).collect() };
        for mutate in [keys, missing_keys, edges, headers, insertions, truncations, wholes] {
            mutate(&example, &mut mutants);
        }
    }
    mutants
}

struct Example {
    name: String,
    lines: Vec<String>,
}

impl Example {
    /// The text with one line exchanged for what may be several, or for none.
    fn with(&self, at: usize, line: Option<&str>) -> String {
        let before = self.lines[..at].iter().map(String::as_str);
        let after = self.lines[at + 1..].iter().map(String::as_str);
        let mut lines: Vec<&str> = before.chain(line).chain(after).collect();
        lines.push("");
        lines.join("\n")
    }

    fn mutant(&self, at: usize, what: &str, text: String, named: bool) -> Mutant {
        Mutant {
            name: format!("{}:{}: {what}", self.name, at + 1),
            bytes: text.into_bytes(),
            line: named.then_some(at + 1),
        }
    }

    /// Every line with a key, as its number from 0, key and value.
    fn pairs(&self) -> impl Iterator<Item = (usize, &str, &str)> {
        self.lines.iter().enumerate().filter_map(|(at, line)| {
            let (key, rest) = line.split_once(" = ")?;
            let end = match rest.as_bytes().first()? {
                b'"' => rest[1..].find('"')? + 2,
                b'[' => rest.find(']')? + 1,
                b'{' => rest.find('}')? + 1,
                _ => rest.find(' ').unwrap_or(rest.len()),
            };
            (!key.starts_with('#')).then(|| (at, key, &rest[..end]))
        })
    }

    /// Every line with a header.
    fn headers(&self) -> impl Iterator<Item = (usize, &str)> {
        self.lines
            .iter()
            .enumerate()
            .filter(|(_, line)| line.starts_with('['))
            .map(|(at, line)| (at, line.as_str()))
    }
}

/// A wrong type, a wrong value, a misspelt key, a key twice: on every line with a key.
fn keys(example: &Example, mutants: &mut Vec<Mutant>) {
    for (at, key, value) in example.pairs() {
        let wrong_type = match value.as_bytes().first() {
            Some(b'"') => "17",
            Some(b'[') => "true",
            _ => "\"seventeen\"",
        };
        let last = key.chars().last().expect("a key has letters");
        let mut lines = vec![
            ("wrong type", format!("{key} = {wrong_type}")),
            ("a date", format!("{key} = 2026-01-01T00:00:00Z")),
            ("a table", format!("{key} = {{ value = {value} }}")),
            ("misspelt key", format!("{key}{last} = {value}")),
            ("key in capitals", format!("{} = {value}", key.to_uppercase())),
            ("no value", format!("{key} =")),
            ("no equals sign", format!("{key} {value}")),
            ("a value without quotes", format!("{key} = north")),
        ];
        if value.starts_with(|c: char| c.is_ascii_digit()) {
            for number in ["-1", "99999999999999999999", "1.5", "nan", "0x", "1_"] {
                lines.push(("bad number", format!("{key} = {number}")));
            }
        }
        if value.starts_with('"') {
            for text in ["\"\"", "\"\\u0000\"", "\"no such thing\"", "\"\\u001b[2J\"", "\"\\q\""] {
                lines.push(("bad text", format!("{key} = {text}")));
            }
            let long = "a".repeat(10_000);
            lines.push(("long text", format!("{key} = \"{long}\"")));
        }
        for (what, line) in lines {
            let text = example.with(at, Some(&line));
            mutants.push(example.mutant(at, what, text, true));
        }
        let twice = format!("{key} = {value}\n{key} = {value}");
        mutants.push(example.mutant(at + 1, "key twice", example.with(at, Some(&twice)), true));
    }
}

/// A key that has to be there is not.
fn missing_keys(example: &Example, mutants: &mut Vec<Mutant>) {
    const REQUIRED: [&str; 7] = ["name", "device", "input", "kind", "to", "sampled", "every"];
    for (at, key, _) in example.pairs().filter(|(_, key, _)| REQUIRED.contains(key)) {
        let text = example.with(at, None);
        mutants.push(example.mutant(at, &format!("no {key}"), text, false));
    }
}

/// An edge to where there is nothing, or back to where it comes from.
fn edges(example: &Example, mutants: &mut Vec<Mutant>) {
    let mut name = "";
    for (at, key, value) in example.pairs() {
        match key {
            "name" => name = value,
            "to" | "other" | "sampled" | "input" => {
                for wrong in ["\"nowhere\"", "\"tx:nowhere\"", "\"tx:\"", "\"rx:north\"", name] {
                    let text = example.with(at, Some(&format!("{key} = {wrong}")));
                    mutants.push(example.mutant(at, &format!("{key} = {wrong}"), text, true));
                }
            }
            _ => {}
        }
    }
}

/// A header that is misspelt, not closed, of the other kind, or twice.
fn headers(example: &Example, mutants: &mut Vec<Mutant>) {
    for (at, header) in example.headers() {
        let name = header.trim_matches(['[', ']']);
        let single = !header.starts_with("[[");
        let other_kind = if single { format!("[[{name}]]") } else { format!("[{name}]") };
        for (what, line) in [
            ("header not closed", header.trim_end_matches(']').to_owned()),
            ("header of the other kind", other_kind),
            ("misspelt header", header.replace(name, &format!("{name}x"))),
            ("header below another", header.replace(name, &format!("pipeline.{name}"))),
        ] {
            mutants.push(example.mutant(at, what, example.with(at, Some(&line)), false));
        }
        if single {
            let twice = format!("{header}\n{header}");
            mutants.push(example.mutant(
                at + 1,
                "section twice",
                example.with(at, Some(&twice)),
                true,
            ));
        }
        let unknown = format!("{header}\nbogus = 1");
        mutants.push(example.mutant(at + 1, "unknown key", example.with(at, Some(&unknown)), true));
    }
}

/// Bytes that belong in no text, and text that belongs in no configuration, at the first header.
fn insertions(example: &Example, mutants: &mut Vec<Mutant>) {
    let Some((at, header)) = example.headers().next() else { return };
    for (what, inserted) in [
        ("not UTF-8", &b"\xff\xfe"[..]),
        ("half a character", b"\xe2\x82"),
        ("a NUL", b"\0"),
        ("an escape", b"\x1b[2J"),
        ("a key of its own", b"bogus = 1"),
        ("nesting", &[b'['; 2000]),
        ("dots", &[b"a".as_slice(), &b".a".repeat(500), b" = 1"].concat()),
        ("JSON", b"{\"cores\": {}}"),
        ("a merge conflict", b"<<<<<<< HEAD"),
    ] {
        let mut bytes = Vec::new();
        for (number, line) in example.lines.iter().enumerate() {
            if number == at {
                bytes.extend_from_slice(inserted);
                bytes.push(b'\n');
            }
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
        }
        let name = format!("{}:{}: {what} before {header}", example.name, at + 1);
        mutants.push(Mutant { name, bytes, line: Some(at + 1) });
    }
}

/// The file ends within a quoted text.
fn truncations(example: &Example, mutants: &mut Vec<Mutant>) {
    for (at, key, value) in example.pairs().filter(|(_, _, value)| value.starts_with('"')) {
        let mut lines: Vec<&str> = example.lines[..at].iter().map(String::as_str).collect();
        let half = format!("{key} = {}", &value[..value.len() - 1]);
        lines.push(&half);
        mutants.push(example.mutant(at, "ends here", lines.join("\n"), true));
    }
}

/// What is wrong with the file as a whole.
fn wholes(example: &Example, mutants: &mut Vec<Mutant>) {
    let text = example.lines.join("\n");
    let reversed: Vec<&str> = example.lines.iter().rev().map(String::as_str).collect();
    let no_headers: Vec<&str> =
        example.lines.iter().map(String::as_str).filter(|line| !line.starts_with('[')).collect();
    for (what, text) in [
        ("twice", format!("{text}\n{text}")),
        ("backwards", reversed.join("\n")),
        ("without headers", no_headers.join("\n")),
        ("without ports", text.replace("[[port]]", "[[stage]]")),
        ("without stages", text.replace("[[stage]]", "[[port]]")),
        ("with colons", text.replace(" = ", ": ")),
        ("with single characters", text.replace('"', "")),
        ("nothing but comments", text.lines().map(|line| format!("# {line}\n")).collect()),
        ("of another base", text.replace('o', "0")),
    ] {
        mutants.push(Mutant {
            name: format!("{}: {what}", example.name),
            bytes: text.into_bytes(),
            line: None,
        });
    }
}
