//! How many nodes of a group it takes for some pods.
//!
//! First fit, decreasing: groups of pods by size, largest first; of each, the pods in turn on the new nodes there are,
//! and when one fits on none, on a further node. What is put where is forgotten afterwards.

use crate::nodes::HOSTNAME;
use crate::pods::{PodRef, milli, selects};
use crate::predicates::{Predicates, Refusal};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::templates::fresh_node;
use karpsim::go_sort::sort_slice;
use karpsim::kubernetes::requests::pod_requests;
use karpsim::model::core::{Node, Pod, PodAffinityTerm};
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use std::collections::BTreeSet;

/// How many nodes an estimate may add. `None`: any number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeLimit {
    most: Option<i64>,
    added: i64,
}

impl NodeLimit {
    /// The least of several limits. A limit of 0 is none, one below 0 allows no node.
    pub(crate) fn least(limits: &[i64]) -> Self {
        let most = if limits.iter().any(|limit| *limit < 0) {
            Some(0)
        } else {
            limits.iter().copied().filter(|limit| *limit > 0).min()
        };
        NodeLimit { most, added: 0 }
    }

    fn permits_one_more(&mut self) -> bool {
        if self.most.is_some_and(|most| self.added >= most) {
            return false;
        }
        self.added += 1;
        true
    }
}

/// What an estimate comes to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Estimate {
    /// Nodes with pods.
    pub(crate) nodes: i64,
    /// Pods that found room.
    pub(crate) pods: Vec<PodRef>,
}

/// Estimates how many nodes like `template` the groups of pods need.
pub(crate) fn estimate<P: Predicates>(
    snapshot: &mut Snapshot<P>,
    groups: &[&[PodRef]],
    template: &NodeInfo,
    limit: NodeLimit,
    fast_path: bool,
) -> Estimate {
    let mut groups = by_size(groups, &template.node);
    let reckoned = if fast_path { saves_most(&groups, &template.node) } else { None };
    if let Some(at) = reckoned {
        let group = groups.remove(at);
        groups.push(group);
    }
    snapshot.fork();
    let mut packing = Packing {
        snapshot,
        template,
        limit,
        scheduled: Vec::new(),
        new_nodes: BTreeSet::new(),
        with_pods: BTreeSet::new(),
        last: None,
    };
    let mut new_nodes = true;
    let last = groups.len().saturating_sub(1);
    for (at, group) in groups.into_iter().enumerate() {
        let rest = packing.fill_new_nodes(group);
        if new_nodes {
            new_nodes = if at == last && reckoned.is_some() {
                packing.fill_one_and_reckon(rest)
            } else {
                packing.add_nodes_for(rest)
            };
        }
    }
    let estimate =
        Estimate { nodes: packing.with_pods.len() as i64, pods: std::mem::take(&mut packing.scheduled) };
    packing.snapshot.revert();
    estimate
}

/// The groups by the first pod's share of the node's cpu and memory, largest first.
fn by_size<'a>(groups: &[&'a [PodRef]], node: &Node) -> Vec<&'a [PodRef]> {
    let mut scored: Vec<(f64, &[PodRef])> =
        groups.iter().map(|group| (score(&group[0], node), *group)).collect();
    sort_slice(&mut scored, |a, b| a.0 > b.0);
    scored.into_iter().map(|(_, group)| group).collect()
}

fn score(pod: &Pod, node: &Node) -> f64 {
    let requests = pod_requests(pod);
    let share = |resource: &str, count: fn(Quantity) -> i64| {
        let allocatable = node.status.allocatable.get(resource).map_or(0, count);
        let requested = requests.get(resource).map_or(0, |amount| count(*amount));
        (allocatable > 0).then(|| requested as f64 / allocatable as f64)
    };
    let mut score = 0.0;
    score += share("cpu", milli).unwrap_or(0.0);
    score += share("memory", Quantity::units_rounded_up).unwrap_or(0.0);
    score
}

/// The group for which it saves most to fill one node and reckon the others; the later of equals.
fn saves_most(groups: &[&[PodRef]], node: &Node) -> Option<usize> {
    let mut best = None;
    let mut most = 0;
    for (at, group) in groups.iter().enumerate() {
        let nodes = rough_nodes(group, node);
        let pods = group.len() as i64;
        let saved = if nodes > 0 { pods - pods / nodes } else { 0 };
        if saved >= most && can_be_reckoned(&group[0]) {
            most = saved;
            best = Some(at);
        }
    }
    best
}

fn anti_affinity(pod: &Pod) -> &[PodAffinityTerm] {
    pod.spec
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.pod_anti_affinity.as_ref())
        .map_or(&[], |anti_affinity| &anti_affinity.required)
}

