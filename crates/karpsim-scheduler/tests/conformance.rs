//! Every recorded cycle of kube-scheduler, matched exactly: one test a family.
//!
//! A recording is a line `{"scenario": …, "decision": …}`. Everything in a decision is compared: nodes, nominations,
//! victims, searches, scores, reasons, words.

use karpsim::model::core::{Pod, WhenUnsatisfiable};
use karpsim::model::meta::Time;
use karpsim_scheduler::{
    Attempt, DefaultConstraint, Nomination, Options, Outcome, Preemption, Scheduler, ScorePlugin,
    ScoringStrategy, ScoringStrategyType, TopologySpreadDefaults,
};
use karpsim_testkit::Recordings;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

fn number(value: &Value) -> i64 {
    value.as_i64().expect("a whole number")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("text")
}

fn options(of: &Value) -> Options {
    let mut options = Options::default();
    if let Some(percent) = of.get("percentageOfNodesToScore") {
        options.percentage_of_nodes_to_score = number(percent);
    }
    if let Some(batching) = of.get("batching") {
        options.opportunistic_batching = batching.as_bool().expect("a flag");
    }
    if let Some(strategy) = of.get("scoringStrategy") {
        let kind = match text(&strategy["type"]) {
            "LeastAllocated" => ScoringStrategyType::LeastAllocated,
            "MostAllocated" => ScoringStrategyType::MostAllocated,
            "RequestedToCapacityRatio" => {
                let shape = strategy["requestedToCapacityRatio"]["shape"].as_array().expect("a list");
                let point = |point: &Value| (number(&point["utilization"]), number(&point["score"]));
                ScoringStrategyType::RequestedToCapacityRatio(shape.iter().map(point).collect())
            }
            other => panic!("strategy {other}"),
        };
        let resources = strategy["resources"].as_array().into_iter().flatten();
        let resources = resources.map(|it| (text(&it["name"]).into(), number(&it["weight"]))).collect();
        options.scoring_strategy = ScoringStrategy::new(kind, resources);
    }
    if let Some(defaults) = of.get("topologySpreadDefaults") {
        let list = defaults.as_array().expect("a list").iter().map(|it| DefaultConstraint {
            max_skew: number(&it["maxSkew"]),
            topology_key: text(&it["topologyKey"]).into(),
            when_unsatisfiable: match text(&it["whenUnsatisfiable"]) {
                "DoNotSchedule" => WhenUnsatisfiable::DoNotSchedule,
                _ => WhenUnsatisfiable::ScheduleAnyway,
            },
        });
        options.topology_spread_defaults = TopologySpreadDefaults::List(list.collect());
    }
    options
}

/// The cluster of a scenario.
struct World {
    scheduler: Scheduler,
    /// Pods by `namespace/name`.
    pods: BTreeMap<String, Arc<Pod>>,
    now: Time,
    /// Whether victims stay and are about to go.
    victims_stay: bool,
}

fn read<T: for<'de> serde::Deserialize<'de>>(object: &Value) -> T {
    serde_json::from_value(object.clone()).expect("an object of its kind")
}

/// Nanoseconds since 1970.
fn nanos(time: Time) -> i64 {
    i64::try_from(time.0.as_nanosecond()).expect("a time in this age")
}

fn key(pod: &Pod) -> String {
    format!("{}/{}", pod.metadata.namespace, pod.metadata.name)
}

impl World {
    fn new(scenario: &Value) -> Self {
        let mut scheduler = Scheduler::new(options(&scenario["options"]));
        scheduler.record_scores(true);
        let now: Time = serde_json::from_value(scenario["now"].clone()).expect("a time");
        let at = nanos(now);
        let mut pods = BTreeMap::new();
        let mut objects: Vec<&Value> = scenario["objects"].as_array().expect("a list").iter().collect();
        let name = |object: &Value| {
            let metadata = &object["metadata"];
            (metadata["namespace"].as_str().unwrap_or("").to_owned(), text(&metadata["name"]).to_owned())
        };
        objects.sort_by_key(|object| name(object));
        for object in &objects {
            match text(&object["kind"]) {
                "Pod" => {
                    let pod: Arc<Pod> = Arc::new(read(object));
                    pods.insert(key(&pod), pod);
                }
                "Node" => {
                    scheduler.set_node(Arc::new(read(object)), at);
                }
                "Namespace" => scheduler.set_namespace(&read(object)),
                "PersistentVolume" => scheduler.set_persistent_volume(Arc::new(read(object)), at),
                "PersistentVolumeClaim" => scheduler.set_persistent_volume_claim(Arc::new(read(object)), at),
                "Service" => scheduler.set_service(Arc::new(read(object))),
                "ReplicaSet" => scheduler.set_replica_set(Arc::new(read(object))),
                "StatefulSet" => scheduler.set_stateful_set(Arc::new(read(object))),
                "StorageClass" => scheduler.set_storage_class(Arc::new(read(object)), at),
                "CSINode" => scheduler.set_csi_node(Arc::new(read(object)), at),
                "PodDisruptionBudget" => scheduler.set_pod_disruption_budget(Arc::new(read(object))),
                // Priorities are filled in.
                "PriorityClass" => {}
                other => panic!("an object of kind {other}"),
            }
        }
        for pod in pods.values().filter(|pod| !pod.spec.node_name.is_empty()) {
            scheduler.set_pod(Arc::clone(pod), at);
        }
        World { scheduler, pods, now, victims_stay: scenario["options"]["victims"] == "terminating" }
    }

