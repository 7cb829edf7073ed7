//! Which of the nodes that can take a pod is the best: the default plugins with their weights, each from 0 to 100.

use super::filter::spread_selector;
use super::selectors::{selects, term_holds, term_selects};
use super::shape::milli;
use super::{BoundPod, NodeInfo, Shape, View};
use karpsim::kubernetes::taints::tolerates;
use karpsim::model::core::{TaintEffect, WhenUnsatisfiable};
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

const ZONE: &str = "topology.kubernetes.io/zone";
const HOSTNAME: &str = "kubernetes.io/hostname";

/// The best node; of equals the first by name.
pub(crate) fn best(
    view: &View<'_>,
    bound: &[BoundPod<'_>],
    nodes: &[(&Str, &NodeInfo)],
    shape: &Shape,
    namespace: &str,
    owner: &Str,
) -> Option<Str> {
    let mut totals: Vec<i64> = nodes
        .iter()
        .map(|(_, info)| least_allocated(shape, info) + balanced_allocation(shape, info))
        .collect();
    let mut add = |weight: i64, scores: Vec<i64>| {
        for (total, score) in totals.iter_mut().zip(scores) {
            *total += weight * score;
        }
    };
    add(3, fewer_is_better(nodes.iter().map(|(_, info)| untolerated_preferences(shape, info)).collect()));
    add(2, more_is_better(nodes.iter().map(|(_, info)| preferred_affinity(shape, info)).collect()));
    if let Some(scores) = spread(view, bound, nodes, shape, namespace, owner) {
        add(2, scores);
    }
    if shape.has_affinity || view.others_have_affinity {
        add(2, pod_affinity(view, bound, nodes, shape, namespace));
    }
    let (mut best, mut best_total) = (None, i64::MIN);
    for ((name, _), total) in nodes.iter().zip(totals) {
        if total > best_total {
            (best, best_total) = (Some(*name), total);
        }
    }
    best.cloned()
}

/// NodeResourcesFit: what is left of cpu and memory, in percent.
fn least_allocated(shape: &Shape, info: &NodeInfo) -> i64 {
    let allocatable = &info.node.status.allocatable;
    let has = [
        allocatable.get("cpu").map_or(0, milli),
        allocatable.get("memory").map_or(0, Quantity::units_rounded_up),
    ];
    let asked = [info.nonzero.0 + shape.nonzero.0, info.nonzero.1 + shape.nonzero.1];
    let scores = has.iter().zip(asked).filter(|(has, _)| **has > 0);
    let (sum, count) = scores.fold((0i128, 0i128), |(sum, count), (has, asked)| {
        let left = i128::from((has - asked).max(0));
        (sum + left * 100 / i128::from(*has), count + 1)
    });
    (sum / count.max(1)) as i64
}

/// NodeResourcesBalancedAllocation: whether cpu and memory come nearer to being used alike.
fn balanced_allocation(shape: &Shape, info: &NodeInfo) -> i64 {
    let asks = |name: &str| shape.requests.iter().find(|(it, _)| it == name).map(|(_, quantity)| *quantity);
    if asks("cpu").is_none() && asks("memory").is_none() {
        return 0;
    }
    let allocatable = &info.node.status.allocatable;
    let old_score = |with: bool| {
        let fractions: Vec<f64> = ["cpu", "memory"]
            .into_iter()
            .filter_map(|name| {
                let has = allocatable.get(name).filter(|it| !it.is_zero())?;
                let mut used = info.requested.get(name).copied().unwrap_or_default();
                if with {
                    used += asks(name).unwrap_or_default();
                }
                Some((used.as_f64() / has.as_f64()).min(1.0))
            })
            .collect();
        let deviation = match fractions.as_slice() {
            [cpu, memory] => (cpu - memory).abs() / 2.0,
            _ => 0.0,
        };
        ((1.0 - deviation) * 100.0) as i64
    };
    50 + (50 + old_score(true) - old_score(false)) / 2
}

fn untolerated_preferences(shape: &Shape, info: &NodeInfo) -> i64 {
    let tolerations = &shape.prototype.spec.tolerations;
    let preferring =
        info.node.spec.taints.iter().filter(|it| it.effect == Some(TaintEffect::PreferNoSchedule));
    preferring.filter(|taint| !tolerates(tolerations, taint)).count() as i64
}

fn preferred_affinity(shape: &Shape, info: &NodeInfo) -> i64 {
    let affinity = shape.prototype.spec.affinity.as_ref().and_then(|it| it.node_affinity.as_ref());
    let preferred = affinity.map(|it| it.preferred.as_slice()).unwrap_or_default();
    preferred.iter().filter(|term| term_holds(&term.preference, &info.node)).map(|term| term.weight).sum()
}

fn more_is_better(raw: Vec<i64>) -> Vec<i64> {
    let most = raw.iter().copied().max().unwrap_or(0);
    raw.into_iter().map(|score| if most == 0 { 0 } else { score * 100 / most }).collect()
}

fn fewer_is_better(raw: Vec<i64>) -> Vec<i64> {
    let most = raw.iter().copied().max().unwrap_or(0);
    raw.into_iter().map(|score| if most == 0 { 100 } else { 100 - score * 100 / most }).collect()
}

/// PodTopologySpread: soft constraints of the pod, or, if it has none at all and an owner, the system's two.
fn spread(
    view: &View<'_>,
    bound: &[BoundPod<'_>],
    nodes: &[(&Str, &NodeInfo)],
    shape: &Shape,
    namespace: &str,
    owner: &Str,
) -> Option<Vec<i64>> {
    /// Counts of a constraint by domain; what a domain is; how much skew is nothing.
    struct Counted<'a> {
        key: &'a str,
        counts: BTreeMap<&'a str, i64>,
        max_skew: i64,
    }
    let constraints = &shape.prototype.spec.topology_spread_constraints;
    let mut counted: Vec<Counted<'_>> = Vec::new();
    if constraints.is_empty() {
        if owner.is_empty() {
            return None;
        }
        for (key, max_skew) in [(HOSTNAME, 3), (ZONE, 5)] {
            let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
            for info in view.nodes.values() {
                if let Some(domain) = info.node.metadata.labels.get(key) {
                    *counts.entry(domain).or_default() +=
                        info.owners.get(owner).map_or(0, |count| *count as i64);
                }
            }
            counted.push(Counted { key, counts, max_skew });
        }
    } else {
        let soft = |it: &&karpsim::model::core::TopologySpreadConstraint| {
            it.when_unsatisfiable == Some(WhenUnsatisfiable::ScheduleAnyway)
        };
        for constraint in constraints.iter().filter(soft) {
            let selector = spread_selector(constraint, shape);
            let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
            for other in bound.iter().filter(|other| other.namespace == namespace && !other.terminating) {
                if selects(selector.as_ref(), &other.shape.prototype.metadata.labels)
                    && let Some(info) = view.nodes.get(other.node)
                    && let Some(domain) = info.node.metadata.labels.get(&constraint.topology_key)
                {
                    *counts.entry(domain).or_default() += 1;
                }
            }
            counted.push(Counted { key: &constraint.topology_key, counts, max_skew: constraint.max_skew });
        }
        if counted.is_empty() {
            return None;
        }
    }
    let mut raw = vec![0.0_f64; nodes.len()];
    for constraint in &counted {
        let domains: BTreeSet<&str> =
            nodes.iter().filter_map(|(_, info)| info.node.metadata.labels.get(constraint.key)).collect();
        let weight = ((domains.len() + 2) as f64).ln();
        for (score, (_, info)) in raw.iter_mut().zip(nodes) {
            if let Some(domain) = info.node.metadata.labels.get(constraint.key) {
                let count = constraint.counts.get(domain).copied().unwrap_or(0);
                *score += count as f64 * weight + (constraint.max_skew - 1) as f64;
            }
        }
    }
    let raw: Vec<i64> = raw.into_iter().map(|score| score.round() as i64).collect();
    let (most, least) = (raw.iter().copied().max().unwrap_or(0), raw.iter().copied().min().unwrap_or(0));
    Some(
        raw.into_iter()
            .map(|score| if most == 0 { 100 } else { 100 * (most + least - score) / most })
            .collect(),
    )
}

/// InterPodAffinity: preferred terms of the pod, and terms of the pods that are there.
fn pod_affinity(
    view: &View<'_>,
    bound: &[BoundPod<'_>],
    nodes: &[(&Str, &NodeInfo)],
    shape: &Shape,
    namespace: &str,
) -> Vec<i64> {
    let mut weights: BTreeMap<(Str, Str), i64> = BTreeMap::new();
    let labels = &shape.prototype.metadata.labels;
    let own = shape.prototype.spec.affinity.as_ref();
    let mut count = |node: &str, key: &Str, weight: i64| {
        if let Some(value) = view.nodes.get(node).and_then(|info| info.node.metadata.labels.get(key)) {
            *weights.entry((key.clone(), value.into())).or_default() += weight;
        }
    };
    for other in bound {
        let theirs = other.shape.prototype.spec.affinity.as_ref();
        for (sign, own, theirs) in [
            (1, own.and_then(|it| it.pod_affinity.as_ref()), theirs.and_then(|it| it.pod_affinity.as_ref())),
            (
                -1,
                own.and_then(|it| it.pod_anti_affinity.as_ref()),
                theirs.and_then(|it| it.pod_anti_affinity.as_ref()),
            ),
        ] {
            for term in own.map(|it| it.preferred.as_slice()).unwrap_or_default() {
                let means = &term.pod_affinity_term;
                if term_selects(
                    means,
                    namespace,
                    view.namespaces,
                    other.namespace,
                    &other.shape.prototype.metadata.labels,
                ) {
                    count(other.node, &means.topology_key, sign * term.weight);
                }
            }
            for term in theirs.map(|it| it.preferred.as_slice()).unwrap_or_default() {
                let means = &term.pod_affinity_term;
                if term_selects(means, other.namespace, view.namespaces, namespace, labels) {
                    count(other.node, &means.topology_key, sign * term.weight);
                }
            }
            // A required affinity of a pod that is there counts a little.
            for term in theirs.filter(|_| sign > 0).map(|it| it.required.as_slice()).unwrap_or_default() {
                if term_selects(term, other.namespace, view.namespaces, namespace, labels) {
                    count(other.node, &term.topology_key, 1);
                }
            }
        }
    }
    let raw: Vec<i64> = nodes
        .iter()
        .map(|(_, info)| {
            let at = |((key, value), weight): (&(Str, Str), &i64)| {
                (info.node.metadata.labels.get(key) == Some(value.as_str())).then_some(*weight)
            };
            weights.iter().filter_map(at).sum()
        })
        .collect();
    let (most, least) = (raw.iter().copied().max().unwrap_or(0), raw.iter().copied().min().unwrap_or(0));
    let width = (most - least) as f64;
    raw.into_iter()
        .map(|score| if width > 0.0 { (100.0 * ((score - least) as f64 / width)) as i64 } else { 0 })
        .collect()
}
