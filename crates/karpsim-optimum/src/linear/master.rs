//! The restricted master: the linear program over the patterns found so far, solved by an interior-point method for its
//! multipliers.

use crate::model::{Model, Pattern, Row};
use crate::money::dollars;
use good_lp::{
    DualValues, Expression, ProblemVariables, Solution, SolutionWithDual, SolverModel, Variable, variable,
};

/// A pattern with its price.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// The pattern.
    pub(crate) pattern: Pattern,
    /// Nano-dollars an hour.
    pub(crate) price: i64,
    /// What the rows of the model count of it.
    pub(crate) entries: Vec<(usize, f64)>,
}

impl Column {
    /// A pattern as a column of `rows`.
    pub(crate) fn new(model: &Model, rows: &[Row], pattern: Pattern) -> Self {
        let entries = entries(model, rows, 0, &pattern);
        Column { price: model.slots[pattern.slot].price, pattern, entries }
    }
}

/// What `rows` count of a pattern; they are numbered from `first`.
pub(crate) fn entries(model: &Model, rows: &[Row], first: usize, pattern: &Pattern) -> Vec<(usize, f64)> {
    let counted = rows.iter().enumerate().map(|(at, row)| (first + at, model.count(&row.counting, pattern)));
    counted.filter(|(_, count)| *count != 0.0).collect()
}

/// A solution of the restricted master.
#[derive(Debug, Clone)]
pub(crate) struct Solved {
    /// The objective: dollars, and penalties for pods without a place.
    pub(crate) value: f64,
    /// How often each of the columns is used.
    pub(crate) used: Vec<f64>,
    /// How many pods of each item have no place.
    pub(crate) unplaced: Vec<f64>,
    /// Multipliers of the rows, of the right sign.
    pub(crate) duals: Vec<f64>,
}

/// Solves the linear program over `columns`. `extra[c]`: entries of column `c` in rows beyond those it knows. `penalty`:
/// for each item, dollars for a pod without a place. Without `priced` nodes cost nothing. `None`: the solver gave up.
pub(crate) fn solve(
    model: &Model,
    rows: &[Row],
    columns: &[&Column],
    extra: &[Vec<(usize, f64)>],
    penalty: &[f64],
    priced: bool,
) -> Option<Solved> {
    if rows.is_empty() {
        return Some(Solved {
            value: 0.0,
            used: vec![0.0; columns.len()],
            unplaced: Vec::new(),
            duals: Vec::new(),
        });
    }
    let dollars = |price: i64| if priced { dollars(price) } else { 0.0 };
    let mut variables = ProblemVariables::new();
    let used: Vec<Variable> = columns.iter().map(|_| variables.add(variable().min(0.0))).collect();
    let items = &model.items.items;
    let unplaced: Vec<Variable> = items.iter().map(|_| variables.add(variable().min(0.0))).collect();
    let auxiliaries: Vec<Variable> =
        model.auxiliaries.iter().map(|most| variables.add(variable().min(0.0).max(*most))).collect();
    // Rows of a branch may be out of reach: then they are met at a price that gives the branch away.
    let missing_price = 16.0 * penalty.iter().copied().fold(1.0, f64::max);
    let missing: Vec<Option<Variable>> = rows
        .iter()
        .map(|row| {
            let may_miss =
                row.at_least && row.bound > 0.0 && !matches!(row.counting, crate::model::Counting::Item(_));
            may_miss.then(|| variables.add(variable().min(0.0)))
        })
        .collect();
    let mut objective = Expression::with_capacity(columns.len() + items.len());
    for (column, &used) in columns.iter().zip(&used) {
        objective.add_mul(dollars(column.price), used);
    }
    for (penalty, &unplaced) in penalty.iter().zip(&unplaced) {
        objective.add_mul(*penalty, unplaced);
    }
    for &missing in missing.iter().flatten() {
        objective.add_mul(missing_price, missing);
    }
    let mut sums: Vec<Expression> = vec![Expression::default(); rows.len()];
    for (at, column) in columns.iter().enumerate() {
        for &(row, count) in column.entries.iter().chain(extra.get(at).into_iter().flatten()) {
            sums[row].add_mul(count, used[at]);
        }
    }
    for (at, row) in rows.iter().enumerate() {
        if let crate::model::Counting::Item(item) = row.counting {
            sums[at].add_mul(1.0, unplaced[item]);
        }
        if let crate::model::Counting::Unplaced(members) = &row.counting {
            for item in members.iter() {
                sums[at].add_mul(1.0, unplaced[item]);
            }
        }
        if let Some(missing) = missing[at] {
            sums[at].add_mul(1.0, missing);
        }
        if let Some((auxiliary, factor)) = row.auxiliary {
            sums[at].add_mul(factor, auxiliaries[auxiliary]);
        }
    }
    let unsolved = variables.minimise(objective);
    #[cfg(feature = "highs")]
    let mut lp = unsolved.using(good_lp::solvers::highs::highs);
    #[cfg(not(feature = "highs"))]
    let mut lp = unsolved.using(good_lp::solvers::clarabel::clarabel);
    let references: Vec<_> = sums
        .into_iter()
        .zip(rows)
        .map(|(sum, row)| {
            lp.add_constraint(if row.at_least { sum.geq(row.bound) } else { sum.leq(row.bound) })
        })
        .collect();
    let mut solution = lp.solve().ok()?;
    let value_of = |variables: &[Variable], solution: &dyn Solution| -> Vec<f64> {
        variables.iter().map(|&variable| solution.value(variable).max(0.0)).collect()
    };
    let missed: f64 = missing.iter().flatten().map(|&missing| solution.value(missing).max(0.0)).sum();
    let used = value_of(&used, &solution);
    let unplaced = value_of(&unplaced, &solution);
    let dual = solution.compute_dual();
    let duals = references
        .into_iter()
        .zip(rows)
        .map(|(reference, row)| {
            let dual = dual.dual(reference);
            if row.at_least { dual.clamp(0.0, missing_price) } else { dual.min(0.0) }
        })
        .collect();
    let value = missing_price * missed
        + columns.iter().zip(&used).map(|(column, used)| dollars(column.price) * used).sum::<f64>()
        + penalty.iter().zip(&unplaced).map(|(penalty, unplaced)| penalty * unplaced).sum::<f64>();
    value.is_finite().then_some(Solved { value, used, unplaced, duals })
}

