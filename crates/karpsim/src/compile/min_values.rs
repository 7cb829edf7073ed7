//! `minValues`: how many distinct values the instance types of a NodeClaim must have of a label.

use crate::compile::shapes::ShapeSet;
use crate::compile::types::TypeTable;
use crate::requirements::{Algebra, ConstraintId, KeyId, RequirementId, ValueSet};

/// The keys of `constraint` whose `minValues` the types of `shapes` do not meet, with how many values they have.
pub fn unmet(
    algebra: &Algebra,
    table: &TypeTable,
    shapes: &ShapeSet,
    constraint: ConstraintId,
) -> Vec<(KeyId, u32)> {
    if !algebra.has_min_values(constraint) || shapes.is_empty() {
        return Vec::new();
    }
    unmet_by(algebra, table, &table.types_of(shapes), constraint)
}

/// The same for a list of types.
pub fn unmet_by(
    algebra: &Algebra,
    table: &TypeTable,
    types: &[usize],
    constraint: ConstraintId,
) -> Vec<(KeyId, u32)> {
    let mut unmet = Vec::new();
    if types.is_empty() {
        return unmet;
    }
    for &(key, requirement) in algebra.requirements(constraint) {
        let Some(least) = algebra.get(requirement).min_values else { continue };
        let mut values = ValueSet::new();
        for &of in types {
            add_values(algebra, table, of, (key, requirement), &mut values);
        }
        let count = values.len() as u32;
        if count < least {
            unmet.push((key, count));
        }
    }
    unmet
}

/// How many of `types`, in their order, it takes to meet all `minValues`; all of them if they do not.
pub fn needed(algebra: &Algebra, table: &TypeTable, types: &[usize], constraint: ConstraintId) -> usize {
    let wanted: Vec<((KeyId, RequirementId), u32)> = algebra
        .requirements(constraint)
        .iter()
        .filter_map(|&(key, id)| algebra.get(id).min_values.map(|least| ((key, id), least)))
        .collect();
    let mut values = vec![ValueSet::new(); wanted.len()];
    for (index, &of) in types.iter().enumerate() {
        for ((wanted, _), values) in wanted.iter().zip(&mut values) {
            add_values(algebra, table, of, *wanted, values);
        }
        if wanted.iter().zip(&values).all(|((_, least), values)| values.len() as u32 >= *least) {
            return index + 1;
        }
    }
    types.len()
}

/// Adds what the type `of` has of a label that `asked` is about.
fn add_values(
    algebra: &Algebra,
    table: &TypeTable,
    of: usize,
    (key, asked): (KeyId, RequirementId),
    values: &mut ValueSet,
) {
    let Some(offered) = algebra.of(table.types[of].constraint, key) else { return };
    let (asked, integers) = (algebra.get(asked), algebra.integers(key));
    for value in offered.values.iter() {
        if !table.rules.min_values_count_allowed_only || asked.has(value, integers) {
            values.insert(value);
        }
    }
}
