//! PodTopologySpread's score: fewer like pods in the domain are better, and the fewer domains there are the less a pod counts.

use super::MAX_SCORE;
use super::logarithm::ln;
use crate::class::{Class, SpreadConstraint};
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::filters::{SpreadCounts, SpreadState, constraints_of, includes, matching_pods};
use crate::options::TopologySpreadDefaults;
use crate::topology::NONE;
use karpsim::model::core::WhenUnsatisfiable;
use std::sync::Arc;

/// Pods by domain, for each soft constraint.
#[derive(Debug, Clone)]
pub(crate) struct SpreadScores {
    /// Those for hosts are of no use: the pods are counted on the node.
    counts: Arc<SpreadState>,
    /// By constraint.
    weights: Vec<f64>,
    /// A node that lacks the label of one constraint scores 0 and is not counted.
    needs_all_labels: bool,
}

impl SpreadScores {
    /// Counts all pods. `None`: there are no soft constraints.
    pub(crate) fn count(cluster: &Cluster, info: &PodInfo, feasible: &[NodeIndex]) -> Option<Self> {
        let class = &*info.class;
        let constraints = constraints_of(cluster, class, WhenUnsatisfiable::ScheduleAnyway);
        if constraints.is_empty() {
            return None;
        }
        let counts = constraints.iter().map(|it| SpreadCounts::new(Arc::new(it.clone()))).collect();
        let mut state = SpreadState { constraints: counts };
        let needs_all = needs_all_labels(cluster, class);
        for (index, node_info, node) in cluster.present() {
            let domain =
                |constraint: &SpreadConstraint| cluster.topologies[constraint.topology].domain(index);
            if needs_all && state.constraints.iter().any(|counts| domain(&counts.constraint) == NONE) {
                continue;
            }
            for counts in &mut state.constraints {
                let domain = domain(&counts.constraint);
                if domain != NONE && includes(&counts.constraint, class, node) {
                    let pods = matching_pods(&counts.constraint, class.namespace(), node_info);
                    counts.add_node(domain, pods, true);
                }
            }
        }
        Some(SpreadScores::new(cluster, class, Arc::new(state), feasible))
    }

    /// From counts that were made already.
    pub(crate) fn new(
        cluster: &Cluster,
        class: &Class,
        counts: Arc<SpreadState>,
        feasible: &[NodeIndex],
    ) -> Self {
        let needs_all_labels = needs_all_labels(cluster, class);
        let mut scores = SpreadScores { counts, weights: Vec::new(), needs_all_labels };
        scores.weigh(cluster, feasible);
        scores
    }

    /// The weights: by the number of domains among the nodes in question.
    fn weigh(&mut self, cluster: &Cluster, feasible: &[NodeIndex]) {
        let ignored: Vec<bool> = feasible.iter().map(|node| self.ignores(cluster, *node)).collect();
        let counted =
            || feasible.iter().zip(&ignored).filter(|(_, ignored)| !**ignored).map(|(node, _)| *node);
        let size = |constraint: &SpreadConstraint| {
            if constraint.is_hostname {
                return counted().count();
            }
            let topology = &cluster.topologies[constraint.topology];
            // Nodes without the label are a domain as well.
            let mut seen = vec![false; topology.bound() + 1];
            for node in counted() {
                let domain = topology.domain(node);
                seen[if domain == NONE { topology.bound() } else { domain as usize }] = true;
            }
            seen.into_iter().filter(|seen| *seen).count()
        };
        let constraints = self.counts.constraints.iter();
        self.weights = constraints.map(|counts| ln(size(&counts.constraint) as u64 + 2)).collect();
    }

    fn ignores(&self, cluster: &Cluster, node: NodeIndex) -> bool {
        self.needs_all_labels
            && self
                .counts
                .constraints
                .iter()
                .any(|counts| cluster.topologies[counts.constraint.topology].domain(node) == NONE)
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
        for (counts, weight) in self.counts.constraints.iter().zip(&self.weights) {
            let constraint = &*counts.constraint;
            let domain = cluster.topologies[constraint.topology].domain(node);
            if domain == NONE {
                continue;
            }
            let pods = if constraint.is_hostname {
                f64::from(matching_pods(constraint, class.namespace(), cluster.info(node)))
            } else {
                f64::from(counts.get(domain))
            };
            score += pods * weight + (constraint.max_skew - 1) as f64;
        }
        score.round() as i64
    }
}

/// Whether a node that lacks the label of one of the soft constraints of the class scores 0.
pub(crate) fn needs_all_labels(cluster: &Cluster, class: &Class) -> bool {
    !class.spec().topology_spread_constraints.is_empty()
        || cluster.options.topology_spread_defaults != TopologySpreadDefaults::System
}
