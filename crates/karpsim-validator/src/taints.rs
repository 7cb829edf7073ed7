//! Taints and tolerations ("Taints and Tolerations").

use karpsim::model::core::{Taint, TaintEffect, Toleration, TolerationOperator};

/// Whether `toleration` puts up with `taint`.
fn tolerates_one(toleration: &Toleration, taint: &Taint) -> bool {
    let effect = toleration.effect.is_none() || toleration.effect == taint.effect;
    let key = toleration.key.is_empty() || toleration.key == taint.key;
    let compares = |test: fn(i64, i64) -> bool| match (taint.value.parse(), toleration.value.parse()) {
        (Ok(taint), Ok(toleration)) => test(taint, toleration),
        _ => false,
    };
    effect
        && key
        && match toleration.operator.unwrap_or(TolerationOperator::Equal) {
            TolerationOperator::Exists => true,
            TolerationOperator::Equal => toleration.value == taint.value,
            TolerationOperator::Lt => compares(|taint, toleration| taint < toleration),
            TolerationOperator::Gt => compares(|taint, toleration| taint > toleration),
        }
}

/// The first taint that keeps a pod with `tolerations` away for good.
pub(crate) fn first_untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints
        .iter()
        .filter(|taint| taint.effect != Some(TaintEffect::PreferNoSchedule))
        .find(|taint| !tolerations.iter().any(|toleration| tolerates_one(toleration, taint)))
}
