//! Topologies: how many pods of a kind each domain holds, and where one more may go.
//!
//! A [`Group`] counts the pods that a selector selects by the value of a node label (the *domain*). Pods with the same
//! constraint share a group; what makes two constraints the same is their [`Identity`], which sees less than all of it:
//! the pod that comes first decides the rest. Groups are counted once over the whole cluster; a round corrects them for
//! the pods and nodes that it takes away, records what it places, and takes all that back at its end.

mod cluster;
mod group;
mod identity;

pub use group::{Frame, Group, GroupId, Kind};
pub use identity::{Filter, FilterId, Identity, IdentityId};

use crate::compile::ClusterState;
use crate::compile::asked::{Asked, Host};
use crate::compile::pods::{ClassId, PodTerm, Spread};
use crate::compile::selectors::SelectorId;
use crate::compile::taints::{TaintsId, TolerationsId};
use crate::requirements::{Algebra, ConstraintId, KeyId, ValueId};
use cluster::{NodeValues, Shunning};
use identity::SelectorIdentities;
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// A hostname in a round: a value of the hostname key, or beyond all of these a node to be launched.
pub type HostId = u32;

/// A constraint of a pod that makes, or joins, a group.
#[derive(Debug, Clone)]
pub struct Wanted {
    identity: IdentityId,
    prototype: Prototype,
}

/// All that decides how a group begins.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Prototype {
    identity: IdentityId,
    inverse: bool,
    selector: SelectorId,
    min_domains: Option<i32>,
    filter: Option<Filter>,
    /// Whose tolerations decide the domains; `None`: all domains.
    tolerations: Option<TolerationsId>,
}

/// The topology of a cluster, and what a round makes of it.
pub struct Topology {
    identities: Vec<Identity>,
    identity_index: FxHashMap<Identity, IdentityId>,
    selectors: SelectorIdentities,
    groups: Vec<Group>,
    /// By label.
    node_values: FxHashMap<KeyId, Rc<NodeValues>>,
    /// By class, the node of the API server that each pod of the cluster is on; made when a group first asks.
    nodes_of_pods: Option<Rc<[Vec<usize>]>>,
    /// By group and node of the state, the domain that the node stands for even without pods.
    node_domains: Vec<Vec<Option<ValueId>>>,
    /// By group, the nodes of the API server with pods that it has counted, and the domain in which they count.
    pod_domains: Vec<FxHashMap<usize, Option<ValueId>>>,
    group_index: FxHashMap<Prototype, GroupId>,
    domains: FxHashMap<KeyId, Vec<(ValueId, Vec<TaintsId>)>>,
    shunning: FxHashMap<IdentityId, Vec<Shunning>>,
    shunning_order: Vec<IdentityId>,
    filters: FxHashMap<Filter, FilterId>,
    filter_verdicts: FxHashMap<(FilterId, ConstraintId, Host), bool>,

    // Of the round:
    active: Vec<Option<GroupId>>,
    active_inverse: Vec<Option<GroupId>>,
    in_order: Vec<GroupId>,
    inverse_in_order: Vec<GroupId>,
    taken_pods: Vec<usize>,
    taken_nodes: Vec<usize>,
    counting: FxHashMap<ClassId, (usize, Vec<GroupId>)>,
    repelling: FxHashMap<ClassId, (usize, Vec<GroupId>)>,
    journal: Vec<(GroupId, u32, i32, u32)>,
}

