//! The problem as linear programs see it: items, slots, rows, and what topology rules come to.

pub(crate) mod existing_nodes;
pub(crate) mod facts;
pub(crate) mod items;
pub(crate) mod preferences;
mod program;
pub(crate) mod rearrangement;
pub(crate) mod rules;
pub(crate) mod slots;

pub(crate) use program::{Counting, Model, Pattern, Row};
