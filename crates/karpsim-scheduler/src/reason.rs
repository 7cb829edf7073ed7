//! Why a node, or all nodes, are refused: data, with kube-scheduler's words for it.

use karpsim::model::core::Pod;
use karpsim::model::meta::Str;
use smallvec::SmallVec;
use std::fmt;

/// A plugin of the default profile that can refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Plugin {
    /// Cordoned nodes.
    NodeUnschedulable,
    /// `spec.nodeName`.
    NodeName,
    /// Taints.
    TaintToleration,
    /// Node selector and required node affinity.
    NodeAffinity,
    /// Host ports.
    NodePorts,
    /// cpu, memory and other resources, number of pods.
    NodeResourcesFit,
    /// Volumes that one pod, or one node, can use.
    VolumeRestrictions,
    /// How many volumes a node can attach.
    NodeVolumeLimits,
    /// Volumes that are bound, to be bound or to be provisioned.
    VolumeBinding,
    /// Zones in the labels of volumes.
    VolumeZone,
    /// Topology spread constraints.
    PodTopologySpread,
    /// Pod affinity and anti-affinity.
    InterPodAffinity,
    /// Scheduling gates.
    SchedulingGates,
}

impl Plugin {
    /// The filters in their order.
    pub const FILTERS: [Plugin; 12] = [
        Plugin::NodeUnschedulable,
        Plugin::NodeName,
        Plugin::TaintToleration,
        Plugin::NodeAffinity,
        Plugin::NodePorts,
        Plugin::NodeResourcesFit,
        Plugin::VolumeRestrictions,
        Plugin::NodeVolumeLimits,
        Plugin::VolumeBinding,
        Plugin::VolumeZone,
        Plugin::PodTopologySpread,
        Plugin::InterPodAffinity,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Plugin::NodeUnschedulable => "NodeUnschedulable",
            Plugin::NodeName => "NodeName",
            Plugin::TaintToleration => "TaintToleration",
            Plugin::NodeAffinity => "NodeAffinity",
            Plugin::NodePorts => "NodePorts",
            Plugin::NodeResourcesFit => "NodeResourcesFit",
            Plugin::VolumeRestrictions => "VolumeRestrictions",
            Plugin::NodeVolumeLimits => "NodeVolumeLimits",
            Plugin::VolumeBinding => "VolumeBinding",
            Plugin::VolumeZone => "VolumeZone",
            Plugin::PodTopologySpread => "PodTopologySpread",
            Plugin::InterPodAffinity => "InterPodAffinity",
            Plugin::SchedulingGates => "SchedulingGates",
        }
    }
}

