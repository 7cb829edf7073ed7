//! Preemption: on which node evicting pods of lower priority makes room, and which pods those are.
//!
//! On each node that evictions might help, all pods of lower priority are taken off. If the pod then fits, they are put back one
//! by one, from the most important, those whose disruption budget would be violated first; whoever does not fit back is a
//! victim. The best node violates the fewest budgets, and then costs the least important pods.

use crate::attempt::NodeRefusals;
use crate::cluster::{Cluster, NodeIndex, PodIndex, PodInfo};
use crate::filters::{NodeView, PreFilter, Rejection};
use crate::kubernetes::Selector;
use crate::node_info::NodeInfo;
use crate::nominator::Nominator;
use crate::reason::{CycleError, Plugin, Reason, Refusal};
use crate::scheduler::fits_with_nominated;
use karpsim::go_sort::sort_slice;
use karpsim::model::core::{Pod, PodDisruptionBudget};
use std::cmp::Reverse;
use std::sync::Arc;

/// At least so many nodes are tried …
const CANDIDATES_MIN: usize = 100;
/// … or this part of all that might be helped.
const CANDIDATES_PERCENT: usize = 10;

/// A node with the pods that would have to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) node: NodeIndex,
    pub(crate) victims: Vec<PodIndex>,
    violations: usize,
}

/// What came of looking for a candidate.
#[derive(Debug, Default)]
pub(crate) struct Search {
    pub(crate) best: Option<Candidate>,
    /// The nodes that were tried, and why it was no use.
    pub(crate) refused: NodeRefusals,
    /// Failures; of no consequence if there is a candidate.
    pub(crate) error: Option<CycleError>,
}

/// Whether the pod may make others go. A pod that waits for its victims to go makes no more go.
pub(crate) fn may_preempt(
    cluster: &Cluster,
    info: &PodInfo,
    nominated: Option<&str>,
    nominated_is_hopeless: bool,
) -> Result<(), NotEligible> {
    if info.class.spec().preemption_policy == "Never" {
        return Err(NotEligible::PreemptionPolicyNever);
    }
    let Some(node) = nominated.and_then(|name| cluster.node_index(name)) else { return Ok(()) };
    let waits = !nominated_is_hopeless
        && cluster
            .pods_of(cluster.info(node))
            .any(|pod| pod.class.priority < info.class.priority && is_preempted(&pod.pod));
    if waits { Err(NotEligible::TerminatingPodOnNominatedNode) } else { Ok(()) }
}

/// Why a pod may make no others go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotEligible {
    /// `preemptionPolicy: Never`.
    PreemptionPolicyNever,
    /// A victim on the nominated node is not gone yet.
    TerminatingPodOnNominatedNode,
}

impl std::fmt::Display for NotEligible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            NotEligible::PreemptionPolicyNever => "not eligible due to preemptionPolicy=Never.",
            NotEligible::TerminatingPodOnNominatedNode => {
                "not eligible due to a terminating pod on the nominated node."
            }
        })
    }
}

fn is_preempted(pod: &Pod) -> bool {
    let condition = pod.status.conditions.iter().find(|condition| condition.kind == "DisruptionTarget");
    pod.metadata.deletion_timestamp.is_some()
        && condition.is_some_and(|it| it.status == "True" && it.reason == "PreemptionByScheduler")
}

