//! Which nodes can take a pod.

use super::selectors::{selects, term_holds, term_selects};
use super::{BoundPod, NodeInfo, Shape, View};
use karpsim::kubernetes::taints::tolerates;
use karpsim::model::core::{
    Node, NodeInclusionPolicy, PodAffinity, PodAffinityTerm, PodSpec, Taint, TaintEffect, Toleration,
    TopologySpreadConstraint, WhenUnsatisfiable,
};
use karpsim::model::meta::{LabelSelector, Str};
use std::collections::{BTreeMap, BTreeSet};

/// Whether the node itself allows a pod of this shape: everything but other pods.
pub(crate) fn fits(shape: &Shape, info: &NodeInfo) -> bool {
    let spec = &shape.prototype.spec;
    let node = &*info.node;
    let allocatable = &node.status.allocatable;
    let enough = shape.requests.iter().all(|(name, asked)| {
        let has = allocatable.get(name).unwrap_or_default();
        info.requested.get(name).copied().unwrap_or_default() + *asked <= has
    });
    enough
        && (!node.spec.unschedulable || tolerates(&spec.tolerations, &cordon()))
        && tolerated(&spec.tolerations, &node.spec.taints)
        && matches_node(spec, node)
        && !shape.ports.iter().any(|port| info.ports.iter().any(|held| held.conflicts(port)))
}

fn cordon() -> Taint {
    Taint {
        key: "node.kubernetes.io/unschedulable".into(),
        effect: Some(TaintEffect::NoSchedule),
        ..Taint::default()
    }
}

/// Whether the tolerations cover all taints that keep pods away.
pub(crate) fn tolerated(tolerations: &[Toleration], taints: &[Taint]) -> bool {
    taints
        .iter()
        .filter(|taint| matches!(taint.effect, Some(TaintEffect::NoSchedule | TaintEffect::NoExecute)))
        .all(|taint| tolerates(tolerations, taint))
}

/// Node selector and required node affinity.
pub(crate) fn matches_node(spec: &PodSpec, node: &Node) -> bool {
    let labels = &node.metadata.labels;
    let required =
        spec.affinity.as_ref().and_then(|it| it.node_affinity.as_ref()).and_then(|it| it.required.as_ref());
    spec.node_selector.iter().all(|(key, value)| labels.get(key) == Some(value))
        && required
            .is_none_or(|selector| selector.node_selector_terms.iter().any(|term| term_holds(term, node)))
}

/// What other pods forbid.
pub(crate) struct PodConstraints<'a> {
    /// Topology key and values where a pod with anti-affinity stands, or one that this pod avoids.
    forbidden: BTreeSet<(Str, Str)>,
    /// For each required term of affinity: its key and the values where it holds; `None`: nothing asked.
    wanted: Vec<(Str, BTreeSet<Str>)>,
    /// No pod is there yet that the terms mean, but this one is such a pod itself.
    first_of_its_kind: bool,
    spread: Vec<Spread<'a>>,
}

struct Spread<'a> {
    constraint: &'a TopologySpreadConstraint,
    counts: BTreeMap<Str, i64>,
    least: i64,
    own: i64,
}

