//! The world: what stands in it, and the queue of what will happen.
//!
//! At one moment what was due comes first, then the trace's events in order, then workloads, budgets and the scheduler
//! react, and then Karpenter. Only when nobody has anything left to do the time goes on.

mod actions;
mod apply;
mod budgets;
mod cloud;
mod eviction;
mod found_nodes;
mod inputs;
mod instances;
mod node_names;
mod nodes;
mod objects;
mod pods;
mod report;
mod scheduling;
mod workload;
mod workloads;

use crate::delays::Delays;
use crate::error::Error;
use crate::ledger::Ledger;
use crate::log::LogEvent;
use crate::result::{DecisionRecord, MarkRecord};
use crate::scheduler::{NodeInfo, PodId, Shape};
use crate::trace::{EventKind, HeaderObject, TraceEvent};
use budgets::Budget;
pub(crate) use cloud::Cloud;
use instances::{InstanceId, Instances};
use karpsim::model::meta::{Labels, Str};
use karpsim::scenario::FeatureGates;
use karpsim_controller::{Binding, Calendar, Controller, Event, Nanos};
pub(crate) use node_names::NodeNames;
use pods::{Gang, PodState};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use workload::{Workload, WorkloadKey};

/// Something that will happen in the world.
#[derive(Debug, Clone)]
pub(crate) enum Happening {
    /// The cloud answers for an instance that was asked for.
    Launch(InstanceId),
    /// The kubelet of an instance makes its node.
    NodeCreated(InstanceId),
    /// A node is ready.
    NodeReady(InstanceId),
    /// The last taint of a starting node goes.
    NodeInitializable(InstanceId),
    /// An instance that was told to end is gone.
    InstanceGone(InstanceId),
    /// Of an instance that was to end the cloud says that there is none: its provider id.
    NoInstance(Str),
    /// An instance is taken back.
    InstanceLost(InstanceId),
    /// A pod runs.
    PodStart(PodId),
    /// A pod has done what it came for.
    PodEnd(PodId),
    /// A pod that was deleted is gone.
    PodStop(PodId),
    /// A pod's lifetime is over.
    PodDelete(PodId),
    /// The API server looks again at an eviction that met another.
    EvictionRetry(Str),
    /// Pods of a node that is gone are collected.
    PodGc(Str),
    /// A workload may go on.
    Workload(WorkloadKey),
    /// Offerings may be available again.
    Availability,
}

/// `price` events so far.
#[derive(Debug, Clone, Copy, Default)]
struct PriceEvents {
    seen: usize,
    /// Those that selected nothing on offer: a series of a whole region has many, where a catalogue has few types.
    without_offering: usize,
}

/// What the owner of a replay may want to see of it.
pub(crate) type Observer<'a> = Option<&'a mut dyn FnMut(&LogEvent)>;

/// What is decided about a world before it begins.
pub(crate) struct Settings {
    /// Where 0 is on the calendar.
    pub(crate) calendar: Calendar,
    /// How long things take.
    pub(crate) delays: Delays,
    /// Who binds pods.
    pub(crate) binding: Binding,
    /// When it ends, if not with the last event.
    pub(crate) end: Option<Nanos>,
    /// The gates of its Karpenter: what they make of objects is said to whoever wrote them.
    pub(crate) feature_gates: FeatureGates,
    /// How the nodes of launched instances are called.
    pub(crate) node_names: NodeNames,
    /// For kinds that karpsim does not know: where their pod templates are.
    pub(crate) pod_template_paths: BTreeMap<String, Vec<String>>,
}

