//! The objects of a cluster: structs with the fields that decide.
//!
//! [`core`], [`selecting`], [`autoscaling`] and [`karpenter`] hold the kinds, [`meta`] what they share. Every struct keeps
//! the names of fields that found no place (see [`wire`]), so that nothing is dropped silently.

pub mod autoscaling;
pub mod core;
pub mod karpenter;
pub mod meta;
pub mod objects;
pub mod schema;
pub mod selecting;
pub mod wire;

pub use objects::Objects;
