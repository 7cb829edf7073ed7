//! What the API server refuses of an autoscaler.

use crate::Options;
use crate::places::Places;
use karpsim::model::autoscaling::{
    CrossVersionObjectReference, HorizontalPodAutoscaler, HpaScalingPolicy, HpaScalingRules,
    MetricIdentifier, MetricSourceType, MetricSpec, MetricTarget,
};
use karpsim::problem::{Problem, ProblemKind};
use karpsim::quantity::Quantity;

/// The longest period of a policy.
const MAX_PERIOD_SECONDS: i32 = 1800;
/// The longest stabilization window.
const MAX_STABILIZATION_WINDOW_SECONDS: i32 = 3600;

type Checked = Result<(), Problem>;

/// Refuses what the API server would refuse of an `autoscaling/v2` object.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn validate(object: &HorizontalPodAutoscaler, options: &Options) -> Checked {
    let places = Places::of(object);
    let spec = &object.spec;
    let min_replicas = spec.min_replicas.unwrap_or(1);
    let lowest = i32::from(!options.scale_to_zero);
    if min_replicas < lowest {
        return Err(places.value("spec.minReplicas", min_replicas, format!("{lowest} or more")));
    }
    if spec.max_replicas < min_replicas.max(1) {
        let allowed = format!("{} or more", min_replicas.max(1));
        return Err(places.value("spec.maxReplicas", spec.max_replicas, allowed));
    }
    places.scale_target(&spec.scale_target_ref)?;
    for (index, metric) in spec.metrics.iter().enumerate() {
        places.metric(metric, &format!("spec.metrics[{index}]"))?;
    }
    let is_from_outside = |metric: &MetricSpec| {
        matches!(metric.kind, Some(MetricSourceType::Object | MetricSourceType::External))
    };
    if min_replicas == 0 && !spec.metrics.iter().any(is_from_outside) {
        let allowed = "1 or more without a metric of type Object or External";
        return Err(places.value("spec.minReplicas", min_replicas, allowed));
    }
    let behavior = spec.behavior.as_ref();
    for (direction, rules) in [
        ("scaleUp", behavior.and_then(|behavior| behavior.scale_up.as_ref())),
        ("scaleDown", behavior.and_then(|behavior| behavior.scale_down.as_ref())),
    ] {
        rules.map_or(Ok(()), |rules| places.rules(rules, &format!("spec.behavior.{direction}")))?;
    }
    Ok(())
}

impl Places {
    /// Of the core group only ReplicationControllers can be scaled.
    fn scale_target(&self, target: &CrossVersionObjectReference) -> Checked {
        const PATH: &str = "spec.scaleTargetRef";
        self.reference(target, PATH)?;
        if !target.api_version.contains('/') && target.kind != "ReplicationController" {
            let allowed = "a group and a version such as apps/v1";
            return Err(self.value(&format!("{PATH}.apiVersion"), &target.api_version, allowed));
        }
        Ok(())
    }

    fn metric(&self, metric: &MetricSpec, path: &str) -> Checked {
        let kind = metric.kind.ok_or_else(|| self.missing(path, "type"))?;
        self.one_source(metric, kind, path)?;
        if let Some(source) = &metric.object {
            let path = format!("{path}.object");
            self.reference(&source.described_object, &format!("{path}.describedObject"))?;
            self.identifier(&source.metric, &path)?;
            self.target(&source.target, &path)?;
            if source.target.value.is_none() && source.target.average_value.is_none() {
                return Err(self.missing(&format!("{path}.target"), "averageValue"));
            }
        }
        if let Some(source) = &metric.external {
            let path = format!("{path}.external");
            let MetricTarget { value, average_value, .. } = source.target;
            self.identifier(&source.metric, &path)?;
            self.target(&source.target, &path)?;
            self.one_of(["value", "averageValue"], [value.is_some(), average_value.is_some()], &path)?;
        }
        if let Some(source) = &metric.pods {
            let path = format!("{path}.pods");
            self.identifier(&source.metric, &path)?;
            self.target(&source.target, &path)?;
            if source.target.average_value.is_none() {
                return Err(self.missing(&format!("{path}.target"), "averageValue"));
            }
        }
        if let Some(source) = &metric.resource {
            self.resource(&source.name, &source.target, &format!("{path}.resource"))?;
        }
        if let Some(source) = &metric.container_resource {
            let path = format!("{path}.containerResource");
            self.resource(&source.name, &source.target, &path)?;
            self.not_empty(&source.container, &path, "container")?;
        }
        Ok(())
    }

