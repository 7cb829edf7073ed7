//! InterPodAffinity's score: preferences of the pod about those that are present, and theirs about it.

use super::MAX_SCORE;
use crate::class::AffinityTerm;
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::kind::Kind;
use crate::topology::{NONE, TopologyId};
use smallvec::SmallVec;

/// Required affinity of a pod that is present, which the new one satisfies, counts like a preference of this weight.
const HARD_AFFINITY_WEIGHT: i64 = 1;

/// Weights by the domains of several labels.
#[derive(Debug, Clone, Default)]
pub(crate) struct AffinityScores {
    by_topology: SmallVec<[(TopologyId, Vec<i64>); 2]>,
}

impl AffinityScores {
    /// Counts all pods. `None`: no term means anybody.
    pub(crate) fn count(cluster: &Cluster, info: &PodInfo) -> Option<Self> {
        let kind = &*info.class.kind;
        if kind.preferred_affinity.is_empty() && !cluster.has_affinity_pods() {
            return None;
        }
        let mut scores = AffinityScores::default();
        for (node, node_info, _) in cluster.present() {
            for count in &node_info.kinds {
                for (topology, weight) in weights_between(cluster, kind, &count.kind) {
                    let domain = cluster.topologies[topology].domain(node);
                    scores.add(topology, domain, weight * i64::from(count.pods));
                }
            }
        }
        scores.unless_empty()
    }

    /// `None` if nothing was added.
    pub(crate) fn unless_empty(self) -> Option<Self> {
        (!self.by_topology.is_empty()).then_some(self)
    }

    /// Adds to the weight of a domain; a node without the label has none.
    pub(crate) fn add(&mut self, topology: TopologyId, domain: u32, weight: i64) {
        if domain == NONE {
            return;
        }
        let at = match self.by_topology.iter().position(|(known, _)| *known == topology) {
            Some(at) => at,
            None => {
                self.by_topology.push((topology, Vec::new()));
                self.by_topology.len() - 1
            }
        };
        let weights = &mut self.by_topology[at].1;
        if weights.len() <= domain as usize {
            weights.resize(domain as usize + 1, 0);
        }
        weights[domain as usize] += weight;
    }

    fn raw(&self, cluster: &Cluster, node: NodeIndex) -> i64 {
        self.by_topology
            .iter()
            .map(|(topology, weights)| {
                let domain = cluster.topologies[*topology].domain(node);
                weights.get(domain as usize).copied().unwrap_or(0)
            })
            .sum()
    }

    /// The scores of nodes: from 0 for the least to 100 for the most. In doubles, in this order.
    pub(super) fn normalized(&self, cluster: &Cluster, nodes: &[NodeIndex]) -> Vec<i64> {
        let raw: Vec<i64> = nodes.iter().map(|node| self.raw(cluster, *node)).collect();
        let most = raw.iter().copied().max().unwrap_or(0);
        let least = raw.iter().copied().min().unwrap_or(0);
        let width = most - least;
        raw.into_iter()
            .map(|score| {
                if width == 0 {
                    return 0;
                }
                (MAX_SCORE as f64 * ((score - least) as f64 / width as f64)) as i64
            })
            .collect()
    }
}

/// What a pod to be placed has to say about one that is present, and that one about it: labels and weights.
pub(crate) fn weights_between(cluster: &Cluster, kind: &Kind, other: &Kind) -> Vec<(TopologyId, i64)> {
    let home = cluster.namespace_labels(&kind.namespace);
    let theirs = cluster.namespace_labels(&other.namespace);
    let own = kind
        .preferred_affinity
        .iter()
        .filter(|(term, _)| term.seeks(&other.namespace, theirs, &other.labels))
        .map(|(term, weight)| (term.topology, *weight));
    let meets = |term: &AffinityTerm| term.meets(&kind.namespace, home, &kind.labels);
    let required = other
        .required_affinity
        .iter()
        .filter(|term| meets(term))
        .map(|term| (term.topology, HARD_AFFINITY_WEIGHT));
    let preferred = other
        .preferred_affinity
        .iter()
        .filter(|(term, _)| meets(term))
        .map(|(term, weight)| (term.topology, *weight));
    own.chain(required).chain(preferred).collect()
}
