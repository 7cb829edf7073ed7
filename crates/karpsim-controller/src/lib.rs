//! Karpenter's control loops as a state machine without I/O.
//!
//! The world tells the [`Controller`] what it sees ([`Event`]), wakes it when it asks to be woken
//! ([`Controller::next_wakeup`]) and carries out what it wants done ([`Action`]). The world can be a simulation or a live
//! cluster; nothing here knows which, and nothing reads a clock.
//!
//! One file holds one loop:
//!
//! | file | what |
//! |---|---|
//! | `provisioner` | pod and node triggers, the batch window, a round, nominations |
//! | `lifecycle` | NodeClaims: launched, registered, initialized |
//! | `conditions` | `lastPodEventTime`, `Consolidatable`, `Drifted` |
//! | `disruption` | the pass every 10 s, its methods, the 15 s of validation |
//! | `queue` | commands that wait for their replacements |
//! | `termination` | drain, eviction with back-off, end of the instance |
//! | `expiration` | `expireAfter`, one NodeClaim a second |
//! | `ttl` | `ttlSecondsAfterEmpty` of Karpenter v0.6 |
//! | `static_pools` | NodePools with `replicas` |
//! | `interruption` | what the cloud takes back, and what it has not got |
//!
//! # Invariants
//!
//! - All times are nanoseconds since one start; what the API server stamps is cut to whole seconds ([`Calendar::stamp`]).
//! - At one moment the world's events come first, then everything that is due here, then a pass of disruption, and last
//!   the batch window closes: real triggers arrive a little late, so a window that ends now still takes what happens now.
//! - Same events, same actions: every container that is walked is ordered.

mod capacity;
mod claim;
mod cluster;
mod conditions;
mod controller;
mod decider;
mod disruption;
mod drift;
mod event;
mod expiration;
mod interruption;
mod lifecycle;
mod provisioner;
mod queue;
mod settings;
mod static_pools;
mod termination;
mod time;
mod ttl;

pub use capacity::{Machine, OfferingKey, launch_order, machine};
pub use claim::Claim;
pub use cluster::Cluster;
pub use controller::Controller;
pub use decider::{Decider, Found, Karpsim};
pub use event::{Action, Decided, DecidedKind, Event, Interruption, Milestone, PriceChange, Removed};
pub use settings::{Binding, Profile, Settings};
pub use time::{Calendar, Nanos, SECOND};
