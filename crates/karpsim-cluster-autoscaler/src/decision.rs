//! What a run decides, in names, and how it is written.

use karpsim::model::meta::Str;
use serde::Serialize;
use std::collections::BTreeMap;

/// What came of an attempt to scale up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum ScaleUpResult {
    /// Nodes were ordered.
    ScaleUpSuccessful,
    /// The cloud refused.
    ScaleUpError,
    /// No group can help.
    ScaleUpNoOptionsAvailable,
    /// There is nobody to help.
    ScaleUpNotNeeded,
    /// The pods are too new.
    ScaleUpInCooldown,
    /// The run was broken off before.
    ScaleUpNotTried,
    /// There are as many ready nodes as there may be.
    ScaleUpLimitedByMaxNodesTotal,
}

/// What the expander was offered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct ExpansionOption {
    /// The group that would grow.
    pub node_group: Str,
    /// By so many nodes.
    pub nodes: i64,
    /// For these pods, `namespace/name`.
    pub pods: Vec<Str>,
    /// Groups that would share.
    pub similar: Vec<Str>,
}

/// A target size that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct SizeIncrease {
    /// Whose.
    pub node_group: Str,
    /// The size before.
    pub from: i64,
    /// The size now.
    pub to: i64,
}

/// A report on scaling up. All lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScaleUpReport {
    /// What came of it.
    pub result: ScaleUpResult,
    /// What the expander was offered.
    pub options: Vec<ExpansionOption>,
    /// The target sizes that were changed; none after an error.
    pub increase: Vec<SizeIncrease>,
    /// The pods of the chosen option.
    pub helped: Vec<Str>,
    /// Pods that no group in question can take.
    pub unschedulable: Vec<Str>,
    /// Pods that the chosen group cannot take, but another can.
    pub awaiting: Vec<Str>,
}

impl ScaleUpReport {
    pub(crate) fn of(result: ScaleUpResult) -> Self {
        ScaleUpReport {
            result,
            options: Vec::new(),
            increase: Vec::new(),
            helped: Vec::new(),
            unschedulable: Vec::new(),
            awaiting: Vec::new(),
        }
    }

    pub(crate) fn sort(&mut self) {
        for option in &mut self.options {
            option.pods.sort_unstable();
            option.similar.sort_unstable();
        }
        self.options.sort_unstable_by(|a, b| a.node_group.cmp(&b.node_group));
        self.increase.sort_unstable_by(|a, b| a.node_group.cmp(&b.node_group));
        for pods in [&mut self.helped, &mut self.unschedulable, &mut self.awaiting] {
            pods.sort_unstable();
        }
    }
}

/// What came of an attempt to scale down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum ScaleDownResult {
    /// Nodes are being removed.
    ScaleDownNodeDeleteStarted,
    /// No node can go yet.
    ScaleDownNoNodeDeleted,
    /// All groups are at their minimum.
    ScaleDownNoCandidates,
    /// It is too soon after something else.
    ScaleDownInCooldown,
    /// The run was broken off before, or scaling down is switched off.
    ScaleDownNotTried,
}

/// Why a pod keeps its node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum BlockingReason {
    /// Nothing would make it anew.
    NotReplicated,
    /// What made it is gone.
    ControllerNotFound,
    /// What made it has too few.
    MinReplicasReached,
    /// A budget allows no disruption.
    NotEnoughPdb,
    /// It has files on the node.
    LocalStorageRequested,
    /// It is of `kube-system` and has no budget.
    UnmovableKubeSystemPod,
    /// Its annotation says so.
    NotSafeToEvictAnnotation,
}

impl BlockingReason {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            BlockingReason::NotReplicated => "NotReplicated",
            BlockingReason::ControllerNotFound => "ControllerNotFound",
            BlockingReason::MinReplicasReached => "MinReplicasReached",
            BlockingReason::NotEnoughPdb => "NotEnoughPdb",
            BlockingReason::LocalStorageRequested => "LocalStorageRequested",
            BlockingReason::UnmovableKubeSystemPod => "UnmovableKubeSystemPod",
            BlockingReason::NotSafeToEvictAnnotation => "NotSafeToEvictAnnotation",
        }
    }
}

