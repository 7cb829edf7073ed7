//! Objects as JSON into what the world works with.

use super::World;
use super::workload::{Kind, WorkloadKey};
use super::workloads::daemon_tolerations;
use crate::error::Error;
use crate::scheduler::Shape;
use karpsim::input::resources;
use karpsim::input::{self, Findings, Object};
use karpsim::model::core::{Pod, TaintEffect, Toleration, TolerationOperator};
use karpsim::model::meta::{ObjectMeta, OwnerReference, Str};
use karpsim::problem::{Problem, near_miss};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

impl World<'_> {
    /// Reads an object as the door does.
    pub(crate) fn read<T: Object + DeserializeOwned>(&mut self, object: &Value) -> Result<T, Error> {
        let mut findings = Findings::default();
        let read = input::read_object(object, &mut findings);
        self.warn_of(&findings);
        read.map_err(inside)
    }

    fn warn_of(&mut self, findings: &Findings) {
        for finding in findings.iter() {
            self.warn(finding.to_string());
        }
    }

    /// The shape of the pods that a template makes.
    pub(crate) fn shape_of_template(
        &mut self,
        template: &Value,
        prefix: &str,
        namespace: &str,
        owner: Option<&WorkloadKey>,
    ) -> Result<Arc<Shape>, Error> {
        let mut findings = Findings::default();
        let title = owner.map_or_else(|| "PodTemplate".to_owned(), WorkloadKey::title);
        let read = input::read_template(template, &title, &mut findings);
        self.warn_of(&findings);
        let template = read.map_err(|problem| inside(problem).below(prefix))?;
        let mut pod = Pod {
            metadata: ObjectMeta {
                namespace: namespace.into(),
                labels: template.metadata.labels,
                annotations: template.metadata.annotations,
                ..ObjectMeta::default()
            },
            spec: template.spec,
            ..Pod::default()
        };
        if let Some(key) = owner {
            pod.metadata.owner_references.push(owner_reference(key));
            if key.kind == Kind::DaemonSet {
                pod.spec.tolerations.extend(daemon_tolerations());
            }
        }
        self.shape_of_pod(pod)
    }

    /// The shape of a pod, with what admission adds to it.
    pub(crate) fn shape_of_pod(&mut self, mut pod: Pod) -> Result<Arc<Shape>, Error> {
        if pod.spec.priority.is_none() {
            pod.spec.priority = Some(self.priority(&pod.spec.priority_class_name)?);
        }
        for name in ["not-ready", "unreachable"] {
            let key = Str::from(format!("node.kubernetes.io/{name}"));
            let tolerated = pod.spec.tolerations.iter().any(|it| {
                (it.key == key || it.key.is_empty())
                    && it.effect.is_none_or(|it| it == TaintEffect::NoExecute)
            });
            if !tolerated {
                pod.spec.tolerations.push(Toleration {
                    key,
                    operator: Some(TolerationOperator::Exists),
                    effect: Some(TaintEffect::NoExecute),
                    toleration_seconds: Some(300),
                    ..Toleration::default()
                });
            }
        }
        if pod.spec.termination_grace_period_seconds.is_none() {
            pod.spec.termination_grace_period_seconds = Some(30);
        }
        pod.status.phase = "Pending".into();
        self.warn_of_requests(&pod);
        self.classes += 1;
        Ok(Arc::new(Shape::new(self.classes, pod)))
    }

    /// Pods that ask for what nothing has wait. Each resource is looked for once.
    fn warn_of_requests(&mut self, pod: &Pod) {
        for resource in resources::requested(&pod.spec) {
            if self.resources_sought.contains(resource) {
                continue;
            }
            self.resources_sought.insert(resource.into());
            if !self.has_resource(resource) {
                self.warn(resources::request_without_resource(resource, self.cloud.catalogue()).to_string());
            }
        }
    }

    fn has_resource(&self, resource: &str) -> bool {
        let mut overlays = self.objects.iter().filter(|((kind, ..), _)| kind == "NodeOverlay");
        self.cloud.catalogue().instance_types.iter().any(|it| resources::has(&it.capacity, resource))
            || self.nodes.values().any(|it| resources::has(&it.node.status.allocatable, resource))
            || overlays.any(|(_, it)| it["spec"]["capacity"].get(resource).is_some())
    }

    fn priority(&self, class: &str) -> Result<i64, Error> {
        match class {
            "" => Ok(self
                .priority_classes
                .values()
                .find(|(_, is_default)| *is_default)
                .map_or(0, |(value, _)| *value)),
            "system-cluster-critical" => Ok(2_000_000_000),
            "system-node-critical" => Ok(2_000_001_000),
            _ => self.priority_classes.get(class).map(|(value, _)| *value).ok_or_else(|| {
                let near = near_miss(class, self.priority_classes.keys().map(String::as_str));
                Error::new("spec.priorityClassName", format!("PriorityClass `{class}` not found"))
                    .hint(near.map(|near| format!("did you mean `{near}`?")))
            }),
        }
    }
}

/// What is wrong with an object, for whoever names the object.
pub(super) fn inside(problem: Problem) -> Error {
    Error::new(problem.place.path.as_str(), problem.kind.to_string()).hint(problem.hint())
}

/// The reference in a pod to what made it. Pods of a Deployment belong to its ReplicaSet.
fn owner_reference(key: &WorkloadKey) -> OwnerReference {
    let (api_version, kind) = match key.kind {
        Kind::Deployment | Kind::ReplicaSet => ("apps/v1", "ReplicaSet"),
        Kind::StatefulSet => ("apps/v1", "StatefulSet"),
        Kind::DaemonSet => ("apps/v1", "DaemonSet"),
        Kind::Job => ("batch/v1", "Job"),
        Kind::Other => ("karpsim.dev/v1alpha1", "Other"),
    };
    OwnerReference {
        api_version: api_version.into(),
        kind: kind.into(),
        name: key.name.clone(),
        uid: Str::from(format!("{kind}-{}-{}", key.namespace, key.name)),
        controller: true,
        ..OwnerReference::default()
    }
}
