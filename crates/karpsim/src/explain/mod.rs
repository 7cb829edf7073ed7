//! Why a pod goes where it goes or nowhere, and why a node is removed or stays.
//!
//! Explanations are data: facts with names, in the order in which the rules are asked. They are found after the decision,
//! from the state at the end of the round.

pub mod words;

mod budget;
mod node;
mod pod;

pub use budget::{BudgetFact, BudgetRow, TooManyMoments, budget, later};
pub use node::{
    Arithmetic, Balance, BlockingPod, BudgetArithmetic, MethodExplanation, NodeExplanation, StrandedPod,
    Verdict, node,
};
pub use pod::{LaunchExplanation, LeftOver, PodExplanation, PodOutcome, UnusableNodePool, pod};
