//! A line on a terminal that says how far a run is, if it takes more than a second.

use crate::output::talk;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// How long nothing is said at first.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long a line stands at least.
const PAUSE: Duration = Duration::from_millis(200);

/// Says now and then how far a run is.
pub(crate) struct Progress {
    /// Nothing is said where nobody looks.
    shown: bool,
    next: Instant,
    wrote: bool,
}

impl Progress {
    /// Of a run that begins now.
    pub(crate) fn new() -> Self {
        Progress { shown: std::io::stderr().is_terminal(), next: Instant::now() + PATIENCE, wrote: false }
    }

    /// Says what `line` makes, if it is time to.
    pub(crate) fn say(&mut self, line: impl FnOnce() -> String) {
        if !self.shown || Instant::now() < self.next {
            return;
        }
        self.next = Instant::now() + PAUSE;
        self.wrote = true;
        talk::write(format_args!("\r\u{1b}[K{}", line()));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.wrote {
            talk::write(format_args!("\r\u{1b}[K"));
        }
    }
}
