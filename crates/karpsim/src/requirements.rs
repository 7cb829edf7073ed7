//! The algebra of requirements: what a node's label may be.
//!
//! A [`Requirement`] is a set of label values: a finite set, or the complement of one within integer bounds. A
//! [`ConstraintId`] stands for a set of requirements by label. Both are interned in [`Algebra`], so that comparing,
//! intersecting and asking for compatibility, which the scheduler does for every pod and every node, is a look-up after
//! the first time. Values are dense small integers per label ([`ValueId`]); no string is touched.

use rustc_hash::FxHashMap;
use smallvec::{SmallVec, smallvec};

use crate::model::meta::{Operator, Str};

/// A label key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(pub u32);

/// A value of a label key, dense per key in order of first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A set of values of one key: one bit a value, without trailing zero words.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ValueSet(SmallVec<[u64; 1]>);

impl ValueSet {
    /// No values.
    pub fn new() -> Self {
        ValueSet(SmallVec::new())
    }

    /// Whether `value` is in the set.
    pub fn has(&self, value: ValueId) -> bool {
        self.0.get(value.0 as usize / 64).is_some_and(|word| word >> (value.0 % 64) & 1 == 1)
    }

    /// Adds `value`.
    pub fn insert(&mut self, value: ValueId) {
        let word = value.0 as usize / 64;
        if self.0.len() <= word {
            self.0.resize(word + 1, 0);
        }
        self.0[word] |= 1 << (value.0 % 64);
    }

    /// How many values.
    pub fn len(&self) -> usize {
        self.0.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The values, in order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = ValueId> + '_ {
        self.0.iter().enumerate().flat_map(|(index, &word)| {
            let mut rest = word;
            std::iter::from_fn(move || {
                (rest != 0).then(|| {
                    let bit = rest.trailing_zeros();
                    rest &= rest - 1;
                    ValueId(index as u32 * 64 + bit)
                })
            })
        })
    }

    fn trimmed(mut words: SmallVec<[u64; 1]>) -> Self {
        while words.last() == Some(&0) {
            words.pop();
        }
        ValueSet(words)
    }

    fn zip(&self, other: &Self, combine: impl Fn(u64, u64) -> u64) -> Self {
        let length = self.0.len().max(other.0.len());
        let word = |set: &Self, index: usize| set.0.get(index).copied().unwrap_or(0);
        Self::trimmed((0..length).map(|index| combine(word(self, index), word(other, index))).collect())
    }
}

impl FromIterator<ValueId> for ValueSet {
    fn from_iter<I: IntoIterator<Item = ValueId>>(values: I) -> Self {
        let mut set = ValueSet::new();
        for value in values {
            set.insert(value);
        }
        set
    }
}

/// What one label may be.
///
/// Concrete (`complement` false): one of `values`. Complement: anything but `values`, and if a bound is given, an
/// integer within it. Bounds stand only on complements, and excluded values only within bounds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Requirement {
    /// Whether `values` are excluded rather than allowed.
    pub complement: bool,
    /// Allowed or excluded values.
    pub values: ValueSet,
    /// The least integer allowed.
    pub gte: Option<i64>,
    /// The greatest integer allowed.
    pub lte: Option<i64>,
    /// The least number of distinct values that the instance types of a NodeClaim must have.
    pub min_values: Option<u32>,
}

/// What a requirement amounts to. Bounds count as `Exists`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Some values.
    In,
    /// All but some values.
    NotIn,
    /// All values.
    Exists,
    /// No value.
    DoesNotExist,
}

impl Requirement {
    /// Anything.
    pub fn exists() -> Self {
        Requirement { complement: true, values: ValueSet::new(), gte: None, lte: None, min_values: None }
    }

    /// Nothing: no such label.
    pub fn does_not_exist() -> Self {
        Requirement { complement: false, ..Self::exists() }
    }

    /// One of `values`.
    pub fn any_of(values: impl IntoIterator<Item = ValueId>) -> Self {
        Requirement { values: values.into_iter().collect(), ..Self::does_not_exist() }
    }

    /// What it amounts to.
    pub fn shape(&self) -> Shape {
        match (self.complement, self.values.is_empty()) {
            (true, true) => Shape::Exists,
            (true, false) => Shape::NotIn,
            (false, true) => Shape::DoesNotExist,
            (false, false) => Shape::In,
        }
    }

    /// Whether it is satisfied by a label that is absent.
    pub fn allows_absence(&self) -> bool {
        matches!(self.shape(), Shape::NotIn | Shape::DoesNotExist)
    }

