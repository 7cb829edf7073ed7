//! Objects that are made, replaced and deleted.

use super::World;
use super::budgets::Budget;
use super::objects::inside;
use super::pods::{NewPod, Owner};
use super::workload::{Job, Kind, Update, Workload, WorkloadKey};
use crate::error::Error;
use crate::trace::{self, EventKind, HeaderObject, NodeGroup, ObjectReference, TraceEvent};
use karpsim::input::{self, convert, defaults, resources};
use karpsim::label_rules::is_known_node_class;
use karpsim::model::core::{
    CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod, PodDisruptionBudget,
    StorageClass,
};
use karpsim::model::karpenter::{NodeClaim, NodeClassReference, NodeOverlay, NodePool};
use karpsim::model::meta::{IntOrString, Str};
use karpsim::problem::{NoticeKind, Place, Problem, ProblemKind};
use karpsim_controller::{Event, Nanos};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;

const WORKLOADS: [&str; 7] =
    ["Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "Job", "CronJob", "Pod"];

impl World<'_> {
    /// What is there before 0, and the workloads at 0.
    pub(crate) fn set_up(
        &mut self,
        objects: Vec<HeaderObject>,
        groups: Vec<TraceEvent>,
    ) -> Result<(), Error> {
        let mut later = Vec::new();
        self.setting_up = true;
        // Priority classes first: templates name them.
        let (first, rest): (Vec<_>, Vec<_>) = objects
            .into_iter()
            .partition(|object| matches!(object.value["kind"].as_str(), Some("PriorityClass" | "Namespace")));
        for object in first.into_iter().chain(rest) {
            let kind = object.value["kind"].as_str().unwrap_or_default();
            let bound = object.value.pointer("/spec/nodeName").is_some();
            let is_workload = (WORKLOADS.contains(&kind) && !bound)
                || self.pod_template_paths.contains_key(&full_kind(&object.value));
            if is_workload {
                later.push(object);
            } else {
                self.apply_from_header(object)?;
            }
        }
        for event in groups {
            if let EventKind::Nodes(group) = event.kind {
                let place = if event.line > 0 { String::new() } else { format!("events[{}]", event.index) };
                let placed = |error: Error| error.below(&place).at_line(event.line).of_file(event.file);
                self.add_group(&group).map_err(placed)?;
            }
        }
        while self.settle()? {}
        self.setting_up = false;
        later.into_iter().try_for_each(|object| self.apply_from_header(object))
    }

    fn apply_from_header(&mut self, object: HeaderObject) -> Result<(), Error> {
        let HeaderObject { value, index, file } = object;
        self.apply(value, None).map_err(|error| error.below(&format!("objects[{index}]")).of_file(file))
    }

    /// Makes or replaces an object, as the API server would.
    pub(crate) fn apply(
        &mut self,
        object: Value,
        durations: Option<Vec<Option<Nanos>>>,
    ) -> Result<(), Error> {
        if !convert::is_old(&object) {
            return self.apply_one(object, durations);
        }
        let converted = convert::convert(object)?;
        for notice in converted.notices {
            self.warn(notice.to_string());
        }
        for object in converted.objects {
            self.apply_one(object, None)?;
        }
        Ok(())
    }

    fn apply_one(&mut self, mut object: Value, durations: Option<Vec<Option<Nanos>>>) -> Result<(), Error> {
        if object["kind"] == "List" {
            for item in object["items"].as_array().cloned().unwrap_or_default() {
                self.apply(item, None)?;
            }
            return Ok(());
        }
        defaults::fill_in(&mut object, self.calendar.wall(self.now).0);
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let version = object["apiVersion"].as_str().unwrap_or_default();
        if let Err(kind @ ProblemKind::Value { .. }) = input::check_kind(version, &kind) {
            return Err(inside(Problem::new(Place::at("apiVersion"), kind)));
        }
        let text =
            |pointer: &str| object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let (name, namespace) = (text("/metadata/name"), text("/metadata/namespace"));
        if name.is_empty() {
            return Err(Error::new("metadata.name", "is missing"));
        }
        if !namespace.is_empty() {
            self.ensure_namespace(&namespace);
        }
        let who = format!(
            "{kind} `{}`",
            [namespace.as_str(), name.as_str()]
                .into_iter()
                .filter(|it| !it.is_empty())
                .collect::<Vec<_>>()
                .join("/")
        );
        self.dispatch(&kind, &namespace, &name, &object, durations).map_err(|mut error| {
            error.message = format!("{who}: {}", error.message);
            error
        })?;
        self.objects.insert((kind, namespace, name), object);
        Ok(())
    }

    fn dispatch(
        &mut self,
        kind: &str,
        namespace: &str,
        name: &str,
        object: &Value,
        durations: Option<Vec<Option<Nanos>>>,
    ) -> Result<(), Error> {
        match kind {
            "NodePool" => {
                let pool: NodePool = self.read(object)?;
                if let Some(replicas) = pool.spec.replicas {
                    trace::nodes("spec.replicas", &replicas.into())?;
                }
                self.warn_of_inert(&pool);
                for notice in resources::limits_without_resource(object, self.cloud.catalogue()) {
                    self.warn(notice.to_string());
                }
                self.tell(Event::NodePool(Box::new(pool)));
            }
            "NodeOverlay" => {
                let overlay: NodeOverlay = self.read(object)?;
                if !self.feature_gates.node_overlay.unwrap_or(false) {
                    self.warn(format!("NodeOverlay: {}", NoticeKind::GateOff { gate: "NodeOverlay" }));
                }
                self.tell(Event::NodeOverlay(Box::new(overlay)));
            }
            "NodeClaim" => {
                let claim: NodeClaim = self.read(object)?;
                self.add_found_node_claim(claim);
            }
            "Node" => {
                let node: Node = self.read(object)?;
                self.add_found_node(node);
            }
            "Namespace" => {
                let namespace: Namespace = self.read(object)?;
                self.namespaces.insert(namespace.metadata.name.clone(), namespace.metadata.labels.clone());
                self.tell(Event::Namespace(Box::new(namespace)));
            }
            "PriorityClass" => {
                let value = object["value"]
                    .as_i64()
                    .ok_or_else(|| Error::new("value", "missing: expected a number"))?;
                self.priority_classes.insert(name.to_owned(), (value, object["globalDefault"] == true));
            }
            "PodDisruptionBudget" => {
                let budget: PodDisruptionBudget = self.read(object)?;
                let key = Str::from(format!("{namespace}/{name}"));
                self.budgets.insert(key, Budget { object: budget.clone(), healthy: 0, desired: 0 });
                self.budgets_dirty = true;
                self.tell(Event::PodDisruptionBudget(Box::new(budget)));
            }
            "PersistentVolume" => {
                let volume: PersistentVolume = self.read(object)?;
                self.tell(Event::PersistentVolume(Box::new(volume)));
            }
            "PersistentVolumeClaim" => {
                let claim: PersistentVolumeClaim = self.read(object)?;
                self.tell(Event::PersistentVolumeClaim(Box::new(claim)));
            }
            "StorageClass" => {
                let class: StorageClass = self.read(object)?;
                self.tell(Event::StorageClass(Box::new(class)));
            }
            "CSINode" => {
                let drivers: CsiNode = self.read(object)?;
                self.tell(Event::CsiNode(Box::new(drivers)));
            }
            "DaemonSet" => {
                let daemon_set: DaemonSet = self.read(object)?;
                self.apply_workload(Kind::DaemonSet, namespace, name, object, durations)?;
                self.tell(Event::DaemonSet(Box::new(daemon_set)));
                self.daemons_dirty = true;
            }
            "Deployment" => self.apply_workload(Kind::Deployment, namespace, name, object, durations)?,
            "ReplicaSet" | "ReplicationController" => {
                self.apply_workload(Kind::ReplicaSet, namespace, name, object, durations)?;
            }
            "StatefulSet" => self.apply_workload(Kind::StatefulSet, namespace, name, object, durations)?,
            "Job" => self.apply_workload(Kind::Job, namespace, name, object, durations)?,
            "Pod" => self.apply_pod(object, durations)?,
            "PodTemplate" => {
                // Batches read it when they come; a wrong one is told now.
                self.shapes.retain(|key, _| !key.starts_with(&format!("{namespace}/{name}\n")));
                self.shape_of_template(&object["template"], "template", namespace, None)?;
            }
            "CronJob" | "HorizontalPodAutoscaler" => {
                self.warn(format!("{kind} is not modelled, so `{namespace}/{name}` has no effect"));
            }
            _ => self.apply_other(object, namespace, name, durations)?,
        }
        Ok(())
    }

    /// NodePools that are none of this Karpenter's business, or would be if a gate were on.
    fn warn_of_inert(&mut self, pool: &NodePool) {
        let class = &pool.spec.template.spec.node_class_ref;
        if !is_known_node_class(&self.cloud.catalogue().provider, class) {
            self.warn(of_another_karpenter("NodePools", class));
        } else if pool.spec.replicas.is_some() && !self.feature_gates.static_capacity.unwrap_or(false) {
            let notice = NoticeKind::GateOff { gate: "StaticCapacity" };
            self.warn(format!("NodePool with `replicas`: {notice}"));
        }
    }

    /// A kind that karpsim does not know: the trace may say where its pod templates are.
    fn apply_other(
        &mut self,
        object: &Value,
        namespace: &str,
        name: &str,
        durations: Option<Vec<Option<Nanos>>>,
    ) -> Result<(), Error> {
        let kind = full_kind(object);
        let Some(paths) = self.pod_template_paths.get(&kind).cloned() else {
            let text = |field: &str| object[field].as_str().unwrap_or_default();
            let surprise = input::check_kind(text("apiVersion"), text("kind"))
                .map_err(|kind| Error::from(Problem::new(Place::default(), kind)))?;
            if let Some(surprise) = surprise {
                self.warn(surprise.to_string());
                self.log("input", "kept", || vec![("kind", kind.as_str().into()), ("name", name.into())]);
            }
            return Ok(());
        };
        let key = WorkloadKey { kind: Kind::Other, namespace: namespace.into(), name: name.into() };
        if self.workloads.contains_key(&key) {
            return Ok(());
        }
        for path in paths {
            let mut template = object.pointer(&path).cloned().ok_or_else(|| {
                Error::new(path.as_str(), format!("{kind} has no pod template at this path"))
            })?;
            defaults::fill_in_pod_template(&mut template);
            let shape = self.shape_of_template(&template, &path, namespace, Some(&key))?;
            let beside = path.strip_suffix("/template").unwrap_or(&path);
            let replicas = match object.pointer(&format!("{beside}/replicas")) {
                None | Some(Value::Null) => 1,
                Some(value) => trace::number(&format!("{beside}/replicas"), value)?,
            };
            let workload = self.workloads.entry(key.clone()).or_insert_with(|| Workload {
                shape: Arc::clone(&shape),
                template: Value::Null,
                revision: 0,
                replicas: 0,
                update: Update::Never,
                pods: std::collections::BTreeSet::new(),
                number: 0,
                durations: durations.clone(),
                started: 0,
                job: None,
                ordered: false,
                label: Str::from(format!("{namespace}/{name}")),
            });
            workload.shape = shape;
            workload.replicas += replicas;
            for _ in 0..replicas {
                self.make_other(&key);
            }
        }
        Ok(())
    }

    fn make_other(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.get_mut(key) else { return };
        workload.number += 1;
        let new = NewPod {
            name: Str::from(format!("{}-{}", key.name, workload.number)),
            shape: Arc::clone(&workload.shape),
            owner: Owner::Workload(key.clone()),
            label: workload.label.clone(),
            duration: None,
            delete_at: None,
            revision: 0,
            pinned: None,
        };
        let id = self.create_pod(new);
        if let Some(workload) = self.workloads.get_mut(key) {
            workload.pods.insert(id);
        }
    }

    fn apply_pod(&mut self, object: &Value, durations: Option<Vec<Option<Nanos>>>) -> Result<(), Error> {
        let mut pod: Pod = self.read(object)?;
        let key = karpsim::kubernetes::pods::pod_key(&pod);
        if let Some(id) = self.pod_ids.get(&key).copied() {
            // Of a pod that is there only labels and annotations can change.
            self.change_pod(id, |there| {
                for (key, value) in pod.metadata.labels.iter() {
                    there.metadata.labels.insert(key, value);
                }
                for (key, value) in pod.metadata.annotations.iter() {
                    there.metadata.annotations.insert(key, value);
                }
            });
            return Ok(());
        }
        let node = std::mem::take(&mut pod.spec.node_name);
        let name = std::mem::take(&mut pod.metadata.name);
        let label = pod.metadata.owner_references.first().map_or_else(
            || key.clone(),
            |owner| Str::from(format!("{}/{}", pod.metadata.namespace, owner.name)),
        );
        pod.status = Default::default();
        let shape = self.shape_of_pod(pod)?;
        let id = self.create_pod(NewPod {
            name,
            shape,
            owner: Owner::None,
            label,
            duration: durations.and_then(|durations| durations.first().copied().flatten()),
            delete_at: None,
            revision: 0,
            pinned: None,
        });
        if !node.is_empty() {
            if self.nodes.contains_key(&node) {
                self.untried.retain(|other| *other != id);
                self.bind(id, &node);
            } else {
                self.warn(format!(
                    "Pod `{key}` is bound to node `{node}`, which does not exist; it is scheduled instead"
                ));
            }
        }
        Ok(())
    }

    fn apply_workload(
        &mut self,
        kind: Kind,
        namespace: &str,
        name: &str,
        object: &Value,
        durations: Option<Vec<Option<Nanos>>>,
    ) -> Result<(), Error> {
        let key = WorkloadKey { kind, namespace: namespace.into(), name: name.into() };
        let spec = &object["spec"];
        let number = |field: &str| -> Result<Option<i64>, Error> {
            match &spec[field] {
                Value::Null => Ok(None),
                value => trace::number(&format!("spec.{field}"), value).map(Some),
            }
        };
        let replicas = number("replicas")?.unwrap_or(1);
        let template = spec["template"].clone();
        let old = self.workloads.get(&key);
        let unchanged = old.filter(|old| old.template == template).map(|old| Arc::clone(&old.shape));
        let revision = old.map_or(0, |old| old.revision + u64::from(old.template != template));
        let job_before = old.and_then(|old| old.job.clone()).unwrap_or_default();
        let shape = match unchanged {
            Some(shape) => shape,
            None => self.shape_of_template(&template, "spec.template", namespace, Some(&key))?,
        };
        let amount = |pointer: &str, fallback: IntOrString| {
            spec.pointer(pointer).and_then(|value| IntOrString::deserialize(value).ok()).unwrap_or(fallback)
        };
        let update = match (kind, spec.pointer("/strategy/type").and_then(Value::as_str)) {
            (Kind::Deployment, Some("Recreate")) => Update::Recreate,
            (Kind::Deployment, _) => Update::Rolling {
                max_surge: amount("/strategy/rollingUpdate/maxSurge", IntOrString::Text("25%".into())),
                max_unavailable: amount(
                    "/strategy/rollingUpdate/maxUnavailable",
                    IntOrString::Text("25%".into()),
                ),
            },
            _ => Update::Never,
        };
        let job = if kind == Kind::Job {
            Some(Job {
                parallelism: number("parallelism")?.unwrap_or(1),
                completions: number("completions")?,
                backoff_limit: number("backoffLimit")?.unwrap_or(6),
                suspended: spec["suspend"] == true,
                ..job_before
            })
        } else {
            None
        };
        match self.workloads.get_mut(&key) {
            Some(workload) => {
                workload.shape = shape;
                workload.template = template;
                workload.revision = revision;
                workload.replicas = replicas;
                workload.update = update;
                workload.job = job;
                workload.durations = durations.or(workload.durations.take());
            }
            None => {
                let workload = Workload {
                    shape,
                    template,
                    revision,
                    replicas,
                    update,
                    pods: std::collections::BTreeSet::new(),
                    number: 0,
                    durations,
                    started: 0,
                    job,
                    ordered: spec["podManagementPolicy"] != "Parallel",
                    label: Str::from(format!("{namespace}/{name}")),
                };
                self.workloads.insert(key.clone(), workload);
            }
        }
        self.dirty_workloads.insert(key);
        self.budgets_dirty = true;
        Ok(())
    }

    fn ensure_namespace(&mut self, name: &str) {
        if self.namespaces.contains_key(name) {
            return;
        }
        let labels = [("kubernetes.io/metadata.name", name)].into_iter().collect();
        let mut namespace = Namespace::default();
        namespace.metadata.name = name.into();
        namespace.metadata.labels = labels;
        self.namespaces.insert(name.into(), namespace.metadata.labels.clone());
        self.tell(Event::Namespace(Box::new(namespace)));
    }

    /// Deletes an object with what depends on it.
    pub(crate) fn delete(&mut self, reference: &ObjectReference) {
        let ObjectReference { kind, namespace, name, .. } = reference;
        let path = Str::from(format!("{namespace}/{name}"));
        let stored = self.objects.remove(&(kind.clone(), namespace.clone(), name.clone())).is_some();
        let workload =
            |kind| WorkloadKey { kind, namespace: namespace.as_str().into(), name: name.as_str().into() };
        let found = match kind.as_str() {
            "Pod" => match self.pod_ids.get(&path).copied() {
                Some(id) => {
                    self.delete_pod(id, None);
                    true
                }
                None => false,
            },
            "Node" => {
                let id = self.instances.of_node(name);
                match id.and_then(|id| self.instances.get(id)).map(|it| it.node_claim().is_some()) {
                    Some(false) => id.into_iter().for_each(|id| self.instance_gone(id)),
                    Some(true) | None => self.tell(Event::DeleteNode(name.as_str().into())),
                }
                stored || id.is_some()
            }
            "NodeClaim" => {
                let known = self.instances.of_node_claim(name).is_some();
                self.tell(Event::DeleteNodeClaim(name.as_str().into()));
                stored || known
            }
            "Deployment" => self.delete_workload(&workload(Kind::Deployment)),
            "ReplicaSet" | "ReplicationController" => self.delete_workload(&workload(Kind::ReplicaSet)),
            "StatefulSet" => self.delete_workload(&workload(Kind::StatefulSet)),
            "Job" => self.delete_workload(&workload(Kind::Job)),
            "DaemonSet" => {
                self.tell(Event::DaemonSetGone(path.clone()));
                self.delete_workload(&workload(Kind::DaemonSet))
            }
            "NodePool" | "Provisioner" => {
                self.objects.remove(&("NodePool".to_owned(), String::new(), name.clone()));
                self.tell(Event::NodePoolGone(name.as_str().into()));
                true
            }
            "NodeOverlay" => {
                self.tell(Event::NodeOverlayGone(name.as_str().into()));
                stored
            }
            "PodDisruptionBudget" => {
                self.tell(Event::PodDisruptionBudgetGone(path.clone()));
                self.budgets.remove(&path).is_some()
            }
            _ => self.delete_workload(&workload(Kind::Other)) || stored,
        };
        if !found {
            self.warn(format!("{kind} `{}` is deleted but does not exist", path.trim_start_matches('/')));
        }
    }

    fn delete_workload(&mut self, key: &WorkloadKey) -> bool {
        let found = self.workloads.contains_key(key);
        self.remove_workload(key);
        found
    }

    pub(crate) fn apply_group(&mut self, group: &NodeGroup) -> Result<(), Error> {
        self.add_group(group)
    }
}

/// Objects of a node class that the provider does not have: another Karpenter sees to them.
pub(super) fn of_another_karpenter(what: &str, class: &NodeClassReference) -> String {
    format!(
        "{what} of the node class {} ({}) are another Karpenter's: nothing is done about them",
        class.kind, class.group
    )
}

/// `group/version.Kind`, as `podTemplatePaths` names kinds.
fn full_kind(object: &Value) -> String {
    let text = |field: &str| object[field].as_str().unwrap_or_default();
    format!("{}.{}", text("apiVersion"), text("kind"))
}
