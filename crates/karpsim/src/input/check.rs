//! What must hold of a scenario beyond the types of its fields.
//!
//! Refused is what the API server would refuse and what would make a decision meaningless: amounts below nothing,
//! operators without their values, two objects of one name. What Karpenter itself refuses (a pod with an impossible
//! selector, a NodePool with a forbidden label) passes: refusing it is part of the decision.

use super::findings::Findings;
use super::object::{Checked, Object, check, fields, missing, not_negative, value};
use super::read::title_of;
use crate::catalogue::InstanceType;
use crate::input::defaults::NODE_POOL_CONDITIONS;
use crate::label_rules::is_being_launched;
use crate::model::karpenter::NodePool;
use crate::model::meta::{ObjectMeta, condition_is_true};
use crate::model::objects::Objects;
use crate::problem::{Notice, NoticeKind, Place, Problem, ProblemKind, near_miss};
use crate::scenario::ScenarioText;
use rustc_hash::FxHashSet;

/// Kinds that decide nothing and are no surprise.
const WELL_KNOWN: &[&str] = &[
    "APIService",
    "AWSNodeTemplate",
    "AKSNodeClass",
    "ClusterRole",
    "ClusterRoleBinding",
    "ComponentStatus",
    "ConfigMap",
    "ControllerRevision",
    "CronJob",
    "CSIDriver",
    "CSIStorageCapacity",
    "CustomResourceDefinition",
    "Deployment",
    "DeviceClass",
    "EC2NodeClass",
    "EndpointSlice",
    "Endpoints",
    "Event",
    "FlowSchema",
    "GCENodeClass",
    "HorizontalPodAutoscaler",
    "Ingress",
    "IngressClass",
    "Job",
    "KWOKNodeClass",
    "Lease",
    "LimitRange",
    "MutatingWebhookConfiguration",
    "NetworkPolicy",
    "PodMetrics",
    "NodeMetrics",
    "PodTemplate",
    "PriorityClass",
    "PriorityLevelConfiguration",
    "ResourceClaim",
    "ResourceClaimTemplate",
    "ResourceQuota",
    "ResourceSlice",
    "Role",
    "RoleBinding",
    "RuntimeClass",
    "Secret",
    "ServiceAccount",
    "TestNodeClass",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
    "VerticalPodAutoscaler",
    "VolumeAttachment",
];

/// Kinds that decide something, in the version that is read.
const DECIDING: &[(&str, &str)] = &[
    ("v1", "Pod"),
    ("v1", "Node"),
    ("karpenter.sh/v1", "NodeClaim"),
    ("karpenter.sh/v1", "NodePool"),
    ("karpenter.sh/v1alpha1", "NodeOverlay"),
    ("karpenter.sh/v1alpha5", "Provisioner"),
    ("apps/v1", "DaemonSet"),
    ("v1", "Namespace"),
    ("v1", "PersistentVolume"),
    ("v1", "PersistentVolumeClaim"),
    ("storage.k8s.io/v1", "StorageClass"),
    ("storage.k8s.io/v1", "CSINode"),
    ("policy/v1", "PodDisruptionBudget"),
    ("v1", "Service"),
    ("v1", "ReplicationController"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "StatefulSet"),
];

/// Checks everything in `text`. Notices of converted objects are taken out of it.
pub(super) fn scenario(text: &mut ScenarioText, findings: &mut Findings) -> Checked {
    let objects = &mut text.objects.0;
    for notice in std::mem::take(&mut objects.notices) {
        findings.add(notice);
    }
    if let Some(problem) = objects.problems.pop() {
        return Err(problem);
    }
    fields(text, &String::new, true, findings)?;
    for it in &text.catalogue.instance_types {
        instance_type(it)?;
    }
    let objects = &text.objects.0;
    others(objects, findings)?;
    names(objects)?;
    each_object(objects, findings)?;
    for pool in &objects.node_pools {
        readiness(pool, findings);
    }
    for overlay in objects.node_overlays.iter().filter(|_| !text.options.node_overlay()) {
        findings.add(Notice {
            place: Place::in_object(title_of("NodeOverlay", &overlay.metadata), ""),
            kind: NoticeKind::GateOff { gate: "NodeOverlay" },
        });
    }
    Ok(())
}

