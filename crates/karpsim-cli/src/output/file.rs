//! Files that the program writes: under another name first, and renamed when they are complete.

use crate::failure::Failure;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use tempfile::NamedTempFile;

/// How much is written at once.
const CHUNK_BYTES: usize = 1 << 16;

/// A file being written. Dropped before [`OutputFile::finish`], it leaves nothing behind.
pub(crate) struct OutputFile {
    path: PathBuf,
    writer: BufWriter<NamedTempFile>,
}

impl OutputFile {
    /// Begins to write what will be at `path`.
    ///
    /// # Errors
    ///
    /// If there cannot be a file.
    pub(crate) fn create(path: &Path) -> Result<Self, Failure> {
        if path == Path::new("-") {
            return Err(Failure::input("-: expected a file, not standard output")
                .hint("standard output is for the result"));
        }
        // A device or a pipe would be replaced by a file of its name.
        match std::fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                return Err(Failure::input(format!("{}: is a directory", path.display())));
            }
            Ok(found) if !found.is_file() => {
                return Err(Failure::input(format!("{}: is not a regular file", path.display())));
            }
            _ => {}
        }
        let folder = path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        let file = temporary().tempfile_in(folder);
        let file = file.map_err(|error| {
            // Its own words name the other file.
            let why = match error.kind() {
                io::ErrorKind::NotFound => "no such directory".to_owned(),
                kind => kind.to_string(),
            };
            Failure::input(format!("{}: cannot write: {why}", path.display()))
        })?;
        Ok(OutputFile { path: path.to_owned(), writer: BufWriter::with_capacity(CHUNK_BYTES, file) })
    }

    /// Moves the file to its place.
    ///
    /// # Errors
    ///
    /// If it could not be written to the end.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let OutputFile { path, writer } = self;
        writer
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .and_then(|file| file.as_file().sync_all().map(|()| file))
            .and_then(|file| file.persist(&path).map_err(|error| error.error))
            .map(|_| ())
            .map_err(|error| Failure::writing(&path.display().to_string(), &error))
    }

    /// What went wrong while writing.
    pub(crate) fn failure(&self, error: &io::Error) -> Failure {
        Failure::writing(&self.path.display().to_string(), error)
    }
}

/// A file with the permissions of any new file: only a secret would want those of temporary ones.
fn temporary() -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.suffix(".part");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder
}

impl Write for OutputFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}
