//! Karpenter's control loops as a state machine without I/O.
//!
//! The world tells the [`Controller`] what it sees ([`Controller::observe`]) and wakes it when it asks to be woken
//! ([`Controller::next_wakeup`], [`Controller::wake`]). After either it takes what came of it, a [`Ready`] of two kinds:
//! [`Action`]s, calls to the API server and to the cloud that are to be made, and [`Record`]s, what there is to know for a
//! log or a ledger. Answers come back as further [`Event`]s. The world can be a simulation or a live cluster; nothing here
//! knows which, and nothing reads a clock.
//!
//! A pod that waits gets a NodeClaim when the batch window has been idle for a second:
//!
//! ```
//! # use karpsim::model::{core::Pod, karpenter::NodePool};
//! use karpsim_controller::{Action, Calendar, Controller, Event, SECOND, Settings};
//! # fn pool() -> NodePool { serde_json::from_str(r#"{"metadata": {"name": "default"}, "spec": {"template": {"spec": {
//! #     "nodeClassRef": {"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"}}}}, "status": {"conditions": [
//! #     {"type": "ValidationSucceeded", "status": "True"}, {"type": "NodeClassReady", "status": "True"},
//! #     {"type": "Ready", "status": "True"}]}}"#).unwrap() }
//! # fn pod() -> Pod { serde_json::from_str(r#"{"metadata": {"name": "a", "namespace": "default", "uid": "1"}, "status": {
//! #     "phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]}}"#).unwrap() }
//! # let catalogue = serde_json::from_str(r#"{"provider": "fake", "instanceTypes": [{"name": "small", "requirements": [
//! #     {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["small"]}],
//! #     "capacity": {"cpu": "2", "memory": "4Gi", "pods": "10"}, "offerings": [{"price": 0.1, "available": true, "requirements": [
//! #     {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
//! #     {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["a"]}]}]}]}"#).unwrap();
//! let calendar = Calendar::new("2026-01-01T00:00:00Z".parse().unwrap());
//! let mut karpenter = Controller::new(Settings::default(), calendar, catalogue);
//! karpenter.observe(0, Event::NodePool(Box::new(pool())));
//! karpenter.observe(0, Event::Pod(pod().into()));
//! assert!(karpenter.ready().actions.is_empty());
//!
//! let now = karpenter.next_wakeup().unwrap();
//! assert_eq!(now, SECOND);
//! karpenter.wake(now);
//! let [Action::CreateNodeClaim { node_claim, wanted }] = &karpenter.ready().actions[..] else { panic!() };
//! assert_eq!(node_claim.metadata.name, "default-1");
//! assert_eq!(wanted.launch.as_ref().unwrap().instance_type, "small");
//! // Next it expects Event::Launched, with the provider id of the instance, or Event::LaunchFailed.
//! ```
//!
//! # What belongs together
//!
//! A NodeClaim, its instance and its node are joined by the provider id, which the cloud gives and NodeClaim and node
//! carry; from the NodeClaim's `status.nodeName` on by that, too. Their names are never compared: in a real cluster they
//! differ. NodePools and NodeClaims whose node class is another provider's are another Karpenter's, and left alone.
//!
//! # Where what is
//!
//! | file | what |
//! |---|---|
//! | `controller` | what is held, how events are taken in, in which order things are due |
//! | `event`, `ready`, `record` | what comes in, what goes out to be done, what goes out to be known |
//! | `cluster`, `claim` | the cluster as Karpenter sees it, and what it remembers of a NodeClaim |
//! | `decider` | who decides: the library, or a test |
//! | `provisioner` | pod and node triggers, the batch window, a round, nominations |
//! | `lifecycle` | NodeClaims: launched, registered, initialized |
//! | `conditions` | `lastPodEventTime`, `Consolidatable`, `Drifted` |
//! | `disruption` | the pass every 10 s, its methods, the 15 s of validation |
//! | `queue` | commands that wait for their replacements |
//! | `termination` | drain, eviction with back-off, end of the instance |
//! | `expiration` | `expireAfter`, one NodeClaim a second |
//! | `ttl` | `ttlSecondsAfterEmpty` of Karpenter v0.6 |
//! | `static_pools` | NodePools with `replicas`, while their feature gate is on |
//! | `interruption` | what the cloud takes back, and what it has not got |
//!
//! # Invariants
//!
//! - All times are nanoseconds since one start; what the API server stamps is cut to whole seconds ([`Calendar::stamp`]).
//! - At one moment the world's events come first, then everything that is due here, then a pass of disruption, and last
//!   the batch window closes: real triggers arrive a little late, so a window that ends now still takes what happens now.
//! - Same events, same actions and records: every container that is walked is ordered.

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
mod moment;
mod names;
mod provisioner;
mod queue;
mod ready;
mod record;
mod settings;
mod static_pools;
mod termination;
mod time;
mod ttl;

pub use capacity::{Machine, OfferingKey, launch_order, machine};
pub use controller::Controller;
pub use decider::{Decider, Found, Karpsim};
pub use event::{Event, Interruption, PriceChange};
pub use names::{NodeClaimNames, draw, name_suffix};
pub use ready::{Action, NodePatch, Ready, Step};
pub use record::{Cause, Decided, Loop, Milestone, Reason, Record, Removed};
pub use settings::{Binding, Profile, Settings};
pub use time::{Calendar, Nanos, SECOND};
