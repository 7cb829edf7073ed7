//! A small world: one autoscaler, its target and its metrics, set by hand.

use karpsim::api::autoscaling::{CrossVersionObjectReference, HorizontalPodAutoscaler, MetricIdentifier};
use karpsim::api::core::PodSpec;
use karpsim_hpa::{
    ConditionStatus, ConditionType, Hpa, Metrics, Options, Outcome, Pod, PodPhase, PodSample, Ready, SECOND,
    Scale, Spec, Unavailable,
};
use serde_json::{Value, json};

/// What the metrics APIs answer. Metrics of all names are one.
#[derive(Default)]
pub(crate) struct Answers {
    pub(crate) external: Vec<i64>,
    pub(crate) object: Option<i64>,
    /// By pod: name, thousandths, age in seconds.
    pub(crate) samples: Vec<(&'static str, Option<i64>, i64)>,
    /// In seconds.
    pub(crate) window: i64,
    now: i64,
}

impl Answers {
    fn samples(&self) -> Vec<PodSample> {
        let sample = |&(pod, value_milli, age): &(&str, Option<i64>, i64)| PodSample {
            pod: pod.into(),
            value_milli,
            at: (self.now - age) * SECOND,
            window: self.window * SECOND,
        };
        self.samples.iter().map(sample).collect()
    }
}

impl Metrics for Answers {
    fn resource(&self, _: &str, _: Option<&str>) -> Result<Vec<PodSample>, Unavailable> {
        Ok(self.samples())
    }
    fn pods(&self, _: &MetricIdentifier) -> Result<Vec<PodSample>, Unavailable> {
        Ok(self.samples())
    }
    fn object(&self, _: &CrossVersionObjectReference, _: &MetricIdentifier) -> Result<i64, Unavailable> {
        self.object.ok_or_else(|| Unavailable { message: "not found".to_owned() })
    }
    fn external(&self, _: &MetricIdentifier) -> Result<Vec<i64>, Unavailable> {
        Ok(self.external.clone())
    }
}

pub(crate) struct World {
    pub(crate) hpa: Hpa,
    pub(crate) replicas: i32,
    pub(crate) status_replicas: Option<i32>,
    pub(crate) pods: Vec<Pod<'static>>,
    pub(crate) answers: Answers,
}

/// A target of 30 items a replica.
pub(crate) fn queue() -> Value {
    external(&json!({"type": "AverageValue", "averageValue": "30"}))
}

pub(crate) fn external(target: &Value) -> Value {
    json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": target}})
}

pub(crate) fn object(target: &Value) -> Value {
    let service = json!({"apiVersion": "v1", "kind": "Service", "name": "web"});
    json!({"type": "Object", "object": {"metric": {"name": "rps"}, "describedObject": service, "target": target}})
}

pub(crate) fn resource(name: &str, target: &Value) -> Value {
    json!({"type": "Resource", "resource": {"name": name, "target": target}})
}

/// A target of 50 % of the requested cpu.
pub(crate) fn cpu() -> Value {
    resource("cpu", &json!({"type": "Utilization", "averageUtilization": 50}))
}

/// A target of 10 a pod.
pub(crate) fn sessions() -> Value {
    json!({"type": "Pods", "pods": {"metric": {"name": "sessions"},
        "target": {"type": "AverageValue", "averageValue": "10"}}})
}

/// Behavior without any limit but the windows.
pub(crate) fn windows(up: i32, down: i32) -> Value {
    let policies = json!([{"type": "Pods", "value": 1000, "periodSeconds": 1}]);
    json!({
        "scaleUp": {"stabilizationWindowSeconds": up, "policies": policies},
        "scaleDown": {"stabilizationWindowSeconds": down, "policies": policies},
    })
}

pub(crate) fn spec(fields: &Value) -> Spec {
    let mut object = json!({
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 100},
    });
    let fields = fields.as_object().expect("fields").clone();
    object["spec"].as_object_mut().expect("a spec").extend(fields);
    let object: HorizontalPodAutoscaler = serde_json::from_value(object).expect("an autoscaler");
    Spec::new(&object).expect("an autoscaler")
}

impl World {
    pub(crate) fn new(replicas: i32, fields: &Value) -> Self {
        World::with_options(replicas, fields, |_| ())
    }

    pub(crate) fn with_options(replicas: i32, fields: &Value, set: impl Fn(&mut Options)) -> Self {
        let mut options = Options::default();
        set(&mut options);
        World {
            hpa: Hpa::new(spec(fields), options),
            replicas,
            status_replicas: None,
            pods: Vec::new(),
            answers: Answers::default(),
        }
    }

    /// A sync, in seconds, after which the scale is as it was decided.
    pub(crate) fn sync(&mut self, now: i64) -> Outcome {
        self.answers.now = now;
        let status_replicas = self.status_replicas.unwrap_or(self.replicas);
        let scale = Scale { replicas: self.replicas, status_replicas, selector: Ok(()) };
        let outcome = self.hpa.sync(now * SECOND, &scale, &self.pods, &self.answers);
        self.replicas = outcome.replicas;
        outcome
    }

    /// A sync at which one External metric has a value, in whole units. The replicas afterwards.
    pub(crate) fn sync_queue(&mut self, now: i64, items: i64) -> i32 {
        self.answers.external = vec![items * 1000];
        self.sync(now).replicas
    }

    /// A condition as `True Reason`; empty: there is none.
    pub(crate) fn condition(&self, kind: ConditionType) -> String {
        let condition = self.hpa.status().condition(kind);
        condition
            .map(|condition| format!("{} {}", condition.status.as_str(), condition.reason.as_str()))
            .unwrap_or_default()
    }
}

/// A pod that has been running and ready for an hour, and requests 100m of cpu.
pub(crate) fn ready_pod(name: &'static str, now: i64) -> Pod<'static> {
    started_pod(name, now - 3600, Some((ConditionStatus::True, now - 3600)))
}

/// A running pod, by when it was started, and its readiness by when that changed; all in seconds.
pub(crate) fn started_pod(
    name: &'static str,
    started: i64,
    ready: Option<(ConditionStatus, i64)>,
) -> Pod<'static> {
    Pod {
        name,
        phase: PodPhase::Running,
        is_deleting: false,
        ready: ready.map(|(status, since)| Ready { status, since: since * SECOND }),
        started_at: Some(started * SECOND),
        spec: requesting("100m"),
    }
}

/// The spec of a pod that requests so much cpu.
pub(crate) fn requesting(cpu: &str) -> &'static PodSpec {
    let spec = json!({"containers": [{"name": "app", "resources": {"requests": {"cpu": cpu}}}]});
    Box::leak(Box::new(serde_json::from_value(spec).expect("a pod spec")))
}
