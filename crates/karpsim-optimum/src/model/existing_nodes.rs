//! Existing nodes that may be given up, with what they cost, and pods with the nodes they are on.

use crate::model::slots::Place;
use crate::result::answer::Answer;
use rustc_hash::FxHashMap;

/// Nodes and pods of a running cluster that may move. Nothing of it where pending pods alone are placed.
#[derive(Debug, Clone, Default)]
pub(crate) struct ExistingNodes {
    /// What each node costs that may go, in nano-dollars an hour; all others stay, and cost nothing here.
    pub(crate) prices: FxHashMap<usize, i64>,
    /// The node that each pod is on that may be evicted.
    pub(crate) homes: FxHashMap<usize, usize>,
    /// So many pods may be evicted.
    pub(crate) evictions_max: Option<usize>,
    /// So many nodes may go.
    pub(crate) removals_max: Option<usize>,
}

impl ExistingNodes {
    /// What a node of the state costs.
    pub(crate) fn price(&self, node: usize) -> i64 {
        self.prices.get(&node).copied().unwrap_or(0)
    }

    /// Whether nodes may be kept though no pod is on them: the number that may go is limited.
    pub(crate) fn keeps_idle(&self, node: usize) -> bool {
        self.removals_max.is_some() && self.prices.contains_key(&node)
    }

    /// Pods that an answer evicts.
    pub(crate) fn evicted(&self, answer: &Answer) -> Vec<usize> {
        let mut evicted: Vec<usize> = answer
            .nodes
            .iter()
            .flat_map(|node| node.pods.iter().map(|&pod| (pod, node.place)))
            .filter(|(pod, place)| {
                self.homes.get(pod).is_some_and(|home| *place != Place::Existing { node: *home })
            })
            .map(|(pod, _)| pod)
            .chain(answer.unplaced.iter().copied().filter(|pod| self.homes.contains_key(pod)))
            .collect();
        evicted.sort_unstable();
        evicted
    }

    /// Nodes that an answer removes.
    pub(crate) fn removed(&self, answer: &Answer) -> Vec<usize> {
        let kept = |node: usize| answer.nodes.iter().any(|planned| planned.place == Place::Existing { node });
        let mut removed: Vec<usize> = self.prices.keys().copied().filter(|&node| !kept(node)).collect();
        removed.sort_unstable();
        removed
    }

    /// What the nodes cost that an answer keeps though they may go.
    pub(crate) fn kept(&self, answer: &Answer) -> i64 {
        let nodes = answer.nodes.iter();
        nodes
            .map(|node| match node.place {
                Place::Existing { node } => self.price(node),
                Place::New { .. } => 0,
            })
            .sum()
    }

    /// Whether an answer keeps to what may be evicted and removed.
    pub(crate) fn allows(&self, answer: &Answer) -> bool {
        self.evictions_max.is_none_or(|most| self.evicted(answer).len() <= most)
            && self.removals_max.is_none_or(|most| self.removed(answer).len() <= most)
            && answer.unplaced.iter().all(|pod| !self.homes.contains_key(pod))
    }
}
