//! Whether a pod can be on a node: what the autoscaler asks of kube-scheduler.

use crate::nodes::NodeRef;
use crate::pods::PodRef;

/// Why a node was refused, as far as the autoscaler tells reasons apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// A topology spread constraint: this node would make the skew too large.
    TopologySpread,
    /// Anything else.
    Other,
}

/// A number of a node that is told to [`Predicates`]. It is not given twice.
pub(crate) type NodeNumber = usize;

/// A cluster to ask about.
pub(crate) trait Predicates {
    /// A node comes, without pods.
    fn add_node(&mut self, number: NodeNumber, node: &NodeRef);
    /// A node goes. Its pods went before.
    fn remove_node(&mut self, number: NodeNumber);
    /// A pod comes to a node.
    fn add_pod(&mut self, number: NodeNumber, pod: &PodRef);
    /// A pod leaves a node.
    fn remove_pod(&mut self, number: NodeNumber, pod: &PodRef);
    /// All nodes and pods that there are have been told. What comes and goes from now on is tried out, and will be taken back.
    fn loaded(&mut self);
    /// Whether `pod` could come to a node.
    fn check(&mut self, pod: &PodRef, number: NodeNumber) -> Result<(), Refusal>;
    /// The first of `numbers` that `pod` could come to.
    fn first_fitting(
        &mut self,
        pod: &PodRef,
        numbers: impl Iterator<Item = NodeNumber>,
    ) -> Option<NodeNumber>;
}
