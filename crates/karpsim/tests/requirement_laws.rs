//! Laws of the requirement algebra, against a plain reading of the documentation.
//!
//! The reference ([`Plain`]) keeps the expressions as they were written and asks each of them about each value as text. It
//! never intersects anything, has no canonical form and shares no code with the algebra.

use karpsim::model::meta::{Operator, Str};
use karpsim::requirements::{Algebra, ConstraintId, KeyId, Requirement, Shape, Undefined};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, RngSeed};
use std::collections::BTreeMap;

/// Values that requirements name: words, integers, and integers that Go writes otherwise. More than a machine word of them.
fn named_values() -> Vec<String> {
    let words = ["a", "b", "m5.large", "", "1.5", "9223372036854775808"].map(str::to_owned);
    let written_otherwise = ["+3", "007", "-0"].map(str::to_owned);
    (-2..70).map(|integer: i64| integer.to_string()).chain(words).chain(written_otherwise).collect()
}

/// Values that no requirement names.
const UNNAMED: [&str; 5] = ["no-such-word", "100", "-50", "5000000000", "+9"];

/// One expression, as it is written.
#[derive(Debug, Clone)]
struct Expression {
    operator: Operator,
    values: Vec<Str>,
    min_values: Option<u32>,
}

/// What Go's `strconv.Atoi` makes of `text`: a sign, then digits, within 64 bits.
fn integer(text: &str) -> Option<i64> {
    if text.trim_start_matches(['+', '-']).len() + 1 < text.len() {
        return None;
    }
    text.parse().ok()
}

impl Expression {
    fn bound(&self) -> i64 {
        integer(&self.values[0]).expect("bounds are integers")
    }

    /// Kubernetes: "Assigning Pods to Nodes", operators. `Gte` and `Lte` are Karpenter's.
    fn allows(&self, value: &str) -> bool {
        let listed = || self.values.iter().any(|listed| listed == value);
        let compares =
            |holds: fn(i64, i64) -> bool| integer(value).is_some_and(|value| holds(value, self.bound()));
        match self.operator {
            Operator::In => listed(),
            Operator::NotIn => !listed(),
            Operator::Exists => true,
            Operator::DoesNotExist => false,
            Operator::Gt => compares(|value, bound| value > bound),
            Operator::Lt => compares(|value, bound| value < bound),
            Operator::Gte => compares(|value, bound| value >= bound),
            Operator::Lte => compares(|value, bound| value <= bound),
        }
    }

    fn least(&self) -> Option<i64> {
        match self.operator {
            Operator::Gt => Some(self.bound() + 1),
            Operator::Gte => Some(self.bound()),
            _ => None,
        }
    }

    fn greatest(&self) -> Option<i64> {
        match self.operator {
            Operator::Lt => Some(self.bound() - 1),
            Operator::Lte => Some(self.bound()),
            _ => None,
        }
    }

    fn requirement(&self, algebra: &mut Algebra, key: KeyId) -> Requirement {
        algebra.requirement(key, self.operator, &self.values, self.min_values)
    }
}

/// All that is asked of one label: every expression must hold.
#[derive(Debug, Clone, Default)]
struct Plain(Vec<Expression>);

impl Plain {
    fn allows(&self, value: &str) -> bool {
        self.0.iter().all(|expression| expression.allows(value))
    }

    /// A list of values, or "no such label", leaves finitely many; the others leave all that are not excluded.
    fn is_finite(&self) -> bool {
        self.bounds_cross()
            || self
                .0
                .iter()
                .any(|expression| matches!(expression.operator, Operator::In | Operator::DoesNotExist))
    }

    fn bounds_cross(&self) -> bool {
        let least = self.0.iter().filter_map(Expression::least).max();
        let greatest = self.0.iter().filter_map(Expression::greatest).min();
        matches!((least, greatest), (Some(least), Some(greatest)) if least > greatest)
    }

