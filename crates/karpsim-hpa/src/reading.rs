//! Objects of both versions into a complete [`Spec`].
//!
//! [`Spec::new`] fills in what `autoscaling/v2` leaves open. It asks only for what the controller cannot do without, so
//! that an object which no API server has seen gets the controller's answer; [`validate`] refuses what an API server
//! would, and [`Spec::read`] does both.

use crate::Options;
use crate::amount::{approximate_f64, milli_value};
use crate::places::Places;
use crate::spec::{Behavior, MetricSpec, ResourceTarget, ScalingPolicy, ScalingRules, Spec, ValueTarget};
use crate::v1;
use crate::validation::validate;
use karpsim::input::{Findings, read_object};
use karpsim::model::autoscaling as api;
use karpsim::model::autoscaling::{MetricSourceType, MetricTargetType};
use karpsim::problem::{Problem, ProblemKind, near_miss};
use serde_json::Value;

/// The target of cpu utilization where there is no metric.
const DEFAULT_CPU_UTILIZATION_PERCENT: i32 = 80;
/// The forms that are read.
const API_VERSIONS: [&str; 2] = ["autoscaling/v2", "autoscaling/v1"];

impl Spec {
    /// Takes an `autoscaling/v2` object, with what the API server would fill in.
    ///
    /// # Errors
    ///
    /// If a metric has no type or not the source of its type, a Pods metric no target, or a policy no type.
    pub fn new(object: &api::HorizontalPodAutoscaler) -> Result<Self, Problem> {
        let places = Places::of(object);
        let spec = &object.spec;
        let behavior = spec.behavior.as_ref().map(|behavior| self::behavior(&places, behavior));
        Ok(Spec {
            namespace: object.metadata.namespace.clone(),
            scale_target: spec.scale_target_ref.clone(),
            min_replicas: spec.min_replicas.unwrap_or(1),
            max_replicas: spec.max_replicas,
            metrics: metrics(&places, &spec.metrics)?,
            behavior: behavior.transpose()?,
        })
    }

    /// Reads an object of `autoscaling/v2` or `autoscaling/v1`, and refuses what the API server would refuse. What is
    /// worth a warning goes to `findings`.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong.
    pub fn read(object: &Value, options: &Options, findings: &mut Findings) -> Result<Self, Problem> {
        let object = match object["apiVersion"].as_str() {
            Some("autoscaling/v2") => read_object(object, findings)?,
            Some("autoscaling/v1") => v1::converted(&read_object(object, findings)?),
            found => return Err(other_version(object, found)),
        };
        validate(&object, options)?;
        Spec::new(&object)
    }
}

fn other_version(object: &Value, found: Option<&str>) -> Problem {
    let metadata = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let places = Places::new(metadata("namespace"), metadata("name"));
    let Some(found) = found else { return places.missing("", "apiVersion") };
    let kind = ProblemKind::Value {
        found: format!("{found:?}"),
        allowed: format!("one of {}", API_VERSIONS.join(", ")),
        near: near_miss(found, API_VERSIONS).map(str::to_owned),
    };
    places.problem("apiVersion", kind)
}

fn metrics(places: &Places, metrics: &[api::MetricSpec]) -> Result<Vec<MetricSpec>, Problem> {
    if metrics.is_empty() {
        let target = ResourceTarget::AverageUtilization { percent: DEFAULT_CPU_UTILIZATION_PERCENT };
        return Ok(vec![MetricSpec::Resource { name: "cpu".into(), target: Some(target) }]);
    }
    let numbered = metrics.iter().enumerate();
    numbered.map(|(index, one)| metric(places, one, &format!("spec.metrics[{index}]"))).collect()
}