impl Topology {
    /// The topology of a cluster before any round.
    pub fn new(problem: &ClusterState, algebra: &mut Algebra) -> Self {
        let mut topology = Topology {
            identities: Vec::new(),
            identity_index: FxHashMap::default(),
            selectors: SelectorIdentities::default(),
            groups: Vec::new(),
            node_values: FxHashMap::default(),
            nodes_of_pods: None,
            node_domains: Vec::new(),
            pod_domains: Vec::new(),
            group_index: FxHashMap::default(),
            domains: FxHashMap::default(),
            shunning: FxHashMap::default(),
            shunning_order: Vec::new(),
            filters: FxHashMap::default(),
            filter_verdicts: FxHashMap::default(),
            active: Vec::new(),
            active_inverse: Vec::new(),
            in_order: Vec::new(),
            inverse_in_order: Vec::new(),
            taken_pods: Vec::new(),
            taken_nodes: Vec::new(),
            counting: FxHashMap::default(),
            repelling: FxHashMap::default(),
            journal: Vec::new(),
        };
        topology.find_shunning(problem, algebra);
        topology
    }

    fn intern(&mut self, identity: Identity) -> IdentityId {
        if let Some(&id) = self.identity_index.get(&identity) {
            return id;
        }
        let id = IdentityId(self.identities.len() as u32);
        self.identities.push(identity.clone());
        self.identity_index.insert(identity, id);
        self.active.push(None);
        self.active_inverse.push(None);
        id
    }

    /// What a spread constraint of a pod with these node terms and tolerations wants.
    pub fn want_spread(
        &mut self,
        problem: &ClusterState,
        algebra: &Algebra,
        class: ClassId,
        spread: &Spread,
        terms: Vec<Asked>,
        tolerations: TolerationsId,
    ) -> Wanted {
        let filter = Filter {
            terms,
            honors_affinity: spread.honors_affinity,
            honors_taints: spread.honors_taints,
            tolerations,
        };
        let identity = Identity {
            kind: Kind::Spread,
            key: spread.key,
            namespaces: problem.pods.classes[class.0 as usize].own_namespace,
            max_skew: spread.max_skew,
            selector: self.selectors.identity(&problem.pods.selectors, spread.selector),
            filter: Some(filter.identity(problem, algebra)),
        };
        let identity = self.intern(identity);
        let prototype = Prototype {
            identity,
            inverse: false,
            selector: spread.selector,
            min_domains: spread.min_domains,
            tolerations: spread.honors_taints.then_some(tolerations),
            filter: Some(filter),
        };
        Wanted { identity, prototype }
    }

    /// What a term of affinity or anti-affinity wants.
    pub fn want_term(
        &mut self,
        problem: &ClusterState,
        kind: Kind,
        term: &PodTerm,
        tolerations: TolerationsId,
        inverse: bool,
    ) -> Wanted {
        let identity = Identity {
            kind,
            key: term.key,
            namespaces: term.namespaces,
            max_skew: i32::MAX,
            selector: self.selectors.identity(&problem.pods.selectors, term.selector),
            filter: None,
        };
        let identity = self.intern(identity);
        // Affinity names no taint policy, and Karpenter then goes by the pod's tolerations.
        let prototype = Prototype {
            identity,
            inverse,
            selector: term.selector,
            min_domains: None,
            filter: None,
            tolerations: Some(tolerations),
        };
        Wanted { identity, prototype }
    }

    /// Begins a round without `pods` (they are to be placed anew) and without `nodes` (they are to be removed).
    pub fn begin(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        pods: Vec<usize>,
        nodes: Vec<usize>,
    ) {
        self.taken_pods = pods;
        self.taken_nodes = nodes;
        let taken: FxHashSet<usize> = self.taken_pods.iter().copied().collect();
        for at in 0..self.shunning_order.len() {
            let identity = self.shunning_order[at];
            let first = self.shunning[&identity].iter().find(|shunning| !taken.contains(&shunning.pod));
            if let Some((selector, tolerations)) = first.map(|first| (first.selector, first.tolerations)) {
                let prototype = Prototype {
                    identity,
                    inverse: true,
                    selector,
                    min_domains: None,
                    filter: None,
                    tolerations: Some(tolerations),
                };
                self.activate(problem, algebra, &Wanted { identity, prototype });
            }
        }
    }

