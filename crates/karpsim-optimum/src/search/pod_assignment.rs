//! Which of the pods that are alike takes which position.
//!
//! To the linear programs pods of an item are the same; two things tell them apart afterwards: where they are assigned, and
//! topology over nodes that counts pods other than its own, which asks for some pods to come before others. Pods that
//! have such rules choose first, and shun nodes where no order would do.

use crate::model::items::Item;
use crate::model::rules::Rules;
use crate::model::slots::Slot;
use crate::model::{Model, Pattern};
use crate::result::answer::Answer;
use karpsim::compile::ClusterState;
use karpsim::compile::pods::ClassId;
use karpsim::topology::Kind;
use rustc_hash::{FxHashMap, FxHashSet};

/// What topology over nodes says of classes.
pub(crate) struct PlacementOrder<'r> {
    rules: &'r Rules,
    /// Spread over nodes that each class has.
    owned: FxHashMap<ClassId, Vec<usize>>,
    /// Spread over nodes that counts each class.
    counted: FxHashMap<ClassId, Vec<usize>>,
    /// Classes that have topology over domains.
    bound_to_domains: FxHashSet<ClassId>,
}

impl<'r> PlacementOrder<'r> {
    /// The placement_order that `rules` ask for.
    pub(crate) fn new(rules: &'r Rules) -> Self {
        let mut placement_order = PlacementOrder {
            rules,
            owned: FxHashMap::default(),
            counted: FxHashMap::default(),
            bound_to_domains: FxHashSet::default(),
        };
        for (at, rule) in rules.rules.iter().enumerate() {
            if !rule.host {
                placement_order.bound_to_domains.extend(rule.owners.iter().map(|owner| owner.class));
            } else if rule.kind == Kind::Spread {
                for owner in &rule.owners {
                    placement_order.owned.entry(owner.class).or_default().push(at);
                }
                for &class in &rule.selected {
                    placement_order.counted.entry(class).or_default().push(at);
                }
            }
        }
        placement_order
    }

    /// When pods of a class choose.
    pub(crate) fn turn(&self, class: ClassId) -> usize {
        if self.owned.contains_key(&class) {
            0
        } else if self.bound_to_domains.contains(&class) {
            1
        } else {
            2
        }
    }

    /// Whether pods of these classes can come to one node, one after the other, whatever the order of those with rules:
    /// those without come last.
    pub(crate) fn go_together(&self, classes: &[ClassId]) -> bool {
        let owned = classes.iter().filter_map(|class| self.owned.get(class)).flatten();
        let mut checked: Vec<usize> = Vec::new();
        for &rule in owned {
            if checked.contains(&rule) {
                continue;
            }
            checked.push(rule);
            let early = classes.iter().filter(|class| {
                self.turn(**class) < 2
                    && self.counted.get(class).is_some_and(|counted| counted.contains(&rule))
            });
            if early.count() as i64 > self.rules.rules[rule].max_skew {
                return false;
            }
        }
        true
    }
}

/// Seats of patterns, being taken.
pub(crate) struct PodAssignment<'m, 'r> {
    problem: &'m ClusterState,
    model: &'m Model,
    placement_order: &'m PlacementOrder<'r>,
    /// The slot of each pattern.
    slots: Vec<usize>,
    /// Pods on each pattern.
    pods: Vec<Vec<usize>>,
    /// For each item, free positions: pattern and count.
    free: Vec<Vec<(usize, u32)>>,
}

impl<'m, 'r> PodAssignment<'m, 'r> {
    /// The positions of `patterns`, where `staying` have theirs already.
    pub(crate) fn new(
        problem: &'m ClusterState,
        model: &'m Model,
        placement_order: &'m PlacementOrder<'r>,
        patterns: &[Pattern],
        staying: Vec<Vec<usize>>,
    ) -> Self {
        let mut free: Vec<Vec<(usize, u32)>> = vec![Vec::new(); model.items.items.len()];
        for (at, pattern) in patterns.iter().enumerate() {
            for &(item, count) in &pattern.counts {
                let of_item = |pod: &&usize| model.items.of_pod.get(pod) == Some(&(item as usize));
                let taken = staying[at].iter().filter(of_item).count() as u32;
                if count > taken {
                    free[item as usize].push((at, count - taken));
                }
            }
        }
        let slots = patterns.iter().map(|pattern| pattern.slot).collect();
        PodAssignment { problem, model, placement_order, slots, pods: staying, free }
    }

    fn slot(&self, pattern: usize) -> &Slot {
        &self.model.slots[self.slots[pattern]]
    }

    fn class(&self, pod: usize) -> ClassId {
        self.problem.records[pod].class
    }

    /// Gives the pods of `waiting` (by item) positions. Returns the pods of each pattern, and those without a position.
    pub(crate) fn fill(mut self, waiting: Vec<Vec<usize>>) -> (Vec<Vec<usize>>, Vec<usize>) {
        let mut demands: Vec<Demand> = Vec::with_capacity(waiting.len());
        for (item, pods) in waiting.iter().enumerate() {
            demands.push(Demand::new(
                self.model,
                &self.model.items.items[item],
                pods,
                &self.free[item],
                &self.slots,
            ));
        }
        let mut unplaced = Vec::new();
        for turn in 0..3 {
            for (item, pods) in waiting.iter().enumerate() {
                for &pod in pods {
                    if self.placement_order.turn(self.class(pod)) != turn {
                        continue;
                    }
                    match self.choose(item, pod, &demands[item]) {
                        Some(position) => self.sit(item, pod, position, &mut demands[item]),
                        None => unplaced.push(pod),
                    }
                }
            }
        }
        unplaced.sort_unstable();
        (self.pods, unplaced)
    }

