//! Objects as JSON into what the world works with.

use super::World;
use super::workload::{Kind, WorkloadKey};
use super::workloads::daemon_tolerations;
use crate::error::Error;
use crate::scheduler::Shape;
use karpsim::api::core::{Pod, PodTemplateSpec, TaintEffect, Toleration, TolerationOperator};
use karpsim::api::meta::{ObjectMeta, OwnerReference, Str};
use karpsim::api::problem::near_miss;
use karpsim::api::wire::{Audit, LeftoverField, Path, Sink};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Fields of an object that found no place.
#[derive(Default)]
struct Leftovers(Vec<(String, LeftoverField, &'static [&'static str])>);

impl Sink for Leftovers {
    fn leftover(&mut self, path: &Path<'_>, field: &LeftoverField, known: &'static [&'static str]) {
        self.0.push((path.to_string(), field.clone(), known));
    }
}

impl World<'_> {
    /// Reads an object. In Karpenter's kinds an unknown field is an error, in others only if it nearly is a known one.
    pub(crate) fn read<T: DeserializeOwned + Audit>(&mut self, object: &Value) -> Result<T, Error> {
        let kind = object["kind"].as_str().unwrap_or_default().to_owned();
        let strict = object["apiVersion"].as_str().unwrap_or_default().starts_with("karpenter.sh/");
        self.read_part(object, &kind, "", strict)
    }

    fn read_part<T: DeserializeOwned + Audit>(
        &mut self,
        value: &Value,
        kind: &str,
        prefix: &str,
        strict: bool,
    ) -> Result<T, Error> {
        let read: T = T::deserialize(value).map_err(|error| Error::new(prefix, error.to_string()))?;
        let mut leftovers = Leftovers::default();
        read.audit(&Path::ROOT, &mut leftovers);
        for (path, field, known) in leftovers.0 {
            let place = [prefix, &path, &field.name]
                .into_iter()
                .filter(|it| !it.is_empty())
                .collect::<Vec<_>>()
                .join(".");
            if field.unmodelled {
                self.warn(format!("{kind}: `{place}` is not modelled"));
                continue;
            }
            let near = near_miss(&field.name, known.iter().copied());
            if strict || near.is_some() {
                let hint = match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!(
                        "known here: {}",
                        known.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
                    ),
                };
                return Err(Error::new(place, "unknown field").hint(Some(hint)));
            }
            self.warn(format!("{kind}: the unknown field `{place}` is ignored"));
        }
        Ok(read)
    }

    /// The shape of the pods that a template makes.
    pub(crate) fn shape_of_template(
        &mut self,
        template: &Value,
        prefix: &str,
        namespace: &str,
        owner: Option<&WorkloadKey>,
    ) -> Result<Arc<Shape>, Error> {
        let template: PodTemplateSpec = self.read_part(template, "template", prefix, false)?;
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
        for container in pod.spec.containers.iter().chain(&pod.spec.init_containers) {
            if let Some((name, _)) =
                container.resources.requests.iter().find(|(_, quantity)| quantity.is_negative())
            {
                let path = format!("containers[name={}].resources.requests.{name}", container.name);
                return Err(Error::new(path, "is negative"));
            }
        }
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
        self.classes += 1;
        Ok(Arc::new(Shape::new(self.classes, pod)))
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
                Error::new("spec.priorityClassName", format!("there is no PriorityClass `{class}`"))
                    .hint(near.map(|near| format!("did you mean `{near}`?")))
            }),
        }
    }
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
