//! `managedNodeGroups` of eksctl's `ClusterConfig`.

use super::template::{Parts, effect_of, template};
use super::{AwsError, ManagedNodeGroup};
use crate::view::NodeGroup;
use karpsim::catalogue::Catalogue;
use karpsim::model::core::Taint;
use karpsim::model::meta::{Labels, Str};
use karpsim::yaml;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::AutoScalingGroup;

/// What eksctl takes if nothing is said.
const DEFAULT_SIZE: i64 = 2;
const DEFAULT_INSTANCE_TYPE: &str = "m5.large";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClusterConfig {
    metadata: Metadata,
    #[serde(default)]
    availability_zones: Vec<Str>,
    #[serde(default)]
    managed_node_groups: Vec<Managed>,
}

#[derive(Deserialize)]
struct Metadata {
    name: Str,
    #[serde(default)]
    region: Str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Managed {
    name: Str,
    instance_type: Option<Str>,
    #[serde(default)]
    instance_types: Vec<Str>,
    min_size: Option<i64>,
    max_size: Option<i64>,
    desired_capacity: Option<i64>,
    #[serde(default)]
    availability_zones: Vec<Str>,
    #[serde(default)]
    labels: BTreeMap<Str, Str>,
    #[serde(default)]
    taints: Taints,
    #[serde(default)]
    tags: BTreeMap<Str, Str>,
    #[serde(default)]
    spot: bool,
}

/// Taints as a list, or as `KEY: VALUE:EFFECT`.
#[derive(Deserialize)]
#[serde(untagged)]
enum Taints {
    List(Vec<TaintText>),
    Map(BTreeMap<Str, Str>),
}

impl Default for Taints {
    fn default() -> Self {
        Taints::List(Vec::new())
    }
}

#[derive(Deserialize)]
struct TaintText {
    key: Str,
    #[serde(default)]
    value: Str,
    effect: Str,
}

impl Taints {
    fn read(self) -> Vec<Taint> {
        let one = |key: Str, value: &str, effect: &str| {
            Some(Taint { key, value: value.into(), effect: Some(effect_of(effect)?), ..Taint::default() })
        };
        match self {
            Taints::List(list) => {
                list.into_iter().filter_map(|it| one(it.key, &it.value, &it.effect)).collect()
            }
            Taints::Map(map) => map
                .into_iter()
                .filter_map(|(key, text)| {
                    let (value, effect) = text.split_once(':').unwrap_or(("", &text));
                    one(key, value, effect)
                })
                .collect(),
        }
    }
}

/// Reads the managed node groups of an eksctl file, by name. All are managed by the autoscaler: their Auto Scaling groups
/// are tagged so. The groups have their desired capacity and no instances.
///
/// # Errors
///
/// If the text has another form, or a group's new nodes cannot be reckoned.
pub fn read_eksctl(text: &str, catalogue: &Catalogue) -> Result<Vec<AutoScalingGroup>, AwsError> {
    let documents = yaml::documents(text).map_err(|problem| AwsError::Yaml(problem.to_string()))?;
    let mut groups = Vec::new();
    for document in documents {
        if document.value.get("kind").and_then(|kind| kind.as_str()) != Some("ClusterConfig") {
            continue;
        }
        let config: ClusterConfig =
            serde_json::from_value(document.value).map_err(|error| AwsError::Yaml(error.to_string()))?;
        let (metadata, zones) = (config.metadata, config.availability_zones);
        for managed in config.managed_node_groups {
            groups.push(read(managed, &metadata, &zones, catalogue)?);
        }
    }
    groups.sort_by(|a, b| a.node_group.name.cmp(&b.node_group.name));
    Ok(groups)
}

fn read(
    managed: Managed,
    cluster: &Metadata,
    zones: &[Str],
    catalogue: &Catalogue,
) -> Result<AutoScalingGroup, AwsError> {
    let name = managed.name;
    let min = managed.min_size.or(managed.desired_capacity).unwrap_or(DEFAULT_SIZE);
    let max = managed.max_size.or(managed.desired_capacity).unwrap_or(min);
    let desired_capacity = managed.desired_capacity.unwrap_or(min);
    if min < 0 || max < min || desired_capacity < min || desired_capacity > max {
        return Err(AwsError::Sizes { group: name, min, max });
    }
    let instance_type = managed
        .instance_types
        .first()
        .or(managed.instance_type.as_ref())
        .map_or(DEFAULT_INSTANCE_TYPE, |it| it.as_str());
    // Without zones, EKS takes those of the cluster's subnets; the first is as good as any.
    let first_zone = format!("{}a", cluster.region);
    let zone =
        managed.availability_zones.first().or(zones.first()).map_or(first_zone.as_str(), |it| it.as_str());
    if zone == "a" {
        return Err(AwsError::NoZone { group: name });
    }
    let mut labels: Labels =
        managed.labels.iter().map(|(label, value)| (label.clone(), value.clone())).collect();
    let capacity_type = if managed.spot { "SPOT" } else { "ON_DEMAND" };
    for (label, value) in [
        ("alpha.eksctl.io/cluster-name", cluster.name.as_str()),
        ("alpha.eksctl.io/nodegroup-name", name.as_str()),
        ("eks.amazonaws.com/capacityType", capacity_type),
        ("eks.amazonaws.com/nodegroup", name.as_str()),
    ] {
        labels.insert(label, value);
    }
    let tags: Vec<(Str, Str)> = managed.tags.into_iter().collect();
    let of_api = ManagedNodeGroup { labels, taints: managed.taints.read(), tags };
    let parts = Parts { group: &name, instance_type, zone, tags: &[], managed: Some(&of_api) };
    let template = template(&parts, catalogue)?;
    Ok(AutoScalingGroup {
        node_group: NodeGroup::new(name, min, max, Arc::new(template)),
        desired_capacity,
        provider_ids: Vec::new(),
        tag_problems: Vec::new(),
    })
}
