//! Required topology rules of the pending pods, as facts about classes, domains and counts.
//!
//! The groups are Karpenter's own ([`Topology`]): their counts of the pods that are there, their domains, and what they
//! select. What is said here of an answer does not depend on the order in which its pods were placed: it is what must
//! hold in the end of any order, so that it never forbids what Karpenter could do.

use karpsim::compile::ClusterState;
use karpsim::compile::asked::Asked;
use karpsim::compile::pods::{Class, ClassId};
use karpsim::compile::taints::TolerationsId;
use karpsim::provisioning::variants::Variants;
use karpsim::requirements::{Algebra, KeyId, ValueId};
use karpsim::topology::{Group, GroupId, Kind, Topology};
use rustc_hash::{FxHashMap, FxHashSet};

/// A required topology rule, shared by all classes that Karpenter lets share it.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    /// Spread, affinity or anti-affinity.
    pub(crate) kind: Kind,
    /// The label whose values are the domains.
    pub(crate) key: KeyId,
    /// Whether the domains are nodes.
    pub(crate) host: bool,
    /// By how much domains may differ.
    pub(crate) max_skew: i64,
    /// Classes that have the rule.
    pub(crate) owners: Vec<Owner>,
    /// Pending classes that it selects.
    pub(crate) selected: Vec<ClassId>,
    /// Known domains by name, with the pods that are there.
    pub(crate) domains: Vec<(ValueId, i64)>,
    /// Pods that are there, for each node of the state, where the domains are nodes.
    pub(crate) on_node: Vec<i64>,
    /// Whether such pods are anywhere.
    pub(crate) occupied: bool,
}

/// Which rules are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strength {
    /// Those that must be kept.
    Required,
    /// Preferences.
    Preferred,
}

/// A class that has a rule.
#[derive(Debug, Clone)]
pub(crate) struct Owner {
    /// The class.
    pub(crate) class: ClassId,
    /// Whether its pods are selected by the rule, and counted wherever they go.
    pub(crate) counts: bool,
    /// Whether its pods are selected by the rule.
    pub(crate) selected: bool,
    /// Known domains that all its alternatives allow.
    pub(crate) eligible: Vec<ValueId>,
    /// The least count is taken to be 0 whatever it is: there are too few domains.
    pub(crate) least_is_zero: bool,
    /// Whether pods that the rule selects are where the class could join them.
    pub(crate) joins: bool,
    /// Index of the rule among those of its kind and strength that the class has.
    pub(crate) index: usize,
}

/// Pods, there or to come, that others must stay away from.
#[derive(Debug, Clone)]
pub(crate) struct Repulsion {
    /// The label whose equal values are "near".
    pub(crate) key: KeyId,
    /// Whether that is the hostname.
    pub(crate) host: bool,
    /// Known domains without such pods.
    pub(crate) free: Vec<ValueId>,
    /// Whether a node of the state is free of such pods, where the domains are nodes.
    pub(crate) node_free: Vec<bool>,
}

/// All rules of the pending pods.
#[derive(Debug, Clone, Default)]
pub(crate) struct Rules {
    /// Rules.
    pub(crate) rules: Vec<Rule>,
    /// Repulsions.
    pub(crate) repulsions: Vec<Repulsion>,
    /// For each class, the repulsions that select it.
    pub(crate) repelled: FxHashMap<ClassId, Vec<usize>>,
    /// Classes that do not come to tolerate `PreferNoSchedule`.
    pub(crate) firm: FxHashSet<ClassId>,
}

/// What pods of a class tolerate in the end. `firm`: classes that do not come to tolerate `PreferNoSchedule`.
pub(crate) fn tolerations_of(
    problem: &ClusterState,
    firm: &FxHashSet<ClassId>,
    id: ClassId,
) -> TolerationsId {
    let own = problem.pods.classes[id.0 as usize].tolerations;
    if problem.relaxes_taints && !firm.contains(&id) {
        problem.taints.relaxed(own).unwrap_or(own)
    } else {
        own
    }
}