    /// Between rounds: pods of `class` came to a node of the API server, or went.
    pub(crate) fn count_on(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        class: ClassId,
        node: usize,
        more: i32,
    ) {
        self.nodes_of_pods = None;
        for at in 0..self.groups.len() {
            let frame = self.groups[at].clone_frame();
            if frame.inverse || !frame.lists(problem, class) {
                continue;
            }
            let domain = match self.pod_domains[at].get(&node) {
                Some(&known) => known,
                None => {
                    let values = self.node_values(problem, algebra, frame.key);
                    let domain = self.domain_of_pods_on(problem, algebra, &frame, &values, node);
                    self.pod_domains[at].insert(node, domain);
                    domain
                }
            };
            if let Some(domain) = domain {
                self.groups[at].add_count(domain.0, more);
            }
        }
    }

    /// How many identities, filters and verdicts on nodes are known.
    pub(crate) fn interned(&self) -> usize {
        self.identities.len() + self.filters.len() + self.filter_verdicts.len()
    }

    /// Between rounds: forgets all that was counted over the cluster, and finds the pods anew that others must stay away
    /// from. What identifies constraints stays.
    pub(crate) fn forget_cluster(&mut self, problem: &ClusterState, algebra: &mut Algebra) {
        self.groups.clear();
        self.node_values.clear();
        self.nodes_of_pods = None;
        self.node_domains.clear();
        self.pod_domains.clear();
        self.group_index.clear();
        self.shunning.clear();
        self.shunning_order.clear();
        self.find_shunning(problem, algebra);
    }

    /// Takes back all that the round did.
    pub fn end(&mut self) {
        for (group, domain, count, refs) in self.journal.drain(..).rev() {
            self.groups[group.0 as usize].restore(domain, count, refs);
        }
        self.active.fill(None);
        self.active_inverse.fill(None);
        self.in_order.clear();
        self.inverse_in_order.clear();
        self.counting.clear();
        self.repelling.clear();
    }

    /// The group that `wanted` joins, made if it is the first of its identity.
    pub fn activate(&mut self, problem: &ClusterState, algebra: &mut Algebra, wanted: &Wanted) -> GroupId {
        let at = wanted.identity.0 as usize;
        let known = if wanted.prototype.inverse { self.active_inverse[at] } else { self.active[at] };
        if let Some(group) = known {
            return group;
        }
        let group = match self.group_index.get(&wanted.prototype) {
            Some(&group) => group,
            None => self.create(problem, algebra, &wanted.prototype),
        };
        if wanted.prototype.inverse {
            self.active_inverse[at] = Some(group);
            self.inverse_in_order.push(group);
        } else {
            self.active[at] = Some(group);
            self.in_order.push(group);
        }
        self.correct(problem, group);
        group
    }

    /// Takes the round's pods and nodes out of a group.
    fn correct(&mut self, problem: &ClusterState, id: GroupId) {
        let group = self.groups[id.0 as usize].clone_frame();
        if group.inverse {
            let identity = self.identity_index[&group.identity];
            let taken: FxHashSet<usize> = self.taken_pods.iter().copied().collect();
            let gone: Vec<u32> = self
                .shunning
                .get(&identity)
                .into_iter()
                .flatten()
                .filter(|shunning| taken.contains(&shunning.pod))
                .filter_map(|shunning| shunning.domain.map(|domain| domain.0))
                .collect();
            for domain in gone {
                self.change(id, domain, -1, 0);
            }
            return;
        }
        let at = id.0 as usize;
        for node in 0..self.taken_nodes.len() {
            if let Some(domain) = self.node_domains[at][self.taken_nodes[node]] {
                self.change(id, domain.0, 0, -1);
            }
        }
        for pod in 0..self.taken_pods.len() {
            let record = &problem.records[self.taken_pods[pod]];
            if record.counts
                && group.lists(problem, record.class)
                && let Some(node) = record.node
                // They were counted, so it is known where.
                && let Some(&Some(domain)) = self.pod_domains[at].get(&node)
            {
                self.change(id, domain.0, -1, 0);
            }
        }
    }