    /// Whether `value` is allowed.
    pub fn has(&self, value: ValueId, integers: &[Option<i64>]) -> bool {
        self.values.has(value) != self.complement && self.within_bounds(value, integers)
    }

    /// Whether a value that nothing ever named is allowed, as a new node's hostname.
    pub fn has_unnamed(&self) -> bool {
        self.complement && self.gte.is_none() && self.lte.is_none()
    }

    fn within_bounds(&self, value: ValueId, integers: &[Option<i64>]) -> bool {
        within(integers.get(value.0 as usize).copied().flatten(), self.gte, self.lte)
    }

    /// What both allow.
    pub fn intersection(&self, other: &Self, integers: &[Option<i64>]) -> Self {
        let gte = self.gte.max(other.gte);
        let lte = least(self.lte, other.lte);
        let min_values = self.min_values.max(other.min_values);
        if bounds_cross(gte, lte) {
            return Requirement { min_values, ..Self::does_not_exist() };
        }
        let complement = self.complement && other.complement;
        let mut values = match (self.complement, other.complement) {
            (true, true) => self.values.zip(&other.values, |a, b| a | b),
            (true, false) => other.values.zip(&self.values, |a, b| a & !b),
            (false, true) => self.values.zip(&other.values, |a, b| a & !b),
            (false, false) => self.values.zip(&other.values, |a, b| a & b),
        };
        if gte.is_some() || lte.is_some() {
            values = values
                .iter()
                .filter(|value| within(integers.get(value.0 as usize).copied().flatten(), gte, lte))
                .collect();
        }
        let (gte, lte) = if complement { (gte, lte) } else { (None, None) };
        Requirement { complement, values, gte, lte, min_values }
    }

    /// Whether both allow a value in common. Two complements always do, unless their bounds cross.
    pub fn has_intersection(&self, other: &Self, integers: &[Option<i64>]) -> bool {
        let gte = self.gte.max(other.gte);
        let lte = least(self.lte, other.lte);
        if bounds_cross(gte, lte) {
            return false;
        }
        let (finite, excluded) = match (self.complement, other.complement) {
            (true, true) => return true,
            (true, false) => (&other.values, &self.values),
            (false, true) => (&self.values, &other.values),
            (false, false) => {
                return self.values.iter().any(|value| {
                    other.values.has(value)
                        && within(integers.get(value.0 as usize).copied().flatten(), gte, lte)
                });
            }
        };
        finite.iter().any(|value| {
            !excluded.has(value) && within(integers.get(value.0 as usize).copied().flatten(), gte, lte)
        })
    }

    /// Whether a node (`self`) and what is asked of it (`incoming`) can be reconciled: they have a value in common, or
    /// both are content with the label's absence.
    pub fn reconciles(&self, incoming: &Self, integers: &[Option<i64>]) -> bool {
        self.has_intersection(incoming, integers) || (incoming.allows_absence() && self.allows_absence())
    }
}

fn within(integer: Option<i64>, gte: Option<i64>, lte: Option<i64>) -> bool {
    if gte.is_none() && lte.is_none() {
        return true;
    }
    integer.is_some_and(|integer| {
        gte.is_none_or(|bound| integer >= bound) && lte.is_none_or(|bound| integer <= bound)
    })
}

fn least(a: Option<i64>, b: Option<i64>) -> Option<i64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

fn bounds_cross(gte: Option<i64>, lte: Option<i64>) -> bool {
    matches!((gte, lte), (Some(gte), Some(lte)) if gte > lte)
}

/// The integer that Go's `strconv.Atoi` reads.
pub fn atoi(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| text.parse().ok())
        .flatten()
}

/// An interned requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequirementId(pub u32);

/// An interned set of requirements, at most one a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConstraintId(pub u32);

impl ConstraintId {
    /// No requirement at all.
    pub const NONE: ConstraintId = ConstraintId(0);
}

/// Which keys a node may leave undefined although something is asked of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Undefined {
    /// None: the node's labels are all there is.
    Denied,
    /// Well-known ones: the node does not exist yet.
    WellKnownAllowed,
}

type Requirements = SmallVec<[(KeyId, RequirementId); 8]>;

#[derive(Debug, Clone)]
struct Key {
    name: Str,
    well_known: bool,
    values: Vec<Str>,
    integers: Vec<Option<i64>>,
    index: FxHashMap<Str, ValueId>,
    /// By value: the requirement that it is that value.
    labels: Vec<Option<RequirementId>>,
}

