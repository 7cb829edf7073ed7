//! The cluster as Karpenter sees it, and a moment of it as a [`Scenario`].

use crate::capacity::OfferingKey;
use crate::claim::Claim;
use crate::event::PriceChange;
use crate::time::{Calendar, Nanos, SECOND};
use karpsim::catalogue::Catalogue;
use karpsim::kubernetes::pods;
use karpsim::label_rules::is_known_node_class;
use karpsim::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use karpsim::model::karpenter::{NodeClassReference, NodeOverlay, NodePool};
use karpsim::model::meta::Str;
use karpsim::scenario::Options;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Nothing about the cluster is remembered as consolidated for longer than this.
const CONSOLIDATED_FOR_AT_MOST: Nanos = 300 * SECOND;

/// The cluster as Karpenter sees it. Everything is sorted by name: order reaches decisions.
#[derive(Debug, Clone)]
pub(crate) struct Cluster {
    /// The clock.
    pub(crate) calendar: Calendar,
    pub(crate) options: Options,
    pub(crate) pods: BTreeMap<Str, Arc<Pod>>,
    pub(crate) pods_on_node: BTreeMap<Str, BTreeSet<Str>>,
    /// Pods that nodes should be found for.
    pub(crate) provisionable: BTreeSet<Str>,
    pub(crate) nodes: BTreeMap<Str, Arc<Node>>,
    claims: BTreeMap<Str, Claim>,
    /// The claim of every node that belongs to one.
    claim_of_node: BTreeMap<Str, Str>,
    /// The claim of every instance, by its provider id.
    claim_of_instance: BTreeMap<Str, Str>,
    /// The node of every instance, by its provider id.
    node_of_instance: BTreeMap<Str, Str>,
    pub(crate) node_pools: BTreeMap<Str, NodePool>,
    pub(crate) node_overlays: BTreeMap<Str, NodeOverlay>,
    pub(crate) daemon_sets: BTreeMap<Str, DaemonSet>,
    pub(crate) budgets: BTreeMap<Str, PodDisruptionBudget>,
    pub(crate) namespaces: BTreeMap<Str, Namespace>,
    pub(crate) volumes: BTreeMap<Str, PersistentVolume>,
    pub(crate) volume_claims: BTreeMap<Str, PersistentVolumeClaim>,
    pub(crate) storage_classes: BTreeMap<Str, StorageClass>,
    pub(crate) csi_nodes: BTreeMap<Str, CsiNode>,
    /// As the cloud offers it.
    offered: Arc<Catalogue>,
    /// As Karpenter sees it: without what it could not get lately.
    seen: Arc<Catalogue>,
    unavailable: BTreeMap<OfferingKey, Nanos>,
    /// Grows with every change that a decision could see.
    pub(crate) version: u64,
    /// Grows with every change that could make consolidation possible, and when that was.
    consolidation: (u64, Option<Nanos>),
}

impl Cluster {
    pub(crate) fn new(calendar: Calendar, options: Options, catalogue: Arc<Catalogue>) -> Self {
        Cluster {
            calendar,
            options,
            pods: BTreeMap::new(),
            pods_on_node: BTreeMap::new(),
            provisionable: BTreeSet::new(),
            nodes: BTreeMap::new(),
            claims: BTreeMap::new(),
            claim_of_node: BTreeMap::new(),
            claim_of_instance: BTreeMap::new(),
            node_of_instance: BTreeMap::new(),
            node_pools: BTreeMap::new(),
            node_overlays: BTreeMap::new(),
            daemon_sets: BTreeMap::new(),
            budgets: BTreeMap::new(),
            namespaces: BTreeMap::new(),
            volumes: BTreeMap::new(),
            volume_claims: BTreeMap::new(),
            storage_classes: BTreeMap::new(),
            csi_nodes: BTreeMap::new(),
            offered: Arc::clone(&catalogue),
            seen: catalogue,
            unavailable: BTreeMap::new(),
            version: 0,
            consolidation: (0, None),
        }
    }

