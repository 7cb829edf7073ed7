//! What the world tells the controller.

use crate::capacity::OfferingKey;
use karpsim::catalogue::{InstanceType, Price};
use karpsim::decision::Launch;
use karpsim::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use karpsim::model::karpenter::{NodeClaim, NodeOverlay, NodePool};
use karpsim::model::meta::Str;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Why the cloud takes an instance back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
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

/// What the world sees. Objects are whole, as a watch delivers them; instances go by their provider id, which alone joins
/// them to their NodeClaim and their node.
#[derive(Debug, Clone)]
#[non_exhaustive]
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
    /// A user deletes a NodeClaim.
    DeleteNodeClaim(Str),
    /// A user deletes a node; its NodeClaim goes too.
    DeleteNode(Str),
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
        node_claim: Str,
        /// How the cloud calls the instance.
        provider_id: Str,
        /// As what.
        launch: Launch,
        /// Offerings that were tried before and could not be had.
        unavailable: Vec<OfferingKey>,
    },
    /// Nothing could be had for a NodeClaim.
    LaunchFailed {
        /// The NodeClaim.
        node_claim: Str,
        /// What was tried.
        unavailable: Vec<OfferingKey>,
    },
    /// An instance is gone: its provider id.
    InstanceGone(Str),
    /// The API server refused an eviction (429): `namespace/name`.
    EvictionRefused(Str),
    /// The API server accepted an eviction: `namespace/name`.
    EvictionAccepted(Str),
    /// The cloud warns that it takes an instance back.
    Interruption {
        /// Its provider id.
        provider_id: Str,
        /// Why.
        interruption: Interruption,
    },
}