    /// The source that the type names is there, and no other.
    fn one_source(&self, metric: &MetricSpec, kind: MetricSourceType, path: &str) -> Checked {
        let sources = [
            (MetricSourceType::Object, "object", metric.object.is_some()),
            (MetricSourceType::Pods, "pods", metric.pods.is_some()),
            (MetricSourceType::Resource, "resource", metric.resource.is_some()),
            (MetricSourceType::ContainerResource, "containerResource", metric.container_resource.is_some()),
            (MetricSourceType::External, "external", metric.external.is_some()),
        ];
        for (of, name, is_there) in sources {
            if is_there && of != kind {
                let allowed = format!("no such field with type {}", kind.as_str());
                return Err(self.value(path, name, allowed));
            }
            if !is_there && of == kind {
                return Err(self.missing(path, name));
            }
        }
        Ok(())
    }

    fn resource(&self, name: &str, target: &MetricTarget, path: &str) -> Checked {
        self.not_empty(name, path, "name")?;
        self.target(target, path)?;
        let is_there = [target.average_utilization.is_some(), target.average_value.is_some()];
        self.one_of(["averageUtilization", "averageValue"], is_there, path)
    }

    /// What holds of every target: a type, and amounts above nothing.
    fn target(&self, target: &MetricTarget, path: &str) -> Checked {
        let path = format!("{path}.target");
        if target.kind.is_none() {
            return Err(self.missing(&path, "type"));
        }
        for (field, amount) in [("value", target.value), ("averageValue", target.average_value)] {
            if let Some(amount) = amount.filter(|amount| *amount <= Quantity::ZERO) {
                return Err(self.value(&format!("{path}.{field}"), amount, "a quantity above 0"));
            }
        }
        match target.average_utilization {
            Some(percent) if percent < 1 => {
                Err(self.value(&format!("{path}.averageUtilization"), percent, "1 or more"))
            }
            _ => Ok(()),
        }
    }

