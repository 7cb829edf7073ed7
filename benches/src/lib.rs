//! Inputs of the benchmarks: a seeded generator of workloads like those of Karpenter's own benchmark, and the scenarios in
//! `data/bench`.
//!
//! The generator writes text, since reading is measured too. The same seed gives the same bytes on every machine.

pub mod clusters;
pub mod constraints;
pub mod files;
pub mod pods;
mod seeded;

pub use seeded::Seeded;

/// The seed of generated inputs wherever something is measured.
pub const SEED: u64 = 42;
