//! Whether an answer keeps every required rule, asked anew of the problem: it shares nothing with the model but the rules.
//!
//! Topologies speak of a pod at the time it is placed. An answer keeps them if its pods can be placed in some order, each
//! where the rules let it go; the order is sought greedily, pods with rules of their own first.

use crate::model::rules::{Rules, alternatives, tolerations_of};
use crate::model::slots::{Place, limits_left};
use crate::result::answer::{Answer, PlannedNode};
use karpsim::compile::ClusterState;
use karpsim::compile::asked::{Asked, Host};
use karpsim::compile::min_values;
use karpsim::compile::pods::ClassId;
use karpsim::requirements::{Algebra, ConstraintId, KeyId, Requirement, Undefined, ValueId};
use karpsim::topology::Kind;
use rustc_hash::FxHashMap;

/// Whether `answer` keeps every required rule: pods that no order was found for in which topologies let them go where they
/// are, each a class and the node of the answer. `None`: another rule is broken.
pub(crate) fn out_of_order(
    problem: &ClusterState,
    algebra: &mut Algebra,
    rules: &Rules,
    answer: &Answer,
) -> Option<Vec<(ClassId, usize)>> {
    let mut once = vec![false; problem.records.len()];
    let mut nodes_once = vec![false; problem.nodes.len()];
    for node in &answer.nodes {
        for &pod in &node.pods {
            if std::mem::replace(&mut once[pod], true) {
                return None;
            }
        }
        if let Place::Existing { node } = node.place
            && std::mem::replace(&mut nodes_once[node], true)
        {
            return None;
        }
    }
    let holds = answer.nodes.iter().all(|node| node_holds(problem, algebra, rules, node))
        && limits_hold(problem, answer);
    holds.then(|| Placing::new(problem, algebra, rules, answer).stuck())
}

fn classes_of(problem: &ClusterState, pods: &[usize]) -> Vec<ClassId> {
    let mut classes: Vec<ClassId> = pods.iter().map(|&pod| problem.records[pod].class).collect();
    classes.sort_unstable();
    classes
}

fn node_holds(problem: &ClusterState, algebra: &mut Algebra, rules: &Rules, node: &PlannedNode) -> bool {
    let classes = classes_of(problem, &node.pods);
    let class_of = |id: &ClassId| &problem.pods.classes[id.0 as usize];
    let mut requests = karpsim::compile::resources::Amounts::from_elem(0, problem.resources.len());
    for class in classes.iter().map(class_of) {
        for (sum, request) in requests.iter_mut().zip(&class.requests) {
            *sum += request;
        }
    }
    let tolerations = |id: &ClassId| tolerations_of(problem, &rules.firm, *id);
    let ports_clash = classes.iter().enumerate().any(|(at, a)| {
        classes.iter().skip(at + 1).any(|b| problem.pods.ports_conflict(class_of(a).ports, class_of(b).ports))
    });
    if ports_clash || classes.iter().any(|class| class_of(class).claims_devices) {
        return false;
    }
    match node.place {
        Place::Existing { node } => {
            let state = &problem.nodes[node];
            let attaches = state.attach_limits.iter().all(|(driver, limit)| {
                let mut attached: Vec<_> = state.attached.iter().collect();
                attached.extend(classes.iter().flat_map(|class| &class_of(class).volumes.attached));
                attached.retain(|(of, _)| of == driver);
                attached.sort();
                attached.dedup();
                attached.len() as i64 <= *limit
            });
            attaches
                && requests.iter().zip(&state.remaining).all(|(request, left)| request <= left && *left >= 0)
                && classes.iter().all(|id| {
                    let class = class_of(id);
                    !class.volumes.unresolved
                        && problem.taints.tolerated(state.taints, tolerations(id))
                        && !state.ports.iter().any(|&ports| problem.pods.ports_conflict(ports, class.ports))
                        && alternatives(class, algebra).iter().any(|asked| {
                            asked.met_by(state.labels, state.host_label, Undefined::Denied, algebra)
                        })
                })
        }
        Place::New { template, shape, offering } => {
            let template = &problem.templates[template];
            let table = &problem.tables[template.table];
            let Some(group) = template.groups.iter().find(|group| group.shapes.has(shape)) else {
                return false;
            };
            let with_daemons = requests
                .iter()
                .enumerate()
                .map(|(resource, amount)| amount + group.dense.get(resource).copied().unwrap_or(0))
                .collect();
            let mut fitting = template.shapes.clone();
            table.keep_fitting(&mut fitting, &with_daemons);
            let offer = &table.types[table.shapes[shape].of].offerings[offering];
            fitting.has(shape)
                && offer.available
                && classes.iter().all(|id| {
                    problem.taints.tolerated(template.taints, tolerations(id))
                        && !group
                            .ports
                            .iter()
                            .any(|&ports| problem.pods.ports_conflict(ports, class_of(id).ports))
                })
                && {
                    let mut distinct = classes.clone();
                    distinct.dedup();
                    let asked: Vec<Vec<Asked>> =
                        distinct.iter().map(|id| alternatives(class_of(id), algebra)).collect();
                    let constraint = base_constraint(algebra, template.constraint, &node.chosen);
                    goes_together(problem, algebra, node, &asked, constraint)
                }
        }
    }
}

