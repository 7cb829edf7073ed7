//! Constraints on two labels, to ask the requirement algebra about every pair of them.

use karpsim::model::meta::{Operator, Str};
use karpsim::requirements::{Algebra, ConstraintId, KeyId, Undefined};

/// 64 constraints: one of eight values of `zone`, and all but `excluded` of the `names` of `of_type`.
pub fn constraints(
    algebra: &mut Algebra,
    zone: KeyId,
    of_type: KeyId,
    names: &[Str],
    excluded: usize,
) -> Vec<ConstraintId> {
    (0..64)
        .map(|index| {
            let name = Str::from(format!("zone-{}", index % 8));
            let in_zone = algebra.requirement(zone, Operator::In, &[name], None);
            let but_some =
                algebra.requirement(of_type, Operator::NotIn, &names[index..index + excluded], None);
            algebra.constraint([(zone, in_zone), (of_type, but_some)])
        })
        .collect()
}

/// Asks of all pairs whether they are compatible, and of those that are for both together. Tells how many are.
pub fn ask_all_pairs(algebra: &mut Algebra, constraints: &[ConstraintId]) -> usize {
    let mut compatible = 0;
    for &node in constraints {
        for &incoming in constraints {
            if algebra.compatible(node, incoming, Undefined::WellKnownAllowed) {
                compatible += 1;
                algebra.sum(node, incoming);
            }
        }
    }
    compatible
}
