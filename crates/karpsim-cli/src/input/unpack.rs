//! Opening files: plain, zstd or gzip, told by their first bytes.

use crate::failure::Failure;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::Path;

const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// How much is read at once.
const CHUNK_BYTES: usize = 1 << 18;

/// A text being read.
pub(crate) type Reader = Box<dyn BufRead + Send>;

/// Opens `path`, or standard input for `-`, and takes off the compression.
///
/// # Errors
///
/// If it cannot be opened.
pub(crate) fn open(path: &Path) -> Result<Reader, Failure> {
    let shown = shown(path);
    let source: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(|error| Failure::input(format!("{shown}: {}", opening(&error))))?)
    };
    unpacked(source).map_err(|error| reading(&shown, &error))
}

/// The whole text in `path`.
///
/// # Errors
///
/// If it cannot be read, or is not UTF-8.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let shown = shown(path);
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes).map_err(|error| reading(&shown, &error))?;
    utf8(bytes, &shown)
}

/// The text in `bytes`.
///
/// # Errors
///
/// If they are not UTF-8, or hold a zero, which no text does.
pub(crate) fn utf8(bytes: Vec<u8>, shown: &str) -> Result<String, Failure> {
    if let Some(at) = bytes.iter().take(CHUNK_BYTES).position(|byte| *byte == 0) {
        return Err(not_text(shown, 0, at));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        not_text(shown, error.as_bytes().get(at).copied().unwrap_or_default(), at)
    })
}

fn not_text(shown: &str, byte: u8, at: usize) -> Failure {
    Failure::input(format!("{shown}: not UTF-8 text: byte 0x{byte:02x} at offset {at}"))
        .hint("expected JSON, JSON Lines or YAML, optionally compressed with zstd or gzip")
}

/// A path as messages name it.
pub(crate) fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// What an error while opening means.
pub(crate) fn opening(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such file".to_owned(),
        io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        _ => error.to_string(),
    }
}

/// What an error while reading means.
pub(crate) fn reading(shown: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::OutOfMemory => {
            Failure::resources(format!("{shown}: not enough memory to read the file"))
        }
        io::ErrorKind::IsADirectory => Failure::input(format!("{shown}: is a directory")),
        io::ErrorKind::UnexpectedEof => Failure::input(format!("{shown}: the compressed data is truncated")),
        _ => Failure::input(format!("{shown}: cannot read: {error}")),
    }
}

/// Takes the compression off `source`.
fn unpacked(mut source: Box<dyn Read + Send>) -> io::Result<Reader> {
    let mut head = Vec::with_capacity(ZSTD.len());
    source.by_ref().take(ZSTD.len() as u64).read_to_end(&mut head)?;
    let (zstd, gzip) = (head == ZSTD, head.starts_with(&GZIP));
    let whole = BufReader::with_capacity(CHUNK_BYTES, Cursor::new(head).chain(source));
    Ok(if zstd {
        Box::new(BufReader::with_capacity(CHUNK_BYTES, ZstdFrames { frame: Frame::Between(whole) }))
    } else if gzip {
        Box::new(BufReader::with_capacity(CHUNK_BYTES, flate2::bufread::MultiGzDecoder::new(whole)))
    } else {
        Box::new(whole)
    })
}

/// Zstd frames, one behind the other.
struct ZstdFrames<R: BufRead> {
    frame: Frame<R>,
}

enum Frame<R: BufRead> {
    Between(R),
    Inside(Box<ruzstd::decoding::StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>),
    End,
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.frame, Frame::End) {
                Frame::End => return Ok(0),
                Frame::Between(mut source) => {
                    if source.fill_buf()?.is_empty() {
                        return Ok(0);
                    }
                    let decoder = ruzstd::decoding::StreamingDecoder::new(source).map_err(|_| damaged())?;
                    self.frame = Frame::Inside(Box::new(decoder));
                }
                Frame::Inside(mut decoder) => {
                    let count = decoder.read(buffer).map_err(|_| damaged())?;
                    if count > 0 || buffer.is_empty() {
                        self.frame = Frame::Inside(decoder);
                        return Ok(count);
                    }
                    self.frame = Frame::Between(decoder.into_inner());
                }
            }
        }
    }
}

/// The decoder's own words are of its inner parts.
fn damaged() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the zstd data is damaged or truncated")
}
