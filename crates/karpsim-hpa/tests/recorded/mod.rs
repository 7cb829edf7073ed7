//! Recorded series of syncs: what the world around an autoscaler was, tick by tick.

use karpsim::model::autoscaling::{CrossVersionObjectReference, HorizontalPodAutoscaler, MetricIdentifier};
use karpsim::model::core::PodSpec;
use karpsim::quantity::Quantity;
use karpsim_hpa::{
    ConditionStatus, Hpa, Metrics, Nanos, Options, Outcome, Pod, PodPhase, PodSample, Ready, SECOND, Scale,
    Spec, Unavailable,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One series, with what Kubernetes made of it.
#[derive(Deserialize)]
pub(crate) struct Recording {
    pub(crate) scenario: Scenario,
    pub(crate) decision: Decision,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    #[serde(rename = "kind")]
    _kind: String,
    #[serde(rename = "now")]
    _now: String,
    hpa: Value,
    options: RecordedOptions,
    replicas: i32,
    #[serde(default)]
    pod_delay: i64,
    #[serde(default)]
    pod_requests: BTreeMap<String, i64>,
    #[serde(default)]
    window: i64,
    pub(crate) ticks: Vec<Tick>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedOptions {
    tolerance: Option<f64>,
    downscale_stabilization: Option<i64>,
    cpu_initialization_period: Option<i64>,
    initial_readiness_delay: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Tick {
    at: i64,
    replicas: Option<i32>,
    status_replicas: Option<i32>,
    #[serde(default)]
    metrics: RecordedMetrics,
    #[serde(default)]
    load: BTreeMap<String, i64>,
    pods: Option<Vec<RecordedPod>>,
    window: Option<i64>,
    stamp: Option<i64>,
}

#[derive(Deserialize, Default, Clone)]
#[serde(default, deny_unknown_fields)]
struct RecordedMetrics {
    external: BTreeMap<String, Vec<i64>>,
    object: BTreeMap<String, i64>,
    pods: BTreeMap<String, BTreeMap<String, i64>>,
    resource: BTreeMap<String, BTreeMap<String, i64>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RecordedPod {
    name: String,
    phase: Option<String>,
    ready: Option<bool>,
    #[serde(default)]
    ready_at: i64,
    started: Option<i64>,
    #[serde(default)]
    deleting: bool,
    #[serde(default)]
    requests: BTreeMap<String, i64>,
}

#[derive(Deserialize)]
pub(crate) struct Decision {
    pub(crate) ticks: Vec<Value>,
}

/// A pod as it stands at a tick.
struct PodNow {
    name: String,
    phase: PodPhase,
    ready: Option<Ready>,
    started_at: Option<Nanos>,
    is_deleting: bool,
    spec: PodSpec,
}

/// What the metrics APIs answer at a tick.
struct MetricsNow {
    recorded: RecordedMetrics,
    at: Nanos,
    window: Nanos,
}

impl Scenario {
    /// Plays the series: one decision a tick, in the form of the recordings.
    pub(crate) fn play(&self) -> Vec<Value> {
        // The controller was given what the API server would have refused, too.
        let object: HorizontalPodAutoscaler =
            serde_json::from_value(self.hpa.clone()).expect("an autoscaler");
        let mut hpa = Hpa::new(Spec::new(&object).expect("an autoscaler"), self.options());
        let mut replicas = self.replicas;
        let mut created = vec![-3600; replicas as usize];
        let mut decisions = Vec::new();
        for tick in &self.ticks {
            replicas = tick.replicas.unwrap_or(replicas);
            created.resize(replicas as usize, tick.at);
            let pods = match &tick.pods {
                Some(pods) => pods.iter().map(RecordedPod::now).collect(),
                None => self.following(&created, tick.at),
            };
            let metrics = self.metrics(tick, &pods);
            let pods: Vec<Pod<'_>> = pods.iter().map(PodNow::seen).collect();
            let scale = Scale {
                replicas,
                status_replicas: tick.status_replicas.unwrap_or(replicas),
                selector: Ok(()),
            };
            let outcome = hpa.sync(tick.at * SECOND, &scale, &pods, &metrics);
            decisions.push(written(tick.at, replicas, &outcome, &hpa));
            replicas = outcome.replicas;
            created.resize(replicas as usize, tick.at);
        }
        decisions
    }

    fn options(&self) -> Options {
        let mut options = Options::default();
        let recorded = &self.options;
        options.tolerance = recorded.tolerance.unwrap_or(options.tolerance);
        for (option, seconds) in [
            (&mut options.downscale_stabilization, recorded.downscale_stabilization),
            (&mut options.cpu_initialization_period, recorded.cpu_initialization_period),
            (&mut options.initial_readiness_delay, recorded.initial_readiness_delay),
        ] {
            *option = seconds.map_or(*option, |seconds| seconds * SECOND);
        }
        options
    }

    /// Pods that follow the scale, by when they were created.
    fn following(&self, created: &[i64], now: i64) -> Vec<PodNow> {
        let one = |(index, created): (usize, &i64)| {
            let ready_at = created + self.pod_delay;
            let runs = ready_at <= now;
            PodNow {
                name: format!("web-{index}"),
                phase: if runs { PodPhase::Running } else { PodPhase::Pending },
                ready: runs.then_some(Ready { status: ConditionStatus::True, since: ready_at * SECOND }),
                started_at: Some(created * SECOND),
                is_deleting: false,
                spec: requesting(&self.pod_requests),
            }
        };
        created.iter().enumerate().map(one).collect()
    }

    fn metrics(&self, tick: &Tick, pods: &[PodNow]) -> MetricsNow {
        let mut recorded = tick.metrics.clone();
        let running: Vec<&PodNow> = pods.iter().filter(|pod| pod.phase == PodPhase::Running).collect();
        for (name, load) in &tick.load {
            let share = |pod: &&PodNow| (pod.name.clone(), load / running.len() as i64);
            let shares: BTreeMap<String, i64> = running.iter().map(share).collect();
            recorded.pods.insert(name.clone(), shares.clone());
            recorded.resource.insert(name.clone(), shares);
        }
        let window = if tick.pods.is_some() { tick.window.unwrap_or_default() } else { self.window };
        MetricsNow { recorded, at: tick.stamp.unwrap_or(tick.at) * SECOND, window: window * SECOND }
    }
}

impl RecordedPod {
    fn now(&self) -> PodNow {
        let phase = match self.phase.as_deref() {
            None | Some("Running") => PodPhase::Running,
            Some("Pending") => PodPhase::Pending,
            Some("Succeeded") => PodPhase::Succeeded,
            Some("Failed") => PodPhase::Failed,
            Some(other) => panic!("a phase {other}"),
        };
        let ready = self.ready.map(|is_ready| Ready {
            status: if is_ready { ConditionStatus::True } else { ConditionStatus::False },
            since: self.ready_at * SECOND,
        });
        PodNow {
            name: self.name.clone(),
            phase,
            ready,
            started_at: self.started.map(|started| started * SECOND),
            is_deleting: self.deleting,
            spec: requesting(&self.requests),
        }
    }
}

impl PodNow {
    fn seen(&self) -> Pod<'_> {
        Pod {
            name: &self.name,
            phase: self.phase,
            is_deleting: self.is_deleting,
            ready: self.ready,
            started_at: self.started_at,
            spec: &self.spec,
        }
    }
}

/// A pod with these requests, `CONTAINER/RESOURCE` in thousandths.
fn requesting(requests: &BTreeMap<String, i64>) -> PodSpec {
    let mut containers: BTreeMap<&str, Vec<(&str, Quantity)>> = BTreeMap::new();
    for (name, milli) in requests {
        let (container, resource) = name.split_once('/').expect("CONTAINER/RESOURCE");
        containers.entry(container).or_default().push((resource, Quantity::from_milli(*milli)));
    }
    let mut spec = PodSpec::default();
    for (name, requests) in containers {
        let mut container = karpsim::model::core::Container { name: name.into(), ..Default::default() };
        container.resources.requests = requests.into_iter().collect();
        spec.containers.push(container);
    }
    spec
}

impl MetricsNow {
    fn samples(&self, by_pod: Option<&BTreeMap<String, i64>>) -> Vec<PodSample> {
        let sample = |(pod, value): (&String, &i64)| PodSample {
            pod: pod.as_str().into(),
            value_milli: Some(*value),
            at: self.at,
            window: self.window,
        };
        by_pod.into_iter().flatten().map(sample).collect()
    }
}

impl Metrics for MetricsNow {
    fn resource(&self, resource: &str, container: Option<&str>) -> Result<Vec<PodSample>, Unavailable> {
        let key = container.map_or(resource.to_owned(), |container| format!("{container}/{resource}"));
        Ok(self.samples(self.recorded.resource.get(&key)))
    }

    fn pods(&self, metric: &MetricIdentifier) -> Result<Vec<PodSample>, Unavailable> {
        Ok(self.samples(self.recorded.pods.get(metric.name.as_str())))
    }

    fn object(&self, _: &CrossVersionObjectReference, metric: &MetricIdentifier) -> Result<i64, Unavailable> {
        self.recorded.object.get(metric.name.as_str()).copied().ok_or_else(Unavailable::default)
    }

    fn external(&self, metric: &MetricIdentifier) -> Result<Vec<i64>, Unavailable> {
        Ok(self.recorded.external.get(metric.name.as_str()).cloned().unwrap_or_default())
    }
}

/// A decision in the form of the recordings.
fn written(at: i64, from: i32, outcome: &Outcome, hpa: &Hpa) -> Value {
    let conditions = hpa.status().conditions.iter().map(|condition| {
        let text = format!("{} {}", condition.status.as_str(), condition.reason.as_str());
        (condition.kind.as_str().to_owned(), Value::from(text))
    });
    let conditions: serde_json::Map<String, Value> = conditions.collect();
    let mut decision =
        json!({"at": at, "from": from, "replicas": outcome.replicas, "conditions": conditions});
    if let Some(error) = &outcome.error {
        decision["error"] = error.to_string().into();
    }
    let mut status = serde_json::to_value(hpa.status()).expect("a status is JSON");
    if let Some(metrics) = status.get_mut("currentMetrics") {
        decision["currentMetrics"] = metrics.take();
    }
    decision
}