    fn change(&mut self, id: GroupId, domain: u32, count: i32, refs: i32) {
        let group = &mut self.groups[id.0 as usize];
        let (old_count, old_refs) = group.at(domain);
        self.journal.push((id, domain, old_count, old_refs));
        group.restore(domain, old_count + count, old_refs.saturating_add_signed(refs));
    }

    /// Whether `group` counts nodes with these taints and labels.
    fn filter_matches(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        group: &Frame,
        taints: TaintsId,
        labels: ConstraintId,
        host: Host,
    ) -> bool {
        let Some((id, filter)) = &group.filter else { return true };
        if filter.honors_taints && !problem.taints.tolerated(taints, filter.tolerations) {
            return false;
        }
        if !filter.honors_affinity
            || filter.terms.is_empty()
            || filter.terms.iter().any(|term| *term == Asked::default())
        {
            return true;
        }
        if let Some(&known) = self.filter_verdicts.get(&(*id, labels, host)) {
            return known;
        }
        let verdict = filter
            .terms
            .iter()
            .any(|term| term.met_by(labels, host, crate::requirements::Undefined::Denied, algebra));
        self.filter_verdicts.insert((*id, labels, host), verdict);
        verdict
    }

    /// The groups that a placed pod of `class` may count in.
    fn counting(&mut self, problem: &ClusterState, class: ClassId) -> Vec<GroupId> {
        let (seen, list) = self.counting.entry(class).or_default();
        for &group in &self.in_order[*seen..] {
            if self.groups[group.0 as usize].selects(problem, class) {
                list.push(group);
            }
        }
        *seen = self.in_order.len();
        list.clone()
    }

    /// The groups of pods that must not be near a pod of `class`.
    pub fn repelling(&mut self, problem: &ClusterState, class: ClassId) -> &[GroupId] {
        let (seen, list) = self.repelling.entry(class).or_default();
        for &group in &self.inverse_in_order[*seen..] {
            if self.groups[group.0 as usize].selects(problem, class) {
                list.push(group);
            }
        }
        *seen = self.inverse_in_order.len();
        list
    }

    /// How many groups there are by which pods keep others away. As long as it is the same, so is what
    /// [`Topology::repelling`] says.
    pub fn keeping_away(&self) -> usize {
        self.inverse_in_order.len()
    }

    /// A group.
    pub fn group(&self, id: GroupId) -> &Group {
        &self.groups[id.0 as usize]
    }

    /// Records that a pod of `class` goes to a node with these taints and requirements. `shuns`: the groups by which it
    /// keeps others away.
    #[allow(clippy::too_many_arguments)]
    pub fn record(
        &mut self,
        problem: &ClusterState,
        algebra: &mut Algebra,
        class: ClassId,
        shuns: &[GroupId],
        taints: TaintsId,
        node: ConstraintId,
        host: (HostId, Host),
    ) {
        for id in self.counting(problem, class) {
            let group = self.groups[id.0 as usize].clone_frame();
            if !self.filter_matches(problem, algebra, &group, taints, node, host.1) {
                continue;
            }
            if group.key == problem.hostname {
                self.change(id, host.0, 1, 0);
            } else if let Some(requirement) = algebra.of(node, group.key) {
                let values: Vec<ValueId> = requirement.values.iter().collect();
                // Anti-affinity blocks every domain that the pod may end up in; the others need to know the one.
                if group.kind == Kind::AntiAffinity || (!requirement.complement && values.len() == 1) {
                    for value in values {
                        self.change(id, value.0, 1, 0);
                    }
                }
            }
        }
        for &id in shuns {
            let key = self.groups[id.0 as usize].key;
            if key == problem.hostname {
                self.change(id, host.0, 1, 0);
            } else if let Some(requirement) = algebra.of(node, key) {
                for value in requirement.values.iter().collect::<Vec<_>>() {
                    self.change(id, value.0, 1, 0);
                }
            }
        }
    }
}
