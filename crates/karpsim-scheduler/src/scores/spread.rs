//! PodTopologySpread's score: fewer like pods in the domain are better, and the fewer domains there are the less a pod counts.

use super::MAX_SCORE;
use super::logarithm::ln;
use crate::class::{Class, SpreadConstraint};
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::filters::{constraints_of, includes};
use crate::options::TopologySpreadDefaults;
use crate::topology::NONE;
use karpsim::api::core::WhenUnsatisfiable;
use std::sync::Arc;

/// Pods by domain, for each soft constraint.
#[derive(Debug, Clone)]
pub(crate) struct SpreadScores {
    constraints: Vec<SoftCounts>,
    /// A node that lacks the label of one constraint scores 0 and is not counted.
    needs_all_labels: bool,
}

/// Pods by domain, for one constraint.
#[derive(Debug, Clone)]
pub(crate) struct SoftCounts {
    constraint: Arc<SpreadConstraint>,
    /// Of no use for hosts, whose pods are counted on the node.
    counts: Vec<i32>,
    weight: f64,
}

impl SpreadScores {
    /// Counts all pods. `None`: there are no soft constraints.
    pub(crate) fn count(cluster: &Cluster, info: &PodInfo, feasible: &[NodeIndex]) -> Option<Self> {
        let class = &*info.class;
        let constraints = constraints_of(cluster, class, WhenUnsatisfiable::ScheduleAnyway);
        if constraints.is_empty() {
            return None;
        }
        let soft = constraints.iter().map(|constraint| SoftCounts {
            constraint: Arc::new(constraint.clone()),
            counts: Vec::new(),
            weight: 0.0,
        });
        let mut scores =
            SpreadScores { constraints: soft.collect(), needs_all_labels: needs_all_labels(cluster, class) };
        scores.weigh(cluster, feasible);
        for (index, node_info, node) in cluster.present() {
            if scores.ignores(cluster, index) {
                continue;
            }
            for soft in &mut scores.constraints {
                let constraint = &*soft.constraint;
                let domain = cluster.topologies[constraint.topology].domain(index);
                if constraint.is_hostname || domain == NONE || !includes(constraint, class, node) {
                    continue;
                }
                let pods = cluster.pods_of(node_info).filter(|pod| {
                    !pod.is_terminating() && constraint.counts(class.namespace(), &pod.class)
                });
                let pods = pods.count() as i32;
                if soft.counts.len() <= domain as usize {
                    soft.counts.resize(domain as usize + 1, 0);
                }
                soft.counts[domain as usize] += pods;
            }
        }
        Some(scores)
    }

    /// The weights: by the number of domains among the nodes in question.
    fn weigh(&mut self, cluster: &Cluster, feasible: &[NodeIndex]) {
        let ignored: Vec<bool> = feasible.iter().map(|node| self.ignores(cluster, *node)).collect();
        let counted = || feasible.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(node, _)| *node);
        for soft in &mut self.constraints {
            let size = if soft.constraint.is_hostname {
                counted().count()
            } else {
                let topology = &cluster.topologies[soft.constraint.topology];
                // Nodes without the label are a domain as well.
                let mut seen = vec![false; topology.bound() + 1];
                let mut size = 0;
                for node in counted() {
                    let domain = topology.domain(node);
                    let at = if domain == NONE { topology.bound() } else { domain as usize };
                    size += usize::from(!std::mem::replace(&mut seen[at], true));
                }
                size
            };
            soft.weight = ln(size as u64 + 2);
        }
    }

    fn ignores(&self, cluster: &Cluster, node: NodeIndex) -> bool {
        self.needs_all_labels
            && self
                .constraints
                .iter()
                .any(|soft| cluster.topologies[soft.constraint.topology].domain(node) == NONE)
    }

    /// The scores of nodes.
    pub(super) fn normalized(&self, cluster: &Cluster, class: &Class, nodes: &[NodeIndex]) -> Vec<i64> {
        let raw: Vec<Option<i64>> = nodes
            .iter()
            .map(|node| (!self.ignores(cluster, *node)).then(|| self.raw(cluster, class, *node)))
            .collect();
        let least = raw.iter().flatten().copied().min().unwrap_or(i64::MAX);
        let most = raw.iter().flatten().copied().max().unwrap_or(0).max(0);
        raw.into_iter()
            .map(|score| match score {
                None => 0,
                Some(_) if most == 0 => MAX_SCORE,
                Some(score) => MAX_SCORE * (most + least - score) / most,
            })
            .collect()
    }

    /// In doubles, in the order of the constraints.
    fn raw(&self, cluster: &Cluster, class: &Class, node: NodeIndex) -> i64 {
        let mut score = 0.0;
        for soft in &self.constraints {
            let constraint = &*soft.constraint;
            let domain = cluster.topologies[constraint.topology].domain(node);
            if domain == NONE {
                continue;
            }
            let pods = if constraint.is_hostname {
                let pods = cluster.pods_of(cluster.info(node));
                pods.filter(|pod| {
                    !pod.is_terminating() && constraint.counts(class.namespace(), &pod.class)
                })
                .count() as f64
            } else {
                f64::from(soft.counts.get(domain as usize).copied().unwrap_or(0))
            };
            score += pods * soft.weight + (constraint.max_skew - 1) as f64;
        }
        score.round() as i64
    }
}

/// Whether a node that lacks the label of one of the soft constraints of the class scores 0.
pub(crate) fn needs_all_labels(cluster: &Cluster, class: &Class) -> bool {
    !class.spec().topology_spread_constraints.is_empty()
        || cluster.options.topology_spread_defaults != TopologySpreadDefaults::System
}
