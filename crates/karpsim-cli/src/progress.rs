//! How far a replay is, on a terminal, if it takes more than a second.

use crate::table::clock;
use crate::talk;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Says now and then how far a replay is.
pub(crate) struct Progress {
    /// Nothing is said where nobody looks.
    shown: bool,
    next: Instant,
    calls: u32,
    wrote: bool,
    name: String,
}

impl Progress {
    /// For the trace called `name`.
    pub(crate) fn new(name: &str) -> Self {
        Progress {
            shown: std::io::stderr().is_terminal(),
            next: Instant::now() + Duration::from_secs(1),
            calls: 0,
            wrote: false,
            name: name.to_owned(),
        }
    }

    /// The replay has come to `seconds`.
    pub(crate) fn at(&mut self, seconds: f64) {
        self.calls = self.calls.wrapping_add(1);
        if !self.shown || !self.calls.is_multiple_of(256) || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + Duration::from_millis(200);
        self.wrote = true;
        talk::write(format_args!("\r\u{1b}[K{} {}", self.name, clock(seconds)));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.wrote {
            talk::write(format_args!("\r\u{1b}[K"));
        }
    }
}
