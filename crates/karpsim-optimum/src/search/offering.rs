//! From patterns to answers: pods take their positions, and what keeps all rules is offered.

use super::{Best, EXCHANGES, Search};
use crate::model::Pattern;
use crate::model::slots::{Place, Slot};
use crate::result::answer::{Answer, PlannedNode};
use crate::result::check::out_of_order;
use crate::search::node_domains::choose_domains;
use crate::search::pod_assignment::{PodAssignment, exchange};

impl Search<'_> {
    /// Nodes with pods, out of patterns that may hold more pods than there are.
    pub(super) fn answer(&mut self, patterns: &[Pattern]) -> Answer {
        let model = self.generator.model;
        let mut answer = Answer::default();
        let existing_nodes = self.context.existing_nodes;
        let (seated, unplaced) = self.seated(patterns);
        for (pattern, pods) in patterns.iter().zip(seated) {
            if !pods.is_empty() {
                let filled = Pattern { slot: pattern.slot, counts: self.counts(&pods) };
                let slot = &model.slots[self.right_sized(filled).slot];
                answer.nodes.push(PlannedNode { place: slot.place, chosen: slot.chosen.clone(), pods });
            }
        }
        if let Some(most) = existing_nodes.removals_max {
            // No more nodes go than may: the cheapest are kept without pods.
            let mut idle = existing_nodes.removed(&answer);
            idle.sort_by_key(|&node| (existing_nodes.price(node), node));
            let kept = idle.len().saturating_sub(most);
            answer.nodes.extend(idle.into_iter().take(kept).map(|node| PlannedNode {
                place: Place::Existing { node },
                chosen: Vec::new(),
                pods: Vec::new(),
            }));
        }
        answer.unplaced = unplaced;
        answer
    }

    /// The pods on each pattern, and those without a position, sorted.
    pub(super) fn seated(&self, patterns: &[Pattern]) -> (Vec<Vec<usize>>, Vec<usize>) {
        let model = self.generator.model;
        let mut waiting: Vec<Vec<usize>> = model.items.items.iter().map(|item| item.pods.clone()).collect();
        let staying = self.staying(patterns, &mut waiting);
        PodAssignment::new(self.context.problem, model, self.context.placement_order, patterns, staying)
            .fill(waiting)
    }

    /// For each pattern the pods that stay on its node, taken from those that wait for a place: none is evicted where
    /// another of its kind would come.
    pub(super) fn staying(&self, patterns: &[Pattern], waiting: &mut [Vec<usize>]) -> Vec<Vec<usize>> {
        let mut staying: Vec<Vec<usize>> = vec![Vec::new(); patterns.len()];
        let homes = &self.context.existing_nodes.homes;
        if homes.is_empty() {
            return staying;
        }
        for (pattern, staying) in patterns.iter().zip(&mut staying) {
            let Place::Existing { node } = self.generator.model.slots[pattern.slot].place else { continue };
            for &(item, count) in &pattern.counts {
                let mut left = count;
                waiting[item as usize].retain(|pod| {
                    let stays = left > 0 && homes.get(pod) == Some(&node);
                    if stays {
                        left -= 1;
                        staying.push(*pod);
                    }
                    !stays
                });
            }
        }
        staying
    }

    /// The pattern on the cheapest slot in the same domains that takes no more from limits.
    pub(super) fn right_sized(&mut self, pattern: Pattern) -> Pattern {
        let model = self.generator.model;
        let own = &model.slots[pattern.slot];
        if matches!(own.place, Place::Existing { .. }) {
            return pattern;
        }
        let taken = |slot: &Slot, limit: usize| {
            slot.takes.iter().find(|(known, _)| *known == limit).map_or(0, |(_, amount)| *amount)
        };
        let mut slots: Vec<usize> = (0..model.new_count)
            .filter(|&slot| {
                let slot = &model.slots[slot];
                slot.price < own.price
                    && slot.domains == own.domains
                    && slot.reservation.is_none()
                    && slot.takes.iter().all(|(limit, amount)| *amount <= taken(own, *limit))
            })
            .collect();
        slots.sort_by_key(|&slot| model.slots[slot].price);
        slots
            .into_iter()
            .map(|slot| Pattern { slot, ..pattern.clone() })
            .find(|smaller| model.holds(self.context.problem, self.generator.algebra, smaller))
            .unwrap_or(pattern)
    }

    /// Offers the answer that patterns make.
    pub(crate) fn offer(&mut self, best: &mut Best, patterns: &[Pattern]) -> bool {
        let mut patterns = patterns.to_vec();
        self.keep_standing(&mut patterns);
        choose_domains(self.generator.model, &mut patterns);
        let mut answer = self.answer(&patterns);
        let context = self.context;
        if answer.merit(context.problem, context.existing_nodes, context.priorities) >= best.merit {
            return false;
        }
        context.existing_nodes.allows(&answer)
            && self.put_in_order(&mut answer)
            && best.improve(self.context, answer)
    }

    /// Takes nodes that stand in place of new ones that are no cheaper: pods that are on them need not move.
    pub(super) fn keep_standing(&mut self, patterns: &mut [Pattern]) {
        let model = self.generator.model;
        let mut free: Vec<usize> = (model.new_count..model.slots.len())
            .filter(|&slot| model.slots[slot].may_go && patterns.iter().all(|pattern| pattern.slot != slot))
            .collect();
        free.sort_by_key(|&slot| (model.slots[slot].price, slot));
        for pattern in patterns.iter_mut().filter(|pattern| pattern.slot < model.new_count) {
            let new = &model.slots[pattern.slot];
            let found = free.iter().position(|&slot| {
                let existing_nodes = &model.slots[slot];
                existing_nodes.price <= new.price
                    && existing_nodes.domains == new.domains
                    && model.holds(
                        self.context.problem,
                        self.generator.algebra,
                        &Pattern { slot, ..pattern.clone() },
                    )
            });
            if let Some(at) = found {
                pattern.slot = free.remove(at);
            }
        }
    }

    /// Whether an answer keeps all rules, after pods that are in each other's way have been exchanged with such that are
    /// like them.
    pub(super) fn put_in_order(&mut self, answer: &mut Answer) -> bool {
        let context = self.context;
        for _ in 0..EXCHANGES {
            match out_of_order(context.problem, self.generator.algebra, context.rules, answer) {
                None => return false,
                Some(stuck) if stuck.is_empty() => return true,
                Some(stuck) => {
                    if (context.stop)()
                        || !exchange(
                            context.problem,
                            self.generator.model,
                            context.placement_order,
                            answer,
                            &stuck,
                        )
                    {
                        return false;
                    }
                }
            }
        }
        false
    }
}
