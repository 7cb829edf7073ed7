//! What the controller writes into an autoscaler's status.

use crate::amount::{Nanos, render_binary, render_decimal};
use crate::error::{MetricError, ScaleError, SelectorError};
use crate::spec::MetricSpec;
use karpsim::model::autoscaling::{CrossVersionObjectReference, MetricIdentifier};
use karpsim::model::meta::{LabelSelector, SelectorOperator};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value, json};

/// `status` of an autoscaler. It is written as JSON in the form of `autoscaling/v2`, without its times: who has a
/// calendar can add them.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Status {
    /// What the scale asked for before the last sync.
    pub current_replicas: i32,
    /// What it asked for after the last sync that decided.
    pub desired_replicas: i32,
    /// When the scale was last changed.
    pub last_scale_time: Option<Nanos>,
    /// What each metric was in the last sync, in the order of the spec; `None`: it failed. Empty where the metrics did not
    /// matter.
    pub current_metrics: Vec<Option<MetricStatus>>,
    /// The conditions, in the order in which they first appeared.
    pub conditions: Vec<Condition>,
}

impl Status {
    /// The condition of type `kind`, if there is one.
    pub fn condition(&self, kind: ConditionType) -> Option<&Condition> {
        self.conditions.iter().find(|condition| condition.kind == kind)
    }

    pub(crate) fn set(&mut self, now: Nanos, kind: ConditionType, status: ConditionStatus, reason: Reason) {
        match self.conditions.iter_mut().find(|condition| condition.kind == kind) {
            Some(condition) => {
                if condition.status != status {
                    condition.last_transition = now;
                }
                condition.status = status;
                condition.reason = reason;
            }
            None => self.conditions.push(Condition { kind, status, reason, last_transition: now }),
        }
    }
}

/// A condition of an autoscaler.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Condition {
    /// Type.
    pub kind: ConditionType,
    /// Status.
    pub status: ConditionStatus,
    /// Why. [`Reason::as_str`] is the word, [`Reason::message`] the sentence.
    pub reason: Reason,
    /// When the status last changed.
    pub last_transition: Nanos,
}

/// Types of conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ConditionType {
    /// The target can be scaled; if it is, or why it waits.
    AbleToScale,
    /// The replicas can be calculated.
    ScalingActive,
    /// The replicas are not what the metrics ask for, because of a limit.
    ScalingLimited,
    /// The autoscaler itself scaled to 0 (with the gate HPAScaleToZero).
    ScaledToZero,
}

impl ConditionType {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConditionType::AbleToScale => "AbleToScale",
            ConditionType::ScalingActive => "ScalingActive",
            ConditionType::ScalingLimited => "ScalingLimited",
            ConditionType::ScaledToZero => "ScaledToZero",
        }
    }
}

/// Status of a condition, of an autoscaler or a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConditionStatus {
    /// It holds.
    True,
    /// It does not.
    False,
    /// Nobody knows.
    Unknown,
}

impl ConditionStatus {
    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            ConditionStatus::True => "True",
            ConditionStatus::False => "False",
            ConditionStatus::Unknown => "Unknown",
        }
    }
}

/// Why a condition is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// AbleToScale: so far nothing stands against it.
    SucceededGetScale,
    /// AbleToScale: the target has no scale.
    FailedGetScale(ScaleError),
    /// AbleToScale: the scale was changed.
    SucceededRescale {
        /// To this.
        replicas: i32,
    },
    /// AbleToScale: nothing holds the recommendation back.
    ReadyForNewScale,
    /// AbleToScale: a lower recommendation of the window counts.
    ScaleUpStabilized,
    /// AbleToScale: a higher recommendation of the window counts.
    ScaleDownStabilized,
    /// ScalingActive: there is a recommendation.
    ValidMetricFound {
        /// The metric that asked for the most.
        metric: String,
    },
    /// ScalingActive: somebody scaled the target to 0.
    ScalingDisabled,
    /// ScalingActive: a metric failed.
    Metric(Box<MetricError>),
    /// ScalingActive: it is not known which pods are meant.
    Selector(SelectorError),
    /// ScalingLimited: no limit was met.
    DesiredWithinRange,
    /// ScalingLimited: by `minReplicas`.
    TooFewReplicas,
    /// ScalingLimited: by `maxReplicas`.
    TooManyReplicas,
    /// ScalingLimited: by how fast the replicas may grow.
    ScaleUpLimit,
    /// ScalingLimited: by how fast the replicas may shrink.
    ScaleDownLimit,
    /// ScaledToZero: by the last change.
    ScaledToZero,
    /// ScaledToZero: not by the last change.
    NotScaledToZero,
}

