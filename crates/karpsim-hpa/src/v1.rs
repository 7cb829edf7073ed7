//! `autoscaling/v1` objects: one target of cpu utilization as a field, everything else as JSON in annotations.
//!
//! The annotations are read as the API server reads them: names of fields without regard to case (the behavior is
//! written with Go's names, `ScaleUp`), unknown fields are skipped, and an annotation that is not of its form counts as
//! not being there. Metrics of the annotation come before the field's.

use karpsim::model::autoscaling::{
    ContainerResourceMetricSource, CrossVersionObjectReference, ExternalMetricSource,
    HorizontalPodAutoscaler, HorizontalPodAutoscalerBehavior, HorizontalPodAutoscalerSpec,
    HorizontalPodAutoscalerV1, HpaScalingPolicy, HpaScalingRules, MetricIdentifier, MetricSourceType,
    MetricSpec, MetricTarget, MetricTargetType, ObjectMetricSource, PodsMetricSource, ResourceMetricSource,
};
use karpsim::model::meta::{LabelSelector, Str};
use karpsim::quantity::Quantity;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

const METRICS: &str = "autoscaling.alpha.kubernetes.io/metrics";
const BEHAVIOR: &str = "autoscaling.alpha.kubernetes.io/behavior";

/// The same autoscaler as an `autoscaling/v2` object.
pub(crate) fn converted(object: &HorizontalPodAutoscalerV1) -> HorizontalPodAutoscaler {
    let annotation = |name: &str| {
        let text = object.metadata.annotations.get(name)?;
        serde_json::from_str::<Value>(text).ok()
    };
    let listed = annotation(METRICS).and_then(|value| list(&value, metric).ok());
    let mut metrics = listed.unwrap_or_default();
    metrics.extend(object.spec.target_cpu_utilization_percentage.map(cpu_utilization));
    HorizontalPodAutoscaler {
        metadata: object.metadata.clone(),
        spec: HorizontalPodAutoscalerSpec {
            scale_target_ref: object.spec.scale_target_ref.clone(),
            min_replicas: object.spec.min_replicas,
            max_replicas: object.spec.max_replicas,
            metrics,
            behavior: annotation(BEHAVIOR).and_then(|value| behavior(&value).ok().flatten()),
            ..Default::default()
        },
        ..Default::default()
    }
}

fn cpu_utilization(percent: i32) -> MetricSpec {
    let target = MetricTarget {
        kind: Some(MetricTargetType::Utilization),
        average_utilization: Some(percent),
        ..Default::default()
    };
    MetricSpec {
        kind: Some(MetricSourceType::Resource),
        resource: Some(ResourceMetricSource { name: "cpu".into(), target, ..Default::default() }),
        ..Default::default()
    }
}

/// A value is not of its form.
struct Malformed;

type Read<T> = Result<T, Malformed>;

/// Fields of an object, found without regard to case.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Map<String, Value>);

impl<'a> Fields<'a> {
    /// The object itself; nothing if it is null.
    fn of(value: &'a Value) -> Read<Option<Self>> {
        match value {
            Value::Null => Ok(None),
            Value::Object(fields) => Ok(Some(Fields(fields))),
            _ => Err(Malformed),
        }
    }

    fn get(self, name: &str) -> &'a Value {
        let found = self.0.iter().rfind(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or(&Value::Null, |(_, value)| value)
    }

    /// A field, or nothing if it is absent or null.
    fn read<T: DeserializeOwned>(self, name: &str) -> Read<Option<T>> {
        serde_json::from_value(self.get(name).clone()).map_err(|_| Malformed)
    }

    /// A field that is its type's zero if it is absent or null.
    fn or_default<T: DeserializeOwned + Default>(self, name: &str) -> Read<T> {
        self.read(name).map(Option::unwrap_or_default)
    }

    /// One of the words of `T`. Another word counts as none, which is refused where one must be.
    fn word<T: DeserializeOwned>(self, name: &str) -> Read<Option<T>> {
        let text: Option<Str> = self.read(name)?;
        Ok(text.and_then(|_| self.read(name).ok()).flatten())
    }

