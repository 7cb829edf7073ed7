//! Node groups as AWS has them: Auto Scaling groups with the tags that the autoscaler reads, and eksctl's files.
//!
//! Nothing is asked of AWS. What the autoscaler would look up, the memory and cores of an instance type, comes from a
//! catalogue; which type a launch template has, and what the EKS API says of a managed node group, is told in
//! [`Lookups`].

mod auto_scaling_groups;
mod eksctl;
mod template;

pub use auto_scaling_groups::{
    AutoScalingGroup, Discovery, DiscoveryError, TagProblem, read_auto_scaling_groups,
};
pub use eksctl::read_eksctl;

use karpsim::model::core::Taint;
use karpsim::model::meta::{Labels, Str};
use std::collections::BTreeMap;

/// What the autoscaler would ask of AWS, by the group's name.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Lookups {
    /// The instance type of the group's launch template or launch configuration.
    pub instance_types: BTreeMap<Str, Str>,
    /// What the EKS API says of the managed node group behind the group.
    pub managed_node_groups: BTreeMap<Str, ManagedNodeGroup>,
}

/// What the EKS API says of a managed node group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ManagedNodeGroup {
    /// Labels, which replace those of tags.
    pub labels: Labels,
    /// Taints, which come beside those of tags.
    pub taints: Vec<Taint>,
    /// Tags of the managed node group; amounts of resources in them replace those of the group's own tags.
    pub tags: Vec<(Str, Str)>,
}

/// Why node groups cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AwsError {
    /// The text is not JSON of the form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// The text is not YAML, or not of the form.
    #[error("{0}")]
    Yaml(String),
    /// Sizes that no group can have.
    #[error("node group `{group}`: a size from {min} to {max} is none")]
    Sizes {
        /// The group.
        group: Str,
        /// Its minimum.
        min: i64,
        /// Its maximum.
        max: i64,
    },
    /// Nothing says which instance type a new node would be.
    #[error(
        "node group `{group}`: its launch template is not here, and it has no instance to tell its type by"
    )]
    NoInstanceType {
        /// The group.
        group: Str,
    },
    /// The catalogue does not have the type.
    #[error("node group `{group}`: instance type `{instance_type}` is not in the catalogue")]
    UnknownInstanceType {
        /// The group.
        group: Str,
        /// The type.
        instance_type: Str,
    },
    /// The group is in no zone.
    #[error("node group `{group}`: it has no availability zone")]
    NoZone {
        /// The group.
        group: Str,
    },
}
