//! Groups whose scale-up failed are left alone for a while, longer each time.

use crate::options::Options;
use crate::time::{Nanos, later};
use karpsim::model::meta::Duration;

#[derive(Debug, Clone, Copy)]
struct Failure {
    duration: Duration,
    until: Nanos,
    last: Nanos,
}

/// Exponential back-off by group.
#[derive(Debug)]
pub(crate) struct Backoff {
    initial: Duration,
    max: Duration,
    reset_after: Duration,
    failures: Vec<Option<Failure>>,
}

impl Backoff {
    pub(crate) fn new(groups: usize, options: &Options) -> Self {
        Backoff {
            initial: options.initial_node_group_backoff_duration,
            max: options.max_node_group_backoff_duration,
            reset_after: options.node_group_backoff_reset_timeout,
            failures: vec![None; groups],
        }
    }

    /// A scale-up of `group` has failed. Failures while it is backed off do not make the time longer.
    pub(crate) fn note_failure(&mut self, group: usize, now: Nanos) {
        let duration = match self.failures[group] {
            None => self.initial,
            Some(failure) if failure.until < now => {
                Duration { nanos: failure.duration.nanos.saturating_mul(2) }.min(self.max)
            }
            Some(failure) => failure.duration,
        };
        self.failures[group] = Some(Failure { duration, until: later(now, duration), last: now });
    }

    /// Whether `group` is backed off. At the very end of the time it still is.
    pub(crate) fn holds(&self, group: usize, now: Nanos) -> bool {
        self.failures[group].is_some_and(|failure| failure.until >= now)
    }

    /// Forgets what failed long ago.
    pub(crate) fn forget_old(&mut self, now: Nanos) {
        for failure in &mut self.failures {
            if failure.is_some_and(|failure| later(failure.last, self.reset_after) < now) {
                *failure = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use crate::options::Options;
    use crate::time::MINUTE;

    #[test]
    fn the_time_doubles_up_to_half_an_hour_and_starts_anew_after_three_hours() {
        let mut backoff = Backoff::new(1, &Options::default());
        let mut now = 0;
        for expected in [5, 10, 20, 30, 30] {
            backoff.note_failure(0, now);
            assert!(backoff.holds(0, now + expected * MINUTE));
            assert!(!backoff.holds(0, now + expected * MINUTE + 1));
            now += expected * MINUTE + 1;
        }
        backoff.forget_old(now + 150 * MINUTE);
        backoff.note_failure(0, now + 150 * MINUTE);
        assert!(!backoff.holds(0, now + 155 * MINUTE + 1));
    }

    #[test]
    fn failing_again_while_backed_off_starts_the_same_time_again() {
        let mut backoff = Backoff::new(1, &Options::default());
        backoff.note_failure(0, 0);
        backoff.note_failure(0, MINUTE);
        assert!(backoff.holds(0, 6 * MINUTE));
        assert!(!backoff.holds(0, 6 * MINUTE + 1));
    }
}
