//! Volumes: where a pod's claims can be reached, and how many a node can attach.

use super::asked::Asked;
use super::pods::asked_of;
use super::validity::{ClaimFault, PodFault};
use crate::kubernetes::labels::HOSTNAME;
use crate::label_rules::LabelRules;
use crate::model::Objects;
use crate::model::core::{
    NodeSelectorRequirement, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass, Volume,
};
use crate::model::meta::{Operator, Str};
use crate::requirements::Algebra;
use rustc_hash::FxHashMap;

/// In-tree volume plugins and the CSI drivers that took their place.
const MIGRATED: [(&str, &str); 7] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com"),
    ("kubernetes.io/azure-file", "file.csi.azure.com"),
    ("kubernetes.io/vsphere-volume", "csi.vsphere.vmware.com"),
    ("kubernetes.io/portworx-volume", "pxd.portworx.com"),
];

/// Claims, volumes and classes by name.
pub struct Storage<'a> {
    claims: FxHashMap<(&'a str, &'a str), &'a PersistentVolumeClaim>,
    volumes: FxHashMap<&'a str, &'a PersistentVolume>,
    classes: FxHashMap<&'a str, &'a StorageClass>,
}

/// What a pod's volumes mean for its placement.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VolumeUse {
    /// Driver and claim of each volume that counts against a limit, sorted, each once.
    pub attached: Vec<(Str, Str)>,
    /// What the node must be, one of these; empty: anything.
    pub alternatives: Vec<Asked>,
    /// Something that its claims refer to is missing: existing nodes are not tried for the pod.
    pub unresolved: bool,
    /// Where its volumes can be reached is not known.
    pub unreachable: bool,
}

impl<'a> Storage<'a> {
    /// The storage of a cluster.
    pub fn new(objects: &'a Objects) -> Self {
        Storage {
            claims: objects
                .persistent_volume_claims
                .iter()
                .map(|claim| ((claim.metadata.namespace.as_str(), claim.metadata.name.as_str()), claim))
                .collect(),
            volumes: objects
                .persistent_volumes
                .iter()
                .map(|volume| (volume.metadata.name.as_str(), volume))
                .collect(),
            classes: objects
                .storage_classes
                .iter()
                .map(|class| (class.metadata.name.as_str(), class))
                .collect(),
        }
    }

    /// The name of the claim behind `volume`, if it is one.
    fn claim_name(pod: &Pod, volume: &Volume) -> Option<Str> {
        if let Some(source) = &volume.persistent_volume_claim {
            return Some(source.claim_name.clone());
        }
        volume
            .ephemeral
            .as_ref()
            .map(|_| compact_str::format_compact!("{}-{}", pod.metadata.name, volume.name))
    }

