//! Sending pods to domains beforehand, such that topologies over zones are kept whatever nodes they then get.

use crate::facts::{Fact, Facts};
use crate::items::Sent;
use karpsim::compile::Problem;
use karpsim::compile::pods::ClassId;
use karpsim::requirements::{KeyId, ValueId};
use rustc_hash::FxHashMap;

/// Chooses a domain for each pod that a topology over domains is about.
pub(crate) fn send(problem: &Problem<'_>, pods: &[usize], facts: &Facts) -> Sent {
    let mut sent = Sent::default();
    let mut load: FxHashMap<(KeyId, ValueId), usize> = FxHashMap::default();
    let mut of_class: FxHashMap<ClassId, Vec<usize>> = FxHashMap::default();
    for &pod in pods {
        of_class.entry(problem.records[pod].class).or_default().push(pod);
    }
    let members = |classes: &[ClassId]| -> Vec<usize> {
        let mut pods: Vec<usize> =
            classes.iter().flat_map(|class| of_class.get(class).into_iter().flatten()).copied().collect();
        pods.sort_unstable();
        pods
    };
    let reach = |class: ClassId, key: KeyId, domains: &[ValueId]| -> Vec<ValueId> {
        let within =
            facts.reach.get(&class).and_then(|reach| reach.domains.iter().find(|(known, _)| *known == key));
        domains
            .iter()
            .copied()
            .filter(|domain| within.is_none_or(|(_, list)| list.contains(domain)))
            .collect()
    };
    for fact in &facts.facts {
        match fact {
            Fact::OneDomain { key, classes, domains } => {
                let pods = members(classes);
                let all: Vec<ValueId> = domains
                    .iter()
                    .copied()
                    .filter(|domain| classes.iter().all(|class| !reach(*class, *key, &[*domain]).is_empty()))
                    .collect();
                let Some(&domain) =
                    all.iter().min_by_key(|domain| load.get(&(*key, **domain)).copied().unwrap_or(0))
                else {
                    continue;
                };
                *load.entry((*key, domain)).or_default() += pods.len();
                for pod in pods {
                    sent.entry(pod).or_default().push((*key, domain));
                }
            }
            Fact::Spread { key, classes, there, .. } => {
                let mut counts: Vec<(ValueId, i64)> = there.clone();
                for pod in members(classes) {
                    let domains: Vec<ValueId> = there.iter().map(|(domain, _)| *domain).collect();
                    let open = reach(problem.records[pod].class, *key, &domains);
                    let lowest = counts.iter_mut().filter(|(domain, _)| open.contains(domain)).min_by_key(
                        |(domain, count)| (*count, load.get(&(*key, *domain)).copied().unwrap_or(0)),
                    );
                    if let Some((domain, count)) = lowest {
                        *count += 1;
                        *load.entry((*key, *domain)).or_default() += 1;
                        sent.entry(pod).or_default().push((*key, *domain));
                    }
                }
            }
            Fact::OnePerDomain { key, classes } => {
                let mut used: Vec<ValueId> = Vec::new();
                for pod in members(classes) {
                    let class = problem.records[pod].class;
                    let free = facts.reach.get(&class).and_then(|reach| {
                        let (_, list) = reach.domains.iter().find(|(known, _)| known == key)?;
                        list.iter().copied().find(|domain| !used.contains(domain))
                    });
                    if let Some(domain) = free {
                        used.push(domain);
                        sent.entry(pod).or_default().push((*key, domain));
                    }
                }
            }
            Fact::NodeLimit { .. }
            | Fact::Conflict { .. }
            | Fact::Companion { .. }
            | Fact::OneNode { .. } => {}
        }
    }
    sent
}