    fn one_of(&self, fields: [&'static str; 2], are_there: [bool; 2], path: &str) -> Checked {
        let path = format!("{path}.target");
        let [first, second] = fields;
        match are_there {
            [true, true] => Err(self.problem(&path, ProblemKind::Exclusive { first, second })),
            [false, false] => Err(self.missing(&path, first)),
            _ => Ok(()),
        }
    }

    fn not_empty(&self, text: &str, path: &str, field: &str) -> Checked {
        if text.is_empty() { Err(self.missing(path, field)) } else { Ok(()) }
    }

    /// A name that is one segment of the path under which the API server serves it.
    fn path_segment(&self, text: &str, path: &str, field: &str) -> Checked {
        self.not_empty(text, path, field)?;
        if matches!(text, "." | "..") || text.contains(['/', '%']) {
            let allowed = "a name other than . and .., without / and %";
            return Err(self.value(&format!("{path}.{field}"), text, allowed));
        }
        Ok(())
    }

    fn reference(&self, reference: &CrossVersionObjectReference, path: &str) -> Checked {
        self.path_segment(&reference.kind, path, "kind")?;
        self.path_segment(&reference.name, path, "name")?;
        if reference.api_version.matches('/').count() > 1 {
            let allowed = "a group and a version such as apps/v1";
            return Err(self.value(&format!("{path}.apiVersion"), &reference.api_version, allowed));
        }
        Ok(())
    }

    fn identifier(&self, metric: &MetricIdentifier, path: &str) -> Checked {
        self.path_segment(&metric.name, &format!("{path}.metric"), "name")
    }

    fn rules(&self, rules: &HpaScalingRules, path: &str) -> Checked {
        if let Some(seconds) = rules.stabilization_window_seconds
            && !(0..=MAX_STABILIZATION_WINDOW_SECONDS).contains(&seconds)
        {
            let allowed = format!("0 to {MAX_STABILIZATION_WINDOW_SECONDS}");
            return Err(self.value(&format!("{path}.stabilizationWindowSeconds"), seconds, allowed));
        }
        if let Some(tolerance) = rules.tolerance.filter(|tolerance| tolerance.is_negative()) {
            return Err(self.value(&format!("{path}.tolerance"), tolerance, "a quantity of 0 or more"));
        }
        if rules.policies.as_ref().is_some_and(|policies| policies.is_empty()) {
            return Err(self.value(&format!("{path}.policies"), "[]", "one policy or more"));
        }
        for (index, policy) in rules.policies.iter().flatten().enumerate() {
            self.policy(policy, &format!("{path}.policies[{index}]"))?;
        }
        Ok(())
    }

    fn policy(&self, policy: &HpaScalingPolicy, path: &str) -> Checked {
        if policy.kind.is_none() {
            return Err(self.missing(path, "type"));
        }
        if policy.value <= 0 {
            return Err(self.value(&format!("{path}.value"), policy.value, "1 or more"));
        }
        if !(1..=MAX_PERIOD_SECONDS).contains(&policy.period_seconds) {
            let allowed = format!("1 to {MAX_PERIOD_SECONDS}");
            return Err(self.value(&format!("{path}.periodSeconds"), policy.period_seconds, allowed));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::validate;
    use crate::Options;
    use karpsim::model::autoscaling::HorizontalPodAutoscaler;
    use serde_json::{Value, json};

    /// What is said of an autoscaler with one field set to another value.
    fn refusal(path: &str, value: Value) -> String {
        let mut object = json!({"metadata": {"name": "web"}, "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [
                {"type": "External",
                    "external": {"metric": {"name": "queue"}, "target": {"type": "Value", "value": "30"}}},
                {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}},
                {"type": "Pods", "pods": {"metric": {"name": "rps"}, "target": {"type": "AverageValue", "averageValue": "1"}}},
            ],
            "behavior": {"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}},
        }});
        let (parent, field) = path.rsplit_once('/').expect("a path");
        let parent = object.pointer_mut(parent).expect("a parent").as_object_mut().expect("an object");
        parent.insert(field.to_owned(), value);
        let object: HorizontalPodAutoscaler = serde_json::from_value(object).expect("an autoscaler");
        match validate(&object, &Options::default()) {
            Ok(()) => "fine".to_owned(),
            Err(problem) => {
                let said = problem.to_string();
                said.strip_prefix("HorizontalPodAutoscaler `web`: ").expect("the title").to_owned()
            }
        }
    }

    #[test]
    fn what_the_api_server_refuses_is_refused_with_its_place() {
        let external = "/spec/metrics/0/external";
        let rules = "/spec/behavior/scaleUp";
        let policy = "/spec/behavior/scaleUp/policies/0";
        let cases = [
            ("/spec/minReplicas", json!(2), "fine"),
            ("/spec/minReplicas", json!(0), "`spec.minReplicas`: invalid value `0`: expected 1 or more"),
            ("/spec/maxReplicas", json!(1), "`spec.maxReplicas`: invalid value `1`: expected 2 or more"),
            (
                "/spec/scaleTargetRef/apiVersion",
                json!("v1"),
                "`spec.scaleTargetRef.apiVersion`: invalid value `v1`: expected a group and a version such as apps/v1",
            ),
            ("/spec/scaleTargetRef/name", json!(""), "`spec.scaleTargetRef`: missing field `name`"),
            (
                &format!("{external}/metric/name"),
                json!("a/b"),
                "`spec.metrics[0].external.metric.name`: invalid value `a/b`: expected a name other than . and .., without / and %",
            ),
            (
                &format!("{external}/target/value"),
                json!("0"),
                "`spec.metrics[0].external.target.value`: invalid value `0`: expected a quantity above 0",
            ),
            (
                &format!("{external}/target/averageValue"),
                json!("1"),
                "`spec.metrics[0].external.target`: `value` and `averageValue` are mutually exclusive",
            ),
            (
                "/spec/metrics/0/pods",
                json!({}),
                "`spec.metrics[0]`: invalid value `pods`: expected no such field with type External",
            ),
            ("/spec/metrics/0/external", Value::Null, "`spec.metrics[0]`: missing field `external`"),
            (
                "/spec/metrics/1/resource/target/averageUtilization",
                json!(0),
                "`spec.metrics[1].resource.target.averageUtilization`: invalid value `0`: expected 1 or more",
            ),
            (
                "/spec/metrics/2/pods/target/averageValue",
                Value::Null,
                "`spec.metrics[2].pods.target`: missing field `averageValue`",
            ),
            (
                &format!("{rules}/stabilizationWindowSeconds"),
                json!(3601),
                "`spec.behavior.scaleUp.stabilizationWindowSeconds`: invalid value `3601`: expected 0 to 3600",
            ),
            (
                &format!("{rules}/tolerance"),
                json!("-0.1"),
                "`spec.behavior.scaleUp.tolerance`: invalid value `-100m`: expected a quantity of 0 or more",
            ),
            (
                &format!("{rules}/policies"),
                json!([]),
                "`spec.behavior.scaleUp.policies`: invalid value `[]`: expected one policy or more",
            ),
            (
                &format!("{policy}/value"),
                json!(0),
                "`spec.behavior.scaleUp.policies[0].value`: invalid value `0`: expected 1 or more",
            ),
            (
                &format!("{policy}/periodSeconds"),
                json!(1801),
                "`spec.behavior.scaleUp.policies[0].periodSeconds`: invalid value `1801`: expected 1 to 1800",
            ),
            (
                &format!("{policy}/type"),
                Value::Null,
                "`spec.behavior.scaleUp.policies[0]`: missing field `type`",
            ),
        ];
        for (path, value, said) in cases {
            assert_eq!(refusal(path, value), said, "{path}");
        }
    }

    #[test]
    fn with_the_gate_0_replicas_need_a_metric_from_outside() {
        let options = Options { scale_to_zero: true, ..Default::default() };
        let mut object = HorizontalPodAutoscaler::default();
        object.spec.min_replicas = Some(0);
        object.spec.max_replicas = 1;
        object.spec.scale_target_ref.kind = "ReplicationController".into();
        object.spec.scale_target_ref.name = "web".into();
        let said = validate(&object, &options).expect_err("no metric").to_string();
        assert!(said.ends_with("expected 1 or more without a metric of type Object or External"), "{said}");
    }
}
