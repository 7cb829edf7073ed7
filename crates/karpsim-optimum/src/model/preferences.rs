//! Preferences: which of them an answer leaves unmet, and those that are to be met made required.
//!
//! A preference is a term of preferred affinity, a `ScheduleAnyway` constraint, or a `PreferNoSchedule` taint that a pod
//! does not tolerate. Whether it is met is asked of the answer as a whole, not of the moment at which the pod is placed.

use crate::model::rules::{Rule, Strength, rules_of};
use crate::model::slots::Place;
use crate::result::answer::{Answer, PlannedNode};
use crate::result::check::domain_of;
use karpsim::compile::ClusterState;
use karpsim::compile::asked::{Asked, Host};
use karpsim::compile::pods::ClassId;
use karpsim::compile::taints::{TaintsId, TolerationsId};
use karpsim::kubernetes::taints::tolerates;
use karpsim::model::core::TaintEffect;
use karpsim::requirements::{Algebra, ConstraintId, Undefined};
use karpsim::topology::Kind;
use rustc_hash::{FxHashMap, FxHashSet};

/// The preferences of a pod that an answer meets, as indexes into its class's.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Met {
    node: Vec<usize>,
    spread: Vec<usize>,
    affinity: Vec<usize>,
    anti_affinity: Vec<usize>,
    /// No taint that should keep it away.
    taints: bool,
}

/// The preferences that an answer meets, pod by pod.
#[derive(Debug, Clone, Default)]
pub(crate) struct Review {
    met: Vec<(usize, Met)>,
    /// How many of the pods that have a place are not met.
    pub(crate) unmet: usize,
}

/// Looks at the preferences of `pods` in `answer`.
pub(crate) fn review(
    problem: &ClusterState,
    algebra: &mut Algebra,
    pods: &[usize],
    answer: &Answer,
) -> Review {
    let class_of = |pod: usize| problem.records[pod].class;
    let wishes = rules_of(problem, algebra, pods, Strength::Preferred);
    let mut of_class: FxHashMap<ClassId, Vec<(usize, usize)>> = FxHashMap::default();
    for (at, rule) in wishes.rules.iter().enumerate() {
        for (owner, of) in rule.owners.iter().enumerate() {
            of_class.entry(of.class).or_default().push((at, owner));
        }
    }
    let crowds: Vec<DomainCounts> =
        wishes.rules.iter().map(|rule| DomainCounts::new(problem, algebra, rule, answer)).collect();
    let mut review = Review::default();
    for (at, node) in answer.nodes.iter().enumerate() {
        let (labels, host, undefined, taints) = seen(problem, algebra, node);
        let mut known: FxHashMap<ClassId, (Met, usize)> = FxHashMap::default();
        for &pod in &node.pods {
            let id = class_of(pod);
            let (met, unmet) = known.entry(id).or_insert_with(|| {
                let class = &problem.pods.classes[id.0 as usize];
                let mut met = Met { taints: shuns(problem, taints, class.tolerations), ..Met::default() };
                let mut unmet = usize::from(!met.taints);
                for (index, asked) in class.preferred.iter().enumerate() {
                    if asked.met_by(labels, host, undefined, algebra) {
                        met.node.push(index);
                    } else {
                        unmet += 1;
                    }
                }
                for &(rule, owner) in of_class.get(&id).into_iter().flatten() {
                    let (of, owner) = (&wishes.rules[rule], &wishes.rules[rule].owners[owner]);
                    if crowds[rule].suits(of, owner, at) {
                        match of.kind {
                            Kind::Spread => met.spread.push(owner.index),
                            Kind::Affinity => met.affinity.push(owner.index),
                            Kind::AntiAffinity => met.anti_affinity.push(owner.index),
                        }
                    } else {
                        unmet += 1;
                    }
                }
                (met, unmet)
            });
            review.unmet += *unmet;
            review.met.push((pod, met.clone()));
        }
    }
    review
}

/// A node as preferences see it: its labels, and its taints.
fn seen(
    problem: &ClusterState,
    algebra: &mut Algebra,
    node: &PlannedNode,
) -> (ConstraintId, Host, Undefined, TaintsId) {
    match node.place {
        Place::Existing { node } => {
            let node = &problem.nodes[node];
            (node.labels, node.host_label, Undefined::Denied, node.taints)
        }
        Place::New { template, shape, offering } => {
            let template = &problem.templates[template];
            let table = &problem.tables[template.table];
            let of = &table.types[table.shapes[shape].of];
            let base = crate::result::check::base_constraint(algebra, template.constraint, &node.chosen);
            let typed = algebra.sum(base, of.constraint);
            let labels = algebra.sum(typed, table.kinds[of.offerings[offering].kind]);
            (labels, Host::Unnamed, Undefined::WellKnownAllowed, template.taints)
        }
    }
}

