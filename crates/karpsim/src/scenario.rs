//! A scenario: one moment of a cluster, to decide on.

use crate::catalogue::{Catalogue, CatalogueReference};
use crate::kubernetes::pods::CostSource;
use crate::model::core::TopologySpreadConstraint;
use crate::model::meta::{Duration, Str, Time, words};
use crate::model::objects::{Objects, ObjectsBox};
use crate::model::wire::wire;
use crate::version::{KarpenterVersion, Rules};
use std::sync::Arc;

words! {
    /// What is to be decided.
    #[derive(Default)]
    pub enum ScenarioKind {
        /// Where pending pods go, and which nodes are launched.
        #[default]
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
    /// Feature gates; absent ones are at Karpenter's default.
    pub struct FeatureGates {
        /// Capacity reservations; on.
        reserved_capacity: Option<bool> = "reservedCapacity",
        /// Spot nodes are replaced by spot nodes; off.
        spot_to_spot_consolidation: Option<bool> = "spotToSpotConsolidation",
        /// NodeOverlays; off.
        node_overlay: Option<bool> = "nodeOverlay",
        /// Static NodePools; off. Without it they are passed over like others that are not dynamic.
        static_capacity: Option<bool> = "staticCapacity",
        /// Unhealthy nodes are repaired; off.
        node_repair: Option<bool> = "nodeRepair",
        /// A drifted node goes first if only what it holds can take its pods; off.
        terminate_first_drift: Option<bool> = "terminateFirstDrift",
        /// The same for an unhealthy node; off.
        terminate_first_repair: Option<bool> = "terminateFirstRepair",
        /// Pods' deletion costs follow the order in which their nodes would go; off.
        pod_deletion_cost_management: Option<bool> = "podDeletionCostManagement",
    }
    passed { }
    unmodelled { "capacityBuffer" }
}

wire! {
    /// Topology spread of pods that have none of their own.
    pub struct PodTopologySpread {
        /// The constraints, without selectors: those follow from each pod's Services and owner.
        default_constraints: Vec<TopologySpreadConstraint> = "defaultConstraints",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `--scheduler-config`: what the cluster's scheduler is configured to do.
    pub struct SchedulerConfig {
        /// Topology spread.
        pod_topology_spread: PodTopologySpread = "podTopologySpread",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

words! {
    /// What repairs a node.
    pub enum RepairAction {
        /// It is rebooted.
        RebootNode = "RebootNode",
        /// It is replaced.
        ReplaceNode = "ReplaceNode",
    }
}

wire! {
    /// When and how the provider wants an unhealthy node repaired.
    pub struct RepairPolicy {
        /// The node's condition.
        condition_type: Str = "conditionType",
        /// The status that is unhealthy.
        condition_status: Str = "conditionStatus",
        /// What the condition's reason must match; absent: the fallback of conditions whose reason matches no policy.
        reason_regex: Str = "reasonRegex",
        /// For how long the condition is tolerated.
        toleration_duration: Duration = "tolerationDuration",
        /// How long the drain may take; absent: as the NodeClaim says.
        termination_grace_period: Option<Duration> = "terminationGracePeriod",
        /// 0 to 100; the higher goes first.
        priority: i64 = "priority",
        /// What is done; absent: the node is replaced.
        action: Option<RepairAction> = "action",
    }
    passed { }
    unmodelled { }
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
        /// What the cluster's scheduler is configured to do.
        scheduler_config: SchedulerConfig = "schedulerConfig",
        /// What the provider wants repaired.
        repair_policies: Vec<RepairPolicy> = "repairPolicies",
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

    /// Whether unhealthy nodes are repaired by a method of disruption.
    pub fn repairs_nodes(&self) -> bool {
        self.rules().repair_is_a_method && self.feature_gates.node_repair == Some(true)
    }

    /// Whether a drifted node goes before there is a replacement, if only what it holds can take its pods.
    pub fn terminates_first_for_drift(&self) -> bool {
        self.rules().terminates_first && self.feature_gates.terminate_first_drift == Some(true)
    }

    /// The same for an unhealthy node.
    pub fn terminates_first_for_repair(&self) -> bool {
        self.rules().terminates_first && self.feature_gates.terminate_first_repair == Some(true)
    }

    /// Whether pods' deletion costs are managed.
    pub fn manages_pod_deletion_cost(&self) -> bool {
        self.rules().manages_pod_deletion_cost
            && self.feature_gates.pod_deletion_cost_management == Some(true)
    }

    /// What says what it costs to evict a pod.
    pub fn cost_source(&self) -> CostSource {
        match (self.rules().pods_name_disruption_cost, self.manages_pod_deletion_cost()) {
            (false, _) => CostSource::DeletionCost,
            (true, false) => CostSource::DisruptionCostFirst,
            (true, true) => CostSource::DisruptionCostOnly,
        }
    }

    /// Topology spread of pods that have none of their own.
    pub fn default_spread(&self) -> &[TopologySpreadConstraint] {
        if self.rules().default_topology_spread {
            &self.scheduler_config.pod_topology_spread.default_constraints
        } else {
            &[]
        }
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
