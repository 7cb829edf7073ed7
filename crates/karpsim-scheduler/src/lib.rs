//! A model of kube-scheduler v1.36 (default profile).

mod class;
mod cluster;
mod filters;
mod kubernetes;
mod node_info;
mod node_order;
mod options;
mod reason;
mod resources;
mod storage;
mod topology;

pub use cluster::{Checkpoint, Cluster, NodeIndex, PodInfo};
pub use filters::{PreFilter, Rejection};
pub use options::{DefaultConstraint, Options, ScoringStrategy, ScoringStrategyType, TopologySpreadDefaults};
pub use reason::{CycleError, Plugin, Reason, Refusal};
pub use storage::PodVolumes;

pub(crate) use cluster::PodIndex;