    /// One entry of the queue: what a decision says of it.
    fn step(&mut self, index: i64, name: &str) -> Value {
        let mut step = Map::new();
        step.insert("pod".into(), name.into());
        let Some(pod) = self.pods.get(name).cloned() else {
            step.insert("skipped".into(), "gone".into());
            return Value::Object(step);
        };
        let skipped = if !pod.spec.node_name.is_empty() {
            Some("bound")
        } else if pod.metadata.deletion_timestamp.is_some() {
            Some("deleting")
        } else {
            None
        };
        if let Some(skipped) = skipped {
            step.insert("skipped".into(), skipped.into());
            return Value::Object(step);
        }
        if let Some(refusal) = karpsim_scheduler::gates(&pod) {
            let words: Vec<String> = refusal.reasons.iter().map(ToString::to_string).collect();
            step.insert("gated".into(), format!("{}: {}", refusal.plugin, words.join(", ")).into());
            return Value::Object(step);
        }
        let attempt = self.scheduler.attempt(&pod, nanos(self.now));
        self.describe(&attempt, &mut step);
        if let Some(node) = attempt.node() {
            let mut bound = (*pod).clone();
            bound.spec.node_name = node.clone();
            bound.status.phase = "Running".into();
            let seconds = jiff::SignedDuration::from_secs(1 + index);
            bound.status.start_time = Some(Time(self.now.0 + seconds));
            let bound = Arc::new(bound);
            self.scheduler.set_pod(Arc::clone(&bound), nanos(self.now));
            self.pods.insert(name.to_owned(), bound);
        }
        match attempt.nomination() {
            Nomination::Keep => {}
            Nomination::Clear => self.nominate(&pod, ""),
            Nomination::Set(node) => self.nominate(&pod, &node),
        }
        let nominated = &self.pods[name].status.nominated_node_name;
        if !nominated.is_empty() && attempt.node().is_none() {
            step.insert("nominated".into(), nominated.as_str().into());
        }
        if let Outcome::Unschedulable(why) = &attempt.outcome
            && let Preemption::Nominated { victims, replaced, .. } = &why.preemption
        {
            for other in replaced {
                self.nominate(other, "");
            }
            let mut names: Vec<String> = Vec::new();
            for victim in victims {
                if victim.metadata.deletion_timestamp.is_none() {
                    names.push(key(victim));
                }
                self.evict(victim);
            }
            names.sort();
            if !names.is_empty() {
                step.insert("victims".into(), names.into());
            }
        }
        Value::Object(step)
    }

    fn nominate(&mut self, pod: &Pod, node: &str) {
        if let Some(pod) = self.pods.get_mut(&key(pod)) {
            Arc::make_mut(pod).status.nominated_node_name = node.into();
        }
    }

    fn evict(&mut self, victim: &Arc<Pod>) {
        if !self.victims_stay {
            let (namespace, name) = (&victim.metadata.namespace, &victim.metadata.name);
            self.scheduler.remove_pod(namespace, name, nanos(self.now));
            self.pods.remove(&key(victim));
            return;
        }
        if victim.metadata.deletion_timestamp.is_some() {
            return;
        }
        let mut dying = (**victim).clone();
        dying.metadata.deletion_timestamp = Some(self.now);
        let condition =
            json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"});
        dying.status.conditions.push(read(&condition));
        let dying = Arc::new(dying);
        self.scheduler.set_pod(Arc::clone(&dying), nanos(self.now));
        self.pods.insert(key(&dying), dying);
    }

