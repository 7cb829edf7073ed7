//! Karpenter's decisions once more, as plainly as they can be written: the reference that the fast ones are held against.
//!
//! Everything is text and ordered maps. There are no classes of pods, no sets of bits, nothing that is known from before:
//! every pod is asked about every node, every NodeClaim of the round, every NodePool and every instance type, topologies
//! are counted anew for every try, and the open NodeClaims are really sorted before each. What a moment of a cluster is
//! comes from the scenario itself, so that compiling is held against it too. Of the library it takes what is not about
//! finding places: the objects, quantities, what a pod reserves, which pods may move, budgets, overlays, and the permutation that
//! `sort.Slice` makes, which has recordings of its own.

pub(crate) mod balanced;
pub(crate) mod cluster;
pub(crate) mod daemons;
pub(crate) mod disruption;
pub(crate) mod launch;
pub(crate) mod nodes;
pub(crate) mod offers;
pub(crate) mod pods;
pub(crate) mod random;
pub(crate) mod requirements;
pub(crate) mod scheduler;
pub(crate) mod topology;
