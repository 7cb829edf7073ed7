//! Amounts as the controller calculates with them: thousandths in 64 bits, ratios in doubles.
//!
//! kube-controller-manager is a Go program for 64-bit machines, and where a metric is absurdly large its answers are what
//! Go makes of it: sums wrap around, and a double that an integer cannot hold becomes the smallest integer. The
//! functions here do the same, so that absurd input gives Kubernetes' answer rather than a sensible one.

use karpsim::quantity::Quantity;

/// Nanoseconds since a start that the caller chooses; what was before it is negative.
pub type Nanos = i64;

/// One second.
pub const SECOND: Nanos = 1_000_000_000;

/// A quantity in thousandths, rounded away from zero, as metrics and targets are compared.
///
/// More thousandths than 64 bits hold (some 9 × 10¹⁵ units) are 0, as in Kubernetes.
pub fn milli_value(quantity: Quantity) -> i64 {
    const NANOS_IN_MILLI: i128 = 1_000_000;
    let nanos = quantity.nanos();
    let whole = nanos / NANOS_IN_MILLI;
    let rest = nanos % NANOS_IN_MILLI;
    i64::try_from(whole + rest.signum()).unwrap_or(0)
}

/// The smallest integer not below `value`.
pub(crate) fn ceil_i32(value: f64) -> i32 {
    truncate_i32(value.ceil())
}

/// `value` without its fraction. What does not fit, and what is no number, is the smallest integer.
pub(crate) fn truncate_i32(value: f64) -> i32 {
    let truncated = value.trunc();
    if truncated >= f64::from(i32::MIN) && truncated <= f64::from(i32::MAX) {
        truncated as i32
    } else {
        i32::MIN
    }
}

/// As [`ceil_i32`], in 64 bits.
pub(crate) fn ceil_i64(value: f64) -> i64 {
    // 2⁶³ itself is a double, the largest integer below it is none.
    const LIMIT: f64 = 9_223_372_036_854_775_808.0;
    let whole = value.ceil();
    if (-LIMIT..LIMIT).contains(&whole) { whole as i64 } else { i64::MIN }
}

/// A quantity as a double, made from its canonical form (`75m` is 75 × 10⁻³): the last bit decides whether a ratio is
/// just within a tolerance.
pub(crate) fn approximate_f64(quantity: Quantity) -> f64 {
    let mut digits = quantity.nanos();
    let powers = [1e-9, 1e-6, 1e-3, 1.0, 1e3, 1e6, 1e9, 1e12, 1e15, 1e18];
    let mut power = 0;
    while digits != 0 && digits % 1000 == 0 && power + 1 < powers.len() {
        digits /= 1000;
        power += 1;
    }
    digits as f64 * powers[power]
}

/// Thousandths in the canonical form of Kubernetes (`1500m`, `2k`).
pub(crate) fn render_decimal(milli: i64) -> String {
    const SUFFIXES: [&str; 7] = ["m", "", "k", "M", "G", "T", "P"];
    if milli == 0 {
        return "0".to_owned();
    }
    let (mut amount, mut suffix) = (milli, 0);
    while amount % 1000 == 0 && suffix + 1 < SUFFIXES.len() {
        amount /= 1000;
        suffix += 1;
    }
    format!("{amount}{}", SUFFIXES[suffix])
}

/// Thousandths as Kubernetes writes amounts of memory (`64Mi`). Small amounts and fractions are as other amounts.
pub(crate) fn render_binary(milli: i64) -> String {
    const SUFFIXES: [&str; 6] = ["", "Ki", "Mi", "Gi", "Ti", "Pi"];
    let units = milli / 1000;
    if milli % 1000 != 0 || (-1024 < units && units < 1024) {
        return render_decimal(milli);
    }
    let (mut amount, mut suffix) = (units, 0);
    while amount % 1024 == 0 && suffix + 1 < SUFFIXES.len() {
        amount /= 1024;
        suffix += 1;
    }
    format!("{amount}{}", SUFFIXES[suffix])
}

#[cfg(test)]
mod tests {
    use super::{
        Quantity, approximate_f64, ceil_i32, ceil_i64, milli_value, render_binary, render_decimal,
        truncate_i32,
    };

    fn quantity(text: &str) -> Quantity {
        Quantity::parse(text).expect("a quantity")
    }

    #[test]
    fn thousandths_are_rounded_away_from_zero() {
        let cases =
            [("1", 1000), ("500u", 1), ("1500u", 2), ("-500u", -1), ("64Mi", 67_108_864_000), ("1E", 0)];
        for (text, milli) in cases {
            assert_eq!(milli_value(quantity(text)), milli, "{text}");
        }
    }

    #[test]
    fn what_an_integer_cannot_hold_is_the_smallest() {
        for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 2_147_483_648.0, -2_147_483_649.0, 1e300] {
            assert_eq!(truncate_i32(value), i32::MIN, "{value}");
            assert_eq!(ceil_i32(value), i32::MIN, "{value}");
        }
        assert_eq!(
            [2_147_483_647.0, -2_147_483_648.5, 2.5, -2.5].map(truncate_i32),
            [i32::MAX, i32::MIN, 2, -2]
        );
        assert_eq!([2.000_001, -2.5].map(ceil_i32), [3, -2]);
        assert_eq!(
            [f64::NAN, f64::INFINITY, 9.3e18, -9.3e18, 2.5].map(ceil_i64),
            [i64::MIN, i64::MIN, i64::MIN, i64::MIN, 3]
        );
    }

    #[test]
    fn tolerances_are_digits_times_a_power_of_ten() {
        let cases = [
            ("0", 0.0),
            ("0.3", 0.3),
            ("75m", 0.075),
            ("2", 2.0),
            ("1k", 1000.0),
            ("10u", 0.000_009_999_999_999_999_999),
        ];
        for (text, value) in cases {
            assert_eq!(approximate_f64(quantity(text)), value, "{text}");
        }
    }

    #[test]
    fn amounts_are_written_in_canonical_form() {
        let decimal = [
            (0, "0"),
            (1, "1m"),
            (1231, "1231m"),
            (15_000, "15"),
            (1_500_000, "1500"),
            (2_000_000, "2k"),
            (-5000, "-5"),
            (i64::MAX, "9223372036854775807m"),
            (i64::MIN, "-9223372036854775808m"),
            (9_000_000_000_000_000_000, "9P"),
        ];
        for (milli, text) in decimal {
            assert_eq!(render_decimal(milli), text);
        }
        let binary = [
            (0, "0"),
            (500, "500m"),
            (1_023_000, "1023"),
            (1_024_000, "1Ki"),
            (67_108_864_000, "64Mi"),
            (67_108_864_001, "67108864001m"),
            (1_500_000_000, "1500000"),
            (-1_024_000, "-1Ki"),
        ];
        for (milli, text) in binary {
            assert_eq!(render_binary(milli), text);
        }
    }
}
