//! What is done about nodes that are unneeded: removals that begin, and soft taints.

use crate::decision::{DrainedNode, ScaleDownResult, SoftTaint};
use crate::nodes::{DELETION_CANDIDATE_TAINT, NodeRef, TO_BE_DELETED_TAINT, has_taint};
use crate::pods::{is_daemon, is_mirror, key};
use crate::predicates::Predicates;
use crate::scale_down::{InProgress, Planner};
use crate::snapshot::Snapshot;
use karpsim::model::meta::Str;

/// What scaling down comes to.
pub(crate) struct Removals {
    pub(crate) result: ScaleDownResult,
    pub(crate) empty: Vec<Str>,
    pub(crate) drained: Vec<DrainedNode>,
    pub(crate) soft_taints: Vec<SoftTaint>,
}

impl Removals {
    /// Nothing was tried.
    pub(crate) fn not_tried() -> Self {
        Removals {
            result: ScaleDownResult::ScaleDownNotTried,
            empty: Vec::new(),
            drained: Vec::new(),
            soft_taints: Vec::new(),
        }
    }

    /// The removal of these nodes begins.
    pub(crate) fn begin<P: Predicates>(
        &mut self,
        empty: Vec<(Str, usize)>,
        to_drain: Vec<(Str, usize)>,
        snapshot: &Snapshot<P>,
        in_progress: &mut InProgress,
    ) {
        for (name, group) in empty {
            in_progress.insert(name.clone(), (group, false));
            self.empty.push(name);
        }
        for (node, group) in to_drain {
            in_progress.insert(node.clone(), (group, true));
            let pods = snapshot.get(&node).map_or(&[][..], |info| &info.pods);
            let mut evicted: Vec<Str> =
                pods.iter().filter(|pod| !is_mirror(pod) && !is_daemon(pod)).map(|pod| key(pod)).collect();
            evicted.sort_unstable();
            self.drained.push(DrainedNode { node, evicted });
        }
        self.empty.sort_unstable();
        self.drained.sort_unstable_by(|a, b| a.node.cmp(&b.node));
    }
}

/// Soft taints that are to go from nodes that are needed, and then to come to those that are not, up to `most`.
pub(crate) fn soft_taints(
    nodes: &[(NodeRef, Option<usize>)],
    planner: &Planner,
    most: i64,
) -> Vec<SoftTaint> {
    let changes = |tainted: bool| {
        nodes
            .iter()
            .filter(|(_, group)| group.is_some())
            .map(|(node, _)| node)
            .filter(move |node| {
                planner.is_unneeded(&node.metadata.name) == tainted
                    && !has_taint(node, TO_BE_DELETED_TAINT)
                    && has_taint(node, DELETION_CANDIDATE_TAINT) != tainted
            })
            .map(move |node| SoftTaint { node: node.metadata.name.clone(), tainted })
    };
    changes(false).chain(changes(true)).take(usize::try_from(most).unwrap_or(0)).collect()
}
