//! Which of the nodes that can take a pod is the best: each plugin gives 0 to 100, times its weight.

mod affinity;
mod logarithm;
mod nodes;
mod resources;
mod spread;

pub(crate) use affinity::{AffinityScores, weights_between};
pub(crate) use nodes::{NodeScore, node_score};
pub(crate) use spread::{SpreadScores, needs_all_labels};

use crate::cluster::{Cluster, NodeIndex, PodInfo};
use std::fmt;

/// A plugin that scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ScorePlugin {
    /// Taints that would rather keep the pod away.
    TaintToleration,
    /// Preferred node affinity.
    NodeAffinity,
    /// What is left of resources.
    NodeResourcesFit,
    /// Soft topology spread constraints.
    PodTopologySpread,
    /// Preferred pod affinity and anti-affinity.
    InterPodAffinity,
    /// How evenly cpu and memory are used.
    NodeResourcesBalancedAllocation,
    /// Images that are there already.
    ImageLocality,
}

impl ScorePlugin {
    /// All of them, in their order.
    pub const ALL: [ScorePlugin; 7] = [
        ScorePlugin::TaintToleration,
        ScorePlugin::NodeAffinity,
        ScorePlugin::NodeResourcesFit,
        ScorePlugin::PodTopologySpread,
        ScorePlugin::InterPodAffinity,
        ScorePlugin::NodeResourcesBalancedAllocation,
        ScorePlugin::ImageLocality,
    ];

    /// Its weight.
    pub const fn weight(self) -> i64 {
        match self {
            ScorePlugin::TaintToleration => 3,
            ScorePlugin::NodeAffinity | ScorePlugin::PodTopologySpread | ScorePlugin::InterPodAffinity => 2,
            ScorePlugin::NodeResourcesFit
            | ScorePlugin::NodeResourcesBalancedAllocation
            | ScorePlugin::ImageLocality => 1,
        }
    }

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            ScorePlugin::TaintToleration => "TaintToleration",
            ScorePlugin::NodeAffinity => "NodeAffinity",
            ScorePlugin::NodeResourcesFit => "NodeResourcesFit",
            ScorePlugin::PodTopologySpread => "PodTopologySpread",
            ScorePlugin::InterPodAffinity => "InterPodAffinity",
            ScorePlugin::NodeResourcesBalancedAllocation => "NodeResourcesBalancedAllocation",
            ScorePlugin::ImageLocality => "ImageLocality",
        }
    }
}

impl fmt::Display for ScorePlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The highest score of a plugin.
pub(crate) const MAX_SCORE: i64 = 100;

/// What a node scored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeScores {
    /// The node.
    pub node: NodeIndex,
    /// The sum.
    pub total: i64,
    /// Weighted, in the order of [`ScorePlugin::ALL`]. `None`: the plugin was skipped.
    pub plugins: [Option<i64>; 7],
}

/// The scores of all `nodes`, in their order.
pub(crate) fn score(cluster: &Cluster, info: &PodInfo, nodes: &[NodeIndex]) -> Vec<NodeScores> {
    let class = &*info.class;
    let raw: Vec<NodeScore> =
        nodes.iter().map(|node| node_score(cluster, class, cluster.info(*node))).collect();
    let spread = SpreadScores::count(cluster, info, nodes);
    let affinity = AffinityScores::count(cluster, info);
    combine(cluster, info, nodes, &raw, spread.as_ref(), affinity.as_ref())
}

/// The sums alone.
pub(crate) fn totals(
    cluster: &Cluster,
    info: &PodInfo,
    nodes: &[NodeIndex],
    raw: &[NodeScore],
    spread: Option<&SpreadScores>,
    affinity: Option<&AffinityScores>,
) -> Vec<i64> {
    let class = &*info.class;
    let (mut untolerated, mut preferred) = (0, 0);
    for score in raw {
        untolerated = untolerated.max(score.untolerated);
        preferred = preferred.max(score.preferred);
    }
    let share = |of: i64, most: i64| if most == 0 { 0 } else { MAX_SCORE * of / most };
    let balanced = i64::from(!class.is_best_effort());
    let mut totals: Vec<i64> = raw
        .iter()
        .map(|score| {
            (MAX_SCORE - share(score.untolerated, untolerated)) * ScorePlugin::TaintToleration.weight()
                + share(score.preferred, preferred) * ScorePlugin::NodeAffinity.weight()
                + score.fit
                + score.balanced * balanced
                + score.images
        })
        .collect();
    let mut add = |plugin: ScorePlugin, column: Vec<i64>| {
        for (total, score) in totals.iter_mut().zip(column) {
            *total += score * plugin.weight();
        }
    };
    if let Some(spread) = spread {
        add(ScorePlugin::PodTopologySpread, spread.normalized(cluster, class, nodes));
    }
    if let Some(affinity) = affinity {
        add(ScorePlugin::InterPodAffinity, affinity.normalized(cluster, nodes));
    }
    totals
}

/// Puts the parts of the scores together.
pub(crate) fn combine(
    cluster: &Cluster,
    info: &PodInfo,
    nodes: &[NodeIndex],
    raw: &[NodeScore],
    spread: Option<&SpreadScores>,
    affinity: Option<&AffinityScores>,
) -> Vec<NodeScores> {
    let class = &*info.class;
    let column = |of: fn(&NodeScore) -> i64| -> Vec<i64> { raw.iter().map(of).collect() };
    let taints = normalized(column(|score| score.untolerated), true);
    let prefers_nodes = class
        .spec()
        .affinity
        .as_ref()
        .and_then(|affinity| affinity.node_affinity.as_ref())
        .is_some_and(|affinity| !affinity.preferred.is_empty());
    let preferred = prefers_nodes.then(|| normalized(column(|score| score.preferred), false));
    let spread = spread.map(|spread| spread.normalized(cluster, class, nodes));
    let affinity = affinity.map(|affinity| affinity.normalized(cluster, nodes));
    let balanced = (!class.is_best_effort()).then(|| column(|score| score.balanced));
    let columns: [Option<Vec<i64>>; 7] = [
        Some(taints),
        preferred,
        Some(column(|score| score.fit)),
        spread,
        affinity,
        balanced,
        Some(column(|score| score.images)),
    ];
    nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let mut plugins = [None; 7];
            let mut total = 0;
            for ((place, column), plugin) in plugins.iter_mut().zip(&columns).zip(ScorePlugin::ALL) {
                if let Some(column) = column {
                    let weighted = column[at] * plugin.weight();
                    *place = Some(weighted);
                    total += weighted;
                }
            }
            NodeScores { node: *node, total, plugins }
        })
        .collect()
}

/// Scales to the largest; `fewer_is_better`: and turns it round.
fn normalized(mut scores: Vec<i64>, fewer_is_better: bool) -> Vec<i64> {
    let most = scores.iter().copied().max().unwrap_or(0).max(0);
    for score in &mut scores {
        let scaled = if most == 0 { 0 } else { MAX_SCORE * *score / most };
        *score = if fewer_is_better { MAX_SCORE - scaled } else { scaled };
    }
    scores
}
