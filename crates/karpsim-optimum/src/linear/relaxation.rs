//! The linear relaxation of one knapsack: few rows, many bounded columns, solved by the primal simplex method with
//! upper bounds. What matters are its multipliers; any that are not negative give a valid bound, so it may stop early.

/// `maximise value·x, rows·x ≤ capacity, 0 ≤ x ≤ most`, all data not negative.
#[derive(Debug, Clone, Default)]
pub(crate) struct Relaxed {
    /// Value of each column.
    pub(crate) value: Vec<f64>,
    /// Upper bound of each column.
    pub(crate) most: Vec<f64>,
    /// Entries of each column: row and weight.
    pub(crate) weights: Vec<Vec<(usize, f64)>>,
    /// Capacity of each row.
    pub(crate) capacity: Vec<f64>,
}

const TOLERANCE: f64 = 1e-10;

impl Relaxed {
    /// Multipliers of the rows, none negative.
    pub(crate) fn multipliers(&self) -> Vec<f64> {
        let (rows, columns) = (self.capacity.len(), self.value.len());
        if rows == 0 {
            return Vec::new();
        }
        // Columns from `columns` on are the slacks.
        let mut basis: Vec<usize> = (columns..columns + rows).collect();
        let mut inverse: Vec<f64> = vec![0.0; rows * rows];
        for row in 0..rows {
            inverse[row * rows + row] = 1.0;
        }
        let mut level = self.capacity.clone();
        let mut at_most = vec![false; columns];
        let mut basic = vec![false; columns + rows];
        for &column in &basis {
            basic[column] = true;
        }
        let mut multipliers = vec![0.0; rows];
        let mut direction = vec![0.0; rows];
        let scale = self.value.iter().copied().fold(1e-30, f64::max);
        for round in 0..20 * (rows + 10) {
            for (row, multiplier) in multipliers.iter_mut().enumerate() {
                *multiplier = basis
                    .iter()
                    .enumerate()
                    .map(|(at, &column)| {
                        self.value.get(column).map_or(0.0, |value| value * inverse[at * rows + row])
                    })
                    .sum();
            }
            // Dantzig's rule at first, then the first that helps: it cannot cycle.
            let careful = round > 10 * (rows + 10);
            let mut entering: Option<(usize, f64)> = None;
            for column in (0..columns + rows).filter(|&column| !basic[column]) {
                let gain = if column < columns {
                    let cost: f64 =
                        self.weights[column].iter().map(|(row, weight)| multipliers[*row] * weight).sum();
                    let gain = self.value[column] - cost;
                    if at_most[column] { -gain } else { gain }
                } else {
                    -multipliers[column - columns]
                };
                if gain > TOLERANCE * scale && entering.is_none_or(|(_, best)| gain > best) {
                    entering = Some((column, gain));
                    if careful {
                        break;
                    }
                }
            }
            let Some((column, _)) = entering else { break };
            direction.fill(0.0);
            let mut add = |row: usize, weight: f64| {
                for (at, entry) in direction.iter_mut().enumerate() {
                    *entry += inverse[at * rows + row] * weight;
                }
            };
            if column < columns {
                self.weights[column].iter().for_each(|&(row, weight)| add(row, weight));
            } else {
                add(column - columns, 1.0);
            }
            let sign = if column < columns && at_most[column] { -1.0 } else { 1.0 };
            let own = if column < columns { self.most[column] } else { f64::INFINITY };
            let mut step = own;
            let mut leaving: Option<usize> = None;
            for (at, &entry) in direction.iter().enumerate() {
                let change = -sign * entry;
                let room = if change < -1e-11 {
                    level[at].max(0.0) / -change
                } else if change > 1e-11 && basis[at] < columns {
                    (self.most[basis[at]] - level[at]).max(0.0) / change
                } else {
                    continue;
                };
                if room < step {
                    step = room;
                    leaving = Some(at);
                }
            }
            if !step.is_finite() {
                break;
            }
            for (at, entry) in direction.iter().enumerate() {
                level[at] -= sign * entry * step;
            }
            let Some(at) = leaving else {
                at_most[column] = !at_most[column];
                continue;
            };
            let start = if sign < 0.0 { own } else { 0.0 };
            let out = basis[at];
            basic[out] = false;
            if out < columns {
                at_most[out] = sign * direction[at] < 0.0;
            }
            basis[at] = column;
            basic[column] = true;
            level[at] = start + sign * step;
            let pivot = direction[at];
            if pivot.abs() < 1e-12 {
                break;
            }
            for entry in &mut inverse[at * rows..(at + 1) * rows] {
                *entry /= pivot;
            }
            for (other, &factor) in direction.iter().enumerate() {
                if other != at && factor != 0.0 {
                    for entry in 0..rows {
                        inverse[other * rows + entry] -= factor * inverse[at * rows + entry];
                    }
                }
            }
        }
        for multiplier in &mut multipliers {
            *multiplier = multiplier.max(0.0);
        }
        multipliers
    }

    /// What `multipliers` prove: no solution is worth more.
    pub(crate) fn bound(&self, multipliers: &[f64]) -> f64 {
        let capacity: f64 = self.capacity.iter().zip(multipliers).map(|(have, price)| have * price).sum();
        let columns: f64 = (0..self.value.len())
            .map(|column| {
                let cost: f64 =
                    self.weights[column].iter().map(|(row, weight)| multipliers[*row] * weight).sum();
                (self.value[column] - cost).max(0.0) * self.most[column]
            })
            .sum();
        capacity + columns
    }
}

#[cfg(test)]
mod tests {
    use super::Relaxed;

    #[test]
    fn the_multipliers_prove_the_optimum() {
        // Two dimensions; 3 a + 2 b with a ≤ 2, b ≤ 5: a = 2 leaves 1.2 for b in the first row and 1.0 in the second.
        let knapsack = Relaxed {
            value: vec![3.0, 2.0],
            most: vec![2.0, 5.0],
            weights: vec![vec![(0, 0.2), (1, 0.4)], vec![(0, 0.3), (1, 0.1)]],
            capacity: vec![1.0, 1.0],
        };
        let multipliers = knapsack.multipliers();
        // a = 2, b = 2: both rows full in the first; the second has 0 left: 0.8 + 0.2 = 1.
        assert!((knapsack.bound(&multipliers) - 10.0).abs() < 1e-9, "{multipliers:?}");
    }

    #[test]
    fn without_rows_everything_is_taken() {
        let knapsack =
            Relaxed { value: vec![1.0], most: vec![4.0], weights: vec![Vec::new()], capacity: Vec::new() };
        assert!((knapsack.bound(&knapsack.multipliers()) - 4.0).abs() < 1e-12);
    }
}
