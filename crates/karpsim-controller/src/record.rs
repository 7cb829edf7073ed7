//! What there is to know of what the controller did: the lines of its log and the figures of its metrics, as data.

use karpsim::decision::NewNodeClaim;
use karpsim::decision::reasons::PodError;
use karpsim::model::karpenter::DisruptionReason;
use karpsim::model::meta::Str;
use serde::{Serialize, Serializer};

/// Something that happened. Nobody has to do anything about it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "record", rename_all = "camelCase", rename_all_fields = "camelCase")]
#[non_exhaustive]
pub enum Record {
    /// A loop looked at the cluster.
    Pass {
        /// Which.
        of: Loop,
    },
    /// Something was decided.
    Decided(Box<Decided>),
    /// A NodeClaim, or its node, got somewhere.
    NodeClaim {
        /// The NodeClaim.
        node_claim: Str,
        /// Where.
        reached: Milestone,
    },
    /// A condition of a NodeClaim changed.
    Condition {
        /// The NodeClaim.
        node_claim: Str,
        /// Its type.
        condition: &'static str,
        /// Whether it is `True` now; otherwise it was taken away.
        is_true: bool,
        /// Its reason; empty if it is the type.
        reason: &'static str,
    },
}

/// A loop of Karpenter, by its controller's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Loop {
    /// Finds nodes for pods.
    Provisioner,
    /// Finds nodes to be removed.
    Disruption,
}

impl Loop {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Loop::Provisioner => "provisioner",
            Loop::Disruption => "disruption",
        }
    }
}

/// A step in the life of a NodeClaim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Milestone {
    /// Its node is registered.
    Registered,
    /// Its node is initialized.
    Initialized,
    /// Its node carries the taint `karpenter.sh/disrupted`.
    Disrupted,
    /// That taint was taken off again.
    Undisrupted,
    /// It is being deleted.
    Deleting,
    /// It is gone.
    Deleted,
}

impl Milestone {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Milestone::Registered => "registered",
            Milestone::Initialized => "initialized",
            Milestone::Disrupted => "disrupted",
            Milestone::Undisrupted => "undisrupted",
            Milestone::Deleting => "deleting",
            Milestone::Deleted => "deleted",
        }
    }
}

/// Who decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum Cause {
    /// Pods needed room, or a static NodePool nodes.
    Provision,
    /// A method of disruption.
    Disrupt,
    /// `expireAfter`.
    Expire,
    /// The cloud takes it back.
    Interrupt,
    /// Somebody deleted a NodeClaim or a NodePool, or a static NodePool has too many.
    Delete,
}

impl Cause {
    /// In a word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Cause::Provision => "provision",
            Cause::Disrupt => "disrupt",
            Cause::Expire => "expire",
            Cause::Interrupt => "interrupt",
            Cause::Delete => "delete",
        }
    }
}

/// Why something was decided, in Karpenter's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Pods, or a static NodePool, got nodes.
    Provisioned,
    /// A reason that budgets know.
    Disruption(DisruptionReason),
    /// Older than `expireAfter`.
    Expired,
    /// A spot instance is needed elsewhere.
    SpotInterrupted,
    /// The cloud maintains the machine.
    ScheduledMaintenance,
    /// The instance was stopped.
    InstanceStopped,
    /// A user deleted it.
    Deleted,
    /// A user deleted its NodePool.
    NodePoolDeleted,
    /// Its static NodePool has more nodes than `replicas`.
    ScaledDown,
}

impl Reason {
    /// In Karpenter's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::Provisioned => "Provisioned",
            Reason::Disruption(reason) => reason.as_str(),
            Reason::Expired => "Expired",
            Reason::SpotInterrupted => "SpotInterrupted",
            Reason::ScheduledMaintenance => "ScheduledMaintenance",
            Reason::InstanceStopped => "InstanceStopped",
            Reason::Deleted => "Deleted",
            Reason::NodePoolDeleted => "NodePoolDeleted",
            Reason::ScaledDown => "ScaledDown",
        }
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A NodeClaim that is to go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Removed {
    /// Its name.
    pub name: Str,
    /// Pods on its node that will need another place.
    pub pods: Vec<Str>,
}

/// A decision.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Decided {
    /// Who decided.
    pub cause: Cause,
    /// Why.
    pub reason: Reason,
    /// New NodeClaims: name, and what was asked for.
    pub launched: Vec<(Str, NewNodeClaim)>,
    /// NodeClaims that are to go.
    pub removed: Vec<Removed>,
    /// Pods promised to nodes that are there: node, pods.
    pub existing: Vec<(Str, Vec<Str>)>,
    /// Pods that found no place, and why.
    pub failed: Vec<(Str, PodError)>,
}

impl Decided {
    /// NodeClaims are made.
    pub(crate) fn launching(launched: Vec<(Str, NewNodeClaim)>) -> Self {
        Decided {
            cause: Cause::Provision,
            reason: Reason::Provisioned,
            launched,
            removed: Vec::new(),
            existing: Vec::new(),
            failed: Vec::new(),
        }
    }

    /// NodeClaims go, and nothing comes in their place.
    pub(crate) fn removing(cause: Cause, reason: Reason, removed: Vec<Removed>) -> Self {
        Decided { cause, reason, launched: Vec::new(), removed, existing: Vec::new(), failed: Vec::new() }
    }
}
