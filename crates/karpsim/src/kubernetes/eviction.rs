//! Which pods can be moved, and what holds them.

use super::pods::{
    is_active, is_disruptable, is_held_by_annotation, is_owned_by_node, is_reschedulable, is_terminal,
};
use crate::kubernetes::selectors::{is_valid, matches};
use crate::kubernetes::taints::tolerates;
use crate::model::Objects;
use crate::model::core::{Pod, PodDisruptionBudget, Taint, TaintEffect};
use crate::model::meta::{IntOrString, Str, Time};
use jiff::SignedDuration;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// The key of the taint that Karpenter puts on nodes that are to go.
pub const DISRUPTED: &str = "karpenter.sh/disrupted";

/// A drain gives up waiting for a pod so long after its deletion: its kubelet does not answer.
const STUCK_TERMINATING: SignedDuration = SignedDuration::from_secs(60);

/// The taint of nodes that are to go.
pub fn disrupted_taint() -> Taint {
    Taint { key: DISRUPTED.into(), effect: Some(TaintEffect::NoSchedule), ..Taint::default() }
}

fn tolerates_disruption(pod: &Pod) -> bool {
    tolerates(&pod.spec.tolerations, &disrupted_taint())
}

/// Whether a drain evicts the pod.
pub fn is_evictable(pod: &Pod, now: Time) -> bool {
    is_active(pod) && !tolerates_disruption(pod) && !is_owned_by_node(pod) && !is_held_by_annotation(pod, now)
}

/// Whether a drain waits for the pod to be gone.
pub fn is_waiting_for_eviction(pod: &Pod, now: Time) -> bool {
    let stuck = pod
        .metadata
        .deletion_timestamp
        .is_some_and(|deleted| now.0.duration_since(deleted.0) > STUCK_TERMINATING);
    !is_terminal(pod) && !tolerates_disruption(pod) && !stuck && !is_owned_by_node(pod)
}

/// What a PodDisruptionBudget says against evicting a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// Several budgets select the pod; the eviction API refuses that.
    Several(Vec<Str>),
    /// The budget allows none now.
    Exhausted(Str),
}

/// The PodDisruptionBudgets of a cluster.
pub struct PodBudgets<'a> {
    all: Vec<&'a PodDisruptionBudget>,
    /// By namespace and first label that the selector asks for.
    by_label: FxHashMap<(&'a str, &'a str, &'a str), SmallVec<[usize; 2]>>,
    /// Those whose selector asks for no label by its value.
    others: Vec<usize>,
}

impl<'a> PodBudgets<'a> {
    /// Those of `objects`.
    pub fn new(objects: &'a Objects) -> Self {
        let mut budgets = PodBudgets { all: Vec::new(), by_label: FxHashMap::default(), others: Vec::new() };
        for budget in &objects.pod_disruption_budgets {
            // A selector that the API server would refuse selects nothing.
            let Some(selector) = budget.spec.selector.as_ref().filter(|selector| is_valid(selector)) else {
                continue;
            };
            let at = budgets.all.len();
            budgets.all.push(budget);
            match selector.match_labels.iter().next() {
                Some((key, value)) => {
                    let namespace = budget.metadata.namespace.as_str();
                    budgets.by_label.entry((namespace, key, value)).or_default().push(at);
                }
                None => budgets.others.push(at),
            }
        }
        budgets
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// The budgets that select the pod, in the order of the text.
    fn selecting(&self, pod: &Pod) -> SmallVec<[&'a PodDisruptionBudget; 2]> {
        let namespace = pod.metadata.namespace.as_str();
        let labels = pod.metadata.labels.iter();
        let by_label =
            labels.filter_map(|(key, value)| self.by_label.get(&(namespace, key, value))).flatten();
        let mut selecting: SmallVec<[usize; 2]> = by_label
            .chain(&self.others)
            .copied()
            .filter(|&at| {
                let budget = self.all[at];
                let selector = budget.spec.selector.as_ref();
                budget.metadata.namespace == namespace
                    && selector.is_some_and(|selector| matches(selector, &pod.metadata.labels))
            })
            .collect();
        selecting.sort_unstable();
        selecting.into_iter().map(|at| self.all[at]).collect()
    }

    fn hold(&self, pod: &Pod, now: Time, blocks: impl Fn(&PodDisruptionBudget) -> bool) -> Option<Hold> {
        if self.all.is_empty() || !is_evictable(pod, now) {
            return None;
        }
        let selecting = self.selecting(pod);
        let name = |budget: &PodDisruptionBudget| -> Str {
            compact_str::format_compact!("{}/{}", budget.metadata.namespace, budget.metadata.name)
        };
        if selecting.len() > 1 {
            return Some(Hold::Several(selecting.into_iter().map(name).collect()));
        }
        let budget = selecting.first()?;
        let unhealthy = pod
            .status
            .conditions
            .iter()
            .any(|condition| condition.kind == "Ready" && condition.status == "False");
        let lets_go = budget.spec.unhealthy_pod_eviction_policy == "AlwaysAllow" && unhealthy;
        (!lets_go && blocks(budget)).then(|| Hold::Exhausted(name(budget)))
    }

    /// What holds the pod now.
    pub fn holds_now(&self, pod: &Pod, now: Time) -> Option<Hold> {
        self.hold(pod, now, |budget| budget.status.disruptions_allowed == 0)
    }

    /// Whether the pod is expected to move when its node is drained: it is not held by the annotation, nor by a budget
    /// that never allows a disruption.
    pub fn will_move(&self, pod: &Pod, now: Time) -> bool {
        is_reschedulable(pod) && is_disruptable(pod, now) && self.hold(pod, now, never_allows).is_none()
    }
}

fn never_allows(budget: &PodDisruptionBudget) -> bool {
    let none = matches!(&budget.spec.max_unavailable, Some(IntOrString::Int(0)))
        || matches!(&budget.spec.max_unavailable, Some(IntOrString::Text(text)) if text == "0%");
    none || matches!(&budget.spec.min_available, Some(IntOrString::Text(text)) if text == "100%")
}