/// All keys, values, requirements and constraints of a problem, and what is known of how they combine.
#[derive(Debug, Clone)]
pub struct Algebra {
    keys: Vec<Key>,
    key_index: FxHashMap<Str, KeyId>,
    requirements: Vec<Requirement>,
    requirement_index: FxHashMap<Requirement, RequirementId>,
    constraints: Vec<Requirements>,
    constraint_index: FxHashMap<Requirements, ConstraintId>,
    sums: FxHashMap<(ConstraintId, ConstraintId), ConstraintId>,
    compatible: FxHashMap<(ConstraintId, ConstraintId, Undefined), bool>,
}

impl Default for Algebra {
    fn default() -> Self {
        let mut algebra = Algebra {
            keys: Vec::new(),
            key_index: FxHashMap::default(),
            requirements: Vec::new(),
            requirement_index: FxHashMap::default(),
            constraints: Vec::new(),
            constraint_index: FxHashMap::default(),
            sums: FxHashMap::default(),
            compatible: FxHashMap::default(),
        };
        algebra.intern_constraint(SmallVec::new());
        algebra
    }
}

impl Algebra {
    /// How many values, requirements, constraints and combinations of them are known.
    pub(crate) fn interned(&self) -> usize {
        let values: usize = self.keys.iter().map(|key| key.values.len()).sum();
        values + self.requirements.len() + self.constraints.len() + self.sums.len() + self.compatible.len()
    }

    /// The id of `key`, new if need be. `well_known` counts only the first time.
    pub fn key(&mut self, name: &str, well_known: impl FnOnce(&str) -> bool) -> KeyId {
        if let Some(&key) = self.key_index.get(name) {
            return key;
        }
        let id = KeyId(self.keys.len() as u32);
        self.keys.push(Key {
            name: name.into(),
            well_known: well_known(name),
            values: Vec::new(),
            integers: Vec::new(),
            index: FxHashMap::default(),
            labels: Vec::new(),
        });
        self.key_index.insert(name.into(), id);
        id
    }

    /// The id of `key`, if it was ever named.
    pub fn find_key(&self, name: &str) -> Option<KeyId> {
        self.key_index.get(name).copied()
    }

    /// The name of `key`.
    pub fn key_name(&self, key: KeyId) -> &Str {
        &self.keys[key.0 as usize].name
    }

    /// Whether a new node may leave `key` undefined.
    pub fn is_well_known(&self, key: KeyId) -> bool {
        self.keys[key.0 as usize].well_known
    }

    /// The id of `value` of `key`, new if need be.
    pub fn value(&mut self, key: KeyId, value: &str) -> ValueId {
        let key = &mut self.keys[key.0 as usize];
        if let Some(&id) = key.index.get(value) {
            return id;
        }
        let id = ValueId(key.values.len() as u32);
        key.values.push(value.into());
        key.integers.push(atoi(value));
        key.index.insert(value.into(), id);
        id
    }

    /// The id of `value` of `key`, if it was ever named.
    pub fn find_value(&self, key: KeyId, value: &str) -> Option<ValueId> {
        self.keys[key.0 as usize].index.get(value).copied()
    }

    /// The text of `value`.
    pub fn value_name(&self, key: KeyId, value: ValueId) -> &Str {
        &self.keys[key.0 as usize].values[value.0 as usize]
    }

    /// How many values of `key` were named.
    pub fn value_count(&self, key: KeyId) -> usize {
        self.keys[key.0 as usize].values.len()
    }

    /// The values of `key` as integers, where they are.
    pub fn integers(&self, key: KeyId) -> &[Option<i64>] {
        &self.keys[key.0 as usize].integers
    }

    /// The ids of all values of `key` named so far, by name in byte order.
    pub fn values_by_name(&self, key: KeyId) -> Vec<ValueId> {
        let values = &self.keys[key.0 as usize].values;
        let mut ids: Vec<ValueId> = (0..values.len() as u32).map(ValueId).collect();
        ids.sort_unstable_by(|a, b| values[a.0 as usize].cmp(&values[b.0 as usize]));
        ids
    }

