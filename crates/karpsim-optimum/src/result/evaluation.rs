//! A decision of Karpenter's as an answer: its nodes, and what they cost.

use crate::model::existing_nodes::ExistingNodes;
use crate::model::slots::Place;
use crate::money::nanos;
use crate::result::answer::{Answer, ObjectiveValue, PlannedNode, by_priority, price};
use karpsim::compile::ClusterState;
use karpsim::decision::{NewNodeClaim, ProvisioningDecision};
use karpsim::model::meta::Str;
use rustc_hash::FxHashMap;

/// What a decision comes to.
#[derive(Debug, Clone)]
pub(crate) struct Evaluation {
    /// How good it is.
    pub(crate) merit: ObjectiveValue,
    /// Nodes with the pods that they get: of the state, or new.
    pub(crate) nodes: Vec<(Option<usize>, Vec<usize>)>,
    /// The same as an answer, as far as new nodes are launched as something that is known.
    pub(crate) answer: Answer,
}

impl Evaluation {
    /// The evaluation of `decision`. Pods that stand somewhere and are not spoken of stay there.
    pub(crate) fn of(
        problem: &ClusterState,
        existing_nodes: &ExistingNodes,
        decision: &ProvisioningDecision,
        pods: &[usize],
        priorities: &[i64],
    ) -> Self {
        let names: FxHashMap<Str, usize> = pods.iter().map(|&pod| (problem.pod_name(pod), pod)).collect();
        let ids = |list: &[Str]| -> Vec<usize> {
            list.iter().filter_map(|name| names.get(name).copied()).collect()
        };
        let mut answer = Answer::default();
        let mut nodes: Vec<(Option<usize>, Vec<usize>)> = Vec::new();
        let mut cost = 0;
        for claim in &decision.new_node_claims {
            let pods = ids(&claim.pods);
            nodes.push((None, pods.clone()));
            cost += claim.launch.as_ref().map_or(0, |launch| nanos(launch.price.0));
            answer.nodes.extend(place_of(problem, claim).map(|place| PlannedNode {
                place,
                chosen: Vec::new(),
                pods,
            }));
        }
        let mut on_node: FxHashMap<usize, Vec<usize>> = FxHashMap::default();
        for filled in &decision.existing_nodes {
            if let Some(node) = problem.nodes.iter().position(|node| node.name == filled.name) {
                on_node.entry(node).or_default().extend(ids(&filled.pods));
            }
        }
        let moved: Vec<usize> = sorted(on_node.values().chain(nodes.iter().map(|(_, pods)| pods)));
        for (&pod, &home) in &existing_nodes.homes {
            if moved.binary_search(&pod).is_err() {
                on_node.entry(home).or_default().push(pod);
            }
        }
        for &node in existing_nodes.prices.keys() {
            on_node.entry(node).or_default();
        }
        let mut on_node: Vec<(usize, Vec<usize>)> = on_node.into_iter().collect();
        on_node.sort_by_key(|(node, _)| *node);
        for (node, mut pods) in on_node {
            pods.sort_unstable();
            cost += price(problem, existing_nodes, Place::Existing { node });
            nodes.push((Some(node), pods.clone()));
            answer.nodes.push(PlannedNode { place: Place::Existing { node }, chosen: Vec::new(), pods });
        }
        let placed = sorted(nodes.iter().map(|(_, pods)| pods));
        answer.unplaced = pods.iter().copied().filter(|pod| placed.binary_search(pod).is_err()).collect();
        let merit = ObjectiveValue { unplaced: by_priority(problem, priorities, &answer.unplaced), cost };
        Evaluation { merit, nodes, answer }
    }
}

fn sorted<'a>(lists: impl Iterator<Item = &'a Vec<usize>>) -> Vec<usize> {
    let mut all: Vec<usize> = lists.flatten().copied().collect();
    all.sort_unstable();
    all
}

/// What a NodeClaim is launched as.
fn place_of(problem: &ClusterState, claim: &NewNodeClaim) -> Option<Place> {
    let launch = claim.launch.as_ref()?;
    let template = problem.templates.iter().position(|template| template.pool == claim.node_pool)?;
    let table = &problem.tables[problem.templates[template].table];
    let of = table.find(&launch.instance_type)?;
    let shape = table.shapes.iter().position(|shape| shape.of == of)?;
    let offering = table.types[of].offerings.iter().position(|offering| {
        offering.zone == launch.zone
            && offering.capacity_type == launch.capacity_type
            && offering.price == launch.price.0
    })?;
    Some(Place::New { template, shape, offering })
}
