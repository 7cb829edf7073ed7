//! What `aws autoscaling describe-auto-scaling-groups` prints.

use super::template::{Parts, template};
use super::{AwsError, Lookups};
use crate::options::{FlagError, NodeGroupOptions};
use crate::view::{NodeGroup, NodeGroupState};
use karpsim::catalogue::Catalogue;
use karpsim::model::core::Node;
use karpsim::model::meta::Str;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

const OPTIONS_TAG: &str = "k8s.io/cluster-autoscaler/node-template/autoscaling-options/";
/// The tag that groups are found by if nothing else is said.
const ENABLED_TAG: &str = "k8s.io/cluster-autoscaler/enabled";

/// Options in tags, and the flags that set them for all groups.
const TAG_OPTIONS: [(&str, &str); 5] = [
    ("scaledownutilizationthreshold", "scale-down-utilization-threshold"),
    ("scaledowngpuutilizationthreshold", "scale-down-gpu-utilization-threshold"),
    ("scaledownunneededtime", "scale-down-unneeded-time"),
    ("scaledownunreadytime", "scale-down-unready-time"),
    ("ignoredaemonsetsutilization", "ignore-daemonsets-utilization"),
];

/// Which groups the autoscaler manages: `--node-group-auto-discovery` and `--nodes`. With neither, all that are tagged
/// `k8s.io/cluster-autoscaler/enabled`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Discovery {
    /// Tags that a group must have; an empty value stands for any.
    tags: BTreeMap<Str, Str>,
    /// Groups by name, with sizes that hold instead of the group's own.
    named: BTreeMap<Str, (i64, i64)>,
}

/// Why a flag does not say which groups are meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DiscoveryError {
    /// Not `asg:tag=KEY[=VALUE],…`.
    #[error("`{0}` is not asg:tag=KEY[=VALUE],…")]
    AutoDiscovery(String),
    /// Not `MIN:MAX:NAME`.
    #[error("`{0}` is not MIN:MAX:NAME")]
    Nodes(String),
}

impl Discovery {
    /// Takes a value of `--node-group-auto-discovery`.
    ///
    /// # Errors
    ///
    /// If it is not `asg:tag=KEY[=VALUE],…`.
    pub fn add_auto_discovery(&mut self, spec: &str) -> Result<(), DiscoveryError> {
        let tags = spec.strip_prefix("asg:tag=").filter(|tags| !tags.is_empty());
        let tags = tags.ok_or_else(|| DiscoveryError::AutoDiscovery(spec.to_owned()))?;
        for tag in tags.split(',') {
            let (key, value) = tag.split_once('=').unwrap_or((tag, ""));
            self.tags.insert(key.into(), value.into());
        }
        Ok(())
    }

    /// Takes a value of `--nodes`.
    ///
    /// # Errors
    ///
    /// If it is not `MIN:MAX:NAME`.
    pub fn add_nodes(&mut self, spec: &str) -> Result<(), DiscoveryError> {
        let mut parts = spec.splitn(3, ':');
        let mut size = || parts.next()?.parse::<i64>().ok().filter(|size| *size >= 0);
        let sizes = size().zip(size()).filter(|(min, max)| min <= max);
        let name = parts.next().filter(|name| !name.is_empty());
        let (sizes, name) = sizes.zip(name).ok_or_else(|| DiscoveryError::Nodes(spec.to_owned()))?;
        self.named.insert(name.into(), sizes);
        Ok(())
    }

    fn finds(&self, tags: &[(Str, Str)]) -> bool {
        let has = |key: &str, value: &str| {
            tags.iter().any(|(tag, text)| tag == key && (value.is_empty() || text == value))
        };
        if self.tags.is_empty() {
            return self.named.is_empty() && has(ENABLED_TAG, "");
        }
        self.tags.iter().all(|(key, value)| has(key, value))
    }
}

/// A tag that the autoscaler would pass over with a warning.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TagProblem {
    /// The tag.
    pub tag: Str,
    /// What is wrong with it.
    pub problem: FlagError,
}

/// A group that the autoscaler manages.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct AutoScalingGroup {
    /// The group.
    pub node_group: NodeGroup,
    /// How many nodes it should have.
    pub desired_capacity: i64,
    /// Its instances, as Nodes name them in `spec.providerID`.
    pub provider_ids: Vec<Str>,
    /// Tags with options that cannot be read.
    pub tag_problems: Vec<TagProblem>,
}