/// Whether no `PreferNoSchedule` taint should keep pods with these tolerations away.
fn shuns(problem: &ClusterState, taints: TaintsId, tolerations: TolerationsId) -> bool {
    let tolerations = problem.taints.tolerations_of(tolerations);
    let soft = problem.taints.taints_of(taints).iter();
    soft.filter(|taint| taint.effect == Some(TaintEffect::PreferNoSchedule))
        .all(|taint| tolerates(tolerations, taint))
}

/// The pods that a rule selects, by domain.
struct DomainCounts {
    /// For each node of the answer.
    domains: Vec<Option<u32>>,
    counts: FxHashMap<u32, i64>,
}

impl DomainCounts {
    fn new(problem: &ClusterState, algebra: &mut Algebra, rule: &Rule, answer: &Answer) -> Self {
        let domains: Vec<Option<u32>> = answer
            .nodes
            .iter()
            .enumerate()
            .map(|(at, node)| {
                if rule.host {
                    Some(at as u32)
                } else {
                    domain_of(problem, algebra, node, rule.key).map(|domain| domain.0)
                }
            })
            .collect();
        let mut counts: FxHashMap<u32, i64> = if rule.host {
            let there = answer.nodes.iter().enumerate().filter_map(|(at, node)| match node.place {
                Place::Existing { node } => Some((at as u32, rule.on_node[node])),
                Place::New { .. } => None,
            });
            there.collect()
        } else {
            rule.domains.iter().map(|(domain, count)| (domain.0, *count)).collect()
        };
        for (node, domain) in answer.nodes.iter().zip(&domains) {
            let selected =
                node.pods.iter().filter(|&&pod| rule.selected.contains(&problem.records[pod].class));
            if let Some(domain) = domain {
                *counts.entry(*domain).or_default() += selected.count() as i64;
            }
        }
        DomainCounts { domains, counts }
    }

    /// Whether the rule is met for a pod of `owner` on the node at `at`.
    fn suits(&self, rule: &Rule, owner: &crate::model::rules::Owner, at: usize) -> bool {
        let Some(domain) = self.domains[at] else { return false };
        let count = self.counts.get(&domain).copied().unwrap_or(0);
        let others = count - i64::from(owner.selected);
        match rule.kind {
            Kind::Affinity => others > 0,
            Kind::AntiAffinity => others <= 0,
            Kind::Spread => {
                let of = |domain: u32| self.counts.get(&domain).copied().unwrap_or(0);
                let least = if rule.host || owner.least_is_zero {
                    0
                } else {
                    owner.eligible.iter().map(|domain| of(domain.0)).min().unwrap_or(0)
                };
                count + i64::from(!owner.selected) - least <= rule.max_skew
            }
        }
    }
}

/// Makes required what `review` found met. Returns the classes of pods that are not to come to tolerate
/// `PreferNoSchedule`.
pub(crate) fn require(
    problem: &mut ClusterState,
    algebra: &mut Algebra,
    review: &Review,
) -> FxHashSet<ClassId> {
    let mut firm = FxHashSet::default();
    let mut known: FxHashMap<(ClassId, &Met), ClassId> = FxHashMap::default();
    for (pod, met) in &review.met {
        let old = problem.records[*pod].class;
        if let Some(&class) = known.get(&(old, met)) {
            problem.records[*pod].class = class;
            continue;
        }
        let mut class = problem.pods.classes[old.0 as usize].clone();
        if !met.node.is_empty() {
            // Beside the volumes: the node must be so, but spreads do not count fewer nodes for it.
            let wanted = met.node.iter().map(|&index| class.preferred[index]);
            let wanted: Asked = wanted.fold(Asked::default(), |all, one| all.and(one, algebra));
            let alternatives = std::mem::take(&mut class.volumes.alternatives);
            class.volumes.alternatives = if alternatives.is_empty() {
                vec![wanted]
            } else {
                alternatives.into_iter().map(|one| one.and(wanted, algebra)).collect()
            };
        }
        for &index in &met.spread {
            class.spread[index].soft = false;
        }
        class.affinity.extend(met.affinity.iter().map(|&index| class.preferred_affinity[index].clone()));
        let away = met.anti_affinity.iter().map(|&index| class.preferred_anti_affinity[index].clone());
        class.anti_affinity.extend(away);
        let id = ClassId(problem.pods.classes.len() as u32);
        problem.pods.classes.push(class);
        if met.taints {
            firm.insert(id);
        }
        known.insert((old, met), id);
        problem.records[*pod].class = id;
    }
    firm
}