impl Reason {
    /// The word that stands in the status.
    pub fn as_str(&self) -> &'static str {
        match self {
            Reason::SucceededGetScale => "SucceededGetScale",
            Reason::FailedGetScale(_) => "FailedGetScale",
            Reason::SucceededRescale { .. } => "SucceededRescale",
            Reason::ReadyForNewScale => "ReadyForNewScale",
            Reason::ScaleUpStabilized => "ScaleUpStabilized",
            Reason::ScaleDownStabilized => "ScaleDownStabilized",
            Reason::ValidMetricFound { .. } => "ValidMetricFound",
            Reason::ScalingDisabled => "ScalingDisabled",
            Reason::Metric(error) => error.reason(),
            Reason::Selector(SelectorError::Ambiguous { .. }) => "AmbiguousSelector",
            Reason::Selector(_) => "InvalidSelector",
            Reason::DesiredWithinRange => "DesiredWithinRange",
            Reason::TooFewReplicas => "TooFewReplicas",
            Reason::TooManyReplicas => "TooManyReplicas",
            Reason::ScaleUpLimit => "ScaleUpLimit",
            Reason::ScaleDownLimit => "ScaleDownLimit",
            Reason::ScaledToZero => "ScaledToZero",
            Reason::NotScaledToZero => "NotScaledToZero",
        }
    }

    /// The sentence that stands in the status.
    pub fn message(&self) -> String {
        let sentence = match self {
            Reason::SucceededGetScale => "the HPA controller was able to get the target's current scale",
            Reason::FailedGetScale(error) => {
                let why = error.message();
                return format!("the HPA controller was unable to get the target's current scale: {why}");
            }
            Reason::SucceededRescale { replicas } => {
                return format!("the HPA controller was able to update the target scale to {replicas}");
            }
            Reason::ReadyForNewScale => "recommended size matches current size",
            Reason::ScaleUpStabilized => {
                "recent recommendations were lower than current one, applying the lowest recent recommendation"
            }
            Reason::ScaleDownStabilized => {
                "recent recommendations were higher than current one, applying the highest recent recommendation"
            }
            Reason::ValidMetricFound { metric } => {
                return format!("the HPA was able to successfully calculate a replica count from {metric}");
            }
            Reason::ScalingDisabled => "scaling is disabled since the replica count of the target is zero",
            Reason::Metric(error) => {
                return format!("the HPA was unable to compute the replica count: {}", error.in_condition());
            }
            Reason::Selector(SelectorError::Missing) => "the HPA target's scale is missing a selector",
            Reason::Selector(error) => return error.to_string(),
            Reason::DesiredWithinRange => "the desired count is within the acceptable range",
            Reason::TooFewReplicas => "the desired replica count is less than the minimum replica count",
            Reason::TooManyReplicas => "the desired replica count is more than the maximum replica count",
            Reason::ScaleUpLimit => {
                "the desired replica count is increasing faster than the maximum scale rate"
            }
            Reason::ScaleDownLimit => {
                "the desired replica count is decreasing faster than the maximum scale rate"
            }
            Reason::ScaledToZero => "the HPA controller scaled the workload to zero",
            Reason::NotScaledToZero => "the HPA controller did not scale the workload to zero",
        };
        sentence.to_owned()
    }
}

/// What a metric was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct MetricStatus {
    /// The metric.
    pub metric: MetricSpec,
    /// Its value; before pods without samples were allowed for.
    pub current: MetricValue,
}

