//! One topology group: counts by domain.

use super::HostId;
use super::identity::{Filter, FilterId, Identity};
use crate::compile::ClusterState;
use crate::compile::asked::{Asked, Host};
use crate::compile::pods::{ClassId, NamespacesId};
use crate::compile::selectors::SelectorId;
use crate::requirements::{Algebra, KeyId, Requirement, ValueId};

/// A topology group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GroupId(pub u32);

/// What a group is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Pods are spread evenly.
    Spread,
    /// Pods go where such pods are.
    Affinity,
    /// Pods go where no such pods are.
    AntiAffinity,
}

/// What a group is, without its counts.
#[derive(Debug, Clone)]
pub struct Frame {
    /// Identity.
    pub identity: Identity,
    /// Spread, affinity or anti-affinity.
    pub kind: Kind,
    /// The label whose values are the domains.
    pub key: KeyId,
    /// By how much domains may differ.
    pub max_skew: i32,
    /// With fewer eligible domains the least count is 0.
    pub min_domains: Option<i32>,
    /// Which nodes are counted.
    pub filter: Option<(FilterId, Filter)>,
    /// It counts pods that keep others away, rather than pods that are kept away from.
    pub inverse: bool,
    selector: SelectorId,
    namespaces: NamespacesId,
}

/// A topology group. Domains are values of its key (hosts of the round, where the key is the hostname). A domain is
/// *known* if something refers to it (an instance type, a NodePool, a node) or a pod is in it.
#[derive(Debug, Clone)]
pub struct Group {
    frame: std::rc::Rc<Frame>,
    counts: Vec<i32>,
    refs: Vec<u32>,
    occupied: usize,
    by_name: Vec<ValueId>,
    /// The domain of nodes whose label is there, and empty.
    nameless: Option<ValueId>,
    /// Grows with every change that could change where a pod may go.
    pub version: u32,
}

impl std::ops::Deref for Group {
    type Target = Frame;
    fn deref(&self) -> &Frame {
        &self.frame
    }
}

impl Frame {
    /// Whether it counts pods of `class`.
    pub fn selects(&self, problem: &ClusterState, class: ClassId) -> bool {
        let pod = &problem.pods.classes[class.0 as usize];
        problem.pods.in_namespaces(self.namespaces, pod.namespace)
            && problem.pods.selectors.selects(self.selector, pod.labels)
    }

    /// Whether it counted pods of `class` that are there already. An absent selector lists everything.
    pub fn lists(&self, problem: &ClusterState, class: ClassId) -> bool {
        let pod = &problem.pods.classes[class.0 as usize];
        problem.pods.in_namespaces(self.namespaces, pod.namespace)
            && problem.pods.selectors.lists(self.selector, pod.labels)
    }
}

impl Group {
    /// A group without domains.
    pub fn new(
        identity: &Identity,
        selector: SelectorId,
        min_domains: Option<i32>,
        filter: Option<(FilterId, Filter)>,
        inverse: bool,
    ) -> Self {
        Group {
            frame: std::rc::Rc::new(Frame {
                identity: identity.clone(),
                kind: identity.kind,
                key: identity.key,
                max_skew: identity.max_skew,
                min_domains,
                filter,
                inverse,
                selector,
                namespaces: identity.namespaces,
            }),
            counts: Vec::new(),
            refs: Vec::new(),
            occupied: 0,
            by_name: Vec::new(),
            nameless: None,
            version: 0,
        }
    }

    /// What it is, shared.
    pub fn clone_frame(&self) -> std::rc::Rc<Frame> {
        self.frame.clone()
    }

    /// Count and references of a domain.
    pub fn at(&self, domain: u32) -> (i32, u32) {
        let at = domain as usize;
        (self.counts.get(at).copied().unwrap_or(0), self.refs.get(at).copied().unwrap_or(0))
    }