    fn allowed_of<'a>(&self, values: &'a [String]) -> Vec<&'a str> {
        values.iter().map(String::as_str).filter(|value| self.allows(value)).collect()
    }

    /// Karpenter is content with a label's absence where what remains is "none of these values" or nothing at all. An
    /// excluded value that the bounds exclude anyway says nothing any more.
    fn allows_absence(&self, values: &[String]) -> bool {
        if self.is_finite() {
            return self.bounds_cross() || self.allowed_of(values).is_empty();
        }
        let others = |value: &str| {
            self.0
                .iter()
                .filter(|expression| expression.operator != Operator::NotIn)
                .all(|it| it.allows(value))
        };
        self.0
            .iter()
            .filter(|expression| expression.operator == Operator::NotIn)
            .flat_map(|expression| &expression.values)
            .any(|excluded| others(excluded))
    }

    fn and(&self, other: &Plain) -> Plain {
        Plain(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// "Two complements always have a value in common, unless their bounds cross."
    fn has_value(&self, values: &[String]) -> bool {
        !self.bounds_cross() && (!self.is_finite() || !self.allowed_of(values).is_empty())
    }
}

/// Requirements by label.
type PlainSet = BTreeMap<&'static str, Plain>;

const LABELS: [&str; 5] =
    ["team", "example.com/generation", "topology.kubernetes.io/zone", "kubernetes.io/arch", "z"];

fn is_well_known(label: &str) -> bool {
    matches!(label, "topology.kubernetes.io/zone" | "kubernetes.io/arch")
}

/// A new node may leave well-known labels open; an existing one has the labels that it has.
fn plainly_compatible(node: &PlainSet, asked: &PlainSet, undefined: Undefined, values: &[String]) -> bool {
    asked.iter().all(|(label, asked)| match node.get(label) {
        Some(has) => {
            has.and(asked).has_value(values) || (has.allows_absence(values) && asked.allows_absence(values))
        }
        None => {
            asked.allows_absence(values) || (undefined == Undefined::WellKnownAllowed && is_well_known(label))
        }
    })
}

/// An algebra that knows one label with all named values, in an order of its own.
fn algebra() -> (Algebra, KeyId) {
    let mut algebra = Algebra::default();
    let key = algebra.key("label", |_| false);
    name_values(&mut algebra, key);
    (algebra, key)
}

fn name_values(algebra: &mut Algebra, key: KeyId) {
    let values = named_values();
    for index in 0..values.len() {
        algebra.value(key, &values[index * 37 % values.len()]);
    }
}

fn interned(algebra: &mut Algebra, set: &PlainSet) -> ConstraintId {
    let mut all = Vec::new();
    for (label, plain) in set {
        let key = algebra.key(label, is_well_known);
        name_values(algebra, key);
        for expression in &plain.0 {
            all.push((key, expression.requirement(algebra, key)));
        }
    }
    algebra.constraint(all)
}

fn expression() -> impl Strategy<Value = Expression> {
    let value = proptest::sample::select(named_values()).prop_map(Str::from);
    // Few bounds, so that lists, exclusions and bounds meet.
    let bound = (0i64..8).prop_map(|bound| vec![Str::from(bound.to_string())]);
    let list = vec(value, 1..5);
    let few = vec((0i64..6).prop_map(|value| Str::from(value.to_string())), 1..4);
    let listed = (proptest::sample::select(vec![Operator::In, Operator::NotIn]), prop_oneof![list, few]);
    let bounded =
        (proptest::sample::select(vec![Operator::Gt, Operator::Lt, Operator::Gte, Operator::Lte]), bound);
    let bare = proptest::sample::select(vec![Operator::Exists, Operator::DoesNotExist]);
    (
        prop_oneof![4 => listed, 3 => bounded, 1 => bare.prop_map(|operator| (operator, Vec::new()))],
        min_values(),
    )
        .prop_map(|((operator, values), min_values)| Expression { operator, values, min_values })
}

fn min_values() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![3 => Just(None), 1 => (1u32..5).prop_map(Some)]
}

fn plain() -> impl Strategy<Value = Plain> {
    vec(expression(), 1..4).prop_map(Plain)
}

fn plain_set() -> impl Strategy<Value = PlainSet> {
    btree_map(proptest::sample::select(LABELS.to_vec()), plain(), 0..4)
}

fn requirement(algebra: &mut Algebra, key: KeyId, plain: &Plain) -> Requirement {
    plain.0.iter().fold(Requirement::exists(), |so_far, expression| {
        let next = expression.requirement(algebra, key);
        so_far.intersection(&next, algebra.integers(key))
    })
}

