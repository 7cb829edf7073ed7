//! Kubernetes quantities as exact integers.
//!
//! A [`Quantity`] counts *nano-units* (10⁻⁹) in an `i128`: every value that Kubernetes can hold (at most 2⁶³−1 units, at
//! best to the nano) has exactly one representation, and adding and comparing are integer operations. What is finer than
//! a nano is rounded away from zero, as apimachinery does.

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use std::fmt;

/// Nano-units in a unit.
const NANOS: i128 = 1_000_000_000;
/// The largest number of units that Kubernetes holds; larger values are capped to it.
const MAX_UNITS: i128 = i64::MAX as i128;

/// An exact amount of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Quantity {
    nanos: i128,
}

/// Why a text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a quantity such as `100m`, `1.5`, `2Gi` or `1e3`")]
pub struct ParseQuantityError {
    /// The text.
    pub text: String,
}

impl Quantity {
    /// Nothing.
    pub const ZERO: Quantity = Quantity { nanos: 0 };

    /// So many whole units.
    pub const fn from_units(units: i64) -> Self {
        Quantity { nanos: units as i128 * NANOS }
    }

    /// So many thousandths.
    pub const fn from_milli(milli: i64) -> Self {
        Quantity { nanos: milli as i128 * 1_000_000 }
    }

    /// So many nano-units.
    pub const fn from_nanos(nanos: i128) -> Self {
        Quantity { nanos }
    }

    /// The value in nano-units.
    pub const fn nanos(self) -> i128 {
        self.nanos
    }

    /// Whole units, rounded up (as `Quantity.Value()`).
    pub fn units_rounded_up(self) -> i64 {
        i64::try_from(self.nanos.div_euclid(NANOS) + i128::from(self.nanos.rem_euclid(NANOS) != 0))
            .unwrap_or(i64::MAX)
    }

    /// The value as a double; for showing, never for deciding.
    pub fn as_f64(self) -> f64 {
        self.nanos as f64 / NANOS as f64
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.nanos == 0
    }

    /// Whether it is less than nothing.
    pub const fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Reads what `resource.ParseQuantity` reads.
    ///
    /// # Errors
    ///
    /// If the text has another form: sign, digits with at most one point, and one of the suffixes `n u m k M G T P E`,
    /// `Ki Mi Gi Ti Pi Ei` or an exponent (`e3`, `E-2`).
    pub fn parse(text: &str) -> Result<Self, ParseQuantityError> {
        parse_nanos(text)
            .map(|nanos| Quantity { nanos })
            .ok_or_else(|| ParseQuantityError { text: text.to_owned() })
    }
}

fn parse_nanos(text: &str) -> Option<i128> {
    let bytes = text.as_bytes();
    let (negative, start) = match bytes.first()? {
        b'-' => (true, 1),
        b'+' => (false, 1),
        _ => (false, 0),
    };
    let mut at = start;
    let mut mantissa: i128 = 0;
    let mut digits = 0usize;
    let mut fraction_digits = 0u32;
    let mut lost = false;
    let mut overflow = false;
    let mut point = false;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                let digit = i128::from(byte - b'0');
                if point && fraction_digits >= 18 {
                    lost |= digit != 0;
                } else if mantissa > i128::MAX / 100_000_000_000_000_000_000_000 {
                    // More than a hundred thousand million million: only its being huge matters.
                    if point {
                        lost |= digit != 0;
                    } else {
                        overflow = true;
                    }
                } else {
                    mantissa = mantissa * 10 + digit;
                    if point {
                        fraction_digits += 1;
                    }
                }
            }
            b'.' if !point => point = true,
            _ => break,
        }
        at += 1;
    }
    if digits == 0 {
        return None;
    }
    let suffix = &text[at..];
    // The value is mantissa × 10^power10 × 2^power2 units; nano-units add nine powers of ten.
    let (power10, power2): (i32, u32) = match suffix {
        "" => (0, 0),
        "n" => (-9, 0),
        "u" => (-6, 0),
        "m" => (-3, 0),
        "k" => (3, 0),
        "M" => (6, 0),
        "G" => (9, 0),
        "T" => (12, 0),
        "P" => (15, 0),
        "E" => (18, 0),
        "Ki" => (0, 10),
        "Mi" => (0, 20),
        "Gi" => (0, 30),
        "Ti" => (0, 40),
        "Pi" => (0, 50),
        "Ei" => (0, 60),
        _ => {
            let exponent = suffix.strip_prefix(['e', 'E'])?;
            let exponent_digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if exponent_digits.is_empty() || !exponent_digits.bytes().all(|byte| byte.is_ascii_digit()) {
                return None;
            }
            (exponent.parse::<i32>().unwrap_or(if exponent.starts_with('-') { -1000 } else { 1000 }), 0)
        }
    };
    let cap = MAX_UNITS * NANOS;
    let nanos = if mantissa == 0 && !lost && !overflow {
        0
    } else {
        let scaled = if overflow { None } else { mantissa.checked_mul(1i128 << power2) };
        let exponent = power10.saturating_add(9).saturating_sub(fraction_digits as i32);
        match scaled {
            None => cap,
            Some(value) if exponent >= 0 => 10i128
                .checked_pow(exponent.min(60) as u32)
                .and_then(|scale| value.checked_mul(scale))
                .map_or(cap, |value| value.min(cap)),
            Some(value) => match 10i128.checked_pow((-exponent).min(60) as u32) {
                Some(divisor) => {
                    let up = value % divisor != 0 || lost;
                    (value / divisor + i128::from(up)).min(cap)
                }
                None => 1,
            },
        }
    };
    Some(if negative { -nanos } else { nanos })
}

