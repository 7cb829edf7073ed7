//! Sets of shapes: one bit each, all sets of a table of equal length.

use smallvec::SmallVec;

/// A set of [`Shape`](super::types::Shape)s of one table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ShapeSet(SmallVec<[u64; 8]>);

impl ShapeSet {
    /// No shape, of `length`.
    pub fn none(length: usize) -> Self {
        ShapeSet(SmallVec::from_elem(0, length.div_ceil(64)))
    }

    /// All shapes, of `length`.
    pub fn all(length: usize) -> Self {
        let mut set = Self::none(length);
        for shape in 0..length {
            set.insert(shape);
        }
        set
    }

    /// Adds `shape`.
    pub fn insert(&mut self, shape: usize) {
        self.0[shape / 64] |= 1 << (shape % 64);
    }

    /// Takes `shape` out.
    pub fn remove(&mut self, shape: usize) {
        self.0[shape / 64] &= !(1 << (shape % 64));
    }

    /// Whether `shape` is in the set.
    pub fn has(&self, shape: usize) -> bool {
        self.0[shape / 64] >> (shape % 64) & 1 == 1
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|&word| word == 0)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Keeps what `other` has too.
    pub fn keep(&mut self, other: &Self) {
        for (word, &mask) in self.0.iter_mut().zip(&other.0) {
            *word &= mask;
        }
    }

    /// Adds what `other` has.
    pub fn add(&mut self, other: &Self) {
        for (word, &more) in self.0.iter_mut().zip(&other.0) {
            *word |= more;
        }
    }

    /// Whether both have a shape in common.
    pub fn meets(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| a & b != 0)
    }

    /// The shapes, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros() as usize;
                    rest &= rest - 1;
                    index * 64 + bit
                })
            })
        })
    }
}