/// Value of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricValue {
    /// The metric itself.
    Value {
        /// Thousandths.
        milli: i64,
    },
    /// The mean of the pods.
    AverageValue {
        /// Thousandths.
        milli: i64,
    },
    /// The mean of the pods, and what it is of their requests.
    AverageUtilization {
        /// Percent.
        percent: i32,
        /// Thousandths.
        milli: i64,
    },
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut status = json!({
            "currentReplicas": self.current_replicas,
            "desiredReplicas": self.desired_replicas,
            "conditions": self.conditions.iter().map(condition_json).collect::<Vec<_>>(),
        });
        if !self.current_metrics.is_empty() {
            // A metric that failed leaves its place empty.
            let one =
                |metric: &Option<MetricStatus>| metric.as_ref().map_or(json!({"type": ""}), metric_json);
            status["currentMetrics"] = self.current_metrics.iter().map(one).collect();
        }
        status.serialize(serializer)
    }
}

fn condition_json(condition: &Condition) -> Value {
    json!({
        "type": condition.kind.as_str(),
        "status": condition.status.as_str(),
        "reason": condition.reason.as_str(),
        "message": condition.reason.message(),
    })
}

fn metric_json(status: &MetricStatus) -> Value {
    match &status.metric {
        MetricSpec::Resource { name, .. } => {
            let current = value_json(status.current, name);
            json!({"type": "Resource", "resource": {"name": name, "current": current}})
        }
        MetricSpec::ContainerResource { name, container, .. } => {
            let current = value_json(status.current, name);
            let resource = json!({"name": name, "container": container, "current": current});
            json!({"type": "ContainerResource", "containerResource": resource})
        }
        MetricSpec::Pods { metric, .. } => {
            let current = value_json(status.current, "");
            json!({"type": "Pods", "pods": {"metric": identifier_json(metric), "current": current}})
        }
        MetricSpec::Object { metric, described_object, .. } => {
            let object = json!({
                "metric": identifier_json(metric),
                "describedObject": reference_json(described_object),
                "current": value_json(status.current, ""),
            });
            json!({"type": "Object", "object": object})
        }
        MetricSpec::External { metric, .. } => {
            let current = value_json(status.current, "");
            json!({"type": "External", "external": {"metric": identifier_json(metric), "current": current}})
        }
    }
}

/// Memory is written in powers of 1024, everything else in powers of 1000.
fn value_json(value: MetricValue, resource: &str) -> Value {
    let render = if resource == "memory" { render_binary } else { render_decimal };
    match value {
        MetricValue::Value { milli } => json!({"value": render(milli)}),
        MetricValue::AverageValue { milli } => json!({"averageValue": render(milli)}),
        MetricValue::AverageUtilization { percent, milli } => {
            json!({"averageUtilization": percent, "averageValue": render(milli)})
        }
    }
}

fn identifier_json(metric: &MetricIdentifier) -> Value {
    let mut identifier = json!({"name": metric.name});
    if let Some(selector) = &metric.selector {
        identifier["selector"] = selector_json(selector);
    }
    identifier
}

fn selector_json(selector: &LabelSelector) -> Value {
    let mut fields = Map::new();
    if !selector.match_labels.is_empty() {
        let labels: Map<String, Value> =
            selector.match_labels.iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        fields.insert("matchLabels".to_owned(), labels.into());
    }
    if !selector.match_expressions.is_empty() {
        let expressions = selector.match_expressions.iter().map(|expression| {
            let operator = expression.operator.map_or("", SelectorOperator::as_str);
            let mut fields = json!({"key": expression.key, "operator": operator});
            if !expression.values.is_empty() {
                fields["values"] = json!(expression.values);
            }
            fields
        });
        fields.insert("matchExpressions".to_owned(), expressions.collect());
    }
    fields.into()
}

fn reference_json(reference: &CrossVersionObjectReference) -> Value {
    let mut fields = json!({"kind": reference.kind, "name": reference.name});
    if !reference.api_version.is_empty() {
        fields["apiVersion"] = reference.api_version.as_str().into();
    }
    fields
}