    /// Its NodeClaims, by name.
    pub(crate) fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values()
    }

    /// The NodeClaim of that name.
    pub(crate) fn claim(&self, name: &str) -> Option<&Claim> {
        self.claims.get(name)
    }

    /// The NodeClaim of that name, to be changed. What joins it to others is not changed here.
    pub(crate) fn claim_mut(&mut self, name: &str) -> Option<&mut Claim> {
        self.claims.get_mut(name)
    }

    /// The NodeClaim of that name, to be changed, and its NodePool.
    pub(crate) fn claim_and_pool(&mut self, name: &str) -> Option<(&mut Claim, &NodePool)> {
        let claim = self.claims.get_mut(name)?;
        let pool = self.node_pools.get(&claim.pool)?;
        Some((claim, pool))
    }

    /// A NodeClaim is there, new or again.
    pub(crate) fn insert_claim(&mut self, claim: Claim) {
        let name = claim.name().clone();
        if let Some(id) = claim.provider_id() {
            self.claim_of_instance.insert(id.clone(), name.clone());
        }
        if let Some(node) = claim.node() {
            self.claim_of_node.insert(node.clone(), name.clone());
        }
        self.claims.insert(name, claim);
    }

    /// A NodeClaim is no more.
    pub(crate) fn remove_claim(&mut self, name: &str) -> Option<Claim> {
        let claim = self.claims.remove(name)?;
        if let Some(id) = claim.provider_id() {
            self.claim_of_instance.remove(id);
        }
        if let Some(node) = claim.node()
            && self.claim_of_node(node) == Some(claim.name())
        {
            self.claim_of_node.remove(node);
        }
        Some(claim)
    }

    /// An instance runs for a NodeClaim.
    pub(crate) fn set_provider_id(&mut self, claim: &str, id: &Str) {
        if let Some(claim) = self.claims.get_mut(claim) {
            self.claim_of_instance.insert(id.clone(), claim.name().clone());
            Arc::make_mut(&mut claim.object).status.provider_id = id.clone();
        }
    }

    /// A node is there, new or changed; whether it is new.
    pub(crate) fn insert_node(&mut self, node: Arc<Node>) -> bool {
        let name = node.metadata.name.clone();
        if !node.spec.provider_id.is_empty() {
            self.node_of_instance.insert(node.spec.provider_id.clone(), name.clone());
        }
        self.nodes.insert(name, node).is_none()
    }

    /// A node is no more; whether there was one.
    pub(crate) fn remove_node(&mut self, name: &str) -> bool {
        self.claim_of_node.remove(name);
        let Some(node) = self.nodes.remove(name) else { return false };
        self.node_of_instance.remove(&node.spec.provider_id);
        true
    }

    /// Joins the node and the NodeClaim of an instance: from here on one is found by the other.
    pub(crate) fn join(&mut self, node: &Str, claim: &Str) {
        self.claim_of_node.insert(node.clone(), claim.clone());
        if let Some(claim) = self.claims.get_mut(claim).filter(|claim| claim.node() != Some(node)) {
            Arc::make_mut(&mut claim.object).status.node_name = node.clone();
        }
    }

    /// The claim that `node` belongs to.
    pub(crate) fn claim_of_node(&self, node: &str) -> Option<&Str> {
        self.claim_of_node.get(node)
    }

    /// The claim that an instance was launched for.
    pub(crate) fn claim_of_instance(&self, provider_id: &str) -> Option<&Str> {
        self.claim_of_instance.get(provider_id)
    }

    /// The node of an instance.
    pub(crate) fn node_of_instance(&self, provider_id: &str) -> Option<&Str> {
        self.node_of_instance.get(provider_id)
    }

    /// The claim of what a decision calls `name`: of the node of that name, or the one of that name without a node.
    pub(crate) fn claim_in_decision(&self, name: &str) -> Option<&Str> {
        if self.nodes.contains_key(name) {
            return self.claim_of_node(name);
        }
        self.claims.get(name).filter(|claim| claim.node().is_none()).map(Claim::name)
    }

    /// Whether every NodeClaim has its instance. Until then nothing is decided.
    pub(crate) fn is_synced(&self) -> bool {
        self.claims.values().all(|claim| claim.provider_id().is_some())
    }

    /// Whether objects with this node class are this Karpenter's; others are left alone.
    pub(crate) fn is_managed(&self, class: &NodeClassReference) -> bool {
        is_known_node_class(&self.offered.provider, class)
    }

    /// The NodePool of that name, if its number of nodes is Karpenter's to keep.
    pub(crate) fn static_pool(&self, name: &str) -> Option<&NodePool> {
        let gate = self.options.feature_gates.static_capacity.unwrap_or(false);
        self.node_pools.get(name).filter(|pool| {
            gate && pool.spec.replicas.is_some() && self.is_managed(&pool.spec.template.spec.node_class_ref)
        })
    }

    /// Pods on the node of a NodeClaim.
    pub(crate) fn pods_of<'a>(&'a self, claim: &Claim) -> impl Iterator<Item = &'a Arc<Pod>> {
        let pods = claim.node().and_then(|node| self.pods_on_node.get(node));
        pods.into_iter().flatten().filter_map(|key| self.pods.get(key))
    }

    pub(crate) fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.pods_on_node.get(node).into_iter().flatten().filter_map(|key| self.pods.get(key))
    }

    /// Pods of a NodeClaim that need another place when it goes.
    pub(crate) fn reschedulable_of(&self, claim: &Claim) -> Vec<Str> {
        self.pods_of(claim).filter(|pod| pods::is_reschedulable(pod)).map(|pod| pods::pod_key(pod)).collect()
    }

    /// Something changed that may make consolidation possible.
    pub(crate) fn mark_unconsolidated(&mut self, now: Nanos) {
        self.consolidation = (self.consolidation.0 + 1, Some(now));
    }

    /// The state of the cluster as far as consolidation goes; after 5 minutes it counts as changed.
    pub(crate) fn consolidation_state(&mut self, now: Nanos) -> u64 {
        if self.consolidation.1.is_none_or(|since| now - since >= CONSOLIDATED_FOR_AT_MOST) {
            self.mark_unconsolidated(now);
        }
        self.consolidation.0
    }

    /// Offerings cost something else from now on. A price history changes some prices at very many moments, so they are
    /// changed in place.
    pub(crate) fn set_prices(&mut self, changes: &[PriceChange]) {
        // As a rule both are one, which could not be changed in place.
        let seen = std::mem::take(&mut self.seen);
        let same = Arc::ptr_eq(&seen, &self.offered);
        if same {
            drop(seen);
        } else {
            self.seen = seen;
            set_prices(Arc::make_mut(&mut self.seen), changes);
        }
        set_prices(Arc::make_mut(&mut self.offered), changes);
        if same {
            self.seen = Arc::clone(&self.offered);
        }
    }

    /// These could not be had: nothing is launched as them until `until`.
    pub(crate) fn set_unavailable(&mut self, keys: Vec<OfferingKey>, until: Nanos) {
        if !keys.is_empty() {
            self.unavailable.extend(keys.into_iter().map(|key| (key, until)));
            self.rebuild_catalogue();
        }
    }

    pub(crate) fn forget_unavailable(&mut self, now: Nanos) {
        let before = self.unavailable.len();
        self.unavailable.retain(|_, until| *until > now);
        if self.unavailable.len() != before {
            self.rebuild_catalogue();
        }
    }

    fn rebuild_catalogue(&mut self) {
        self.version += 1;
        if self.unavailable.is_empty() {
            self.seen = Arc::clone(&self.offered);
            return;
        }
        let mut seen = (*self.offered).clone();
        for instance_type in seen.instance_types.iter_mut().map(Arc::make_mut) {
            let keys: Vec<OfferingKey> = instance_type
                .offerings
                .iter()
                .map(|offering| OfferingKey::of(instance_type, offering))
                .collect();
            for (offering, key) in instance_type.offerings.iter_mut().zip(keys) {
                if self.unavailable.contains_key(&key) {
                    offering.available = false;
                }
            }
        }
        self.seen = Arc::new(seen);
    }

    /// The catalogue as Karpenter sees it.
    pub(crate) fn catalogue(&self) -> &Arc<Catalogue> {
        &self.seen
    }
}

fn set_prices(catalogue: &mut Catalogue, changes: &[PriceChange]) {
    for change in changes {
        let of_name = catalogue.instance_types.iter_mut().find(|it| it.name == change.instance_type);
        if let Some(instance_type) = of_name {
            change.apply(instance_type);
        }
    }
}
