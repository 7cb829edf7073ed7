//! What the rules come to for patterns: limits a node, conflicts, companions, and rows over domains.
//!
//! A [`Fact`] holds of every answer that keeps the rules. Where a rule says more than its facts do, a [`Relaxation`] names
//! what is left out; the bound is then lower than it could be, never higher.

use crate::model::rules::{Owner, Rule, Rules};
use karpsim::compile::ClusterState;
use karpsim::compile::pods::ClassId;
use karpsim::requirements::{Algebra, ConstraintId, KeyId, ValueId};
use karpsim::topology::Kind;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

/// A part of the rules that the lower bound does not know. The answer itself keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Relaxation {
    /// Topologies over other labels than the hostname are left out of the bound altogether: there are too many.
    DomainRules,
    /// Spread over domains of pods that the constraint itself does not count.
    SpreadOfOthers,
    /// Spread over domains where pods have different node selectors under one constraint.
    SpreadOfMixedSelectors,
    /// Affinity to pods that are to be placed too.
    AffinityToPending,
    /// Anti-affinity over domains between different pods.
    AntiAffinityBetweenClasses,
    /// `limits.nodes` of a NodePool is not counted within a round; Karpenter does not either.
    NodeCountLimit,
    /// Topology of pods whose volumes cannot be looked up; Karpenter leaves it out too.
    UnreachableVolumes,
    /// Only a part of the search for patterns was done in the given time.
    PatternSearch,
    /// The linear program has a whole solution that the check of answers refuses.
    CheckedOnly,
}

impl Relaxation {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Relaxation::DomainRules => {
                "topology constraints over zones and other labels (too many pods of too many kinds)"
            }
            Relaxation::SpreadOfOthers => "topology spread of pods that their own constraint does not select",
            Relaxation::SpreadOfMixedSelectors => {
                "topology spread shared by pods with different node selectors or tolerations"
            }
            Relaxation::AffinityToPending => "pod affinity to other pending pods",
            Relaxation::AntiAffinityBetweenClasses => {
                "pod anti-affinity over zones between different kinds of pods"
            }
            Relaxation::NodeCountLimit => {
                "`limits.nodes` of NodePools within the round (Karpenter ignores it as well)"
            }
            Relaxation::UnreachableVolumes => {
                "topology constraints of pods with bound volumes (Karpenter ignores them as well)"
            }
            Relaxation::PatternSearch => "some patterns (the search for them was cut short)",
            Relaxation::CheckedOnly => "constraints that depend on the order in which pods are scheduled",
        }
    }
}

/// Something that every answer keeps.
#[derive(Debug, Clone)]
pub(crate) enum Fact {
    /// At most so many pods of these classes on a node.
    NodeLimit {
        /// Classes.
        classes: Vec<ClassId>,
        /// On a new node.
        on_new: i64,
        /// On each node of the state.
        on_node: Vec<i64>,
    },
    /// No pod of the first beside a pod of the second.
    Conflict {
        /// Classes that shun.
        owners: Vec<ClassId>,
        /// Classes that they shun.
        others: Vec<ClassId>,
    },
    /// Pods of the first need one of the second on their node.
    Companion {
        /// Classes with the need.
        owners: Vec<ClassId>,
        /// Classes that meet it.
        others: Vec<ClassId>,
        /// Nodes of the state where it is met already.
        met_on: Vec<bool>,
    },
    /// At most one node has any pods of these classes.
    OneNode {
        /// Classes.
        classes: Vec<ClassId>,
    },
    /// Counts of the domains differ by at most so much.
    Spread {
        /// The label.
        key: KeyId,
        /// By how much.
        max_skew: i64,
        /// Classes that must keep it, and count.
        classes: Vec<ClassId>,
        /// Classes that count.
        selected: Vec<ClassId>,
        /// Domains that count for the least.
        eligible: Vec<ValueId>,
        /// The least is 0.
        least_is_zero: bool,
        /// Pods that are there, by domain.
        there: Vec<(ValueId, i64)>,
    },
    /// At most one pod of these classes a domain.
    OnePerDomain {
        /// The label.
        key: KeyId,
        /// Classes.
        classes: Vec<ClassId>,
    },
    /// All pods of these classes are in one domain.
    OneDomain {
        /// The label.
        key: KeyId,
        /// Classes.
        classes: Vec<ClassId>,
        /// Which it could be.
        domains: Vec<ValueId>,
    },
}