impl<'a> PodConstraints<'a> {
    pub(crate) fn new(view: &View<'_>, bound: &[BoundPod<'_>], shape: &'a Shape, namespace: &str) -> Self {
        let pod = &*shape.prototype;
        let affinity = pod.spec.affinity.as_ref();
        let required =
            |affinity: Option<&'a PodAffinity>| affinity.map(|it| it.required.as_slice()).unwrap_or_default();
        let near = required(affinity.and_then(|it| it.pod_affinity.as_ref()));
        let away = required(affinity.and_then(|it| it.pod_anti_affinity.as_ref()));
        let domain = |node: &str, key: &str| -> Option<Str> {
            view.nodes.get(node)?.node.metadata.labels.get(key).map(Str::from)
        };
        let labels = &pod.metadata.labels;
        let means = |term: &PodAffinityTerm, other: &BoundPod<'_>| {
            term_selects(
                term,
                namespace,
                view.namespaces,
                other.namespace,
                &other.shape.prototype.metadata.labels,
            )
        };
        let mut forbidden = BTreeSet::new();
        for other in bound {
            for term in away.iter().filter(|term| means(term, other)) {
                if let Some(value) = domain(other.node, &term.topology_key) {
                    forbidden.insert((term.topology_key.clone(), value));
                }
            }
            let theirs =
                other.shape.prototype.spec.affinity.as_ref().and_then(|it| it.pod_anti_affinity.as_ref());
            for term in theirs.map(|it| it.required.as_slice()).unwrap_or_default() {
                if term_selects(term, other.namespace, view.namespaces, namespace, labels)
                    && let Some(value) = domain(other.node, &term.topology_key)
                {
                    forbidden.insert((term.topology_key.clone(), value));
                }
            }
        }
        let mut wanted: Vec<(Str, BTreeSet<Str>)> =
            near.iter().map(|term| (term.topology_key.clone(), BTreeSet::new())).collect();
        let mut found = false;
        // A pod counts only if all terms mean it.
        for other in
            bound.iter().filter(|other| !near.is_empty() && near.iter().all(|term| means(term, other)))
        {
            for (key, values) in &mut wanted {
                if let Some(value) = domain(other.node, key) {
                    values.insert(value);
                    found = true;
                }
            }
        }
        let itself =
            near.iter().all(|term| term_selects(term, namespace, view.namespaces, namespace, labels));
        let spread = pod
            .spec
            .topology_spread_constraints
            .iter()
            .filter(|it| it.when_unsatisfiable != Some(WhenUnsatisfiable::ScheduleAnyway))
            .map(|constraint| Spread::new(view, bound, shape, namespace, constraint))
            .collect();
        PodConstraints { forbidden, wanted, first_of_its_kind: !found && itself, spread }
    }

    pub(crate) fn allow(&self, node: &Node) -> bool {
        let labels = &node.metadata.labels;
        let forbidden = self.forbidden.iter().any(|(key, value)| labels.get(key) == Some(value.as_str()));
        let near = self.wanted.iter().all(|(key, values)| {
            labels.get(key).is_some_and(|value| self.first_of_its_kind || values.contains(value))
        });
        !forbidden && near && self.spread.iter().all(|spread| spread.allows(node))
    }
}

/// The selector of a constraint, narrowed by the labels that `matchLabelKeys` names.
pub(crate) fn spread_selector(constraint: &TopologySpreadConstraint, shape: &Shape) -> Option<LabelSelector> {
    let mut selector = constraint.label_selector.clone()?;
    for key in &constraint.match_label_keys {
        if let Some(value) = shape.prototype.metadata.labels.get(key) {
            selector.match_labels.insert(key.clone(), value);
        }
    }
    Some(selector)
}

impl<'a> Spread<'a> {
    fn new(
        view: &View<'_>,
        bound: &[BoundPod<'_>],
        shape: &Shape,
        namespace: &str,
        constraint: &'a TopologySpreadConstraint,
    ) -> Self {
        let selector = spread_selector(constraint, shape);
        let spec = &shape.prototype.spec;
        let counted = |node: &Node| {
            let affinity = constraint.node_affinity_policy == Some(NodeInclusionPolicy::Ignore)
                || matches_node(spec, node);
            let taints = constraint.node_taints_policy != Some(NodeInclusionPolicy::Honor)
                || tolerated(&spec.tolerations, &node.spec.taints);
            affinity && taints
        };
        let mut counts: BTreeMap<Str, i64> = BTreeMap::new();
        for info in view.nodes.values().filter(|info| counted(&info.node)) {
            if let Some(value) = info.node.metadata.labels.get(&constraint.topology_key) {
                counts.entry(value.into()).or_default();
            }
        }
        for other in bound {
            if other.namespace == namespace
                && !other.terminating
                && selects(selector.as_ref(), &other.shape.prototype.metadata.labels)
                && let Some(info) = view.nodes.get(other.node).filter(|info| counted(&info.node))
                && let Some(count) = info
                    .node
                    .metadata
                    .labels
                    .get(&constraint.topology_key)
                    .and_then(|value| counts.get_mut(value))
            {
                *count += 1;
            }
        }
        let few = constraint.min_domains.is_some_and(|least| (counts.len() as i64) < least);
        let least = if few { 0 } else { counts.values().copied().min().unwrap_or(0) };
        let own = i64::from(selects(selector.as_ref(), &shape.prototype.metadata.labels));
        Spread { constraint, counts, least, own }
    }

    fn allows(&self, node: &Node) -> bool {
        let Some(value) = node.metadata.labels.get(&self.constraint.topology_key) else { return false };
        let count = self.counts.get(value).copied().unwrap_or(0);
        count + self.own - self.least <= self.constraint.max_skew
    }
}
