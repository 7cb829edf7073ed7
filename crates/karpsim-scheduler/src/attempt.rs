//! What came of one attempt to place a pod.

use crate::cluster::{Cluster, NodeIndex};
use crate::preemption::NotEligible;
use crate::reason::{CycleError, Plugin, Reason, Refusal};
use crate::scores::NodeScores;
use crate::storage::PodVolumes;
use karpsim::model::core::Pod;
use karpsim::model::meta::Str;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

/// One scheduling cycle.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Attempt {
    /// How it ended.
    pub outcome: Outcome,
    /// Nodes that can take the pod, of those that were asked.
    pub feasible: usize,
    /// Nodes that were asked, but for the one at which the search ended.
    pub evaluated: usize,
    /// Where in the [order of nodes](Cluster::node_order) the search began.
    pub start: usize,
    /// What nodes scored, the best first, then by name. Empty if only one was feasible.
    pub scores: Vec<NodeScores>,
}

/// How an attempt ends.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Outcome {
    /// The pod goes to a node.
    Placed(Placed),
    /// No node can take it.
    Unschedulable(Box<Unschedulable>),
    /// There are no nodes at all.
    NoNodes,
    /// Objects do not fit together.
    Failed(CycleError),
}

/// Where a pod goes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Placed {
    /// The node.
    pub node: Str,
    /// What is to be bound or provisioned for it.
    pub volumes: PodVolumes,
}

/// Why a pod goes nowhere, and what preemption does about it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Unschedulable {
    /// How many nodes there were.
    pub node_count: usize,
    /// It was refused before any node was asked.
    pub pre_filter: Option<Refusal>,
    /// Why the nodes that were asked refused.
    pub nodes: NodeRefusals,
    /// Why the others were not asked.
    pub absent: Option<Reason>,
    /// What preemption did.
    pub preemption: Preemption,
}

/// What becomes of `status.nominatedNodeName`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nomination {
    /// It stays as it is.
    Keep,
    /// It is cleared.
    Clear,
    /// It is set to this node.
    Set(Str),
}

/// What preemption did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Preemption {
    /// Nothing: the pod was refused before any node was asked. Its nomination stays.
    NotTried,
    /// Nothing: the pod may make no others go. Its nomination stays.
    NotEligible(NotEligible),
    /// Evicting pods helps nowhere. The pod is nominated no more.
    NoCandidates {
        /// Why it helps not on the nodes that were tried.
        tried: NodeRefusals,
    },
    /// It failed.
    Failed(CycleError),
    /// The pod is nominated to a node, and pods have to go.
    Nominated {
        /// The node.
        node: Str,
        /// Who has to go; some may be about to already.
        victims: Vec<Arc<Pod>>,
        /// Pods of lower priority that were nominated to the node, and are no more: their status is to be cleared.
        replaced: Vec<Arc<Pod>>,
    },
}

/// Refusals by node. Like ones are kept once.
#[derive(Debug, Clone, Default)]
pub struct NodeRefusals {
    distinct: Vec<Refusal>,
    nodes: Vec<(NodeIndex, u32)>,
}

impl NodeRefusals {
    /// The number of a refusal.
    pub(crate) fn intern(&mut self, refusal: &Refusal) -> u32 {
        let at = match self.distinct.iter().position(|known| known == refusal) {
            Some(at) => at,
            None => {
                self.distinct.push(refusal.clone());
                self.distinct.len() - 1
            }
        };
        at as u32
    }

    /// Notes why a node refused. The only one that can be asked twice is the first.
    pub(crate) fn push(&mut self, node: NodeIndex, number: u32) {
        match self.nodes.first_mut() {
            Some(first) if first.0 == node => first.1 = number,
            _ => self.nodes.push((node, number)),
        }
    }

    /// How many nodes refused.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether none did.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The nodes that refused, in the order in which they were asked, and why.
    pub fn iter(&self) -> impl Iterator<Item = (NodeIndex, &Refusal)> {
        self.nodes.iter().map(|(node, number)| (*node, &self.distinct[*number as usize]))
    }

    pub(crate) fn get(&self, node: NodeIndex) -> Option<&Refusal> {
        let (_, number) = self.nodes.iter().find(|(asked, _)| *asked == node)?;
        self.distinct.get(*number as usize)
    }

