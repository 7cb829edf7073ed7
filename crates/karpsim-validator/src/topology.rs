//! Topology spread and pod affinity among the pods where they end up ("Pod Topology Spread Constraints", "Inter-pod
//! affinity and anti-affinity").
//!
//! The rules of Kubernetes speak of the moment at which a pod is placed; a decision does not say in which order its pods
//! were. So that is checked which holds whatever the order was.
//!
//! Looser than Kubernetes:
//! - Karpenter counts a pod in a domain only if that domain was decided when the pod was placed. That is certain of nodes
//!   that stand, of hostnames, of keys for which NodePool or pod list values, and of keys of the pod's own constraints.
//! - Pods with like constraints share one count even if their node selectors differ in values, and the first of them says
//!   which nodes are counted. A pod counts for certain only on a node that all of them could use.
//! - Where a pod loses a node affinity term, or comes to tolerate `PreferNoSchedule`, its constraints are counted anew, and
//!   nothing that was placed before in the round is in that count.
//! - Of a new node only those labels say whether it is counted on that were decided when the counted pod came.
//! - The fewest is looked for among the domains that the pod's own node selector allows, even if `nodeAffinityPolicy` is
//!   `Ignore`.
//! - A pod that wants to be near pods like itself begins anew where its own node selector keeps it from all of them.
//! - Pods on a node that leaves do not count at their old place if they are placed anew.

use crate::decided::Decided;
use crate::labels::{Names, NodeLabels};
use crate::launches::{is_usable, keys_listed_by_pool, launched_labels};
use crate::selectors::{Asked, selects};
use crate::sites::{is_pending, is_terminal, name_of, sites};
use crate::taints::first_untolerated;
use karpsim::kubernetes::labels::HOSTNAME;
use karpsim::model::core::{
    NodeInclusionPolicy, Pod, PodAffinity, PodAffinityTerm, Taint, TaintEffect, TopologySpreadConstraint,
    WhenUnsatisfiable,
};
use karpsim::model::meta::{LabelSelector, LabelSelectorRequirement, Operator, SelectorOperator};
use karpsim::scenario::Scenario;
use std::collections::{BTreeMap, BTreeSet};

/// A node once the decision is carried out.
struct Place {
    name: String,
    labels: NodeLabels,
    taints: Vec<Taint>,
    /// Keys that were decided from the start; `None`: all.
    listed: Option<BTreeSet<String>>,
    /// Whether it is a node that stays, or a new one.
    stays: bool,
    /// Whether it is a node already, and not only on its way.
    stands: bool,
}

/// A pod on a node.
struct Placed<'a> {
    pod: &'a Pod,
    at: usize,
    /// Whether the decision put it there.
    new: bool,
    /// Whether its own constraints are kept.
    bound: bool,
}

struct World<'a> {
    scenario: &'a Scenario,
    names: Names,
    places: Vec<Place>,
    pods: Vec<Placed<'a>>,
    /// Pods that were to be placed and were not.
    failed: Vec<&'a Pod>,
}

pub(crate) fn violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let world = World::new(scenario, decision);
    let mut found = Vec::new();
    for (index, placed) in world.pods.iter().enumerate().filter(|(_, placed)| placed.bound) {
        for term in required(placed.pod, |affinity| &affinity.pod_anti_affinity) {
            found.extend(world.too_near(index, placed, term));
        }
        if !placed.new {
            continue;
        }
        for term in required(placed.pod, |affinity| &affinity.pod_affinity) {
            found.extend(world.too_far(index, placed, term));
        }
        for constraint in hard_constraints(placed.pod) {
            found.extend(world.skewed(placed, constraint));
        }
    }
    found
}

/// The required terms of a pod's affinity, or anti-affinity.
fn required(
    pod: &Pod,
    which: fn(&karpsim::model::core::Affinity) -> &Option<PodAffinity>,
) -> &[PodAffinityTerm] {
    let affinity = pod.spec.affinity.as_ref().and_then(|affinity| which(affinity).as_ref());
    affinity.map(|affinity| affinity.required.as_slice()).unwrap_or_default()
}

fn hard_constraints(pod: &Pod) -> impl Iterator<Item = &TopologySpreadConstraint> {
    let all = pod.spec.topology_spread_constraints.iter();
    all.filter(|constraint| constraint.when_unsatisfiable == Some(WhenUnsatisfiable::DoNotSchedule))
}