impl AutoScalingGroup {
    /// The group's side of a view that has these nodes. Instances without a Node go by their provider's ID.
    pub fn state(&self, nodes: &[Arc<Node>]) -> NodeGroupState {
        let name = |id: &Str| {
            let node = nodes.iter().find(|node| node.spec.provider_id == *id);
            node.map_or_else(|| id.clone(), |node| node.metadata.name.clone())
        };
        NodeGroupState {
            target_size: self.desired_capacity,
            instances: self.provider_ids.iter().map(name).collect(),
            failed_instances: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Output {
    auto_scaling_groups: Vec<Group>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Group {
    auto_scaling_group_name: Str,
    min_size: i64,
    max_size: i64,
    desired_capacity: i64,
    #[serde(default)]
    availability_zones: Vec<Str>,
    #[serde(default)]
    instances: Vec<Instance>,
    #[serde(default)]
    tags: Vec<Tag>,
    mixed_instances_policy: Option<MixedInstancesPolicy>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Instance {
    instance_id: Str,
    #[serde(default)]
    instance_type: Str,
    #[serde(default)]
    availability_zone: Str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    key: Str,
    #[serde(default)]
    value: Option<Str>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MixedInstancesPolicy {
    launch_template: Option<MixedLaunchTemplate>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct MixedLaunchTemplate {
    #[serde(default)]
    overrides: Vec<Override>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Override {
    instance_type: Option<Str>,
}

impl Group {
    /// The type that the autoscaler reckons with: the first of the overrides, else that of the launch template, else here,
    /// where the template may not be known, that of an instance.
    fn instance_type(&self, lookups: &Lookups) -> Result<Str, AwsError> {
        let mut overrides = self
            .mixed_instances_policy
            .iter()
            .filter_map(|policy| policy.launch_template.as_ref())
            .flat_map(|template| &template.overrides);
        let name = &self.auto_scaling_group_name;
        let of_instance = || {
            let types = self.instances.iter().map(|instance| &instance.instance_type);
            types.filter(|it| !it.is_empty()).min().cloned()
        };
        overrides
            .find_map(|it| it.instance_type.clone())
            .or_else(|| lookups.instance_types.get(name).cloned())
            .or_else(of_instance)
            .ok_or_else(|| AwsError::NoInstanceType { group: name.clone() })
    }
}

/// Reads groups from the text that `aws autoscaling describe-auto-scaling-groups` prints, those that `discovery` finds, by
/// name.
///
/// # Errors
///
/// If the text has another form, or a group's new nodes cannot be reckoned.
pub fn read_auto_scaling_groups(
    text: &str,
    discovery: &Discovery,
    lookups: &Lookups,
    catalogue: &Catalogue,
) -> Result<Vec<AutoScalingGroup>, AwsError> {
    let output: Output = serde_json::from_str(text)?;
    let mut groups = Vec::new();
    for group in output.auto_scaling_groups {
        let tags: Vec<(Str, Str)> =
            group.tags.iter().map(|tag| (tag.key.clone(), tag.value.clone().unwrap_or_default())).collect();
        let name = &group.auto_scaling_group_name;
        let sizes = discovery.named.get(name).copied();
        if sizes.is_none() && !discovery.finds(&tags) {
            continue;
        }
        let (min, max) = sizes.unwrap_or((group.min_size, group.max_size));
        if min < 0 || max < min {
            return Err(AwsError::Sizes { group: name.clone(), min, max });
        }
        let instance_type = group.instance_type(lookups)?;
        let zone =
            group.availability_zones.first().ok_or_else(|| AwsError::NoZone { group: name.clone() })?;
        let parts = Parts {
            group: name,
            instance_type: &instance_type,
            zone,
            tags: &tags,
            managed: lookups.managed_node_groups.get(name),
        };
        let mut node_group = NodeGroup::new(name.clone(), min, max, Arc::new(template(&parts, catalogue)?));
        let mut tag_problems = Vec::new();
        node_group.options = options_of_tags(&tags, &mut tag_problems);
        groups.push(AutoScalingGroup {
            node_group,
            desired_capacity: group.desired_capacity,
            provider_ids: group
                .instances
                .iter()
                .map(|it| format!("aws:///{}/{}", it.availability_zone, it.instance_id).into())
                .collect(),
            tag_problems,
        });
    }
    groups.sort_by(|a, b| a.node_group.name.cmp(&b.node_group.name));
    Ok(groups)
}

fn options_of_tags(tags: &[(Str, Str)], problems: &mut Vec<TagProblem>) -> NodeGroupOptions {
    let mut options = NodeGroupOptions::default();
    for (tag, value) in tags {
        let Some(name) = tag.strip_prefix(OPTIONS_TAG) else { continue };
        let Some((_, flag)) = TAG_OPTIONS.iter().find(|(option, _)| *option == name) else { continue };
        if let Err(problem) = options.set(flag, value) {
            problems.push(TagProblem { tag: tag.clone(), problem });
        }
    }
    options
}
