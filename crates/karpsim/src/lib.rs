//! What Karpenter would do, as pure functions: no files, no sockets, no clock, no global state.

pub mod api;
pub mod batching;
pub mod catalogue;
pub mod compile;
pub mod decision;
pub mod disruption;
pub mod explain;
pub mod go_sort;
pub mod labels;
pub mod provisioning;
pub mod quantity;
pub mod requirements;
pub mod topology;

pub use decision::Decision;
pub use disruption::disrupt;
pub use provisioning::provision;

/// Decides `scenario`: provisioning, or every method of disruption.
pub fn decide(scenario: &api::Scenario) -> Decision {
    match scenario.kind {
        api::ScenarioKind::Provisioning => Decision::Provisioning(provision(scenario)),
        api::ScenarioKind::Disruption => Decision::Disruption(disrupt(scenario, &decision::Method::ALL)),
    }
}
