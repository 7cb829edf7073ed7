//! Which nodes are removed or replaced.

pub mod evictable;

use crate::api::Scenario;
use crate::decision::{Command, DisruptionDecision, Method};

/// Asks each of `methods` for its commands, each from the same state.
pub fn disrupt(_scenario: &Scenario, _methods: &[Method]) -> DisruptionDecision {
    DisruptionDecision::default()
}

/// Whether `command`, found earlier, would still be found in `scenario` now, as Karpenter asks after its wait.
pub fn still_valid(_scenario: &Scenario, _command: &Command) -> bool {
    true
}