/// Prices, none negative, that are worth most together while none of `offers` (amounts, and dollars for all of them) is
/// worth more than it costs. `None`: the solver gave up.
pub(crate) fn prices_of_resources(offers: &[(Vec<f64>, f64)]) -> Option<Vec<f64>> {
    let mut variables = ProblemVariables::new();
    let count = offers.first()?.0.len();
    let prices: Vec<Variable> = (0..count)
        .map(|at| {
            let offered = offers.iter().any(|(amounts, _)| amounts[at] > 0.0);
            let price = variable().min(0.0);
            variables.add(if offered { price } else { price.max(0.0) })
        })
        .collect();
    let objective: Expression = prices.iter().sum();
    let unsolved = variables.maximise(objective);
    #[cfg(feature = "highs")]
    let mut program = unsolved.using(good_lp::solvers::highs::highs);
    #[cfg(not(feature = "highs"))]
    let mut program = unsolved.using(good_lp::solvers::clarabel::clarabel);
    for (amounts, cost) in offers {
        let mut sum = Expression::with_capacity(count);
        for (amount, &price) in amounts.iter().zip(&prices) {
            sum.add_mul(*amount, price);
        }
        program.add_constraint(sum.leq(*cost));
    }
    let solution = program.solve().ok()?;
    Some(prices.iter().map(|&price| solution.value(price).max(0.0)).collect())
}

/// The best whole numbers of `columns`, by branch and bound: for a handful of columns only, no limit of time is kept.
/// `None`: there are none, or the solver gave up.
pub(crate) fn solve_whole(
    model: &Model,
    rows: &[Row],
    columns: &[&Column],
    penalty: &[f64],
) -> Option<Vec<usize>> {
    let mut variables = ProblemVariables::new();
    let used: Vec<Variable> = columns
        .iter()
        .map(|column| {
            // No more nodes of a pattern than there are pods of its items.
            let items = column.pattern.counts.iter();
            let most = items
                .map(|(item, count)| {
                    model.items.items[*item as usize].count.div_euclid(i64::from(*count).max(1)) + 1
                })
                .max()
                .unwrap_or(1);
            variables.add(variable().integer().min(0.0).max(most as f64))
        })
        .collect();
    let unplaced: Vec<Variable> = model
        .items
        .items
        .iter()
        .map(|item| variables.add(variable().min(0.0).max(item.count as f64)))
        .collect();
    let auxiliaries: Vec<Variable> =
        model.auxiliaries.iter().map(|most| variables.add(variable().min(0.0).max(*most))).collect();
    let mut objective = Expression::with_capacity(columns.len() + unplaced.len());
    let mut sums: Vec<Expression> = vec![Expression::default(); rows.len()];
    for (column, &used) in columns.iter().zip(&used) {
        objective.add_mul(dollars(column.price), used);
        for &(row, count) in &column.entries {
            sums[row].add_mul(count, used);
        }
    }
    for (penalty, &unplaced) in penalty.iter().zip(&unplaced) {
        objective.add_mul(*penalty, unplaced);
    }
    let mut program = variables.minimise(objective).using(good_lp::solvers::microlp::microlp);
    for (row, mut sum) in rows.iter().zip(sums) {
        if let crate::model::Counting::Item(item) = row.counting {
            sum.add_mul(1.0, unplaced[item]);
        }
        if let Some((auxiliary, factor)) = row.auxiliary {
            sum.add_mul(factor, auxiliaries[auxiliary]);
        }
        program.add_constraint(if row.at_least { sum.geq(row.bound) } else { sum.leq(row.bound) });
    }
    let solution = program.solve().ok()?;
    Some(used.iter().map(|&used| solution.value(used).max(0.0).round() as usize).collect())
}
