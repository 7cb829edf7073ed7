//! What the providers of clouds add to Karpenter: what a node class makes of a cloud's machines, and what becomes of a
//! NodeClaim.
//!
//! Karpenter's core decides with instance types and NodeClaims; a provider makes the former out of a node class and what
//! its cloud sells, and launches the latter. One folder a provider. All of it is pure: what a provider remembers from one
//! launch to the next is a value that the caller keeps.

pub mod aws;
