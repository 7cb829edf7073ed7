//! The order in which the nodes of a round are tried: by number of pods, as Go's `sort.Slice` leaves them.
//!
//! Karpenter sorts them anew before every pod. Between two sorts one node has got a pod, or one has come, so the list is
//! sorted but for that one. What `sort.Slice` makes of such a list follows from its algorithm: a sorted list stays as it
//! is; up to twelve elements are sorted by insertion; and from fifty on, if none of the nine probes for a pivot meets the
//! disorder, the list counts as increasing and the one element is shifted to its place, past no equal. Only in the cases
//! that remain is it really run.

use crate::go_sort;

/// The nodes of a round in order of trial.
#[derive(Debug, Clone, Default)]
pub(super) struct OpenOrder {
    /// Number of pods, index of the node.
    entries: Vec<(u32, u32)>,
    disorder: Disorder,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Disorder {
    /// Sorted.
    #[default]
    None,
    /// The node at this place has one pod more than when the list was sorted.
    Raised(usize),
    /// The last node is new.
    Appended,
    /// More than that.
    Unknown,
}

impl OpenOrder {
    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The node at `place`.
    pub(super) fn node(&self, place: usize) -> usize {
        self.entries[place].1 as usize
    }

    /// Forgets all nodes.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.disorder = Disorder::None;
    }

    /// The node at `place` has got one more pod.
    pub(super) fn raise(&mut self, place: usize) {
        self.entries[place].0 += 1;
        self.disorder =
            if self.disorder == Disorder::None { Disorder::Raised(place) } else { Disorder::Unknown };
    }

    /// A new node with its first pod.
    pub(super) fn append(&mut self, node: usize) {
        self.entries.push((1, node as u32));
        self.disorder = if self.disorder == Disorder::None { Disorder::Appended } else { Disorder::Unknown };
    }

    /// What `sort.Slice` by number of pods does.
    pub(super) fn sort(&mut self) {
        let disorder = std::mem::take(&mut self.disorder);
        let count = self.entries.len();
        let shifts = count <= go_sort::INSERTION_MAX
            || (count >= go_sort::MEND_MIN && go_sort::probes_increasing(&self.entries, less));
        match disorder {
            Disorder::None => {}
            Disorder::Raised(place) if shifts => {
                let pods = self.entries[place].0;
                let past = self.entries[place + 1..].partition_point(|entry| entry.0 < pods);
                self.entries[place..=place + past].rotate_left(1);
            }
            Disorder::Appended if shifts => {
                let place =
                    self.entries[..count - 1].partition_point(|entry| entry.0 <= self.entries[count - 1].0);
                self.entries[place..].rotate_right(1);
            }
            _ => go_sort::sort_slice(&mut self.entries, less),
        }
    }
}

fn less(a: &(u32, u32), b: &(u32, u32)) -> bool {
    a.0 < b.0
}

#[cfg(test)]
mod tests {
    use super::OpenOrder;
    use crate::go_sort::sort_slice;

    /// Plays many rounds of one change and one sort on both.
    #[test]
    fn same_as_sorting_anew() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            (state % below as u64) as usize
        };
        for fill in [1, 2, 5, 40] {
            let mut order = OpenOrder::default();
            let mut plain: Vec<(u32, u32)> = Vec::new();
            for step in 0..3000 {
                order.sort();
                sort_slice(&mut plain, |a, b| a.0 < b.0);
                assert_eq!(order.entries, plain, "after {step} changes with fill {fill}");
                if plain.is_empty() || random(fill) == 0 {
                    order.append(step);
                    plain.push((1, step as u32));
                } else {
                    let place = random(plain.len());
                    order.raise(place);
                    plain[place].0 += 1;
                }
            }
        }
    }
}
