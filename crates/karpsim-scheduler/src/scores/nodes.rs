//! The parts of a score that depend on the node alone.

use super::MAX_SCORE;
use super::resources::{balanced_allocation, fit};
use crate::class::Class;
use crate::cluster::Cluster;
use crate::kubernetes::{term_holds, tolerates};
use crate::node_info::NodeInfo;
use karpsim::model::core::{Node, TaintEffect};

/// The parts of a score that depend on the node alone; [`untolerated`](Self::untolerated) and
/// [`preferred`](Self::preferred) are yet to be set in relation to those of the other nodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct NodeScore {
    /// Taints that would rather keep the pod away.
    pub(crate) untolerated: i64,
    /// Weights of preferred node affinity.
    pub(crate) preferred: i64,
    pub(crate) fit: i64,
    pub(crate) balanced: i64,
    pub(crate) images: i64,
}

pub(crate) fn node_score(cluster: &Cluster, class: &Class, info: &NodeInfo) -> NodeScore {
    let Some(node) = info.node.as_deref() else { return NodeScore::default() };
    NodeScore {
        untolerated: untolerated(class, node),
        preferred: preferred(class, node),
        fit: fit(&cluster.options.scoring_strategy, &class.fit_requests, info),
        balanced: balanced_allocation(class.balanced_requests, info),
        images: images(class, info, cluster.node_count()),
    }
}

fn untolerated(class: &Class, node: &Node) -> i64 {
    let tolerations = &class.spec().tolerations;
    node.spec
        .taints
        .iter()
        .filter(|taint| taint.effect == Some(TaintEffect::PreferNoSchedule))
        .filter(|taint| !tolerates(tolerations, taint))
        .count() as i64
}

fn preferred(class: &Class, node: &Node) -> i64 {
    let affinity = class.spec().affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
    affinity
        .map(|affinity| affinity.preferred.as_slice())
        .unwrap_or_default()
        .iter()
        .filter(|term| term_holds(&term.preference, &node.metadata.labels, &node.metadata.name))
        .map(|term| term.weight)
        .sum()
}

const MIB: i64 = 1 << 20;
/// Less than this is not worth a preference.
const IMAGES_MIN_BYTES: i64 = 23 * MIB;
/// More than this a container makes no difference.
const IMAGE_MAX_BYTES: i64 = 1000 * MIB;

/// The sizes of images that are there, each the less worth the fewer nodes have it.
fn images(class: &Class, info: &NodeInfo, node_count: usize) -> i64 {
    let sum: i64 = class
        .images
        .iter()
        .filter_map(|image| info.images.iter().find(|(name, ..)| name == image))
        .map(|(_, size, nodes)| {
            let share = f64::from(*nodes) / node_count as f64;
            (*size as f64 * share) as i64
        })
        .sum();
    let most = IMAGE_MAX_BYTES * class.container_count() as i64;
    // A pod without containers has no range between the two.
    let sum = if sum < IMAGES_MIN_BYTES { IMAGES_MIN_BYTES } else { sum.min(most) };
    MAX_SCORE * (sum - IMAGES_MIN_BYTES) / (most - IMAGES_MIN_BYTES)
}