    fn claim(&self, pod: &Pod, name: &str) -> Option<&'a PersistentVolumeClaim> {
        self.claims.get(&(pod.metadata.namespace.as_str(), name)).copied()
    }

    /// Why a claim keeps the pod out of the round, if one does.
    pub fn claim_fault(&self, pod: &Pod) -> Option<PodFault> {
        pod.spec.volumes.iter().find_map(|volume| {
            let name = Self::claim_name(pod, volume)?;
            let fault = match self.claim(pod, &name) {
                None => ClaimFault::Missing,
                Some(claim) => self.fault_of(claim)?,
            };
            Some(PodFault::Claim { claim: name, fault })
        })
    }

    fn fault_of(&self, claim: &PersistentVolumeClaim) -> Option<ClaimFault> {
        if claim.metadata.deletion_timestamp.is_some() {
            return Some(ClaimFault::Deleting);
        }
        if claim.status.phase == "Lost" {
            return Some(ClaimFault::Lost);
        }
        if !claim.spec.volume_name.is_empty() {
            let Some(volume) = self.volumes.get(claim.spec.volume_name.as_str()) else {
                return Some(ClaimFault::VolumeMissing);
            };
            if volume.metadata.deletion_timestamp.is_some() {
                return Some(ClaimFault::VolumeDeleting);
            }
            let bound = claim.metadata.annotations.get("pv.kubernetes.io/bind-completed").is_some();
            return (!bound).then_some(ClaimFault::NotBound);
        }
        let class_name = claim.spec.storage_class_name.as_deref().unwrap_or("");
        if class_name.is_empty() {
            return Some(ClaimFault::NoStorageClass);
        }
        match self.classes.get(class_name) {
            None => Some(ClaimFault::StorageClassMissing),
            Some(class) => (class.volume_binding_mode == "Immediate").then_some(ClaimFault::Immediate),
        }
    }

    /// What the volumes of `pod` mean for its placement.
    pub fn use_of(&self, algebra: &mut Algebra, rules: &LabelRules, pod: &Pod) -> VolumeUse {
        let mut volume_use = VolumeUse::default();
        let mut alternatives: Option<Vec<Asked>> = None;
        for volume in &pod.spec.volumes {
            let Some(name) = Self::claim_name(pod, volume) else { continue };
            let Some(claim) = self.claim(pod, &name) else {
                volume_use.unreachable = true;
                continue;
            };
            match self.driver(claim) {
                Ok(Some(driver)) => {
                    let key =
                        compact_str::format_compact!("{}/{}", claim.metadata.namespace, claim.metadata.name);
                    volume_use.attached.push((driver, key));
                }
                Ok(None) => {}
                Err(()) => volume_use.unresolved = true,
            }
            match self.reachable_from(algebra, rules, claim) {
                Err(()) => volume_use.unreachable = true,
                Ok(own) if own.is_empty() => {}
                Ok(own) => alternatives = Some(cross(algebra, alternatives.as_deref(), &own)),
            }
        }
        volume_use.attached.sort();
        volume_use.attached.dedup();
        if !volume_use.unreachable {
            volume_use.alternatives = alternatives.unwrap_or_default();
        }
        volume_use
    }

    /// The CSI driver whose limit a claim counts against, if there is one.
    fn driver(&self, claim: &PersistentVolumeClaim) -> Result<Option<Str>, ()> {
        if !claim.spec.volume_name.is_empty() {
            let volume = self.volumes.get(claim.spec.volume_name.as_str()).ok_or(())?;
            return Ok(match (&volume.spec.csi, &volume.spec.aws_elastic_block_store) {
                (Some(csi), _) => (!csi.driver.is_empty()).then(|| csi.driver.clone()),
                (None, Some(_)) => Some("ebs.csi.aws.com".into()),
                (None, None) => None,
            });
        }
        let class_name = claim.spec.storage_class_name.as_deref().unwrap_or("");
        Ok(self.classes.get(class_name).and_then(|class| {
            let migrated = MIGRATED.iter().find(|(plugin, _)| class.provisioner == plugin);
            let driver = migrated.map_or_else(|| class.provisioner.clone(), |(_, driver)| (*driver).into());
            (!driver.is_empty()).then_some(driver)
        }))
    }

    /// The nodes that a claim's volume can be used on, or made on: one of these; empty: all.
    fn reachable_from(
        &self,
        algebra: &mut Algebra,
        rules: &LabelRules,
        claim: &PersistentVolumeClaim,
    ) -> Result<Vec<Asked>, ()> {
        let mut alternatives = Vec::new();
        if !claim.spec.volume_name.is_empty() {
            let volume = self.volumes.get(claim.spec.volume_name.as_str()).ok_or(())?;
            let required = volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.as_ref());
            // A disk of one node: the pod leaves it behind when it moves.
            let leaves = volume.spec.local.is_some() || volume.spec.host_path.is_some();
            for term in required.into_iter().flat_map(|required| &required.node_selector_terms) {
                let all = term.match_expressions.as_deref().unwrap_or(&[]);
                let kept: Vec<NodeSelectorRequirement> = all
                    .iter()
                    .filter(|expression| !(leaves && expression.key == HOSTNAME))
                    .cloned()
                    .collect();
                if !kept.is_empty() {
                    alternatives.push(asked_of(algebra, rules, &kept));
                } else if !all.is_empty() {
                    alternatives.push(Asked::default());
                }
            }
            return Ok(alternatives);
        }
        let class_name = claim.spec.storage_class_name.as_deref().unwrap_or("");
        if class_name.is_empty() {
            return Ok(alternatives);
        }
        let class = self.classes.get(class_name).ok_or(())?;
        for term in &class.allowed_topologies {
            let expressions: Vec<NodeSelectorRequirement> = term
                .match_label_expressions
                .iter()
                .map(|expression| NodeSelectorRequirement {
                    key: expression.key.clone(),
                    operator: Some(Operator::In),
                    values: expression.values.clone(),
                    ..NodeSelectorRequirement::default()
                })
                .collect();
            if !expressions.is_empty() {
                alternatives.push(asked_of(algebra, rules, &expressions));
            }
        }
        Ok(alternatives)
    }
}

/// Every combination of what was there and what comes, without those that contradict themselves; if all do, all of them.
fn cross(algebra: &mut Algebra, so_far: Option<&[Asked]>, more: &[Asked]) -> Vec<Asked> {
    let Some(so_far) = so_far else { return more.to_vec() };
    let mut all = Vec::with_capacity(so_far.len() * more.len());
    let mut possible = Vec::new();
    for &a in so_far {
        for &b in more {
            let both = a.and(b, algebra);
            all.push(both);
            let hostnames = match (a.hostname, b.hostname) {
                (Some(a), Some(b)) => {
                    let integers = algebra.find_key(HOSTNAME).map_or(&[][..], |key| algebra.integers(key));
                    algebra.get(a).reconciles(algebra.get(b), integers)
                }
                _ => true,
            };
            if hostnames && algebra.intersects(a.constraint, b.constraint) {
                possible.push(both);
            }
        }
    }
    if possible.is_empty() { all } else { possible }
}
