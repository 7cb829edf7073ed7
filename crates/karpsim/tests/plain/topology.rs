//! Topologies, counted anew whenever they are asked for.
//!
//! What is kept is who was placed where, in order. A group counts the pods of the cluster, less those that the round places
//! anew, and of the placements those that came after the group did.

use super::cluster::{Cluster, counts};
use super::pods::{Spread, Term, Wishes, tolerates_all};
use super::requirements::{Label, Requirements};
use karpsim::kubernetes::labels::HOSTNAME;
use karpsim::kubernetes::pods::is_terminal;
use karpsim::kubernetes::selectors::selects;
use karpsim::model::core::{Node, Taint, Toleration};
use karpsim::model::meta::{LabelSelector, Labels, SelectorOperator, Str};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Spread,
    Affinity,
    AntiAffinity,
}

/// A selector as its hash sees it: equal expressions count once, equal values of one cancel in pairs.
type HashedSelector = (Vec<(Str, Str)>, BTreeSet<(Str, Option<SelectorOperator>, Vec<Str>)>);

/// What makes two constraints the same to Karpenter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Hashed {
    kind: Kind,
    key: Str,
    namespaces: BTreeSet<Str>,
    max_skew: i64,
    selector: Option<HashedSelector>,
    /// Keys of the terms, both policies, tolerations.
    filter: Option<(Vec<Vec<Str>>, bool, bool, Vec<String>)>,
}

/// Which nodes a spread constraint counts.
#[derive(Debug, Clone)]
struct Filter {
    terms: Vec<Requirements>,
    honors_affinity: bool,
    honors_taints: bool,
    tolerations: Vec<Toleration>,
}

impl Filter {
    fn counts(&self, taints: &[Taint], labels: &Requirements) -> bool {
        if self.honors_taints && !tolerates_all(&self.tolerations, taints) {
            return false;
        }
        !self.honors_affinity
            || self.terms.is_empty()
            || self.terms.iter().any(|term| labels.meets(term, |_| false))
    }
}

/// A topology group.
#[derive(Debug, Clone)]
struct Group {
    hashed: Hashed,
    /// It counts pods that keep others away, rather than pods that are kept away from.
    inverse: bool,
    selector: Option<LabelSelector>,
    min_domains: Option<i64>,
    filter: Option<Filter>,
    /// Domains that instance types and NodePools know.
    offered: BTreeSet<Str>,
    /// How many placements there were when it came.
    since: usize,
}

/// A pod that the round has placed.
struct Placement {
    namespace: Str,
    labels: Labels,
    taints: Vec<Taint>,
    /// What its node could be when it came there.
    requirements: Requirements,
    /// The groups by which it keeps others away.
    shuns: Vec<usize>,
}

/// The topology of a round.
pub(crate) struct Topology<'c, 'a> {
    cluster: &'c Cluster<'a>,
    /// Pods that the round places anew.
    taken: BTreeSet<usize>,
    /// Names of the nodes that are to go.
    removed: BTreeSet<Str>,
    groups: Vec<Group>,
    placements: Vec<Placement>,
}

/// Where one more pod may go, as far as one group is concerned, and how many pods each domain has.
pub(crate) struct Counted {
    kind: Kind,
    key: Str,
    max_skew: i64,
    min_domains: Option<i64>,
    selects: bool,
    counts: BTreeMap<Str, i64>,
}

fn without_pairs<T: Ord>(mut members: Vec<T>) -> Vec<T> {
    members.sort();
    let mut left: Vec<T> = Vec::new();
    for member in members {
        if left.last() == Some(&member) {
            left.pop();
        } else {
            left.push(member);
        }
    }
    left
}

fn hashed_selector(selector: &LabelSelector) -> HashedSelector {
    let labels = selector.match_labels.iter().map(|(key, value)| (key.into(), value.into())).collect();
    let expressions = selector
        .match_expressions
        .iter()
        .map(|it| (it.key.clone(), it.operator, without_pairs(it.values.clone())))
        .collect();
    (labels, expressions)
}

impl<'c, 'a> Topology<'c, 'a> {
    pub(crate) fn new(cluster: &'c Cluster<'a>, taken: BTreeSet<usize>, removed: BTreeSet<Str>) -> Self {
        let mut topology = Topology { cluster, taken, removed, groups: Vec::new(), placements: Vec::new() };
        // Pods of the cluster that others must stay away from.
        for (at, it) in cluster.pods.iter().enumerate() {
            if topology.shunned_node(at).is_some() {
                for term in &it.wishes.anti_affinity {
                    topology.join_term(Kind::AntiAffinity, term, &it.wishes.tolerations, true);
                }
            }
        }
        topology
    }

