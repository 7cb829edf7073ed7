//! How many more pods PodDisruptionBudgets let go, while a run plans removals.

use crate::pods::{PodRef, selects};
use karpsim::model::core::{Pod, PodDisruptionBudget};
use std::sync::Arc;

/// Budgets by namespace and name, and what is left of each.
#[derive(Debug, Default)]
pub(crate) struct DisruptionBudgets {
    budgets: Vec<(Arc<PodDisruptionBudget>, i64)>,
}

impl DisruptionBudgets {
    pub(crate) fn new(budgets: &[Arc<PodDisruptionBudget>]) -> Self {
        let mut budgets: Vec<_> =
            budgets.iter().map(|budget| (budget.clone(), budget.status.disruptions_allowed)).collect();
        budgets.sort_by(|(a, _), (b, _)| {
            (&a.metadata.namespace, &a.metadata.name).cmp(&(&b.metadata.namespace, &b.metadata.name))
        });
        DisruptionBudgets { budgets }
    }

    fn of<'a>(&'a self, pod: &'a Pod) -> impl Iterator<Item = i64> + 'a {
        self.budgets.iter().filter(|(budget, _)| covers(budget, pod)).map(|(_, left)| *left)
    }

    /// Whether any budget speaks for the pod.
    pub(crate) fn has_any_for(&self, pod: &Pod) -> bool {
        self.of(pod).next().is_some()
    }

    /// Whether a budget of the pod has nothing left.
    pub(crate) fn forbids(&self, pod: &Pod) -> bool {
        self.of(pod).any(|left| left < 1)
    }

    /// Whether all these pods can go at once.
    pub(crate) fn allow_together(&self, pods: &[PodRef]) -> bool {
        self.budgets.iter().all(|(budget, left)| {
            let count = pods.iter().filter(|pod| covers(budget, pod)).count() as i64;
            count == 0 || (*left >= 1 && count <= *left)
        })
    }

    /// These pods will go.
    pub(crate) fn take(&mut self, pods: &[PodRef]) {
        for (budget, left) in &mut self.budgets {
            *left -= pods.iter().filter(|pod| covers(budget, pod)).count() as i64;
        }
    }
}

fn covers(budget: &PodDisruptionBudget, pod: &Pod) -> bool {
    budget.metadata.namespace == pod.metadata.namespace
        && selects(budget.spec.selector.as_ref(), &pod.metadata.labels)
}
