//! Items: pods that are alike in all that the model looks at.
//!
//! Classes of pods that differ only in what no fact mentions become one item, so that the linear programs stay small.

use crate::bits::Bits;
use crate::model::existing_nodes::ExistingNodes;
use crate::model::facts::{Fact, Facts, Reach};
use crate::model::rules::{alternatives, tolerations_of};
use karpsim::compile::ClusterState;
use karpsim::compile::asked::Asked;
use karpsim::compile::pods::{ClassId, PortsId};
use karpsim::compile::taints::TolerationsId;
use karpsim::model::meta::Str;
use karpsim::requirements::{Algebra, KeyId, ValueId};
use rustc_hash::FxHashMap;

/// Pods that are alike.
#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// The pods, as indexes into the scenario's.
    pub(crate) pods: Vec<usize>,
    /// How many.
    pub(crate) count: i64,
    /// Priority of the pods.
    pub(crate) priority: i64,
    /// What a pod reserves, over [`Items::resources`].
    pub(crate) requests: Vec<i64>,
    /// What the node must be: one of these.
    pub(crate) alternatives: Vec<Asked>,
    /// Tolerations in the end.
    pub(crate) tolerations: TolerationsId,
    /// Host ports.
    pub(crate) ports: PortsId,
    /// Volumes that count against limits.
    pub(crate) attached: Vec<(Str, Str)>,
    /// Whether nodes of the state are closed to it.
    pub(crate) unresolved: bool,
    /// Where topologies let it go.
    pub(crate) reach: Reach,
    /// The node that they are on, where it matters whether they stay.
    pub(crate) home: Option<usize>,
    /// The domains that some of them are assigned to, in the order in which these places were first chosen.
    pub(crate) assigned: Vec<(AssignedDomains, Vec<usize>)>,
}

/// At most so many pods of some items on a node.
#[derive(Debug, Clone)]
pub(crate) struct NodeLimit {
    /// Items.
    pub(crate) members: Bits,
    /// On a new node.
    pub(crate) on_new: i64,
    /// On each node of the state.
    pub(crate) on_node: Vec<i64>,
}

/// Items that need others on their node.
#[derive(Debug, Clone)]
pub(crate) struct Companion {
    /// Items with the need.
    pub(crate) owners: Bits,
    /// Items that meet it.
    pub(crate) others: Bits,
    /// Nodes of the state where it is met already.
    pub(crate) met_on: Vec<bool>,
}

/// The items of a problem, and the facts that concern single nodes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Items {
    /// Items.
    pub(crate) items: Vec<Item>,
    /// Resources that any of them asks for, as ids of the problem's.
    pub(crate) resources: Vec<usize>,
    /// The items of each class: several, if its pods differ in priority or in the node they are on.
    pub(crate) of_class: FxHashMap<ClassId, Vec<usize>>,
    /// The item of each pod.
    pub(crate) of_pod: FxHashMap<usize, usize>,
    /// Limits a node.
    pub(crate) limits: Vec<NodeLimit>,
    /// For each item, those that cannot be beside it; itself: no second one of it can.
    pub(crate) conflicts: Vec<Bits>,
    /// Needs.
    pub(crate) companions: Vec<Companion>,
}

impl Items {
    /// A set of classes as a set of items.
    pub(crate) fn set(&self, classes: &[ClassId]) -> Bits {
        classes.iter().flat_map(|class| self.of_class.get(class).into_iter().flatten().copied()).collect()
    }
}

/// Everything by which items are told apart.
#[derive(PartialEq, Eq, Hash)]
struct ItemKey {
    priority: i64,
    requests: Vec<i64>,
    alternatives: Vec<Asked>,
    tolerations: TolerationsId,
    ports: PortsId,
    attached: Vec<(Str, Str)>,
    unresolved: bool,
    reach: Reach,
    home: Option<usize>,
    facts: Vec<(usize, u8)>,
}

/// Domains that a pod is assigned to, at most one a label; labels ascend.
pub(crate) type AssignedDomains = Vec<(KeyId, ValueId)>;

/// The domains that single pods are assigned to.
pub(crate) type DomainAssignment = FxHashMap<usize, AssignedDomains>;

