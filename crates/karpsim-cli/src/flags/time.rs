//! Durations and times as flags take them: one parser for each.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp};
use karpsim::model::meta::{Duration, Time};

/// A duration that is not negative: Go's (`1m30s`), ISO 8601 (`PT90S`), seconds (`90`), or with days (`2d12h`).
///
/// # Errors
///
/// In words, for clap, which says what was found.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    go(text)
        .or_else(|| seconds(text))
        .or_else(|| span(text))
        .filter(|duration| duration.nanos >= 0)
        .ok_or_else(|| "expected a duration such as 90s, 1m30s, 720h, 2d, PT30S or 60 (seconds)".to_owned())
}

/// What Karpenter's own flags take.
fn go(text: &str) -> Option<Duration> {
    Duration::parse(text)
}

/// A bare number.
fn seconds(text: &str) -> Option<Duration> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    is_number.then(|| Duration::parse(&format!("{text}s"))).flatten()
}

/// Days and weeks, which Go does not know, and ISO 8601. Months and years have no fixed length.
fn span(text: &str) -> Option<Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(duration.as_nanos()).ok().map(|nanos| Duration { nanos })
}

/// A moment: RFC 3339 (`2026-09-01T12:00:00Z`), or a date, which is its midnight in UTC.
///
/// # Errors
///
/// In words, for clap, which says what was found.
pub(crate) fn time(text: &str) -> Result<Time, String> {
    let midnight = |text: &str| {
        // A civil date may have a time behind it, which would be passed over.
        let date: Date = text.parse().ok().filter(|_| text.len() == "2026-09-01".len())?;
        date.to_zoned(TimeZone::UTC).ok().map(|midnight| midnight.timestamp())
    };
    text.parse::<Timestamp>().ok().or_else(|| midnight(text)).map(Time).ok_or_else(|| {
        "expected a time such as 2026-09-01T12:00:00Z, or a date such as 2026-09-01".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::{duration, time};

    #[test]
    fn durations_have_many_forms() {
        for (text, seconds) in [
            ("1m30s", 90.0),
            ("720h", 2_592_000.0),
            ("1.5h", 5400.0),
            ("100ms", 0.1),
            ("0", 0.0),
            ("0s", 0.0),
            ("60", 60.0),
            ("0.25", 0.25),
            ("2d", 172_800.0),
            ("1d12h", 129_600.0),
            ("PT30S", 30.0),
            ("P2D", 172_800.0),
            ("P1DT1H", 90_000.0),
            ("PT0.5S", 0.5),
        ] {
            assert_eq!(duration(text).map(|duration| duration.nanos), Ok((seconds * 1e9) as i64), "{text}");
        }
        for text in ["", "x", "-1s", "-PT1S", "1 fortnight", "P1M", "1y", "1e3", ".", "nan", "999999999999h"]
        {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_are_moments_or_dates() {
        for (text, shown) in [
            ("2026-09-01", "2026-09-01T00:00:00Z"),
            ("2026-09-01T12:00:00Z", "2026-09-01T12:00:00Z"),
            ("2026-09-01T12:00:00+02:00", "2026-09-01T10:00:00Z"),
        ] {
            assert_eq!(time(text).unwrap().0.to_string(), shown);
        }
        for text in ["", "2026-09", "2026-13-01", "2026-09-01T12:00:00", "tomorrow", "20260901", "12:00"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
