//! The Cluster Autoscaler as a state machine without I/O: flags and node groups in, then run by run what it decides.
//!
//! [`ClusterAutoscaler::run_once`] is one run of the main loop. It is told the time, what the cluster looks like
//! ([`ClusterView`]) and whom to ask for nodes ([`Cloud`]); it reads no clock. What the decision says is for the caller to
//! carry out: nodes to remove, pods to evict, soft taints.
//!
//! ```
//! use karpsim::model::meta::Time;
//! use karpsim_cluster_autoscaler::{Cloud, CloudError, ClusterAutoscaler, ClusterView, NodeGroup, Options};
//! use serde_json::{from_value, json};
//!
//! struct Orders(Vec<(String, i64)>);
//! impl Cloud for Orders {
//!     fn increase_size(&mut self, group: &str, by: i64) -> Result<(), CloudError> {
//!         Ok(self.0.push((group.to_owned(), by)))
//!     }
//!     fn decrease_target_size(&mut self, _: &str, _: i64) -> Result<(), CloudError> { Ok(()) }
//! }
//! let room = json!({"cpu": "4", "memory": "16Gi", "pods": "110"});
//! let template = from_value(json!({"status": {"capacity": room, "allocatable": room}})).unwrap();
//! let now = Time("2026-01-01T00:00:00Z".parse().unwrap());
//! let groups = vec![NodeGroup::new("workers", 0, 10, std::sync::Arc::new(template))];
//! let mut view = ClusterView::default();
//! view.insert(json!({"kind": "Pod", "metadata": {"name": "a", "creationTimestamp": "2025-12-31T23:59:00Z"},
//!     "spec": {"containers": [{"name": "c", "resources": {"requests": {"cpu": "3"}}}]},
//!     "status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}})).unwrap();
//! let mut orders = Orders(Vec::new());
//! ClusterAutoscaler::new(Options::default(), groups, now).run_once(now, &view, &mut orders);
//! assert_eq!(orders.0, [("workers".to_owned(), 1)]);
//! ```
//!
//! | file | what |
//! |---|---|
//! | `autoscaler` | the course of a run |
//! | `cluster_state`, `backoff` | readiness, upcoming nodes, open orders, groups that are left alone |
//! | `templates` | what new nodes will be, with their daemons |
//! | `pending`, `placing` | pending pods and moved ones on the nodes there are, with hints |
//! | `scale_up`, `equivalence`, `estimator`, `expander`, `similarity`, `quotas` | which group grows, and by how much |
//! | `scale_down`, `removal`, `actuation`, `utilization`, `drainability`, `disruption_budgets` | which nodes could go, and which do |
//! | `snapshot`, `predicates`, `filters` | the cluster in its head, and kube-scheduler's word on it |
//! | [`aws`] | node groups from what AWS users have |
//! | `scenario` | recorded series of runs |
//!
//! # Invariants
//!
//! - Same calls, same answers: what is walked is ordered, and hash maps are only asked.
//! - Whether a pod fits is decided by `karpsim-scheduler` alone.
//! - Shares and scores are doubles, the same operations in the same order as upstream; all else is integers.

pub mod aws;

mod actuation;
mod autoscaler;
mod backoff;
mod cluster_state;
mod decision;
mod disruption_budgets;
mod drainability;
mod equivalence;
mod estimator;
mod expander;
mod filters;
mod nodes;
mod objects;
mod options;
mod pending;
mod placing;
mod pods;
mod predicates;
mod quotas;
mod removal;
mod scale_down;
mod scale_up;
mod scenario;
mod similarity;
mod snapshot;
mod templates;
mod time;
mod utilization;
mod view;

pub use autoscaler::ClusterAutoscaler;
pub use decision::{
    BlockingReason, DrainedNode, ExpansionOption, RunDecision, ScaleDownReport, ScaleDownResult,
    ScaleUpReport, ScaleUpResult, SizeIncrease, SoftTaint, UnremovableReason,
};
pub use nodes::{DELETION_CANDIDATE_TAINT, TO_BE_DELETED_TAINT};
pub use objects::ObjectError;
pub use options::{Expander, FlagError, Limits, NodeGroupDefaults, NodeGroupOptions, Options};
pub use scenario::{Scenario, ScenarioError, SeriesDecision, SeriesRun};
pub use view::{Cloud, CloudError, ClusterView, Controllers, NodeGroup, NodeGroupState};
