//! The cheapest possible answer to a scenario, and a proven lower bound.
//!
//! [`Optimum::solve`] takes a compiled scenario and gives an answer in the form of Karpenter's decisions, what it costs,
//! and a bound that no answer can be below. A node is a *pattern*: one instance type, one offering, some pods. A linear
//! program over patterns is solved by column generation over classes of pods; whatever patterns it has not seen, its
//! multipliers, scaled until no pattern beats its price, prove the bound. Answers come from diving, from branch and price,
//! and from Karpenter itself, so that the result never costs more than Karpenter's decision.
//!
//! The aims, in this order: most pods placed, those of higher priority first; least cost an hour. Preferences are left
//! aside ([`Preferences::LeaveAside`]) or, on the command line with `--preferences respect`, those that Karpenter's decision
//! meets are met too ([`Preferences::Respect`]); either way it is counted how many are not. What the bound does not know is
//! named in [`Optimum::relaxed`]; the answer keeps it all the same.
//!
//! Nothing here reads a clock, a file or the environment: time comes from the caller ([`Watch`]).

mod bits;
mod limits;
mod linear;
mod model;
mod money;
mod optimum;
mod problem;
mod result;
mod search;

pub use limits::{Limits, Progress, Watch};
pub use model::facts::Relaxation;
pub use money::{dollars, nanos};
pub use optimum::{Optimum, Rearrangement, Status};
pub use problem::{Aim, OptimizationProblem, Preferences};
