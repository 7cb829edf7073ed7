//! How many replicas one metric asks for.
//!
//! Everything is a ratio of what is to what should be, times a number of pods. What differs is whose value it is (one
//! for all, or one a pod), and so which pods the ratio is multiplied by:
//!
//! - a value for all: those that are ready;
//! - a value for all, as an average: none, the value is divided by the target;
//! - a value a pod: those with a sample that counts. If pods are starting or have no sample, the ratio is
//!   calculated once more as if theirs were such that less is changed; what then asks for the other direction, or
//!   for nothing, changes nothing.
//!
//! Integers and doubles are mixed as in kube-controller-manager, operation by operation, because whether a ratio is
//! within the tolerance hangs on the last bit.

use crate::Options;
use crate::amount::{Nanos, ceil_i32, ceil_i64};
use crate::error::{MetricErrorCause, SelectorFault, shown_selector};
use crate::metrics::{Metrics, PodSample, Unavailable};
use crate::pods::{Groups, Pod, ready_count};
use crate::requests;
use crate::spec::{MetricSpec, ResourceTarget, ValueTarget};
use crate::status::MetricValue;
use crate::tolerance::Tolerance;
use karpsim::model::autoscaling::MetricIdentifier;
use std::collections::BTreeMap;

/// What is seen at the moment of a sync.
pub(crate) struct Observed<'a, M> {
    pub(crate) now: Nanos,
    pub(crate) options: &'a Options,
    pub(crate) tolerance: Tolerance,
    /// What the scale asks for.
    pub(crate) replicas: i32,
    /// How many replicas the scale's status counts.
    pub(crate) status_replicas: i32,
    pub(crate) pods: &'a [Pod<'a>],
    pub(crate) metrics: &'a M,
}

/// What a metric asks for, and what it was.
pub(crate) struct Proposal {
    pub(crate) replicas: i32,
    pub(crate) current: MetricValue,
}

