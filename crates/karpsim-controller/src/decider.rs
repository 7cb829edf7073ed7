//! Who decides. A trait, so that the loops can be tested with decisions written by hand.

use karpsim::api::Scenario;
use karpsim::decision::{Command, Method, ProvisioningDecision};

/// What a method of disruption found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// Its commands.
    pub commands: Vec<Command>,
    /// Whether there was a node that the method may look at. Without one it is not asked, and remembers nothing.
    pub had_candidates: bool,
    /// Whether a candidate was passed over because of a budget.
    pub constrained_by_budgets: bool,
    /// How many simulations it took.
    pub simulations: usize,
}

/// Decides a moment.
pub trait Decider {
    /// A provisioning round.
    fn provision(&self, scenario: &Scenario) -> ProvisioningDecision;
    /// What `method` would do; at most `simulations` of them if there is a limit.
    fn disrupt(&self, scenario: &Scenario, method: Method, simulations: Option<usize>) -> Found;
    /// Whether `command`, found some time ago, would still be found.
    fn still_valid(&self, scenario: &Scenario, command: &Command) -> bool;
}

/// The library.
#[derive(Debug, Clone, Copy, Default)]
pub struct Karpsim;

impl Decider for Karpsim {
    fn provision(&self, scenario: &Scenario) -> ProvisioningDecision {
        karpsim::provision(scenario)
    }

    fn disrupt(&self, scenario: &Scenario, method: Method, _simulations: Option<usize>) -> Found {
        let commands = karpsim::disrupt(scenario, &[method]).commands;
        // A node can be looked at if its NodeClaim says so.
        let condition = match method {
            Method::StaticDrift | Method::Drift => "Drifted",
            _ => "Consolidatable",
        };
        let had_candidates = !commands.is_empty()
            || scenario
                .objects
                .node_claims
                .iter()
                .any(|claim| karpsim::api::meta::condition_is_true(&claim.status.conditions, condition));
        Found { commands, had_candidates, constrained_by_budgets: false, simulations: 1 }
    }

    fn still_valid(&self, scenario: &Scenario, command: &Command) -> bool {
        karpsim::disruption::still_valid(scenario, command)
    }
}