/// Why a node stays.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum UnremovableReason {
    /// It could go, but not yet.
    NotUnneededLongEnough,
    /// It is unready, but not for long enough.
    NotUnreadyLongEnough,
    /// Too much of it is in use.
    NotUnderutilized,
    /// There is no room for its pods elsewhere.
    NoPlaceToMovePods,
    /// That was so a little while ago.
    RecentlyUnremovable,
    /// Its group may not be smaller.
    NodeGroupMinSizeReached,
    /// The cluster may not have fewer cores or less memory.
    MinimalResourceLimitExceeded,
    /// Its annotation says so.
    ScaleDownDisabledAnnotation,
    /// It is unready, and such nodes stay.
    ScaleDownUnreadyDisabled,
    /// It waits for pods that run to their end.
    BlockedByOnCompletionPod,
    /// It is being removed already.
    CurrentlyBeingDeleted,
    /// Something that cannot be reckoned with, as a node without cpu.
    UnexpectedError,
    /// A pod keeps it.
    BlockedByPod {
        /// Why.
        reason: BlockingReason,
        /// Which, `namespace/name`.
        pod: Str,
    },
}

impl std::fmt::Display for UnremovableReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            UnremovableReason::NotUnneededLongEnough => "NotUnneededLongEnough",
            UnremovableReason::NotUnreadyLongEnough => "NotUnreadyLongEnough",
            UnremovableReason::NotUnderutilized => "NotUnderutilized",
            UnremovableReason::NoPlaceToMovePods => "NoPlaceToMovePods",
            UnremovableReason::RecentlyUnremovable => "RecentlyUnremovable",
            UnremovableReason::NodeGroupMinSizeReached => "NodeGroupMinSizeReached",
            UnremovableReason::MinimalResourceLimitExceeded => "MinimalResourceLimitExceeded",
            UnremovableReason::ScaleDownDisabledAnnotation => "ScaleDownDisabledAnnotation",
            UnremovableReason::ScaleDownUnreadyDisabled => "ScaleDownUnreadyDisabled",
            UnremovableReason::BlockedByOnCompletionPod => "BlockedByOnCompletionPod",
            UnremovableReason::CurrentlyBeingDeleted => "CurrentlyBeingDeleted",
            UnremovableReason::UnexpectedError => "UnexpectedError",
            UnremovableReason::BlockedByPod { reason, pod } => {
                return write!(f, "BlockedByPod {} {pod}", reason.as_str());
            }
        })
    }
}

impl Serialize for UnremovableReason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A node that is drained and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DrainedNode {
    /// Which.
    pub node: Str,
    /// The pods that are evicted, `namespace/name`, sorted.
    pub evicted: Vec<Str>,
}

/// The report on scaling down. All lists are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ScaleDownReport {
    /// What came of it.
    pub result: ScaleDownResult,
    /// Nodes that could go, for long enough or not.
    pub unneeded: Vec<Str>,
    /// Nodes that stay, and why.
    pub unremovable: BTreeMap<Str, UnremovableReason>,
    /// Nodes that are removed at once.
    pub empty: Vec<Str>,
    /// Nodes that are drained first.
    pub drained: Vec<DrainedNode>,
}

/// A soft taint that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SoftTaint {
    /// The node.
    pub node: Str,
    /// Whether it gets the taint or loses it.
    pub tainted: bool,
}

/// What a run decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct RunDecision {
    /// Reports on scaling up, in the order of the attempts; normally one.
    pub scale_up: Vec<ScaleUpReport>,
    /// The report on scaling down.
    pub scale_down: ScaleDownReport,
    /// The target sizes of all groups after the run.
    pub target_sizes: BTreeMap<Str, i64>,
    /// Soft taints that change. The recordings do not have them.
    #[serde(skip)]
    pub soft_taints: Vec<SoftTaint>,
    /// Instances without a Node that are taken away. The recordings do not have them.
    #[serde(skip)]
    pub removed_instances: Vec<Str>,
}
