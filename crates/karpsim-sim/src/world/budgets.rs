//! PodDisruptionBudgets: how many pods may be evicted now, as the disruption controller of Kubernetes computes it.

use super::World;
use super::pods::{Owner, PodState};
use crate::scheduler::selects;
use karpsim::kubernetes::pods::{is_terminal, is_terminating};
use karpsim::model::core::PodDisruptionBudget;
use karpsim::model::meta::{IntOrString, Str};
use karpsim_controller::Event;
use std::collections::BTreeSet;

/// A budget and what it allows.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    pub(crate) object: PodDisruptionBudget,
    pub(crate) healthy: i64,
    pub(crate) desired: i64,
}

impl Budget {
    pub(crate) fn selects(&self, state: &PodState) -> bool {
        self.object.metadata.namespace == state.pod.metadata.namespace
            && selects(self.object.spec.selector.as_ref(), &state.pod.metadata.labels)
    }

    /// Evictions that are allowed now.
    pub(crate) fn allowed(&self) -> i64 {
        self.object.status.disruptions_allowed
    }
}

impl World<'_> {
    /// Counts what every budget allows, and tells Karpenter what changed.
    pub(crate) fn reconcile_budgets(&mut self) {
        let keys: Vec<Str> = self.budgets.keys().cloned().collect();
        for key in keys {
            let Some(budget) = self.budgets.get(&key) else { continue };
            let (healthy, desired, expected) = self.count(budget);
            let allowed = if expected > 0 { (healthy - desired).max(0) } else { 0 };
            let Some(budget) = self.budgets.get_mut(&key) else { continue };
            budget.healthy = healthy;
            budget.desired = desired;
            if budget.object.status.disruptions_allowed != allowed {
                budget.object.status.disruptions_allowed = allowed;
                let object = Box::new(budget.object.clone());
                self.tell(Event::PodDisruptionBudget(object));
            }
        }
    }

    /// Healthy pods, how many there must be, how many are expected.
    fn count(&self, budget: &Budget) -> (i64, i64, i64) {
        let mut healthy = 0;
        let mut pods = 0;
        let mut bare = 0;
        let mut owners = BTreeSet::new();
        for state in self.pods.values().filter(|state| budget.selects(state) && !is_terminal(&state.pod)) {
            pods += 1;
            healthy += i64::from(state.is_ready() && !is_terminating(&state.pod));
            match &state.owner {
                Owner::Workload(key) => drop(owners.insert(key)),
                _ => bare += 1,
            }
        }
        let of_owners: i64 = owners
            .iter()
            .filter_map(|key| self.workloads.get(key))
            .map(super::workload::Workload::scale)
            .sum();
        let scale = of_owners + bare;
        let spec = &budget.object.spec;
        match (&spec.max_unavailable, &spec.min_available) {
            (Some(most), _) => (healthy, (scale - rounded_up(most, scale)).max(0), scale),
            (None, Some(IntOrString::Int(least))) => (healthy, *least, pods),
            (None, Some(least)) => (healthy, rounded_up(least, scale), scale),
            (None, None) => (healthy, 0, pods),
        }
    }
}

/// A number, or a percentage of `total`, rounded up.
pub(crate) fn rounded_up(value: &IntOrString, total: i64) -> i64 {
    match value {
        IntOrString::Int(number) => *number,
        IntOrString::Text(text) => match text.strip_suffix('%').map(str::parse::<i64>) {
            Some(Ok(percent)) => (total.saturating_mul(percent) + 99).div_euclid(100),
            _ => text.parse().unwrap_or(0),
        },
    }
}