/// Where pods of a class may go as far as topologies go.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Reach {
    /// For each label that matters: the domain must be one of these.
    pub(crate) domains: Vec<(KeyId, Vec<ValueId>)>,
    /// Nodes of the state that are closed to it.
    pub(crate) closed_nodes: Vec<usize>,
    /// Whether new nodes are closed to it.
    pub(crate) closed_new: bool,
}

impl Reach {
    /// The domain of `key` must be one of `domains` too.
    pub(crate) fn within(&mut self, key: KeyId, domains: &[ValueId]) {
        match self.domains.iter_mut().find(|(known, _)| *known == key) {
            Some((_, so_far)) => so_far.retain(|domain| domains.contains(domain)),
            None => self.domains.push((key, domains.to_vec())),
        }
    }

    fn close(&mut self, node: usize) {
        if !self.closed_nodes.contains(&node) {
            self.closed_nodes.push(node);
            self.closed_nodes.sort_unstable();
        }
    }
}

/// What is known of an answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Facts {
    /// Facts.
    pub(crate) facts: Vec<Fact>,
    /// Where classes may go.
    pub(crate) reach: FxHashMap<ClassId, Reach>,
    /// What is left out.
    pub(crate) relaxed: Vec<Relaxation>,
    /// Classes that do not come to tolerate `PreferNoSchedule`.
    pub(crate) firm: FxHashSet<ClassId>,
}

/// Whether every node there is, and every one that could be launched, is in one of these domains.
fn is_everywhere(problem: &ClusterState, algebra: &Algebra, key: KeyId, domains: &[ValueId]) -> bool {
    let within = |of: ConstraintId| {
        algebra.of(of, key).is_some_and(|requirement| {
            !requirement.complement && requirement.values.iter().all(|value| domains.contains(&value))
        })
    };
    problem.tables.iter().all(|table| table.kinds.iter().all(|kind| within(*kind)))
        && problem.nodes.iter().all(|node| within(node.labels))
}

/// Draws the facts from the rules. `with_domains`: also those over other labels than the hostname.
pub(crate) fn facts_of(rules: &Rules, with_domains: bool) -> Facts {
    let mut facts = Facts { firm: rules.firm.clone(), ..Facts::default() };
    for (class, list) in &rules.repelled {
        let reach = facts.reach.entry(*class).or_default();
        for &repulsion in list {
            let repulsion = &rules.repulsions[repulsion];
            if repulsion.host {
                for (node, free) in repulsion.node_free.iter().enumerate() {
                    if !free {
                        reach.close(node);
                    }
                }
            } else if with_domains {
                reach.within(repulsion.key, &repulsion.free);
            }
        }
    }
    for rule in &rules.rules {
        if rule.host {
            facts.of_host_rule(rule);
        } else if with_domains {
            facts.of_domain_rule(rule);
        } else {
            facts.relax(Relaxation::DomainRules);
        }
    }
    for reach in facts.reach.values_mut() {
        reach.domains.sort_by_key(|(key, _)| *key);
    }
    facts
}

impl Facts {
    /// Drops the facts that couple domains; where pods may go stays, as far as it forbids anything.
    pub(crate) fn forget_domains(&mut self, problem: &ClusterState, algebra: &Algebra) {
        let before = self.facts.len();
        self.facts.retain(|fact| {
            !matches!(fact, Fact::Spread { .. } | Fact::OnePerDomain { .. } | Fact::OneDomain { .. })
        });
        if self.facts.len() < before {
            self.relax(Relaxation::DomainRules);
        }
        for reach in self.reach.values_mut() {
            reach.domains.retain(|(key, domains)| !is_everywhere(problem, algebra, *key, domains));
        }
    }

    fn relax(&mut self, relaxation: Relaxation) {
        if !self.relaxed.contains(&relaxation) {
            self.relaxed.push(relaxation);
        }
    }

    fn reach(&mut self, class: ClassId) -> &mut Reach {
        self.reach.entry(class).or_default()
    }

