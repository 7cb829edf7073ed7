//! Taints and tolerations.

use crate::model::core::{Taint, TaintEffect, Toleration, TolerationOperator};

/// Whether one of `tolerations` covers `taint`.
pub fn tolerates(tolerations: &[Toleration], taint: &Taint) -> bool {
    tolerations.iter().any(|toleration| {
        let key = toleration.key.is_empty() || toleration.key == taint.key;
        let effect = toleration.effect.is_none() || toleration.effect == taint.effect;
        let value = match toleration.operator {
            None | Some(TolerationOperator::Equal) => toleration.value == taint.value,
            Some(TolerationOperator::Exists) => true,
            Some(operator) => match (toleration.value.parse::<i64>(), taint.value.parse::<i64>()) {
                (Ok(bound), Ok(value)) if operator == TolerationOperator::Lt => value < bound,
                (Ok(bound), Ok(value)) => value > bound,
                _ => false,
            },
        };
        key && effect && value
    })
}

/// Whether two taints are the same to Kubernetes: key and effect, whatever the value.
pub fn same_taint(a: &Taint, b: &Taint) -> bool {
    a.key == b.key && a.effect == b.effect
}

/// Taints that come off by themselves while a node starts; pods need not tolerate them.
pub fn is_ephemeral(taint: &Taint) -> bool {
    use TaintEffect::{NoExecute, NoSchedule};
    let known = [
        ("node.kubernetes.io/not-ready", NoSchedule),
        ("node.kubernetes.io/not-ready", NoExecute),
        ("node.kubernetes.io/unreachable", NoSchedule),
        ("node.cloudprovider.kubernetes.io/uninitialized", NoSchedule),
        ("karpenter.sh/unregistered", NoExecute),
    ];
    known.iter().any(|(key, effect)| taint.key == key && taint.effect == Some(*effect))
        || taint.key.starts_with("readiness.k8s.io/")
}

/// The taint of nodes that are being rebooted.
pub fn is_rebooting(taint: &Taint) -> bool {
    taint.key == "karpenter.sh/rebooting" && taint.effect == Some(TaintEffect::NoSchedule)
}