    /// The node of a pod that keeps others away from it, unless the round places it anew.
    fn shunned_node(&self, at: usize) -> Option<&'a Node> {
        let pod = self.cluster.pods[at].pod;
        let of_state = self.cluster.nodes.iter().filter_map(|node| node.node);
        let mut here = of_state.filter(|node| node.metadata.name == pod.spec.node_name);
        here.next().filter(|_| !self.taken.contains(&at) && !is_terminal(pod))
    }

    /// Makes a pod a member of its topologies, as far as its wishes are left. Tells its own groups, and those by which it
    /// keeps others away.
    pub(crate) fn join(&mut self, wishes: &Wishes) -> (BTreeSet<usize>, BTreeSet<usize>) {
        let shuns = self.join_shunning(wishes);
        let mut own = BTreeSet::new();
        for spread in &wishes.spread {
            own.insert(self.join_spread(spread, wishes));
        }
        for term in wishes.affinity.iter().chain(&wishes.preferred_affinity) {
            own.insert(self.join_term(Kind::Affinity, term, &wishes.tolerations, false));
        }
        for term in wishes.anti_affinity.iter().chain(&wishes.preferred_anti_affinity) {
            own.insert(self.join_term(Kind::AntiAffinity, term, &wishes.tolerations, false));
        }
        (own, shuns)
    }

    pub(crate) fn join_shunning(&mut self, wishes: &Wishes) -> BTreeSet<usize> {
        let terms = wishes.anti_affinity.iter();
        terms.map(|term| self.join_term(Kind::AntiAffinity, term, &wishes.tolerations, true)).collect()
    }

    fn join_spread(&mut self, spread: &Spread, wishes: &Wishes) -> usize {
        let terms = wishes.node_terms();
        let keys = |term: &Requirements| term.0.keys().cloned().collect::<Vec<Str>>();
        let tolerations = wishes.tolerations.iter().map(|it| format!("{it:?}")).collect();
        let hashed = Hashed {
            kind: Kind::Spread,
            key: spread.key.clone(),
            namespaces: [wishes.namespace.clone()].into(),
            max_skew: spread.max_skew,
            selector: spread.selector.as_ref().map(hashed_selector),
            filter: Some((
                without_pairs(terms.iter().map(keys).collect()),
                spread.honors_affinity,
                spread.honors_taints,
                without_pairs(tolerations),
            )),
        };
        let offered = self.offered(&spread.key, Some(&wishes.tolerations).filter(|_| spread.honors_taints));
        self.join_group(Group {
            hashed,
            inverse: false,
            selector: spread.selector.clone(),
            min_domains: spread.min_domains,
            filter: Some(Filter {
                terms,
                honors_affinity: spread.honors_affinity,
                honors_taints: spread.honors_taints,
                tolerations: wishes.tolerations.clone(),
            }),
            offered,
            since: 0,
        })
    }

    fn join_term(&mut self, kind: Kind, term: &Term, tolerations: &Vec<Toleration>, inverse: bool) -> usize {
        let hashed = Hashed {
            kind,
            key: term.key.clone(),
            namespaces: term.namespaces.clone(),
            max_skew: i64::from(i32::MAX),
            selector: term.selector.as_ref().map(hashed_selector),
            filter: None,
        };
        let offered = self.offered(&term.key, Some(tolerations));
        self.join_group(Group {
            hashed,
            inverse,
            selector: term.selector.clone(),
            min_domains: None,
            filter: None,
            offered,
            since: 0,
        })
    }

    /// The first pod of a group decides all that the hash does not see.
    fn join_group(&mut self, group: Group) -> usize {
        let same = |known: &Group| known.inverse == group.inverse && known.hashed == group.hashed;
        self.groups.iter().position(same).unwrap_or_else(|| {
            self.groups.push(Group { since: self.placements.len(), ..group });
            self.groups.len() - 1
        })
    }

    /// The domains that instance types and NodePools know, where the pod could go by its tolerations.
    fn offered(&self, key: &str, tolerations: Option<&Vec<Toleration>>) -> BTreeSet<Str> {
        let mut domains = BTreeSet::new();
        for pool in &self.cluster.pools {
            if tolerations.is_some_and(|tolerations| !tolerates_all(tolerations, pool.taints())) {
                continue;
            }
            let written = pool.written.0.get(key);
            for it in &pool.types {
                let label = match (it.requirements.0.get(key), written) {
                    (Some(of_type), Some(written)) => of_type.and(written),
                    (Some(of_type), None) => of_type.clone(),
                    (None, Some(written)) => written.clone(),
                    (None, None) => continue,
                };
                domains.extend(label.values);
            }
            if let Some(written) = written.filter(|written| !written.complement && !pool.types.is_empty()) {
                domains.extend(written.values.iter().cloned());
            }
        }
        domains
    }

    /// Whether a group is about a pod that is being placed, or was. An absent selector selects nothing.
    fn is_about(group: &Group, namespace: &str, labels: &Labels) -> bool {
        group.hashed.namespaces.contains(namespace)
            && group.selector.as_ref().is_some_and(|selector| selects(selector, labels))
    }

    fn node_is_counted(&self, group: &Group, node: &Node) -> bool {
        let labels = Requirements::of_labels(&self.cluster.rules, &node.metadata.labels);
        group.filter.as_ref().is_none_or(|filter| filter.counts(&node.spec.taints, &labels))
    }

    /// All known domains of a group, with their pods.
    fn count(&self, group: usize) -> BTreeMap<Str, i64> {
        let at_group = group;
        let group = &self.groups[group];
        let key = &group.hashed.key;
        let mut counts: BTreeMap<Str, i64> = group.offered.iter().map(|it| (it.clone(), 0)).collect();
        let mut count = |domain: Str, more: i64| *counts.entry(domain).or_default() += more;
        if group.inverse {
            for (at, it) in self.cluster.pods.iter().enumerate() {
                let Some(node) = self.shunned_node(at) else { continue };
                for term in &it.wishes.anti_affinity {
                    let same = term.key == *key
                        && term.namespaces == group.hashed.namespaces
                        && term.selector.as_ref().map(hashed_selector) == group.hashed.selector;
                    if let Some(domain) = node.metadata.labels.get(key).filter(|_| same) {
                        count(domain.into(), 1);
                    }
                }
            }
        } else {
            for node in &self.cluster.nodes {
                let Some(api) = node.node.filter(|_| !node.marked && !self.removed.contains(&node.name))
                else {
                    continue;
                };
                if let Some(domain) = node.labels.get(key).filter(|_| self.node_is_counted(group, api)) {
                    count(domain.into(), 0);
                }
            }
            for (at, it) in self.cluster.pods.iter().enumerate() {
                if self.taken.contains(&at) || !counts_in(group, it.pod) {
                    continue;
                }
                let Some(node) = self.cluster.api_nodes.get(&it.pod.spec.node_name) else { continue };
                let domain = match node.metadata.labels.get(key) {
                    Some(domain) => domain,
                    // The kubelet sets the label late; the name is its value as a rule.
                    None if key == HOSTNAME => &node.metadata.name,
                    None => continue,
                };
                if self.node_is_counted(group, node) {
                    count(domain.into(), 1);
                }
            }
        }
        for placed in &self.placements[group.since..] {
            let label = placed.requirements.0.get(key);
            let counted = if group.inverse {
                placed.shuns.contains(&at_group)
            } else {
                Self::is_about(group, &placed.namespace, &placed.labels)
                    && group
                        .filter
                        .as_ref()
                        .is_none_or(|filter| filter.counts(&placed.taints, &placed.requirements))
                    // Who keeps away is kept from every domain that the pod may end up in; the others must know the one.
                    && (group.hashed.kind == Kind::AntiAffinity
                        || label.is_some_and(|label| !label.complement && label.values.len() == 1))
            };
            for domain in label.filter(|_| counted).into_iter().flat_map(|label| &label.values) {
                count(domain.clone(), 1);
            }
        }
        counts
    }

    /// All that decides where a pod may go: its own groups, and those of pods that keep it away.
    pub(crate) fn around(&self, own: &BTreeSet<usize>, wishes: &Wishes, labels: &Labels) -> Vec<Counted> {
        let mut all = own.clone();
        for (at, group) in self.groups.iter().enumerate() {
            if group.inverse && Self::is_about(group, &wishes.namespace, labels) {
                all.insert(at);
            }
        }
        all.into_iter()
            .map(|at| {
                let group = &self.groups[at];
                Counted {
                    kind: group.hashed.kind,
                    key: group.hashed.key.clone(),
                    max_skew: group.hashed.max_skew,
                    min_domains: group.min_domains,
                    selects: Self::is_about(group, &wishes.namespace, labels),
                    counts: self.count(at),
                }
            })
            .collect()
    }

    /// Notes that a pod went to a node that can be as `requirements` say.
    pub(crate) fn place(
        &mut self,
        wishes: &Wishes,
        labels: &Labels,
        shuns: &BTreeSet<usize>,
        taints: &[Taint],
        requirements: &Requirements,
    ) {
        self.placements.push(Placement {
            namespace: wishes.namespace.clone(),
            labels: labels.clone(),
            taints: taints.to_vec(),
            requirements: requirements.clone(),
            shuns: shuns.iter().copied().collect(),
        });
    }
}