/// NodeClaims without an instance, for which Karpenter waits.
pub(super) fn launched(objects: &Objects, provider: &str, findings: &mut Findings) {
    for claim in objects.node_claims.iter().filter(|claim| is_being_launched(claim, provider)) {
        findings.add(Notice {
            place: Place::in_object(title_of("NodeClaim", &claim.metadata), ""),
            kind: NoticeKind::NodeClaimNotLaunched,
        });
    }
}

/// A type that the scenario itself describes. Less is asked of it than of a catalogue's: it may lack what a recorded
/// scenario lacks.
fn instance_type(it: &InstanceType) -> Checked {
    let at = |rest: &str| Place::in_object(format!("instance type `{}`", it.name), rest);
    if it.name.is_empty() {
        return Err(missing(Place::at("catalogue.instanceTypes"), "name"));
    }
    not_negative(&it.capacity, || at("capacity"))?;
    not_negative(&it.overhead.kube_reserved, || at("overhead.kubeReserved"))?;
    not_negative(&it.overhead.system_reserved, || at("overhead.systemReserved"))?;
    not_negative(&it.overhead.eviction_threshold, || at("overhead.evictionThreshold"))?;
    for (index, requirement) in it.requirements.iter().enumerate() {
        if requirement.operator.is_none() {
            return Err(missing(at(&format!("requirements[{index}]")), "operator"));
        }
    }
    for (index, offering) in it.offerings.iter().enumerate() {
        if !offering.price.0.is_finite() || offering.price.0 < 0.0 {
            return Err(value(
                at(&format!("offerings[{index}].price")),
                format!("`{}`", offering.price.0),
                "a price of 0 or more",
            ));
        }
    }
    Ok(())
}

/// Kinds without a place: well known, unknown, or of a group and version that should have been another.
fn others(objects: &Objects, findings: &mut Findings) -> Checked {
    for other in &objects.others {
        let here = |rest: &str| Place::at(format!("objects[{}]{rest}", other.index));
        match check_kind(&other.api_version, &other.kind) {
            Ok(None) => {}
            Ok(Some(kind)) => findings.add(Notice { place: here(""), kind }),
            Err(kind @ ProblemKind::Value { .. }) => return Err(Problem::new(here(".apiVersion"), kind)),
            Err(kind) => return Err(Problem::new(here(""), kind)),
        }
    }
    Ok(())
}

/// What is to be said of a kind that is not read: nothing, if it is known to decide nothing.
///
/// # Errors
///
/// If it is read, but in another version; or if it is none of Karpenter's kinds, though it claims to be.
pub fn check_kind(api_version: &str, kind: &str) -> Result<Option<NoticeKind>, ProblemKind> {
    let group_of = |version: &str| version.split_once('/').map_or("", |(group, _)| group).to_owned();
    let group = group_of(api_version);
    if let Some((right, _)) = DECIDING.iter().find(|(_, deciding)| *deciding == kind) {
        if *right == api_version {
            return Ok(None);
        }
        // `v1beta1` of PodDisruptionBudget, `karpenter.sh/v2` of NodePool; but NodePool of another group is another.
        if group_of(right) == group {
            return Err(ProblemKind::Value {
                found: format!("`{api_version}` for kind {kind}"),
                allowed: format!("`{right}`"),
                near: None,
            });
        }
    }
    if group == "karpenter.sh" {
        let deciding = DECIDING.iter().filter(|(version, _)| version.starts_with("karpenter.sh/"));
        return Err(ProblemKind::UnknownName {
            what: "kind",
            name: kind.to_owned(),
            sought: format!("`{api_version}`"),
            near: near_miss(kind, deciding.map(|(_, kind)| *kind)).map(str::to_owned),
        });
    }
    if WELL_KNOWN.contains(&kind) {
        return Ok(None);
    }
    if (group.as_str(), kind) == ("autoscaling.x-k8s.io", "CapacityBuffer") {
        let instead = "no capacity is reserved for them";
        return Ok(Some(NoticeKind::NotModelled { what: "capacity buffers", instead }));
    }
    let near = near_miss(kind, DECIDING.iter().map(|(_, kind)| *kind)).filter(|near| *near != kind);
    Ok(Some(NoticeKind::UnknownKind {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        near: near.map(str::to_owned),
    }))
}

