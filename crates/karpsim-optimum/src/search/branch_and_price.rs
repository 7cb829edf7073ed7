//! Branch and price: where the linear program uses fractions of nodes, a count that must be whole is rounded down on one
//! branch and up on the other, each a new linear program.

use crate::linear::generation::{Generated, Generator, Task};
use crate::linear::pricing::DomainExclusion;
use crate::model::slots::Place;
use crate::model::{Counting, Model, Row};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// What is a fraction, from here on.
const FRACTION: f64 = 1e-5;

/// How a linear program is split.
#[derive(Debug, Clone)]
pub(crate) enum Split {
    /// A count is at most, or at least.
    Count {
        /// What is counted.
        counting: Counting,
        /// The count, a fraction.
        at: f64,
    },
    /// Items that must be in one domain: each of these exclusions leaves one.
    Domain(Vec<Vec<DomainExclusion>>),
}

impl Split {
    /// The tasks on both sides.
    pub(crate) fn tasks(&self, task: &Task) -> Vec<Task> {
        match self {
            Split::Count { counting, at } => [false, true]
                .into_iter()
                .map(|at_least| {
                    let bound = if at_least { at.ceil() } else { at.floor() };
                    let mut next = task.clone();
                    next.rows.push(Row { counting: counting.clone(), auxiliary: None, at_least, bound });
                    next
                })
                .collect(),
            Split::Domain(choices) => choices
                .iter()
                .map(|exclusions| {
                    let mut next = task.clone();
                    next.exclusions.extend(exclusions.iter().cloned());
                    next
                })
                .collect(),
        }
    }
}

/// Whether every pattern is used a whole number of times.
pub(crate) fn is_whole(generated: &Generated) -> bool {
    generated.solved.used.iter().all(|used| (used - used.round()).abs() <= FRACTION)
}

/// The columns with how often they are used.
fn used<'g>(generator: &'g Generator<'_>, generated: &Generated) -> Vec<(&'g crate::model::Pattern, f64)> {
    let pairs = generated.over.iter().zip(&generated.solved.used);
    pairs
        .filter(|(_, used)| **used > FRACTION)
        .map(|(&column, &used)| (&generator.columns[column].pattern, used))
        .collect()
}

/// How to split; `None`: nothing is a fraction that this knows how to round.
pub(crate) fn split(generator: &Generator<'_>, generated: &Generated) -> Option<Split> {
    let model = generator.model;
    let used = used(generator, generated);
    if let Some(split) = domains(model, &used) {
        return Some(split);
    }
    let groups = slot_groups(model, &used);
    // Numbers of nodes first, then of nodes with so many pods of an item, then of two items.
    let mut counts: FxHashMap<(usize, SmallVec<[(usize, i64); 2]>), f64> = FxHashMap::default();
    for (at, group) in groups.iter().enumerate() {
        let sum: f64 =
            used.iter().filter(|(pattern, _)| group.contains(&pattern.slot)).map(|(_, used)| used).sum();
        counts.insert((at, SmallVec::new()), sum);
    }
    if let Some(split) = most_fractional(&groups, &counts) {
        return Some(split);
    }
    counts.clear();
    for (at, group) in groups.iter().enumerate() {
        for (pattern, times) in used.iter().filter(|(pattern, _)| group.contains(&pattern.slot)) {
            for &(item, count) in &pattern.counts {
                for least in 1..=i64::from(count) {
                    *counts.entry((at, SmallVec::from_slice(&[(item as usize, least)]))).or_default() +=
                        times;
                }
            }
        }
    }
    if let Some(split) = most_fractional(&groups, &counts) {
        return Some(split);
    }
    counts.clear();
    for (at, group) in groups.iter().enumerate() {
        for (pattern, times) in used.iter().filter(|(pattern, _)| group.contains(&pattern.slot)) {
            for (place, &(a, of_a)) in pattern.counts.iter().enumerate() {
                for &(b, of_b) in pattern.counts.iter().skip(place + 1) {
                    for least_a in 1..=i64::from(of_a) {
                        for least_b in 1..=i64::from(of_b) {
                            let pair = SmallVec::from_slice(&[(a as usize, least_a), (b as usize, least_b)]);
                            *counts.entry((at, pair)).or_default() += times;
                        }
                    }
                }
            }
        }
    }
    if let Some(split) = most_fractional(&groups, &counts) {
        return Some(split);
    }
    // Whole patterns: always enough.
    used.iter().find(|(_, times)| (times - times.round()).abs() > FRACTION).map(|(pattern, times)| {
        Split::Count {
            counting: Counting::Nodes {
                slots: vec![pattern.slot],
                least: pattern
                    .counts
                    .iter()
                    .map(|&(item, count)| (item as usize, i64::from(count)))
                    .collect(),
            },
            at: *times,
        }
    })
}

/// Items that must be in one domain but are in several.
fn domains(model: &Model, used: &[(&crate::model::Pattern, f64)]) -> Option<Split> {
    model.one_domain.iter().find_map(|(members, key, domains)| {
        let mut seen = Vec::new();
        for (pattern, _) in used.iter().filter(|(pattern, _)| pattern.of_set(members) > 0) {
            let domain = model.slots[pattern.slot].domains[*key];
            if !seen.contains(&domain) {
                seen.push(domain);
            }
        }
        (seen.len() > 1).then(|| {
            let exclusion = |domain| DomainExclusion { members: members.clone(), key: *key, domain };
            let others = |kept| domains.iter().filter(move |domain| **domain != kept);
            Split::Domain(
                domains.iter().map(|&kept| others(kept).map(|&domain| exclusion(domain)).collect()).collect(),
            )
        })
    })
}

/// Sets of slots whose nodes are counted together: all new ones, those of a type, each.
fn slot_groups(model: &Model, used: &[(&crate::model::Pattern, f64)]) -> Vec<Vec<usize>> {
    let mut groups: Vec<Vec<usize>> = vec![(0..model.new_count).collect()];
    let shape = |slot: usize| match model.slots[slot].place {
        Place::New { template, shape, .. } => Some((template, shape)),
        Place::Existing { .. } => None,
    };
    let mut slots: Vec<usize> = used.iter().map(|(pattern, _)| pattern.slot).collect();
    slots.sort_unstable();
    slots.dedup();
    for &slot in &slots {
        if let Some(of) = shape(slot) {
            groups.push((0..model.new_count).filter(|&other| shape(other) == Some(of)).collect());
        }
        groups.push(vec![slot]);
    }
    groups.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    groups.dedup();
    groups
}

fn most_fractional(
    groups: &[Vec<usize>],
    counts: &FxHashMap<(usize, SmallVec<[(usize, i64); 2]>), f64>,
) -> Option<Split> {
    // Clear fractions first, of wide sets of slots: they split best.
    type Key<'k> = (bool, usize, i64, &'k SmallVec<[(usize, i64); 2]>);
    let mut best: Option<(Key<'_>, f64)> = None;
    for ((group, least), &count) in counts {
        let fraction = (count - count.round()).abs();
        if fraction <= FRACTION {
            continue;
        }
        let key = (fraction < 0.2, *group, -((fraction * 1e4) as i64), least);
        if best.as_ref().is_none_or(|(known, _)| key < *known) {
            best = Some((key, count));
        }
    }
    best.map(|((_, group, _, least), count)| Split::Count {
        counting: Counting::Nodes { slots: groups[group].clone(), least: least.to_vec() },
        at: count,
    })
}