/// Looks for the best node among those that evictions might help, which come by name.
pub(crate) fn find(
    cluster: &Cluster,
    nominator: &Nominator,
    mut prepared: PreFilter,
    helped: &[NodeIndex],
    now: i128,
) -> Search {
    let wanted = (helped.len() * CANDIDATES_PERCENT / 100).max(CANDIDATES_MIN).min(helped.len());
    let budgets: Vec<Budget> = cluster.budgets().map(Budget::new).collect();
    let mut search = Search::default();
    let no_victims = Refusal::unresolvable(Plugin::NodeResourcesFit, Reason::NoVictims);
    if !cluster.has_pods_below(prepared.info.class.priority) {
        let number = search.refused.intern(&no_victims);
        for node in helped {
            search.refused.push(*node, number);
        }
        return search;
    }
    let mut candidates: Vec<Candidate> = Vec::new();
    let (mut clean, mut violating) = (0, 0);
    for node in helped {
        match victims_on(cluster, nominator, &mut prepared, *node, &budgets, now) {
            Ok(candidate) => {
                // So many of each kind are remembered.
                let count = if candidate.violations == 0 { &mut clean } else { &mut violating };
                if *count < wanted {
                    *count += 1;
                    candidates.push(candidate);
                }
                if clean > 0 && clean + violating >= wanted {
                    break;
                }
            }
            Err(Rejection::Refused(refusal)) => {
                let number = search.refused.intern(&refusal);
                search.refused.push(*node, number);
            }
            Err(Rejection::Failed(error)) => search.error = Some(error),
        }
    }
    search.best = candidates.into_iter().min_by_key(|candidate| cost(cluster, candidate, now));
    search
}

/// What a candidate costs, the most important first.
fn cost<'a>(
    cluster: &'a Cluster,
    candidate: &Candidate,
    now: i128,
) -> (usize, i64, i128, usize, Reverse<i128>, &'a str) {
    let victims = || candidate.victims.iter().map(|pod| cluster.bound(*pod));
    let priorities = || victims().map(|pod| pod.class.priority);
    let top = priorities().max().unwrap_or(0);
    let first = candidate.victims.first().map_or(0, |pod| cluster.bound(*pod).class.priority);
    let sum: i128 = priorities().map(|priority| i128::from(priority) + (1 << 31)).sum();
    let earliest =
        victims().filter(|pod| pod.class.priority == top).map(|pod| start_time(&pod.pod, now)).min();
    (
        candidate.violations,
        first,
        sum,
        candidate.victims.len(),
        Reverse(earliest.unwrap_or(now)),
        cluster.node_name(candidate.node),
    )
}

/// When the pod was started, in nanoseconds since 1970; a pod that was not counts as started now.
fn start_time(pod: &Pod, now: i128) -> i128 {
    pod.status.start_time.map_or(now, |time| time.0.as_nanosecond())
}

/// Whether `a` should rather stay than `b`.
fn is_more_important(cluster: &Cluster, a: PodIndex, b: PodIndex, now: i128) -> bool {
    let (a, b) = (cluster.bound(a), cluster.bound(b));
    let (x, y) = (a.class.priority, b.class.priority);
    if x == y { start_time(&a.pod, now) < start_time(&b.pod, now) } else { x > y }
}

fn victims_on(
    cluster: &Cluster,
    nominator: &Nominator,
    prepared: &mut PreFilter,
    index: NodeIndex,
    budgets: &[Budget],
    now: i128,
) -> Result<Candidate, Rejection> {
    let priority = prepared.info.class.priority;
    let original = cluster.info(index);
    let mut potential: Vec<PodIndex> =
        original.pods.iter().copied().filter(|pod| cluster.bound(*pod).class.priority < priority).collect();
    if potential.is_empty() {
        return Err(Refusal::unresolvable(Plugin::NodeResourcesFit, Reason::NoVictims).into());
    }
    let mut trial =
        Trial { cluster, nominator, prepared, info: original.clone(), index, removed: Vec::new() };
    for pod in &potential {
        trial.remove(*pod);
    }
    trial.check()?;
    sort_slice(&mut potential, |a, b| is_more_important(cluster, *a, *b, now));
    let (violating, other) = sort_by_budget(cluster, &potential, budgets);
    let mut victims = Vec::new();
    let mut violations = 0;
    let both = !violating.is_empty() && !other.is_empty();
    for (pod, violates) in
        violating.iter().map(|pod| (*pod, true)).chain(other.iter().map(|pod| (*pod, false)))
    {
        trial.add(pod);
        match trial.check() {
            Ok(()) => {}
            Err(_) => {
                trial.remove(pod);
                victims.push(pod);
                violations += usize::from(violates);
            }
        }
    }
    if both {
        sort_slice(&mut victims, |a, b| is_more_important(cluster, *a, *b, now));
    }
    if victims.is_empty() {
        // Others have become free in the meantime; a further attempt will find it.
        return Err(Refusal::unresolvable(Plugin::NodeResourcesFit, Reason::NoVictims).into());
    }
    Ok(Candidate { node: index, victims, violations })
}

