//! A model of kube-scheduler: one pod at a time goes to the best node that can take it.
//!
//! Filters are those of the default profile as far as a replay needs them: cordon, taints, node selector and affinity,
//! host ports, resources, pod affinity and anti-affinity, topology spread. Scores follow the default plugins and their
//! weights; equal ones go to the smallest name. There is no preemption, and volumes are not looked at.

mod filter;
mod score;
mod selectors;
mod shape;

pub(crate) use filter::{matches_node, tolerated};
pub(crate) use selectors::selects;
pub(crate) use shape::{HostPort, Shape};

use karpsim::model::core::Node;
use karpsim::model::meta::{Labels, Str};
use karpsim::quantity::Quantity;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A pod's number: the n-th that was made.
pub(crate) type PodId = u64;

/// A node with what is on it.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeInfo {
    pub(crate) node: Arc<Node>,
    pub(crate) requested: FxHashMap<Str, Quantity>,
    /// cpu (milli) and memory (bytes) with defaults for containers that ask for none; scores use it.
    pub(crate) nonzero: (i64, i64),
    pub(crate) ports: Vec<HostPort>,
    pub(crate) pods: BTreeSet<PodId>,
    /// Pods of each owner.
    pub(crate) owners: BTreeMap<Str, usize>,
}

impl NodeInfo {
    pub(crate) fn add(&mut self, id: PodId, shape: &Shape, owner: &Str) {
        if !self.pods.insert(id) {
            return;
        }
        for (name, quantity) in &shape.requests {
            *self.requested.entry(name.clone()).or_default() += *quantity;
        }
        self.nonzero.0 += shape.nonzero.0;
        self.nonzero.1 += shape.nonzero.1;
        self.ports.extend(shape.ports.iter().cloned());
        *self.owners.entry(owner.clone()).or_default() += 1;
    }

    pub(crate) fn remove(&mut self, id: PodId, shape: &Shape, owner: &Str) {
        if !self.pods.remove(&id) {
            return;
        }
        for (name, quantity) in &shape.requests {
            if let Some(requested) = self.requested.get_mut(name) {
                *requested = *requested - *quantity;
            }
        }
        self.nonzero.0 -= shape.nonzero.0;
        self.nonzero.1 -= shape.nonzero.1;
        for port in &shape.ports {
            if let Some(place) = self.ports.iter().position(|held| held == port) {
                self.ports.swap_remove(place);
            }
        }
        if let Some(count) = self.owners.get_mut(owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(owner);
            }
        }
    }
}

/// A pod that is bound, as others see it.
pub(crate) struct BoundPod<'a> {
    pub(crate) shape: &'a Shape,
    pub(crate) namespace: &'a str,
    pub(crate) node: &'a str,
    pub(crate) terminating: bool,
}

/// What the scheduler sees.
pub(crate) struct View<'a> {
    pub(crate) nodes: &'a BTreeMap<Str, NodeInfo>,
    pub(crate) namespaces: &'a BTreeMap<Str, Labels>,
    /// All bound pods, if a constraint asks for them.
    pub(crate) bound: &'a dyn Fn() -> Vec<BoundPod<'a>>,
    /// Whether a bound pod has affinity or anti-affinity of its own.
    pub(crate) others_have_affinity: bool,
}

/// The node that a pod of `shape` goes to, if any can take it; of `only`, if it is given.
pub(crate) fn place(
    view: &View<'_>,
    shape: &Shape,
    namespace: &str,
    owner: &Str,
    only: Option<&Str>,
) -> Option<Str> {
    let mut feasible: Vec<(&Str, &NodeInfo)> = match only {
        Some(name) => {
            view.nodes.get_key_value(name).into_iter().filter(|(_, info)| filter::fits(shape, info)).collect()
        }
        None => view.nodes.iter().filter(|(_, info)| filter::fits(shape, info)).collect(),
    };
    if feasible.is_empty() {
        return None;
    }
    let bound =
        if shape.has_pod_constraints || view.others_have_affinity { (view.bound)() } else { Vec::new() };
    if shape.has_pod_constraints || view.others_have_affinity {
        let constraints = filter::PodConstraints::new(view, &bound, shape, namespace);
        feasible.retain(|(_, info)| constraints.allow(&info.node));
    }
    match feasible.as_slice() {
        [] => None,
        [(name, _)] => Some((*name).clone()),
        _ => score::best(view, &bound, &feasible, shape, namespace, owner),
    }
}
