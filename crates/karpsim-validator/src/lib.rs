//! Whether a provisioning decision keeps the rules of Kubernetes.
//!
//! This is an oracle to test the scheduler with, written from the documentation of Kubernetes and of Karpenter. It knows
//! the wire types of `karpsim` and its quantities and nothing of how decisions are made: every rule is checked on the
//! nodes that the decision leads to, in the plainest way. Only hard rules are checked, never whether another decision
//! would have been better.
//!
//! Where Karpenter itself is looser than Kubernetes the rule is checked as far as Karpenter keeps it, and the place says
//! so under the heading *Looser than Kubernetes*.

mod daemons;
mod decided;
mod labels;
mod launches;
mod nodes;
mod placement;
mod ports;
mod resources;
mod selectors;
mod sites;
mod taints;
mod topology;
mod volumes;

pub use decided::{Decided, DecidedClaim, DecidedLaunch, DecidedNode, DecidedRequirement};

use karpsim::scenario::Scenario;

/// Every rule that `decision` breaks for `scenario`, as sentences.
pub fn violations(scenario: &Scenario, decision: &Decided) -> Vec<String> {
    let mut found = placement::violations(scenario, decision);
    found.extend(nodes::violations(scenario, decision));
    found.extend(launches::violations(scenario, decision));
    found.extend(topology::violations(scenario, decision));
    found
}
