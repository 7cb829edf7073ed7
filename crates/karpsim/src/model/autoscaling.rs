//! HorizontalPodAutoscalers, as users write them.
//!
//! They decide nothing in a round of Karpenter's; what they do to a workload over time is the business of whoever plays
//! the world around it. `autoscaling/v2` and `autoscaling/v1` are two structs: of the older form, everything but the
//! target of cpu utilization stands in annotations.

use super::meta::{LabelSelector, ObjectMeta, Str, words};
use super::wire::wire;
use crate::quantity::Quantity;

words! {
    /// What is measured.
    pub enum MetricSourceType {
        /// A metric of one Kubernetes object.
        Object = "Object",
        /// A metric that every pod has.
        Pods = "Pods",
        /// Usage of a resource, all containers of a pod together.
        Resource = "Resource",
        /// Usage of a resource by one container of each pod.
        ContainerResource = "ContainerResource",
        /// A metric of something outside the cluster.
        External = "External",
    }
}

words! {
    /// What a target is compared with.
    pub enum MetricTargetType {
        /// Usage in percent of what is requested.
        Utilization = "Utilization",
        /// The metric itself.
        Value = "Value",
        /// The metric divided by the number of pods.
        AverageValue = "AverageValue",
    }
}

words! {
    /// What a policy counts in.
    pub enum HpaScalingPolicyType {
        /// Pods.
        Pods = "Pods",
        /// Percent of the replicas at the start of the period.
        Percent = "Percent",
    }
}

words! {
    /// Which of several policies holds.
    pub enum ScalingPolicySelect {
        /// The one that allows the largest change.
        Max = "Max",
        /// The one that allows the smallest change.
        Min = "Min",
        /// None: no change in this direction.
        Disabled = "Disabled",
    }
}

wire! {
    /// Names an object in the same namespace.
    pub struct CrossVersionObjectReference {
        /// Group and version.
        api_version: Str = "apiVersion",
        /// Kind.
        kind: Str = "kind",
        /// Name.
        name: Str = "name",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Names a metric.
    pub struct MetricIdentifier {
        /// Name.
        name: Str = "name",
        /// Which of the series of that name.
        selector: Option<LabelSelector> = "selector",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// What a metric should be.
    pub struct MetricTarget {
        /// Which of the three is meant.
        kind: Option<MetricTargetType> = "type",
        /// The metric itself.
        value: Option<Quantity> = "value",
        /// The metric a pod.
        average_value: Option<Quantity> = "averageValue",
        /// In percent of the requests.
        average_utilization: Option<i32> = "averageUtilization",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A metric of one Kubernetes object.
    pub struct ObjectMetricSource {
        /// The object.
        described_object: CrossVersionObjectReference = "describedObject",
        /// Its target.
        target: MetricTarget = "target",
        /// The metric.
        metric: MetricIdentifier = "metric",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A metric that every pod has.
    pub struct PodsMetricSource {
        /// The metric.
        metric: MetricIdentifier = "metric",
        /// Its target.
        target: MetricTarget = "target",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Usage of a resource.
    pub struct ResourceMetricSource {
        /// The resource.
        name: Str = "name",
        /// Its target.
        target: MetricTarget = "target",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// Usage of a resource by one container of each pod.
    pub struct ContainerResourceMetricSource {
        /// The resource.
        name: Str = "name",
        /// The container.
        container: Str = "container",
        /// Its target.
        target: MetricTarget = "target",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A metric of something outside the cluster.
    pub struct ExternalMetricSource {
        /// The metric.
        metric: MetricIdentifier = "metric",
        /// Its target.
        target: MetricTarget = "target",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// A metric and its target: the source that `type` names, and no other.
    pub struct MetricSpec {
        /// Which source it is.
        kind: Option<MetricSourceType> = "type",
        /// With type Object.
        object: Option<ObjectMetricSource> = "object",
        /// With type Pods.
        pods: Option<PodsMetricSource> = "pods",
        /// With type Resource.
        resource: Option<ResourceMetricSource> = "resource",
        /// With type ContainerResource.
        container_resource: Option<ContainerResourceMetricSource> = "containerResource",
        /// With type External.
        external: Option<ExternalMetricSource> = "external",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How much may change in a period.
    pub struct HpaScalingPolicy {
        /// What `value` counts in.
        kind: Option<HpaScalingPolicyType> = "type",
        /// The most that may change.
        value: i32 = "value",
        /// In so many seconds.
        period_seconds: i32 = "periodSeconds",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How fast one direction may go.
    pub struct HpaScalingRules {
        /// For how long recommendations count.
        stabilization_window_seconds: Option<i32> = "stabilizationWindowSeconds",
        /// Which policy holds.
        select_policy: Option<ScalingPolicySelect> = "selectPolicy",
        /// The policies.
        policies: Option<Vec<HpaScalingPolicy>> = "policies",
        /// How far a metric may be from its target before anything is done.
        tolerance: Option<Quantity> = "tolerance",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// How fast the replicas may change.
    pub struct HorizontalPodAutoscalerBehavior {
        /// Upwards.
        scale_up: Option<HpaScalingRules> = "scaleUp",
        /// Downwards.
        scale_down: Option<HpaScalingRules> = "scaleDown",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// `spec` of an `autoscaling/v2` HorizontalPodAutoscaler.
    pub struct HorizontalPodAutoscalerSpec {
        /// What is scaled.
        scale_target_ref: CrossVersionObjectReference = "scaleTargetRef",
        /// The least replicas; absent: 1.
        min_replicas: Option<i32> = "minReplicas",
        /// The most replicas.
        max_replicas: i32 = "maxReplicas",
        /// What the replicas follow; none: cpu utilization of 80 %.
        metrics: Vec<MetricSpec> = "metrics",
        /// How fast.
        behavior: Option<HorizontalPodAutoscalerBehavior> = "behavior",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// An `autoscaling/v2` HorizontalPodAutoscaler.
    pub struct HorizontalPodAutoscaler {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: HorizontalPodAutoscalerSpec = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}

wire! {
    /// `spec` of an `autoscaling/v1` HorizontalPodAutoscaler.
    pub struct HorizontalPodAutoscalerSpecV1 {
        /// What is scaled.
        scale_target_ref: CrossVersionObjectReference = "scaleTargetRef",
        /// The least replicas; absent: 1.
        min_replicas: Option<i32> = "minReplicas",
        /// The most replicas.
        max_replicas: i32 = "maxReplicas",
        /// The target of cpu utilization.
        target_cpu_utilization_percentage: Option<i32> = "targetCPUUtilizationPercentage",
    }
    passed { }
    unmodelled { }
}

wire! {
    /// An `autoscaling/v1` HorizontalPodAutoscaler. Its other metrics and its behavior are JSON in annotations.
    pub struct HorizontalPodAutoscalerV1 {
        /// Metadata.
        metadata: ObjectMeta = "metadata",
        /// Spec.
        spec: HorizontalPodAutoscalerSpecV1 = "spec",
    }
    passed { "apiVersion", "kind", "status" }
    unmodelled { }
}
