//! A workload: what makes pods.

use crate::scheduler::{PodId, Shape};
use karpsim::model::meta::{IntOrString, Str};
use karpsim_controller::Nanos;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What kind of workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    /// Of a kind that karpsim does not know: its pods are made once.
    Other,
}

/// Names a workload. Workloads react in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorkloadKey {
    pub(crate) kind: Kind,
    pub(crate) namespace: Str,
    pub(crate) name: Str,
}

impl WorkloadKey {
    /// As messages name it.
    pub(crate) fn title(&self) -> String {
        format!("{:?} `{}/{}`", self.kind, self.namespace, self.name)
    }
}

/// A workload.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) shape: Arc<Shape>,
    /// The template as it was written; a change makes a new revision.
    pub(crate) template: Value,
    pub(crate) revision: u64,
    pub(crate) replicas: i64,
    pub(crate) update: Update,
    pub(crate) pods: BTreeSet<PodId>,
    /// The number of the last pod's name.
    pub(crate) number: u64,
    /// How long the n-th pod that starts runs.
    pub(crate) durations: Option<Vec<Option<Nanos>>>,
    pub(crate) started: usize,
    pub(crate) job: Option<Job>,
    /// A StatefulSet's pods come one by one.
    pub(crate) ordered: bool,
    pub(crate) label: Str,
}

/// How a new template is rolled out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Update {
    Rolling {
        max_surge: IntOrString,
        max_unavailable: IntOrString,
    },
    Recreate,
    /// Pods keep the template that they were made from.
    Never,
}

/// What a Job remembers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Job {
    pub(crate) parallelism: i64,
    /// `None`: a work queue, done when one has succeeded and none runs.
    pub(crate) completions: Option<i64>,
    pub(crate) backoff_limit: i64,
    pub(crate) suspended: bool,
    pub(crate) succeeded: i64,
    pub(crate) failed: i64,
    pub(crate) failed_since_success: u32,
    /// New pods wait until then.
    pub(crate) not_before: Nanos,
}

impl Workload {
    /// How many pods a budget expects.
    pub(crate) fn scale(&self) -> i64 {
        match &self.job {
            Some(job) => job.parallelism,
            None => self.replicas,
        }
    }

    /// How long the pod that starts now runs.
    pub(crate) fn next_duration(&mut self) -> Option<Nanos> {
        let durations = self.durations.as_ref()?;
        let place = self.started;
        self.started += 1;
        // Pods beyond the list stand for ones that were evicted.
        durations.get(place).or(durations.last()).copied().flatten()
    }
}
