//! What the program says beside its data, on standard error.

use std::fmt::Arguments;
use std::io::{self, Write};

/// Says a line. Unlike `eprintln!`, it does not panic where nobody listens any more, as in `karpsim … 2>&1 | head`.
macro_rules! say {
    ($($argument:tt)*) => {
        $crate::output::talk::write(format_args!("{}\n", format_args!($($argument)*)))
    };
}

/// Writes to standard error, if that can be.
pub(crate) fn write(text: Arguments<'_>) {
    let mut error = io::stderr().lock();
    let _ = error.write_fmt(text).and_then(|()| error.flush());
}