/// As the recordings print quantities: an integer if it is one, else thousandths (`1500m`), rounded up.
impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos % NANOS == 0 {
            write!(f, "{}", self.nanos / NANOS)
        } else {
            let milli = self.nanos.div_euclid(1_000_000) + i128::from(self.nanos.rem_euclid(1_000_000) != 0);
            write!(f, "{milli}m")
        }
    }
}

impl std::ops::Add for Quantity {
    type Output = Quantity;
    fn add(self, other: Quantity) -> Quantity {
        Quantity { nanos: self.nanos.saturating_add(other.nanos) }
    }
}

impl std::ops::AddAssign for Quantity {
    fn add_assign(&mut self, other: Quantity) {
        *self = *self + other;
    }
}

impl std::ops::Sub for Quantity {
    type Output = Quantity;
    fn sub(self, other: Quantity) -> Quantity {
        Quantity { nanos: self.nanos.saturating_sub(other.nanos) }
    }
}

impl serde::Serialize for Quantity {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantityVisitor;
        impl Visitor<'_> for QuantityVisitor {
            type Value = Quantity;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity such as `100m`, `1.5`, `2Gi` or `1e3`")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Quantity, E> {
                Quantity::parse(text).map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
            fn visit_i64<E: Error>(self, units: i64) -> Result<Quantity, E> {
                Ok(Quantity::from_units(units))
            }
            fn visit_u64<E: Error>(self, units: u64) -> Result<Quantity, E> {
                Ok(Quantity::from_units(i64::try_from(units).unwrap_or(i64::MAX)))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Quantity, E> {
                // The shortest text that reads back as this double is what was written.
                Quantity::parse(&value.to_string()).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(QuantityVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::Quantity;

    #[test]
    fn reads_every_form_exactly() {
        for (text, nanos) in [
            ("1", 1_000_000_000_i128),
            ("100m", 100_000_000),
            ("1.5", 1_500_000_000),
            (".5", 500_000_000),
            ("5.", 5_000_000_000),
            ("2Gi", 2_147_483_648_000_000_000),
            ("0.5Gi", 536_870_912_000_000_000),
            ("1e3", 1_000_000_000_000),
            ("1E-3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000_000_000),
            ("-1k", -1_000_000_000_000),
            ("3n", 3),
            ("1.5n", 2),
            ("0.0000000001", 1),
            ("20E", 9_223_372_036_854_775_807_000_000_000),
        ] {
            assert_eq!(Quantity::parse(text).map(Quantity::nanos), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_what_kubernetes_refuses() {
        for text in ["", "-", "1x", "1 Gi", "Gi", "1gi", "1KI", "1e", "1.2.3", "0x10", "1_000", "five"] {
            assert!(Quantity::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn prints_integers_and_thousandths() {
        for (text, shown) in
            [("2Gi", "2147483648"), ("1500m", "1500m"), ("0.1", "100m"), ("1u", "1m"), ("3000m", "3")]
        {
            assert_eq!(Quantity::parse(text).unwrap().to_string(), shown);
        }
    }
}
