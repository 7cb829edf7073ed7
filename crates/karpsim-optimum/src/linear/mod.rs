//! Linear programs over patterns: the master, the pricing of new patterns, and the vertices of their solutions.

pub(crate) mod generation;
pub(crate) mod master;
pub(crate) mod one_resource;
pub(crate) mod pricing;
pub(crate) mod relaxation;
pub(crate) mod vertex;