fn metric(places: &Places, metric: &api::MetricSpec, path: &str) -> Result<MetricSpec, Problem> {
    let kind = metric.kind.ok_or_else(|| places.missing(path, "type"))?;
    let lacking = |source: &str| places.missing(path, source);
    Ok(match kind {
        MetricSourceType::Object => {
            let source = metric.object.as_ref().ok_or_else(|| lacking("object"))?;
            MetricSpec::Object {
                metric: source.metric.clone(),
                described_object: source.described_object.clone(),
                target: object_target(&source.target),
            }
        }
        MetricSourceType::Pods => {
            let source = metric.pods.as_ref().ok_or_else(|| lacking("pods"))?;
            let average = source.target.average_value;
            let average =
                average.ok_or_else(|| places.missing(&format!("{path}.pods.target"), "averageValue"))?;
            MetricSpec::Pods { metric: source.metric.clone(), average_value_milli: milli_value(average) }
        }
        MetricSourceType::Resource => {
            let source = metric.resource.as_ref().ok_or_else(|| lacking("resource"))?;
            MetricSpec::Resource { name: source.name.clone(), target: resource_target(&source.target) }
        }
        MetricSourceType::ContainerResource => {
            let source = metric.container_resource.as_ref().ok_or_else(|| lacking("containerResource"))?;
            MetricSpec::ContainerResource {
                name: source.name.clone(),
                container: source.container.clone(),
                target: resource_target(&source.target),
            }
        }
        MetricSourceType::External => {
            let source = metric.external.as_ref().ok_or_else(|| lacking("external"))?;
            MetricSpec::External { metric: source.metric.clone(), target: external_target(&source.target) }
        }
    })
}

/// The amount decides, whatever the type says.
fn resource_target(target: &api::MetricTarget) -> Option<ResourceTarget> {
    let value =
        target.average_value.map(|amount| ResourceTarget::AverageValue { milli: milli_value(amount) });
    value.or(target.average_utilization.map(|percent| ResourceTarget::AverageUtilization { percent }))
}

/// The amount decides, whatever the type says.
fn external_target(target: &api::MetricTarget) -> Option<ValueTarget> {
    let average = target.average_value.map(|amount| ValueTarget::AverageValue { milli: milli_value(amount) });
    average.or(target.value.map(|amount| ValueTarget::Value { milli: milli_value(amount) }))
}

/// The type decides which amount holds; that one may be missing.
fn object_target(target: &api::MetricTarget) -> Option<ValueTarget> {
    match target.kind? {
        MetricTargetType::Value => {
            target.value.map(|amount| ValueTarget::Value { milli: milli_value(amount) })
        }
        MetricTargetType::AverageValue => {
            target.average_value.map(|amount| ValueTarget::AverageValue { milli: milli_value(amount) })
        }
        MetricTargetType::Utilization => None,
    }
}

fn behavior(places: &Places, behavior: &api::HorizontalPodAutoscalerBehavior) -> Result<Behavior, Problem> {
    let rules = |given: Option<&api::HpaScalingRules>, defaults: ScalingRules, direction: &str| match given {
        None => Ok(defaults),
        Some(given) => rules(places, given, defaults, &format!("spec.behavior.{direction}")),
    };
    Ok(Behavior {
        scale_up: rules(behavior.scale_up.as_ref(), ScalingRules::upwards(), "scaleUp")?,
        scale_down: rules(behavior.scale_down.as_ref(), ScalingRules::downwards(), "scaleDown")?,
    })
}

fn rules(
    places: &Places,
    given: &api::HpaScalingRules,
    defaults: ScalingRules,
    path: &str,
) -> Result<ScalingRules, Problem> {
    let policies = match &given.policies {
        None => defaults.policies,
        Some(policies) => {
            let numbered = policies.iter().enumerate();
            let one = |(index, one)| policy(places, one, &format!("{path}.policies[{index}]"));
            numbered.map(one).collect::<Result<_, _>>()?
        }
    };
    let window = given.stabilization_window_seconds;
    Ok(ScalingRules {
        stabilization_window_seconds: window.or(defaults.stabilization_window_seconds),
        select_policy: given.select_policy.unwrap_or(defaults.select_policy),
        policies,
        tolerance: given.tolerance.map(approximate_f64),
    })
}

fn policy(places: &Places, policy: &api::HpaScalingPolicy, path: &str) -> Result<ScalingPolicy, Problem> {
    let kind = policy.kind.ok_or_else(|| places.missing(path, "type"))?;
    Ok(ScalingPolicy { kind, value: policy.value, period_seconds: policy.period_seconds })
}

#[cfg(test)]
mod tests {
    use crate::spec::{Behavior, MetricSpec, ResourceTarget, ScalingPolicy, Spec, ValueTarget};
    use crate::{Options, SECOND};
    use karpsim::model::autoscaling::{HpaScalingPolicyType, ScalingPolicySelect};
    use serde_json::{Value, json};

    fn read(version: &str, annotations: &Value, more: &Value) -> Result<Spec, String> {
        let mut object = json!({
            "apiVersion": version,
            "kind": "HorizontalPodAutoscaler",
            "metadata": {"name": "web", "namespace": "default", "annotations": annotations},
            "spec": {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
                "maxReplicas": 10,
            },
        });
        let more = more.as_object().expect("fields").clone();
        object["spec"].as_object_mut().expect("a spec").extend(more);
        Spec::read(&object, &Options::default(), &mut Default::default())
            .map_err(|problem| problem.to_string())
    }

