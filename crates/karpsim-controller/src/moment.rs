//! The cluster that decisions are asked of: compiled once, and told before every question what has changed since the last.
//!
//! Objects are shared, so that whether one has changed is a comparison of two addresses.

use crate::claim::Claim;
use crate::cluster::Cluster;
use crate::time::Nanos;
use karpsim::catalogue::Catalogue;
use karpsim::cluster::Change;
use karpsim::kubernetes::pods;
use karpsim::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use karpsim::model::karpenter::{NodeClaim, NodeOverlay, NodePool};
use karpsim::model::meta::Str;
use karpsim::scenario::Scenario;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

/// See the module's head.
pub(crate) struct Moment {
    cluster: karpsim::cluster::Cluster,
    told: Told,
}

/// What the cluster has been told.
#[derive(Default)]
struct Told {
    /// The version of Karpenter's cluster.
    version: Option<u64>,
    catalogue: Arc<Catalogue>,
    pods: BTreeMap<Str, Arc<Pod>>,
    nodes: BTreeMap<Str, Arc<Node>>,
    claims: BTreeMap<Str, Arc<NodeClaim>>,
    node_pools: BTreeMap<Str, NodePool>,
    node_overlays: BTreeMap<Str, NodeOverlay>,
    daemon_sets: BTreeMap<Str, DaemonSet>,
    budgets: BTreeMap<Str, PodDisruptionBudget>,
    namespaces: BTreeMap<Str, Namespace>,
    volumes: BTreeMap<Str, PersistentVolume>,
    volume_claims: BTreeMap<Str, PersistentVolumeClaim>,
    storage_classes: BTreeMap<Str, StorageClass>,
    csi_nodes: BTreeMap<Str, CsiNode>,
    nominated: Vec<Str>,
    marked: Vec<Str>,
}

impl Moment {
    /// A moment of a cluster without objects.
    pub(crate) fn new(cluster: &Cluster) -> Self {
        let scenario = Scenario {
            options: cluster.options.clone(),
            catalogue: Arc::clone(cluster.catalogue()),
            ..Scenario::default()
        };
        let told = Told { catalogue: Arc::clone(cluster.catalogue()), ..Told::default() };
        Moment { cluster: karpsim::cluster::Cluster::new(&scenario), told }
    }

    /// The cluster as it is at `now`.
    pub(crate) fn of(&mut self, cluster: &mut Cluster, now: Nanos) -> &mut karpsim::cluster::Cluster {
        cluster.forget_unavailable(now);
        let mut changes = vec![Change::Now(cluster.calendar.wall(now))];
        if self.told.version != Some(cluster.version) {
            self.told.compare_settled(cluster, &mut changes);
            self.told.version = Some(cluster.version);
        }
        self.told.follow_passing(cluster, &mut changes);
        if !Arc::ptr_eq(&self.told.catalogue, cluster.catalogue()) {
            self.told.catalogue = Arc::clone(cluster.catalogue());
            changes.push(Change::Catalogue(Arc::clone(cluster.catalogue())));
        }
        let names = |wanted: fn(&Claim, Nanos) -> bool| -> Vec<Str> {
            let claims = cluster.claims().filter(|claim| wanted(claim, now));
            claims.map(|claim| claim.state_name().clone()).collect()
        };
        let nominated = names(|claim, now| claim.nominated_until > now);
        if nominated != self.told.nominated {
            self.told.nominated.clone_from(&nominated);
            changes.push(Change::Nominated(nominated));
        }
        let marked = names(|claim, _| claim.marked);
        if marked != self.told.marked {
            self.told.marked.clone_from(&marked);
            changes.push(Change::MarkedForDeletion(marked));
        }
        for change in changes {
            self.cluster.change(change);
        }
        &mut self.cluster
    }
}

