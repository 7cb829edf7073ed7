//! The scenarios for measuring, in `data/bench`.

use karpsim::scenario::Scenario;

/// The scenario of that name.
pub(crate) fn scenario(name: &str) -> Scenario {
    karpsim_testkit::scenario(&karpsim_testkit::text(&format!("bench/{name}.json")))
}