    fn v2(spec: &Value) -> Result<Spec, String> {
        read("autoscaling/v2", &json!({}), spec)
    }

    fn cpu_utilization(percent: i32) -> MetricSpec {
        MetricSpec::Resource {
            name: "cpu".into(),
            target: Some(ResourceTarget::AverageUtilization { percent }),
        }
    }

    #[test]
    fn without_metrics_cpu_utilization_is_to_be_80_percent() {
        for version in ["autoscaling/v2", "autoscaling/v1"] {
            let spec = read(version, &json!({}), &json!({})).expect("an autoscaler");
            assert_eq!(spec.metrics, [cpu_utilization(80)]);
            assert_eq!((spec.min_replicas, spec.behavior), (1, None));
        }
    }

    #[test]
    fn an_empty_behavior_is_the_default_one() {
        let spec = v2(&json!({"behavior": {}})).expect("an autoscaler");
        assert_eq!(spec.behavior, Some(Behavior::default()));
        let Behavior { scale_up, scale_down } = Behavior::default();
        assert_eq!(scale_up.stabilization_window_seconds, Some(0));
        assert_eq!(scale_down.stabilization_window_seconds, None);
        assert_eq!((scale_up.policies.len(), scale_down.policies.len()), (2, 1));
        assert_eq!(scale_up.longest_period(), 15 * SECOND);
    }

    #[test]
    fn fields_of_a_behavior_are_filled_in_one_by_one() {
        let policies = json!([{"type": "Pods", "value": 1, "periodSeconds": 60}]);
        let spec = v2(&json!({"behavior": {
            "scaleUp": {"policies": policies, "tolerance": "0.05"},
            "scaleDown": {"selectPolicy": "Disabled", "policies": null},
        }}));
        let Behavior { scale_up, scale_down } = spec.expect("an autoscaler").behavior.expect("a behavior");
        let policy = ScalingPolicy { kind: HpaScalingPolicyType::Pods, value: 1, period_seconds: 60 };
        assert_eq!(scale_up.policies, [policy]);
        assert_eq!((scale_up.select_policy, scale_up.tolerance), (ScalingPolicySelect::Max, Some(0.05)));
        assert_eq!((scale_down.select_policy, scale_down.tolerance), (ScalingPolicySelect::Disabled, None));
        assert_eq!(scale_down.policies, Behavior::default().scale_down.policies);
    }

    #[test]
    fn of_an_object_metric_the_type_says_which_amount_holds_and_of_others_the_amount_itself() {
        let object = |target: Value| {
            let service = json!({"apiVersion": "v1", "kind": "Service", "name": "web"});
            let source = json!({"metric": {"name": "rps"}, "describedObject": service, "target": target});
            let spec =
                v2(&json!({"metrics": [{"type": "Object", "object": source}]})).expect("an autoscaler");
            let MetricSpec::Object { target, .. } = spec.metrics[0] else { panic!("{:?}", spec.metrics) };
            target
        };
        assert_eq!(
            object(json!({"type": "Value", "value": "5", "averageValue": "2"})),
            Some(ValueTarget::Value { milli: 5000 })
        );
        assert_eq!(
            object(json!({"type": "AverageValue", "value": "5", "averageValue": "2"})),
            Some(ValueTarget::AverageValue { milli: 2000 })
        );
        assert_eq!(object(json!({"type": "Value", "averageValue": "2"})), None);
        assert_eq!(object(json!({"type": "Utilization", "value": "5"})), None);

        let source = json!({"metric": {"name": "queue"}, "target": {"type": "Value", "averageValue": "2"}});
        let spec =
            v2(&json!({"metrics": [{"type": "External", "external": source}]})).expect("an autoscaler");
        let MetricSpec::External { target, .. } = spec.metrics[0] else { panic!("{:?}", spec.metrics) };
        assert_eq!(target, Some(ValueTarget::AverageValue { milli: 2000 }));
    }