    /// The requirement that operator and values make.
    pub fn requirement(
        &mut self,
        key: KeyId,
        operator: Operator,
        values: &[Str],
        min_values: Option<u32>,
    ) -> Requirement {
        let bound = values.first().and_then(|value| atoi(value)).unwrap_or(0);
        let mut requirement = match operator {
            Operator::In => Requirement::any_of(values.iter().map(|value| self.value(key, value))),
            Operator::NotIn => Requirement {
                values: values.iter().map(|value| self.value(key, value)).collect(),
                ..Requirement::exists()
            },
            Operator::Exists => Requirement::exists(),
            Operator::DoesNotExist => Requirement::does_not_exist(),
            // Nothing is above the largest integer. Karpenter drops minValues here.
            Operator::Gt if bound == i64::MAX => return Requirement::does_not_exist(),
            Operator::Gt => Requirement { gte: Some(bound + 1), ..Requirement::exists() },
            Operator::Lt => Requirement { lte: Some(bound.wrapping_sub(1)), ..Requirement::exists() },
            Operator::Gte => Requirement { gte: Some(bound), ..Requirement::exists() },
            Operator::Lte => Requirement { lte: Some(bound), ..Requirement::exists() },
        };
        requirement.min_values = min_values;
        requirement
    }

    /// Interns a requirement.
    pub fn intern(&mut self, requirement: Requirement) -> RequirementId {
        if let Some(&id) = self.requirement_index.get(&requirement) {
            return id;
        }
        let id = RequirementId(self.requirements.len() as u32);
        self.requirements.push(requirement.clone());
        self.requirement_index.insert(requirement, id);
        id
    }

    /// The requirement behind an id.
    pub fn get(&self, id: RequirementId) -> &Requirement {
        &self.requirements[id.0 as usize]
    }

    fn intern_constraint(&mut self, requirements: Requirements) -> ConstraintId {
        if let Some(&id) = self.constraint_index.get(&requirements) {
            return id;
        }
        let id = ConstraintId(self.constraints.len() as u32);
        self.constraints.push(requirements.clone());
        self.constraint_index.insert(requirements, id);
        id
    }

    /// The constraint of `requirements`; several of one key are intersected.
    pub fn constraint(
        &mut self,
        requirements: impl IntoIterator<Item = (KeyId, Requirement)>,
    ) -> ConstraintId {
        let mut by_key: SmallVec<[(KeyId, Requirement); 8]> = smallvec![];
        for (key, requirement) in requirements {
            match by_key.iter_mut().find(|(known, _)| *known == key) {
                Some((_, existing)) => *existing = requirement.intersection(existing, self.integers(key)),
                None => by_key.push((key, requirement)),
            }
        }
        by_key.sort_by_key(|(key, _)| *key);
        let interned = by_key.into_iter().map(|(key, requirement)| (key, self.intern(requirement))).collect();
        self.intern_constraint(interned)
    }

