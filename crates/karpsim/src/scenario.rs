//! A scenario: one moment of a cluster, to decide on.

use crate::catalogue::{Catalogue, CatalogueReference};
use crate::model::meta::{Str, Time, words};
use crate::model::objects::{Objects, ObjectsBox};
use crate::model::wire::wire;
use crate::version::{KarpenterVersion, Rules};
use std::sync::Arc;

words! {
    /// What is to be decided.
    pub enum ScenarioKind {
        /// Where pending pods go, and which nodes are launched.
        Provisioning = "provisioning",
        /// Which nodes are removed or replaced.
        Disruption = "disruption",
    }
}

words! {
    /// `--preference-policy`.
    pub enum PreferencePolicy {
        /// Preferences are required until they cannot be met.
        Respect = "Respect",
        /// Preferences are not looked at.
        Ignore = "Ignore",
    }
}

words! {
    /// `--min-values-policy`.
    pub enum MinValuesPolicy {
        /// `minValues` must be met.
        Strict = "Strict",
        /// `minValues` are lowered to what can be had.
        BestEffort = "BestEffort",
    }
}

wire! {
    /// Feature gates; absent ones are at Karpenter v1.14.1's default.
    pub struct FeatureGates {
        /// Capacity reservations; on.
        reserved_capacity: Option<bool> = "reservedCapacity",
        /// Spot nodes are replaced by spot nodes; off.
        spot_to_spot_consolidation: Option<bool> = "spotToSpotConsolidation",
        /// NodeOverlays; off.
        node_overlay: Option<bool> = "nodeOverlay",
        /// Static NodePools; off. Without it they are passed over like others that are not dynamic.
        static_capacity: Option<bool> = "staticCapacity",
    }
    passed { "nodeRepair" }
    unmodelled { "capacityBuffer" }
}

wire! {
    /// Karpenter's settings.
    pub struct Options {
        /// Preferences.
        preference_policy: Option<PreferencePolicy> = "preferencePolicy",
        /// `minValues`.
        min_values_policy: Option<MinValuesPolicy> = "minValuesPolicy",
        /// Feature gates.
        feature_gates: FeatureGates = "featureGates",
        /// The version that decides; absent: the newest that is matched.
        karpenter_version: Option<KarpenterVersion> = "karpenterVersion",
    }
    passed { }
    unmodelled { }
}

impl Options {
    /// The version that decides.
    pub fn version(&self) -> KarpenterVersion {
        self.karpenter_version.unwrap_or_default()
    }

    /// The rules of that version.
    pub fn rules(&self) -> &'static Rules {
        self.version().rules()
    }

    /// Whether preferences are respected.
    pub fn respects_preferences(&self) -> bool {
        self.preference_policy != Some(PreferencePolicy::Ignore)
    }

    /// Whether `minValues` are lowered where they cannot be met.
    pub fn relaxes_min_values(&self) -> bool {
        self.min_values_policy == Some(MinValuesPolicy::BestEffort)
    }

    /// Whether capacity reservations are used.
    pub fn reserved_capacity(&self) -> bool {
        self.feature_gates.reserved_capacity.unwrap_or(true)
    }

    /// Whether spot nodes are replaced by spot nodes.
    pub fn spot_to_spot_consolidation(&self) -> bool {
        self.feature_gates.spot_to_spot_consolidation.unwrap_or(false)
    }

    /// Whether NodeOverlays apply.
    pub fn node_overlay(&self) -> bool {
        self.feature_gates.node_overlay.unwrap_or(false)
    }
}

wire! {
    /// What Karpenter holds only in memory: names of nodes (of NodeClaims, where no node is registered).
    pub struct ClusterMemory {
        /// Nodes that a recent round has promised to a pod.
        nominated: Vec<Str> = "nominated",
        /// Nodes that Karpenter has decided to remove.
        marked_for_deletion: Vec<Str> = "markedForDeletion",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A scenario as it is written.
    pub struct ScenarioText {
        /// Unique name.
        name: Str = "name",
        /// What is to be decided; absent: provisioning.
        kind: Option<ScenarioKind> = "kind",
        /// The clock.
        now: Option<Time> = "now",
        /// Settings.
        options: Options = "options",
        /// Instance types.
        catalogue: CatalogueReference = "catalogue",
        /// Objects.
        objects: ObjectsBox = "objects",
        /// Memory.
        cluster: ClusterMemory = "cluster",
    }
    passed { "apiVersion" }
    unmodelled { }
}

impl Default for ScenarioKind {
    fn default() -> Self {
        ScenarioKind::Provisioning
    }
}

/// One moment of a cluster, to decide on.
#[derive(Debug, Clone, Default)]
pub struct Scenario {
    /// Name; shown, never interpreted.
    pub name: Str,
    /// What is to be decided.
    pub kind: ScenarioKind,
    /// The clock.
    pub now: Time,
    /// Settings.
    pub options: Options,
    /// Instance types that every NodePool is offered.
    pub catalogue: Arc<Catalogue>,
    /// Objects.
    pub objects: Objects,
    /// What Karpenter holds only in memory.
    pub memory: ClusterMemory,
}