    /// How many nodes refused for each reason, in words and by them: `3 Insufficient cpu`.
    fn histogram(&self, absent: Option<(&Reason, usize)>) -> Vec<String> {
        let mut by_number = vec![0_usize; self.distinct.len()];
        for (_, number) in &self.nodes {
            by_number[*number as usize] += 1;
        }
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (refusal, nodes) in self.distinct.iter().zip(by_number).filter(|(_, nodes)| *nodes > 0) {
            for reason in &refusal.reasons {
                *counts.entry(reason.to_string()).or_default() += nodes;
            }
        }
        if let Some((reason, nodes)) = absent.filter(|(_, nodes)| *nodes > 0) {
            *counts.entry(reason.to_string()).or_default() += nodes;
        }
        let mut lines: Vec<String> =
            counts.into_iter().map(|(reason, nodes)| format!("{nodes} {reason}")).collect();
        lines.sort_unstable();
        lines
    }
}

fn no_nodes_are_available(node_count: usize, refusals: &NodeRefusals, absent: Option<&Reason>) -> String {
    let others = node_count.saturating_sub(refusals.len());
    let lines = refusals.histogram(absent.map(|reason| (reason, others)));
    let mut text = format!("0/{node_count} nodes are available:");
    if !lines.is_empty() {
        text += &format!(" {}.", lines.join(", "));
    }
    text
}

impl Unschedulable {
    /// The plugins that refused, by name: kube-scheduler tries the pod again when something happens that one of them may like.
    pub fn plugins(&self) -> BTreeSet<Plugin> {
        match &self.pre_filter {
            Some(refusal) => BTreeSet::from([refusal.plugin]),
            None => {
                let mut plugins: BTreeSet<Plugin> =
                    self.nodes.distinct.iter().map(|refusal| refusal.plugin).collect();
                if let Some(Reason::NotNamed(plugin)) = &self.absent {
                    plugins.insert(*plugin);
                }
                plugins
            }
        }
    }

    /// What preemption said, in kube-scheduler's words; empty if it found a node.
    pub fn post_filter_message(&self) -> String {
        // The plugin of dynamic resources is asked first.
        const NO_CLAIMS: &str = "no new claims to deallocate, preemption: ";
        match &self.preemption {
            Preemption::NotTried => "not found".into(),
            Preemption::NotEligible(why) => format!("{NO_CLAIMS}{why}"),
            Preemption::NoCandidates { tried } => {
                let absent = Reason::PreemptionNotHelpful;
                format!("{NO_CLAIMS}{}", no_nodes_are_available(self.node_count, tried, Some(&absent)))
            }
            Preemption::Failed(error) => error.to_string(),
            Preemption::Nominated { .. } => String::new(),
        }
    }

    /// Why no node can take the pod, without what preemption said: `0/5 nodes are available: 3 Insufficient cpu, …`
    pub fn message(&self) -> String {
        match &self.pre_filter {
            Some(refusal) => {
                let reasons: Vec<String> = refusal.reasons.iter().map(Reason::to_string).collect();
                format!("0/{} nodes are available: {}.", self.node_count, reasons.join(", "))
            }
            None => no_nodes_are_available(self.node_count, &self.nodes, self.absent.as_ref()),
        }
    }
}

/// The message of the pod's condition `PodScheduled`.
impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message())?;
        let post_filter = self.post_filter_message();
        if post_filter.is_empty() { Ok(()) } else { write!(f, " {post_filter}") }
    }
}

impl Attempt {
    pub(crate) fn new(outcome: Outcome, start: usize) -> Self {
        Attempt { outcome, feasible: 0, evaluated: 0, start, scores: Vec::new() }
    }

    /// What becomes of the pod's nomination.
    pub fn nomination(&self) -> Nomination {
        match &self.outcome {
            Outcome::Placed(_) => Nomination::Keep,
            Outcome::NoNodes | Outcome::Failed(_) => Nomination::Clear,
            Outcome::Unschedulable(why) => match &why.preemption {
                Preemption::NotTried | Preemption::NotEligible(_) | Preemption::Failed(_) => Nomination::Keep,
                Preemption::NoCandidates { .. } => Nomination::Clear,
                Preemption::Nominated { node, .. } => Nomination::Set(node.clone()),
            },
        }
    }

    /// The node that the pod goes to.
    pub fn node(&self) -> Option<&Str> {
        match &self.outcome {
            Outcome::Placed(placed) => Some(&placed.node),
            _ => None,
        }
    }

    /// Sorts scores: the best first, then by name.
    pub(crate) fn sort_scores(cluster: &Cluster, scores: &mut [NodeScores]) {
        scores.sort_by(|a, b| {
            b.total.cmp(&a.total).then_with(|| cluster.node_name(a.node).cmp(cluster.node_name(b.node)))
        });
    }
}
