//! How far a metric may be from its target before anything is done.

use crate::Options;
use crate::spec::Spec;

/// Tolerances of both directions; a ratio exactly at one is allowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tolerance {
    down: f64,
    up: f64,
}

impl Tolerance {
    /// What the behavior says, else what the controller was told.
    pub(crate) fn new(spec: &Spec, options: &Options) -> Self {
        let behavior = spec.behavior.as_ref();
        let or_option = |tolerance: Option<f64>| tolerance.unwrap_or(options.tolerance);
        Tolerance {
            down: or_option(behavior.and_then(|behavior| behavior.scale_down.tolerance)),
            up: or_option(behavior.and_then(|behavior| behavior.scale_up.tolerance)),
        }
    }

    /// Whether a metric that is `ratio` times its target is left as it is. What is no number is not.
    pub(crate) fn allows(self, ratio: f64) -> bool {
        1.0 - self.down <= ratio && ratio <= 1.0 + self.up
    }
}

#[cfg(test)]
mod tests {
    use super::Tolerance;

    #[test]
    fn both_ends_are_within() {
        let tolerance = Tolerance { down: 0.1, up: 0.2 };
        let ratios = [0.899_999, 0.9, 1.0, 1.2, 1.200_001, f64::NAN, f64::INFINITY];
        assert_eq!(
            ratios.map(|ratio| tolerance.allows(ratio)),
            [false, true, true, true, false, false, false]
        );
    }
}