    fn object<T>(self, name: &str, read: impl Fn(Fields<'a>) -> Read<T>) -> Read<Option<T>> {
        Fields::of(self.get(name))?.map(read).transpose()
    }
}

fn list<T: Default>(value: &Value, read: impl Fn(Fields<'_>) -> Read<T>) -> Read<Vec<T>> {
    let element = |value| Ok(Fields::of(value)?.map(&read).transpose()?.unwrap_or_default());
    match value {
        Value::Null => Ok(Vec::new()),
        Value::Array(values) => values.iter().map(element).collect(),
        _ => Err(Malformed),
    }
}

fn metric(fields: Fields<'_>) -> Read<MetricSpec> {
    Ok(MetricSpec {
        kind: fields.word("type")?,
        object: fields.object("object", object_source)?,
        pods: fields.object("pods", pods_source)?,
        resource: fields.object("resource", resource_source)?,
        container_resource: fields.object("containerResource", container_resource_source)?,
        external: fields.object("external", external_source)?,
        ..Default::default()
    })
}

fn identifier(fields: Fields<'_>, selector: &str) -> Read<MetricIdentifier> {
    let selector: Option<LabelSelector> = fields.read(selector)?;
    Ok(MetricIdentifier { name: fields.or_default("metricName")?, selector, ..Default::default() })
}

fn object_source(fields: Fields<'_>) -> Read<ObjectMetricSource> {
    let target = fields.object("target", |fields| {
        Ok(CrossVersionObjectReference {
            api_version: fields.or_default("apiVersion")?,
            kind: fields.or_default("kind")?,
            name: fields.or_default("name")?,
            ..Default::default()
        })
    })?;
    let value: Quantity = fields.or_default("targetValue")?;
    let average_value: Option<Quantity> = fields.read("averageValue")?;
    let kind = if average_value.is_none() { MetricTargetType::Value } else { MetricTargetType::AverageValue };
    Ok(ObjectMetricSource {
        described_object: target.unwrap_or_default(),
        target: MetricTarget {
            kind: Some(kind),
            // Beside an average, nothing stands for no value.
            value: (average_value.is_none() || !value.is_zero()).then_some(value),
            average_value,
            ..Default::default()
        },
        metric: identifier(fields, "selector")?,
        ..Default::default()
    })
}

fn pods_source(fields: Fields<'_>) -> Read<PodsMetricSource> {
    let target = MetricTarget {
        kind: Some(MetricTargetType::AverageValue),
        average_value: Some(fields.or_default("targetAverageValue")?),
        ..Default::default()
    };
    Ok(PodsMetricSource { metric: identifier(fields, "selector")?, target, ..Default::default() })
}

fn resource_target(fields: Fields<'_>) -> Read<MetricTarget> {
    let average_utilization: Option<i32> = fields.read("targetAverageUtilization")?;
    let kind = if average_utilization.is_none() {
        MetricTargetType::AverageValue
    } else {
        MetricTargetType::Utilization
    };
    Ok(MetricTarget {
        kind: Some(kind),
        average_value: fields.read("targetAverageValue")?,
        average_utilization,
        ..Default::default()
    })
}

fn resource_source(fields: Fields<'_>) -> Read<ResourceMetricSource> {
    let name: Str = fields.or_default("name")?;
    Ok(ResourceMetricSource { name, target: resource_target(fields)?, ..Default::default() })
}

fn container_resource_source(fields: Fields<'_>) -> Read<ContainerResourceMetricSource> {
    Ok(ContainerResourceMetricSource {
        name: fields.or_default("name")?,
        container: fields.or_default("container")?,
        target: resource_target(fields)?,
        ..Default::default()
    })
}

fn external_source(fields: Fields<'_>) -> Read<ExternalMetricSource> {
    let value: Option<Quantity> = fields.read("targetValue")?;
    let kind = if value.is_none() { MetricTargetType::AverageValue } else { MetricTargetType::Value };
    let target = MetricTarget {
        kind: Some(kind),
        value,
        average_value: fields.read("targetAverageValue")?,
        ..Default::default()
    };
    Ok(ExternalMetricSource { metric: identifier(fields, "metricSelector")?, target, ..Default::default() })
}

/// A behavior of neither direction is none.
fn behavior(value: &Value) -> Read<Option<HorizontalPodAutoscalerBehavior>> {
    let Some(fields) = Fields::of(value)? else { return Ok(None) };
    let behavior = HorizontalPodAutoscalerBehavior {
        scale_up: fields.object("scaleUp", rules)?,
        scale_down: fields.object("scaleDown", rules)?,
        ..Default::default()
    };
    Ok((behavior.scale_up.is_some() || behavior.scale_down.is_some()).then_some(behavior))
}

fn rules(fields: Fields<'_>) -> Read<HpaScalingRules> {
    Ok(HpaScalingRules {
        stabilization_window_seconds: fields.read("stabilizationWindowSeconds")?,
        select_policy: fields.read("selectPolicy")?,
        // The API server checks this form before it fills anything in: without policies it refuses the object.
        policies: Some(list(fields.get("policies"), policy)?),
        tolerance: fields.read("tolerance")?,
        ..Default::default()
    })
}

fn policy(fields: Fields<'_>) -> Read<HpaScalingPolicy> {
    Ok(HpaScalingPolicy {
        kind: fields.word("type")?,
        value: fields.or_default("value")?,
        period_seconds: fields.or_default("periodSeconds")?,
        ..Default::default()
    })
}