/// The world.
pub(crate) struct World<'a> {
    now: Nanos,
    end: Option<Nanos>,
    calendar: Calendar,
    delays: Delays,
    binding: Binding,
    feature_gates: FeatureGates,
    queue: BTreeMap<(Nanos, u64), Happening>,
    queued: u64,
    controller: Controller,
    cloud: Cloud,
    /// All objects, with defaults, by kind, namespace and name.
    objects: BTreeMap<(String, String, String), Value>,
    pod_template_paths: BTreeMap<String, Vec<String>>,
    namespaces: BTreeMap<Str, Labels>,
    priority_classes: BTreeMap<String, (i64, bool)>,
    /// Shapes of the batches' pods, by what makes them.
    shapes: BTreeMap<String, Arc<Shape>>,
    classes: u64,
    workloads: BTreeMap<WorkloadKey, Workload>,
    dirty_workloads: BTreeSet<WorkloadKey>,
    pods: BTreeMap<PodId, PodState>,
    pod_ids: BTreeMap<Str, PodId>,
    last_pod: PodId,
    batch_numbers: BTreeMap<String, u64>,
    gangs: BTreeMap<String, Gang>,
    nodes: BTreeMap<Str, NodeInfo>,
    instances: Instances,
    node_names: NodeNames,
    node_names_taken: BTreeSet<Str>,
    /// Pods whose node is gone.
    orphans: BTreeMap<Str, Vec<PodId>>,
    /// Pods that wait for a node, by class; in a class by priority, then age.
    pending: BTreeMap<u64, BTreeSet<(std::cmp::Reverse<i64>, PodId)>>,
    /// Pods that were not tried yet.
    untried: Vec<PodId>,
    /// Something became free: all that wait are tried again.
    freed: bool,
    /// A node came: pods that it does not help are told so, in the message of their condition.
    node_added: bool,
    /// Bound pods with affinity of their own.
    affine: BTreeSet<PodId>,
    budgets: BTreeMap<Str, Budget>,
    budgets_dirty: bool,
    price_events: PriceEvents,
    /// When a budget last let a pod go.
    evicted_at: BTreeMap<Str, Nanos>,
    daemons_dirty: bool,
    /// Before 0: what is bound now is not counted.
    setting_up: bool,
    ledger: Ledger,
    decisions: Vec<DecisionRecord>,
    marks: Vec<MarkRecord>,
    warnings: Vec<String>,
    /// Resources that pods asked for, and that were looked for.
    resources_sought: BTreeSet<Str>,
    counts: report::Counts,
    observer: Observer<'a>,
}

impl<'a> World<'a> {
    pub(crate) fn new(
        settings: Settings,
        controller: Controller,
        cloud: Cloud,
        observer: Observer<'a>,
    ) -> Self {
        let Settings { calendar, delays, binding, end, feature_gates, node_names, pod_template_paths } =
            settings;
        World {
            now: 0,
            end,
            calendar,
            delays,
            binding,
            feature_gates,
            queue: BTreeMap::new(),
            queued: 0,
            controller,
            cloud,
            objects: BTreeMap::new(),
            pod_template_paths,
            namespaces: BTreeMap::new(),
            priority_classes: BTreeMap::new(),
            shapes: BTreeMap::new(),
            classes: 0,
            workloads: BTreeMap::new(),
            dirty_workloads: BTreeSet::new(),
            pods: BTreeMap::new(),
            pod_ids: BTreeMap::new(),
            last_pod: 0,
            batch_numbers: BTreeMap::new(),
            gangs: BTreeMap::new(),
            nodes: BTreeMap::new(),
            instances: Instances::default(),
            node_names,
            node_names_taken: BTreeSet::new(),
            orphans: BTreeMap::new(),
            pending: BTreeMap::new(),
            untried: Vec::new(),
            freed: false,
            node_added: false,
            affine: BTreeSet::new(),
            budgets: BTreeMap::new(),
            budgets_dirty: false,
            price_events: PriceEvents::default(),
            evicted_at: BTreeMap::new(),
            daemons_dirty: false,
            setting_up: false,
            ledger: Ledger::default(),
            decisions: Vec::new(),
            marks: Vec::new(),
            warnings: Vec::new(),
            resources_sought: BTreeSet::new(),
            counts: report::Counts::default(),
            observer,
        }
    }

    /// Something to be said with the result.
    pub(crate) fn say(&mut self, text: &str) {
        self.warn(text);
    }

    pub(crate) fn push(&mut self, at: Nanos, happening: Happening) {
        self.queued += 1;
        self.queue.insert((at, self.queued), happening);
    }

    fn after(&mut self, delay: Nanos, happening: Happening) {
        self.push(self.now.saturating_add(delay), happening);
    }

    /// Tells Karpenter, and does what it wants.
    fn tell(&mut self, event: Event) {
        self.controller.observe(self.now, event);
        self.act();
    }