/// The constraint of a template with the labels that are chosen.
pub(crate) fn base_constraint(
    algebra: &mut Algebra,
    template: ConstraintId,
    chosen: &[(KeyId, ValueId)],
) -> ConstraintId {
    let chosen = chosen.iter().map(|(key, value)| (*key, Requirement::any_of([*value])));
    let chosen = algebra.constraint(chosen.collect::<Vec<_>>());
    algebra.sum(template, chosen)
}

/// Whether some choice among what is asked leaves the type, the offering and `minValues` possible.
fn goes_together(
    problem: &ClusterState,
    algebra: &mut Algebra,
    node: &PlannedNode,
    asked: &[Vec<Asked>],
    constraint: ConstraintId,
) -> bool {
    let Place::New { template, shape, offering } = node.place else { return false };
    let template = &problem.templates[template];
    let table = &problem.tables[template.table];
    let Some((first, rest)) = asked.split_first() else {
        let shapes = table.compatible(algebra, constraint);
        let kind = table.kinds[table.types[table.shapes[shape].of].offerings[offering].kind];
        if !shapes.has(shape) || !algebra.compatible(constraint, kind, Undefined::WellKnownAllowed) {
            return false;
        }
        if problem.scenario.options.relaxes_min_values() || !algebra.has_min_values(constraint) {
            return true;
        }
        let mut options = shapes;
        options.keep(&table.offered(algebra, constraint));
        options.keep(&template.shapes);
        return min_values::unmet(algebra, table, &options, constraint).is_empty();
    };
    first.iter().any(|one| {
        one.met_by(constraint, Host::Unnamed, Undefined::WellKnownAllowed, algebra) && {
            let both = algebra.sum(constraint, one.constraint);
            goes_together(problem, algebra, node, rest, both)
        }
    })
}

fn limits_hold(problem: &ClusterState, answer: &Answer) -> bool {
    let limits = limits_left(problem);
    let mut taken: FxHashMap<(usize, usize), i64> = FxHashMap::default();
    let mut reserved: FxHashMap<u32, i64> = FxHashMap::default();
    for node in &answer.nodes {
        let Place::New { template, shape, offering } = node.place else { continue };
        let template = &problem.templates[template];
        let Some(own) = &limits[template.dynamic] else { return false };
        let table = &problem.tables[template.table];
        let it = &table.types[table.shapes[shape].of];
        for limit in own {
            *taken.entry((limit.pool, limit.resource)).or_default() += it.capacity[limit.resource];
        }
        if problem.scenario.options.reserved_capacity()
            && let Some(reservation) = it.offerings[offering].reservation
        {
            *reserved.entry(reservation.0).or_default() += 1;
        }
    }
    let left = |pool: usize, resource: usize| {
        let own = limits[pool].iter().flatten();
        own.filter(|limit| limit.resource == resource).map(|limit| limit.left).min().unwrap_or(i64::MAX)
    };
    taken.iter().all(|(&(pool, resource), amount)| *amount <= left(pool, resource))
        && reserved.iter().all(|(reservation, count)| *count <= problem.reservations[*reservation as usize])
}

