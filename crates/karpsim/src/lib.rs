//! What Karpenter would do, as pure functions: no files, no sockets, no clock, no global state.

pub mod api;
pub mod catalogue;
pub mod decision;
pub mod quantity;
