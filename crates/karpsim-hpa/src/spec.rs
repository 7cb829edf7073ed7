//! An autoscaler's spec as the controller uses it: complete, amounts in thousandths.

use crate::amount::{Nanos, SECOND};
use karpsim::model::autoscaling::{
    CrossVersionObjectReference, HpaScalingPolicyType, MetricIdentifier, ScalingPolicySelect,
};
use karpsim::model::meta::Str;

/// What an autoscaler scales, by what, and how fast. Made by [`Spec::read`] and [`Spec::new`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Spec {
    /// Namespace of the autoscaler, of its target and its pods.
    pub namespace: Str,
    /// What is scaled.
    pub scale_target: CrossVersionObjectReference,
    /// The least replicas.
    pub min_replicas: i32,
    /// The most replicas.
    pub max_replicas: i32,
    /// What the replicas follow; at least one.
    pub metrics: Vec<MetricSpec>,
    /// How fast. None at all is another thing than [`Behavior::default`]: see [`crate`].
    pub behavior: Option<Behavior>,
}

impl Spec {
    /// The target as the controller names it: `Deployment/default/web`.
    pub(crate) fn reference(&self) -> String {
        format!("{}/{}/{}", self.scale_target.kind, self.namespace, self.scale_target.name)
    }
}

/// A metric and its target.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricSpec {
    /// Usage of a resource, all containers of a pod together.
    Resource {
        /// The resource.
        name: Str,
        /// Its target; without one the metric fails.
        target: Option<ResourceTarget>,
    },
    /// Usage of a resource by one container of each pod.
    ContainerResource {
        /// The resource.
        name: Str,
        /// The container.
        container: Str,
        /// Its target; without one the metric fails.
        target: Option<ResourceTarget>,
    },
    /// A metric that every pod has.
    Pods {
        /// The metric.
        metric: MetricIdentifier,
        /// What it should be a pod, in thousandths.
        average_value_milli: i64,
    },
    /// A metric of one Kubernetes object.
    Object {
        /// The metric.
        metric: MetricIdentifier,
        /// The object.
        described_object: CrossVersionObjectReference,
        /// Its target. The API server lets through one whose type does not fit its amounts; then there is none, and the
        /// metric fails.
        target: Option<ValueTarget>,
    },
    /// A metric of something outside the cluster.
    External {
        /// The metric.
        metric: MetricIdentifier,
        /// Its target; without one the metric fails.
        target: Option<ValueTarget>,
    },
}

/// What usage of a resource should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResourceTarget {
    /// What the pods use, in percent of what they request, all together.
    AverageUtilization {
        /// Percent.
        percent: i32,
    },
    /// An amount a pod.
    AverageValue {
        /// Thousandths.
        milli: i64,
    },
}

/// What a metric of no pod should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueTarget {
    /// The metric itself.
    Value {
        /// Thousandths.
        milli: i64,
    },
    /// The metric divided by the replicas.
    AverageValue {
        /// Thousandths.
        milli: i64,
    },
}

/// How fast the replicas may change.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Behavior {
    /// Upwards.
    pub scale_up: ScalingRules,
    /// Downwards.
    pub scale_down: ScalingRules,
}

impl Default for Behavior {
    fn default() -> Self {
        Behavior { scale_up: ScalingRules::upwards(), scale_down: ScalingRules::downwards() }
    }
}

/// How fast one direction may go.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ScalingRules {
    /// For how long recommendations count; `None`: as [`Options`](crate::Options) say.
    pub stabilization_window_seconds: Option<i32>,
    /// Which policy holds.
    pub select_policy: ScalingPolicySelect,
    /// The policies; at least one.
    pub policies: Vec<ScalingPolicy>,
    /// How far the ratio of a metric to its target may be from 1; `None`: as [`Options`](crate::Options) say.
    pub tolerance: Option<f64>,
}

impl ScalingRules {
    /// What the API server fills in upwards: no window, and the greater of 4 pods and 100 % in 15 seconds.
    pub fn upwards() -> Self {
        let policies = [(HpaScalingPolicyType::Pods, 4), (HpaScalingPolicyType::Percent, 100)];
        ScalingRules {
            stabilization_window_seconds: Some(0),
            select_policy: ScalingPolicySelect::Max,
            policies: policies
                .map(|(kind, value)| ScalingPolicy { kind, value, period_seconds: 15 })
                .to_vec(),
            tolerance: None,
        }
    }

    pub(crate) fn longest_period(&self) -> Nanos {
        self.policies.iter().map(ScalingPolicy::period).max().unwrap_or_default()
    }

    /// What the API server fills in downwards: the controller's window, and 100 % in 15 seconds.
    pub fn downwards() -> Self {
        let policy = ScalingPolicy { kind: HpaScalingPolicyType::Percent, value: 100, period_seconds: 15 };
        ScalingRules {
            stabilization_window_seconds: None,
            select_policy: ScalingPolicySelect::Max,
            policies: vec![policy],
            tolerance: None,
        }
    }
}

/// How much may change in a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScalingPolicy {
    /// What `value` counts in.
    pub kind: HpaScalingPolicyType,
    /// The most that may change.
    pub value: i32,
    /// In so many seconds.
    pub period_seconds: i32,
}

impl ScalingPolicy {
    pub(crate) fn period(&self) -> Nanos {
        Nanos::from(self.period_seconds) * SECOND
    }
}
