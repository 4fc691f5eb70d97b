//! Writes the machines of `tests/fixtures/sysroots` anew: `cargo run -p linux --example sysroots`.

#[path = "../tests/sysroots/mod.rs"]
mod sysroots;

use std::{fs, io, os::unix::fs::symlink, path::Path};

use sysroots::{Entry, Tree};

fn main() -> io::Result<()> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/sysroots");
    for shape in sysroots::SHAPES {
        let dir = dir.join(shape.name);
        if dir.exists() {
            fs::remove_dir_all(&dir)?;
        }
        let tree = shape.tree();
        write(&tree, &dir)?;
        println!("{}: {} files", shape.name, tree.len());
    }
    Ok(())
}

/// Write a tree below `dir`, which must not exist.
fn write(tree: &Tree, dir: &Path) -> io::Result<()> {
    for (path, entry) in tree {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap_or(dir))?;
        match entry {
            Entry::File(text) => fs::write(path, text)?,
            Entry::Link(target) => symlink(target, path)?,
        }
    }
    Ok(())
}
