//! What the world tells the controller, and what the controller wants done.

use crate::capacity::OfferingKey;
use karpsim::catalogue::{InstanceType, Price};
use karpsim::decision::reasons::PodError;
use karpsim::decision::{Launch, NewNodeClaim};
use karpsim::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use karpsim::model::karpenter::{NodeClaim, NodeOverlay, NodePool};
use karpsim::model::meta::Str;
use std::sync::Arc;

/// Why the cloud takes a node back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interruption {
    /// A spot instance is needed elsewhere.
    Spot,
    /// A spot instance is likely to be needed soon. Karpenter does nothing about it.
    Rebalance,
    /// Scheduled maintenance.
    Maintenance,
    /// It is stopped already.
    Stopped,
}

/// An offering costs something else from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PriceChange {
    /// Instance type.
    pub instance_type: Str,
    /// Place of the offering among those of the type: zone and capacity type do not tell reservations apart.
    pub offering: usize,
    /// The new price.
    pub price: Price,
}

impl PriceChange {
    /// Makes the change in the type that it names.
    pub fn apply(&self, instance_type: &mut Arc<InstanceType>) {
        if let Some(offering) = Arc::make_mut(instance_type).offerings.get_mut(self.offering) {
            offering.price = self.price;
        }
    }
}

/// What the world sees. Objects are whole, as a watch delivers them.
#[derive(Debug, Clone)]
pub enum Event {
    /// A pod was made or changed.
    Pod(Arc<Pod>),
    /// A pod is gone: `namespace/name`.
    PodGone(Str),
    /// A node was made or changed.
    Node(Arc<Node>),
    /// A node is gone.
    NodeGone(Str),
    /// A NodeClaim that was there before this Karpenter.
    NodeClaim(Arc<NodeClaim>),
    /// A user deletes a NodeClaim, or its node.
    DeleteNodeClaim(Str),
    /// A NodePool was made or changed.
    NodePool(Box<NodePool>),
    /// A NodePool is gone; its NodeClaims go too.
    NodePoolGone(Str),
    /// A NodeOverlay was made or changed.
    NodeOverlay(Box<NodeOverlay>),
    /// A NodeOverlay is gone.
    NodeOverlayGone(Str),
    /// A DaemonSet was made or changed.
    DaemonSet(Box<DaemonSet>),
    /// A DaemonSet is gone: `namespace/name`.
    DaemonSetGone(Str),
    /// A disruption budget was made or changed, or its status.
    PodDisruptionBudget(Box<PodDisruptionBudget>),
    /// A disruption budget is gone: `namespace/name`.
    PodDisruptionBudgetGone(Str),
    /// A namespace was made or changed.
    Namespace(Box<Namespace>),
    /// A volume was made or changed.
    PersistentVolume(Box<PersistentVolume>),
    /// A claim of a volume was made or changed.
    PersistentVolumeClaim(Box<PersistentVolumeClaim>),
    /// A storage class was made or changed.
    StorageClass(Box<StorageClass>),
    /// The storage drivers of a node changed.
    CsiNode(Box<CsiNode>),
    /// Offerings cost something else from now on.
    Prices(Vec<PriceChange>),
    /// An instance runs for a NodeClaim.
    Launched {
        /// The NodeClaim.
        claim: Str,
        /// As what.
        launch: Launch,
        /// Offerings that were tried before and could not be had.
        unavailable: Vec<OfferingKey>,
    },
    /// Nothing could be had for a NodeClaim.
    LaunchFailed {
        /// The NodeClaim.
        claim: Str,
        /// What was tried.
        unavailable: Vec<OfferingKey>,
    },
    /// The instance of a NodeClaim is gone.
    InstanceGone(Str),
    /// The API server refused an eviction (429): `namespace/name`.
    EvictionRefused(Str),
    /// The API server accepted an eviction: `namespace/name`.
    EvictionAccepted(Str),
    /// The cloud warns that it takes a node back.
    Interruption {
        /// The node.
        node: Str,
        /// Why.
        interruption: Interruption,
    },
}

/// A step in the life of a NodeClaim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Milestone {
    /// Its node carries the taint `karpenter.sh/disrupted`.
    Disrupted,
    /// That taint was taken off again.
    Undisrupted,
    /// Its node is registered.
    Registered,
    /// Its node is initialized.
    Initialized,
    /// It is being deleted.
    Deleting,
    /// It is gone.
    Gone,
}

/// Why something was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecidedKind {
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

/// A node that is to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removed {
    /// The NodeClaim.
    pub name: Str,
    /// Pods on it that will need another place.
    pub pods: Vec<Str>,
}

/// A decision, for the record.
#[derive(Debug, Clone, PartialEq)]
pub struct Decided {
    /// Why.
    pub kind: DecidedKind,
    /// In Karpenter's word: `Provisioned`, `Empty`, `Drifted`, …
    pub reason: &'static str,
    /// New NodeClaims: name, and what was asked for.
    pub launched: Vec<(Str, NewNodeClaim)>,
    /// Nodes that are to go.
    pub removed: Vec<Removed>,
    /// Pods promised to nodes that are there: node, pods.
    pub existing: Vec<(Str, Vec<Str>)>,
    /// Pods that found no place, and why.
    pub failed: Vec<(Str, PodError)>,
}

/// What the controller wants done.
#[derive(Debug, Clone)]
pub enum Action {
    /// A NodeClaim was made: launch the cheapest offering that it allows.
    Launch {
        /// The NodeClaim.
        claim: Arc<NodeClaim>,
        /// What it can be.
        wanted: Box<NewNodeClaim>,
    },
    /// A node is to look like this.
    UpdateNode(Arc<Node>),
    /// A pod is to be bound.
    Bind {
        /// The pod, `namespace/name`.
        pod: Str,
        /// The node.
        node: Str,
    },
    /// A pod is to be evicted: `namespace/name`. Answered by an event.
    Evict(Str),
    /// A pod is to be deleted, whatever its budgets say.
    DeletePod {
        /// The pod, `namespace/name`.
        pod: Str,
        /// Seconds that it gets to end.
        grace_seconds: i64,
    },
    /// The instance of a NodeClaim is to be ended.
    TerminateInstance(Str),
    /// A node object is to be taken out.
    RemoveNode(Str),
    /// A NodeClaim got somewhere.
    Milestone {
        /// The NodeClaim.
        claim: Str,
        /// Where.
        milestone: Milestone,
    },
    /// A condition of a NodeClaim changed.
    Condition {
        /// The NodeClaim.
        claim: Str,
        /// Type.
        kind: &'static str,
        /// `True`, or `gone`.
        status: &'static str,
        /// Reason.
        reason: &'static str,
    },
    /// A pass of a loop began: `disruption` or `provisioner`.
    Pass(&'static str),
    /// A decision was made.
    Decided(Box<Decided>),
}