impl fmt::Display for Plugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One reason. [`Display`](fmt::Display) gives kube-scheduler's words.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The node is cordoned.
    NodeUnschedulable,
    /// Another node is asked for by name.
    NodeName,
    /// A taint is not tolerated.
    UntoleratedTaint,
    /// Node selector or required node affinity does not match.
    NodeAffinity,
    /// Required terms name different nodes.
    NodeAffinityConflict,
    /// No node was asked, because the plugin named others.
    NotNamed(Plugin),
    /// A host port is taken.
    HostPorts,
    /// The node has as many pods as it can.
    TooManyPods,
    /// Too little of this resource is left.
    Insufficient(Str),
    /// Another pod on the node uses the disk.
    DiskConflict,
    /// Another pod uses the claim, which only one may.
    ReadWriteOncePodInUse,
    /// The node can attach no more volumes of a driver.
    VolumeLimit,
    /// A bound volume cannot be reached from the node.
    VolumeNodeAffinity,
    /// There is no volume to bind, and none can be provisioned for the node.
    NoVolumeToBind,
    /// A claim is bound to a volume that there is not.
    VolumeGone,
    /// A volume is in another zone.
    VolumeZone,
    /// A spread constraint does not hold.
    TopologySpread,
    /// The node lacks the label of a spread constraint.
    TopologySpreadLabel,
    /// Required pod affinity does not hold.
    PodAffinity,
    /// Required pod anti-affinity does not hold.
    PodAntiAffinity,
    /// Required anti-affinity of a pod that is there does not hold.
    ExistingPodAntiAffinity,
    /// There is no claim of this name.
    ClaimNotFound(Str),
    /// There is no volume of this name.
    VolumeNotFound(Str),
    /// There is no storage class of this name.
    StorageClassNotFound(Str),
    /// A claim should be bound already, and is not.
    UnboundImmediateClaims,
    /// The claim lost its volume.
    ClaimLost {
        /// Claim.
        claim: Str,
        /// Volume.
        volume: Str,
    },
    /// The claim is being deleted.
    ClaimIsBeingDeleted(Str),
    /// The claim of an ephemeral volume is not made yet.
    EphemeralClaimNotFound(Str),
    /// The claim that an ephemeral volume should have belongs to somebody else.
    EphemeralClaimOfOther {
        /// Claim.
        claim: Str,
        /// Pod.
        pod: Str,
    },
    /// A claim has neither a volume nor a class.
    ClaimWithoutClass,
    /// A claim that should be bound already has no volume.
    ClaimWithoutVolume,
    /// The pod has these scheduling gates.
    SchedulingGates(Vec<Str>),
    /// Taking off all pods of lower priority is no use, as there are none.
    NoVictims,
    /// The node was refused for a reason that no eviction changes.
    PreemptionNotHelpful,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::NodeUnschedulable => "node(s) were unschedulable",
            Reason::NodeName => "node(s) didn't match the requested node name",
            Reason::UntoleratedTaint => "node(s) had untolerated taint(s)",
            Reason::NodeAffinity => "node(s) didn't match Pod's node affinity/selector",
            Reason::NodeAffinityConflict => "pod affinity terms conflict",
            Reason::NotNamed(plugin) => return write!(f, "node(s) didn't satisfy plugin(s) [{plugin}]"),
            Reason::HostPorts => "node(s) didn't have free ports for the requested pod ports",
            Reason::TooManyPods => "Too many pods",
            Reason::Insufficient(resource) => return write!(f, "Insufficient {resource}"),
            Reason::DiskConflict => "node(s) had no available disk",
            Reason::ReadWriteOncePodInUse => {
                "node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod"
            }
            Reason::VolumeLimit => "node(s) exceed max volume count",
            Reason::VolumeNodeAffinity => "node(s) didn't match PersistentVolume's node affinity",
            Reason::NoVolumeToBind => "node(s) didn't find available persistent volumes to bind",
            Reason::VolumeGone => {
                "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
            }
            Reason::VolumeZone => "node(s) had no available volume zone",
            Reason::TopologySpread => "node(s) didn't match pod topology spread constraints",
            Reason::TopologySpreadLabel => {
                "node(s) didn't match pod topology spread constraints (missing required label)"
            }
            Reason::PodAffinity => "node(s) didn't match pod affinity rules",
            Reason::PodAntiAffinity => "node(s) didn't match pod anti-affinity rules",
            Reason::ExistingPodAntiAffinity => "node(s) didn't satisfy existing pods anti-affinity rules",
            Reason::ClaimNotFound(name) => return write!(f, "persistentvolumeclaim \"{name}\" not found"),
            Reason::VolumeNotFound(name) => return write!(f, "persistentvolume \"{name}\" not found"),
            Reason::StorageClassNotFound(name) => {
                return write!(f, "storageclass.storage.k8s.io \"{name}\" not found");
            }
            Reason::UnboundImmediateClaims => "pod has unbound immediate PersistentVolumeClaims",
            Reason::ClaimLost { claim, volume } => {
                return write!(
                    f,
                    "persistentvolumeclaim \"{claim}\" bound to non-existent persistentvolume \"{volume}\""
                );
            }
            Reason::ClaimIsBeingDeleted(name) => {
                return write!(f, "persistentvolumeclaim \"{name}\" is being deleted");
            }
            Reason::EphemeralClaimNotFound(name) => {
                return write!(
                    f,
                    "waiting for ephemeral volume controller to create the persistentvolumeclaim \"{name}\""
                );
            }
            Reason::EphemeralClaimOfOther { claim, pod } => {
                return write!(f, "PVC {claim} was not created for pod {pod} (pod is not owner)");
            }
            Reason::ClaimWithoutClass => "PersistentVolumeClaim had no pv name and storageClass name",
            Reason::ClaimWithoutVolume => "PersistentVolume had no name",
            Reason::SchedulingGates(gates) => {
                return write!(f, "waiting for scheduling gates: [{}]", gates.join(" "));
            }
            Reason::NoVictims => "No preemption victims found for incoming pod",
            Reason::PreemptionNotHelpful => "Preemption is not helpful for scheduling",
        })
    }
}

/// A plugin refuses.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Refusal {
    /// Which.
    pub plugin: Plugin,
    /// Why; at least one reason.
    pub reasons: SmallVec<[Reason; 1]>,
    /// Evicting pods would not help (`UnschedulableAndUnresolvable`).
    pub unresolvable: bool,
}

impl Refusal {
    /// A refusal that evicting pods may undo.
    pub(crate) fn resolvable(plugin: Plugin, reason: Reason) -> Self {
        Refusal { plugin, reasons: SmallVec::from_iter([reason]), unresolvable: false }
    }

    /// A refusal that evicting pods does not undo.
    pub(crate) fn unresolvable(plugin: Plugin, reason: Reason) -> Self {
        Refusal { plugin, reasons: SmallVec::from_iter([reason]), unresolvable: true }
    }
}

/// The scheduling gates of a pod: while there are any it is not tried.
pub fn gates(pod: &Pod) -> Option<Refusal> {
    let gates: Vec<Str> = pod.spec.scheduling_gates.iter().map(|gate| gate.name.clone()).collect();
    (!gates.is_empty())
        .then(|| Refusal::unresolvable(Plugin::SchedulingGates, Reason::SchedulingGates(gates)))
}

/// A cycle could not be finished: the objects do not fit together. kube-scheduler tries again after a while.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CycleError {
    /// A claim is to be provisioned, and has no class.
    NoStorageClass {
        /// The claim, `namespace/name`.
        claim: Str,
    },
    /// A claim is to be provisioned, and its class is not there.
    StorageClassNotFound {
        /// The class.
        class: Str,
    },
    /// A storage class does not say when volumes are bound.
    NoVolumeBindingMode {
        /// The class.
        class: Str,
    },
}

impl fmt::Display for CycleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CycleError::NoStorageClass { claim } => write!(f, "no class for claim \"{claim}\""),
            CycleError::StorageClassNotFound { class } => {
                write!(f, "failed to find storage class \"{class}\"")
            }
            CycleError::NoVolumeBindingMode { class } => {
                write!(f, "VolumeBindingMode not set for StorageClass \"{class}\"")
            }
        }
    }
}

impl std::error::Error for CycleError {}