    /// The first free position that will do, as an index into those of the item: one in a good placement order, or else any.
    fn choose(&self, item: usize, pod: usize, demand: &Demand) -> Option<usize> {
        let class = self.class(pod);
        let mut any = None;
        for (position, &(pattern, left)) in self.free[item].iter().enumerate() {
            if left == 0 || !demand.lets(pod, self.slot(pattern)) {
                continue;
            }
            let mut classes: Vec<ClassId> = self.pods[pattern].iter().map(|&pod| self.class(pod)).collect();
            classes.push(class);
            if self.placement_order.go_together(&classes) {
                return Some(position);
            }
            any = any.or(Some(position));
        }
        any
    }

    fn sit(&mut self, item: usize, pod: usize, position: usize, demand: &mut Demand) {
        let (pattern, left) = &mut self.free[item][position];
        *left -= 1;
        let pattern = *pattern;
        self.pods[pattern].push(pod);
        let slot = &self.model.slots[self.slots[pattern]];
        demand.take(pod, slot);
    }
}

/// Seats that pods of one item need in certain places.
struct Demand {
    places: Vec<Needed>,
    /// The place of each pod that is assigned to one.
    of_pod: FxHashMap<usize, usize>,
}

struct Needed {
    /// Index of the key and domain.
    domains: Vec<(usize, karpsim::requirements::ValueId)>,
    /// Pods that still need a position there.
    pods: i64,
    /// Free positions there.
    positions: i64,
}

impl Demand {
    fn new(model: &Model, item: &Item, waiting: &[usize], free: &[(usize, u32)], slots: &[usize]) -> Self {
        let waiting: FxHashSet<usize> = waiting.iter().copied().collect();
        let mut demand = Demand { places: Vec::new(), of_pod: FxHashMap::default() };
        for (to, pods) in &item.assigned {
            let domains = model.places(to);
            let positions = free.iter().filter(|(pattern, _)| model.slots[slots[*pattern]].is_in(&domains));
            let positions = positions.map(|(_, count)| i64::from(*count)).sum();
            let pods: Vec<usize> = pods.iter().copied().filter(|pod| waiting.contains(pod)).collect();
            demand.of_pod.extend(pods.iter().map(|&pod| (pod, demand.places.len())));
            demand.places.push(Needed { domains, pods: pods.len() as i64, positions });
        }
        demand
    }

    /// Whether a pod may be on the slot: it is where the pod is assigned, and enough positions are left for those assigned there.
    fn lets(&self, pod: usize, slot: &Slot) -> bool {
        let own = self.of_pod.get(&pod).copied();
        self.places.iter().enumerate().all(|(at, place)| {
            let here = slot.is_in(&place.domains);
            if Some(at) == own { here } else { !here || place.positions > place.pods }
        })
    }

    fn take(&mut self, pod: usize, slot: &Slot) {
        let own = self.of_pod.get(&pod).copied();
        for (at, place) in self.places.iter_mut().enumerate() {
            place.pods -= i64::from(Some(at) == own);
            place.positions -= i64::from(slot.is_in(&place.domains));
        }
    }
}

/// Exchanges pods of the classes `stuck`, each on a node of the answer, with such on other nodes that are alike and assigned to
/// the same place, where that leaves order on both. Tells whether all were.
pub(crate) fn exchange(
    problem: &ClusterState,
    model: &Model,
    placement_order: &PlacementOrder<'_>,
    answer: &mut Answer,
    stuck: &[(ClassId, usize)],
) -> bool {
    let class = |pod: usize| problem.records[pod].class;
    let destination = |pod: usize| {
        let item = model.items.of_pod.get(&pod)?;
        let assigned = model.items.items[*item].assigned.iter().position(|(_, pods)| pods.contains(&pod));
        Some((*item, assigned))
    };
    let mut alike: FxHashMap<(usize, Option<usize>), Vec<(usize, usize)>> = FxHashMap::default();
    for (node, planned) in answer.nodes.iter().enumerate() {
        for (position, &pod) in planned.pods.iter().enumerate() {
            if let Some(of) = destination(pod) {
                alike.entry(of).or_default().push((node, position));
            }
        }
    }
    let classes_with = |answer: &Answer, node: usize, position: usize, pod: usize| -> Vec<ClassId> {
        let others = answer.nodes[node].pods.iter().enumerate().filter(|(at, _)| *at != position);
        others.map(|(_, &other)| class(other)).chain(std::iter::once(class(pod))).collect()
    };
    stuck.iter().all(|&(of, node)| {
        let found = answer.nodes[node].pods.iter().position(|&pod| class(pod) == of);
        let Some((position, pod)) = found.map(|position| (position, answer.nodes[node].pods[position]))
        else {
            return true;
        };
        let partners = destination(pod).and_then(|of| alike.get(&of)).map_or(&[][..], Vec::as_slice);
        let partner = partners.iter().copied().find(|&(other, at)| {
            let theirs = answer.nodes[other].pods[at];
            other != node
                && class(theirs) != of
                && placement_order.turn(class(theirs)) > placement_order.turn(of).min(1)
                && placement_order.go_together(&classes_with(answer, node, position, theirs))
                && placement_order.go_together(&classes_with(answer, other, at, pod))
        });
        let Some((other, at)) = partner else { return false };
        answer.nodes[node].pods[position] = answer.nodes[other].pods[at];
        answer.nodes[other].pods[at] = pod;
        true
    })
}
