//! Claims and volumes: which a pod can use on a node, and what kube-scheduler assumes about them until the cluster says so.
//!
//! A claim that waits for its first consumer is matched to the smallest volume that does, or is provisioned where its class
//! allows. Once a pod is placed the volume is taken and the claim tied to the node, in memory only: an object that comes anew
//! ends what was assumed of it.

use crate::kubernetes::selects_node;
use crate::kubernetes::{BETA_REGION, BETA_ZONE, REGION, Selector, ZONE};
use crate::reason::{CycleError, Reason};
use karpsim::go_sort::sort_slice;
use karpsim::model::core::{
    CsiNode, Node, NodeSelector, PersistentVolume, PersistentVolumeClaim, Pod, StorageClass, Volume,
};
use karpsim::model::meta::{Labels, Operator, Str};
use karpsim::quantity::Quantity;
use rustc_hash::FxHashMap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const BIND_COMPLETED: &str = "pv.kubernetes.io/bind-completed";
const SELECTED_NODE: &str = "volume.kubernetes.io/selected-node";
const BETA_CLASS: &str = "volume.beta.kubernetes.io/storage-class";
const NO_PROVISIONER: &str = "kubernetes.io/no-provisioner";
const MIGRATED_PLUGINS: &str = "storage.alpha.kubernetes.io/migrated-plugins";
pub(crate) const READ_WRITE_ONCE_POD: &str = "ReadWriteOncePod";

/// `namespace/name`.
pub(crate) fn namespaced(namespace: &str, name: &str) -> Str {
    let mut key = Str::with_capacity(namespace.len() + name.len() + 1);
    key.push_str(namespace);
    key.push('/');
    key.push_str(name);
    key
}

/// All objects that have to do with volumes, and what is assumed of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Storage {
    volumes: FxHashMap<Str, Arc<PersistentVolume>>,
    /// By class, then name: ties go to the smallest name.
    volumes_by_class: BTreeMap<Str, BTreeSet<Str>>,
    claims: FxHashMap<Str, Arc<PersistentVolumeClaim>>,
    classes: FxHashMap<Str, Arc<StorageClass>>,
    csi_nodes: FxHashMap<Str, Arc<CsiNode>>,
    /// Volumes taken by claims.
    taken: FxHashMap<Str, ClaimId>,
    /// Claims that are to be provisioned, each with its node.
    tied: FxHashMap<Str, Str>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct ClaimId {
    namespace: Str,
    name: Str,
    uid: Str,
}

/// The claims of a pod, sorted by what is to be done with them.
#[derive(Debug, Clone, Default)]
pub(crate) struct PodClaims {
    bound: Vec<Arc<PersistentVolumeClaim>>,
    delayed: Vec<Arc<PersistentVolumeClaim>>,
}

/// What a pod needs of volumes on one node.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PodVolumes {
    /// Claims, `namespace/name`, and the volumes that they are to be bound to.
    pub bindings: Vec<(Str, Str)>,
    /// Claims, `namespace/name`, for which a volume is to be provisioned.
    pub provisions: Vec<Str>,
}

