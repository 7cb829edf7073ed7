//! What Karpenter's versions decide differently: a table of rules.
//!
//! Each [`Rules`] is a column of the table, a version of Karpenter; each of its fields is a rule in which versions differ.
//! What decides asks for the rule, never for the version, so a new version is a new column, and a new difference a new
//! field.

use crate::model::meta::words;

words! {
    /// A version of Karpenter.
    pub enum KarpenterVersion {
        /// v1.14.1.
        V1_14 = "1.14",
        /// v1.14.3: v1.14.1 with the `minValues` rule of v1.15.
        V1_14_3 = "1.14.3",
        /// v1.15.0.
        V1_15 = "1.15",
    }
}

impl Default for KarpenterVersion {
    /// The newest that is matched by recordings.
    fn default() -> Self {
        KarpenterVersion::V1_15
    }
}

impl KarpenterVersion {
    /// All, the oldest first.
    pub const ALL: [KarpenterVersion; 3] =
        [KarpenterVersion::V1_14, KarpenterVersion::V1_14_3, KarpenterVersion::V1_15];

    /// The release whose decisions are meant.
    pub const fn release(self) -> &'static str {
        match self {
            KarpenterVersion::V1_14 => "v1.14.1",
            KarpenterVersion::V1_14_3 => "v1.14.3",
            KarpenterVersion::V1_15 => "v1.15.0",
        }
    }

    /// The version that is called so: `1.15`, or the release itself, `v1.15.0` or `1.15.0`.
    pub fn named(text: &str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let is_it =
            |version: &Self| version.as_str() == text || version.release().strip_prefix('v') == Some(text);
        Self::ALL.into_iter().find(is_it)
    }

    /// Its column of the table.
    pub const fn rules(self) -> &'static Rules {
        match self {
            KarpenterVersion::V1_14 => &V1_14,
            KarpenterVersion::V1_14_3 => &V1_14_3,
            KarpenterVersion::V1_15 => &V1_15,
        }
    }
}

/// The rules of a version, as far as versions differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[allow(clippy::struct_excessive_bools)] // A rule is one way or the other.
pub struct Rules {
    /// `minValues` counts only values that the requirement itself still allows, once a selector, a spread or a volume has
    /// narrowed it. Otherwise all values of the instance types count.
    pub min_values_count_allowed_only: bool,
    /// Whether a reservation can be had at all and whether it has room are two things: a full one is no offering to launch
    /// from, and pods fall back to other capacity if there is some. Otherwise they wait for any reservation that is on
    /// offer.
    pub full_reservations_fall_back: bool,
    /// What an offering says of capacity and overhead replaces what its type says. Otherwise it is added to it.
    pub offering_overrides_replace: bool,
    /// A storage driver of a CSINode without a count is without limit. Otherwise one with `allocatable` has the limit 0.
    pub csi_drivers_without_count_are_unbounded: bool,
    /// The volumes that nodes of an instance type can attach are known before there is a node.
    pub instance_types_limit_volumes: bool,
    /// A pod whose volumes cannot be resolved is not placed at all. Otherwise only existing nodes are closed to it.
    pub unresolved_volumes_bar_new_nodes: bool,
    /// `karpenter.sh/disruption-cost` says what it costs to evict a pod, before the deletion cost does; both are whole
    /// numbers. Otherwise the deletion cost alone does, as a double.
    pub pods_name_disruption_cost: bool,
    /// A node that is rebooting comes back: its pods are planned onto it, and it is not disrupted.
    pub rebooting_nodes_return: bool,
    /// Pods without a topology spread of their own get the one of `--scheduler-config`.
    pub default_topology_spread: bool,
    /// Unhealthy nodes are repaired by a method of disruption. Otherwise a controller of its own deletes them, which is no
    /// decision of disruption.
    pub repair_is_a_method: bool,
    /// A node that holds what its replacement needs can be terminated first, behind feature gates.
    pub terminates_first: bool,
    /// Pods' deletion costs can be managed, behind a feature gate.
    pub manages_pod_deletion_cost: bool,
}

const V1_14: Rules = Rules {
    min_values_count_allowed_only: false,
    full_reservations_fall_back: false,
    offering_overrides_replace: false,
    csi_drivers_without_count_are_unbounded: false,
    instance_types_limit_volumes: false,
    unresolved_volumes_bar_new_nodes: false,
    pods_name_disruption_cost: false,
    rebooting_nodes_return: false,
    default_topology_spread: false,
    repair_is_a_method: false,
    terminates_first: false,
    manages_pod_deletion_cost: false,
};

const V1_14_3: Rules = Rules { min_values_count_allowed_only: true, ..V1_14 };

const V1_15: Rules = Rules {
    min_values_count_allowed_only: true,
    full_reservations_fall_back: true,
    offering_overrides_replace: true,
    csi_drivers_without_count_are_unbounded: true,
    instance_types_limit_volumes: true,
    unresolved_volumes_bar_new_nodes: true,
    pods_name_disruption_cost: true,
    rebooting_nodes_return: true,
    default_topology_spread: true,
    repair_is_a_method: true,
    terminates_first: true,
    manages_pod_deletion_cost: true,
};