/// Pods of a class that are to go to a node.
struct Batch {
    class: ClassId,
    node: usize,
    left: i64,
}

/// The search for an order.
struct Placing<'a> {
    rules: &'a Rules,
    answer: &'a Answer,
    /// For each rule, its domain on each node of the answer.
    domains: Vec<Vec<Option<ValueId>>>,
    /// For each rule and domain (or node of the answer), pods that it selects.
    counts: Vec<FxHashMap<u32, i64>>,
    /// The same for pods that have the rule.
    owners: Vec<FxHashMap<u32, i64>>,
    /// For each spread and domain, pods that have it and wait: those that it does not count, and those that it does.
    waiting: Vec<FxHashMap<u32, [i64; 2]>>,
    batches: Vec<Batch>,
    owned: FxHashMap<ClassId, Vec<(usize, usize)>>,
    selected: FxHashMap<ClassId, Vec<usize>>,
    repelled_domains: Vec<Vec<Option<ValueId>>>,
}

impl<'a> Placing<'a> {
    fn new(problem: &ClusterState, algebra: &mut Algebra, rules: &'a Rules, answer: &'a Answer) -> Self {
        let mut by_key: FxHashMap<KeyId, Vec<Option<ValueId>>> = FxHashMap::default();
        let mut domains_of = |key: KeyId, algebra: &mut Algebra| -> Vec<Option<ValueId>> {
            let known = by_key.entry(key);
            known
                .or_insert_with(|| {
                    answer.nodes.iter().map(|node| domain_of(problem, algebra, node, key)).collect()
                })
                .clone()
        };
        let domains = rules.rules.iter().map(|rule| domains_of(rule.key, algebra)).collect();
        let repelled_domains = rules.repulsions.iter().map(|one| domains_of(one.key, algebra)).collect();
        let counts = rules
            .rules
            .iter()
            .map(|rule| rule.domains.iter().map(|(domain, count)| (domain.0, *count)).collect())
            .collect();
        let mut batches = Vec::new();
        for (at, node) in answer.nodes.iter().enumerate() {
            for class in classes_of(problem, &node.pods) {
                match batches.last_mut() {
                    Some(Batch { class: last, node, left }) if *last == class && *node == at => *left += 1,
                    _ => batches.push(Batch { class, node: at, left: 1 }),
                }
            }
        }
        let mut owned: FxHashMap<ClassId, Vec<(usize, usize)>> = FxHashMap::default();
        let mut selected: FxHashMap<ClassId, Vec<usize>> = FxHashMap::default();
        for (at, rule) in rules.rules.iter().enumerate() {
            for (owner, of) in rule.owners.iter().enumerate() {
                owned.entry(of.class).or_default().push((at, owner));
            }
            for &class in &rule.selected {
                selected.entry(class).or_default().push(at);
            }
        }
        Placing {
            owners: vec![FxHashMap::default(); rules.rules.len()],
            waiting: vec![FxHashMap::default(); rules.rules.len()],
            rules,
            answer,
            domains,
            counts,
            batches,
            owned,
            selected,
            repelled_domains,
        }
    }

    /// The domain of a rule on a node of the answer: for rules over nodes, the node itself.
    fn domain(&self, rule: usize, node: usize) -> Option<u32> {
        if self.rules.rules[rule].host {
            Some(node as u32)
        } else {
            self.domains[rule][node].map(|domain| domain.0)
        }
    }

    fn count(&self, rule: usize, node: usize, domain: u32) -> i64 {
        let placed = self.counts[rule].get(&domain).copied().unwrap_or(0);
        match self.answer.nodes[node].place {
            Place::Existing { node } if self.rules.rules[rule].host => {
                placed + self.rules.rules[rule].on_node[node]
            }
            _ => placed,
        }
    }