/// A node on which pods are taken off and put back.
struct Trial<'a> {
    cluster: &'a Cluster,
    nominator: &'a Nominator,
    prepared: &'a mut PreFilter,
    info: NodeInfo,
    index: NodeIndex,
    removed: Vec<PodIndex>,
}

/// The counts are left as they were.
impl Drop for Trial<'_> {
    fn drop(&mut self) {
        for pod in std::mem::take(&mut self.removed) {
            self.update(pod, 1);
        }
    }
}

impl Trial<'_> {
    fn remove(&mut self, pod: PodIndex) {
        let bound = self.cluster.bound(pod);
        self.info.give_back(bound.usage(), &bound.class.ports);
        if let Some(at) = self.info.pods.iter().position(|one| *one == pod) {
            self.info.pods.swap_remove(at);
        }
        self.removed.push(pod);
        self.update(pod, -1);
    }

    fn add(&mut self, pod: PodIndex) {
        let bound = self.cluster.bound(pod);
        self.info.take(bound.usage(), &bound.class.ports);
        self.info.pods.push(pod);
        self.removed.retain(|one| *one != pod);
        self.update(pod, 1);
    }

    fn update(&mut self, pod: PodIndex, sign: i32) {
        let bound = self.cluster.bound(pod);
        let other = PodInfo { pod: Arc::clone(&bound.pod), class: Arc::clone(&bound.class) };
        self.prepared.update(self.cluster, self.index, &other, sign);
    }

    fn check(&self) -> Result<(), Rejection> {
        let Some(node) = self.info.node.as_deref() else { return Ok(()) };
        let view = NodeView { index: self.index, info: &self.info, node, extra: &[] };
        fits_with_nominated(self.cluster, self.nominator, self.prepared, view)
    }
}

/// A disruption budget with what it still allows.
struct Budget {
    object: Arc<PodDisruptionBudget>,
    selector: Selector,
}

impl Budget {
    fn new(budget: &Arc<PodDisruptionBudget>) -> Self {
        Budget { selector: Selector::new(budget.spec.selector.as_ref()), object: Arc::clone(budget) }
    }

    fn covers(&self, pod: &Pod) -> bool {
        self.object.metadata.namespace == pod.metadata.namespace
            && !self.selector.is_everything()
            && self.selector.matches(&pod.metadata.labels)
            && self.object.status.disrupted_pods.get(&pod.metadata.name).is_none()
    }
}

/// Sorts out the pods whose eviction would violate a budget, given that those before them in the list are evicted too. Pods
/// without labels have no budget.
fn sort_by_budget(
    cluster: &Cluster,
    pods: &[PodIndex],
    budgets: &[Budget],
) -> (Vec<PodIndex>, Vec<PodIndex>) {
    let mut allowed: Vec<i64> =
        budgets.iter().map(|budget| budget.object.status.disruptions_allowed).collect();
    pods.iter().copied().partition(|index| {
        let pod = &cluster.bound(*index).pod;
        let mut violates = false;
        if !pod.metadata.labels.is_empty() {
            for (budget, allowed) in budgets.iter().zip(&mut allowed) {
                if budget.covers(pod) {
                    *allowed -= 1;
                    violates |= *allowed < 0;
                }
            }
        }
        violates
    })
}
