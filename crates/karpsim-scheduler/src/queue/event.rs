//! What happens in a cluster, as far as a pod that waits may be interested.

use crate::kubernetes::{RequestOptions, requests};
use karpsim::model::core::{CsiNode, Node, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass};

/// Something that happened. Pods are bound ones, but for changes of the waiting pod itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    NodeAdded(&'a Node),
    NodeUpdated { old: &'a Node, new: &'a Node, change: NodeChange },
    NodeDeleted(&'a Node),
    PodAdded(&'a Pod),
    PodUpdated { old: &'a Pod, new: &'a Pod, change: PodChange },
    PodDeleted(&'a Pod),
    ClaimAdded(&'a PersistentVolumeClaim),
    ClaimUpdated(&'a PersistentVolumeClaim),
    VolumeAdded,
    VolumeUpdated { old: &'a PersistentVolume, new: &'a PersistentVolume },
    StorageClassAdded(&'a StorageClass),
    StorageClassUpdated { old: &'a StorageClass, new: &'a StorageClass },
    CsiNodeAdded,
    CsiNodeUpdated { old: &'a CsiNode, new: &'a CsiNode },
}

/// What changed of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeChange {
    /// Taints; also that the node is cordoned no more.
    Taints,
    Allocatable,
    Labels,
}

impl NodeChange {
    /// All that changed.
    pub(crate) fn all(old: &Node, new: &Node) -> impl Iterator<Item = NodeChange> {
        let uncordoned = old.spec.unschedulable && !new.spec.unschedulable;
        [
            uncordoned.then_some(NodeChange::Taints),
            (old.status.allocatable != new.status.allocatable).then_some(NodeChange::Allocatable),
            (old.metadata.labels != new.metadata.labels).then_some(NodeChange::Labels),
            (old.spec.taints != new.spec.taints).then_some(NodeChange::Taints),
        ]
        .into_iter()
        .flatten()
    }
}

/// What changed of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PodChange {
    Labels,
    /// It asks for less.
    ScaleDown,
    /// Its last scheduling gate is gone.
    GatesEliminated,
    Tolerations,
}

impl PodChange {
    /// All that changed.
    pub(crate) fn all(old: &Pod, new: &Pod) -> impl Iterator<Item = PodChange> {
        let options = RequestOptions { use_status: true, ..RequestOptions::default() };
        let (before, after) = (requests(old, options), requests(new, options));
        let scaled_down =
            before.iter().any(|(name, amount)| after.get(name).is_none_or(|after| amount > after));
        let relabelled = old.metadata.labels != new.metadata.labels;
        let (old, new) = (&old.spec, &new.spec);
        [
            relabelled.then_some(PodChange::Labels),
            scaled_down.then_some(PodChange::ScaleDown),
            (!old.scheduling_gates.is_empty() && new.scheduling_gates.is_empty())
                .then_some(PodChange::GatesEliminated),
            (old.tolerations.len() != new.tolerations.len()).then_some(PodChange::Tolerations),
        ]
        .into_iter()
        .flatten()
    }
}
