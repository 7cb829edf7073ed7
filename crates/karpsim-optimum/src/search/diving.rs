//! From fractions to nodes: diving. Patterns that the linear program uses most are taken, the rest is solved again for
//! the pods that are left, until none is.

use crate::linear::generation::{Generated, Generator, Task};
use crate::linear::vertex::Face;
use crate::model::{Counting, Model, Pattern, Row};

/// What share of the remaining nodes is taken at once where nothing is used a whole time.
const SHARE: f64 = 0.08;

/// Takes `count` nodes of `pattern` out of the bounds of `rows`.
fn take(model: &Model, rows: &mut [Row], most: &mut [i64], pattern: &Pattern, count: i64) {
    for row in rows.iter_mut() {
        row.bound -= model.count(&row.counting, pattern) * count as f64;
        if matches!(row.counting, Counting::Item(_)) {
            row.bound = row.bound.max(0.0);
        }
    }
    for &(item, of) in &pattern.counts {
        let left = &mut most[item as usize];
        *left = (*left - i64::from(of) * count).max(0);
    }
}

/// Nodes for the pods of `task`, found by diving. Pods may be left without a place. `rounds`: how often patterns are
/// priced in for what is left after each step. `first`: the linear program of `task`, if it is solved already.
pub(crate) fn dive(
    generator: &mut Generator<'_>,
    task: &Task,
    rounds: usize,
    first: Option<&Generated>,
) -> Vec<Pattern> {
    let model = generator.model;
    let mut task = task.clone();
    let mut taken: Vec<Pattern> = Vec::new();
    let mut root = first.cloned();
    let mut first = true;
    loop {
        if task.most.iter().all(|left| *left == 0) || (generator.stop)() {
            return taken;
        }
        task.rounds = if first { task.rounds } else { rounds };
        task.thorough = task.thorough && (first || !generator.alike);
        first = false;
        let Some(generated) = root.take().or_else(|| generator.generate(&task)) else { return taken };
        let used = used_at_corner(generator, &task, &generated);
        let mut candidates: Vec<(f64, usize)> = generated
            .over
            .iter()
            .zip(&used)
            .filter(|(_, used)| **used > 1e-6)
            .map(|(&column, &used)| (used, column))
            .collect();
        candidates.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut progress = false;
        for &(used, column) in &candidates {
            let whole = (used + 1e-6).floor() as i64;
            let pattern = generator.columns[column].pattern.clone();
            let times = whole.min(fits_times(model, &task, &pattern));
            if times >= 1 {
                take(model, &mut task.rows, &mut task.most, &pattern, times);
                taken.extend((0..times).map(|_| pattern.clone()));
                progress = true;
            }
        }
        if progress {
            continue;
        }
        let nodes: f64 = candidates.iter().map(|(used, _)| used).sum();
        let batch = ((nodes * SHARE).floor() as usize).max(1);
        let mut added = 0;
        for &(_, column) in &candidates {
            let pattern = generator.columns[column].pattern.clone();
            if fits_times(model, &task, &pattern) < 1 || !rows_allow(model, &task.rows, &pattern) {
                continue;
            }
            take(model, &mut task.rows, &mut task.most, &pattern, 1);
            taken.push(pattern);
            added += 1;
            if added >= batch {
                break;
            }
        }
        if added == 0 {
            return taken;
        }
    }
}

/// How often the columns are used at a vertex of the best face, where that can be said: no auxiliary variables move.
fn used_at_corner(generator: &Generator<'_>, task: &Task, generated: &Generated) -> Vec<f64> {
    let solved = &generated.solved;
    if !generator.model.auxiliaries.is_empty() || generator.model.rows.len() < task.rows.len() {
        return solved.used.clone();
    }
    let used: Vec<usize> = (0..solved.used.len()).filter(|&at| solved.used[at] > 1e-7).collect();
    let mut columns: Vec<Vec<(usize, f64)>> =
        used.iter().map(|&at| generator.columns[generated.over[at]].entries.clone()).collect();
    let mut times: Vec<f64> = used.iter().map(|&at| solved.used[at]).collect();
    for (row, of) in task.rows.iter().enumerate() {
        if let Counting::Item(item) = of.counting
            && solved.unplaced[item] > 1e-7
        {
            columns.push(vec![(row, 1.0)]);
            times.push(solved.unplaced[item]);
        }
    }
    let face = Face {
        columns,
        used: times,
        at_least: task.rows.iter().map(|row| row.at_least).collect(),
        bounds: &task.rows.iter().map(|row| row.bound).collect::<Vec<f64>>(),
        tight: solved.duals.iter().map(|dual| dual.abs() > 1e-6).collect(),
    };
    let vertex = face.vertex();
    let mut all = vec![0.0; solved.used.len()];
    for (&at, times) in used.iter().zip(vertex) {
        all[at] = times;
    }
    all
}

/// How often a pattern can be taken without more pods than are left.
fn fits_times(model: &Model, task: &Task, pattern: &Pattern) -> i64 {
    let slot = &model.slots[pattern.slot];
    pattern
        .counts
        .iter()
        .map(|&(item, of)| task.most_on(slot, item as usize) / i64::from(of.max(1)))
        .min()
        .unwrap_or(1)
}

/// Whether rows that only ever fill up have room for one more of the pattern.
fn rows_allow(model: &Model, rows: &[Row], pattern: &Pattern) -> bool {
    rows.iter().all(|row| {
        row.at_least
            || row.auxiliary.is_some()
            || model.count(&row.counting, pattern) <= row.bound.max(0.0) + 1e-9
    })
}