    fn of_host_rule(&mut self, rule: &Rule) {
        let owners: Vec<ClassId> = rule.owners.iter().map(|owner| owner.class).collect();
        match rule.kind {
            Kind::Spread => {
                for owner in &rule.owners {
                    let more = i64::from(owner.selected);
                    for (node, there) in rule.on_node.iter().enumerate() {
                        if there + more > rule.max_skew {
                            self.reach(owner.class).close(node);
                        }
                    }
                    if more > rule.max_skew {
                        self.reach(owner.class).closed_new = true;
                    }
                }
                self.facts.push(Fact::NodeLimit {
                    classes: rule
                        .owners
                        .iter()
                        .filter(|owner| owner.counts)
                        .map(|owner| owner.class)
                        .collect(),
                    on_new: rule.max_skew,
                    on_node: rule.on_node.iter().map(|there| (rule.max_skew - there).max(0)).collect(),
                });
            }
            Kind::AntiAffinity => {
                for &owner in &owners {
                    for (node, &there) in rule.on_node.iter().enumerate() {
                        if there > 0 {
                            self.reach(owner).close(node);
                        }
                    }
                }
                let own: Vec<ClassId> =
                    rule.owners.iter().filter(|owner| owner.selected).map(|owner| owner.class).collect();
                self.conflict(&owners, &own, rule);
                if !own.is_empty() {
                    self.facts.push(Fact::NodeLimit {
                        classes: own,
                        on_new: 1,
                        on_node: vec![1; rule.on_node.len()],
                    });
                }
            }
            Kind::Affinity => self.of_host_affinity(rule, &owners),
        }
    }

    /// Owners and selected pods exclude each other, but for those that do so among themselves already.
    fn conflict(&mut self, owners: &[ClassId], own: &[ClassId], rule: &Rule) {
        let others: Vec<ClassId> =
            rule.selected.iter().copied().filter(|class| !own.contains(class)).collect();
        if !others.is_empty() {
            self.facts.push(Fact::Conflict { owners: owners.to_vec(), others });
        }
        let strangers: Vec<ClassId> = owners.iter().copied().filter(|class| !own.contains(class)).collect();
        if !strangers.is_empty() && !own.is_empty() {
            self.facts.push(Fact::Conflict { owners: strangers, others: own.to_vec() });
        }
    }

    fn of_host_affinity(&mut self, rule: &Rule, owners: &[ClassId]) {
        let others: Vec<ClassId> =
            rule.selected.iter().copied().filter(|class| !owners.contains(class)).collect();
        let met_on: Vec<bool> = rule.on_node.iter().map(|&there| there > 0).collect();
        let mut starters = Vec::new();
        for owner in &rule.owners {
            let starts = owner.selected && !rule.occupied;
            if starts {
                starters.push(owner.class);
            } else if others.is_empty() && (rule.occupied || !rule.owners.iter().any(|other| other.selected))
            {
                // Only where such pods are already: those that come join them there.
                let reach = self.reach(owner.class);
                reach.closed_new = true;
                for (node, met) in met_on.iter().enumerate() {
                    if !met {
                        reach.close(node);
                    }
                }
            } else {
                let mut with = others.clone();
                with.extend(rule.owners.iter().filter(|other| other.selected).map(|other| other.class));
                self.facts.push(Fact::Companion {
                    owners: vec![owner.class],
                    others: with,
                    met_on: met_on.clone(),
                });
            }
        }
        if !starters.is_empty() {
            if others.is_empty() {
                self.facts.push(Fact::OneNode { classes: starters });
            } else {
                self.relax(Relaxation::AffinityToPending);
            }
        }
    }