    /// Sets count and references of a domain.
    pub fn restore(&mut self, domain: u32, count: i32, refs: u32) {
        let at = domain as usize;
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
            self.refs.resize(at + 1, 0);
        }
        let (old_count, old_refs) = (self.counts[at], self.refs[at]);
        let (was_occupied, is_occupied) = (old_count > 0, count > 0);
        self.occupied = self.occupied + usize::from(is_occupied) - usize::from(was_occupied);
        self.counts[at] = count;
        self.refs[at] = refs;
        // Affinity and anti-affinity ask whether there are pods, not how many.
        let counts_differ =
            if self.frame.kind == Kind::Spread { old_count != count } else { was_occupied != is_occupied };
        if counts_differ || (old_refs > 0) != (refs > 0) {
            self.version += 1;
        }
    }

    /// One more reference to a domain.
    pub fn add_reference(&mut self, domain: u32) {
        let (count, refs) = self.at(domain);
        self.restore(domain, count, refs + 1);
    }

    /// More pods in a domain.
    pub fn add_count(&mut self, domain: u32, more: i32) {
        let (count, refs) = self.at(domain);
        self.restore(domain, count + more, refs);
    }

    /// Notes the order in which domains are tried: by name.
    pub fn order_domains(&mut self, algebra: &Algebra) {
        self.by_name = algebra.values_by_name(self.key);
        self.nameless =
            self.by_name.first().copied().filter(|&first| algebra.value_name(self.key, first).is_empty());
    }

    /// Known domains by name, with their counts.
    pub fn known(&self) -> impl Iterator<Item = (ValueId, i32)> + '_ {
        self.by_name.iter().filter_map(|&domain| {
            let (count, refs) = self.at(domain.0);
            (refs > 0 || count > 0).then_some((domain, count))
        })
    }

    /// Whether a domain with pods is one that `wanted` wants.
    pub fn any_occupied(&self, wanted: impl Fn(u32) -> bool) -> bool {
        self.occupied > 0
            && self.counts.iter().enumerate().any(|(domain, &count)| count > 0 && wanted(domain as u32))
    }

    /// Where a pod may go on a node as far as this group is concerned. `selects`: whether the group counts the pod; `pod`
    /// and `node` are what they say of the group's key; `None`: nothing.
    pub fn next_domains(
        &self,
        selects: bool,
        pod: Option<&Requirement>,
        node: Option<&Requirement>,
        integers: &[Option<i64>],
    ) -> Requirement {
        let exists = Requirement::exists();
        let (pod, node) = (pod.unwrap_or(&exists), node.unwrap_or(&exists));
        match self.kind {
            Kind::Spread => self.next_spread(selects, pod, node, integers),
            Kind::Affinity => self.next_affinity(selects, pod, node, integers),
            Kind::AntiAffinity => self.next_anti_affinity(pod, node, integers),
        }
    }

    /// The same for a group over hostnames. `pod`: what it must have of a node.
    pub fn allows_host(&self, algebra: &Algebra, selects: bool, pod: Asked, host: (HostId, Host)) -> bool {
        let count = self.at(host.0).0;
        match self.kind {
            Kind::Spread => count + i32::from(selects) <= self.max_skew,
            Kind::AntiAffinity => count == 0,
            Kind::Affinity => {
                if !pod.hostname_met_by(host.1, algebra) {
                    return false;
                }
                count > 0
                    || (selects
                        && !self.any_occupied(|domain| match pod.hostname {
                            None => true,
                            Some(asked) => {
                                let asked = algebra.get(asked);
                                let integers = algebra.integers(self.key);
                                if (domain as usize) < integers.len() {
                                    asked.has(ValueId(domain), integers)
                                } else {
                                    asked.has_unnamed()
                                }
                            }
                        }))
            }
        }
    }

    /// The domain with the least count among those that keep the skew, by name among equals. If that is the nameless
    /// one, Karpenter takes it for none at all.
    fn next_spread(
        &self,
        selects: bool,
        pod: &Requirement,
        node: &Requirement,
        integers: &[Option<i64>],
    ) -> Requirement {
        let mut least = i32::MAX;
        let mut eligible = 0;
        for (domain, count) in self.known() {
            if pod.has(domain, integers) {
                eligible += 1;
                least = least.min(count);
            }
        }
        if self.min_domains.is_some_and(|wanted| eligible < wanted) {
            least = 0;
        }
        let mut best: Option<(ValueId, i32)> = None;
        for (domain, count) in self.known() {
            if node.has(domain, integers) {
                let count = count + i32::from(selects);
                let keeps_skew = count.wrapping_sub(least) <= self.max_skew;
                if keeps_skew && best.is_none_or(|(_, fewest)| count < fewest) {
                    best = Some((domain, count));
                }
            }
        }
        Requirement::any_of(best.map(|(domain, _)| domain).filter(|best| Some(*best) != self.nameless))
    }

    /// The domains with such pods. If there are none anywhere that the pod could join, and it is such a pod itself, it
    /// may begin in the first domain that pod and node allow; Karpenter adds the first that the pod allows.
    fn next_affinity(
        &self,
        selects: bool,
        pod: &Requirement,
        node: &Requirement,
        integers: &[Option<i64>],
    ) -> Requirement {
        let occupied: Vec<ValueId> = self
            .known()
            .filter(|&(domain, count)| count > 0 && pod.has(domain, integers) && node.has(domain, integers))
            .map(|(domain, _)| domain)
            .collect();
        if !occupied.is_empty() {
            return Requirement::any_of(occupied);
        }
        if !selects || self.any_occupied(|domain| pod.has(ValueId(domain), integers)) {
            return Requirement::does_not_exist();
        }
        let both = pod.intersection(node, integers);
        let first = |wanted: &Requirement| {
            self.known().map(|(domain, _)| domain).find(|&domain| wanted.has(domain, integers))
        };
        Requirement::any_of(first(&both).into_iter().chain(first(pod)))
    }

    /// The domains without such pods.
    fn next_anti_affinity(
        &self,
        pod: &Requirement,
        node: &Requirement,
        integers: &[Option<i64>],
    ) -> Requirement {
        Requirement::any_of(
            self.known()
                .filter(|&(domain, count)| {
                    count == 0 && pod.has(domain, integers) && node.has(domain, integers)
                })
                .map(|(domain, _)| domain),
        )
    }
}
