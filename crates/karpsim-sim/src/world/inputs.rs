//! What the trace says that happens.

use super::instances::InstanceId;
use super::pods::{NewPod, Owner};
use super::workload::{Kind, WorkloadKey};
use super::{Happening, World};
use crate::error::Error;
use crate::result::MarkRecord;
use crate::scheduler::Shape;
use crate::trace::seconds::shown;
use crate::trace::{Batch, EventKind, Interrupt, NewPrice, ObjectReference, Offerings, Pick, TraceEvent};
use karpsim::input::defaults;
use karpsim::model::meta::Str;
use karpsim::problem::near_miss;
use karpsim_controller::{Event, Interruption, Nanos};
use std::sync::Arc;

impl World<'_> {
    /// An event of the trace.
    pub(crate) fn input(&mut self, event: TraceEvent) -> Result<(), Error> {
        let name = kind_name(&event.kind);
        self.log("input", "", || vec![("index", event.index.into()), ("kind", name.into())]);
        let (line, index, file) = (event.line, event.index, event.file);
        self.take_in(event.kind).map_err(|error| {
            let error = if error.path.is_empty() { error } else { error.below(name) };
            let error = if line > 0 { error.at_line(line) } else { error.below(&format!("events[{index}]")) };
            error.of_file(file)
        })
    }

    fn take_in(&mut self, kind: EventKind) -> Result<(), Error> {
        match kind {
            EventKind::Apply { objects, durations } => {
                for object in objects {
                    self.apply(object, durations.clone())?;
                }
            }
            EventKind::Delete(references) => {
                for reference in &references {
                    self.delete(reference);
                }
            }
            EventKind::Scale { target, replicas } => self.scale(&target, replicas)?,
            EventKind::Pods(batch) => self.add_batch(*batch)?,
            EventKind::Nodes(group) => self.apply_group(&group)?,
            EventKind::Interrupt(interrupt) => self.interrupt(&interrupt),
            EventKind::Unavailable { offerings, duration } => {
                let until = duration.map(|duration| self.now.saturating_add(duration));
                if let Some(until) = until {
                    self.push(until, Happening::Availability);
                }
                self.cloud.set_unavailable(offerings, until);
            }
            EventKind::Available(offerings) => self.cloud.set_available(offerings),
            EventKind::Capacity { offerings, limit, notice } => {
                self.cloud.set_limit(offerings.clone(), limit);
                if let Some(limit) = limit {
                    self.shrink(&offerings, limit, notice);
                }
            }
            EventKind::Price { offerings, price } => self.change_price(&offerings, price),
            EventKind::Metric(_) => {
                self.warn("metric: HorizontalPodAutoscalers are not modelled, so samples have no effect");
            }
            EventKind::Mark(text) => {
                self.log("mark", "", || vec![("text", text.as_str().into())]);
                self.marks.push(MarkRecord { at: shown(self.now), text });
            }
        }
        Ok(())
    }

    /// What runs is paid at the new price from now on, and Karpenter compares with it.
    fn change_price(&mut self, offerings: &Offerings, price: NewPrice) {
        self.price_events.seen += 1;
        let Some(changes) = self.cloud.set_price(offerings, price) else {
            self.price_events.without_offering += 1;
            return;
        };
        if changes.is_empty() {
            return;
        }
        let changed = self.cloud.changed(&changes);
        for (_, instance) in self.instances.iter() {
            if let Some(key) = instance.offering.as_ref().filter(|key| changed.contains(key))
                && let Some(price) = self.cloud.price(key)
            {
                self.ledger.reprice(instance.entry, price, self.now);
            }
        }
        self.tell(Event::Prices(changes));
    }

    fn scale(&mut self, target: &ObjectReference, replicas: i64) -> Result<(), Error> {
        let stored = (target.kind.clone(), target.namespace.clone(), target.name.clone());
        if target.kind == "NodePool" {
            let Some(mut object) = self.objects.get(&stored).cloned() else {
                return Err(self.nothing_to_scale(target));
            };
            object["spec"]["replicas"] = replicas.into();
            return self.apply(object, None);
        }
        let kind = match target.kind.as_str() {
            "Deployment" => Kind::Deployment,
            "StatefulSet" => Kind::StatefulSet,
            _ => Kind::ReplicaSet,
        };
        let key = WorkloadKey {
            kind,
            namespace: target.namespace.as_str().into(),
            name: target.name.as_str().into(),
        };
        if !self.workloads.contains_key(&key) {
            return Err(self.nothing_to_scale(target));
        }
        if let Some(workload) = self.workloads.get_mut(&key) {
            workload.replicas = replicas;
        }
        if let Some(object) = self.objects.get_mut(&stored) {
            object["spec"]["replicas"] = replicas.into();
        }
        self.dirty_workloads.insert(key);
        self.budgets_dirty = true;
        Ok(())
    }

    fn nothing_to_scale(&self, target: &ObjectReference) -> Error {
        let names =
            self.objects.keys().filter(|(kind, ..)| *kind == target.kind).map(|(_, _, name)| name.as_str());
        let near = near_miss(&target.name, names);
        let who = if target.namespace.is_empty() {
            target.name.clone()
        } else {
            format!("{}/{}", target.namespace, target.name)
        };
        Error::new("name", format!("{} `{who}` not found", target.kind))
            .hint(near.map(|near| format!("did you mean `{near}`?")))
    }

    fn add_batch(&mut self, batch: Batch) -> Result<(), Error> {
        let (template_namespace, template) = self.template(&batch)?;
        let namespace = batch.namespace.clone().unwrap_or_else(|| template_namespace.clone());
        let shape = self.batch_shape(&batch, &template_namespace, &template, &namespace)?;
        let label = Str::from(format!("{namespace}/{}", batch.template));
        let batch = Arc::new(batch);
        for index in 0..batch.count {
            let name = self.batch_pod_name(&batch, false);
            let lifetime = batch.lifetime.as_ref().and_then(|times| times.of(index));
            self.create_pod(NewPod {
                name,
                shape: Arc::clone(&shape),
                owner: Owner::Batch(Arc::clone(&batch)),
                label: label.clone(),
                duration: batch.duration.as_ref().and_then(|times| times.of(index)),
                delete_at: lifetime.map(|lifetime| self.now.saturating_add(lifetime)),
                revision: 0,
                pinned: None,
            });
        }
        Ok(())
    }

    /// The name of the next pod of a batch; one that takes another's place cannot have its name while that is there.
    pub(crate) fn batch_pod_name(&mut self, batch: &Batch, again: bool) -> Str {
        if let Some(name) = batch.name.as_ref().filter(|_| !again) {
            return name.as_str().into();
        }
        let prefix = batch.name.as_ref().or(batch.name_prefix.as_ref()).unwrap_or(&batch.template);
        let number = self.batch_numbers.entry(prefix.clone()).or_default();
        *number += 1;
        Str::from(format!("{prefix}-{number}"))
    }

    /// The PodTemplate that a batch names: in its namespace, else the only one of that name.
    fn template(&self, batch: &Batch) -> Result<(String, String), Error> {
        let templates = || {
            self.objects
                .keys()
                .filter(|(kind, ..)| kind == "PodTemplate")
                .map(|(_, namespace, name)| (namespace, name))
        };
        let home = batch.namespace.as_deref().unwrap_or("default");
        if let Some((namespace, name)) =
            templates().find(|(namespace, name)| **name == batch.template && *namespace == home)
        {
            return Ok((namespace.clone(), name.clone()));
        }
        let mut named = templates().filter(|(_, name)| **name == batch.template);
        match (named.next(), named.next()) {
            (Some((namespace, name)), None) => Ok((namespace.clone(), name.clone())),
            (Some(_), Some(_)) => Err(Error::new(
                "template",
                format!(
                    "PodTemplate `{}` exists in more than one namespace, but not in `{home}`",
                    batch.template
                ),
            )),
            _ => {
                let near = near_miss(&batch.template, templates().map(|(_, name)| name.as_str()));
                Err(Error::new("template", format!("PodTemplate `{}` not found", batch.template))
                    .hint(near.map(|near| format!("did you mean `{near}`?"))))
            }
        }
    }

    fn batch_shape(
        &mut self,
        batch: &Batch,
        template_namespace: &str,
        template: &str,
        namespace: &str,
    ) -> Result<Arc<Shape>, Error> {
        let mut key = format!("{template_namespace}/{template}\n{namespace}\n");
        for (name, quantity) in batch.requests.iter() {
            key.push_str(&format!("{name}={}\n", quantity.nanos()));
        }
        for (name, value) in batch.labels.iter() {
            key.push_str(&format!("{name}: {value}\n"));
        }
        if let Some(shape) = self.shapes.get(&key) {
            return Ok(Arc::clone(shape));
        }
        let stored = ("PodTemplate".to_owned(), template_namespace.to_owned(), template.to_owned());
        let mut value =
            self.objects.get(&stored).map(|object| object["template"].clone()).unwrap_or_default();
        defaults::fill_in_pod_template(&mut value);
        let base = self.shape_of_template(&value, "template", namespace, None)?;
        let shape = if batch.requests.is_empty() && batch.labels.is_empty() {
            base
        } else {
            let mut pod = (*base.prototype).clone();
            for (name, value) in batch.labels.iter() {
                pod.metadata.labels.insert(name, value);
            }
            if let Some(container) = pod.spec.containers.first_mut() {
                for (name, quantity) in batch.requests.iter() {
                    container.resources.requests.insert(name, quantity);
                    // Extended resources cannot be overcommitted: what is asked for is the limit, too.
                    if name.contains('/') {
                        container.resources.limits.insert(name, quantity);
                    }
                }
            }
            self.shape_of_pod(pod)?
        };
        self.shapes.insert(key, Arc::clone(&shape));
        Ok(shape)
    }

    /// The cloud takes nodes back.
    fn interrupt(&mut self, interrupt: &Interrupt) {
        let chosen = match &interrupt.nodes {
            Some(names) => {
                let mut there = Vec::new();
                for name in names {
                    let node = self.instances.of_node(name);
                    match node.or_else(|| self.instances.of_node_claim(name)) {
                        Some(id) => there.push(id),
                        None => self.warn(format!("interrupt: node `{name}` not found")),
                    }
                }
                there
            }
            None => {
                let mut running = self.running(&interrupt.offerings);
                match interrupt.pick {
                    Pick::Name => running.sort_by(|a, b| a.1.cmp(&b.1)),
                    Pick::Oldest => running.sort(),
                    Pick::Newest => running.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1))),
                }
                let count = match (interrupt.count, interrupt.fraction) {
                    (Some(count), _) => count,
                    (None, Some(fraction)) => (fraction * running.len() as f64).ceil() as usize,
                    (None, None) => running.len(),
                };
                running.into_iter().take(count).map(|(.., id)| id).collect()
            }
        };
        for id in chosen {
            self.take_back(id, interrupt.reason, interrupt.notice);
        }
    }

    /// Instances of `offerings` that run and are not taken back yet: when they were launched, and the names of their nodes.
    fn running(&self, offerings: &Offerings) -> Vec<(Nanos, Str, InstanceId)> {
        self.instances
            .iter()
            .filter(|(_, instance)| !instance.interrupted)
            .filter(|(_, instance)| {
                instance.offering.as_ref().is_some_and(|key| self.cloud.selects(offerings, key))
            })
            .filter_map(|(id, instance)| Some((instance.launched?, instance.name(), id)))
            .collect()
    }

    /// There may be at most `limit` nodes of `offerings`: the newest of those that are too many go.
    fn shrink(&mut self, offerings: &Offerings, limit: u64, notice: Nanos) {
        let mut running = self.running(offerings);
        running.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| b.1.cmp(&a.1)));
        let surplus = running.len().saturating_sub(usize::try_from(limit).unwrap_or(usize::MAX));
        for (.., id) in running.into_iter().take(surplus) {
            self.take_back(id, Interruption::Spot, notice);
        }
    }

    fn take_back(&mut self, id: InstanceId, reason: Interruption, notice: Nanos) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let (name, provider_id) = (instance.name(), instance.provider_id().clone());
        if reason != Interruption::Rebalance {
            instance.interrupted = true;
            self.after(notice, Happening::InstanceLost(id));
        }
        self.log("node", "interrupted", || vec![("node", name.as_str().into())]);
        self.tell(Event::Interruption { provider_id, interruption: reason });
    }
}

fn kind_name(kind: &EventKind) -> &'static str {
    match kind {
        EventKind::Apply { .. } => "apply",
        EventKind::Delete(_) => "delete",
        EventKind::Scale { .. } => "scale",
        EventKind::Pods(_) => "pods",
        EventKind::Nodes(_) => "nodes",
        EventKind::Interrupt(_) => "interrupt",
        EventKind::Unavailable { .. } => "unavailable",
        EventKind::Available(_) => "available",
        EventKind::Capacity { .. } => "capacity",
        EventKind::Price { .. } => "price",
        EventKind::Metric(_) => "metric",
        EventKind::Mark(_) => "mark",
    }
}