/// What the node must be for a pod of `class`: one of these.
pub(crate) fn alternatives(class: &Class, algebra: &mut Algebra) -> Vec<Asked> {
    let with_terms: Vec<Asked> = strict_terms(class, algebra);
    if class.volumes.alternatives.is_empty() {
        return with_terms;
    }
    let mut all = Vec::new();
    for term in with_terms {
        for volume in &class.volumes.alternatives {
            let both = term.and(*volume, algebra);
            if !all.contains(&both) {
                all.push(both);
            }
        }
    }
    all
}

/// The node selector with each of the OR-ed terms.
fn strict_terms(class: &Class, algebra: &mut Algebra) -> Vec<Asked> {
    let terms = class.required.as_deref().unwrap_or(&[]);
    if terms.is_empty() {
        return vec![class.selector];
    }
    let mut all: Vec<Asked> = Vec::new();
    for term in terms {
        let asked = class.selector.and(*term, algebra);
        if !all.contains(&asked) {
            all.push(asked);
        }
    }
    all
}

/// Finds the rules of `pods`.
pub(crate) fn rules_of(
    problem: &ClusterState,
    algebra: &mut Algebra,
    pods: &[usize],
    strength: Strength,
) -> Rules {
    let class_of = |id: ClassId| &problem.pods.classes[id.0 as usize];
    let known: Vec<usize> = pods
        .iter()
        .copied()
        .filter(|&pod| !class_of(problem.records[pod].class).volumes.unreachable)
        .collect();
    let mut topology = Topology::new(problem, algebra);
    topology.begin(problem, algebra, known.clone(), Vec::new());
    // In Karpenter's order: the first pod of an identity decides what the group is.
    let mut variants = Variants::default();
    let mut order: Vec<ClassId> = Vec::new();
    for &pod in &known {
        let class = problem.records[pod].class;
        if order.contains(&class) {
            continue;
        }
        order.push(class);
        let variant = variants.whole(problem, algebra, &mut topology, class);
        let (wanted, shuns) = {
            let variant = variants.get(variant);
            (variant.wanted.clone(), variant.shuns.clone())
        };
        for one in shuns.iter().chain(&wanted) {
            topology.activate(problem, algebra, one);
        }
    }
    let mut rules = Rules::default();
    let mut index: FxHashMap<GroupId, usize> = FxHashMap::default();
    for &id in &order {
        let class = class_of(id);
        let terms = required_terms(class, algebra);
        let mut wanted: Vec<(GroupId, usize, bool)> = Vec::new();
        let soft = strength == Strength::Preferred;
        let (near, away) = match strength {
            Strength::Required => (&class.affinity, &class.anti_affinity),
            Strength::Preferred => (&class.preferred_affinity, &class.preferred_anti_affinity),
        };
        for (place, spread) in class.spread.iter().enumerate().filter(|(_, spread)| spread.soft == soft) {
            let one = topology.want_spread(problem, algebra, id, spread, terms.clone(), class.tolerations);
            let group = topology.activate(problem, algebra, &one);
            let own = filter_is(topology.group(group), &terms, class.tolerations, problem.relaxes_taints);
            wanted.push((group, place, own));
        }
        for (kind, terms) in [(Kind::Affinity, near), (Kind::AntiAffinity, away)] {
            for (place, term) in terms.iter().enumerate() {
                let one = topology.want_term(problem, kind, term, class.tolerations, false);
                wanted.push((topology.activate(problem, algebra, &one), place, true));
            }
        }
        wanted.sort_unstable();
        wanted.dedup_by_key(|(group, ..)| *group);
        for (group, place, counted) in wanted {
            let at = *index.entry(group).or_insert_with(|| {
                rules.rules.push(rule_of(problem, algebra, topology.group(group), &order));
                rules.rules.len() - 1
            });
            let owner = owner_of(problem, algebra, topology.group(group), id, counted);
            rules.rules[at].owners.push(Owner { index: place, ..owner });
        }
    }
    find_repulsions(problem, algebra, &mut topology, pods, &mut rules);
    rules
}

