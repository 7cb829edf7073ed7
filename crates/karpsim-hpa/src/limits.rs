//! How fast the replicas may change: the policies of a behavior, or without one the controller's own limit upwards.

use crate::amount::{Nanos, ceil_i32, truncate_i32};
use crate::history::Changes;
use crate::spec::{ScalingPolicy, ScalingRules};
use karpsim::model::autoscaling::{HpaScalingPolicyType, ScalingPolicySelect};

/// Changes in both directions.
#[derive(Debug, Clone, Default)]
pub(crate) struct BothChanges {
    pub(crate) up: Changes,
    pub(crate) down: Changes,
}

impl BothChanges {
    /// The replicas at the start of the policy's period, had nobody else scaled.
    fn period_start(&self, now: Nanos, replicas: i32, policy: &ScalingPolicy) -> i32 {
        let added = self.up.within(now, policy.period());
        let removed = self.down.within(now, policy.period());
        replicas.wrapping_sub(added).wrapping_add(removed)
    }
}

/// The most replicas that `rules` allow now, which may be fewer than there are.
pub(crate) fn most(now: Nanos, replicas: i32, changes: &BothChanges, rules: &ScalingRules) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let start = changes.period_start(now, replicas, policy);
        match policy.kind {
            HpaScalingPolicyType::Pods => start.wrapping_add(policy.value),
            // Rounded up, for else a few replicas could never grow.
            HpaScalingPolicyType::Percent => {
                ceil_i32(f64::from(start) * (1.0 + f64::from(policy.value) / 100.0))
            }
        }
    });
    match rules.select_policy {
        ScalingPolicySelect::Disabled => replicas,
        ScalingPolicySelect::Min => allowed.min().unwrap_or(i32::MAX),
        ScalingPolicySelect::Max => allowed.max().unwrap_or(i32::MIN),
    }
}

/// The fewest replicas that `rules` allow now, which may be more than there are.
pub(crate) fn fewest(now: Nanos, replicas: i32, changes: &BothChanges, rules: &ScalingRules) -> i32 {
    let allowed = rules.policies.iter().map(|policy| {
        let start = changes.period_start(now, replicas, policy);
        match policy.kind {
            HpaScalingPolicyType::Pods => start.wrapping_sub(policy.value),
            HpaScalingPolicyType::Percent => {
                truncate_i32(f64::from(start) * (1.0 - f64::from(policy.value) / 100.0))
            }
        }
    });
    match rules.select_policy {
        ScalingPolicySelect::Disabled => replicas,
        ScalingPolicySelect::Min => allowed.max().unwrap_or(i32::MIN),
        ScalingPolicySelect::Max => allowed.min().unwrap_or(i32::MAX),
    }
}

/// The most replicas without a behavior: twice as many as there are, and 4 in any case.
pub(crate) fn most_without_behavior(replicas: i32) -> i32 {
    truncate_i32((2.0 * f64::from(replicas)).max(4.0))
}