fn config() -> ProptestConfig {
    ProptestConfig {
        cases: 2_000,
        rng_algorithm: RngAlgorithm::ChaCha,
        rng_seed: RngSeed::Fixed(5),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn intersection_is_commutative_associative_and_idempotent(a in plain(), b in plain(), c in plain()) {
        let (mut algebra, key) = algebra();
        let [a, b, c] = [a, b, c].map(|plain| requirement(&mut algebra, key, &plain));
        let integers = algebra.integers(key);
        let both = a.intersection(&b, integers);
        prop_assert_eq!(&both, &b.intersection(&a, integers));
        prop_assert_eq!(both.intersection(&c, integers), a.intersection(&b.intersection(&c, integers), integers));
        prop_assert_eq!(&both.intersection(&both, integers), &both);
        prop_assert_eq!(&a.intersection(&a, integers), &a);
        prop_assert_eq!(&both.intersection(&a, integers), &both, "what was asked already narrows nothing");
        prop_assert_eq!(&Requirement::exists().intersection(&a, integers), &a);
        let nothing = Requirement { min_values: a.min_values, ..Requirement::does_not_exist() };
        prop_assert_eq!(Requirement::does_not_exist().intersection(&a, integers), nothing);
    }

    #[test]
    fn a_requirement_allows_exactly_what_all_its_expressions_allow(asked in plain()) {
        let (mut algebra, key) = algebra();
        let requirement = requirement(&mut algebra, key, &asked);
        let values = named_values();
        for value in &values {
            let id = algebra.find_value(key, value).expect("named above");
            prop_assert_eq!(
                requirement.has(id, algebra.integers(key)), asked.allows(value), "{:?} and `{}`", &requirement, value
            );
        }
        prop_assert_eq!(requirement.has_unnamed(), asked.allows(UNNAMED[0]));
        for value in UNNAMED {
            let id = algebra.value(key, value);
            prop_assert_eq!(requirement.has(id, algebra.integers(key)), asked.allows(value), "new value `{}`", value);
        }
        prop_assert_eq!(requirement.allows_absence(), asked.allows_absence(&values));
        prop_assert_eq!(requirement.min_values, asked.0.iter().filter_map(|it| it.min_values).max());
        match requirement.shape() {
            Shape::In => prop_assert_eq!(requirement.values.len(), asked.allowed_of(&values).len()),
            Shape::DoesNotExist => prop_assert!(asked.is_finite()),
            Shape::NotIn | Shape::Exists => prop_assert!(!asked.is_finite()),
        }
    }

    #[test]
    fn requirements_intersect_if_a_value_is_left(a in plain(), b in plain()) {
        let (mut algebra, key) = algebra();
        let values = named_values();
        let expected = a.and(&b).has_value(&values);
        let expected_or_absent = expected || (a.allows_absence(&values) && b.allows_absence(&values));
        let [a, b] = [a, b].map(|plain| requirement(&mut algebra, key, &plain));
        let integers = algebra.integers(key);
        // Bounds that crossed within one requirement leave no value in it.
        prop_assert_eq!(a.has_intersection(&b, integers), expected, "{:?} and {:?}", &a, &b);
        prop_assert_eq!(b.has_intersection(&a, integers), expected);
        let both = a.intersection(&b, integers);
        prop_assert_eq!(expected, both.complement || !both.values.is_empty());
        prop_assert_eq!(a.reconciles(&b, integers), expected_or_absent);
        prop_assert_eq!(b.reconciles(&a, integers), expected_or_absent);
    }

    #[test]
    fn a_sum_asks_for_both(a in plain_set(), b in plain_set(), c in plain_set()) {
        let mut algebra = Algebra::default();
        let [left, right, third] = [&a, &b, &c].map(|set| interned(&mut algebra, set));
        let sum = algebra.sum(left, right);
        prop_assert_eq!(sum, algebra.sum(right, left));
        prop_assert_eq!(algebra.sum(sum, sum), sum);
        prop_assert_eq!(algebra.sum(sum, left), sum);
        prop_assert_eq!(algebra.sum(ConstraintId::NONE, left), left);
        let (first, second) = (algebra.sum(sum, third), algebra.sum(right, third));
        prop_assert_eq!(first, algebra.sum(left, second));

        let mut together = a.clone();
        for (label, plain) in &b {
            let entry = together.entry(label).or_default();
            *entry = entry.and(plain);
        }
        prop_assert_eq!(algebra.requirements(sum).len(), together.len());
        for (label, plain) in &together {
            let key = algebra.find_key(label).expect("a label of one side");
            let of_label = algebra.of(sum, key).expect("asked by one side").clone();
            for value in named_values() {
                let id = algebra.find_value(key, &value).expect("named");
                prop_assert_eq!(of_label.has(id, algebra.integers(key)), plain.allows(&value), "{} {}", label, value);
            }
        }
        let whole = interned(&mut algebra, &together);
        prop_assert_eq!(whole, sum, "the order in which expressions are put together plays no part");
    }

    #[test]
    fn compatible_is_what_the_documentation_says(node in plain_set(), asked in plain_set()) {
        let values = named_values();
        let mut algebra = Algebra::default();
        let [has, incoming] = [&node, &asked].map(|set| interned(&mut algebra, set));
        for undefined in [Undefined::Denied, Undefined::WellKnownAllowed] {
            let expected = plainly_compatible(&node, &asked, undefined, &values);
            prop_assert_eq!(algebra.compatible(has, incoming, undefined), expected, "{:?}", undefined);
            prop_assert_eq!(algebra.compatible(has, incoming, undefined), expected, "the second time");
            prop_assert_eq!(algebra.first_conflict(has, incoming, undefined).is_none(), expected);
        }
        let common: PlainSet = asked.into_iter().filter(|(label, _)| node.contains_key(label)).collect();
        prop_assert_eq!(
            algebra.intersects(has, incoming), plainly_compatible(&node, &common, Undefined::Denied, &values)
        );
        prop_assert_eq!(algebra.intersects(has, incoming), algebra.intersects(incoming, has));
    }
}

#[test]
fn bounds_at_the_ends_of_the_integers() {
    let (mut algebra, key) = algebra();
    let top = [Str::from(i64::MAX.to_string())];
    let above = algebra.requirement(key, Operator::Gt, &top, None);
    assert_eq!(above.shape(), Shape::DoesNotExist, "nothing is above the largest integer");
    let from_top = algebra.requirement(key, Operator::Gte, &top, None);
    let id = algebra.value(key, &top[0]);
    assert!(from_top.has(id, algebra.integers(key)));
    assert!(!algebra.requirement(key, Operator::Lt, &top, None).has(id, algebra.integers(key)));
}