fn required_terms(class: &Class, algebra: &mut Algebra) -> Vec<Asked> {
    match &class.required {
        None => vec![class.selector],
        Some(terms) => terms.iter().map(|term| class.selector.and(*term, algebra)).collect(),
    }
}

/// Whether a group counts the pods of a class wherever they go: its filter was made by the like of them.
fn filter_is(group: &Group, terms: &[Asked], tolerations: TolerationsId, relaxes_taints: bool) -> bool {
    group.filter.as_ref().is_none_or(|(_, filter)| {
        (!filter.honors_affinity || filter.terms == terms)
            && (!filter.honors_taints || (filter.tolerations == tolerations && !relaxes_taints))
    })
}

fn rule_of(problem: &ClusterState, algebra: &Algebra, group: &Group, classes: &[ClassId]) -> Rule {
    let host = group.key == problem.hostname;
    let domains = if host {
        Vec::new()
    } else {
        let known = algebra.values_by_name(group.key).into_iter().map(|domain| (domain, group.at(domain.0)));
        known
            .filter(|(_, (count, refs))| *refs > 0 || *count > 0)
            .map(|(domain, (count, _))| (domain, i64::from(count)))
            .collect()
    };
    Rule {
        kind: group.kind,
        key: group.key,
        host,
        max_skew: i64::from(group.max_skew),
        owners: Vec::new(),
        selected: classes.iter().copied().filter(|&class| group.selects(problem, class)).collect(),
        domains,
        on_node: problem.nodes.iter().map(|node| i64::from(group.at(node.host.0).0)).collect(),
        occupied: group.any_occupied(|_| true),
    }
}

fn owner_of(
    problem: &ClusterState,
    algebra: &mut Algebra,
    group: &Group,
    id: ClassId,
    counted: bool,
) -> Owner {
    let class = &problem.pods.classes[id.0 as usize];
    let strict = strict_terms(class, algebra);
    let allows = |asked: &Asked, domain: ValueId| {
        algebra
            .of(asked.constraint, group.key)
            .is_none_or(|wanted| wanted.has(domain, algebra.integers(group.key)))
    };
    let eligible: Vec<ValueId> = algebra
        .values_by_name(group.key)
        .into_iter()
        .filter(|domain| {
            let (count, refs) = group.at(domain.0);
            (refs > 0 || count > 0) && strict.iter().all(|asked| allows(asked, *domain))
        })
        .collect();
    let selected = group.selects(problem, id);
    let joins = if group.key == problem.hostname {
        group.any_occupied(|_| true)
    } else {
        group.any_occupied(|domain| strict.iter().any(|asked| allows(asked, ValueId(domain))))
    };
    Owner {
        class: id,
        counts: selected && counted,
        selected,
        least_is_zero: strict.len() == 1
            && group.min_domains.is_some_and(|wanted| (eligible.len() as i64) < i64::from(wanted)),
        eligible,
        joins,
        index: 0,
    }
}

fn find_repulsions(
    problem: &ClusterState,
    algebra: &Algebra,
    topology: &mut Topology,
    pods: &[usize],
    rules: &mut Rules,
) {
    let mut index: FxHashMap<GroupId, usize> = FxHashMap::default();
    for &pod in pods {
        let class = problem.records[pod].class;
        if rules.repelled.contains_key(&class) {
            continue;
        }
        let groups: Vec<GroupId> = topology.repelling(problem, class).to_vec();
        let list = groups
            .into_iter()
            .map(|id| {
                *index.entry(id).or_insert_with(|| {
                    let group = topology.group(id);
                    let free = algebra.values_by_name(group.key).into_iter().filter(|domain| {
                        let (count, refs) = group.at(domain.0);
                        refs > 0 && count == 0
                    });
                    rules.repulsions.push(Repulsion {
                        key: group.key,
                        host: group.key == problem.hostname,
                        free: free.collect(),
                        node_free: problem.nodes.iter().map(|node| group.at(node.host.0).0 == 0).collect(),
                    });
                    rules.repulsions.len() - 1
                })
            })
            .collect();
        rules.repelled.insert(class, list);
    }
}
