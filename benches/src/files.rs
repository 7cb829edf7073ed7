//! The files in `data`, and scenarios out of text, as the tests read them.

pub use karpsim_testkit::{scenario, text};