    fn may_place(&self, class: ClassId, node: usize) -> bool {
        let own = self.owned.get(&class).into_iter().flatten();
        let kept = own.copied().all(|(at, owner)| {
            let rule = &self.rules.rules[at];
            let owner = &rule.owners[owner];
            let Some(domain) = self.domain(at, node) else { return false };
            let known = rule.host || rule.domains.iter().any(|(known, _)| known.0 == domain);
            let count = self.count(at, node, domain);
            known
                && match rule.kind {
                    Kind::AntiAffinity => count == 0,
                    Kind::Affinity => {
                        let empty = |domain: &u32| {
                            !rule.host && !owner.eligible.iter().any(|eligible| eligible.0 == *domain)
                        };
                        count > 0
                            || (owner.selected
                                && !owner.joins
                                && self.counts[at].iter().all(|(domain, count)| *count == 0 || empty(domain)))
                    }
                    Kind::Spread => {
                        let least = if rule.host || owner.least_is_zero {
                            0
                        } else {
                            let of = |domain: &ValueId| self.counts[at].get(&domain.0).copied().unwrap_or(0);
                            owner.eligible.iter().map(of).min().unwrap_or(0)
                        };
                        count + i64::from(owner.selected) - least <= rule.max_skew
                    }
                }
        });
        kept && self.selected.get(&class).into_iter().flatten().all(|&at| {
            self.rules.rules[at].kind != Kind::AntiAffinity
                || self.domain(at, node).is_none_or(|domain| !self.owners[at].contains_key(&domain))
        }) && self.is_free(class, node)
    }

    /// Whether no pod that is there shuns the class.
    fn is_free(&self, class: ClassId, node: usize) -> bool {
        self.rules.repelled.get(&class).into_iter().flatten().all(|&at| {
            let repulsion = &self.rules.repulsions[at];
            if repulsion.host {
                return match self.answer.nodes[node].place {
                    Place::Existing { node } => repulsion.node_free[node],
                    Place::New { .. } => true,
                };
            }
            self.repelled_domains[at][node].is_some_and(|domain| repulsion.free.contains(&domain))
        })
    }

    fn place(&mut self, class: ClassId, node: usize) {
        for at in self.selected.get(&class).cloned().unwrap_or_default() {
            if let Some(domain) = self.domain(at, node) {
                *self.counts[at].entry(domain).or_default() += 1;
            }
        }
        for (at, _) in self.owned.get(&class).cloned().unwrap_or_default() {
            if let Some(domain) = self.domain(at, node) {
                *self.owners[at].entry(domain).or_default() += 1;
            }
        }
    }

    /// Places pods in an order in which none is in the way of those still to come, as far as there is one. Returns those
    /// that are left.
    fn stuck(mut self) -> Vec<(ClassId, usize)> {
        let mut tiers = [Vec::new(), Vec::new(), Vec::new()];
        for at in 0..self.batches.len() {
            let Batch { class, node, left } = self.batches[at];
            tiers[self.tier(class)].push(at);
            self.wait(class, node, left);
        }
        let [mut first, second, mut rest] = tiers;
        // Those that count themselves need the lowest domain; others may be one above it.
        first.sort_by_key(|&at| {
            let mut owned = self.owned.get(&self.batches[at].class).into_iter().flatten();
            !owned.any(|&(rule, owner)| {
                !self.rules.rules[rule].host && self.rules.rules[rule].owners[owner].selected
            })
        });
        let mut owners = [first, second].concat();
        loop {
            // One of a batch at a time, so that domains fill evenly; pods without rules when nothing else is left to do.
            let progress = self.pass(&owners, Interference::None, false)
                || self.pass(&rest, Interference::None, false)
                || self.pass(&owners, Interference::ForNow, true)
                || self.pass(&rest, Interference::ForNow, true)
                || self.pass(&owners, Interference::ForGood, true)
                || self.pass(&rest, Interference::ForGood, true);
            owners.retain(|&at| self.batches[at].left > 0);
            rest.retain(|&at| self.batches[at].left > 0);
            if !progress {
                owners.extend(rest);
                return owners
                    .into_iter()
                    .map(|at| (self.batches[at].class, self.batches[at].node))
                    .collect();
            }
        }
    }

