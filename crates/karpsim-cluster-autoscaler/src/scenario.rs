//! Recorded scenarios: a small cluster, a cloud, and a series of runs on a clock.
//!
//! Between the runs little happens: ordered nodes come, removed ones are gone with all that is on them, and nothing is
//! ever bound. See `data/README.md` for the recordings.

use crate::autoscaler::ClusterAutoscaler;
use crate::decision::RunDecision;
use crate::nodes::HOSTNAME;
use crate::objects::ObjectError;
use crate::options::{FlagError, NodeGroupOptions, Options};
use crate::time::{Nanos, SECOND, later, moment};
use crate::view::{Cloud, CloudError, ClusterView, NodeGroup, NodeGroupState};
use jiff::Timestamp;
use karpsim::model::core::Node;
use karpsim::model::meta::{Condition, Str, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use std::sync::Arc;

/// A scenario, read and checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Scenario {
    /// `FAMILY/NNN`.
    pub name: String,
    /// When the autoscaler starts.
    pub now: Time,
    /// Its flags.
    pub options: Options,
    /// When it runs, in seconds after the start.
    pub runs: Vec<Number>,
    groups: Vec<CloudGroup>,
    cluster: ClusterView,
}

/// Why a scenario cannot be run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// It is not of the form.
    #[error(transparent)]
    Form(#[from] serde_json::Error),
    /// A flag is not taken.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// An object is not taken.
    #[error(transparent)]
    Object(#[from] ObjectError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ScenarioText {
    #[serde(default)]
    name: String,
    now: Time,
    #[serde(default)]
    options: Map<String, Value>,
    #[serde(default)]
    node_groups: Vec<NodeGroupText>,
    #[serde(default)]
    objects: Vec<Value>,
    runs: Vec<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeGroupText {
    name: Str,
    min_size: i64,
    max_size: i64,
    target_size: i64,
    #[serde(default)]
    nodes: Vec<Str>,
    template: Node,
    #[serde(default)]
    launch: Launch,
    #[serde(default)]
    options: Map<String, Value>,
}

/// What comes of an order. With neither, it is taken and no node ever comes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Launch {
    /// A node comes so many seconds later.
    after: Option<i64>,
    /// The cloud refuses.
    error: Option<String>,
}

fn flag_text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Scenario {
    /// Reads a scenario from JSON.
    ///
    /// # Errors
    ///
    /// If it is not of the form, or has flags that are not modelled.
    pub fn read(text: &str) -> Result<Self, ScenarioError> {
        let text: ScenarioText = serde_json::from_str(text)?;
        let mut options = Options::default();
        for (name, value) in &text.options {
            options.set(name, &flag_text(value))?;
        }
        let mut groups = Vec::new();
        for group in text.node_groups {
            let mut own = NodeGroupOptions::default();
            for (name, value) in &group.options {
                own.set(name, &flag_text(value))?;
            }
            groups.push(CloudGroup {
                group: NodeGroup {
                    options: own,
                    ..NodeGroup::new(group.name, group.min_size, group.max_size, Arc::new(group.template))
                },
                state: NodeGroupState {
                    target_size: group.target_size,
                    instances: group.nodes,
                    failed_instances: Vec::new(),
                },
                launch: group.launch,
                ordered: 0,
                coming: Vec::new(),
            });
        }
        let mut cluster = ClusterView::default();
        for object in text.objects {
            cluster.insert(object)?;
        }
        Ok(Scenario { name: text.name, now: text.now, options, runs: text.runs, groups, cluster })
    }

    /// Runs the series.
    pub fn decide(&self) -> SeriesDecision {
        let groups: Vec<NodeGroup> = self.groups.iter().map(|group| group.group.clone()).collect();
        let mut autoscaler = ClusterAutoscaler::new(self.options.clone(), groups, self.now);
        let mut world =
            World { groups: self.groups.clone(), cluster: self.cluster.clone(), now: moment(Some(self.now)) };
        let mut runs = Vec::new();
        for at in &self.runs {
            world.now = moment(Some(self.now)).saturating_add(seconds(at));
            world.launch();
            let view = world.view();
            let decision = autoscaler.run_once(time(world.now), &view, &mut world.cloud());
            let removed = decision.scale_down.empty.iter();
            let drained = decision.scale_down.drained.iter().map(|drained| &drained.node);
            let gone = later(world.now, self.options.node_delete_delay_after_taint);
            for node in removed.chain(drained) {
                world.remove(node);
                autoscaler.node_deleted(node, time(gone));
            }
            runs.push(SeriesRun { at: at.clone(), decision });
        }
        SeriesDecision { runs }
    }
}

/// What the autoscaler decides in a series of runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SeriesDecision {
    /// One for each run.
    pub runs: Vec<SeriesRun>,
}

