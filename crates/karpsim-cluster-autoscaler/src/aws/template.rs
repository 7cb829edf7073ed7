//! What the autoscaler takes a new node of an Auto Scaling group to be, before it has seen one.

use super::{AwsError, ManagedNodeGroup};
use karpsim::catalogue::{Catalogue, InstanceType};
use karpsim::model::core::{Node, NodeSpec, NodeStatus, ResourceList, Taint, TaintEffect};
use karpsim::model::meta::{Condition, Labels, ObjectMeta, Str};
use karpsim::quantity::Quantity;

const LABEL_TAG: &str = "k8s.io/cluster-autoscaler/node-template/label/";
const TAINT_TAG: &str = "k8s.io/cluster-autoscaler/node-template/taint/";
const RESOURCES_TAG: &str = "k8s.io/cluster-autoscaler/node-template/resources/";
const EKS_TAG: &str = "eks:";
/// The autoscaler's own guess.
const PODS: i64 = 110;

/// What counts of a group for its template.
pub(super) struct Parts<'a> {
    pub(super) group: &'a str,
    pub(super) instance_type: &'a str,
    pub(super) zone: &'a str,
    pub(super) tags: &'a [(Str, Str)],
    pub(super) managed: Option<&'a ManagedNodeGroup>,
}

/// The template. Allocatable is capacity: the autoscaler does not know better until it has seen a node.
pub(super) fn template(parts: &Parts<'_>, catalogue: &Catalogue) -> Result<Node, AwsError> {
    let instance_type =
        catalogue.instance_types.iter().find(|it| it.name == parts.instance_type).ok_or_else(|| {
            AwsError::UnknownInstanceType {
                group: parts.group.into(),
                instance_type: parts.instance_type.into(),
            }
        })?;
    let mut capacity = capacity(instance_type);
    let managed_tags = parts.managed.map_or(&[][..], |managed| &managed.tags);
    for (resource, amount) in resources(parts.tags).chain(resources(managed_tags)) {
        capacity.insert(resource, amount);
    }
    let mut labels = generic_labels(instance_type, parts);
    for (label, value) in labels_of_tags(parts.tags) {
        labels.insert(label, value);
    }
    let mut taints = taints_of_tags(parts.tags);
    if let Some(managed) = parts.managed {
        for (label, value) in managed.labels.iter() {
            labels.insert(label, value);
        }
        taints.extend(managed.taints.iter().cloned());
    }
    Ok(Node {
        metadata: ObjectMeta { name: parts.group.into(), labels, ..ObjectMeta::default() },
        spec: NodeSpec { taints, ..NodeSpec::default() },
        status: NodeStatus {
            allocatable: capacity.clone(),
            capacity,
            conditions: vec![Condition {
                kind: "Ready".into(),
                status: "True".into(),
                ..Condition::default()
            }],
            ..NodeStatus::default()
        },
        ..Node::default()
    })
}

/// The value that a label of an instance type always has.
fn requirement<'t>(instance_type: &'t InstanceType, label: &str) -> Option<&'t str> {
    let requirement = instance_type.requirements.iter().find(|it| it.key == label)?;
    match requirement.values.as_slice() {
        [value] => Some(value),
        _ => None,
    }
}

/// What EC2 says of the type: all of its memory, not what the kernel leaves.
fn capacity(instance_type: &InstanceType) -> ResourceList {
    const MIB: i64 = 1 << 20;
    let number = |label: &str| requirement(instance_type, label)?.parse::<i64>().ok();
    let cpu = number("karpenter.k8s.aws/instance-cpu").map(Quantity::from_units);
    let memory = number("karpenter.k8s.aws/instance-memory")
        .map(|mebibytes| Quantity::from_units(mebibytes.saturating_mul(MIB)));
    let gpus = number("karpenter.k8s.aws/instance-gpu-count").unwrap_or(0);
    let stated = |resource: &str| instance_type.capacity.get(resource).unwrap_or_default();
    [
        ("pods", Quantity::from_units(PODS)),
        ("cpu", cpu.unwrap_or_else(|| stated("cpu"))),
        ("memory", memory.unwrap_or_else(|| stated("memory"))),
        ("nvidia.com/gpu", Quantity::from_units(gpus)),
    ]
    .into_iter()
    .collect()
}

fn generic_labels(instance_type: &InstanceType, parts: &Parts<'_>) -> Labels {
    // A region is a zone without its letter.
    let mut region = parts.zone.chars();
    region.next_back();
    [
        ("kubernetes.io/arch", requirement(instance_type, "kubernetes.io/arch").unwrap_or("amd64")),
        ("kubernetes.io/os", "linux"),
        ("node.kubernetes.io/instance-type", instance_type.name.as_str()),
        ("topology.kubernetes.io/region", region.as_str()),
        ("topology.kubernetes.io/zone", parts.zone),
        ("topology.ebs.csi.aws.com/zone", parts.zone),
        ("kubernetes.io/hostname", parts.group),
    ]
    .into_iter()
    .collect()
}

/// What stands behind `prefix` in a tag's name, wherever that is.
fn behind<'t>(tag: &'t str, prefix: &str) -> Option<&'t str> {
    tag.split(prefix).nth(1).filter(|rest| !rest.is_empty())
}

fn labels_of_tags(tags: &[(Str, Str)]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().filter_map(|(tag, value)| {
        let label = if tag.contains(LABEL_TAG) { behind(tag, LABEL_TAG) } else { behind(tag, EKS_TAG) };
        Some((label?, value.as_str()))
    })
}

fn resources(tags: &[(Str, Str)]) -> impl Iterator<Item = (&str, Quantity)> {
    tags.iter().filter_map(|(tag, value)| Some((behind(tag, RESOURCES_TAG)?, Quantity::parse(value).ok()?)))
}

/// `VALUE:EFFECT`.
fn taints_of_tags(tags: &[(Str, Str)]) -> Vec<Taint> {
    tags.iter()
        .filter_map(|(tag, text)| {
            let key = behind(tag, TAINT_TAG)?;
            let (value, effect) = text.split_once(':')?;
            Some(Taint {
                key: key.into(),
                value: value.into(),
                effect: Some(effect_of(effect)?),
                ..Taint::default()
            })
        })
        .collect()
}

/// The effect of this name, as Kubernetes or the EKS API writes it.
pub(super) fn effect_of(text: &str) -> Option<TaintEffect> {
    match text {
        "NoSchedule" | "NO_SCHEDULE" => Some(TaintEffect::NoSchedule),
        "NoExecute" | "NO_EXECUTE" => Some(TaintEffect::NoExecute),
        "PreferNoSchedule" | "PREFER_NO_SCHEDULE" => Some(TaintEffect::PreferNoSchedule),
        _ => None,
    }
}