    /// When pods of a class are tried: those with rules over domains first, those without rules last.
    fn tier(&self, class: ClassId) -> usize {
        match self.owned.get(&class) {
            None => 2,
            Some(owned) if owned.iter().all(|(rule, _)| self.rules.rules[*rule].host) => 1,
            Some(_) => 0,
        }
    }

    /// `more` pods more (or less) of a class wait for their place.
    fn wait(&mut self, class: ClassId, node: usize, more: i64) {
        for (at, owner) in self.owned.get(&class).cloned().unwrap_or_default() {
            if self.rules.rules[at].kind == Kind::Spread
                && let Some(domain) = self.domain(at, node)
            {
                let own = usize::from(self.rules.rules[at].owners[owner].selected);
                self.waiting[at].entry(domain).or_default()[own] += more;
            }
        }
    }

    /// Whether a pod of the class would be in the way of others that wait for theirs.
    fn harm(&self, class: ClassId, node: usize) -> Interference {
        let own = self.owned.get(&class);
        let mut worst = Interference::None;
        for &at in self.selected.get(&class).into_iter().flatten() {
            let rule = &self.rules.rules[at];
            let Some(domain) = self.domain(at, node) else { continue };
            let Some(&waiting) = self.waiting[at].get(&domain).filter(|_| rule.kind == Kind::Spread) else {
                continue;
            };
            let itself = own.into_iter().flatten().find(|(known, _)| *known == at);
            let others = |selected: bool| {
                let itself = itself.is_some_and(|(_, owner)| rule.owners[*owner].selected == selected);
                waiting[usize::from(selected)] > i64::from(itself)
            };
            let least = if rule.host {
                0
            } else {
                let of = |(domain, _): &(ValueId, i64)| self.counts[at].get(&domain.0).copied().unwrap_or(0);
                rule.domains.iter().map(of).min().unwrap_or(0)
            };
            let room = rule.max_skew + least - self.count(at, node, domain) - 1;
            if rule.host && ((room < 0 && others(false)) || (room < 1 && others(true))) {
                worst = Interference::ForGood;
            } else if !rule.host && room < 0 && (others(false) || others(true)) {
                // Up to the skew it is the turn of the other domains, no more.
                worst = worst.max(Interference::ForNow);
            }
        }
        worst
    }

    /// Places one pod of each batch that may be placed and does no more than `harm`; with `one`, only the first of them.
    /// Tells whether any was.
    fn pass(&mut self, batches: &[usize], harm: Interference, one: bool) -> bool {
        let mut progress = false;
        for &at in batches {
            let Batch { class, node, left } = self.batches[at];
            if left == 0 || !self.may_place(class, node) || self.harm(class, node) > harm {
                continue;
            }
            let noticed = self.selected.contains_key(&class) || self.owned.contains_key(&class);
            let count = if noticed { 1 } else { left };
            self.wait(class, node, -count);
            self.place(class, node);
            self.batches[at].left = left - count;
            progress = true;
            if one {
                return true;
            }
        }
        progress
    }
}

/// What placing a pod does to others that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Interference {
    /// Nothing.
    None,
    /// Some must wait until other domains have caught up.
    ForNow,
    /// Some can no longer come to the node.
    ForGood,
}

/// The value of a label on a node of the answer.
pub(crate) fn domain_of(
    problem: &ClusterState,
    algebra: &mut Algebra,
    node: &PlannedNode,
    key: KeyId,
) -> Option<ValueId> {
    let single = |algebra: &Algebra, of: ConstraintId| {
        let requirement = algebra.of(of, key).filter(|one| !one.complement && one.values.len() == 1)?;
        requirement.values.iter().next()
    };
    match node.place {
        Place::Existing { node } => single(algebra, problem.nodes[node].labels),
        Place::New { template, shape, offering } => {
            if let Some((_, value)) = node.chosen.iter().find(|(known, _)| *known == key) {
                return Some(*value);
            }
            let template = &problem.templates[template];
            let table = &problem.tables[template.table];
            let it = &table.types[table.shapes[shape].of];
            let kind = table.kinds[it.offerings[offering].kind];
            single(algebra, kind)
                .or_else(|| single(algebra, it.constraint))
                .or_else(|| single(algebra, template.constraint))
        }
    }
}
