//! A running cluster to be rearranged: the same scenario with the pods that can be evicted pending.
//!
//! Nodes that Karpenter could disrupt may go, whatever `consolidateAfter`, `consolidationPolicy` and the budgets of their
//! NodePools say of the moment: what is sought is what could be saved in the end. Their pods become pending pods that
//! nothing may leave behind; the nodes themselves become places that cost what they cost.

use crate::model::existing_nodes::ExistingNodes;
use crate::money::nanos;
use karpsim::compile::{ClusterState, compile};
use karpsim::decision::{Command, Method};
use karpsim::disruption::candidates::{Candidate, candidates};
use karpsim::disruption::disrupt_compiled;
use karpsim::kubernetes::eviction::PodBudgets;
use karpsim::model::core::Pod;
use karpsim::model::meta::{Condition, Str};
use karpsim::requirements::Algebra;
use karpsim::scenario::Scenario;
use rustc_hash::FxHashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Above all priorities that users can give.
const ABOVE_ALL: i64 = i32::MAX as i64;

/// A node that may go.
#[derive(Debug, Clone)]
struct RemovableNode {
    name: Str,
    price: i64,
    pods: Vec<usize>,
}

/// A cluster whose evictable pods are pending.
#[derive(Debug, Clone)]
pub(crate) struct EvictedCluster {
    /// The scenario, with the pods pending.
    pub(crate) scenario: Scenario,
    removable: Vec<RemovableNode>,
}

impl EvictedCluster {
    /// Lifts all pods that can be evicted.
    pub(crate) fn new(scenario: &Scenario, problem: &ClusterState) -> Self {
        let budgets = PodBudgets::new(&scenario.objects);
        let found = candidates(problem, &budgets, Method::SingleNodeConsolidation);
        let mut removable: Vec<RemovableNode> = found
            .into_iter()
            .flatten()
            .filter(|candidate| candidate.pool.spec.replicas.is_none() && candidate.instance_type.is_some())
            .map(|candidate: Candidate<'_>| RemovableNode {
                name: candidate.name,
                price: nanos(candidate.price),
                pods: candidate.reschedulable,
            })
            .collect();
        loop {
            let evicted_cluster = evict(scenario, &removable);
            // A pod that Karpenter would keep out of a round stays where it is, and so does its node.
            let (problem, _) = compile(&evicted_cluster);
            let pending: BTreeSet<usize> = problem.pending.iter().copied().collect();
            let before = removable.len();
            removable.retain(|removable_node| removable_node.pods.iter().all(|pod| pending.contains(pod)));
            if removable.len() == before {
                return EvictedCluster { scenario: evicted_cluster, removable };
            }
        }
    }

    /// Nodes and pods that may move, in the terms of the compiled scenario.
    pub(crate) fn existing_nodes(
        &self,
        problem: &ClusterState,
        evictions_max: Option<usize>,
        removals_max: Option<usize>,
    ) -> ExistingNodes {
        let mut existing_nodes = ExistingNodes { evictions_max, removals_max, ..ExistingNodes::default() };
        let index: FxHashMap<&str, usize> =
            problem.nodes.iter().enumerate().map(|(at, node)| (node.name.as_str(), at)).collect();
        for removable_node in &self.removable {
            let Some(&node) = index.get(removable_node.name.as_str()) else { continue };
            existing_nodes.prices.insert(node, removable_node.price);
            existing_nodes.homes.extend(removable_node.pods.iter().map(|&pod| (pod, node)));
        }
        existing_nodes
    }

    /// What a command of Karpenter's saves, in nano-dollars an hour; `None`: it removes a node whose price is not known.
    fn saving(&self, command: &Command) -> Option<i64> {
        let price = |name: &Str| {
            self.removable.iter().find(|removable_node| removable_node.name == *name).map(|one| one.price)
        };
        let removed: i64 = command.candidates.iter().map(price).sum::<Option<i64>>()?;
        let launched = command.replacements.iter().filter_map(|claim| claim.launch.as_ref());
        Some(removed - launched.map(|launch| nanos(launch.price.0)).sum::<i64>())
    }

    /// The step of Karpenter's that saves most, and what it saves.
    pub(crate) fn best_step(&self, problem: &ClusterState, algebra: &Algebra) -> Option<(Command, i64)> {
        let methods = [Method::Emptiness, Method::MultiNodeConsolidation, Method::SingleNodeConsolidation];
        let decision = disrupt_compiled(problem, algebra.clone(), &methods);
        let mut best: Option<(Command, i64)> = None;
        for command in decision.commands {
            if let Some(saving) = self.saving(&command).filter(|saving| *saving > 0)
                && best.as_ref().is_none_or(|(_, known)| saving > *known)
            {
                best = Some((command, saving));
            }
        }
        best
    }
}

/// `scenario` where the nodes of `command` are being removed.
pub(crate) fn marked(scenario: &Scenario, command: &Command) -> Scenario {
    let mut marked = scenario.clone();
    marked.memory.marked_for_deletion.extend(command.candidates.iter().cloned());
    marked
}

fn evict(scenario: &Scenario, removable: &[RemovableNode]) -> Scenario {
    let mut evicted_cluster = scenario.clone();
    for &pod in removable.iter().flat_map(|removable_node| &removable_node.pods) {
        let pod = &mut evicted_cluster.objects.pods[pod];
        *pod = Arc::new(pending(pod));
    }
    evicted_cluster
}

/// The pod as kube-scheduler would see it after its eviction.
fn pending(pod: &Pod) -> Pod {
    let mut pod = pod.clone();
    pod.spec.node_name = Str::default();
    pod.spec.priority = Some(ABOVE_ALL);
    pod.status.phase = "Pending".into();
    pod.status.nominated_node_name = Str::default();
    pod.status.conditions = vec![Condition {
        kind: "PodScheduled".into(),
        status: "False".into(),
        reason: "Unschedulable".into(),
        ..Condition::default()
    }];
    pod
}
