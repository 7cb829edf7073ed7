//! What is asked: a scenario, and what the answer may do.

use karpsim::scenario::{Scenario, ScenarioKind};

/// What becomes of preferences: preferred affinity, `ScheduleAnyway`, `PreferNoSchedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Preferences {
    /// They play no part.
    #[default]
    LeaveAside,
    /// Those that Karpenter's decision meets are required: the answer meets them too.
    Respect,
}

/// What the answer may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// It places the pods that wait.
    Provisioning,
    /// It rearranges the running cluster too: nodes that Karpenter may disrupt go, pods move to other nodes or to new
    /// ones.
    Rearrangement {
        /// So many pods may be evicted; `None`: any number.
        evictions_max: Option<usize>,
        /// So many nodes may go; `None`: any number.
        removals_max: Option<usize>,
    },
}

/// A scenario, and what is asked of it.
#[derive(Debug, Clone, Copy)]
pub struct OptimizationProblem<'s> {
    /// The scenario.
    pub scenario: &'s Scenario,
    /// What becomes of preferences.
    pub preferences: Preferences,
    /// What the answer may do.
    pub aim: Aim,
}

impl<'s> OptimizationProblem<'s> {
    /// What the scenario asks for itself: a round of provisioning, or a cluster to be rearranged at will.
    pub fn new(scenario: &'s Scenario) -> Self {
        let aim = match scenario.kind {
            ScenarioKind::Provisioning => Aim::Provisioning,
            ScenarioKind::Disruption => Aim::Rearrangement { evictions_max: None, removals_max: None },
        };
        OptimizationProblem { scenario, preferences: Preferences::default(), aim }
    }
}
