//! Which pods can be moved, and what holds them.

use crate::api::Objects;
use crate::api::core::{Pod, PodDisruptionBudget, Taint, TaintEffect};
use crate::api::meta::{Duration, IntOrString, Str, Time};
use crate::compile::selectors::{is_valid, matches};
use crate::compile::taints::tolerates;
use crate::labels::DO_NOT_DISRUPT;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// Whether the pod has ended.
pub fn is_terminal(pod: &Pod) -> bool {
    matches!(pod.status.phase.as_str(), "Failed" | "Succeeded")
}

/// Whether the pod is being deleted.
pub fn is_terminating(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_some()
}

/// Whether the pod has neither ended nor is being deleted.
pub fn is_active(pod: &Pod) -> bool {
    !is_terminal(pod) && !is_terminating(pod)
}

/// Whether an object of this kind owns the pod.
pub fn is_owned_by(pod: &Pod, api_version: &str, kind: &str) -> bool {
    pod.metadata.owner_references.iter().any(|owner| owner.api_version == api_version && owner.kind == kind)
}

/// Whether the pod will be made again elsewhere when its node goes: it is active (or a stateful set's that is ending),
/// and not bound to the node by a daemon set or the kubelet.
pub fn is_reschedulable(pod: &Pod) -> bool {
    let ending = is_owned_by(pod, "apps/v1", "StatefulSet") && is_terminating(pod);
    (is_active(pod) || ending) && !is_owned_by(pod, "apps/v1", "DaemonSet") && !is_owned_by(pod, "v1", "Node")
}

/// Whether `karpenter.sh/do-not-disrupt` holds the pod now: `true`, or a duration that it has not run yet.
pub fn is_held_by_annotation(pod: &Pod, now: Time) -> bool {
    let Some(value) = pod.metadata.annotations.get(DO_NOT_DISRUPT) else { return false };
    if value == "true" {
        return true;
    }
    let Some(hold) = Duration::parse(value).filter(|hold| hold.nanos > 0) else { return false };
    pod.status
        .start_time
        .is_none_or(|start| now.0.as_nanosecond() - start.0.as_nanosecond() < i128::from(hold.nanos))
}

/// Whether the pod may be disrupted as far as the annotation goes; pods that are not active always may.
pub fn is_disruptable(pod: &Pod, now: Time) -> bool {
    !is_active(pod) || !is_held_by_annotation(pod, now)
}

/// Whether a drain would evict the pod.
fn is_evictable(pod: &Pod, now: Time) -> bool {
    let disrupted = Taint {
        key: "karpenter.sh/disrupted".into(),
        effect: Some(TaintEffect::NoSchedule),
        ..Taint::default()
    };
    is_active(pod)
        && !tolerates(&pod.spec.tolerations, &disrupted)
        && !is_owned_by(pod, "v1", "Node")
        && !is_held_by_annotation(pod, now)
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

/// What it costs to evict the pod: 1, more or less by deletion cost and priority, between −10 and 10. Doubles, in
/// Karpenter's order of operations.
pub fn eviction_cost(pod: &Pod) -> f64 {
    let mut cost = 1.0;
    if let Some(deletion_cost) = pod.metadata.annotations.get("controller.kubernetes.io/pod-deletion-cost")
        && let Some(deletion_cost) = parse_go_float(deletion_cost)
    {
        cost += deletion_cost / 134_217_728.0;
    }
    if let Some(priority) = pod.spec.priority {
        cost += priority as f64 / 33_554_432.0;
    }
    cost.clamp(-10.0, 10.0)
}

/// What Go's `strconv.ParseFloat` reads, but for hexadecimal.
fn parse_go_float(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|value| {
        let is_signed = text.starts_with(['+', '-']);
        value.is_finite()
            || (value.is_nan() && !is_signed)
            || (value.is_infinite() && text.to_ascii_lowercase().contains("inf"))
    })
}
