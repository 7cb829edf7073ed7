//! Objects as the API server returns them, put into a view.

use crate::view::ClusterView;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::Arc;

/// Why an object was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ObjectError {
    /// It does not say what it is.
    #[error("an object has no `kind`")]
    NoKind,
    /// It has another form than its kind.
    #[error("{kind} `{name}`: {source}")]
    Form {
        /// Its kind.
        kind: String,
        /// Its name.
        name: String,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// What counts of a controller.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Controller {
    metadata: Metadata,
    spec: ControllerSpec,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    name: String,
    namespace: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ControllerSpec {
    replicas: Option<i64>,
}

/// What counts of a ConfigMap.
#[derive(Default, Deserialize)]
#[serde(default)]
struct ConfigMap {
    metadata: Metadata,
    data: std::collections::BTreeMap<String, String>,
}

/// What counts of a namespace.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Namespace {
    metadata: karpsim::model::meta::ObjectMeta,
}

impl ClusterView {
    /// Puts an object into its list. Returns whether its kind plays a part.
    ///
    /// # Errors
    ///
    /// If it has no kind, or is not of the form of its kind.
    pub fn insert(&mut self, object: Value) -> Result<bool, ObjectError> {
        let kind = object.get("kind").and_then(Value::as_str).ok_or(ObjectError::NoKind)?.to_owned();
        match kind.as_str() {
            "Node" => self.nodes.push(read(&kind, object)?),
            "Pod" => self.pods.push(read(&kind, object)?),
            "DaemonSet" => self.daemon_sets.push(read(&kind, object)?),
            "PodDisruptionBudget" => self.disruption_budgets.push(read(&kind, object)?),
            "PersistentVolume" => self.persistent_volumes.push(read(&kind, object)?),
            "PersistentVolumeClaim" => self.persistent_volume_claims.push(read(&kind, object)?),
            "StorageClass" => self.storage_classes.push(read(&kind, object)?),
            "CSINode" => self.csi_nodes.push(read(&kind, object)?),
            "ReplicaSet" | "StatefulSet" | "ReplicationController" | "Job" => {
                let it: Arc<Controller> = read(&kind, object)?;
                self.controllers.insert(&kind, &it.metadata.namespace, &it.metadata.name, it.spec.replicas);
            }
            "ConfigMap" => {
                let it: Arc<ConfigMap> = read(&kind, object)?;
                let Metadata { name, namespace } = &it.metadata;
                if namespace != "kube-system" || name != "cluster-autoscaler-priority-expander" {
                    return Ok(false);
                }
                self.expander_priorities = it.data.get("priorities").cloned();
            }
            "Namespace" => {
                let it: Arc<Namespace> = read(&kind, object)?;
                self.namespaces.insert(it.metadata.name.clone(), it.metadata.labels.clone());
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn read<T: DeserializeOwned>(kind: &str, object: Value) -> Result<Arc<T>, ObjectError> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    serde_json::from_value(object).map(Arc::new).map_err(|source| ObjectError::Form {
        kind: kind.to_owned(),
        name,
        source,
    })
}