    fn describe(&mut self, attempt: &Attempt, step: &mut Map<String, Value>) {
        let cluster = self.scheduler.cluster();
        step.insert("node".into(), attempt.node().map_or(Value::Null, |node| node.as_str().into()));
        if cluster.node_count() >= 100 {
            step.insert("start".into(), attempt.start.into());
        }
        match &attempt.outcome {
            Outcome::Placed(_) => {
                step.insert("feasible".into(), attempt.feasible.into());
                step.insert("evaluated".into(), attempt.evaluated.into());
            }
            Outcome::Unschedulable(why) => {
                step.insert("message".into(), why.message().into());
                let plugins: Vec<&str> = why.plugins().into_iter().map(|plugin| plugin.name()).collect();
                let mut plugins: Vec<Value> = plugins.into_iter().map(Value::from).collect();
                plugins.sort_by_key(|plugin| text(plugin).to_owned());
                step.insert("plugins".into(), plugins.into());
                let post_filter = why.post_filter_message();
                if !post_filter.is_empty() {
                    step.insert("postFilter".into(), post_filter.into());
                }
                if let Some(refusal) = &why.pre_filter {
                    let words: Vec<String> = refusal.reasons.iter().map(ToString::to_string).collect();
                    step.insert("preFilter".into(), words.join(", ").into());
                }
                let mut filtered = Map::new();
                for (node, refusal) in why.nodes.iter() {
                    let reasons: Vec<String> = refusal.reasons.iter().map(ToString::to_string).collect();
                    let mut entry = json!({"plugin": refusal.plugin.name(), "reasons": reasons});
                    if refusal.unresolvable {
                        entry["unresolvable"] = true.into();
                    }
                    filtered.insert(cluster.node_name(node).to_string(), entry);
                }
                if !filtered.is_empty() {
                    step.insert("filtered".into(), filtered.into());
                }
            }
            other => {
                step.insert("error".into(), format!("{other:?}").into());
            }
        }
        // All if at most twenty were scored, else the best five.
        let shown = if attempt.scores.len() <= 20 { 20 } else { 5 };
        let scores: Vec<Value> = attempt
            .scores
            .iter()
            .take(shown)
            .map(|scores| {
                let mut plugins = json!({"DynamicResources": 0});
                for (plugin, score) in ScorePlugin::ALL.iter().zip(scores.plugins) {
                    if let Some(score) = score {
                        plugins[plugin.name()] = score.into();
                    }
                }
                json!({"node": cluster.node_name(scores.node).as_str(), "total": scores.total, "plugins": plugins})
            })
            .collect();
        if !scores.is_empty() {
            step.insert("scores".into(), scores.into());
        }
    }
}

/// The place where two values differ first.
fn difference(path: &str, ours: &Value, recorded: &Value) -> Option<String> {
    match (ours, recorded) {
        (Value::Object(a), Value::Object(b)) => {
            let keys: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
            keys.into_iter().find_map(|key| match (a.get(key), b.get(key)) {
                (Some(x), Some(y)) => difference(&format!("{path}.{key}"), x, y),
                (x, y) => Some(format!("{path}.{key}: {x:?} instead of {y:?}")),
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (x, y))| difference(&format!("{path}[{index}]"), x, y)),
        _ => (ours != recorded).then(|| format!("{path}: {ours} instead of {recorded}")),
    }
}

/// How many cycles were compared; or the first difference.
fn check(line: &Value) -> Result<usize, String> {
    let (scenario, decision) = (&line["scenario"], &line["decision"]);
    let mut world = World::new(scenario);
    let order: Vec<String> = {
        let mut cluster = world.scheduler.cluster().clone();
        let order = cluster.node_order().to_vec();
        order.iter().map(|node| cluster.node_name(*node).to_string()).collect()
    };
    if let Some(difference) = difference("nodeOrder", &json!(order), &decision["nodeOrder"]) {
        return Err(difference);
    }
    let steps = decision["steps"].as_array().expect("a list");
    let queue = scenario["queue"].as_array().expect("a list");
    assert_eq!(queue.len(), steps.len());
    for (index, (name, recorded)) in queue.iter().zip(steps).enumerate() {
        let mut ours = world.step(index as i64, text(name));
        // The start is recorded with 100 nodes or more where it has a bearing.
        if recorded.get("start").is_none()
            && let Some(fields) = ours.as_object_mut()
        {
            fields.remove("start");
        }
        if let Some(difference) = difference(&format!("step {index} ({})", text(name)), &ours, recorded) {
            return Err(difference);
        }
    }
    Ok(steps.len())
}

fn main() {
    let arguments = Arguments::from_args();
    let mut families: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for recording in Recordings::read("kube-scheduler").iter() {
        let line: Value = serde_json::from_str(recording.line).expect("JSON");
        families.entry(recording.family().to_owned()).or_default().push(line);
    }
    let tests = families
        .into_iter()
        .map(|(family, lines)| {
            let title = family.clone();
            Trial::test(title, move || {
                let mut matched = 0;
                let mut steps = 0;
                let mut failures = Vec::new();
                for line in &lines {
                    match check(line) {
                        Ok(count) => {
                            matched += 1;
                            steps += count;
                        }
                        Err(difference) => {
                            failures.push(format!("{}: {difference}", text(&line["scenario"]["name"])));
                        }
                    }
                }
                println!("{family}: {matched} of {} scenarios, {steps} steps", lines.len());
                if failures.is_empty() {
                    return Ok(());
                }
                let shown = failures.iter().take(8).cloned().collect::<Vec<_>>().join("\n  ");
                Err(Failed::from(format!("{} of {} differ:\n  {shown}", failures.len(), lines.len())))
            })
        })
        .collect();
    libtest_mimic::run(&arguments, tests).exit();
}
