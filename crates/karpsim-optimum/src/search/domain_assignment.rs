//! DomainAssigner pods to domains beforehand, such that topologies over zones are kept whatever nodes they then get.
//!
//! Only how many pods are assigned where reaches the linear programs; which of them take which position is chosen afterwards. So
//! it costs little that the choice is made without looking at prices: positions of pods that are alike are exchanged.

use crate::model::facts::{Fact, Facts};
use crate::model::items::DomainAssignment;
use crate::model::rules::{Rules, alternatives};
use karpsim::compile::ClusterState;
use karpsim::compile::pods::ClassId;
use karpsim::requirements::{Algebra, KeyId, ValueId};
use karpsim::topology::Kind;
use rustc_hash::{FxHashMap, FxHashSet};

/// Chooses a domain for each pod that a topology over domains is about.
pub(crate) fn assign_domains(
    problem: &ClusterState,
    algebra: &mut Algebra,
    pods: &[usize],
    facts: &Facts,
    rules: &Rules,
) -> DomainAssignment {
    let mut assigner = DomainAssigner::new(problem, algebra, pods, facts);
    // What must be in one domain first: the others are evened out around it.
    for fact in &facts.facts {
        match fact {
            Fact::OneDomain { key, classes, domains } => assigner.together(*key, classes, domains),
            Fact::OnePerDomain { key, classes } => assigner.apart(*key, classes),
            _ => {}
        }
    }
    for fact in &facts.facts {
        if let Fact::Spread { key, classes, selected, there, .. } = fact {
            // Pods that the constraint counts and that wait themselves for other counts to be even come in the same turn.
            let spread = |class: &ClassId| {
                rules.rules.iter().any(|rule| {
                    rule.kind == Kind::Spread
                        && rule.key == *key
                        && rule.owners.iter().any(|owner| owner.class == *class)
                })
            };
            let others = selected.iter().filter(|class| !classes.contains(class) && spread(class));
            assigner.evenly(*key, classes, &others.copied().collect::<Vec<_>>(), there);
        }
    }
    for to in assigner.assigned.values_mut() {
        to.sort_unstable();
    }
    assigner.assigned
}

struct DomainAssigner<'a> {
    problem: &'a ClusterState,
    algebra: &'a mut Algebra,
    facts: &'a Facts,
    of_class: FxHashMap<ClassId, Vec<usize>>,
    /// Pods assigned to each domain so far.
    load: FxHashMap<(KeyId, ValueId), usize>,
    assigned: DomainAssignment,
    may_go: FxHashMap<(ClassId, KeyId, ValueId), bool>,
}

impl<'a> DomainAssigner<'a> {
    fn new(problem: &'a ClusterState, algebra: &'a mut Algebra, pods: &[usize], facts: &'a Facts) -> Self {
        let mut of_class: FxHashMap<ClassId, Vec<usize>> = FxHashMap::default();
        for &pod in pods {
            of_class.entry(problem.records[pod].class).or_default().push(pod);
        }
        DomainAssigner {
            problem,
            algebra,
            facts,
            of_class,
            load: FxHashMap::default(),
            assigned: DomainAssignment::default(),
            may_go: FxHashMap::default(),
        }
    }

    fn members(&self, classes: &[ClassId]) -> Vec<usize> {
        let distinct: FxHashSet<ClassId> = classes.iter().copied().collect();
        let mut pods: Vec<usize> = distinct
            .iter()
            .flat_map(|class| self.of_class.get(class).into_iter().flatten())
            .copied()
            .collect();
        pods.sort_unstable();
        pods
    }

