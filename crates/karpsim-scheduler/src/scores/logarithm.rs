//! The natural logarithm.
//!
//! How precise the platform's is nobody says, and scores are rounded. This is the method of fdlibm (Sun Microsystems, 1993),
//! which Go uses too: the argument is halved or doubled to between √½ and √2, and the rest is a polynomial in
//! s = f ⁄ (2 + f). The error is below one unit in the last place.

#![expect(clippy::excessive_precision, reason = "digits as they were published")]

/// ln 2 in two parts; the first has zeros at its end, so that its multiples are exact.
const LN2_HIGH: f64 = 6.931_471_803_691_238_164_90e-1;
const LN2_LOW: f64 = 1.908_214_929_270_587_700_02e-10;
/// Coefficients of the polynomial.
const EVEN: [f64; 3] =
    [3.999_999_999_940_941_908e-1, 2.222_219_843_214_978_396e-1, 1.531_383_769_920_937_332e-1];
const ODD: [f64; 4] = [
    6.666_666_666_666_735_130e-1,
    2.857_142_874_366_239_149e-1,
    1.818_357_216_161_805_012e-1,
    1.479_819_860_511_658_591e-1,
];

/// The natural logarithm of a whole number above 0.
pub(super) fn ln(of: u64) -> f64 {
    if of <= 1 {
        return 0.0;
    }
    // A power of two above `of`: the quotient is at least ½.
    let mut exponent = i32::try_from(u64::BITS - of.leading_zeros()).unwrap_or(i32::MAX);
    let mut fraction = of as f64 / 2.0_f64.powi(exponent);
    if fraction < std::f64::consts::FRAC_1_SQRT_2 {
        fraction *= 2.0;
        exponent -= 1;
    }
    let f = fraction - 1.0;
    let k = f64::from(exponent);
    let s = f / (2.0 + f);
    let s2 = s * s;
    let s4 = s2 * s2;
    let odd = s2 * (ODD[0] + s4 * (ODD[1] + s4 * (ODD[2] + s4 * ODD[3])));
    let even = s4 * (EVEN[0] + s4 * (EVEN[1] + s4 * EVEN[2]));
    let half = 0.5 * f * f;
    k * LN2_HIGH - ((half - (s * (half + (odd + even)) + k * LN2_LOW)) - f)
}

#[cfg(test)]
mod tests {
    use super::ln;

    #[test]
    #[expect(clippy::approx_constant, reason = "that is what is tested")]
    fn known_values() {
        // To the last place, from tables.
        for (of, known) in [
            (1, 0.0),
            (2, 0.693_147_180_559_945_3),
            (3, 1.098_612_288_668_109_8),
            (5, 1.609_437_912_434_100_3),
            (10, 2.302_585_092_994_046),
            (102, 4.624_972_813_284_271),
            (5_002, 8.517_593_111_437_565),
        ] {
            assert!((ln(of) - known).abs() <= f64::EPSILON * known.max(1.0) * 8.0, "{of}: {}", ln(of));
        }
        assert_eq!(ln(2), std::f64::consts::LN_2);
    }
}