impl Told {
    /// Notes objects that rarely change, and what has to be told of them.
    fn compare_settled(&mut self, cluster: &Cluster, changes: &mut Vec<Change>) {
        fn boxed<T>(make: fn(Box<T>) -> Change) -> impl Fn(&T) -> Change
        where
            T: Clone,
        {
            move |object| make(Box::new(object.clone()))
        }
        let of = changes;
        compare(&mut self.node_pools, &cluster.node_pools, boxed(Change::NodePool), Change::NodePoolGone, of);
        compare(
            &mut self.node_overlays,
            &cluster.node_overlays,
            boxed(Change::NodeOverlay),
            Change::NodeOverlayGone,
            of,
        );
        compare(
            &mut self.daemon_sets,
            &cluster.daemon_sets,
            boxed(Change::DaemonSet),
            Change::DaemonSetGone,
            of,
        );
        compare(
            &mut self.budgets,
            &cluster.budgets,
            boxed(Change::PodDisruptionBudget),
            Change::PodDisruptionBudgetGone,
            of,
        );
        compare(
            &mut self.namespaces,
            &cluster.namespaces,
            boxed(Change::Namespace),
            Change::NamespaceGone,
            of,
        );
        compare(
            &mut self.volumes,
            &cluster.volumes,
            boxed(Change::PersistentVolume),
            Change::PersistentVolumeGone,
            of,
        );
        compare(
            &mut self.volume_claims,
            &cluster.volume_claims,
            boxed(Change::PersistentVolumeClaim),
            Change::PersistentVolumeClaimGone,
            of,
        );
        compare(
            &mut self.storage_classes,
            &cluster.storage_classes,
            boxed(Change::StorageClass),
            Change::StorageClassGone,
            of,
        );
        compare(&mut self.csi_nodes, &cluster.csi_nodes, boxed(Change::CsiNode), Change::CsiNodeGone, of);
    }

    /// The same for nodes, NodeClaims and pods, which come and go.
    fn follow_passing(&mut self, cluster: &Cluster, of: &mut Vec<Change>) {
        follow(&mut self.nodes, cluster.nodes.iter(), Change::Node, Change::NodeGone, of);
        let claims = cluster.claims().map(|claim| (claim.name(), &claim.object));
        follow(&mut self.claims, claims, Change::NodeClaim, Change::NodeClaimGone, of);
        let pods = cluster.pods.iter().filter(|(_, pod)| !pods::is_terminal(pod));
        follow(&mut self.pods, pods, Change::Pod, Change::PodGone, of);
    }
}

/// Brings `known` to what `now` is, where objects are shared. Both are in order of name.
fn follow<'a, T: 'a>(
    known: &mut BTreeMap<Str, Arc<T>>,
    now: impl Iterator<Item = (&'a Str, &'a Arc<T>)>,
    came: fn(Arc<T>) -> Change,
    gone: fn(Str) -> Change,
    changes: &mut Vec<Change>,
) {
    let mut differing: Vec<(Str, Option<Arc<T>>)> = Vec::new();
    let mut before = known.iter().peekable();
    for (name, object) in now {
        while let Some((lost, _)) = before.next_if(|(other, _)| *other < name) {
            differing.push((lost.clone(), None));
        }
        match before.next_if(|(other, _)| *other == name) {
            Some((_, same)) if Arc::ptr_eq(same, object) => {}
            _ => differing.push((name.clone(), Some(Arc::clone(object)))),
        }
    }
    differing.extend(before.map(|(lost, _)| (lost.clone(), None)));
    for (name, object) in differing {
        match object {
            Some(object) => {
                changes.push(came(Arc::clone(&object)));
                known.insert(name, object);
            }
            None => {
                known.remove(&name);
                changes.push(gone(name));
            }
        }
    }
}

/// The same where objects are few and compared whole.
fn compare<T: Clone + PartialEq>(
    known: &mut BTreeMap<Str, T>,
    now: &BTreeMap<Str, T>,
    came: impl Fn(&T) -> Change,
    gone: fn(Str) -> Change,
    changes: &mut Vec<Change>,
) {
    if known == now {
        return;
    }
    known.retain(|name, _| {
        let stays = now.contains_key(name);
        if !stays {
            changes.push(gone(name.clone()));
        }
        stays
    });
    for (name, object) in now {
        match known.entry(name.clone()) {
            Entry::Occupied(same) if same.get() == object => {}
            Entry::Occupied(mut other) => {
                other.insert(object.clone());
                changes.push(came(object));
            }
            Entry::Vacant(place) => {
                place.insert(object.clone());
                changes.push(came(object));
            }
        }
    }
}