/// What it decides in one of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct SeriesRun {
    /// Seconds after the start.
    pub at: Number,
    /// The decision.
    #[serde(flatten)]
    pub decision: RunDecision,
}

fn seconds(number: &Number) -> Nanos {
    match number.as_i64() {
        Some(whole) => whole.saturating_mul(SECOND),
        None => (number.as_f64().unwrap_or(0.0) * SECOND as f64).round() as Nanos,
    }
}

fn time(moment: Nanos) -> Time {
    Time(Timestamp::from_nanosecond(i128::from(moment)).unwrap_or_default())
}

/// A node group in the cloud.
#[derive(Debug, Clone)]
struct CloudGroup {
    group: NodeGroup,
    state: NodeGroupState,
    launch: Launch,
    /// How many nodes were ordered.
    ordered: i64,
    /// Nodes that are on their way, and when they are there.
    coming: Vec<(Nanos, Str)>,
}

/// Cluster and cloud between the runs.
struct World {
    groups: Vec<CloudGroup>,
    cluster: ClusterView,
    now: Nanos,
}

impl World {
    /// Nodes come that are due.
    fn launch(&mut self) {
        for group in &mut self.groups {
            let (due, coming) = group.coming.drain(..).partition(|(at, _)| *at <= self.now);
            group.coming = coming;
            let due: Vec<(Nanos, Str)> = due;
            for (at, name) in due {
                self.cluster.nodes.push(Arc::new(launched(&group.group.template, &name, at)));
                group.state.instances.push(name);
            }
        }
    }

    fn view(&self) -> ClusterView {
        let mut view = self.cluster.clone();
        for group in &self.groups {
            view.node_groups.insert(group.group.name.clone(), group.state.clone());
        }
        view
    }

    fn cloud(&mut self) -> Orders<'_> {
        Orders { groups: &mut self.groups, now: self.now }
    }

    /// A node goes, with all that is on it.
    fn remove(&mut self, node: &str) {
        self.cluster.nodes.retain(|it| it.metadata.name != node);
        self.cluster.pods.retain(|pod| pod.spec.node_name != node);
        for group in &mut self.groups {
            let before = group.state.instances.len();
            group.state.instances.retain(|name| name != node);
            group.state.target_size -= (before - group.state.instances.len()) as i64;
        }
    }
}

/// A node that was ordered, as it is when it comes.
fn launched(template: &Node, name: &Str, at: Nanos) -> Node {
    let stamp = Some(time(at.div_euclid(SECOND).saturating_mul(SECOND)));
    let mut node = template.clone();
    node.metadata.name = name.clone();
    node.metadata.uid = name.clone();
    node.metadata.labels.insert(HOSTNAME, name.clone());
    node.metadata.creation_timestamp = stamp;
    node.status.conditions = vec![Condition {
        kind: "Ready".into(),
        status: "True".into(),
        last_transition_time: stamp,
        ..Condition::default()
    }];
    node
}

/// The cloud during a run.
struct Orders<'a> {
    groups: &'a mut [CloudGroup],
    now: Nanos,
}

impl Orders<'_> {
    fn group(&mut self, name: &str) -> Result<&mut CloudGroup, CloudError> {
        self.groups
            .iter_mut()
            .find(|group| group.group.name == name)
            .ok_or_else(|| CloudError(format!("no node group `{name}`")))
    }
}

impl Cloud for Orders<'_> {
    fn increase_size(&mut self, group: &str, by: i64) -> Result<(), CloudError> {
        let now = self.now;
        let group = self.group(group)?;
        if let Some(error) = &group.launch.error {
            return Err(CloudError(error.clone()));
        }
        group.state.target_size += by;
        for _ in 0..by {
            group.ordered += 1;
            if let Some(after) = group.launch.after {
                let name = format!("{}-new-{}", group.group.name, group.ordered).into();
                group.coming.push((now.saturating_add(after.saturating_mul(SECOND)), name));
            }
        }
        Ok(())
    }

    fn decrease_target_size(&mut self, group: &str, by: i64) -> Result<(), CloudError> {
        let state = &mut self.group(group)?.state;
        if state.target_size - by < state.instances.len() as i64 {
            return Err(CloudError("there are more nodes".to_owned()));
        }
        state.target_size -= by;
        Ok(())
    }
}