/// How many nodes the group needs at least, by capacity, or because its pods keep away from each other.
fn rough_nodes(group: &[PodRef], node: &Node) -> i64 {
    let pod = &group[0];
    let pods = group.len() as i64;
    let repelled = anti_affinity(pod).iter().any(|term| {
        term.topology_key == HOSTNAME && selects(term.label_selector.as_ref(), &pod.metadata.labels)
    });
    let requests = pod.spec.containers.first().map(|container| &container.resources.requests);
    let needs = |resource: &str| {
        let requested = requests?.get(resource).unwrap_or_default();
        let capacity = node.status.capacity.get(resource).unwrap_or_default();
        let nodes = (pods as f64 * as_double(requested) / as_double(capacity)).ceil();
        // Of a resource that the node has not got, nothing can be reckoned.
        Some(if nodes.is_finite() { nodes as i64 } else { 0 })
    };
    let asked = requests.is_some_and(|requests| !requests.is_empty());
    let by_amount = if asked { needs("cpu").max(needs("memory")).unwrap_or(0) } else { 0 };
    by_amount.max(if repelled { pods } else { 0 })
}

/// As apimachinery makes a double of a quantity: of whole units, or of thousandths times 0.001.
fn as_double(quantity: Quantity) -> f64 {
    const NANOS_A_UNIT: i128 = 1_000_000_000;
    if quantity.nanos() % NANOS_A_UNIT == 0 {
        quantity.units_rounded_up() as f64
    } else {
        milli(quantity) as f64 * 0.001
    }
}

/// Whether a further node takes as many pods as the first.
fn can_be_reckoned(pod: &Pod) -> bool {
    pod.spec.topology_spread_constraints.is_empty()
        && anti_affinity(pod).iter().all(|term| term.topology_key == HOSTNAME)
}

fn spreads_by_host(pod: &Pod) -> bool {
    pod.spec.topology_spread_constraints.iter().any(|constraint| constraint.topology_key == HOSTNAME)
}

/// An estimate that is being made.
struct Packing<'a, P> {
    snapshot: &'a mut Snapshot<P>,
    template: &'a NodeInfo,
    limit: NodeLimit,
    scheduled: Vec<PodRef>,
    new_nodes: BTreeSet<Str>,
    with_pods: BTreeSet<Str>,
    last: Option<Str>,
}

impl<P: Predicates> Packing<'_, P> {
    fn put(&mut self, pod: &PodRef, node: Str) {
        self.with_pods.insert(node);
        self.scheduled.push(pod.clone());
    }

    /// Puts pods in turn on the new nodes, until one fits on none. Returns the rest.
    fn fill_new_nodes<'p>(&mut self, pods: &'p [PodRef]) -> &'p [PodRef] {
        for (at, pod) in pods.iter().enumerate() {
            let new_nodes = &self.new_nodes;
            match self.snapshot.schedule_anywhere(pod, |info| new_nodes.contains(info.name())) {
                Some(node) => self.put(pod, node),
                None => return &pods[at..],
            }
        }
        &[]
    }

    /// Puts pods on the last node, or else on one more. Returns whether further nodes may be tried for other groups.
    fn add_nodes_for(&mut self, pods: &[PodRef]) -> bool {
        for pod in pods {
            if self.put_on_last(pod) {
                continue;
            }
            // A pod that an empty node cannot take, no node can.
            if self.last.as_ref().is_some_and(|last| !self.with_pods.contains(last)) {
                return true;
            }
            if !self.limit.permits_one_more() {
                return false;
            }
            let node = self.add_node();
            if self.snapshot.schedule_on(pod, &node).is_err() {
                break;
            }
            self.put(pod, node);
        }
        true
    }

    fn put_on_last(&mut self, pod: &PodRef) -> bool {
        let Some(last) = self.last.clone() else { return false };
        match self.snapshot.schedule_on(pod, &last) {
            Ok(()) => {
                self.put(pod, last);
                true
            }
            // With spreading over hosts an emptier node may do, and it need not be a new one.
            Err(Refusal::TopologySpread) if spreads_by_host(pod) => {
                match self.snapshot.schedule_anywhere(pod, |info| *info.name() != last) {
                    Some(node) => {
                        self.put(pod, node);
                        true
                    }
                    None => false,
                }
            }
            Err(_) => false,
        }
    }

    /// Fills one node and reckons with as many pods on each further one.
    fn fill_one_and_reckon(&mut self, pods: &[PodRef]) -> bool {
        if pods.is_empty() {
            return true;
        }
        if !self.limit.permits_one_more() {
            return false;
        }
        let node = self.add_node();
        let mut fitted = 0;
        for pod in pods {
            if self.snapshot.schedule_on(pod, &node).is_err() {
                break;
            }
            self.put(pod, node.clone());
            fitted += 1;
        }
        if fitted == 0 {
            return true;
        }
        for (at, more) in pods[fitted..].chunks(fitted).enumerate() {
            if !self.limit.permits_one_more() {
                return false;
            }
            for pod in more {
                self.put(pod, format!("{node}-reckoned-{at}").into());
            }
        }
        true
    }

    fn add_node(&mut self) -> Str {
        let info = fresh_node(self.template, &format!("e-{}", self.new_nodes.len()));
        let name = info.name().clone();
        self.snapshot.add_node(info);
        self.new_nodes.insert(name.clone());
        self.last = Some(name.clone());
        name
    }
}
