//! The cluster before any round: which domains there are, and how many pods are in them.

use super::{FilterId, Frame, Group, GroupId, Kind, Prototype, Topology};
use crate::compile::ClusterState;
use crate::compile::pods::ClassId;
use crate::compile::selectors::SelectorId;
use crate::compile::taints::{TaintsId, TolerationsId};
use crate::requirements::{Algebra, KeyId, Shape, ValueId};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// A pod of the cluster with required anti-affinity: others must stay away from it.
#[derive(Debug, Clone)]
pub(super) struct Shunning {
    pub(super) pod: usize,
    pub(super) domain: Option<ValueId>,
    pub(super) selector: SelectorId,
    pub(super) tolerations: TolerationsId,
}

/// The values of a label.
#[derive(Debug)]
pub(super) struct NodeValues {
    /// Of the nodes of the API server.
    api: Vec<Option<ValueId>>,
    /// Of the nodes of the state: those that have a node of the API server and are to stay.
    state: Vec<Option<ValueId>>,
}

impl Topology {
    /// Finds the pods of the cluster that others must stay away from.
    pub(super) fn find_shunning(&mut self, problem: &ClusterState, algebra: &mut Algebra) {
        let in_state: FxHashSet<usize> = problem.nodes.iter().filter_map(|node| node.node).collect();
        for &pod in &problem.pods_by_name {
            let record = &problem.records[pod];
            let class = &problem.pods.classes[record.class.0 as usize];
            let Some(node) = record.node.filter(|node| in_state.contains(node)) else { continue };
            if class.anti_affinity.is_empty() || crate::kubernetes::pods::is_terminal(problem.pod(pod)) {
                continue;
            }
            for term in &class.anti_affinity {
                let wanted = self.want_term(problem, Kind::AntiAffinity, term, class.tolerations, true);
                let domain = problem.label_value(algebra, node, term.key);
                if !self.shunning.contains_key(&wanted.identity) {
                    self.shunning_order.push(wanted.identity);
                }
                let shunning =
                    Shunning { pod, domain, selector: term.selector, tolerations: class.tolerations };
                self.shunning.entry(wanted.identity).or_default().push(shunning);
            }
        }
    }

    /// A group as it is before any round: its domains, and the pods of the cluster in them.
    pub(super) fn create(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        prototype: &Prototype,
    ) -> GroupId {
        let identity = self.identities[prototype.identity.0 as usize].clone();
        let values = self.node_values(problem, algebra, identity.key);
        let filter = prototype.filter.clone().map(|filter| {
            let next = FilterId(self.filters.len() as u32);
            (*self.filters.entry(filter.clone()).or_insert(next), filter)
        });
        let mut group =
            Group::new(&identity, prototype.selector, prototype.min_domains, filter, prototype.inverse);
        for (domain, taints) in self.domains_of(problem, algebra, identity.key) {
            let reachable = prototype.tolerations.is_none_or(|tolerations| {
                taints.iter().any(|&taints| problem.taints.tolerated(taints, tolerations))
            });
            if reachable {
                group.add_reference(domain.0);
            }
        }
        let mut node_domains = Vec::new();
        let mut pod_domains = FxHashMap::default();
        if prototype.inverse {
            for shunning in self.shunning.get(&prototype.identity).into_iter().flatten() {
                if let Some(domain) = shunning.domain {
                    group.add_count(domain.0, 1);
                }
            }
        } else {
            let nodes = problem.nodes.iter().zip(&values.state);
            node_domains = nodes
                .map(|(node, value)| {
                    let on = &problem.api_nodes[node.node?];
                    value.filter(|_| {
                        self.filter_matches(problem, algebra, &group, on.taints, on.labels, on.host)
                    })
                })
                .collect();
            for domain in node_domains.iter().flatten() {
                group.add_reference(domain.0);
            }
            pod_domains = self.count_pods(problem, algebra, &mut group, &values);
        }
        group.order_domains(algebra);
        let id = GroupId(self.groups.len() as u32);
        self.groups.push(group);
        self.node_domains.push(node_domains);
        self.pod_domains.push(pod_domains);
        self.group_index.insert(prototype.clone(), id);
        id
    }

