//! What spread constraints count.

use super::catch_up;
use crate::class::{Class, SpreadConstraint};
use crate::cluster::{Cluster, NodeIndex};
use crate::filters::{SpreadCounts, SpreadState, includes};
use crate::kind::{Kind, KindId};
use crate::node_info::NodeInfo;
use crate::scores::needs_all_labels;
use crate::topology::{Domain, NONE};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Pods by domain for the hard, or the soft, constraints of a class.
#[derive(Debug, Clone, Default)]
pub(crate) struct SpreadTable {
    position: u64,
    is_made: bool,
    pub(super) owners_epoch: u64,
    state: Arc<SpreadState>,
    /// By constraint, then node: what the node contributes; [`NONE`]: it does not count.
    contributions: Vec<Vec<(Domain, i32)>>,
    /// By constraint: whether pods of a kind are counted.
    counted: Vec<FxHashMap<KindId, bool>>,
}

/// More kinds than this are not remembered.
const KINDS_MAX: usize = 8192;

impl SpreadTable {
    pub(super) fn set_constraints(&mut self, constraints: &[SpreadConstraint]) {
        let is_same = self.state.constraints.len() == constraints.len()
            && self.state.constraints.iter().zip(constraints).all(|(a, b)| *a.constraint == *b);
        if is_same {
            return;
        }
        let counts = constraints.iter().map(|it| SpreadCounts::new(Arc::new(it.clone())));
        self.state = Arc::new(SpreadState { constraints: counts.collect() });
        self.is_made = false;
    }

    /// The counts. Those of constraints on hosts are not made for soft constraints, whose scores count on the node.
    pub(crate) fn state(&self) -> &Arc<SpreadState> {
        &self.state
    }

    pub(super) fn catch_up(&mut self, cluster: &Cluster, class: &Class, is_hard: bool) {
        let needs_all = is_hard || needs_all_labels(cluster, class);
        let mut position = self.position;
        let is_near = self.is_made
            && catch_up(cluster, &mut position, |node| self.renew(cluster, class, node, needs_all));
        if !is_near {
            let fresh = |counts: &SpreadCounts| SpreadCounts::new(Arc::clone(&counts.constraint));
            let constraints: Vec<SpreadCounts> = self.state.constraints.iter().map(fresh).collect();
            self.contributions = vec![Vec::new(); constraints.len()];
            self.counted = vec![FxHashMap::default(); constraints.len()];
            self.state = Arc::new(SpreadState { constraints });
            for (node, ..) in cluster.present() {
                self.renew(cluster, class, node, needs_all);
            }
            position = cluster.log.end();
            self.is_made = true;
        }
        self.position = position;
    }

    fn renew(&mut self, cluster: &Cluster, class: &Class, index: NodeIndex, needs_all: bool) {
        let at = index.0 as usize;
        let info = cluster.info(index);
        let state = Arc::make_mut(&mut self.state);
        let domain = |constraint: &SpreadConstraint| cluster.topologies[constraint.topology].domain(index);
        let is_out = needs_all && state.constraints.iter().any(|counts| domain(&counts.constraint) == NONE);
        for ((counts, contributions), counted) in
            state.constraints.iter_mut().zip(&mut self.contributions).zip(&mut self.counted)
        {
            if contributions.len() <= at {
                contributions.resize(cluster.node_bound().max(at + 1), (NONE, 0));
            }
            let constraint = Arc::clone(&counts.constraint);
            let domain = domain(&constraint);
            let after = match info.node.as_deref() {
                Some(node) if !is_out && domain != NONE && includes(&constraint, class, node) => {
                    (domain, matching(&constraint, class.namespace(), info, counted))
                }
                _ => (NONE, 0),
            };
            let before = std::mem::replace(&mut contributions[at], after);
            if before == after {
                continue;
            }
            // First in, then out: a domain that keeps a node stays the same domain.
            if after.0 != NONE {
                counts.add_node(after.0, after.1, true);
            }
            if before.0 != NONE {
                counts.add_node(before.0, before.1, false);
            }
        }
    }
}

/// Pods on the node that the constraint counts and that are not being deleted.
fn matching(
    constraint: &SpreadConstraint,
    namespace: &str,
    info: &NodeInfo,
    counted: &mut FxHashMap<KindId, bool>,
) -> i32 {
    let mut counts = |kind: &Kind| {
        if counted.len() > KINDS_MAX {
            counted.clear();
        }
        *counted.entry(kind.id).or_insert_with(|| constraint.counts(namespace, kind))
    };
    let mut pods = 0;
    for count in &info.kinds {
        if counts(&count.kind) {
            pods += count.pods - count.terminating;
        }
    }
    pods as i32
}