/// The keys of a pod's hard constraints.
fn own_keys(pod: &Pod) -> impl Iterator<Item = &str> {
    let near = required(pod, |affinity| &affinity.pod_affinity).iter();
    let away = required(pod, |affinity| &affinity.pod_anti_affinity).iter();
    let spread = hard_constraints(pod).map(|constraint| constraint.topology_key.as_str());
    near.chain(away).map(|term| term.topology_key.as_str()).chain(spread)
}

impl<'a> World<'a> {
    fn new(scenario: &'a Scenario, decision: &Decided) -> Self {
        let names = Names::new(&scenario.catalogue);
        let mut promised: BTreeMap<&str, usize> = BTreeMap::new();
        let mut places = Vec::new();
        let (mut pods, mut failed) = (Vec::new(), Vec::new());
        let nodes: BTreeSet<&str> =
            scenario.objects.nodes.iter().map(|node| node.metadata.name.as_str()).collect();
        let sites = sites(scenario);
        for (at, site) in sites.iter().enumerate() {
            let filled = decision.existing_nodes.iter().filter(|node| node.name == site.name);
            promised.extend(filled.flat_map(|node| &node.pods).map(|pod| (pod.as_str(), at)));
            let mut labels = site.labels.clone();
            if labels.get(HOSTNAME).is_none() {
                labels.insert(HOSTNAME, site.name);
            }
            places.push(Place {
                name: site.name.to_owned(),
                labels: NodeLabels::standing(&names, &labels),
                taints: site.all_taints.to_vec(),
                listed: None,
                stays: !site.leaves,
                stands: nodes.contains(site.name),
            });
        }
        for (index, claim) in decision.new_node_claims.iter().enumerate() {
            let host = format!("new node {index}");
            let mut labels = launched_labels(scenario, &names, claim).unwrap_or_default();
            labels.0.insert(HOSTNAME.to_owned(), crate::labels::Label::OneOf(BTreeSet::from([host.clone()])));
            promised.extend(claim.pods.iter().map(|pod| (pod.as_str(), places.len())));
            let pool = scenario.objects.node_pools.iter().find(|pool| pool.metadata.name == claim.node_pool);
            let mut listed = keys_listed_by_pool(scenario, &names, claim);
            listed.insert(HOSTNAME.to_owned());
            places.push(Place {
                name: host,
                labels,
                taints: pool.map(|pool| pool.spec.template.spec.taints.clone()).unwrap_or_default(),
                listed: Some(listed),
                stays: true,
                stands: true,
            });
        }
        for pod in &scenario.objects.pods {
            let name = name_of(pod);
            if let Some(at) = promised.get(name.as_str()) {
                pods.push(Placed { pod, at: *at, new: true, bound: true });
            } else if decision.pod_errors.contains_key(&name) {
                failed.push(&**pod);
            } else if !is_pending(pod) {
                let here = |site: &&crate::sites::Site<'_>| {
                    site.pods.iter().any(|it| std::ptr::eq::<Pod>(*it, &**pod))
                };
                let ends = is_terminal(pod) || pod.metadata.deletion_timestamp.is_some();
                if let Some(at) = sites.iter().position(|site| here(&site)).filter(|_| !ends) {
                    pods.push(Placed { pod, at, new: false, bound: true });
                }
            }
        }
        World { scenario, names, places, pods, failed }
    }

    /// The domain of a pod's node.
    fn domain(&self, placed: &Placed<'_>, key: &str) -> Option<&str> {
        self.places[placed.at].labels.value(key)
    }

    /// The domain that the pod is certain to have been counted in.
    fn counted_domain(&self, placed: &Placed<'_>, key: &str) -> Option<&str> {
        let place = &self.places[placed.at];
        let asked = Asked::of(placed.pod);
        let lists = |asked: &karpsim::model::core::NodeSelectorRequirement| {
            asked.operator == Some(Operator::In) && self.names.of(&asked.key) == key
        };
        let decided = place.listed.as_ref().is_none_or(|listed| listed.contains(key))
            || asked.always.iter().any(lists)
            || (!asked.either.is_empty() && asked.either.iter().all(|term| term.iter().any(lists)))
            || (placed.bound && own_keys(placed.pod).any(|own| self.names.of(own) == key));
        self.domain(placed, key).filter(|_| decided)
    }

    /// Whether the term of `owner` speaks of `other`.
    fn speaks_of(&self, owner: &Pod, term: &PodAffinityTerm, other: &Pod) -> bool {
        let namespace = &other.metadata.namespace;
        let named = term.namespaces.contains(namespace);
        let selected = term.namespace_selector.as_ref().is_some_and(|selector| {
            let mut all = self.scenario.objects.namespaces.iter();
            all.any(|it| it.metadata.name == *namespace && selects(Some(selector), &it.metadata.labels))
        });
        let own = term.namespaces.is_empty()
            && term.namespace_selector.is_none()
            && owner.metadata.namespace == *namespace;
        (named || selected || own) && selects(term.label_selector.as_ref(), &other.metadata.labels)
    }

    /// Anti-affinity: no pod that the term speaks of is in the same domain, whichever of both came first.
    fn too_near(&self, index: usize, placed: &Placed<'_>, term: &PodAffinityTerm) -> Option<String> {
        let key = self.names.of(&term.topology_key);
        let domain = self.counted_domain(placed, &key)?;
        let other = self.pods.iter().enumerate().find(|(other_index, other)| {
            *other_index != index
                && (placed.new || other.new)
                && self.speaks_of(placed.pod, term, other.pod)
                && self.counted_domain(other, &key) == Some(domain)
        })?;
        Some(format!("pods {} and {} are both in {key} {domain}", name_of(placed.pod), name_of(other.1.pod)))
    }

    /// Affinity: a pod that the term speaks of is in the same domain, unless the pod is the first of its own kind.
    fn too_far(&self, index: usize, placed: &Placed<'_>, term: &PodAffinityTerm) -> Option<String> {
        let key = self.names.of(&term.topology_key);
        let Some(domain) = self.domain(placed, &key) else {
            return Some(format!("pod {} is on a node without {key}", name_of(placed.pod)));
        };
        let others = || {
            let all = self.pods.iter().enumerate().filter(|(other, _)| *other != index);
            all.map(|(_, other)| other).filter(|other| self.speaks_of(placed.pod, term, other.pod))
        };
        if others().any(|other| self.domain(other, &key) == Some(domain)) {
            return None;
        }
        let alone = format!("pod {} is alone in {key} {domain}", name_of(placed.pod));
        if !self.speaks_of(placed.pod, term, placed.pod) {
            return Some(alone);
        }
        // The first of its kind may be alone; then no other can have been there before, where this one could have gone.
        let earlier = others().find(|other| {
            let Some(there) = self.counted_domain(other, &key) else { return false };
            let also_alone = required(other.pod, |affinity| &affinity.pod_affinity).iter().any(|of_other| {
                self.names.of(&of_other.topology_key) == key
                    && self.speaks_of(other.pod, of_other, placed.pod)
            });
            self.may_go(placed.pod, &key, there)
                && (!other.new || (also_alone && self.may_go(other.pod, &key, domain)))
        })?;
        Some(format!("{alone}, but {} was to be joined", name_of(earlier.pod)))
    }

    /// Spread: no domain has more of the counted pods than `maxSkew` above the domain with the fewest.
    fn skewed(&self, placed: &Placed<'_>, constraint: &TopologySpreadConstraint) -> Option<String> {
        let key = self.names.of(&constraint.topology_key);
        let Some(domain) = self.domain(placed, &key) else {
            return Some(format!("pod {} is spread by {key}, which its node has not", name_of(placed.pod)));
        };
        let selector = selector_of(placed.pod, constraint);
        // Pods of the round with a like constraint, wherever they went.
        let like = |pod: &Pod| {
            pod.metadata.namespace == placed.pod.metadata.namespace
                && hard_constraints(pod).any(|other| {
                    self.names.of(&other.topology_key) == key
                        && other.max_skew == constraint.max_skew
                        && selector_of(pod, other) == selector
                })
        };
        let round =
            self.failed.iter().copied().chain(self.pods.iter().filter(|pod| pod.new).map(|pod| pod.pod));
        let peers: Vec<&Pod> = round.filter(|pod| like(pod)).collect();
        let is_certain = |place: &Place| peers.iter().all(|peer| self.is_counted_on(place, peer, constraint));
        let certain: Vec<bool> = self.places.iter().map(is_certain).collect();
        let counted = |pod: &Placed<'_>| {
            pod.pod.metadata.namespace == placed.pod.metadata.namespace
                && selects(selector.as_ref(), &pod.pod.metadata.labels)
        };
        let in_time =
            |pod: &Placed<'_>| !pod.new || peers.iter().all(|peer| self.was_known(pod, peer, constraint));
        let here = |pod: &&Placed<'_>| {
            counted(pod) && certain[pod.at] && in_time(pod) && self.domain(pod, &key) == Some(domain)
        };
        let is_recounted = peers.iter().any(|peer| self.may_be_recounted(peer));
        let is_there = |pod: &&Placed<'_>| !pod.new || (pod.bound && like(pod.pod) && !is_recounted);
        let count = self.pods.iter().filter(is_there).filter(here).count();

        let eligible = |leaving: bool| -> BTreeSet<&str> {
            let all = self.places.iter().zip(&certain);
            all.filter(|(place, certain)| **certain && place.stands && (place.stays || leaving))
                .filter_map(|(place, _)| place.labels.value(&key))
                .filter(|domain| peers.iter().all(|peer| self.may_go(peer, &key, domain)))
                .collect()
        };
        let at_most = |domain: &str| {
            self.pods
                .iter()
                .filter(|pod| counted(pod) && self.places[pod.at].labels.may_be(&key, domain))
                .count()
        };
        let fewest = eligible(false).into_iter().map(at_most).min()?;
        let of_peer = |peer: &&Pod| {
            let own = hard_constraints(peer).filter(|other| self.names.of(&other.topology_key) == key);
            own.map(|other| other.min_domains.unwrap_or(0)).min().unwrap_or(0)
        };
        let domains_min = peers.iter().map(of_peer).min().unwrap_or(0);
        let fewest = if (eligible(true).len() as i64) < domains_min { 0 } else { fewest };
        let skew = count as i64 - fewest as i64;
        (skew > constraint.max_skew).then(|| {
            let place = &self.places[placed.at].name;
            format!(
                "pod {} on {place}: skew {skew} in {key} {domain} ({count} against {fewest})",
                name_of(placed.pod)
            )
        })
    }

    /// Whether the pod's node selector allows that value of the key.
    fn may_go(&self, pod: &Pod, key: &str, to: &str) -> bool {
        Asked::of(pod).allows(key, to, &|key| self.names.of(key))
    }

    /// Whether a relaxation of the pod can make its constraints others.
    fn may_be_recounted(&self, pod: &Pod) -> bool {
        let pools = self.scenario.objects.node_pools.iter().filter(|pool| is_usable(pool));
        let mut taints = pools.flat_map(|pool| &pool.spec.template.spec.taints);
        Asked::of(pod).either.len() > 1
            || taints.any(|taint| taint.effect == Some(TaintEffect::PreferNoSchedule))
    }

    /// Whether the labels that `peer` asks for were decided on the node when `placed` came there.
    fn was_known(&self, placed: &Placed<'_>, peer: &Pod, constraint: &TopologySpreadConstraint) -> bool {
        let asked = Asked::of(peer);
        let mut keys =
            asked.always.iter().chain(asked.either.iter().flatten()).map(|it| self.names.of(&it.key));
        constraint.node_affinity_policy == Some(NodeInclusionPolicy::Ignore)
            || keys.all(|key| self.counted_domain(placed, &key).is_some())
    }

    /// Whether pods on the node count for a constraint of `pod`.
    fn is_counted_on(&self, place: &Place, pod: &Pod, constraint: &TopologySpreadConstraint) -> bool {
        let suits = || Asked::of(pod).met(|expression| place.labels.meet(&self.names, expression));
        let tolerates = || first_untolerated(&place.taints, &pod.spec.tolerations).is_none();
        (constraint.node_affinity_policy == Some(NodeInclusionPolicy::Ignore) || suits())
            && (constraint.node_taints_policy != Some(NodeInclusionPolicy::Honor) || tolerates())
    }
}

/// The selector of a constraint with what `matchLabelKeys` adds to it.
fn selector_of(pod: &Pod, constraint: &TopologySpreadConstraint) -> Option<LabelSelector> {
    let mut selector = constraint.label_selector.clone()?;
    for key in &constraint.match_label_keys {
        if let Some(value) = pod.metadata.labels.get(key) {
            let expression = LabelSelectorRequirement {
                key: key.clone(),
                operator: Some(SelectorOperator::In),
                values: vec![value.into()],
                ..LabelSelectorRequirement::default()
            };
            if !selector.match_expressions.contains(&expression) {
                selector.match_expressions.push(expression);
            }
        }
    }
    Some(selector)
}
