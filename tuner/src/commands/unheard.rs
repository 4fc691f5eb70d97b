//! Output that nobody reads any more stops nothing: what was begun is done, and ends with its own exit code. A gate that
//! was closed stays closed though its reader went away.

use std::{
    cell::Cell,
    io::{self, ErrorKind, Write},
    rc::Rc,
};

/// Did a reader go away?
#[derive(Debug, Clone, Default)]
pub(crate) struct Unheard(Rc<Cell<bool>>);

impl Unheard {
    /// Has somebody closed the other end?
    pub(crate) fn is_so(&self) -> bool {
        self.0.get()
    }

    /// A writer that goes on, into nothing, once the other end is closed; this remembers that it was.
    pub(crate) fn around<'w>(&self, to: &'w mut dyn Write) -> impl Write + use<'w> {
        Patient { to, unheard: self.clone(), is_closed: false }
    }
}

struct Patient<'w> {
    to: &'w mut dyn Write,
    unheard: Unheard,
    is_closed: bool,
}

impl Patient<'_> {
    fn outlive<T>(&mut self, result: io::Result<T>, instead: T) -> io::Result<T> {
        match result {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                self.unheard.0.set(true);
                Ok(instead)
            }
            result => result,
        }
    }
}

impl Write for Patient<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_closed {
            return Ok(bytes.len());
        }
        let written = self.to.write(bytes);
        self.outlive(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.outlive(flushed, ())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes, and then nobody reads any more.
    struct Pipe(usize);

    impl Write for Pipe {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(ErrorKind::BrokenPipe.into());
            }
            let taken = self.0.min(bytes.len());
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_remembered_and_takes_everything() {
        let unheard = Unheard::default();
        let mut pipe = Pipe(4);
        let mut out = unheard.around(&mut pipe);

        out.write_all(b"four").unwrap();
        assert!(!unheard.is_so());
        out.write_all(b"and more").unwrap();
        out.flush().unwrap();
        assert!(unheard.is_so());
    }

    #[test]
    fn other_errors_stay_errors() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(ErrorKind::StorageFull.into())
            }
            fn flush(&mut self) -> io::Result<()> {
                Err(ErrorKind::StorageFull.into())
            }
        }
        let unheard = Unheard::default();
        let mut full = Full;
        let mut out = unheard.around(&mut full);

        assert_eq!(out.write(b"x").unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(out.flush().unwrap_err().kind(), ErrorKind::StorageFull);
        assert!(!unheard.is_so());
    }
}
