//! What Kubernetes itself means by its objects: what a pod requests, which taints it tolerates, what a selector selects,
//! which pods may be evicted.
//!
//! The functions here depend on the objects alone. Karpenter's decisions, the controller's loops and every model of
//! another component ask here, so that there is one answer. The validator and the plain reference in the tests have
//! their own: an oracle is independent of what it judges.

pub mod cron;
pub mod eviction;
pub mod labels;
pub mod pods;
pub mod requests;
pub mod selectors;
pub mod taints;
