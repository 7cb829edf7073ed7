//! The door: objects as users write them, checked once.
//!
//! [`core`], [`autoscaling`] and [`karpenter`] hold the kinds, [`meta`] what they share, [`scenario`] the moment to decide on. Every struct
//! keeps the names of fields that found no place (see [`wire`]), so that nothing is dropped silently.

pub mod autoscaling;
pub mod convert;
pub mod core;
pub mod defaults;
pub mod documents;
pub mod door;
pub mod karpenter;
pub mod meta;
pub mod objects;
pub mod problem;
pub mod resources;
pub mod scenario;
pub mod schema;
pub mod wire;
pub mod yaml;

pub use objects::Objects;
pub use scenario::{ClusterMemory, Options, Scenario, ScenarioKind};
