//! Files that the program writes: beside their place first, and moved there when they are complete.

use crate::failure::Failure;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// A file being written. Dropped before [`OutputFile::finish`], it leaves nothing behind.
pub(crate) struct OutputFile {
    path: PathBuf,
    beside: PathBuf,
    writer: Option<BufWriter<File>>,
}

impl OutputFile {
    /// Begins to write what will be at `path`.
    ///
    /// # Errors
    ///
    /// If there cannot be a file.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Err(Failure::input("-: found standard output, allowed is a file")
                .hint("standard output has the result"));
        }
        // A device or a pipe would be replaced by a file of its name.
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(Failure::input(format!("{}: is a folder, not a file", path.display())));
            }
            Ok(found) if !found.is_file() => {
                return Err(Failure::input(format!("{}: is no plain file", path.display())));
            }
            _ => {}
        }
        let mut beside = path.as_os_str().to_owned();
        beside.push(format!(".{}.part", std::process::id()));
        let beside = PathBuf::from(beside);
        let file = File::create(&beside)
            .map_err(|error| Failure::input(format!("{}: cannot be written: {error}", path.display())))?;
        Ok(OutputFile {
            path: path.to_owned(),
            beside,
            writer: Some(BufWriter::with_capacity(1 << 16, file)),
        })
    }

    /// Moves the file to its place.
    ///
    /// # Errors
    ///
    /// If it could not be written to the end.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        let failed = |error: io::Error| Failure::writing(&self.path.display().to_string(), &error);
        if let Some(writer) = &mut self.writer {
            writer.flush().and_then(|()| writer.get_ref().sync_all()).map_err(failed)?;
        }
        std::fs::rename(&self.beside, &self.path).map_err(failed)?;
        // It is in its place: nothing is left to be removed.
        self.writer = None;
        Ok(())
    }

    /// What went wrong while writing.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::writing(&self.path.display().to_string(), error)
    }
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.as_mut().map_or(Ok(0), |writer| writer.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.as_mut().map_or(Ok(()), Write::flush)
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.writer.take().is_some() {
            // The run failed and says why; a leftover that cannot be removed is no further news.
            let _ = std::fs::remove_file(&self.beside);
        }
    }
}
