//! What tests and benchmarks share: the files in the repository's `data`, and the recordings of Karpenter's decisions.
//!
//! A recording is a line `{"scenario": …, "decision": …}`; its family is what stands before the `/` of the scenario's
//! name. Scenarios are read as the program reads them, through [`karpsim::input`], so that a test decides what a
//! user would. Everything here panics with the file that it is about: a test has no other way to go on.

mod catalogues;
mod files;
mod recordings;

pub use catalogues::{Catalogues, scenario};
pub use files::{path, text};
pub use recordings::{Recording, Recordings};
