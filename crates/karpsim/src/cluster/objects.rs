//! Changes to the objects of a cluster that is not compiled.

use super::Change;
use crate::kubernetes::pods::pod_key;
use crate::model::meta::{ObjectMeta, Str};
use crate::scenario::Scenario;

/// Makes `change` to the objects of `scenario`.
pub(super) fn apply(scenario: &mut Scenario, change: Change) {
    let objects = &mut scenario.objects;
    match change {
        Change::Pod(pod) => {
            let key = pod_key(&pod);
            set(&mut objects.pods, pod, |it| pod_key(it) == key);
        }
        Change::PodGone(key) => objects.pods.retain(|it| pod_key(it) != key),
        Change::Node(node) => {
            let name = node.metadata.name.clone();
            set(&mut objects.nodes, node, |it| it.metadata.name == name);
        }
        Change::NodeGone(name) => objects.nodes.retain(|it| it.metadata.name != name),
        Change::NodeClaim(claim) => {
            let name = claim.metadata.name.clone();
            set(&mut objects.node_claims, claim, |it| it.metadata.name == name);
        }
        Change::NodeClaimGone(name) => objects.node_claims.retain(|it| it.metadata.name != name),
        Change::NodePool(it) => put(&mut objects.node_pools, *it, |it| &it.metadata),
        Change::NodePoolGone(key) => drop_one(&mut objects.node_pools, &key, |it| &it.metadata),
        Change::NodeOverlay(it) => put(&mut objects.node_overlays, *it, |it| &it.metadata),
        Change::NodeOverlayGone(key) => drop_one(&mut objects.node_overlays, &key, |it| &it.metadata),
        Change::DaemonSet(it) => put(&mut objects.daemon_sets, *it, |it| &it.metadata),
        Change::DaemonSetGone(key) => drop_one(&mut objects.daemon_sets, &key, |it| &it.metadata),
        Change::PodDisruptionBudget(it) => {
            put(&mut objects.pod_disruption_budgets, *it, |it| &it.metadata);
        }
        Change::PodDisruptionBudgetGone(key) => {
            drop_one(&mut objects.pod_disruption_budgets, &key, |it| &it.metadata);
        }
        Change::Namespace(it) => put(&mut objects.namespaces, *it, |it| &it.metadata),
        Change::NamespaceGone(key) => drop_one(&mut objects.namespaces, &key, |it| &it.metadata),
        Change::PersistentVolume(it) => put(&mut objects.persistent_volumes, *it, |it| &it.metadata),
        Change::PersistentVolumeGone(key) => {
            drop_one(&mut objects.persistent_volumes, &key, |it| &it.metadata);
        }
        Change::PersistentVolumeClaim(it) => {
            put(&mut objects.persistent_volume_claims, *it, |it| &it.metadata);
        }
        Change::PersistentVolumeClaimGone(key) => {
            drop_one(&mut objects.persistent_volume_claims, &key, |it| &it.metadata);
        }
        Change::StorageClass(it) => put(&mut objects.storage_classes, *it, |it| &it.metadata),
        Change::StorageClassGone(key) => drop_one(&mut objects.storage_classes, &key, |it| &it.metadata),
        Change::CsiNode(it) => put(&mut objects.csi_nodes, *it, |it| &it.metadata),
        Change::CsiNodeGone(key) => drop_one(&mut objects.csi_nodes, &key, |it| &it.metadata),
        Change::Service(it) => put(&mut objects.services, *it, |it| &it.metadata),
        Change::ServiceGone(key) => drop_one(&mut objects.services, &key, |it| &it.metadata),
        Change::ReplicationController(it) => {
            put(&mut objects.replication_controllers, *it, |it| &it.metadata);
        }
        Change::ReplicationControllerGone(key) => {
            drop_one(&mut objects.replication_controllers, &key, |it| &it.metadata);
        }
        Change::ReplicaSet(it) => put(&mut objects.replica_sets, *it, |it| &it.metadata),
        Change::ReplicaSetGone(key) => drop_one(&mut objects.replica_sets, &key, |it| &it.metadata),
        Change::StatefulSet(it) => put(&mut objects.stateful_sets, *it, |it| &it.metadata),
        Change::StatefulSetGone(key) => drop_one(&mut objects.stateful_sets, &key, |it| &it.metadata),
        Change::Now(now) => scenario.now = now,
        Change::Nominated(names) => scenario.memory.nominated = names,
        Change::MarkedForDeletion(names) => scenario.memory.marked_for_deletion = names,
        Change::Catalogue(catalogue) => scenario.catalogue = catalogue,
        Change::Options(options) => scenario.options = *options,
    }
}

fn set<T>(all: &mut Vec<T>, object: T, is_it: impl Fn(&T) -> bool) {
    match all.iter_mut().find(|known| is_it(known)) {
        Some(known) => *known = object,
        None => all.push(object),
    }
}

fn key(metadata: &ObjectMeta) -> Str {
    if metadata.namespace.is_empty() {
        return metadata.name.clone();
    }
    compact_str::format_compact!("{}/{}", metadata.namespace, metadata.name)
}

fn put<T>(all: &mut Vec<T>, object: T, metadata: fn(&T) -> &ObjectMeta) {
    let name = key(metadata(&object));
    set(all, object, |it| key(metadata(it)) == name);
}

fn drop_one<T>(all: &mut Vec<T>, name: &str, metadata: fn(&T) -> &ObjectMeta) {
    all.retain(|it| key(metadata(it)) != name);
}
