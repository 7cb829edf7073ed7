//! The controller's loop for one autoscaler.

use crate::Options;
use crate::amount::{Nanos, SECOND};
use crate::error::{FailedMetrics, MetricError, ScaleError, SelectorError, SyncError};
use crate::history::Recommendations;
use crate::limits::{self, BothChanges};
use crate::metrics::Metrics;
use crate::pods::Pod;
use crate::proposal::{Observed, metric_name};
use crate::spec::{Behavior, MetricSpec, ScalingRules, Spec};
use crate::status::{ConditionStatus, ConditionType, MetricStatus, Reason, Status};
use crate::tolerance::Tolerance;
use std::cmp::Ordering;

/// One HorizontalPodAutoscaler, with all that the controller remembers of it.
///
/// ```
/// use karpsim_hpa::{Hpa, Options, Spec};
/// let hpa = serde_json::json!({
///     "apiVersion": "autoscaling/v1", "metadata": {"name": "web", "namespace": "default"},
///     "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 0},
/// });
/// let refused = Spec::read(&hpa, &Options::default(), &mut Default::default()).unwrap_err();
/// assert_eq!(
///     refused.to_string(),
///     "HorizontalPodAutoscaler `default/web`: `spec.maxReplicas`: invalid value `0`: expected 1 or more"
/// );
/// ```
#[derive(Debug, Clone)]
pub struct Hpa {
    spec: Spec,
    options: Options,
    status: Status,
    recommendations: Recommendations,
    changes: BothChanges,
}

/// The scale subresource of the target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// `spec.replicas`.
    pub replicas: i32,
    /// `status.replicas`: how many pods there are.
    pub status_replicas: i32,
    /// Whether `status.selector` says which pods are the target's. That no other autoscaler has a selector that finds
    /// one of them is the caller's to find out.
    pub selector: Result<(), SelectorError>,
}

impl Scale {
    /// The scale of a target that has as many pods as it should.
    pub fn settled(replicas: i32) -> Self {
        Scale { replicas, status_replicas: replicas, selector: Ok(()) }
    }
}

/// What came of a sync. The rest is in [`Hpa::status`].
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// What the scale asks for afterwards.
    pub replicas: i32,
    /// The change of the scale, if it is to be changed.
    pub rescale: Option<Rescale>,
    /// What failed. A metric can fail and others still change the scale.
    pub error: Option<SyncError>,
}

/// A change of the scale.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rescale {
    /// Before.
    pub from: i32,
    /// After.
    pub to: i32,
    /// Why, as in the event SuccessfulRescale.
    pub reason: RescaleReason,
}

/// Why a scale is changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RescaleReason {
    /// There are more than `maxReplicas`.
    #[error("Current number of replicas above Spec.MaxReplicas")]
    AboveMaxReplicas,
    /// There are fewer than `minReplicas`.
    #[error("Current number of replicas below Spec.MinReplicas")]
    BelowMinReplicas,
    /// A metric asks for more.
    #[error("{metric} above target")]
    AboveTarget {
        /// The metric.
        metric: String,
    },
    /// No metric asks for as many.
    #[error("All metrics below target")]
    AllBelowTarget,
    /// The metrics ask for what is there, a recommendation of the window for something else.
    #[error("")]
    Stabilization,
}

/// What all metrics together ask for.
struct Desired {
    replicas: i32,
    /// The metric that asks for it.
    metric: String,
    /// Some metrics failed nevertheless.
    failed: Option<FailedMetrics>,
}

impl Hpa {
    /// An autoscaler that was never synchronised.
    pub fn new(spec: Spec, options: Options) -> Self {
        Hpa {
            spec,
            options,
            status: Status::default(),
            recommendations: Recommendations::default(),
            changes: BothChanges::default(),
        }
    }

    /// Its spec.
    pub fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Replaces the spec, as an update of the object does: what is remembered stays.
    pub fn set_spec(&mut self, spec: Spec) {
        self.spec = spec;
    }