/// Every object has a name, and no two of a kind the same.
fn names(objects: &Objects) -> Checked {
    fn unique<'a>(kind: &str, all: impl Iterator<Item = &'a ObjectMeta>) -> Checked {
        let mut seen: FxHashSet<(&str, &str)> = FxHashSet::default();
        for metadata in all {
            if metadata.name.is_empty() {
                return Err(missing(Place::in_object(title_of(kind, metadata), "metadata"), "name"));
            }
            if !seen.insert((&metadata.namespace, &metadata.name)) {
                return Err(value(
                    Place::in_object(title_of(kind, metadata), "metadata.name"),
                    "a duplicate",
                    "a unique name",
                ));
            }
        }
        Ok(())
    }
    unique("Pod", objects.pods.iter().map(|pod| &pod.metadata))?;
    unique("Node", objects.nodes.iter().map(|node| &node.metadata))?;
    unique("NodeClaim", objects.node_claims.iter().map(|claim| &claim.metadata))?;
    unique("NodePool", objects.node_pools.iter().map(|pool| &pool.metadata))?;
    unique("NodeOverlay", objects.node_overlays.iter().map(|overlay| &overlay.metadata))?;
    unique("DaemonSet", objects.daemon_sets.iter().map(|set| &set.metadata))?;
    unique("Namespace", objects.namespaces.iter().map(|namespace| &namespace.metadata))?;
    unique("PersistentVolume", objects.persistent_volumes.iter().map(|volume| &volume.metadata))?;
    unique("PersistentVolumeClaim", objects.persistent_volume_claims.iter().map(|claim| &claim.metadata))?;
    unique("StorageClass", objects.storage_classes.iter().map(|class| &class.metadata))?;
    unique("CSINode", objects.csi_nodes.iter().map(|node| &node.metadata))?;
    unique("PodDisruptionBudget", objects.pod_disruption_budgets.iter().map(|budget| &budget.metadata))?;
    unique("Service", objects.services.iter().map(|it| &it.metadata))?;
    unique("ReplicationController", objects.replication_controllers.iter().map(|it| &it.metadata))?;
    unique("ReplicaSet", objects.replica_sets.iter().map(|it| &it.metadata))?;
    unique("StatefulSet", objects.stateful_sets.iter().map(|it| &it.metadata))
}

/// The fields of every object, and what stands in them.
fn each_object(objects: &Objects, findings: &mut Findings) -> Checked {
    fn each<'a, T: Object + 'a>(
        kind: &str,
        all: impl IntoIterator<Item = &'a T>,
        metadata: impl Fn(&T) -> &ObjectMeta,
        findings: &mut Findings,
    ) -> Checked {
        all.into_iter().try_for_each(|object| check(object, &|| title_of(kind, metadata(object)), findings))
    }
    each("Pod", objects.pods.iter().map(|pod| &**pod), |it| &it.metadata, findings)?;
    each("Node", objects.nodes.iter().map(|node| &**node), |it| &it.metadata, findings)?;
    each("NodeClaim", objects.node_claims.iter().map(|claim| &**claim), |it| &it.metadata, findings)?;
    each("NodePool", &objects.node_pools, |it| &it.metadata, findings)?;
    each("NodeOverlay", &objects.node_overlays, |it| &it.metadata, findings)?;
    each("DaemonSet", &objects.daemon_sets, |it| &it.metadata, findings)?;
    each("Namespace", &objects.namespaces, |it| &it.metadata, findings)?;
    each("PersistentVolume", &objects.persistent_volumes, |it| &it.metadata, findings)?;
    each("PersistentVolumeClaim", &objects.persistent_volume_claims, |it| &it.metadata, findings)?;
    each("StorageClass", &objects.storage_classes, |it| &it.metadata, findings)?;
    each("CSINode", &objects.csi_nodes, |it| &it.metadata, findings)?;
    each("PodDisruptionBudget", &objects.pod_disruption_budgets, |it| &it.metadata, findings)?;
    each("Service", &objects.services, |it| &it.metadata, findings)?;
    each("ReplicationController", &objects.replication_controllers, |it| &it.metadata, findings)?;
    each("ReplicaSet", &objects.replica_sets, |it| &it.metadata, findings)?;
    each("StatefulSet", &objects.stateful_sets, |it| &it.metadata, findings)
}

/// A scenario's NodePool counts only with its three conditions.
fn readiness(pool: &NodePool, findings: &mut Findings) {
    let lacking: Vec<&'static str> = NODE_POOL_CONDITIONS
        .into_iter()
        .filter(|condition| !condition_is_true(&pool.status.conditions, condition))
        .collect();
    if !lacking.is_empty() {
        findings.add(Notice {
            place: Place::in_object(title_of("NodePool", &pool.metadata), "status.conditions"),
            kind: NoticeKind::NodePoolNotReady { conditions: lacking },
        });
    }
}
