//! Sets of small integers.

/// A set of items: one bit each.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub(crate) struct Bits(Vec<u64>);

impl Bits {
    /// The empty set over `length`.
    pub(crate) fn none(length: usize) -> Self {
        Bits(vec![0; length.div_ceil(64)])
    }

    /// Adds `one`.
    pub(crate) fn insert(&mut self, one: usize) {
        let word = one / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (one % 64);
    }

    /// Whether `one` is in the set.
    pub(crate) fn has(&self, one: usize) -> bool {
        self.0.get(one / 64).is_some_and(|word| word >> (one % 64) & 1 == 1)
    }

    /// Whether nothing is in the set.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// Whether everything in the set is in `other` too.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.0.iter().enumerate().all(|(at, &word)| word & !other.0.get(at).copied().unwrap_or(0) == 0)
    }

    /// The members, ascending.
    pub(crate) fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(at, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    at * 64 + bit
                })
            })
        })
    }
}

impl FromIterator<usize> for Bits {
    fn from_iter<I: IntoIterator<Item = usize>>(members: I) -> Self {
        let mut set = Bits::default();
        for one in members {
            set.insert(one);
        }
        set
    }
}
