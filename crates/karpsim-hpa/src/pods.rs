//! The pods of the target, and which of them count.

use crate::Options;
use crate::amount::Nanos;
use crate::metrics::PodSample;
use crate::status::ConditionStatus;
use karpsim::model::core::PodSpec;
use std::collections::BTreeMap;

/// A pod that the scale's selector finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pod<'a> {
    /// Name.
    pub name: &'a str,
    /// `status.phase`.
    pub phase: PodPhase,
    /// It has a deletion timestamp.
    pub is_deleting: bool,
    /// The condition `Ready`, if it has one.
    pub ready: Option<Ready>,
    /// `status.startTime`: when the kubelet took it. The API server keeps whole seconds.
    pub started_at: Option<Nanos>,
    /// Its spec, of which the requests count.
    pub spec: &'a PodSpec,
}

/// `status.phase` of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PodPhase {
    /// Not all containers were started yet.
    Pending,
    /// At least one container runs.
    Running,
    /// All containers ended well.
    Succeeded,
    /// A container ended otherwise.
    Failed,
    /// The node does not answer.
    Unknown,
}

/// The condition `Ready` of a pod.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ready {
    /// Its status.
    pub status: ConditionStatus,
    /// Since when it has it. The API server keeps whole seconds.
    pub since: Nanos,
}

/// How many pods run and are ready; those being deleted count.
pub(crate) fn ready_count(pods: &[Pod<'_>]) -> usize {
    let is_ready = |pod: &&Pod<'_>| {
        pod.phase == PodPhase::Running && pod.ready.is_some_and(|ready| ready.status == ConditionStatus::True)
    };
    pods.iter().filter(is_ready).count()
}

/// The pods of the target, sorted by what their samples are worth. Pods that failed or are being deleted are in none of
/// the groups.
pub(crate) struct Groups<'a> {
    /// How many have a sample that counts.
    pub(crate) ready_count: usize,
    /// Starting, or with a sample of their start.
    pub(crate) unready: Vec<&'a str>,
    /// Without a sample.
    pub(crate) missing: Vec<&'a str>,
    /// The samples that are left: those that count, and those of pods that the selector does not find.
    pub(crate) values_milli: BTreeMap<&'a str, i64>,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(
        pods: &[Pod<'a>],
        samples: &'a [PodSample],
        is_cpu: bool,
        now: Nanos,
        options: &Options,
    ) -> Self {
        let measured = samples.iter().filter_map(|sample| {
            let value_milli = sample.value_milli?;
            Some((sample.pod.as_str(), (value_milli, sample)))
        });
        let mut measured: BTreeMap<&str, (i64, &PodSample)> = measured.collect();
        let (mut ready_count, mut unready, mut missing) = (0, Vec::new(), Vec::new());
        for pod in pods {
            if pod.is_deleting || pod.phase == PodPhase::Failed {
                measured.remove(pod.name);
            } else if pod.phase == PodPhase::Pending {
                measured.remove(pod.name);
                unready.push(pod.name);
            } else if let Some((_, sample)) = measured.get(pod.name) {
                if is_cpu && is_of_start(pod, sample, now, options) {
                    measured.remove(pod.name);
                    unready.push(pod.name);
                } else {
                    ready_count += 1;
                }
            } else {
                missing.push(pod.name);
            }
        }
        let values_milli = measured.into_iter().map(|(pod, (value_milli, _))| (pod, value_milli)).collect();
        Groups { ready_count, unready, missing, values_milli }
    }
}

/// Whether a cpu sample tells of a pod's start rather than of its work.
fn is_of_start(pod: &Pod<'_>, sample: &PodSample, now: Nanos, options: &Options) -> bool {
    let (Some(ready), Some(started_at)) = (pod.ready, pod.started_at) else { return true };
    let is_unready = ready.status == ConditionStatus::False;
    if started_at.saturating_add(options.cpu_initialization_period) > now {
        // One whole window must lie behind the moment at which it became ready.
        is_unready || sample.at < ready.since.saturating_add(sample.window)
    } else {
        // It was never ready if it has been unready since shortly after its start.
        is_unready && ready.since < started_at.saturating_add(options.initial_readiness_delay)
    }
}