    fn log(
        &mut self,
        what: &'static str,
        event: &'static str,
        fields: impl FnOnce() -> Vec<(&'static str, Value)>,
    ) {
        if let Some(observer) = &mut self.observer {
            observer(&LogEvent { at: self.now, what, event, fields: fields() });
        }
    }

    fn warn(&mut self, text: impl Into<String>) {
        let text = text.into();
        if !self.warnings.contains(&text) {
            self.log("warning", "", || vec![("text", text.clone().into())]);
            self.warnings.push(text);
        }
    }

    /// Sets up what is there at 0 and plays the events.
    pub(crate) fn run(
        &mut self,
        objects: Vec<HeaderObject>,
        mut events: impl Iterator<Item = Result<TraceEvent, Error>>,
    ) -> Result<(), Error> {
        let mut ahead: VecDeque<TraceEvent> = VecDeque::new();
        let mut exhausted = false;
        // Events at 0 are looked at together: nodes among them are there before the workloads.
        while !exhausted && ahead.back().is_none_or(|event| event.at == 0) {
            match events.next().transpose()? {
                Some(event) => ahead.push_back(event),
                None => exhausted = true,
            }
        }
        let mut groups = Vec::new();
        let is_group = |event: &TraceEvent| event.at == 0 && matches!(event.kind, EventKind::Nodes(_));
        ahead.retain(|event| {
            if is_group(event) {
                groups.push(event.clone());
            }
            !is_group(event)
        });
        self.set_up(objects, groups)?;
        let mut last = 0;
        loop {
            if self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= self.now) {
                if let Some((_, happening)) = self.queue.pop_first() {
                    self.happen(happening);
                }
                continue;
            }
            if ahead.front().is_some_and(|event| event.at <= self.now) {
                if let Some(event) = ahead.pop_front() {
                    last = event.at;
                    self.input(event)?;
                }
                if ahead.is_empty() && !exhausted {
                    match events.next().transpose()? {
                        Some(event) => ahead.push_back(event),
                        None => exhausted = true,
                    }
                }
                continue;
            }
            if self.settle()? {
                continue;
            }
            if self.controller.next_wakeup().is_some_and(|at| at <= self.now) {
                self.controller.wake(self.now);
                self.act();
                continue;
            }
            let next = [
                self.queue.first_key_value().map(|((at, _), _)| *at),
                ahead.front().map(|event| event.at),
                self.controller.next_wakeup(),
            ];
            // Without an end of its own a trace ends with its last event.
            let end = match self.end {
                Some(end) => end,
                None if ahead.is_empty() => last,
                None => Nanos::MAX,
            };
            match next.into_iter().flatten().min() {
                Some(next) if next <= end => self.now = next,
                _ => {
                    self.now = end;
                    return Ok(());
                }
            }
        }
    }

    /// Everybody reacts to what happened; `false` if nobody had to.
    fn settle(&mut self) -> Result<bool, Error> {
        let mut did = false;
        while let Some(key) = self.dirty_workloads.pop_first() {
            self.reconcile_workload(&key);
            did = true;
        }
        if std::mem::take(&mut self.daemons_dirty) {
            self.reconcile_daemons();
            did = true;
        }
        if std::mem::take(&mut self.budgets_dirty) {
            self.reconcile_budgets();
            did = true;
        }
        did |= self.schedule();
        Ok(did)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Launch(id) => self.launch(id),
            Happening::NodeCreated(id) => self.node_created(id),
            Happening::NodeReady(id) => self.node_ready(id),
            Happening::NodeInitializable(id) => self.node_initializable(id),
            Happening::InstanceGone(id) => self.instance_gone(id),
            Happening::NoInstance(provider_id) => self.tell(Event::InstanceGone(provider_id)),
            Happening::InstanceLost(id) => self.instance_lost(id),
            Happening::PodStart(id) => self.pod_start(id),
            Happening::PodEnd(id) => self.pod_end(id),
            Happening::PodStop(id) => self.remove_pod(id),
            Happening::PodDelete(id) => self.delete_pod(id, None),
            Happening::EvictionRetry(pod) => self.evict(&pod, true),
            Happening::PodGc(node) => self.collect_orphans(&node),
            Happening::Workload(key) => drop(self.dirty_workloads.insert(key)),
            Happening::Availability => self.cloud.forget(self.now),
        }
    }
}
