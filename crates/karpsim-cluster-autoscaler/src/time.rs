//! Moments and spans as integers.

use karpsim::model::meta::{Duration, Time};

/// Nanoseconds since 1970.
pub(crate) type Nanos = i64;

/// One second.
pub(crate) const SECOND: Nanos = 1_000_000_000;
/// One minute.
pub(crate) const MINUTE: Nanos = 60 * SECOND;

/// The moment of `time`. What has no time was before everything else, as Go's zero time is.
pub(crate) fn moment(time: Option<Time>) -> Nanos {
    time.map_or(i64::MIN, |time| {
        let nanos = time.0.as_nanosecond();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    })
}

/// `moment` and `span` later.
pub(crate) fn later(moment: Nanos, span: Duration) -> Nanos {
    moment.saturating_add(span.nanos)
}