    /// Whether topologies and its own node selector let a class go to a domain.
    fn may_go(&mut self, class: ClassId, key: KeyId, domain: ValueId) -> bool {
        if let Some(&known) = self.may_go.get(&(class, key, domain)) {
            return known;
        }
        let reach = self.facts.reach.get(&class);
        let within = reach.and_then(|reach| reach.domains.iter().find(|(known, _)| *known == key));
        let of = &self.problem.pods.classes[class.0 as usize];
        let may = within.is_none_or(|(_, list)| list.contains(&domain))
            && alternatives(of, self.algebra).iter().any(|asked| {
                let wanted = self.algebra.of(asked.constraint, key);
                wanted.is_none_or(|wanted| wanted.has(domain, self.algebra.integers(key)))
            });
        self.may_go.insert((class, key, domain), may);
        may
    }

    fn assigned_to(&self, pod: usize, key: KeyId) -> Option<ValueId> {
        self.assigned.get(&pod)?.iter().find(|(known, _)| *known == key).map(|(_, domain)| *domain)
    }

    fn loaded(&self, key: KeyId, domain: ValueId) -> usize {
        self.load.get(&(key, domain)).copied().unwrap_or(0)
    }

    fn assign(&mut self, pod: usize, key: KeyId, domain: ValueId) {
        *self.load.entry((key, domain)).or_default() += 1;
        self.assigned.entry(pod).or_default().push((key, domain));
    }

    /// All to the domain to which fewest have been assigned.
    fn together(&mut self, key: KeyId, classes: &[ClassId], domains: &[ValueId]) {
        let pods = self.members(classes);
        // A pod that is elsewhere already decides for all.
        let decided = pods.iter().find_map(|&pod| self.assigned_to(pod, key));
        let mut open: Vec<ValueId> = domains
            .iter()
            .copied()
            .filter(|&domain| decided.is_none_or(|decided| decided == domain))
            .collect();
        open.retain(|&domain| classes.iter().all(|&class| self.may_go(class, key, domain)));
        let Some(&domain) = open.iter().min_by_key(|domain| self.loaded(key, **domain)) else { return };
        for pod in pods {
            if self.assigned_to(pod, key).is_none() {
                self.assign(pod, key, domain);
            }
        }
    }

    /// Each to a domain of its own.
    fn apart(&mut self, key: KeyId, classes: &[ClassId]) {
        let mut used: Vec<ValueId> = Vec::new();
        for pod in self.members(classes) {
            let class = self.problem.records[pod].class;
            let reach = self.facts.reach.get(&class);
            let within = reach.and_then(|reach| reach.domains.iter().find(|(known, _)| *known == key));
            let Some((_, list)) = within else { continue };
            let free: Vec<ValueId> = list.iter().copied().filter(|domain| !used.contains(domain)).collect();
            let free = free.into_iter().find(|&domain| self.may_go(class, key, domain));
            if let (Some(domain), None) = (free, self.assigned_to(pod, key)) {
                used.push(domain);
                self.assign(pod, key, domain);
            }
        }
    }

    /// Each to the domain with the lowest count: first the `classes` that must keep the constraint, then `others` that it
    /// counts.
    fn evenly(&mut self, key: KeyId, classes: &[ClassId], others: &[ClassId], there: &[(ValueId, i64)]) {
        let mut counts: Vec<(ValueId, i64)> = there.to_vec();
        let turns = [self.members(classes), self.members(others)];
        for &pod in turns.iter().flatten() {
            let to = self.assigned_to(pod, key);
            if let Some((_, count)) = counts.iter_mut().find(|(domain, _)| Some(*domain) == to) {
                *count += 1;
            }
        }
        for pod in turns.into_iter().flatten() {
            if self.assigned_to(pod, key).is_some() {
                continue;
            }
            let class = self.problem.records[pod].class;
            let mut lowest: Option<(i64, usize, usize)> = None;
            for (at, &(domain, count)) in counts.iter().enumerate() {
                let rank = (count, self.loaded(key, domain), at);
                if self.may_go(class, key, domain) && lowest.is_none_or(|known| rank < known) {
                    lowest = Some(rank);
                }
            }
            if let Some((.., at)) = lowest {
                counts[at].1 += 1;
                self.assign(pod, key, counts[at].0);
            }
        }
    }
}
