//! The cluster as Karpenter sees it, and a moment of it as a [`Scenario`].

use crate::capacity::OfferingKey;
use crate::claim::Claim;
use crate::event::PriceChange;
use crate::time::{Calendar, Nanos, SECOND};
use karpsim::catalogue::Catalogue;
use karpsim::kubernetes::pods;
use karpsim::model::Objects;
use karpsim::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use karpsim::model::karpenter::{NodeOverlay, NodePool};
use karpsim::model::meta::Str;
use karpsim::scenario::{ClusterMemory, Options, Scenario, ScenarioKind};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Nothing about the cluster is remembered as consolidated for longer than this.
const CONSOLIDATED_FOR_AT_MOST: Nanos = 300 * SECOND;

/// The cluster as Karpenter sees it. Everything is sorted by name: order reaches decisions.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The clock.
    pub calendar: Calendar,
    pub(crate) options: Options,
    pub(crate) pods: BTreeMap<Str, Arc<Pod>>,
    pub(crate) pods_on_node: BTreeMap<Str, BTreeSet<Str>>,
    /// Pods that nodes should be found for.
    pub(crate) provisionable: BTreeSet<Str>,
    pub(crate) nodes: BTreeMap<Str, Arc<Node>>,
    pub(crate) claims: BTreeMap<Str, Claim>,
    pub(crate) claim_of_node: BTreeMap<Str, Str>,
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

    /// Its NodeClaims.
    pub fn claims(&self) -> impl Iterator<Item = &Claim> {
        self.claims.values()
    }

    /// The node of that name, as Karpenter last changed it.
    pub fn node(&self, name: &str) -> Option<&Arc<Node>> {
        self.nodes.get(name)
    }

    /// Whether every NodeClaim has its instance. Until then nothing is decided.
    pub(crate) fn is_synced(&self) -> bool {
        self.claims.values().all(|claim| !claim.object.status.provider_id.is_empty())
    }

    /// The claim that `node` belongs to.
    pub(crate) fn claim_name_of(&self, node: &str) -> Option<Str> {
        self.claim_of_node.get(node).cloned()
    }

    pub(crate) fn pods_on<'a>(&'a self, node: &str) -> impl Iterator<Item = &'a Arc<Pod>> {
        self.pods_on_node.get(node).into_iter().flatten().filter_map(|key| self.pods.get(key))
    }

    /// Pods on `node` that need another place when it goes.
    pub(crate) fn reschedulable_on(&self, node: &str) -> Vec<Str> {
        self.pods_on(node).filter(|pod| pods::is_reschedulable(pod)).map(|pod| pods::pod_key(pod)).collect()
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

    fn forget_unavailable(&mut self, now: Nanos) {
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

    /// This moment, to decide on.
    pub(crate) fn scenario(&mut self, now: Nanos, kind: ScenarioKind) -> Scenario {
        self.forget_unavailable(now);
        let pods: Vec<Arc<Pod>> = self.pods.values().filter(|pod| !pods::is_terminal(pod)).cloned().collect();
        let node_claims: Vec<_> = self.claims.values().map(|claim| Arc::clone(&claim.object)).collect();
        let nodes: Vec<_> = self.nodes.values().cloned().collect();
        let count = pods.len() + node_claims.len() + nodes.len();
        let names = |wanted: fn(&Claim, Nanos) -> bool| {
            self.claims
                .values()
                .filter(|claim| wanted(claim, now))
                .map(|claim| claim.node_name().clone())
                .collect()
        };
        Scenario {
            name: Str::default(),
            kind,
            now: self.calendar.wall(now),
            options: self.options.clone(),
            catalogue: Arc::clone(&self.seen),
            objects: Objects {
                pods,
                nodes,
                node_claims,
                node_pools: self.node_pools.values().cloned().collect(),
                node_overlays: self.node_overlays.values().cloned().collect(),
                daemon_sets: self.daemon_sets.values().cloned().collect(),
                namespaces: self.namespaces.values().cloned().collect(),
                persistent_volumes: self.volumes.values().cloned().collect(),
                persistent_volume_claims: self.volume_claims.values().cloned().collect(),
                storage_classes: self.storage_classes.values().cloned().collect(),
                csi_nodes: self.csi_nodes.values().cloned().collect(),
                pod_disruption_budgets: self.budgets.values().cloned().collect(),
                count,
                ..Objects::default()
            },
            memory: ClusterMemory {
                nominated: names(|claim, now| claim.nominated_until > now),
                marked_for_deletion: names(|claim, _| claim.marked),
                ..ClusterMemory::default()
            },
        }
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