/// The items of `pods`. `assigned`: pods that are to go to certain domains; they stay one item with those that are not.
pub(crate) fn items_of(
    problem: &ClusterState,
    algebra: &mut Algebra,
    pods: &[usize],
    facts: &Facts,
    assigned: &DomainAssignment,
    existing_nodes: &ExistingNodes,
) -> Items {
    let class_of = |id: ClassId| &problem.pods.classes[id.0 as usize];
    let mut items = Items::default();
    for resource in 0..problem.resources.len() {
        if pods.iter().any(|&pod| class_of(problem.records[pod].class).requests[resource] > 0) {
            items.resources.push(resource);
        }
    }
    let roles = roles(facts);
    let mut index: FxHashMap<ItemKey, usize> = FxHashMap::default();
    let mut known: FxHashMap<(ClassId, i64, Option<usize>), usize> = FxHashMap::default();
    // Pods that stay are counted only if evictions are.
    let counts_homes = existing_nodes.evictions_max.is_some();
    for &pod in pods {
        let id = problem.records[pod].class;
        let class = class_of(id);
        let priority = problem.pod(pod).spec.priority.unwrap_or(0);
        let home = existing_nodes.homes.get(&pod).copied().filter(|_| counts_homes);
        let at = *known.entry((id, priority, home)).or_insert_with(|| {
            let tolerations = tolerations_of(problem, &facts.firm, id);
            let mut reach = facts.reach.get(&id).cloned().unwrap_or_default();
            reach.domains.sort_by_key(|(key, _)| *key);
            let likeness = ItemKey {
                priority,
                requests: items.resources.iter().map(|&resource| class.requests[resource]).collect(),
                alternatives: alternatives(class, algebra),
                tolerations,
                ports: class.ports,
                attached: class.volumes.attached.clone(),
                unresolved: class.volumes.unresolved,
                reach,
                home,
                facts: roles.get(&id).cloned().unwrap_or_default(),
            };
            let item = Item {
                pods: Vec::new(),
                count: 0,
                priority,
                requests: likeness.requests.clone(),
                alternatives: likeness.alternatives.clone(),
                tolerations,
                ports: class.ports,
                attached: likeness.attached.clone(),
                unresolved: likeness.unresolved,
                reach: likeness.reach.clone(),
                home,
                assigned: Vec::new(),
            };
            *index.entry(likeness).or_insert_with(|| {
                items.items.push(item);
                items.items.len() - 1
            })
        });
        let of_class = items.of_class.entry(id).or_default();
        if !of_class.contains(&at) {
            of_class.push(at);
        }
        items.items[at].pods.push(pod);
        items.of_pod.insert(pod, at);
        if let Some(to) = assigned.get(&pod) {
            let assigned = &mut items.items[at].assigned;
            match assigned.iter_mut().find(|(known, _)| known == to) {
                Some((_, pods)) => pods.push(pod),
                None => assigned.push((to.clone(), vec![pod])),
            }
        }
        items.items[at].count += 1;
    }
    node_facts(problem, facts, &mut items);
    items
}

/// In which facts each class has which part.
fn roles(facts: &Facts) -> FxHashMap<ClassId, Vec<(usize, u8)>> {
    let mut roles: FxHashMap<ClassId, Vec<(usize, u8)>> = FxHashMap::default();
    for (at, fact) in facts.facts.iter().enumerate() {
        let parts: [&[ClassId]; 2] = match fact {
            Fact::NodeLimit { classes, .. }
            | Fact::OneNode { classes }
            | Fact::OnePerDomain { classes, .. }
            | Fact::OneDomain { classes, .. } => [classes, &[]],
            Fact::Conflict { owners, others } | Fact::Companion { owners, others, .. } => [owners, others],
            Fact::Spread { classes, selected, .. } => [classes, selected],
        };
        for (part, classes) in parts.into_iter().enumerate() {
            for &class in classes {
                roles.entry(class).or_default().push((at, part as u8));
            }
        }
    }
    roles
}

fn node_facts(problem: &ClusterState, facts: &Facts, items: &mut Items) {
    let count = items.items.len();
    items.conflicts = vec![Bits::none(count); count];
    for fact in &facts.facts {
        match fact {
            Fact::NodeLimit { classes, on_new, on_node } => {
                let members = items.set(classes);
                if !members.is_empty() {
                    items.limits.push(NodeLimit { members, on_new: *on_new, on_node: on_node.clone() });
                }
            }
            Fact::Conflict { owners, others } => {
                let (owners, others) = (items.set(owners), items.set(others));
                for owner in owners.iter() {
                    for other in others.iter() {
                        items.conflicts[owner].insert(other);
                        items.conflicts[other].insert(owner);
                    }
                }
            }
            Fact::Companion { owners, others, met_on } => {
                items.companions.push(Companion {
                    owners: items.set(owners),
                    others: items.set(others),
                    met_on: met_on.clone(),
                });
            }
            Fact::OneNode { .. }
            | Fact::Spread { .. }
            | Fact::OnePerDomain { .. }
            | Fact::OneDomain { .. } => {}
        }
    }
    for a in 0..count {
        for b in a..count {
            if problem.pods.ports_conflict(items.items[a].ports, items.items[b].ports) {
                items.conflicts[a].insert(b);
                items.conflicts[b].insert(a);
            }
        }
    }
}