/// Whether a group counts a pod that was there before. An absent selector lists everything.
fn counts_in(group: &Group, pod: &karpsim::model::core::Pod) -> bool {
    counts(pod)
        && group.hashed.namespaces.contains(&pod.metadata.namespace)
        && group.selector.as_ref().is_none_or(|selector| selects(selector, &pod.metadata.labels))
}

/// `node` narrowed to the domains that all of `around` allow; `None`: there are none. `pod` is what the pod must have.
pub(crate) fn narrowed(
    around: &[Counted],
    pod: &Requirements,
    node: &Requirements,
    may_come: impl Fn(&str) -> bool,
) -> Option<Requirements> {
    let anything = Label::anything();
    let mut allowed = Requirements::default();
    for group in around {
        let of_pod = pod.0.get(&group.key).unwrap_or(&anything);
        let of_node = node.0.get(&group.key).unwrap_or(&anything);
        let domains = group.allowed(of_pod, of_node);
        if domains.is_empty() {
            return None;
        }
        allowed.add(&group.key, of_node.clone());
        allowed.add(&group.key, Label::one_of(domains));
    }
    // A node that may do without the label does without it, if that is all that is left.
    node.meets(&allowed, may_come).then(|| node.and(&allowed))
}

impl Counted {
    /// The domains where one more pod may go.
    fn allowed(&self, pod: &Label, node: &Label) -> Vec<Str> {
        if self.key == HOSTNAME {
            return self.allowed_host(pod, node);
        }
        match self.kind {
            Kind::Spread => {
                let eligible: Vec<i64> =
                    self.counts.iter().filter(|(it, _)| pod.allows(it)).map(|(_, count)| *count).collect();
                let too_few = self.min_domains.is_some_and(|least| (eligible.len() as i64) < least);
                let least =
                    if too_few { 0 } else { eligible.into_iter().min().unwrap_or(i64::from(i32::MAX)) };
                let keeps_skew = |count: i64| count + i64::from(self.selects) - least <= self.max_skew;
                let possible =
                    self.counts.iter().filter(|(it, count)| node.allows(it) && keeps_skew(**count));
                // The first by name among those with the least count; one without a name is none.
                let best = possible.min_by_key(|(_, count)| **count).map(|(it, _)| it.clone());
                best.into_iter().filter(|it| !it.is_empty()).collect()
            }
            Kind::Affinity => {
                let occupied = self.counts.iter().filter(|(it, count)| **count > 0 && pod.allows(it));
                let occupied: Vec<&Str> = occupied.map(|(it, _)| it).collect();
                let here: Vec<Str> =
                    occupied.iter().filter(|it| node.allows(it)).map(|it| (*it).clone()).collect();
                if !here.is_empty() || !self.selects || !occupied.is_empty() {
                    return here;
                }
                // The first of its kind begins somewhere. Karpenter adds the first domain that the pod allows.
                let first = |allows: &dyn Fn(&str) -> bool| self.counts.keys().find(|it| allows(it)).cloned();
                let both = pod.and(node);
                [first(&|it| both.allows(it)), first(&|it| pod.allows(it))].into_iter().flatten().collect()
            }
            Kind::AntiAffinity => {
                let free = |(it, count): &(&Str, &i64)| **count == 0 && pod.allows(it) && node.allows(it);
                self.counts.iter().filter(free).map(|(it, _)| it.clone()).collect()
            }
        }
    }

    /// The same over hostnames. A node has the one that it has; it is known as soon as the node is looked at, and since a
    /// new node can always be had, the least count is 0.
    fn allowed_host(&self, pod: &Label, node: &Label) -> Vec<Str> {
        let Some(host) = node.values.first().filter(|_| !node.complement) else { return Vec::new() };
        let here = self.counts.get(host).copied().unwrap_or(0);
        let allowed = match self.kind {
            Kind::Spread => here + i64::from(self.selects) <= self.max_skew,
            Kind::Affinity => {
                let elsewhere = self.counts.iter().any(|(it, count)| *count > 0 && pod.allows(it));
                pod.allows(host) && (here > 0 || (self.selects && !elsewhere))
            }
            Kind::AntiAffinity => here == 0,
        };
        allowed.then(|| host.clone()).into_iter().collect()
    }
}
