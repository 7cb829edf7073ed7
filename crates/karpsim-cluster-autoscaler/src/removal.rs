//! Whether a node could go: its pods find places elsewhere.

use crate::decision::UnremovableReason;
use crate::drainability::DrainRules;
use crate::nodes::to_be_deleted_taint;
use crate::placing::Placer;
use crate::pods::{PodRef, key};
use crate::predicates::Predicates;
use crate::snapshot::Snapshot;
use karpsim::model::core::Pod;
use karpsim::model::meta::Str;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What a node's removal takes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Removal {
    /// Pods that must move.
    pub(crate) moving: Vec<PodRef>,
    /// There are pods whose end is waited for.
    pub(crate) has_on_completion: bool,
    /// The budgets do not let all pods go at once.
    pub(crate) is_risky: bool,
}

/// Tries to move the pods of `node` to `destinations`. If they all find places the node is gone from the snapshot and
/// the pods are where they would be; else nothing has changed.
///
/// While places are looked for the node stays, bare and tainted: that is what the scheduler would see, and it counts as a
/// domain for spreading.
pub(crate) fn simulate<P: Predicates>(
    snapshot: &mut Snapshot<P>,
    node: &Str,
    destinations: &BTreeSet<Str>,
    placer: &mut Placer,
    rules: DrainRules<'_>,
) -> Result<Removal, UnremovableReason> {
    let info = snapshot.get(node).ok_or(UnremovableReason::UnexpectedError)?;
    let pods = rules.pods_to_move(info).map_err(|blocking| UnremovableReason::BlockedByPod {
        reason: blocking.reason,
        pod: key(&blocking.pod),
    })?;
    let mut tainted = info.node.clone();
    Arc::make_mut(&mut tainted).spec.taints.push(to_be_deleted_taint(rules.now));

    snapshot.fork();
    for pod in &pods.moving {
        snapshot.remove_pod(pod, node);
    }
    snapshot.replace_with_bare(node, tainted);
    let unbound: Vec<PodRef> = pods.moving.iter().map(unbound).collect();
    let placed = placer
        .place(snapshot, &unbound, true, |info| info.name() != node && destinations.contains(info.name()));
    if placed.contains(&false) {
        snapshot.revert();
        return Err(UnremovableReason::NoPlaceToMovePods);
    }
    snapshot.remove_node(node);
    snapshot.commit();
    Ok(Removal { moving: pods.moving, has_on_completion: pods.has_on_completion, is_risky: false })
}

fn unbound(pod: &PodRef) -> PodRef {
    if pod.spec.node_name.is_empty() {
        return pod.clone();
    }
    let mut pod = Pod::clone(pod);
    pod.spec.node_name = Str::default();
    Arc::new(pod)
}
