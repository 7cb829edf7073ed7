//! What the controller remembers of an autoscaler from sync to sync: recommendations and changes.
//!
//! Both lists grow only while nothing in them is outdated; then a new entry takes the place of the last outdated one. What
//! is outdated depends on the windows and periods of that moment, so after an edit of the spec an old entry may
//! count again, if it is still there. That is Kubernetes' way, and so the list is kept as it keeps it.

use crate::amount::Nanos;

/// What the metrics asked for, sync by sync, before any limit.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recommendations {
    entries: Vec<(Nanos, i32)>,
}

impl Recommendations {
    /// Before anything is known, what is there counts as recommended.
    pub(crate) fn note_first(&mut self, now: Nanos, replicas: i32) {
        if self.entries.is_empty() {
            self.entries.push((now, replicas));
        }
    }

    /// Notes a recommendation, in the place of the last that `is_outdated`.
    pub(crate) fn note(&mut self, now: Nanos, replicas: i32, is_outdated: impl Fn(Nanos) -> bool) {
        match self.entries.iter_mut().rev().find(|(at, _)| is_outdated(*at)) {
            Some(entry) => *entry = (now, replicas),
            None => self.entries.push((now, replicas)),
        }
    }

    /// Recommendations of the moments that `counts`.
    pub(crate) fn since(&self, counts: impl Fn(Nanos) -> bool) -> impl Iterator<Item = i32> {
        self.entries.iter().filter(move |(at, _)| counts(*at)).map(|(_, replicas)| *replicas)
    }
}

/// Changes of the scale in one direction.
#[derive(Debug, Clone, Default)]
pub(crate) struct Changes {
    entries: Vec<Change>,
}

#[derive(Debug, Clone)]
struct Change {
    at: Nanos,
    replicas: i32,
    /// Found to be older than all periods once; its place is free, though it may count again if periods grow.
    is_outdated: bool,
}

impl Changes {
    /// Notes a change. What is older than `longest_period` gives its place away.
    pub(crate) fn note(&mut self, now: Nanos, replicas: i32, longest_period: Nanos) {
        let start = now.saturating_sub(longest_period);
        for change in &mut self.entries {
            change.is_outdated |= change.at < start;
        }
        let change = Change { at: now, replicas, is_outdated: false };
        match self.entries.iter_mut().rev().find(|change| change.is_outdated) {
            Some(entry) => *entry = change,
            None => self.entries.push(change),
        }
    }

    /// How many replicas changed in the last `period`; a change that is exactly so old does not count.
    pub(crate) fn within(&self, now: Nanos, period: Nanos) -> i32 {
        let start = now.saturating_sub(period);
        let recent = self.entries.iter().filter(|change| change.at > start);
        recent.fold(0, |sum, change| sum.wrapping_add(change.replicas))
    }
}
