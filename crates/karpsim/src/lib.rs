//! What Karpenter would do, as pure functions: no files, no sockets, no clock, no global state.
//!
//! A [`Scenario`](scenario::Scenario) is one moment of a cluster: its objects, the instance types on offer, Karpenter's
//! settings and the time. [`decide`] answers with a [`Decision`]: the nodes that Karpenter would launch and who
//! goes where, or the nodes that it would remove.
//!
//! ```
//! use karpsim::input::{Findings, validate, read_yaml};
//! use karpsim::{Decision, catalogue, decide};
//! use std::{collections::BTreeMap, fs, sync::Arc};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let types = catalogue::read(&fs::read_to_string("../../data/scenarios/g4dn.json")?)?;
//! let catalogues = BTreeMap::from([("g4dn.json".to_owned(), Arc::new(types))]);
//! let text = fs::read_to_string("../../data/scenarios/gpu-pods.yaml")?;
//! let mut findings = Findings::default(); // what is worth a warning
//! for (_line, read) in read_yaml(&text).map_err(|(line, problem)| format!("line {line}: {problem}"))? {
//!     let scenario = validate(read.text, &catalogues, &mut findings)?;
//!     let Decision::Provisioning(decision) = decide(&scenario) else { unreachable!("no disruption is asked for") };
//!     let types: Vec<&str> =
//!         decision.new_node_claims.iter().flat_map(|new| &new.launch).map(|it| it.instance_type.as_str()).collect();
//!     assert_eq!(types, ["g4dn.xlarge", "g4dn.xlarge"]);
//!     assert!(decision.pod_errors.contains_key("default/resnet-3")); // asks for more memory than there is
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Who asks more than once keeps a [`Cluster`](cluster::Cluster), which is changed object by object and stays compiled.
//!
//! The way of the data: [`input`] reads and checks, [`compile`] turns names into small integers and sets over them,
//! [`mod@provisioning`] and [`mod@disruption`] decide, and [`decision`] holds the answer in names again. [`kubernetes`] says
//! what Kubernetes means by its objects, [`batching`] is the window that gathers pods before a round, [`catalogue`] the
//! instance types and their prices, [`provider`] what the cloud's own part of Karpenter makes of them.
//!
//! Same input, same decision, to the byte: nothing depends on hash order, threads, time of day or addresses.

pub mod batching;
pub mod catalogue;
pub mod cluster;
pub mod compile;
pub mod decision;
pub mod disruption;
pub mod explain;
pub mod go_sort;
pub mod input;
pub mod kubernetes;
pub mod label_rules;
pub mod model;
pub mod problem;
pub mod provider;
pub mod provisioning;
pub mod quantity;
pub mod requirements;
pub mod scenario;
pub mod topology;
pub mod version;
pub mod yaml;

pub use decision::Decision;
pub use disruption::disrupt;
pub use provisioning::provision;

/// Decides `scenario`: provisioning, or every method of disruption.
pub fn decide(scenario: &scenario::Scenario) -> Decision {
    match scenario.kind {
        scenario::ScenarioKind::Provisioning => Decision::Provisioning(provision(scenario)),
        scenario::ScenarioKind::Disruption => Decision::Disruption(disrupt(scenario, &decision::Method::ALL)),
    }
}
