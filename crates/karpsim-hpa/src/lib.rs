//! What the HorizontalPodAutoscaler would do, as a state machine without I/O.
//!
//! [`Hpa`] is one autoscaler with all that kube-controller-manager remembers of it. Whoever plays the world calls
//! [`Hpa::sync`] when the controller would, every 15 seconds ([`DEFAULT_SYNC_PERIOD`]), with the target's scale, its pods
//! and what the metrics APIs answer ([`Metrics`]), and carries the answer out. The rules are those of Kubernetes v1.36
//! with its default feature gates.
//!
//! ```
//! # use karpsim_hpa::{Hpa, Metrics, Options, PodSample, SECOND, Scale, Spec, Unavailable};
//! # use karpsim::model::autoscaling::{CrossVersionObjectReference, MetricIdentifier};
//! struct Queue(i64); // thousandths
//! impl Metrics for Queue {
//!     fn external(&self, _: &MetricIdentifier) -> Result<Vec<i64>, Unavailable> { Ok(vec![self.0]) }
//! #   fn resource(&self, _: &str, _: Option<&str>) -> Result<Vec<PodSample>, Unavailable> { Ok(vec![]) }
//! #   fn pods(&self, _: &MetricIdentifier) -> Result<Vec<PodSample>, Unavailable> { Ok(vec![]) }
//! #   fn object(&self, _: &CrossVersionObjectReference, _: &MetricIdentifier) -> Result<i64, Unavailable> { Ok(0) }
//! }
//! let object = serde_json::json!({
//!     "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "web"},
//!     "spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}, "maxReplicas": 10,
//!         "metrics": [{"type": "External", "external": {"metric": {"name": "queue"},
//!             "target": {"type": "AverageValue", "averageValue": "30"}}}]},
//! });
//! let options = Options::default();
//! let mut hpa = Hpa::new(Spec::read(&object, &options, &mut Default::default()).unwrap(), options);
//! let grown = hpa.sync(0, &Scale::settled(2), &[], &Queue(500_000)); // 500 / 30 = 17 replicas
//! assert_eq!(grown.replicas, 4); // at most 4, or twice as many, in one sync
//! let kept = hpa.sync(15 * SECOND, &Scale::settled(4), &[], &Queue(30_000));
//! assert_eq!(kept.replicas, 8); // the 17 of 15 seconds ago still count
//! assert_eq!(hpa.status().conditions[0].reason.as_str(), "SucceededRescale");
//! ```
//!
//! # How a sync goes
//!
//! 1. A target at 0 is left alone; one outside `minReplicas` … `maxReplicas` is set to the bound at once.
//! 2. Every metric proposes a number of replicas, or fails; the greatest proposal counts. If some metrics fail, the
//!    others may ask for more or for what is there, never for less.
//! 3. Recent recommendations hold it back (*stabilization*), so that a short dip removes nothing.
//! 4. Limits: how fast the replicas may change, and the bounds.
//!
//! An autoscaler without `behavior` is not one with the default behavior: upwards it may double in every sync, and the
//! highest recommendation of the window counts in both directions.
//!
//! # Modules
//!
//! | module | what |
//! |---|---|
//! | `autoscaler` | the loop: [`Hpa`], [`Scale`], [`Outcome`] |
//! | `reading`, `v1`, `validation`, `spec` | objects of both versions into a complete [`Spec`], refused as the API server would |
//! | `proposal` | what one metric asks for |
//! | `pods`, `requests`, `tolerance` | which pods count, what they request, what is near enough |
//! | `history`, `limits` | what is remembered, and how fast the replicas may change |
//! | `status`, `error` | [`Status`] and errors as facts, in Kubernetes' words when shown |
//! | `amount` | thousandths, doubles, and how Kubernetes turns one into the other |
//!
//! # Limits
//!
//! An update of the scale always succeeds: the condition FailedUpdateScale does not appear. That pods belong to two
//! autoscalers is for the caller to find out ([`Scale::selector`]). Keys and values of a metric's selector are not
//! checked for their syntax. A sync costs time in proportion to the pods; what is remembered, to the longest window
//! divided by the time between syncs.

mod amount;
mod autoscaler;
mod error;
mod history;
mod limits;
mod metrics;
mod options;
mod places;
mod pods;
mod proposal;
mod reading;
mod requests;
mod spec;
mod status;
mod tolerance;
mod v1;
mod validation;

pub use amount::{Nanos, SECOND, milli_value};
pub use autoscaler::{Hpa, Outcome, Rescale, RescaleReason, Scale};
pub use error::{
    FailedMetrics, MetricError, MetricErrorCause, MissingRequest, ScaleError, SelectorError, SelectorFault,
    SyncError,
};
pub use metrics::{Metrics, PodSample, Unavailable};
pub use options::{DEFAULT_SYNC_PERIOD, Options};
pub use pods::{Pod, PodPhase, Ready};
pub use spec::{Behavior, MetricSpec, ResourceTarget, ScalingPolicy, ScalingRules, Spec, ValueTarget};
pub use status::{Condition, ConditionStatus, ConditionType, MetricStatus, MetricValue, Reason, Status};
pub use validation::validate;