    /// The values that nodes have for `key`, as they are written.
    pub(super) fn node_values(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        key: KeyId,
    ) -> Rc<NodeValues> {
        if let Some(known) = self.node_values.get(&key) {
            return Rc::clone(known);
        }
        let api = (0..problem.api_nodes.len()).map(|node| problem.label_value(algebra, node, key)).collect();
        let state = problem.nodes.iter().map(|state| {
            state.node.filter(|_| !state.marked)?;
            let value = state.labels_of(&problem.api_nodes).get(algebra.key_name(key))?.to_owned();
            Some(algebra.value(key, &value))
        });
        let values = Rc::new(NodeValues { api, state: state.collect() });
        self.node_values.insert(key, Rc::clone(&values));
        values
    }

    /// Counts the pods of the cluster; tells in which domain those on each node do.
    fn count_pods(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        group: &mut Group,
        values: &NodeValues,
    ) -> FxHashMap<usize, Option<ValueId>> {
        let mut domains = FxHashMap::default();
        let nodes_of_pods = Rc::clone(self.nodes_of_pods.get_or_insert_with(|| nodes_of_pods(problem)));
        for (class, nodes) in nodes_of_pods.iter().enumerate() {
            if nodes.is_empty() || !group.lists(problem, ClassId(class as u32)) {
                continue;
            }
            for &node in nodes {
                let domain = *domains
                    .entry(node)
                    .or_insert_with(|| self.domain_of_pods_on(problem, algebra, group, values, node));
                if let Some(domain) = domain {
                    group.add_count(domain.0, 1);
                }
            }
        }
        domains
    }

    /// The domain in which pods on a node of the API server count.
    pub(super) fn domain_of_pods_on(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        group: &Frame,
        values: &NodeValues,
        node: usize,
    ) -> Option<ValueId> {
        let on = &problem.api_nodes[node];
        let domain = match values.api[node] {
            Some(domain) => domain,
            // The kubelet sets the label late; the name is its value as a rule.
            None if group.key == problem.hostname => algebra.value(group.key, &on.node.metadata.name.clone()),
            None => return None,
        };
        self.filter_matches(problem, algebra, group, on.taints, on.labels, on.host).then_some(domain)
    }

    /// The domains that instance types and NodePools know for `key`, with the taints that go with them.
    fn domains_of(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        key: KeyId,
    ) -> Vec<(ValueId, Vec<TaintsId>)> {
        if let Some(known) = self.domains.get(&key) {
            return known.clone();
        }
        let mut domains: Vec<(ValueId, Vec<TaintsId>)> = Vec::new();
        let mut insert = |value: ValueId, taints: TaintsId| {
            let untainted = problem.taints.taints_of(taints).is_empty();
            match domains.iter_mut().find(|(known, _)| *known == value) {
                None => domains.push((value, vec![taints])),
                Some((_, lists)) if untainted => *lists = vec![taints],
                Some((_, lists)) => {
                    if !problem.taints.taints_of(lists[0]).is_empty() {
                        lists.push(taints);
                    }
                }
            }
        };
        for pool in &problem.dynamic {
            let table = &problem.tables[pool.table];
            if table.types.is_empty() {
                continue;
            }
            let written = algebra.of(pool.written, key).cloned();
            for of_type in table.requirements_on(key) {
                let requirement = match (of_type.map(|id| algebra.get(id)), &written) {
                    (Some(of_type), Some(written)) => of_type.intersection(written, algebra.integers(key)),
                    (Some(of_type), None) => of_type.clone(),
                    (None, Some(written)) => written.clone(),
                    (None, None) => continue,
                };
                requirement.values.iter().for_each(|value| insert(value, pool.taints));
            }
            if let Some(written) = written.filter(|written| written.shape() == Shape::In) {
                written.values.iter().for_each(|value| insert(value, pool.taints));
            }
        }
        self.domains.insert(key, domains.clone());
        domains
    }
}

fn nodes_of_pods(problem: &ClusterState) -> Rc<[Vec<usize>]> {
    let mut nodes = vec![Vec::new(); problem.pods.classes.len()];
    for record in problem.records.iter().filter(|record| record.counts) {
        nodes[record.class.0 as usize].extend(record.node);
    }
    nodes.into()
}
