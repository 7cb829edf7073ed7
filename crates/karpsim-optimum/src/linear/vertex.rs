//! From the middle of the best face of a linear program to one of its vertices.
//!
//! An interior-point method ends where all patterns that could be used are, each a little. At a vertex no more are used
//! than there are rows, mostly many times over, so that much can be rounded down at no loss. Columns are pushed to zero
//! one by one, the others making up for it; only columns that cost what they are worth move, so the value stays.

/// A linear program at a solution: columns that are used, and rows `columns · used (≥ or ≤) bound`.
pub(crate) struct Face<'a> {
    /// Entries of each column: row and factor.
    pub(crate) columns: Vec<Vec<(usize, f64)>>,
    /// How often each is used; columns that are not used may be left out.
    pub(crate) used: Vec<f64>,
    /// Whether each row is "at least".
    pub(crate) at_least: Vec<bool>,
    /// The bound of each row.
    pub(crate) bounds: &'a [f64],
    /// Whether each row must stay as tight as it is: it has a price.
    pub(crate) tight: Vec<bool>,
}

const TOLERANCE: f64 = 1e-9;

impl Face<'_> {
    /// How often each column is used at a vertex.
    pub(crate) fn vertex(&self) -> Vec<f64> {
        let rows = self.bounds.len();
        let mut used = self.used.clone();
        // What rows leave over, as columns of their own; numbered from `columns.len()` on.
        let count = self.columns.len();
        let mut slack: Vec<f64> = vec![0.0; rows];
        for (column, &times) in self.columns.iter().zip(&used) {
            for &(row, factor) in column {
                slack[row] += factor * times;
            }
        }
        for (row, slack) in slack.iter_mut().enumerate() {
            *slack = if self.at_least[row] { *slack - self.bounds[row] } else { self.bounds[row] - *slack };
            *slack = slack.max(0.0);
        }
        // `sign · factor` of columns, so that every row reads `… - slack = bound`.
        let sign = |row: usize| if self.at_least[row] { 1.0 } else { -1.0 };
        let mut basis: Vec<usize> = (count..count + rows).collect();
        let mut inverse: Vec<f64> = vec![0.0; rows * rows];
        for row in 0..rows {
            inverse[row * rows + row] = -1.0;
        }
        let mut direction = vec![0.0; rows];
        let mut order: Vec<usize> = (0..count).filter(|&column| used[column] > TOLERANCE).collect();
        // Those that are used least go first.
        order.sort_by(|&a, &b| used[a].total_cmp(&used[b]).then(a.cmp(&b)));
        for column in order {
            direction.fill(0.0);
            for &(row, factor) in &self.columns[column] {
                for (at, entry) in direction.iter_mut().enumerate() {
                    *entry += inverse[at * rows + row] * factor * sign(row);
                }
            }
            // As the column is used less by `step`, those of the basis are used more by `step · direction`.
            let mut step = used[column];
            let mut out: Option<usize> = None;
            for (at, &change) in direction.iter().enumerate() {
                if change.abs() < 1e-7 {
                    continue;
                }
                let of = basis[at];
                let room = if of >= count && self.tight[of - count] {
                    0.0
                } else if change < 0.0 {
                    let level = if of < count { used[of] } else { slack[of - count] };
                    level.max(0.0) / -change
                } else {
                    continue;
                };
                let larger = out.is_none_or(|known: usize| change.abs() > direction[known].abs());
                if room < step - TOLERANCE || (room <= step + TOLERANCE && out.is_some() && larger) {
                    step = room.min(step);
                    out = Some(at);
                }
            }
            for (at, &change) in direction.iter().enumerate() {
                let of = basis[at];
                let level = if of < count { &mut used[of] } else { &mut slack[of - count] };
                *level = (*level + step * change).max(0.0);
            }
            used[column] -= step;
            let Some(at) = out else {
                used[column] = 0.0;
                continue;
            };
            let left = basis[at];
            if left < count {
                used[left] = 0.0;
            }
            basis[at] = column;
            let pivot = direction[at];
            for entry in &mut inverse[at * rows..(at + 1) * rows] {
                *entry /= pivot;
            }
            let pivot_row = inverse[at * rows..(at + 1) * rows].to_vec();
            for (other, &factor) in direction.iter().enumerate() {
                if other != at && factor != 0.0 {
                    let row = &mut inverse[other * rows..(other + 1) * rows];
                    for (entry, of_pivot) in row.iter_mut().zip(&pivot_row) {
                        *entry -= factor * of_pivot;
                    }
                }
            }
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::Face;

    #[test]
    fn no_more_columns_than_rows_are_used() {
        // Two rows, each to be covered twice; four columns that cost by what they cover, each used half.
        let face = Face {
            columns: vec![vec![(0, 1.0), (1, 1.0)], vec![(0, 2.0), (1, 2.0)], vec![(0, 1.0)], vec![(1, 1.0)]],
            used: vec![0.5; 4],
            at_least: vec![true; 2],
            bounds: &[2.0, 2.0],
            tight: vec![true; 2],
        };
        let vertex = face.vertex();
        assert!(vertex.iter().filter(|used| **used > 1e-9).count() <= 2, "{vertex:?}");
        let covered = |row: usize| -> f64 {
            let columns = face.columns.iter().zip(&vertex);
            columns
                .map(|(column, used)| {
                    column.iter().filter(|entry| entry.0 == row).map(|entry| entry.1 * used).sum::<f64>()
                })
                .sum()
        };
        assert!((covered(0) - 2.0).abs() < 1e-9 && (covered(1) - 2.0).abs() < 1e-9, "{vertex:?}");
    }

    #[test]
    fn rows_without_a_price_may_be_left_loose() {
        // The second row is met anyway: the first column goes, the second makes up for it in the first row.
        let face = Face {
            columns: vec![vec![(0, 1.0), (1, 1.0)], vec![(0, 1.0)]],
            used: vec![0.4, 1.6],
            at_least: vec![true, false],
            bounds: &[2.0, 5.0],
            tight: vec![true, false],
        };
        let vertex = face.vertex();
        assert!(vertex.iter().filter(|used| **used > 1e-9).count() <= 1, "{vertex:?}");
        assert!((vertex[0] + vertex[1] - 2.0).abs() < 1e-9, "{vertex:?}");
    }
}
