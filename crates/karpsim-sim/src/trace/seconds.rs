//! Times in a trace: seconds as decimal text, exact to the nanosecond, or ISO 8601 durations.

use jiff::SpanRelativeTo;
use jiff::fmt::temporal::SpanParser;
use karpsim_controller::Nanos;

const DIGITS: u32 = 9;
const SECOND: i128 = 1_000_000_000;

/// Reads a JSON number of seconds (its text) or a JSON string with an ISO 8601 duration.
///
/// # Errors
///
/// In words, if it is neither, negative, finer than a nanosecond, or longer than 292 years.
pub(crate) fn parse(json: &str) -> Result<Nanos, String> {
    let text = json.trim();
    let nanos = match text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(duration) => iso_8601(duration),
        None => decimal(text),
    };
    let nanos = nanos.ok_or_else(|| {
        format!(
            "invalid value `{text}`: expected seconds (0 or more, at most nine decimals), or an ISO 8601 duration such as \
             `\"PT12.5S\"`"
        )
    })?;
    i64::try_from(nanos).map_err(|_| format!("invalid value `{text}`: longer than 292 years"))
}

/// A JSON number in nano-units; `None` if it is no number, negative, or finer than that.
fn decimal(text: &str) -> Option<i128> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()?),
        None => (text, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if whole.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value = digits.trim_start_matches('0');
    if value.is_empty() {
        return Some(0);
    }
    let shift = exponent.checked_add(DIGITS as i32)?.checked_sub(i32::try_from(fraction.len()).ok()?)?;
    let value: i128 = value.parse().ok()?;
    if shift >= 0 {
        value.checked_mul(10i128.checked_pow(u32::try_from(shift).ok()?)?)
    } else {
        let divisor = 10i128.checked_pow(shift.unsigned_abs())?;
        (value % divisor == 0).then_some(value / divisor)
    }
}

/// `P1DT2H3M4.5S`. Years and months have no fixed length and are refused.
fn iso_8601(text: &str) -> Option<i128> {
    let span = SpanParser::new().parse_span(text).ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    Some(duration.as_nanos()).filter(|nanos| *nanos >= 0)
}

/// Nanoseconds as seconds, for showing.
pub(crate) fn shown(at: Nanos) -> f64 {
    // Split, so that whole seconds stay exact.
    let (seconds, nanos) = (i128::from(at).div_euclid(SECOND), i128::from(at).rem_euclid(SECOND));
    seconds as f64 + nanos as f64 / 1e9
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn decimal_text_is_exact() {
        for (json, nanos) in [
            ("0", 0),
            ("12.5", 12_500_000_000),
            ("0.000000001", 1),
            // A double has no room for this one.
            ("123456789.123456789", 123_456_789_123_456_789),
            ("1e3", 1_000_000_000_000),
            ("1.5E-3", 1_500_000),
            ("2.50000000000", 2_500_000_000),
            ("\"PT12.5S\"", 12_500_000_000),
            ("\"P1DT2H\"", 93_600_000_000_000),
            ("\"P2W\"", 1_209_600_000_000_000),
            ("\"PT1M0,25S\"", 60_250_000_000),
        ] {
            assert_eq!(parse(json), Ok(nanos), "{json}");
        }
        for json in [
            "-1",
            "\"-PT1S\"",
            "\"1m\"",
            "\"P1M\"",
            "\"P1Y\"",
            "\"PT\"",
            "\"P\"",
            "\"12\"",
            "0.0000000001",
            "1e300",
            "true",
            "\"PT1S2M\"",
            "9223372037",
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }
}
