//! Scenarios that tests write themselves.

#![allow(dead_code, reason = "every test file uses some of it")]

pub(crate) mod random;
pub(crate) mod running;
pub(crate) mod small;
pub(crate) mod steps;
pub(crate) mod types;
