//! The world around the controller: a trace is played against [`karpsim_controller`] in simulated time.
//!
//! | module | what |
//! |---|---|
//! | [`trace`] | traces: document or stream, times, events, their errors |
//! | `world` | the event queue and what stands in it: workloads, kubelets, the cloud, disruption budgets |
//! | `scheduler` | a model of kube-scheduler: its filters, and scores that follow it |
//! | [`overlay`], [`variant`], [`layers`] | what is laid over a trace, and in which order |
//! | [`ledger`] | what ran how long and what it cost |
//! | [`result`] | what a replay gives |
//!
//! Times are integers of nanoseconds since the trace's start, money that is added up is integer; nothing reads a clock,
//! a file or a random number. The same trace gives the same bytes.

pub mod delays;
pub mod error;
pub mod layers;
pub mod ledger;
pub mod log;
pub mod overlay;
pub mod replay;
pub mod result;
mod scheduler;
pub mod trace;
pub mod variant;
mod world;

pub use delays::{Delay, DelaySettings, Delays};
pub use error::Error;
pub use log::LogEvent;
pub use replay::{Names, ReplayOptions, replay, replay_events};
pub use result::ReplayResult;
pub use trace::{Trace, TraceReader};