impl<M: Metrics> Observed<'_, M> {
    /// What `metric` asks for.
    pub(crate) fn proposal(&self, metric: &MetricSpec) -> Result<Proposal, MetricErrorCause> {
        match metric {
            MetricSpec::Resource { name, target } => self.of_resource(name, None, *target),
            MetricSpec::ContainerResource { name, container, target } => {
                self.of_resource(name, Some(container), *target)
            }
            MetricSpec::Pods { metric, average_value_milli } => {
                check_selector(metric)?;
                let samples = listed(self.metrics.pods(metric))?;
                self.of_samples(
                    &samples,
                    &SampleTarget::Average { milli: *average_value_milli, is_cpu: false },
                )
            }
            MetricSpec::Object { metric, described_object, target } => {
                check_selector(metric)?;
                let target = target.ok_or(MetricErrorCause::NoTarget)?;
                let value =
                    self.metrics.object(described_object, metric).map_err(MetricErrorCause::Unavailable)?;
                match target {
                    ValueTarget::Value { milli } => self.of_value(value, milli),
                    ValueTarget::AverageValue { milli } => Ok(self.of_average(value, milli, f64::INFINITY)),
                }
            }
            MetricSpec::External { metric, target } => {
                let target = target.ok_or(MetricErrorCause::NoTarget)?;
                check_selector(metric)?;
                let values = listed(self.metrics.external(metric))?;
                match target {
                    ValueTarget::Value { milli } => self.of_value(sum_up_to_largest(&values), milli),
                    ValueTarget::AverageValue { milli } => {
                        Ok(self.of_average(sum_while_positive(&values), milli, f64::from(i32::MAX)))
                    }
                }
            }
        }
    }

    /// One value for all pods, against a target for all: the ratio times the pods that are ready, not the replicas. So
    /// less is asked for while pods are starting.
    fn of_value(&self, value_milli: i64, target_milli: i64) -> Result<Proposal, MetricErrorCause> {
        let ratio = value_milli as f64 / target_milli as f64;
        let replicas = if self.replicas == 0 {
            ceil_i32(ratio)
        } else if self.tolerance.allows(ratio) {
            self.replicas
        } else if self.pods.is_empty() {
            return Err(MetricErrorCause::NoPods);
        } else {
            let replicas = ratio * ready_count(self.pods) as f64;
            if replicas > f64::from(i32::MAX) { i32::MAX } else { ceil_i32(replicas) }
        };
        Ok(Proposal { replicas, current: MetricValue::Value { milli: value_milli } })
    }

    /// One value for all pods, against a target a pod: the value divided by the target. The replicas of the scale's status
    /// say only whether the ratio is within the tolerance. More than `most` is the largest number of replicas there is.
    fn of_average(&self, value_milli: i64, target_milli: i64, most: f64) -> Proposal {
        let status_replicas = f64::from(self.status_replicas);
        let (value, target) = (value_milli as f64, target_milli as f64);
        let ratio = value / (target * status_replicas);
        let replicas = if self.tolerance.allows(ratio) {
            self.status_replicas
        } else {
            let replicas = (value / target).ceil();
            if replicas > most { i32::MAX } else { ceil_i32(replicas) }
        };
        // Only External metrics, whose sum stops at the largest integer, take it for one that could not be held.
        let is_too_large = most.is_finite() && value >= i64::MAX as f64;
        let milli = if is_too_large { i64::MAX } else { ceil_i64(value / status_replicas) };
        Proposal { replicas, current: MetricValue::AverageValue { milli } }
    }

    fn of_resource(
        &self,
        resource: &str,
        container: Option<&str>,
        target: Option<ResourceTarget>,
    ) -> Result<Proposal, MetricErrorCause> {
        let target = target.ok_or(MetricErrorCause::NoTarget)?;
        let samples = listed(self.metrics.resource(resource, container))?;
        let target = match target {
            ResourceTarget::AverageValue { milli } => {
                SampleTarget::Average { milli, is_cpu: resource == "cpu" }
            }
            ResourceTarget::AverageUtilization { percent } => {
                SampleTarget::Utilization { percent, resource, container }
            }
        };
        self.of_samples(&samples, &target)
    }

    /// A value a pod.
    fn of_samples(
        &self,
        samples: &[PodSample],
        target: &SampleTarget<'_>,
    ) -> Result<Proposal, MetricErrorCause> {
        if self.pods.is_empty() {
            return Err(MetricErrorCause::NoPods);
        }
        let Groups { ready_count, unready, missing, mut values_milli } =
            Groups::new(self.pods, samples, target.is_of_cpu(), self.now, self.options);
        if values_milli.is_empty() {
            return Err(MetricErrorCause::NoSamples);
        }
        let gauge = Gauge::new(target, self.pods)?;
        let Reading { ratio, current } = gauge.read(&values_milli)?;
        let proposal = |replicas| Ok(Proposal { replicas, current });

        let unready_matter = ratio > 1.0 && !unready.is_empty();
        if missing.is_empty() && !unready_matter {
            let within = self.tolerance.allows(ratio);
            return proposal(if within { self.replicas } else { ceil_i32(ratio * ready_count as f64) });
        }
        // As if those without a sample used what makes the change smallest.
        for pod in missing {
            if ratio < 1.0 {
                values_milli.insert(pod, gauge.full_milli(pod));
            } else if ratio > 1.0 {
                values_milli.insert(pod, 0);
            }
        }
        if unready_matter {
            values_milli.extend(unready.into_iter().map(|pod| (pod, 0)));
        }
        let Reading { ratio: cautious, .. } = gauge.read(&values_milli)?;
        let has_turned = (ratio < 1.0 && cautious > 1.0) || (ratio > 1.0 && cautious < 1.0);
        if has_turned || self.tolerance.allows(cautious) {
            return proposal(self.replicas);
        }
        let replicas = ceil_i32(cautious * values_milli.len() as f64);
        let would_turn =
            (cautious < 1.0 && replicas > self.replicas) || (cautious > 1.0 && replicas < self.replicas);
        proposal(if would_turn { self.replicas } else { replicas })
    }
}

fn check_selector(metric: &MetricIdentifier) -> Result<(), MetricErrorCause> {
    SelectorFault::of(metric.selector.as_ref())
        .map_or(Ok(()), |fault| Err(MetricErrorCause::InvalidSelector(fault)))
}

/// An API that lists nothing has failed.
fn listed<T>(answer: Result<Vec<T>, Unavailable>) -> Result<Vec<T>, MetricErrorCause> {
    match answer {
        Ok(list) if list.is_empty() => Err(MetricErrorCause::NoMetrics),
        Ok(list) => Ok(list),
        Err(unavailable) => Err(MetricErrorCause::Unavailable(unavailable)),
    }
}

/// The sum of all values; the largest integer once a positive one would go beyond it.
fn sum_up_to_largest(values: &[i64]) -> i64 {
    let mut sum = 0_i64;
    for &value in values {
        if value > 0 && sum > i64::MAX - value {
            return i64::MAX;
        }
        sum = sum.wrapping_add(value);
    }
    sum
}

