//! What the filters and scores that look at the node alone find.

use super::catch_up;
use crate::class::Class;
use crate::cluster::{Cluster, NodeIndex};
use crate::filters::filter_class;
use crate::reason::{Plugin, Refusal};
use crate::scores::{NodeScore, node_score};

/// What each node says to a class of pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeTable {
    position: u64,
    is_made: bool,
    /// With how many nodes it was made, if images count.
    node_count: usize,
    /// By node: 0 if it can take the pod, else one more than the place in `refusals`.
    verdicts: Vec<u32>,
    scores: Vec<NodeScore>,
    /// All different ones that occurred.
    refusals: Vec<Refusal>,
}

/// With more different refusals than this the table is made anew: most of them are of the past.
const REFUSALS_MAX: usize = 4096;

/// The filters that look at the node alone, and not at the pod's name of a node.
const FILTERS: [Plugin; 5] = [
    Plugin::NodeUnschedulable,
    Plugin::TaintToleration,
    Plugin::NodeAffinity,
    Plugin::NodePorts,
    Plugin::NodeResourcesFit,
];

impl NodeTable {
    pub(super) fn catch_up(&mut self, cluster: &Cluster, class: &Class) {
        // The worth of an image depends on the number of nodes.
        let is_outdated = cluster.has_images() && self.node_count != cluster.node_count();
        if !self.is_made || is_outdated || self.refusals.len() > REFUSALS_MAX {
            return self.make(cluster, class);
        }
        let mut position = self.position;
        if catch_up(cluster, &mut position, |node| self.renew(cluster, class, node)) {
            self.position = position;
        } else {
            self.make(cluster, class);
        }
    }

    fn make(&mut self, cluster: &Cluster, class: &Class) {
        self.verdicts.clear();
        self.scores.clear();
        self.refusals.clear();
        for (node, ..) in cluster.present() {
            self.renew(cluster, class, node);
        }
        self.position = cluster.log.end();
        self.node_count = cluster.node_count();
        self.is_made = true;
    }

    fn renew(&mut self, cluster: &Cluster, class: &Class, index: NodeIndex) {
        let at = index.0 as usize;
        if self.verdicts.len() <= at {
            self.verdicts.resize(cluster.node_bound().max(at + 1), 0);
            self.scores.resize(cluster.node_bound().max(at + 1), NodeScore::default());
        }
        let info = cluster.info(index);
        let Some(node) = info.node.as_deref() else { return };
        let refused = FILTERS.iter().try_for_each(|plugin| filter_class(*plugin, class, info, node, 0));
        self.verdicts[at] = match refused {
            Ok(()) => {
                self.scores[at] = node_score(cluster, class, info);
                0
            }
            Err(refusal) => self.intern(refusal) + 1,
        };
    }

    fn intern(&mut self, refusal: Refusal) -> u32 {
        let at = match self.refusals.iter().position(|known| *known == refusal) {
            Some(at) => at,
            None => {
                self.refusals.push(refusal);
                self.refusals.len() - 1
            }
        };
        at as u32
    }

    /// Why a node refuses: the number of the refusal. `None`: it does not.
    #[inline]
    pub(crate) fn refusal(&self, node: NodeIndex) -> Option<u32> {
        self.verdicts[node.0 as usize].checked_sub(1)
    }

    /// All refusals, by number.
    pub(crate) fn refusals(&self) -> &[Refusal] {
        &self.refusals
    }

    /// The score of a node that can take the pod.
    #[inline]
    pub(crate) fn score(&self, node: NodeIndex) -> NodeScore {
        self.scores[node.0 as usize]
    }
}