    #[test]
    fn annotations_of_v1_hold_the_other_metrics_and_the_behavior() {
        let metrics = json!([
            {"type": "Pods", "pods": {"metricName": "rps", "targetAverageValue": "10"}},
            {"type": "Resource", "resource": {"name": "memory", "targetAverageValue": "64Mi"}},
            {"type": "External", "external": {
                "metricName": "queue", "targetValue": "30", "metricSelector": {"matchLabels": {"Name": "a"}}}},
            {"type": "ContainerResource",
                "containerResource": {"name": "cpu", "container": "app", "targetAverageUtilization": 60}},
            {"type": "Object", "object": {"target": {"kind": "Service", "name": "web", "apiVersion": "v1"},
                "metricName": "hits", "targetValue": "0", "averageValue": "3"}},
        ]);
        // Go's names, as the API server writes them.
        let behavior = json!({"ScaleDown": {
            "StabilizationWindowSeconds": 60,
            "SelectPolicy": "Min",
            "Policies": [{"Type": "Percent", "Value": 10, "PeriodSeconds": 30}],
            "Tolerance": null,
        }});
        let annotations = json!({
            "autoscaling.alpha.kubernetes.io/metrics": metrics.to_string(),
            "autoscaling.alpha.kubernetes.io/behavior": behavior.to_string(),
        });
        let spec = read("autoscaling/v1", &annotations, &json!({"targetCPUUtilizationPercentage": 50}));
        let spec = spec.expect("an autoscaler");
        let [pods, memory, external, container, object, cpu] = spec.metrics.as_slice() else {
            panic!("{:?}", spec.metrics)
        };
        assert!(matches!(pods, MetricSpec::Pods { average_value_milli: 10_000, .. }));
        let milli = 67_108_864_000;
        let target = Some(ResourceTarget::AverageValue { milli });
        assert_eq!(*memory, MetricSpec::Resource { name: "memory".into(), target });
        let MetricSpec::External { metric, target } = external else { panic!("{external:?}") };
        assert_eq!(*target, Some(ValueTarget::Value { milli: 30_000 }));
        let selector = metric.selector.as_ref().expect("a selector");
        assert_eq!(selector.match_labels.get("Name"), Some("a"));
        let target = Some(ResourceTarget::AverageUtilization { percent: 60 });
        let expected = MetricSpec::ContainerResource { name: "cpu".into(), container: "app".into(), target };
        assert_eq!(*container, expected);
        let MetricSpec::Object { target, .. } = object else { panic!("{object:?}") };
        assert_eq!(*target, Some(ValueTarget::AverageValue { milli: 3000 }));
        assert_eq!(*cpu, cpu_utilization(50));

        let Behavior { scale_up, scale_down } = spec.behavior.expect("a behavior");
        assert_eq!(scale_up, Behavior::default().scale_up);
        assert_eq!(scale_down.stabilization_window_seconds, Some(60));
        assert_eq!(scale_down.select_policy, ScalingPolicySelect::Min);
        let policy = ScalingPolicy { kind: HpaScalingPolicyType::Percent, value: 10, period_seconds: 30 };
        assert_eq!(scale_down.policies, [policy]);
    }

    #[test]
    fn annotations_of_v1_that_are_not_of_their_form_do_not_count() {
        for metrics in ["{", "3", r#"[{"type": "Pods", "pods": {"targetAverageValue": "much"}}]"#] {
            let annotations = json!({"autoscaling.alpha.kubernetes.io/metrics": metrics});
            let spec = read("autoscaling/v1", &annotations, &json!({})).expect("an autoscaler");
            assert_eq!(spec.metrics, [cpu_utilization(80)]);
        }
        for behavior in ["{", "{}", r#"{"ScaleUp": 3}"#] {
            let annotations = json!({"autoscaling.alpha.kubernetes.io/behavior": behavior});
            assert_eq!(
                read("autoscaling/v1", &annotations, &json!({})).expect("an autoscaler").behavior,
                None
            );
        }
    }

    #[test]
    fn a_behavior_of_v1_must_have_policies() {
        let annotations =
            json!({"autoscaling.alpha.kubernetes.io/behavior": r#"{"ScaleUp": {"SelectPolicy": "Max"}}"#});
        assert_eq!(
            read("autoscaling/v1", &annotations, &json!({})),
            Err("HorizontalPodAutoscaler `default/web`: `spec.behavior.scaleUp.policies`: invalid value `[]`: expected one policy or more"
                .to_owned())
        );
    }

    #[test]
    fn other_versions_are_refused() {
        assert_eq!(
            read("autoscaling/v2beta2", &json!({}), &json!({})),
            Err("HorizontalPodAutoscaler `default/web`: `apiVersion`: invalid value \"autoscaling/v2beta2\": expected one of autoscaling/v2, autoscaling/v1"
                .to_owned())
        );
    }
}
