//! The batch window: pods that arrive close together are decided on together.
//!
//! The window opens with the first trigger, closes when no new one has come for the idle duration, and at the latest
//! after the maximum duration. What triggers twice in one window counts once: it does not keep the window open.

use crate::model::meta::{Duration, Str};
use rustc_hash::FxHashSet;

/// The batch window as a state machine. Times are nanoseconds on the caller's clock.
#[derive(Debug, Clone)]
pub struct BatchWindow {
    idle: Duration,
    max: Duration,
    open: Option<Open>,
    /// What has triggered in this window; looked up, never walked.
    seen: FxHashSet<Str>,
}

#[derive(Debug, Clone, Copy)]
struct Open {
    first_nanos: i64,
    last_nanos: i64,
}

impl BatchWindow {
    /// Karpenter's default of `--batch-idle-duration`.
    pub const IDLE_DEFAULT: Duration = Duration::from_secs(1);
    /// Karpenter's default of `--batch-max-duration`.
    pub const MAX_DEFAULT: Duration = Duration::from_secs(10);

    /// A closed window that waits for its first trigger.
    pub fn new(idle: Duration, max: Duration) -> Self {
        BatchWindow { idle, max, open: None, seen: FxHashSet::default() }
    }

    /// `element` (the UID of a pod or node) asks for a round. Opens the window, or keeps it open; `false` if it was
    /// already counted in this window.
    pub fn trigger(&mut self, now_nanos: i64, element: &str) -> bool {
        if !self.seen.insert(element.into()) {
            return false;
        }
        match &mut self.open {
            Some(open) => open.last_nanos = now_nanos,
            None => self.open = Some(Open { first_nanos: now_nanos, last_nanos: now_nanos }),
        }
        true
    }

    /// When the window closes if nothing else triggers; `None` if it is not open.
    pub fn closes_at(&self) -> Option<i64> {
        self.open.map(|open| {
            let idle_end = open.last_nanos.saturating_add(self.idle.nanos);
            idle_end.min(open.first_nanos.saturating_add(self.max.nanos))
        })
    }

    /// Closes the window if its time has come; `true` if a round is due.
    pub fn close(&mut self, now_nanos: i64) -> bool {
        if self.closes_at().is_none_or(|end| now_nanos < end) {
            return false;
        }
        self.open = None;
        self.seen.clear();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::BatchWindow;
    use crate::model::meta::Duration;

    /// Plays triggers (`seconds`, element) and returns when the first window closed, in tenths of a second.
    fn closing(triggers: &[(f64, &str)]) -> i64 {
        let mut window = BatchWindow::new(BatchWindow::IDLE_DEFAULT, BatchWindow::MAX_DEFAULT);
        for (seconds, element) in triggers {
            let at = (seconds * 10.0) as i64 * 100_000_000;
            if window.closes_at().is_some_and(|end| end <= at) {
                break;
            }
            window.trigger(at, element);
        }
        let end = window.closes_at().unwrap();
        assert!(!window.close(end - 1));
        assert!(window.close(end));
        assert!(!window.close(end), "closed once");
        end / 100_000_000
    }

    #[test]
    fn idle_for_a_second_or_open_for_ten() {
        for (what, triggers, tenths) in [
            ("one pod", vec![(0.0, "a")], 10),
            ("a second pod extends", vec![(0.0, "a"), (0.9, "b")], 19),
            ("the same pod does not", vec![(0.0, "a"), (0.9, "a")], 10),
            ("a pod at the end is for the next window", vec![(0.0, "a"), (1.0, "b")], 10),
            (
                "at most ten seconds",
                (0..30).map(|n| (f64::from(n) * 0.5, if n % 2 == 0 { "a" } else { "b" })).collect(),
                15,
            ),
        ] {
            assert_eq!(closing(&triggers), tenths, "{what}");
        }
        let names: Vec<String> = (0..30).map(|n| n.to_string()).collect();
        let steady: Vec<(f64, &str)> =
            names.iter().enumerate().map(|(n, name)| (n as f64 * 0.5, name.as_str())).collect();
        assert_eq!(closing(&steady), 100);
    }

    #[test]
    fn without_durations_it_closes_at_once() {
        let zero = Duration { nanos: 0 };
        let mut window = BatchWindow::new(zero, zero);
        assert_eq!(window.closes_at(), None);
        window.trigger(5, "a");
        window.trigger(5, "b");
        assert_eq!(window.closes_at(), Some(5));
        assert!(window.close(5));
    }
}