    fn of_domain_rule(&mut self, rule: &Rule) {
        let known: Vec<ValueId> = rule.domains.iter().map(|(domain, _)| *domain).collect();
        let owners: Vec<ClassId> = rule.owners.iter().map(|owner| owner.class).collect();
        match rule.kind {
            Kind::Spread => {
                for &owner in &owners {
                    self.reach(owner).within(rule.key, &known);
                }
                self.of_spread(rule);
            }
            Kind::AntiAffinity => {
                let free: Vec<ValueId> =
                    rule.domains.iter().filter(|(_, there)| *there == 0).map(|(domain, _)| *domain).collect();
                for &owner in &owners {
                    self.reach(owner).within(rule.key, &free);
                }
                let own: Vec<ClassId> =
                    rule.owners.iter().filter(|owner| owner.selected).map(|owner| owner.class).collect();
                self.conflict(&owners, &own, rule);
                if rule.selected.iter().any(|class| !own.contains(class)) || own.len() < owners.len() {
                    self.relax(Relaxation::AntiAffinityBetweenClasses);
                }
                if !own.is_empty() {
                    self.facts.push(Fact::NodeLimit {
                        classes: own.clone(),
                        on_new: 1,
                        on_node: vec![1; rule.on_node.len()],
                    });
                    self.facts.push(Fact::OnePerDomain { key: rule.key, classes: own });
                }
            }
            Kind::Affinity => self.of_domain_affinity(rule, &owners, &known),
        }
    }

    fn of_domain_affinity(&mut self, rule: &Rule, owners: &[ClassId], known: &[ValueId]) {
        let others = rule.selected.iter().any(|class| !owners.contains(class));
        let occupied: Vec<ValueId> =
            rule.domains.iter().filter(|(_, there)| *there > 0).map(|(domain, _)| *domain).collect();
        let mut starters: Vec<ClassId> = Vec::new();
        for owner in &rule.owners {
            if others {
                self.reach(owner.class).within(rule.key, known);
                self.relax(Relaxation::AffinityToPending);
            } else if owner.joins || (!owner.selected && !rule.owners.iter().any(|other| other.selected)) {
                self.reach(owner.class).within(rule.key, &occupied);
            } else {
                self.reach(owner.class).within(rule.key, known);
                if owner.selected {
                    starters.push(owner.class);
                } else {
                    self.relax(Relaxation::AffinityToPending);
                }
            }
        }
        let alike = starters.len() == rule.owners.len()
            && rule.owners.iter().all(|owner| owner.eligible == rule.owners[0].eligible);
        if alike && occupied.is_empty() {
            let domains = rule.owners[0].eligible.clone();
            self.facts.push(Fact::OneDomain { key: rule.key, classes: starters, domains });
        } else if !starters.is_empty() {
            self.relax(Relaxation::AffinityToPending);
        }
    }

    fn of_spread(&mut self, rule: &Rule) {
        let mut sets: Vec<(&Owner, Vec<ClassId>)> = Vec::new();
        for owner in &rule.owners {
            if !owner.selected {
                self.relax(Relaxation::SpreadOfOthers);
                continue;
            }
            if !owner.counts {
                self.relax(Relaxation::SpreadOfMixedSelectors);
                continue;
            }
            let alike = |known: &&Owner| {
                known.eligible == owner.eligible && known.least_is_zero == owner.least_is_zero
            };
            match sets.iter_mut().find(|(first, _)| alike(first)) {
                Some((_, classes)) => classes.push(owner.class),
                None => sets.push((owner, vec![owner.class])),
            }
        }
        if let [(first, _), rest @ ..] = sets.as_slice()
            && !rest.is_empty()
        {
            // The last pod of all sees all of them, against the least of domains that are among those of each set.
            let shared = first.eligible.iter().copied();
            let eligible: Vec<ValueId> = shared
                .filter(|domain| rest.iter().all(|(owner, _)| owner.eligible.contains(domain)))
                .collect();
            if !eligible.is_empty() {
                self.facts.push(Fact::Spread {
                    key: rule.key,
                    max_skew: rule.max_skew,
                    classes: sets.iter().flat_map(|(_, classes)| classes.iter().copied()).collect(),
                    selected: rule.selected.clone(),
                    eligible,
                    least_is_zero: false,
                    there: rule.domains.clone(),
                });
            }
        }
        for (first, classes) in sets {
            self.facts.push(Fact::Spread {
                key: rule.key,
                max_skew: rule.max_skew,
                classes,
                selected: rule.selected.clone(),
                eligible: first.eligible.clone(),
                least_is_zero: first.least_is_zero,
                there: rule.domains.clone(),
            });
        }
    }
}
