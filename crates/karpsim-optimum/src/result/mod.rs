//! Answers: what they cost, whether they keep every rule, how they read.

pub(crate) mod answer;
pub(crate) mod check;
pub(crate) mod differences;
pub(crate) mod evaluation;
pub(crate) mod render;