/// The sum of all values; the largest integer once it is negative, which Kubernetes takes for having gone beyond it.
fn sum_while_positive(values: &[i64]) -> i64 {
    let mut sum = 0_i64;
    for &value in values {
        sum = sum.wrapping_add(value);
        if sum < 0 {
            return i64::MAX;
        }
    }
    sum
}

/// What samples are compared with.
enum SampleTarget<'a> {
    /// An amount a pod.
    Average { milli: i64, is_cpu: bool },
    /// Percent of what the pods request.
    Utilization { percent: i32, resource: &'a str, container: Option<&'a str> },
}

impl SampleTarget<'_> {
    fn is_of_cpu(&self) -> bool {
        match self {
            SampleTarget::Average { is_cpu, .. } => *is_cpu,
            SampleTarget::Utilization { resource, .. } => *resource == "cpu",
        }
    }
}

/// Reads samples against a target.
enum Gauge<'a> {
    Average { target_milli: i64 },
    Utilization { target_percent: i32, requests_milli: BTreeMap<&'a str, i64> },
}

/// The ratio of what is to what should be.
struct Reading {
    ratio: f64,
    current: MetricValue,
}

impl<'a> Gauge<'a> {
    fn new(target: &SampleTarget<'_>, pods: &[Pod<'a>]) -> Result<Self, MetricErrorCause> {
        Ok(match *target {
            SampleTarget::Average { milli, .. } => Gauge::Average { target_milli: milli },
            SampleTarget::Utilization { percent, resource, container } => Gauge::Utilization {
                target_percent: percent,
                requests_milli: requests::by_pod(pods, resource, container)
                    .map_err(MetricErrorCause::Request)?,
            },
        })
    }

    fn read(&self, values_milli: &BTreeMap<&str, i64>) -> Result<Reading, MetricErrorCause> {
        let add = |sum: i64, value: &i64| sum.wrapping_add(*value);
        match self {
            Gauge::Average { target_milli } => {
                let average = values_milli.values().fold(0, add) / (values_milli.len().max(1) as i64);
                let ratio = average as f64 / *target_milli as f64;
                Ok(Reading { ratio, current: MetricValue::AverageValue { milli: average } })
            }
            Gauge::Utilization { target_percent, requests_milli } => {
                // Samples of pods that the selector does not find have nothing to be compared with.
                let known =
                    || values_milli.iter().filter_map(|(pod, value)| Some((value, requests_milli.get(pod)?)));
                let used = known().map(|(value, _)| value).fold(0, add);
                let requested = known().map(|(_, request)| request).fold(0, add);
                if requested == 0 {
                    return Err(MetricErrorCause::NothingRequested);
                }
                let percent = used.wrapping_mul(100).wrapping_div(requested) as i32;
                let milli = used / (known().count().max(1) as i64);
                let ratio = f64::from(percent) / f64::from(*target_percent);
                Ok(Reading { ratio, current: MetricValue::AverageUtilization { percent, milli } })
            }
        }
    }

    /// What a pod without a sample is taken to use where the others use less than they should: the target, but of its
    /// request at least all.
    fn full_milli(&self, pod: &str) -> i64 {
        match self {
            Gauge::Average { target_milli } => *target_milli,
            Gauge::Utilization { target_percent, requests_milli } => {
                let request = requests_milli.get(pod).copied().unwrap_or_default();
                request.wrapping_mul(i64::from((*target_percent).max(100))) / 100
            }
        }
    }
}

/// What the metric is called where replicas are calculated from it.
pub(crate) fn metric_name(metric: &MetricSpec) -> String {
    match metric {
        MetricSpec::Resource { name, target: Some(ResourceTarget::AverageUtilization { .. }) } => {
            format!("{name} resource utilization (percentage of request)")
        }
        MetricSpec::ContainerResource {
            name,
            target: Some(ResourceTarget::AverageUtilization { .. }),
            ..
        } => {
            format!("{name} container resource utilization (percentage of request)")
        }
        MetricSpec::Resource { name, .. } | MetricSpec::ContainerResource { name, .. } => {
            format!("{name} resource")
        }
        MetricSpec::Pods { metric, .. } => format!("pods metric {}", metric.name),
        MetricSpec::Object { metric, described_object, target: Some(ValueTarget::Value { .. }) } => {
            format!("{} metric {}", described_object.kind, metric.name)
        }
        MetricSpec::Object { metric, .. } | MetricSpec::External { metric, .. } => {
            format!("external metric {}({})", metric.name, shown_selector(metric.selector.as_ref()))
        }
    }
}
