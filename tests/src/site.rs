//! A scenario's own directory.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tempfile::TempDir;

/// A temporary directory with a scenario's files: captures, the configuration, the control socket.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
}

impl Site {
    /// A new empty directory, removed on drop.
    ///
    /// # Panics
    /// When there is no place for temporary files.
    #[expect(clippy::new_without_default, reason = "makes a directory: not what a default does")]
    #[must_use]
    pub fn new() -> Site {
        // A short name: a path of a unix socket has 107 bytes at most.
        let dir = tempfile::Builder::new().prefix("bw-").tempdir().expect("a temporary directory");
        Site { dir }
    }

    /// A file in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Writes a file; `{dir}` in the text becomes this directory.
    ///
    /// # Panics
    /// When the file can not be written.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        let text = text.replace("{dir}", &self.dir.path().display().to_string());
        fs::write(&path, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", path.display()));
        path
    }
}
