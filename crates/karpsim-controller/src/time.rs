//! Time inside a replay, and what the API server makes of it.

use jiff::Timestamp;
use karpsim::model::meta::Time;

/// Nanoseconds since the start.
pub type Nanos = i64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// Where the start is on the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calendar {
    start: Timestamp,
}

impl Calendar {
    /// A calendar on which `start` is 0.
    pub fn new(start: Timestamp) -> Self {
        Calendar { start }
    }

    /// The moment on the calendar, to the nanosecond.
    pub fn wall(&self, at: Nanos) -> Time {
        let nanos = self.start.as_nanosecond() + i128::from(at);
        Time(Timestamp::from_nanosecond(nanos).unwrap_or(if at < 0 {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        }))
    }

    /// The moment as the API server writes it: cut to whole seconds.
    pub fn stamp(&self, at: Nanos) -> Time {
        Time(
            Timestamp::from_second(self.wall(at).0.as_nanosecond().div_euclid(i128::from(SECOND)) as i64)
                .unwrap_or(Timestamp::MIN),
        )
    }

    /// When the time that the API server would write for `at` was.
    pub fn cut(&self, at: Nanos) -> Nanos {
        self.since_start(self.stamp(at))
    }

    /// The moment of a time on the calendar.
    pub fn since_start(&self, time: Time) -> Nanos {
        let nanos = time.0.as_nanosecond() - self.start.as_nanosecond();
        i64::try_from(nanos).unwrap_or(if nanos < 0 { i64::MIN } else { i64::MAX })
    }
}

#[cfg(test)]
mod tests {
    use super::{Calendar, SECOND};

    #[test]
    fn stamps_are_cut_to_the_second_of_the_calendar() {
        // A start with a fraction: 14.3 s later it is 15.23 s past midnight, and the API says 15.
        let calendar = Calendar::new("2026-01-01T00:00:00.930Z".parse().unwrap());
        assert_eq!(calendar.stamp(14_300_000_000).0.to_string(), "2026-01-01T00:00:15Z");
        assert_eq!(calendar.cut(14_300_000_000), 14_070_000_000);
        assert_eq!(calendar.cut(14_070_000_000), 14_070_000_000);
        let whole = Calendar::new("2026-01-01T00:00:00Z".parse().unwrap());
        assert_eq!(whole.cut(5 * SECOND), 5 * SECOND);
    }
}
