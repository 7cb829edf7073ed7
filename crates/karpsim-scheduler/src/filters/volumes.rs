//! VolumeRestrictions and NodeVolumeLimits: disks that only one pod on a node can use, claims that only one pod can use, and
//! how many volumes a node can attach.

use super::NodeView;
use crate::cluster::Cluster;
use crate::reason::{Plugin, Reason, Refusal};
use crate::storage::namespaced;
use karpsim::model::core::{Pod, Volume};
use karpsim::model::meta::Str;
use std::collections::BTreeSet;

/// What VolumeRestrictions knows before it looks at nodes.
#[derive(Debug, Clone)]
pub(super) struct Restrictions {
    /// Claims of the pod that only one pod may use.
    for_one_pod: BTreeSet<Str>,
    /// Uses of them by other pods.
    uses: i32,
}

impl Restrictions {
    /// `None`: there is nothing to check.
    pub(super) fn new(cluster: &Cluster, pod: &Pod) -> Result<Option<Self>, Reason> {
        let has_disks = pod.spec.volumes.iter().any(is_disk);
        let for_one_pod = cluster.storage.claims_for_one_pod(pod)?;
        let namespace = &pod.metadata.namespace;
        let is_used = |name: &&Str| cluster.is_claim_in_use(&namespaced(namespace, name));
        let uses = for_one_pod.iter().filter(is_used).count() as i32;
        Ok((has_disks || uses > 0).then_some(Restrictions { for_one_pod, uses }))
    }

    /// Claims are told by name alone, whatever the namespace.
    pub(super) fn update(&mut self, other: &Pod, sign: i32) {
        let claims = other.spec.volumes.iter().filter_map(|volume| volume.persistent_volume_claim.as_ref());
        let uses = claims.filter(|source| self.for_one_pod.contains(&source.claim_name)).count();
        self.uses += sign * uses as i32;
    }

    pub(super) fn check(&self, cluster: &Cluster, pod: &Pod, view: NodeView<'_>) -> Result<(), Refusal> {
        let plugin = Plugin::VolumeRestrictions;
        let others = || {
            let bound = cluster.pods_of(view.info).map(|bound| &bound.pod);
            bound.chain(view.extra.iter().map(|info| &info.pod))
        };
        if pod.spec.volumes.iter().any(is_disk) && others().any(|other| disks_conflict(pod, other)) {
            return Err(Refusal::resolvable(plugin, Reason::DiskConflict));
        }
        if self.uses > 0 {
            return Err(Refusal::resolvable(plugin, Reason::ReadWriteOncePodInUse));
        }
        Ok(())
    }
}

fn is_disk(volume: &Volume) -> bool {
    volume.gce_persistent_disk.is_some()
        || volume.aws_elastic_block_store.is_some()
        || volume.rbd.is_some()
        || volume.iscsi.is_some()
}

/// Whether two pods use one disk that both cannot use on one node.
pub(crate) fn disks_conflict(a: &Pod, b: &Pod) -> bool {
    let (a, b) = (&a.spec.volumes, &b.spec.volumes);
    a.iter().filter(|volume| is_disk(volume)).any(|volume| b.iter().any(|other| conflicts(volume, other)))
}

/// Whether two volumes are one disk that both cannot use on one node.
fn conflicts(a: &Volume, b: &Volume) -> bool {
    if let (Some(a), Some(b)) = (&a.gce_persistent_disk, &b.gce_persistent_disk)
        && a.pd_name == b.pd_name
        && !(a.read_only && b.read_only)
    {
        return true;
    }
    if let (Some(a), Some(b)) = (&a.aws_elastic_block_store, &b.aws_elastic_block_store)
        && a.volume_id == b.volume_id
    {
        return true;
    }
    if let (Some(a), Some(b)) = (&a.iscsi, &b.iscsi)
        && a.iqn == b.iqn
        && !(a.read_only && b.read_only)
    {
        return true;
    }
    if let (Some(a), Some(b)) = (&a.rbd, &b.rbd) {
        let pool = |pool: &Str| if pool.is_empty() { "rbd".into() } else { pool.clone() };
        return a.monitors.iter().any(|monitor| b.monitors.contains(monitor))
            && pool(&a.pool) == pool(&b.pool)
            && a.image == b.image
            && !(a.read_only && b.read_only);
    }
    false
}

/// Whether the node would have to attach more volumes of some driver than it can.
pub(super) fn exceeds_limits(cluster: &Cluster, pod: &Pod, view: NodeView<'_>) -> bool {
    let name = &view.node.metadata.name;
    let mut new = BTreeSet::new();
    cluster.storage.attached(pod, name, &mut new);
    let limits = cluster.storage.limits(name);
    if new.is_empty() || limits.is_empty() {
        return false;
    }
    let mut attached = BTreeSet::new();
    for bound in cluster.pods_of(view.info) {
        cluster.storage.attached(&bound.pod, name, &mut attached);
    }
    for extra in view.extra {
        cluster.storage.attached(&extra.pod, name, &mut attached);
    }
    new.retain(|volume| !attached.contains(volume));
    let count = |volumes: &BTreeSet<(Str, Str)>, driver: &str| {
        volumes.iter().filter(|(known, _)| known == driver).count() as i64
    };
    limits.iter().any(|(driver, limit)| {
        let more = count(&new, driver);
        more > 0 && count(&attached, driver) + more > *limit
    })
}
