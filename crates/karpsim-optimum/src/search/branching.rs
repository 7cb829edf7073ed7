//! Branch and price: parts of the tree of linear programs, the least promising bound first.

use super::{Best, Search};
use crate::linear::generation::{Generated, Task};
use crate::model::Pattern;
use crate::search::branch_and_price::{is_whole, split};
use std::cmp::Ordering;
use std::collections::BinaryHeap;

impl Search<'_> {
    /// Branch and price. Returns what is proven: a bound on cost and penalties.
    pub(crate) fn branch(&mut self, best: &mut Best, root: Generated) -> f64 {
        let mut open: BinaryHeap<Open> = BinaryHeap::new();
        // Of parts that are whole but break a rule that the model does not know.
        let mut unresolved = f64::INFINITY;
        let mut count = 0usize;
        let mut current = Some((self.whole(), root));
        loop {
            if let Some((task, generated)) = current.take() {
                self.offer_whole(best, &generated);
                let enough = self.enough(best);
                if generated.bound < enough {
                    match split(&self.generator, &generated) {
                        Some(split) => {
                            for task in split.tasks(&task) {
                                count += 1;
                                open.push(Open { bound: generated.bound, order: count, task });
                            }
                        }
                        None => unresolved = unresolved.min(generated.bound),
                    }
                }
            }
            let lowest = open.peek().map_or(f64::INFINITY, |open| open.bound).min(unresolved);
            let enough = self.enough(best);
            self.rests_on_check = unresolved < enough;
            (self.context.tell)(Some(self.cost_bound(best, lowest)), Some(best.merit.cost));
            if lowest >= enough {
                // What is left open cannot be better by a whole unit.
                return lowest.min(self.scalar(best));
            }
            if (self.context.stop)() {
                return lowest;
            }
            let Some(mut next) = open.pop() else { return lowest };
            if next.bound >= enough {
                continue;
            }
            next.task.enough = enough;
            match self.generator.generate(&next.task) {
                Some(mut generated) => {
                    generated.bound = generated.bound.max(next.bound);
                    if generated.bound < enough && next.order % 8 == 1 {
                        self.dive(best, &next.task, 2);
                    }
                    if (self.context.stop)() {
                        open.push(Open { bound: generated.bound, ..next });
                    } else {
                        current = Some((next.task, generated));
                    }
                }
                None => unresolved = unresolved.min(next.bound),
            }
        }
    }

    fn offer_whole(&mut self, best: &mut Best, generated: &Generated) {
        if is_whole(generated) {
            let patterns: Vec<Pattern> = generated
                .over
                .iter()
                .zip(&generated.solved.used)
                .flat_map(|(&column, used)| {
                    std::iter::repeat_n(self.generator.columns[column].pattern.clone(), used.round() as usize)
                })
                .collect();
            self.offer(best, &patterns);
        }
    }
}

/// A part of the tree that is still to be looked at.
struct Open {
    bound: f64,
    order: usize,
    task: Task,
}

impl PartialEq for Open {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for Open {}
impl PartialOrd for Open {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Open {
    /// The lowest bound first, the latest among equals.
    fn cmp(&self, other: &Self) -> Ordering {
        other.bound.total_cmp(&self.bound).then(self.order.cmp(&other.order))
    }
}
