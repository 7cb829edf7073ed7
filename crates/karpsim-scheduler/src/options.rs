//! kube-scheduler's configuration, as far as it is modelled: of the default profile.

use karpsim::model::core::WhenUnsatisfiable;
use karpsim::model::meta::Str;

/// Settings; [`Default`] is Kubernetes' default.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// `percentageOfNodesToScore`; 0: adaptive.
    pub percentage_of_nodes_to_score: i64,
    /// `scoringStrategy` of NodeResourcesFit.
    pub scoring_strategy: ScoringStrategy,
    /// Default constraints of PodTopologySpread.
    pub topology_spread_defaults: TopologySpreadDefaults,
    /// Feature gate OpportunisticBatching.
    pub opportunistic_batching: bool,
    /// `podInitialBackoffSeconds`, in nanoseconds.
    pub pod_initial_backoff_nanos: i64,
    /// `podMaxBackoffSeconds`, in nanoseconds.
    pub pod_max_backoff_nanos: i64,
    /// `--pod-max-in-unschedulable-pods-duration`, in nanoseconds.
    pub pod_max_in_unschedulable_nanos: i64,
}

impl Default for Options {
    fn default() -> Self {
        const SECOND: i64 = 1_000_000_000;
        Options {
            percentage_of_nodes_to_score: 0,
            scoring_strategy: ScoringStrategy::default(),
            topology_spread_defaults: TopologySpreadDefaults::System,
            opportunistic_batching: true,
            pod_initial_backoff_nanos: SECOND,
            pod_max_backoff_nanos: 10 * SECOND,
            pod_max_in_unschedulable_nanos: 300 * SECOND,
        }
    }
}

/// Which nodes NodeResourcesFit prefers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScoringStrategy {
    /// How a resource is scored.
    pub kind: ScoringStrategyType,
    /// The resources, each with its weight (at least 1).
    pub resources: Vec<(Str, i64)>,
}

impl ScoringStrategy {
    /// This strategy over these resources; over none: cpu and memory with weight 1 each. A weight of 0 means 1.
    pub fn new(kind: ScoringStrategyType, resources: Vec<(Str, i64)>) -> Self {
        let mut resources =
            if resources.is_empty() { vec![("cpu".into(), 1), ("memory".into(), 1)] } else { resources };
        for (_, weight) in &mut resources {
            *weight = (*weight).max(1);
        }
        ScoringStrategy { kind, resources }
    }
}

impl Default for ScoringStrategy {
    fn default() -> Self {
        ScoringStrategy::new(ScoringStrategyType::LeastAllocated, Vec::new())
    }
}

/// How a resource of a node is scored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoringStrategyType {
    /// The more is free the better.
    LeastAllocated,
    /// The less is free the better.
    MostAllocated,
    /// By a broken line of points (utilization in percent, score from 0 to 10), by utilization.
    RequestedToCapacityRatio(Vec<(i64, i64)>),
}

/// How pods without constraints of their own are spread.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TopologySpreadDefaults {
    /// Softly: over hosts with a skew of 3 and over zones with a skew of 5.
    System,
    /// By this list, which may be empty.
    List(Vec<DefaultConstraint>),
}

/// A constraint for pods that have none of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DefaultConstraint {
    /// By how much domains may differ.
    pub max_skew: i64,
    /// The node label whose values are the domains.
    pub topology_key: Str,
    /// Hard or soft.
    pub when_unsatisfiable: WhenUnsatisfiable,
}
