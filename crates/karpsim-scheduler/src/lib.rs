//! A model of kube-scheduler v1.36 (default profile).

mod attempt;
mod batch;
mod change_log;
mod class;
mod cluster;
mod filters;
mod kind;
mod kubernetes;
mod node_info;
mod node_order;
mod nominator;
mod options;
mod preemption;
mod queue;
mod reason;
mod resources;
mod scheduler;
mod scores;
mod storage;
mod tables;
mod topology;

pub use attempt::{Attempt, NodeRefusals, Nomination, Outcome, Placed, Preemption, Unschedulable};
pub use cluster::{Checkpoint, Cluster, NodeIndex, PodInfo};
pub use filters::{PreFilter, Rejection};
pub use options::{DefaultConstraint, Options, ScoringStrategy, ScoringStrategyType, TopologySpreadDefaults};
pub use preemption::NotEligible;
pub use reason::{CycleError, Plugin, Reason, Refusal, gates};
pub use scheduler::Scheduler;
pub use scores::{NodeScores, ScorePlugin};
pub use storage::PodVolumes;

pub(crate) use cluster::PodIndex;
