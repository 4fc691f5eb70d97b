//! A folder that looks like the machine after the installation.

use std::{
    fs::{self, Permissions},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::run::{self, Failure};

/// See above.
pub(super) struct Staging<'a>(&'a Path);

impl<'a> Staging<'a> {
    pub(super) fn new(root: &'a Path) -> Self {
        Self(root)
    }

    /// A program, without the symbols that only a debugger reads.
    pub(super) fn program(&self, from: &Path, to: &str) -> Result<(), Failure> {
        let path = self.make_way(to)?;
        let mut strip = Command::new("strip");
        strip.args(["--strip-unneeded", "--remove-section=.comment", "-o"]).arg(&path).arg(from);
        run::output("strip", &mut strip)?;
        set_mode(&path, 0o755)
    }

    /// A file as it is in the tree.
    pub(super) fn file(&self, from: &Path, to: &str) -> Result<(), Failure> {
        let path = self.make_way(to)?;
        fs::copy(from, &path).map_err(Failure::io(format!("cannot copy {}", from.display())))?;
        set_mode(&path, 0o644)
    }

    pub(super) fn text(&self, to: &str, text: &str) -> Result<(), Failure> {
        let path = self.make_way(to)?;
        fs::write(&path, text).map_err(Failure::io(format!("cannot write {}", path.display())))?;
        set_mode(&path, 0o644)
    }

    /// A text, compressed as documentation is: best, and without a time in it.
    pub(super) fn compressed(&self, to: &str, text: &str) -> Result<(), Failure> {
        let path = self.make_way(to)?;
        let out = fs::File::create(&path)
            .map_err(Failure::io(format!("cannot create {}", path.display())))?;
        let mut gzip = Command::new("gzip");
        gzip.args(["-9", "-n", "-c"]).stdin(Stdio::piped()).stdout(out);
        let mut child = run::start("gzip", &mut gzip)?;
        let mut stdin = child.stdin.take().expect("its standard input is a pipe");
        stdin.write_all(text.as_bytes()).map_err(Failure::io("cannot write to gzip"))?;
        drop(stdin);
        let status = child.wait().map_err(Failure::io("cannot wait for gzip"))?;
        if !status.success() {
            let command = "gzip -9 -n -c".to_owned();
            return Err(Failure::Step { what: to.to_owned(), command, status });
        }
        set_mode(&path, 0o644)
    }

    /// The manual pages that a program writes of itself.
    pub(super) fn man_pages(&self, program: &Path) -> Result<(), Failure> {
        let folder = self.0.join("usr/share/man/man1");
        fs::create_dir_all(&folder)
            .map_err(Failure::io(format!("cannot create {}", folder.display())))?;
        run::output("man pages", Command::new(program).arg("man").arg(&folder))?;
        let failed = || Failure::io(format!("cannot read {}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let path = entry.map_err(failed())?.path();
            if path.extension().is_some_and(|extension| extension == "gz") {
                continue;
            }
            let text = fs::read_to_string(&path).map_err(failed())?;
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            self.compressed(&format!("usr/share/man/man1/{name}.gz"), &text)?;
            fs::remove_file(&path).map_err(failed())?;
        }
        Ok(())
    }

    /// What all files need on a disk, in KiB, as dpkg counts it: each file rounded up, each folder one.
    pub(super) fn size(&self) -> Result<u64, Failure> {
        let mut kib = 0;
        for path in files(self.0)? {
            let metadata = fs::symlink_metadata(&path)
                .map_err(Failure::io(format!("cannot look at {}", path.display())))?;
            kib += if metadata.is_dir() { 1 } else { metadata.len().div_ceil(1024) };
        }
        Ok(kib)
    }

    fn make_way(&self, to: &str) -> Result<PathBuf, Failure> {
        let path = self.0.join(to);
        let folder = path.parent().unwrap_or(self.0);
        fs::create_dir_all(folder)
            .map_err(Failure::io(format!("cannot create {}", folder.display())))?;
        Ok(path)
    }
}

/// All files and folders below one.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let failed = || Failure::io(format!("cannot read {}", folder.display()));
        for entry in fs::read_dir(&folder).map_err(failed())? {
            let entry = entry.map_err(failed())?;
            if entry.file_type().map_err(failed())?.is_dir() {
                folders.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// Whatever the umask is.
pub(super) fn set_mode(path: &Path, mode: u32) -> Result<(), Failure> {
    fs::set_permissions(path, Permissions::from_mode(mode))
        .map_err(Failure::io(format!("cannot change the mode of {}", path.display())))
}
