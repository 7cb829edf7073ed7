//! Money: integer nano-dollars an hour where it is added up, dollars as doubles only inside the linear programs.

/// A price in nano-dollars an hour, to the nearest. What is no finite price, or out of reach, is capped.
pub fn nanos(dollars: f64) -> i64 {
    let scaled = (dollars * 1e9).round();
    if scaled.is_nan() { 0 } else { scaled.clamp(-9e15, 9e15) as i64 }
}

/// Nano-dollars as dollars.
pub fn dollars(nanos: i64) -> f64 {
    nanos as f64 * 1e-9
}

/// Differences up to this are none: a millionth of a dollar an hour.
pub(crate) const NEGLIGIBLE_NANO_DOLLARS: i64 = 1000;

/// The largest amount of which all `prices` are multiples; 0 if there is none but 0.
pub(crate) fn common_unit(prices: impl Iterator<Item = i64>) -> i64 {
    prices.fold(0, |mut a, b| {
        let mut b = b.abs();
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    })
}

/// A lower bound in dollars, from floating point, as the least multiple of `unit` that a sum of prices can be. `slack`
/// covers what the floating point may be off by.
pub(crate) fn round_up_to_unit(bound: f64, unit: i64) -> i64 {
    let slack = 1e-9 * bound.abs() + 1e-9;
    let lowered = (bound - slack) * 1e9;
    if unit <= 1 {
        return lowered.floor() as i64;
    }
    let unit = unit as f64;
    ((lowered / unit).ceil() * unit) as i64
}

#[cfg(test)]
mod tests {
    use super::{common_unit, dollars, nanos, round_up_to_unit};

    #[test]
    fn prices_become_whole_nano_dollars() {
        assert_eq!(nanos(0.526), 526_000_000);
        assert_eq!(nanos(f64::NAN), 0);
        assert!((dollars(526_000_000) - 0.526).abs() < 1e-15);
    }

    #[test]
    fn bounds_are_rounded_up_to_what_prices_can_add_up_to() {
        let unit = common_unit([526_000_000, 752_000_000, 0].into_iter());
        assert_eq!(unit, 2_000_000);
        assert_eq!(round_up_to_unit(0.5251, unit), 526_000_000);
        // What is a multiple up to noise stays.
        assert_eq!(round_up_to_unit(0.526 + 1e-13, unit), 526_000_000);
        assert_eq!(round_up_to_unit(0.0, unit), 0);
    }
}