    /// Its status, as last written.
    pub fn status(&self) -> &Status {
        &self.status
    }

    /// A sync whose target has no scale: it is not there, or cannot be scaled.
    pub fn sync_without_scale(&mut self, now: Nanos, error: ScaleError) -> Outcome {
        let reason = Reason::FailedGetScale(error.clone());
        self.status.set(now, ConditionType::AbleToScale, ConditionStatus::False, reason);
        Outcome { replicas: 0, rescale: None, error: Some(SyncError::Scale(error)) }
    }

    /// One sync, at `now`, which is not before the last. `pods` are those that the scale's selector finds. The change
    /// of the scale, if there is one, is taken to succeed.
    pub fn sync(&mut self, now: Nanos, scale: &Scale, pods: &[Pod<'_>], metrics: &impl Metrics) -> Outcome {
        let current = scale.replicas;
        self.status.set(now, ConditionType::AbleToScale, ConditionStatus::True, Reason::SucceededGetScale);
        self.recommendations.note_first(now, current);

        // Where the metrics do not matter, the status tells of none.
        self.status.current_metrics.clear();

        let Spec { min_replicas: min, max_replicas: max, .. } = self.spec;
        let bound = |to, reason| Some(Rescale { from: current, to, reason });
        if current == 0 && !self.may_scale_from_zero() {
            self.disable(now);
            return self.finish(now, current, None, None);
        }
        if current > max {
            return self.finish(now, current, bound(max, RescaleReason::AboveMaxReplicas), None);
        }
        if current < min && current != 0 {
            return self.finish(now, current, bound(min, RescaleReason::BelowMinReplicas), None);
        }
        match self.desired(now, scale, pods, metrics) {
            Ok(desired) => {
                let rescale = self.normalized(now, current, &desired);
                self.finish(now, current, rescale, desired.failed)
            }
            Err(error) => {
                self.status.current_replicas = current;
                Outcome { replicas: current, rescale: None, error: Some(error) }
            }
        }
    }

    /// Whether a target at 0 replicas was scaled there by this autoscaler, which may undo it.
    fn may_scale_from_zero(&self) -> bool {
        let from_outside =
            |metric: &MetricSpec| matches!(metric, MetricSpec::Object { .. } | MetricSpec::External { .. });
        self.has_scaled_to_zero()
            && (self.spec.min_replicas != 0 || self.spec.metrics.iter().any(from_outside))
    }

    fn has_scaled_to_zero(&self) -> bool {
        let condition = self.status.condition(ConditionType::ScaledToZero);
        self.options.scale_to_zero
            && condition.is_some_and(|condition| condition.status == ConditionStatus::True)
    }

    /// Nothing is done until somebody sets another number of replicas.
    fn disable(&mut self, now: Nanos) {
        let (kind, status) = (ConditionType::ScalingActive, ConditionStatus::False);
        self.status.set(now, kind, status, Reason::ScalingDisabled);
    }

    /// The most that any metric asks for. Metrics that fail do not keep the others from asking for more, or for what is
    /// there.
    fn desired(
        &mut self,
        now: Nanos,
        scale: &Scale,
        pods: &[Pod<'_>],
        metrics: &impl Metrics,
    ) -> Result<Desired, SyncError> {
        if let Err(error) = &scale.selector {
            self.set_inactive(now, Reason::Selector(error.clone()));
            return Err(SyncError::Selector { reference: self.spec.reference(), error: error.clone() });
        }
        let observed = Observed {
            now,
            options: &self.options,
            tolerance: Tolerance::new(&self.spec, &self.options),
            replicas: scale.replicas,
            status_replicas: scale.status_replicas,
            pods,
            metrics,
        };
        let mut desired = Desired { replicas: 0, metric: String::new(), failed: None };
        for metric in &self.spec.metrics {
            let status = match observed.proposal(metric) {
                Ok(proposal) => {
                    // Not the greatest of all if an absurd metric proposes less than nothing, but Kubernetes' choice.
                    if desired.replicas == 0 || proposal.replicas > desired.replicas {
                        desired.replicas = proposal.replicas;
                        desired.metric = metric_name(metric);
                    }
                    Some(MetricStatus { metric: metric.clone(), current: proposal.current })
                }
                Err(cause) => {
                    let (namespace, total) = (self.spec.namespace.clone(), self.spec.metrics.len());
                    let first = || MetricError { metric: metric.clone(), namespace, cause };
                    let failed = desired.failed.get_or_insert_with(|| FailedMetrics {
                        invalid: 0,
                        total,
                        first: first(),
                    });
                    failed.invalid += 1;
                    None
                }
            };
            self.status.current_metrics.push(status);
        }
        match desired.failed {
            Some(failed) if failed.invalid >= failed.total || desired.replicas < scale.replicas => {
                self.set_inactive(now, Reason::Metric(Box::new(failed.first.clone())));
                Err(SyncError::Metrics { reference: self.spec.reference(), failed })
            }
            _ => {
                let reason = Reason::ValidMetricFound { metric: desired.metric.clone() };
                self.status.set(now, ConditionType::ScalingActive, ConditionStatus::True, reason);
                Ok(desired)
            }
        }
    }

    fn set_inactive(&mut self, now: Nanos, reason: Reason) {
        self.status.set(now, ConditionType::ScalingActive, ConditionStatus::False, reason);
    }

    /// What becomes of the desired replicas: held back by recent recommendations, then limited.
    fn normalized(&mut self, now: Nanos, current: i32, desired: &Desired) -> Option<Rescale> {
        let wanted = desired.replicas.max(0);
        let mut reason = match wanted.cmp(&current) {
            Ordering::Greater => RescaleReason::AboveTarget { metric: desired.metric.clone() },
            Ordering::Less => RescaleReason::AllBelowTarget,
            Ordering::Equal => RescaleReason::Stabilization,
        };
        let (stabilized, held_back) = self.stabilized(now, current, wanted);
        let able = if stabilized == wanted { Reason::ReadyForNewScale } else { held_back };
        self.status.set(now, ConditionType::AbleToScale, ConditionStatus::True, able);

        let (mut to, limit) = self.limited(now, current, stabilized);
        let is_limited = if to == stabilized { ConditionStatus::False } else { ConditionStatus::True };
        self.status.set(now, ConditionType::ScalingLimited, is_limited, limit);

        if current == 0 && self.has_scaled_to_zero() && to < self.spec.min_replicas {
            to = self.spec.min_replicas;
            if reason == RescaleReason::Stabilization {
                reason = RescaleReason::BelowMinReplicas;
            }
        }
        (to != current).then_some(Rescale { from: current, to, reason })
    }

    /// The recommendation that counts, and what holds `wanted` back if that is another. Notes `wanted`.
    ///
    /// Without a behavior the highest recommendation of the window counts, also upwards, and one exactly as old as the
    /// window is still in it. With a behavior the replicas stay between the lowest of the window upwards and the highest
    /// of the window downwards, and one exactly as old as the window is outdated.
    fn stabilized(&mut self, now: Nanos, current: i32, wanted: i32) -> (i32, Reason) {
        let Some(Behavior { scale_up, scale_down }) = &self.spec.behavior else {
            let start = now.saturating_sub(self.options.downscale_stabilization);
            let highest = self.recommendations.since(|at| at >= start).fold(wanted, i32::max);
            self.recommendations.note(now, wanted, |at| at < start);
            return (highest, Reason::ScaleDownStabilized);
        };
        let [up_start, down_start] =
            [scale_up, scale_down].map(|rules| now.saturating_sub(self.window(rules)));
        let lowest = self.recommendations.since(|at| at > up_start).fold(wanted, i32::min);
        let highest = self.recommendations.since(|at| at > down_start).fold(wanted, i32::max);
        self.recommendations.note(now, wanted, |at| at < up_start && at < down_start);
        let held_back =
            if wanted >= current { Reason::ScaleUpStabilized } else { Reason::ScaleDownStabilized };
        (current.max(lowest).min(highest), held_back)
    }

    /// The window of one direction: its own, or the controller's in whole seconds.
    fn window(&self, rules: &ScalingRules) -> Nanos {
        let whole_seconds = || self.options.downscale_stabilization / SECOND;
        rules.stabilization_window_seconds.map_or_else(whole_seconds, Nanos::from).saturating_mul(SECOND)
    }

    /// What the limits make of `wanted`, and the limit that was met.
    fn limited(&self, now: Nanos, current: i32, wanted: i32) -> (i32, Reason) {
        let Spec { min_replicas: min, max_replicas: max, .. } = self.spec;
        let at_most = |most: i32| {
            if max > most { (most, Reason::ScaleUpLimit) } else { (max, Reason::TooManyReplicas) }
        };
        let at_least = |fewest: i32| {
            if min < fewest { (fewest, Reason::ScaleDownLimit) } else { (min, Reason::TooFewReplicas) }
        };
        let (lowest, highest) = match &self.spec.behavior {
            None => {
                let highest = at_most(limits::most_without_behavior(current));
                (Some((min, Reason::TooFewReplicas)), Some(highest))
            }
            // Policies may already be overdrawn; that turns no direction.
            Some(Behavior { scale_up, .. }) if wanted > current => {
                let most = limits::most(now, current, &self.changes, scale_up).max(current);
                (None, Some(at_most(most)))
            }
            Some(Behavior { scale_down, .. }) if wanted < current => {
                let fewest = limits::fewest(now, current, &self.changes, scale_down).min(current);
                (Some(at_least(fewest)), None)
            }
            Some(_) => (None, None),
        };
        match (lowest, highest) {
            (Some((lowest, limit)), _) if wanted < lowest => (lowest, limit),
            (_, Some((highest, limit))) if wanted > highest => (highest, limit),
            _ => (wanted, Reason::DesiredWithinRange),
        }
    }

    /// Writes what was decided into the status, and remembers a change.
    fn finish(
        &mut self,
        now: Nanos,
        current: i32,
        rescale: Option<Rescale>,
        failed: Option<FailedMetrics>,
    ) -> Outcome {
        let replicas = rescale.as_ref().map_or(current, |rescale| rescale.to);
        if rescale.is_some() {
            let reason = Reason::SucceededRescale { replicas };
            self.status.set(now, ConditionType::AbleToScale, ConditionStatus::True, reason);
            self.remember(now, current, replicas);
            self.tell_of_zero(now, current, replicas);
            self.status.last_scale_time = Some(now);
        }
        self.status.current_replicas = current;
        self.status.desired_replicas = replicas;
        Outcome { replicas, rescale, error: failed.map(SyncError::SomeMetrics) }
    }

    /// Changes are remembered for policies; without a behavior there are none.
    fn remember(&mut self, now: Nanos, from: i32, to: i32) {
        let Some(Behavior { scale_up, scale_down }) = &self.spec.behavior else { return };
        if to > from {
            self.changes.up.note(now, to.wrapping_sub(from), scale_up.longest_period());
        } else {
            self.changes.down.note(now, from.wrapping_sub(to), scale_down.longest_period());
        }
    }

    /// Keeps the condition by which a target at 0 can be scaled up again.
    fn tell_of_zero(&mut self, now: Nanos, from: i32, to: i32) {
        if !self.options.scale_to_zero {
            return;
        }
        let (status, reason) = if from > 0 && to == 0 {
            (ConditionStatus::True, Reason::ScaledToZero)
        } else {
            (ConditionStatus::False, Reason::NotScaledToZero)
        };
        self.status.set(now, ConditionType::ScaledToZero, status, reason);
    }
}
