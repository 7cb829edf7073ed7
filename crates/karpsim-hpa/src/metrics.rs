//! Where metrics come from: the three metrics APIs, as far as the controller asks them.

use crate::amount::Nanos;
use karpsim::model::autoscaling::{CrossVersionObjectReference, MetricIdentifier};
use karpsim::model::meta::Str;

/// What the metrics APIs answer at the moment of a sync.
///
/// A list without elements is an error to the controller, as with the real APIs. All values are in thousandths
/// ([`milli_value`](crate::milli_value)).
pub trait Metrics {
    /// The resource metrics API: usage of `resource` by the pods that the scale's selector finds, by all their containers
    /// together or by the one that is named.
    ///
    /// # Errors
    ///
    /// If the API cannot be asked.
    fn resource(&self, resource: &str, container: Option<&str>) -> Result<Vec<PodSample>, Unavailable>;

    /// The custom metrics API: `metric` of each pod that the scale's selector finds.
    ///
    /// # Errors
    ///
    /// If the API cannot be asked.
    fn pods(&self, metric: &MetricIdentifier) -> Result<Vec<PodSample>, Unavailable>;

    /// The custom metrics API: `metric` of one object.
    ///
    /// # Errors
    ///
    /// If there is no such metric, or the API cannot be asked.
    fn object(
        &self,
        object: &CrossVersionObjectReference,
        metric: &MetricIdentifier,
    ) -> Result<i64, Unavailable>;

    /// The external metrics API: the last value of every series of `metric`.
    ///
    /// # Errors
    ///
    /// If the API cannot be asked.
    fn external(&self, metric: &MetricIdentifier) -> Result<Vec<i64>, Unavailable>;
}

/// What one pod was measured to use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodSample {
    /// The pod's name.
    pub pod: Str,
    /// The value in thousandths, each container's rounded before they are added up. `None`: the API lists the pod, but a
    /// container of it lacks the resource, or it has no such container.
    pub value_milli: Option<i64>,
    /// When it was measured.
    pub at: Nanos,
    /// Over which time before that.
    pub window: Nanos,
}

/// A metrics API cannot be asked, or refuses.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unavailable {
    /// What it says; can be empty.
    pub message: String,
}