    /// The constraint of interned requirements; several of one key are intersected.
    pub fn constraint_of(&mut self, mut requirements: Vec<(KeyId, RequirementId)>) -> ConstraintId {
        requirements.sort_unstable();
        requirements.dedup();
        if requirements.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            let all: Vec<_> = requirements.into_iter().map(|(key, id)| (key, self.get(id).clone())).collect();
            return self.constraint(all);
        }
        self.intern_constraint(requirements.into_iter().collect())
    }

    /// The requirement that `key` is `value`, as a label of a node is.
    pub fn label(&mut self, key: KeyId, value: &str) -> RequirementId {
        let value = self.value(key, value);
        let labels = &self.keys[key.0 as usize].labels;
        if let Some(Some(known)) = labels.get(value.0 as usize) {
            return *known;
        }
        let id = self.intern(Requirement::any_of([value]));
        let labels = &mut self.keys[key.0 as usize].labels;
        if labels.len() <= value.0 as usize {
            labels.resize(value.0 as usize + 1, None);
        }
        labels[value.0 as usize] = Some(id);
        id
    }

    /// The requirements of a constraint, by key id.
    pub fn requirements(&self, constraint: ConstraintId) -> &[(KeyId, RequirementId)] {
        &self.constraints[constraint.0 as usize]
    }

    /// How many constraints there are so far.
    pub fn constraint_count(&self) -> usize {
        self.constraints.len()
    }

    /// What `constraint` says of `key`, if anything.
    pub fn of(&self, constraint: ConstraintId, key: KeyId) -> Option<&Requirement> {
        self.requirement_id(constraint, key).map(|id| self.get(id))
    }

    /// The same, as an id.
    pub fn requirement_id(&self, constraint: ConstraintId, key: KeyId) -> Option<RequirementId> {
        let requirements = &self.constraints[constraint.0 as usize];
        requirements.iter().find(|(known, _)| *known == key).map(|(_, id)| *id)
    }

    /// Both constraints together: requirements of one key are intersected.
    pub fn sum(&mut self, a: ConstraintId, b: ConstraintId) -> ConstraintId {
        if a == b || b == ConstraintId::NONE {
            return a;
        }
        if a == ConstraintId::NONE {
            return b;
        }
        if let Some(&sum) = self.sums.get(&(a, b)) {
            return sum;
        }
        let (left, right) = (self.constraints[a.0 as usize].clone(), self.constraints[b.0 as usize].clone());
        let mut merged: Requirements = SmallVec::new();
        let (mut i, mut j) = (0, 0);
        while i < left.len() || j < right.len() {
            match (left.get(i), right.get(j)) {
                (Some(&(key, x)), Some(&(other, y))) if key == other => {
                    let both = self.get(x).intersection(self.get(y), self.integers(key));
                    merged.push((key, self.intern(both)));
                    i += 1;
                    j += 1;
                }
                (Some(&one), other) if other.is_none_or(|other| one.0 < other.0) => {
                    merged.push(one);
                    i += 1;
                }
                (_, Some(&other)) => {
                    merged.push(other);
                    j += 1;
                }
                (Some(_) | None, None) => {
                    unreachable!("one list has an element, and it was matched above")
                }
            }
        }
        let sum = self.intern_constraint(merged);
        self.sums.insert((a, b), sum);
        sum
    }

    /// `constraint` with what it says of `key` replaced.
    pub fn with(&mut self, constraint: ConstraintId, key: KeyId, requirement: Requirement) -> ConstraintId {
        let id = self.intern(requirement);
        let mut requirements = self.constraints[constraint.0 as usize].clone();
        match requirements.binary_search_by_key(&key, |(known, _)| *known) {
            Ok(at) => requirements[at].1 = id,
            Err(at) => requirements.insert(at, (key, id)),
        }
        self.intern_constraint(requirements)
    }

    /// `constraint` without the keys that `keep` refuses.
    pub fn retain(&mut self, constraint: ConstraintId, keep: impl Fn(KeyId) -> bool) -> ConstraintId {
        let requirements = self.constraints[constraint.0 as usize].clone();
        let kept = requirements.into_iter().filter(|(key, _)| keep(*key)).collect();
        self.intern_constraint(kept)
    }

    /// Whether a node with the requirements `node` can meet `incoming`: nothing is asked of a label that it does not
    /// define (but for what `undefined` allows), and what it defines is reconcilable.
    pub fn compatible(&mut self, node: ConstraintId, incoming: ConstraintId, undefined: Undefined) -> bool {
        if incoming == ConstraintId::NONE {
            return true;
        }
        if let Some(&known) = self.compatible.get(&(node, incoming, undefined)) {
            return known;
        }
        let verdict = self.first_conflict(node, incoming, undefined).is_none();
        self.compatible.insert((node, incoming, undefined), verdict);
        verdict
    }

    /// The first key in which [`Algebra::compatible`] fails.
    pub fn first_conflict(
        &self,
        node: ConstraintId,
        incoming: ConstraintId,
        undefined: Undefined,
    ) -> Option<KeyId> {
        let asked = &self.constraints[incoming.0 as usize];
        let denied = |&&(key, id): &&(KeyId, RequirementId)| {
            !(undefined == Undefined::WellKnownAllowed && self.is_well_known(key))
                && self.requirement_id(node, key).is_none()
                && !self.get(id).allows_absence()
        };
        asked
            .iter()
            .find(denied)
            .or_else(|| asked.iter().find(|pair| !self.key_reconciles(node, pair)))
            .map(|pair| pair.0)
    }

    /// Whether two constraints have a common value in every key that both have (or are both content without).
    pub fn intersects(&self, a: ConstraintId, b: ConstraintId) -> bool {
        self.constraints[b.0 as usize].iter().all(|pair| self.key_reconciles(a, pair))
    }

    fn key_reconciles(&self, node: ConstraintId, &(key, incoming): &(KeyId, RequirementId)) -> bool {
        self.of(node, key).is_none_or(|existing| existing.reconciles(self.get(incoming), self.integers(key)))
    }

    /// Whether any requirement of `constraint` has `minValues`.
    pub fn has_min_values(&self, constraint: ConstraintId) -> bool {
        self.requirements(constraint).iter().any(|(_, id)| self.get(*id).min_values.is_some())
    }
}
