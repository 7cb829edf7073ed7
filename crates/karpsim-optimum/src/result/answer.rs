//! Answers: which pods are on which nodes, apart from any model.

use crate::model::existing_nodes::ExistingNodes;
use crate::model::slots::Place;
use crate::money::nanos;
use karpsim::compile::ClusterState;
use karpsim::requirements::{KeyId, ValueId};
use std::collections::BTreeMap;

/// A node with the pods that it gets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedNode {
    /// Where.
    pub(crate) place: Place,
    /// Labels that could be several things and are to be this.
    pub(crate) chosen: Vec<(KeyId, ValueId)>,
    /// Pods, as indexes into the scenario's.
    pub(crate) pods: Vec<usize>,
}

/// Which pods are on which nodes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Nodes.
    pub(crate) nodes: Vec<PlannedNode>,
    /// Pods without a place.
    pub(crate) unplaced: Vec<usize>,
}

/// How good an answer is: fewer pods without a place first (those of the highest priority first of all), then less cost.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ObjectiveValue {
    /// How many pods of each priority have no place, highest priority first.
    pub(crate) unplaced: Vec<usize>,
    /// Nano-dollars an hour.
    pub(crate) cost: i64,
}

impl ObjectiveValue {
    /// Pods without a place.
    pub(crate) fn unplaced_count(&self) -> usize {
        self.unplaced.iter().sum()
    }
}

/// Priorities of the pods that are to be placed, highest first.
pub(crate) fn priorities(problem: &ClusterState, pods: &[usize]) -> Vec<i64> {
    let mut priorities: Vec<i64> = pods.iter().map(|&pod| priority(problem, pod)).collect();
    priorities.sort_unstable_by(|a, b| b.cmp(a));
    priorities.dedup();
    priorities
}

fn priority(problem: &ClusterState, pod: usize) -> i64 {
    problem.pod(pod).spec.priority.unwrap_or(0)
}

/// How many of `unplaced` have each of `priorities`.
pub(crate) fn by_priority(problem: &ClusterState, priorities: &[i64], unplaced: &[usize]) -> Vec<usize> {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for &pod in unplaced {
        *counts.entry(priority(problem, pod)).or_default() += 1;
    }
    priorities.iter().map(|priority| counts.get(priority).copied().unwrap_or(0)).collect()
}

impl Answer {
    /// Nano-dollars an hour.
    pub(crate) fn cost(&self, problem: &ClusterState, existing_nodes: &ExistingNodes) -> i64 {
        self.nodes.iter().map(|node| price(problem, existing_nodes, node.place)).sum()
    }

    /// How good it is.
    pub(crate) fn merit(
        &self,
        problem: &ClusterState,
        existing_nodes: &ExistingNodes,
        priorities: &[i64],
    ) -> ObjectiveValue {
        ObjectiveValue {
            unplaced: by_priority(problem, priorities, &self.unplaced),
            cost: self.cost(problem, existing_nodes),
        }
    }
}

/// What a node costs, in nano-dollars an hour.
pub(crate) fn price(problem: &ClusterState, existing_nodes: &ExistingNodes, place: Place) -> i64 {
    match place {
        Place::Existing { node } => existing_nodes.price(node),
        Place::New { template, shape, offering } => {
            let table = &problem.tables[problem.templates[template].table];
            nanos(table.types[table.shapes[shape].of].offerings[offering].price)
        }
    }
}