/// A zone or a region that a volume's labels ask for: the label, and its values.
pub(crate) type ZoneConstraint = (&'static str, Vec<Str>);

const ZONE_LABELS: [&str; 4] = [BETA_ZONE, BETA_REGION, ZONE, REGION];

impl Storage {
    pub(crate) fn set_volume(&mut self, volume: Arc<PersistentVolume>) -> Option<Arc<PersistentVolume>> {
        let name = volume.metadata.name.clone();
        let before = self.remove_volume(&name);
        self.volumes_by_class.entry(class_of_volume(&volume).into()).or_default().insert(name.clone());
        self.volumes.insert(name, volume);
        before
    }

    pub(crate) fn remove_volume(&mut self, name: &str) -> Option<Arc<PersistentVolume>> {
        self.taken.remove(name);
        let volume = self.volumes.remove(name)?;
        let class = class_of_volume(&volume);
        if let Some(names) = self.volumes_by_class.get_mut(class) {
            names.remove(name);
            if names.is_empty() {
                self.volumes_by_class.remove(class);
            }
        }
        Some(volume)
    }

    pub(crate) fn set_claim(
        &mut self,
        claim: Arc<PersistentVolumeClaim>,
    ) -> Option<Arc<PersistentVolumeClaim>> {
        let key = namespaced(&claim.metadata.namespace, &claim.metadata.name);
        self.tied.remove(&key);
        self.claims.insert(key, claim)
    }

    pub(crate) fn remove_claim(&mut self, key: &str) -> Option<Arc<PersistentVolumeClaim>> {
        self.tied.remove(key);
        self.claims.remove(key)
    }

    pub(crate) fn set_class(&mut self, class: Arc<StorageClass>) -> Option<Arc<StorageClass>> {
        self.classes.insert(class.metadata.name.clone(), class)
    }

    pub(crate) fn remove_class(&mut self, name: &str) -> Option<Arc<StorageClass>> {
        self.classes.remove(name)
    }

    pub(crate) fn set_csi_node(&mut self, node: Arc<CsiNode>) -> Option<Arc<CsiNode>> {
        self.csi_nodes.insert(node.metadata.name.clone(), node)
    }

    pub(crate) fn remove_csi_node(&mut self, name: &str) -> Option<Arc<CsiNode>> {
        self.csi_nodes.remove(name)
    }

    fn claim(&self, namespace: &str, name: &str) -> Option<&Arc<PersistentVolumeClaim>> {
        self.claims.get(&namespaced(namespace, name))
    }

    /// The claims of the pod that only one pod may use; or the first of its claims that there is not.
    pub(crate) fn claims_for_one_pod(&self, pod: &Pod) -> Result<BTreeSet<Str>, Reason> {
        let mut names = BTreeSet::new();
        for volume in &pod.spec.volumes {
            let Some(source) = &volume.persistent_volume_claim else { continue };
            let claim = self
                .claim(&pod.metadata.namespace, &source.claim_name)
                .ok_or_else(|| Reason::ClaimNotFound(source.claim_name.clone()))?;
            if claim.spec.access_modes.iter().any(|mode| mode == READ_WRITE_ONCE_POD) {
                names.insert(source.claim_name.clone());
            }
        }
        Ok(names)
    }

    /// What VolumeBinding finds out before it looks at nodes. `None`: the pod has no claims.
    pub(crate) fn claims_of(&self, pod: &Pod) -> Result<Option<PodClaims>, Verdict> {
        let namespace = pod.metadata.namespace.as_str();
        let mut claims = Vec::new();
        for volume in &pod.spec.volumes {
            let Some((name, is_ephemeral)) = claim_name(pod, volume) else { continue };
            let Some(claim) = self.claim(namespace, &name) else {
                return Err(Verdict::Refused(if is_ephemeral {
                    Reason::EphemeralClaimNotFound(name)
                } else {
                    Reason::ClaimNotFound(name)
                }));
            };
            if claim.status.phase == "Lost" {
                let volume = claim.spec.volume_name.clone();
                return Err(Verdict::Refused(Reason::ClaimLost { claim: name, volume }));
            }
            if claim.metadata.deletion_timestamp.is_some() {
                return Err(Verdict::Refused(Reason::ClaimIsBeingDeleted(name)));
            }
            if is_ephemeral && !is_owned_by(claim, pod) {
                let claim = namespaced(namespace, &name);
                let pod = namespaced(namespace, &pod.metadata.name);
                return Err(Verdict::Refused(Reason::EphemeralClaimOfOther { claim, pod }));
            }
            claims.push(Arc::clone(claim));
        }
        if claims.is_empty() {
            return Ok(None);
        }
        let mut sorted = PodClaims::default();
        let mut has_unbound_immediate = false;
        for claim in claims {
            if is_bound(&claim) {
                sorted.bound.push(claim);
            } else if self.waits_for_consumer(&claim)? && claim.spec.volume_name.is_empty() {
                sorted.delayed.push(claim);
            } else {
                has_unbound_immediate = true;
            }
        }
        if has_unbound_immediate {
            return Err(Verdict::Refused(Reason::UnboundImmediateClaims));
        }
        Ok(Some(sorted))
    }

    fn waits_for_consumer(&self, claim: &PersistentVolumeClaim) -> Result<bool, Verdict> {
        let Some(class) = self.classes.get(class_of_claim(claim)) else { return Ok(false) };
        match class.volume_binding_mode.as_str() {
            "" => {
                let class = class.metadata.name.clone();
                Err(Verdict::Error(CycleError::NoVolumeBindingMode { class }))
            }
            mode => Ok(mode == "WaitForFirstConsumer"),
        }
    }

    /// What the pod needs on `node`; or why it cannot be there.
    pub(crate) fn volumes_on(&self, claims: &PodClaims, node: &Node) -> Result<PodVolumes, NodeVerdict> {
        let name = node.metadata.name.as_str();
        let mut reasons = Vec::new();
        let mut volumes = PodVolumes::default();
        match self.bound_claims_fit(&claims.bound, node) {
            Ok(()) => {}
            Err(reason) => reasons.push(reason),
        }
        let mut to_match = Vec::new();
        let mut to_provision = Vec::new();
        let mut elsewhere = false;
        for claim in &claims.delayed {
            match self.selected_node(claim) {
                Some(selected) if selected != name => {
                    elsewhere = true;
                    break;
                }
                Some(_) => to_provision.push(Arc::clone(claim)),
                None => to_match.push(Arc::clone(claim)),
            }
        }
        let mut satisfied = !elsewhere;
        if !elsewhere {
            let unmatched = self.match_volumes(to_match, node, &mut volumes);
            to_provision.extend(unmatched);
            if !to_provision.is_empty() {
                satisfied = self.can_provision(&to_provision, node)?;
                if satisfied {
                    volumes.provisions = to_provision.iter().map(|claim| key_of(claim)).collect();
                }
            }
        }
        if !satisfied {
            // In front of a volume that is not there, behind one that is elsewhere.
            let at = usize::from(reasons.first() == Some(&Reason::VolumeNodeAffinity));
            reasons.insert(at, Reason::NoVolumeToBind);
        }
        if reasons.is_empty() { Ok(volumes) } else { Err(NodeVerdict::Refused(reasons)) }
    }

    fn bound_claims_fit(&self, claims: &[Arc<PersistentVolumeClaim>], node: &Node) -> Result<(), Reason> {
        for claim in claims {
            let volume = self.volumes.get(&claim.spec.volume_name).ok_or(Reason::VolumeGone)?;
            let csi_node = self.csi_nodes.get(&node.metadata.name).map(|csi| &**csi);
            let reachable = match in_tree_disk(volume) {
                Some(disk) if is_migrated(disk.plugin, csi_node) => {
                    let topology = translated_topology(volume, disk.topology_key);
                    topology.is_none_or(|selector| selects_node(&selector, &node.metadata.labels, ""))
                }
                _ => is_reachable(volume, node),
            };
            if !reachable {
                return Err(Reason::VolumeNodeAffinity);
            }
        }
        Ok(())
    }

    /// The node that a claim is tied to.
    fn selected_node<'a>(&'a self, claim: &'a PersistentVolumeClaim) -> Option<&'a str> {
        self.tied
            .get(&key_of(claim))
            .map(Str::as_str)
            .or_else(|| claim.metadata.annotations.get(SELECTED_NODE))
    }

    /// Finds a volume for each claim, small claims first. Gives back the claims that get none.
    fn match_volumes(
        &self,
        mut claims: Vec<Arc<PersistentVolumeClaim>>,
        node: &Node,
        found: &mut PodVolumes,
    ) -> Vec<Arc<PersistentVolumeClaim>> {
        sort_slice(&mut claims, |a, b| size_of_claim(a) < size_of_claim(b));
        let mut chosen: Vec<&str> = Vec::new();
        let mut unmatched = Vec::new();
        for claim in claims {
            match self.match_volume(&claim, node, &chosen) {
                Some(volume) => {
                    chosen.push(&volume.metadata.name);
                    found.bindings.push((key_of(&claim), volume.metadata.name.clone()));
                }
                None => unmatched.push(claim),
            }
        }
        unmatched
    }

    fn match_volume(
        &self,
        claim: &PersistentVolumeClaim,
        node: &Node,
        chosen: &[&str],
    ) -> Option<&PersistentVolume> {
        let class = class_of_claim(claim);
        let asked = size_of_claim(claim);
        let selector = claim.spec.selector.as_ref().map(|selector| Selector::new(Some(selector)));
        let mut smallest: Option<(&PersistentVolume, Quantity)> = None;
        for name in self.volumes_by_class.get(class)? {
            let Some(volume) = self.volumes.get(name) else { continue };
            if chosen.contains(&name.as_str()) {
                continue;
            }
            let owner = self.owner_of(volume);
            let is_own = owner.as_ref().is_some_and(|owner| owner.is(claim));
            if owner.is_some() && !is_own {
                continue;
            }
            let size = volume.spec.capacity.get("storage").unwrap_or_default();
            if size < asked
                || mode_of(&claim.spec.volume_mode) != mode_of(&volume.spec.volume_mode)
                || claim.spec.volume_attributes_class_name != volume.spec.volume_attributes_class_name
                || volume.metadata.deletion_timestamp.is_some()
            {
                continue;
            }
            let reachable = is_reachable(volume, node);
            if is_own {
                return reachable.then_some(volume);
            }
            let modes = &volume.spec.access_modes;
            if volume.status.phase != "Available"
                || selector.as_ref().is_some_and(|selector| !selector.matches(&volume.metadata.labels))
                || !reachable
                || !claim.spec.access_modes.iter().all(|mode| modes.contains(mode))
            {
                continue;
            }
            if smallest.is_none_or(|(_, least)| size < least) {
                smallest = Some((volume, size));
            }
        }
        smallest.map(|(volume, _)| volume)
    }

    /// Whose a volume is, or is assumed to be.
    fn owner_of(&self, volume: &PersistentVolume) -> Option<ClaimId> {
        self.taken.get(&volume.metadata.name).cloned().or_else(|| {
            volume.spec.claim_ref.as_ref().map(|claim| ClaimId {
                namespace: claim.namespace.clone(),
                name: claim.name.clone(),
                uid: claim.uid.clone(),
            })
        })
    }

    fn can_provision(&self, claims: &[Arc<PersistentVolumeClaim>], node: &Node) -> Result<bool, NodeVerdict> {
        for claim in claims {
            let name = class_of_claim(claim);
            if name.is_empty() {
                return Err(NodeVerdict::Error(CycleError::NoStorageClass { claim: key_of(claim) }));
            }
            let Some(class) = self.classes.get(name) else {
                return Err(NodeVerdict::Error(CycleError::StorageClassNotFound { class: name.into() }));
            };
            if class.provisioner.is_empty() || class.provisioner == NO_PROVISIONER {
                return Ok(false);
            }
            let labels = &node.metadata.labels;
            let allowed = &class.allowed_topologies;
            let holds = allowed.is_empty()
                || allowed.iter().any(|term| {
                    !term.match_label_expressions.is_empty()
                        && term.match_label_expressions.iter().all(|expression| {
                            labels
                                .get(&expression.key)
                                .is_some_and(|value| expression.values.iter().any(|one| one == value))
                        })
                });
            if !holds {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the volumes and ties the claims to the node, as long as the cluster says nothing else. Nothing is to be done for
    /// a pod whose claims are all bound.
    pub(crate) fn assume(&mut self, volumes: &PodVolumes, node: &str) {
        for (claim, volume) in &volumes.bindings {
            let Some(claim) = self.claims.get(claim) else { continue };
            let id = ClaimId {
                namespace: claim.metadata.namespace.clone(),
                name: claim.metadata.name.clone(),
                uid: claim.metadata.uid.clone(),
            };
            self.taken.insert(volume.clone(), id);
        }
        for claim in &volumes.provisions {
            self.tied.insert(claim.clone(), node.into());
        }
    }

    /// Takes back what [`assume`](Self::assume) did.
    pub(crate) fn forget(&mut self, volumes: &PodVolumes) {
        for (_, volume) in &volumes.bindings {
            self.taken.remove(volume);
        }
        for claim in &volumes.provisions {
            self.tied.remove(claim);
        }
    }

    /// The zones that the labels of the pod's volumes ask for.
    pub(crate) fn zones_of(&self, pod: &Pod) -> Result<Vec<ZoneConstraint>, Verdict> {
        let mut zones = Vec::new();
        for volume in &pod.spec.volumes {
            let Some(source) = &volume.persistent_volume_claim else { continue };
            let name = &source.claim_name;
            let Some(claim) = self.claim(&pod.metadata.namespace, name) else {
                return Err(Verdict::Refused(Reason::ClaimNotFound(name.clone())));
            };
            if claim.spec.volume_name.is_empty() {
                let class = class_of_claim(claim);
                if class.is_empty() {
                    return Err(Verdict::Refused(Reason::ClaimWithoutClass));
                }
                if !self.classes.contains_key(class) {
                    return Err(Verdict::Refused(Reason::StorageClassNotFound(class.into())));
                }
                if self.waits_for_consumer(claim)? {
                    continue;
                }
                return Err(Verdict::Refused(Reason::ClaimWithoutVolume));
            }
            let Some(volume) = self.volumes.get(&claim.spec.volume_name) else {
                return Err(Verdict::Refused(Reason::VolumeNotFound(claim.spec.volume_name.clone())));
            };
            zones.extend(zone_labels(volume));
        }
        Ok(zones)
    }

    /// The volumes of a pod that count for the limits of a node: unique names, each with its driver.
    pub(crate) fn attached(&self, pod: &Pod, node: &str, found: &mut BTreeSet<(Str, Str)>) {
        let csi_node = self.csi_nodes.get(node);
        for volume in &pod.spec.volumes {
            let handle = match claim_name(pod, volume) {
                Some((name, _)) => self
                    .claim(&pod.metadata.namespace, &name)
                    .and_then(|claim| self.driver_and_handle(claim, csi_node.is_some())),
                None => inline_disk(volume)
                    .filter(|_| csi_node.is_some())
                    .map(|disk| (disk.driver.into(), disk.handle)),
            };
            if let Some(handle) = handle {
                found.insert(handle);
            }
        }
    }

    /// How many volumes of each driver the node can attach.
    pub(crate) fn limits(&self, node: &str) -> BTreeMap<&str, i64> {
        let drivers = self.csi_nodes.get(node).map(|csi| csi.spec.drivers.as_slice()).unwrap_or_default();
        drivers
            .iter()
            .filter_map(|driver| Some((driver.name.as_str(), driver.allocatable.as_ref()?.count?)))
            .collect()
    }

    fn driver_and_handle(&self, claim: &PersistentVolumeClaim, migrates: bool) -> Option<(Str, Str)> {
        if let Some(volume) = self.volumes.get(&claim.spec.volume_name) {
            if let Some(csi) = &volume.spec.csi {
                return (!csi.driver.is_empty() && !csi.volume_handle.is_empty())
                    .then(|| (csi.driver.clone(), csi.volume_handle.clone()));
            }
            return in_tree_disk(volume).filter(|_| migrates).map(|disk| (disk.driver.into(), disk.handle));
        }
        let class = self.classes.get(class_of_claim(claim))?;
        // The volume is not there yet; the claim stands for it.
        let handle = Str::from(format!("claim-{}", key_of(claim)));
        match IN_TREE.iter().find(|(plugin, ..)| class.provisioner == *plugin) {
            Some((_, driver, _)) => migrates.then(|| ((*driver).into(), handle)),
            None => (!class.provisioner.is_empty()).then(|| (class.provisioner.clone(), handle)),
        }
    }
}

/// The pod is refused, or the cycle fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    Refused(Reason),
    Error(CycleError),
}

/// A node is refused, or the cycle fails.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum NodeVerdict {
    Refused(Vec<Reason>),
    Error(CycleError),
}

impl ClaimId {
    fn is(&self, claim: &PersistentVolumeClaim) -> bool {
        let metadata = &claim.metadata;
        self.name == metadata.name
            && self.namespace == metadata.namespace
            && (self.uid.is_empty() || self.uid == metadata.uid)
    }
}

fn key_of(claim: &PersistentVolumeClaim) -> Str {
    namespaced(&claim.metadata.namespace, &claim.metadata.name)
}

fn is_owned_by(claim: &PersistentVolumeClaim, pod: &Pod) -> bool {
    claim.metadata.owner_references.iter().any(|owner| owner.controller && owner.uid == pod.metadata.uid)
}

/// The name of the claim of a volume, and whether it is made with the pod.
pub(crate) fn claim_name(pod: &Pod, volume: &Volume) -> Option<(Str, bool)> {
    match (&volume.persistent_volume_claim, &volume.ephemeral) {
        (Some(source), _) => Some((source.claim_name.clone(), false)),
        (None, Some(_)) => Some((Str::from(format!("{}-{}", pod.metadata.name, volume.name)), true)),
        (None, None) => None,
    }
}

fn is_bound(claim: &PersistentVolumeClaim) -> bool {
    !claim.spec.volume_name.is_empty() && claim.metadata.annotations.get(BIND_COMPLETED).is_some()
}

fn class_of_claim(claim: &PersistentVolumeClaim) -> &str {
    claim
        .metadata
        .annotations
        .get(BETA_CLASS)
        .or(claim.spec.storage_class_name.as_deref())
        .unwrap_or_default()
}

fn class_of_volume(volume: &PersistentVolume) -> &str {
    volume.metadata.annotations.get(BETA_CLASS).unwrap_or(&volume.spec.storage_class_name)
}

fn size_of_claim(claim: &PersistentVolumeClaim) -> Quantity {
    claim.spec.resources.requests.get("storage").unwrap_or_default()
}

fn mode_of(mode: &str) -> &str {
    if mode.is_empty() { "Filesystem" } else { mode }
}

fn is_reachable(volume: &PersistentVolume, node: &Node) -> bool {
    volume
        .spec
        .node_affinity
        .as_ref()
        .and_then(|affinity| affinity.required.as_ref())
        .is_none_or(|selector| selects_node(selector, &node.metadata.labels, ""))
}

/// Values of a zone label; several are joined by `__`. `None`: an empty one among them, which makes the label void.
fn zones_in_label(label: &str) -> Option<Vec<Str>> {
    label
        .split("__")
        .map(|zone| {
            let zone = zone.trim();
            (!zone.is_empty()).then(|| Str::from(zone))
        })
        .collect()
}

/// The zones that the labels of a volume ask for.
pub(crate) fn zone_labels(volume: &PersistentVolume) -> Vec<ZoneConstraint> {
    let labels = &volume.metadata.labels;
    ZONE_LABELS.into_iter().filter_map(|key| Some((key, labels.get(key).and_then(zones_in_label)?))).collect()
}

/// Whether the node is where the volumes' labels say.
pub(crate) fn is_in_zones(labels: &Labels, zones: &[ZoneConstraint]) -> bool {
    if !ZONE_LABELS.iter().any(|key| labels.get(key).is_some()) {
        return true;
    }
    zones.iter().all(|(key, values)| {
        let today = match *key {
            BETA_ZONE => ZONE,
            BETA_REGION => REGION,
            key => key,
        };
        let value = labels.get(key).or(labels.get(today));
        value.is_some_and(|value| values.iter().any(|one| one == value))
    })
}

/// Plug-ins that became CSI drivers: name, driver, the driver's label of zones.
const IN_TREE: [(&str, &str, &str); 4] = [
    ("kubernetes.io/aws-ebs", "ebs.csi.aws.com", "topology.ebs.csi.aws.com/zone"),
    ("kubernetes.io/gce-pd", "pd.csi.storage.gke.io", "topology.gke.io/zone"),
    ("kubernetes.io/azure-disk", "disk.csi.azure.com", "topology.disk.csi.azure.com/zone"),
    ("kubernetes.io/cinder", "cinder.csi.openstack.org", "topology.cinder.csi.openstack.org/zone"),
];

/// A disk of one of those plug-ins.
struct InTreeDisk {
    plugin: &'static str,
    driver: &'static str,
    topology_key: &'static str,
    /// What the driver calls it.
    handle: Str,
}

fn disk(index: usize, handle: Str) -> InTreeDisk {
    let (plugin, driver, topology_key) = IN_TREE[index];
    InTreeDisk { plugin, driver, topology_key, handle }
}

fn inline_disk(volume: &Volume) -> Option<InTreeDisk> {
    if let Some(source) = &volume.aws_elastic_block_store {
        return Some(disk(0, ebs_handle(&source.volume_id)));
    }
    if let Some(source) = &volume.gce_persistent_disk {
        return Some(disk(1, gce_handle("zones", "UNSPECIFIED", &source.pd_name)));
    }
    if let Some(source) = &volume.azure_disk {
        return Some(disk(2, source.disk_uri.clone()));
    }
    volume.cinder.as_ref().map(|source| disk(3, source.volume_id.clone()))
}

/// Whether NodeVolumeLimits has something to count.
pub(crate) fn may_attach(volume: &Volume) -> bool {
    volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some() || inline_disk(volume).is_some()
}

fn in_tree_disk(volume: &PersistentVolume) -> Option<InTreeDisk> {
    let spec = &volume.spec;
    if let Some(source) = &spec.aws_elastic_block_store {
        return Some(disk(0, ebs_handle(&source.volume_id)));
    }
    if let Some(source) = &spec.gce_persistent_disk {
        let labels = &volume.metadata.labels;
        let label = labels.get(BETA_ZONE).filter(|zone| !zone.is_empty()).or(labels.get(ZONE)).unwrap_or("");
        let zones: Vec<&str> = label.split("__").collect();
        let handle = match zones.as_slice() {
            [""] | [] => gce_handle("zones", "UNSPECIFIED", &source.pd_name),
            [zone] => gce_handle("zones", zone, &source.pd_name),
            [zone, ..] => {
                let region = zone.rsplit_once('-').map_or(*zone, |(region, _)| region);
                gce_handle("regions", region, &source.pd_name)
            }
        };
        return Some(disk(1, handle));
    }
    if let Some(source) = &spec.azure_disk {
        return Some(disk(2, source.disk_uri.clone()));
    }
    spec.cinder.as_ref().map(|source| disk(3, source.volume_id.clone()))
}

fn ebs_handle(id: &Str) -> Str {
    // `aws://ZONE/vol-…` in its old form.
    match id.strip_prefix("aws://").and_then(|path| path.split_once('/')) {
        Some((_, path)) => path.trim_matches('/').into(),
        None => id.clone(),
    }
}

fn gce_handle(kind: &str, place: &str, name: &str) -> Str {
    Str::from(format!("projects/UNSPECIFIED/{kind}/{place}/disks/{name}"))
}

/// Whether the kubelet of the node has the driver in place of the plug-in.
fn is_migrated(plugin: &str, csi_node: Option<&CsiNode>) -> bool {
    csi_node
        .and_then(|node| node.metadata.annotations.get(MIGRATED_PLUGINS))
        .is_some_and(|plugins| plugins.split(',').any(|one| one == plugin))
}

/// The nodes that can reach a volume once its plug-in is a driver: the zone is under the driver's label, and if only the
/// volume's labels name it, it is added.
fn translated_topology(volume: &PersistentVolume, topology_key: &str) -> Option<NodeSelector> {
    let labels = &volume.metadata.labels;
    let mut selector =
        volume.spec.node_affinity.as_ref().and_then(|affinity| affinity.required.clone()).unwrap_or_default();
    let names = |selector: &NodeSelector, key: &str| {
        selector
            .node_selector_terms
            .iter()
            .flat_map(|term| term.match_expressions.as_deref().unwrap_or_default())
            .any(|expression| expression.key == key)
    };
    let is_beta = if names(&selector, ZONE) {
        false
    } else if names(&selector, BETA_ZONE) {
        true
    } else {
        labels.get(ZONE).is_none() && labels.get(BETA_ZONE).is_some()
    };
    let (zone, region) = if is_beta { (BETA_ZONE, BETA_REGION) } else { (ZONE, REGION) };
    let has_values = selector
        .node_selector_terms
        .iter()
        .flat_map(|term| term.match_expressions.as_deref().unwrap_or_default())
        .any(|expression| expression.key == zone && !expression.values.is_empty());
    let rename = |selector: &mut NodeSelector, from: &str, to: &str| {
        for term in &mut selector.node_selector_terms {
            for expression in term.match_expressions.iter_mut().flatten() {
                if expression.key == from {
                    expression.key = to.into();
                }
            }
        }
    };
    if has_values {
        rename(&mut selector, zone, topology_key);
    } else if let Some(label) = labels.get(zone) {
        let mut values: Vec<Str> =
            label.split("__").map(str::trim).filter(|zone| !zone.is_empty()).map(Str::from).collect();
        values.sort_unstable();
        values.dedup();
        if !values.is_empty() {
            if selector.node_selector_terms.is_empty() {
                selector.node_selector_terms.push(Default::default());
            }
            for term in &mut selector.node_selector_terms {
                let expression = karpsim::model::core::NodeSelectorRequirement {
                    key: topology_key.into(),
                    operator: Some(Operator::In),
                    values: values.clone(),
                    ..Default::default()
                };
                term.match_expressions.get_or_insert_default().push(expression);
            }
        }
    }
    if is_beta {
        rename(&mut selector, region, REGION);
    }
    let is_given = volume.spec.node_affinity.as_ref().is_some_and(|affinity| affinity.required.is_some());
    (is_given || !selector.node_selector_terms.is_empty()).then_some(selector)
}
