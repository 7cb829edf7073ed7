//! How far a search goes, and who waits for it.

use std::time::Duration;

/// How far a search goes.
#[derive(Clone, Copy)]
pub struct Limits<'w> {
    /// Time, by the clock of `watch`; `None`: until the optimum is proven.
    pub time: Option<Duration>,
    /// The relative gap that is good enough; 0: none.
    pub gap: f64,
    /// Threads; they change nothing in the answer, but for what a limit of time lets happen.
    pub threads: usize,
    /// Has the clock, may end the search, hears of progress.
    pub watch: &'w dyn Watch,
}

impl Default for Limits<'_> {
    /// Until the optimum is proven, on one thread, with nobody waiting.
    fn default() -> Self {
        Limits { time: None, gap: 0.0, threads: 1, watch: &Nobody }
    }
}

/// How far a search is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Nano-dollars an hour that no answer is below.
    pub bound: Option<i64>,
    /// Nano-dollars an hour of the best answer.
    pub best: Option<i64>,
}

/// Whoever waits for the search: has the clock, may end it, hears of progress.
pub trait Watch {
    /// Time since the search began.
    fn elapsed(&self) -> Duration;
    /// Whether the search is to end with the best so far.
    fn is_cancelled(&self) -> bool {
        false
    }
    /// Hears how far the search is.
    fn progress(&self, _progress: Progress) {}
}

/// A clock alone.
impl<F: Fn() -> Duration> Watch for F {
    fn elapsed(&self) -> Duration {
        self()
    }
}

/// Nobody waits: time stands still.
struct Nobody;

impl Watch for Nobody {
    fn elapsed(&self) -> Duration {
        Duration::ZERO
    }
}
