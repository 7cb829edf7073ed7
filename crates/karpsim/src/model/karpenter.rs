//! Karpenter's own kinds, `karpenter.sh/v1` and `v1alpha1`.

use super::core::{ResourceList, Taint};
use super::meta::{Condition, Duration, Labels, NillableDuration, ObjectMeta, Operator, Str, Time, words};
use super::wire::wire;

wire! {
    /// A node selector requirement, with the least number of distinct values that must remain.
    pub struct RequirementWithMinValues {
        /// Label.
        key: Str = "key",
        /// Operator.
        operator: Option<Operator> = "operator",
        /// Values.
        values: Vec<Str> = "values",
        /// The least number of distinct values among the instance types of a NodeClaim.
        min_values: Option<i64> = "minValues",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Which node class.
    pub struct NodeClassReference {
        /// API group.
        group: Str = "group",
        /// Kind.
        kind: Str = "kind",
        /// Name.
        name: Str = "name",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec.template.spec` of a NodePool.
    pub struct NodeClaimTemplateSpec {
        /// Taints of the nodes.
        taints: Vec<Taint> = "taints",
        /// Taints that somebody will take off.
        startup_taints: Vec<Taint> = "startupTaints",
        /// What nodes can be.
        requirements: Vec<RequirementWithMinValues> = "requirements",
        /// Node class.
        node_class_ref: NodeClassReference = "nodeClassRef",
        /// How long a drain may take at most.
        termination_grace_period: Option<Duration> = "terminationGracePeriod",
        /// How old a node may become.
        expire_after: Option<NillableDuration> = "expireAfter",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Labels and annotations of the nodes.
    pub struct TemplateMeta {
        /// Labels.
        labels: Labels = "labels",
        /// Annotations.
        annotations: Labels = "annotations",
    }
    passed { "creationTimestamp", "name" }
    unmodelled { }
}

wire! {
    /// `spec.template` of a NodePool.
    pub struct NodeClaimTemplate {
        /// Labels and annotations.
        metadata: TemplateMeta = "metadata",
        /// Spec.
        spec: NodeClaimTemplateSpec = "spec",
    }
    passed { }
    unmodelled { }
}

words! {
    /// Why a node is disrupted.
    pub enum DisruptionReason {
        /// Its pods fit elsewhere, or on something cheaper.
        Underutilized = "Underutilized",
        /// It has no pods that count.
        Empty = "Empty",
        /// It is not what its NodePool asks for any more.
        Drifted = "Drifted",
        /// It is broken.
        Unhealthy = "Unhealthy",
    }
}

words! {
    /// Which nodes are consolidated.
    pub enum ConsolidationPolicy {
        /// Empty ones.
        WhenEmpty = "WhenEmpty",
        /// Empty ones, and those whose pods can go elsewhere.
        WhenEmptyOrUnderutilized = "WhenEmptyOrUnderutilized",
        /// As the former, if the savings are worth the disruption.
        Balanced = "Balanced",
    }
}

wire! {
    /// How many nodes may be disrupted, and when.
    pub struct Budget {
        /// For these reasons; absent: for all.
        reasons: Option<Vec<DisruptionReason>> = "reasons",
        /// A number or a percentage.
        nodes: Str = "nodes",
        /// When it begins to hold (cron, UTC); absent: always.
        schedule: Option<Str> = "schedule",
        /// For how long.
        duration: Option<Duration> = "duration",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec.disruption` of a NodePool.
    pub struct Disruption {
        /// How long after the last pod event.
        consolidate_after: Option<NillableDuration> = "consolidateAfter",
        /// Which nodes.
        consolidation_policy: Option<ConsolidationPolicy> = "consolidationPolicy",
        /// How many. Absent: the API server's default, `10%`, once it is through the door.
        budgets: Option<Vec<Budget>> = "budgets",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec` of a NodePool.
    pub struct NodePoolSpec {
        /// What its nodes are.
        template: NodeClaimTemplate = "template",
        /// When they may go.
        disruption: Disruption = "disruption",
        /// How much there may be of them. `nodes` counts them.
        limits: Option<ResourceList> = "limits",
        /// Higher is tried first.
        weight: Option<i64> = "weight",
        /// A fixed number of nodes: a static pool.
        replicas: Option<i64> = "replicas",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `status` of a NodePool.
    pub struct NodePoolStatus {
        /// Conditions.
        conditions: Vec<Condition> = "conditions",
    }
    passed { "resources", "nodes", "nodeClassObservedGeneration" }
    unmodelled { }
}

wire! {
    /// A NodePool.
    pub struct NodePool {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: NodePoolSpec = "spec",
        /// Status.
        status: NodePoolStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// `spec` of a NodeClaim.
    pub struct NodeClaimSpec {
        /// Taints.
        taints: Vec<Taint> = "taints",
        /// Taints that somebody will take off.
        startup_taints: Vec<Taint> = "startupTaints",
        /// What the node can be.
        requirements: Vec<RequirementWithMinValues> = "requirements",
        /// Node class.
        node_class_ref: NodeClassReference = "nodeClassRef",
        /// How long a drain may take at most.
        termination_grace_period: Option<Duration> = "terminationGracePeriod",
        /// How old it may become.
        expire_after: Option<NillableDuration> = "expireAfter",
    }
    passed { "resources" }
    unmodelled { }
}

wire! {
    /// `status` of a NodeClaim.
    pub struct NodeClaimStatus {
        /// The node.
        node_name: Str = "nodeName",
        /// The cloud's name for it.
        provider_id: Str = "providerID",
        /// All it has.
        capacity: ResourceList = "capacity",
        /// What pods can have.
        allocatable: ResourceList = "allocatable",
        /// Conditions.
        conditions: Vec<Condition> = "conditions",
        /// When a pod last came or went.
        last_pod_event_time: Option<Time> = "lastPodEventTime",
    }
    passed { "imageID" }
    unmodelled { }
}

wire! {
    /// A NodeClaim.
    pub struct NodeClaim {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: NodeClaimSpec = "spec",
        /// Status.
        status: NodeClaimStatus = "status",
    }
    passed { "apiVersion", "kind" }
    unmodelled { }
}

wire! {
    /// `spec` of a NodeOverlay.
    pub struct NodeOverlaySpec {
        /// Which instance types and offerings.
        requirements: Vec<RequirementWithMinValues> = "requirements",
        /// Their price instead.
        price: Option<Str> = "price",
        /// A change of price: `+0.5`, `-10%`.
        price_adjustment: Option<Str> = "priceAdjustment",
        /// Extended resources that they have beside.
        capacity: Option<ResourceList> = "capacity",
        /// Higher goes first.
        weight: Option<i64> = "weight",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A NodeOverlay.
    pub struct NodeOverlay {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: NodeOverlaySpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}
