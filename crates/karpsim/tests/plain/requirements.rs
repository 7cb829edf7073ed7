//! What the labels of a node may be.

use karpsim::label_rules::LabelRules;
use karpsim::model::core::NodeSelectorRequirement;
use karpsim::model::meta::{Labels, Operator, Str};
use std::collections::{BTreeMap, BTreeSet};

/// What one label may be: one of some values, or (`complement`) anything but these, within bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Label {
    pub(crate) complement: bool,
    pub(crate) values: BTreeSet<Str>,
    pub(crate) gte: Option<i64>,
    pub(crate) lte: Option<i64>,
    pub(crate) min_values: Option<i64>,
}

/// The integer that a text is: an optional sign, then digits.
fn integer(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let all_digits = !digits.is_empty() && digits.chars().all(|it| it.is_ascii_digit());
    if all_digits { text.parse().ok() } else { None }
}

impl Label {
    pub(crate) fn anything() -> Self {
        Label { complement: true, values: BTreeSet::new(), gte: None, lte: None, min_values: None }
    }

    pub(crate) fn nothing() -> Self {
        Label { complement: false, ..Label::anything() }
    }

    pub(crate) fn one_of(values: impl IntoIterator<Item = Str>) -> Self {
        Label { values: values.into_iter().collect(), ..Label::nothing() }
    }

    /// What an expression says.
    pub(crate) fn of(operator: Operator, values: &[Str], min_values: Option<i64>) -> Self {
        let bound = values.first().and_then(|value| integer(value)).unwrap_or(0);
        let label = match operator {
            Operator::In => Label::one_of(values.iter().cloned()),
            Operator::NotIn => Label { values: values.iter().cloned().collect(), ..Label::anything() },
            Operator::Exists => Label::anything(),
            Operator::DoesNotExist => Label::nothing(),
            Operator::Gt if bound == i64::MAX => return Label::nothing(),
            Operator::Gt => Label { gte: Some(bound + 1), ..Label::anything() },
            Operator::Lt => Label { lte: Some(bound.wrapping_sub(1)), ..Label::anything() },
            Operator::Gte => Label { gte: Some(bound), ..Label::anything() },
            Operator::Lte => Label { lte: Some(bound), ..Label::anything() },
        };
        Label { min_values, ..label }
    }

    fn within_bounds(&self, value: &str) -> bool {
        if self.gte.is_none() && self.lte.is_none() {
            return true;
        }
        let Some(integer) = integer(value) else { return false };
        self.gte.is_none_or(|least| integer >= least) && self.lte.is_none_or(|most| integer <= most)
    }

    pub(crate) fn allows(&self, value: &str) -> bool {
        self.values.contains(value) != self.complement && self.within_bounds(value)
    }

    /// Whether a node without the label would do.
    pub(crate) fn allows_absence(&self) -> bool {
        if self.complement { !self.values.is_empty() } else { self.values.is_empty() }
    }

    fn bounds_cross(&self) -> bool {
        matches!((self.gte, self.lte), (Some(least), Some(most)) if least > most)
    }

    /// What both allow.
    pub(crate) fn and(&self, other: &Label) -> Label {
        let gte = match (self.gte, other.gte) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let lte = match (self.lte, other.lte) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        let min_values = match (self.min_values, other.min_values) {
            (Some(a), Some(b)) => Some(a.max(b)),
            (a, b) => a.or(b),
        };
        let bounds = Label { gte, lte, min_values, ..Label::anything() };
        if bounds.bounds_cross() {
            return Label { min_values, ..Label::nothing() };
        }
        let inside = |values: BTreeSet<Str>| -> BTreeSet<Str> {
            values.into_iter().filter(|value| bounds.within_bounds(value)).collect()
        };
        match (self.complement, other.complement) {
            (true, true) => Label { values: inside(&self.values | &other.values), ..bounds },
            (true, false) => {
                Label { values: inside(&other.values - &self.values), min_values, ..Label::nothing() }
            }
            (false, true) => {
                Label { values: inside(&self.values - &other.values), min_values, ..Label::nothing() }
            }
            (false, false) => {
                Label { values: inside(&self.values & &other.values), min_values, ..Label::nothing() }
            }
        }
    }

    /// Whether there is a value that both allow, or both do without. Two complements count as having one in common, unless
    /// their bounds cross.
    pub(crate) fn agrees_with(&self, other: &Label) -> bool {
        if self.allows_absence() && other.allows_absence() {
            return true;
        }
        let both = self.and(other);
        both.complement || !both.values.is_empty()
    }
}

/// What all labels of a node may be. A label that is not listed is not asked for, or not defined.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Requirements(pub(crate) BTreeMap<Str, Label>);

impl Requirements {
    pub(crate) fn add(&mut self, key: &str, label: Label) {
        let both = self.0.get(key).map_or_else(|| label.clone(), |known| label.and(known));
        self.0.insert(key.into(), both);
    }

    pub(crate) fn and(&self, other: &Requirements) -> Requirements {
        let mut both = self.clone();
        for (key, label) in &other.0 {
            both.add(key, label.clone());
        }
        both
    }

    pub(crate) fn of_labels(rules: &LabelRules, labels: &Labels) -> Self {
        let mut requirements = Requirements::default();
        for (key, value) in labels.iter() {
            requirements.add(rules.normalize(key), Label::one_of([value.into()]));
        }
        requirements
    }

    pub(crate) fn of_expressions(rules: &LabelRules, expressions: &[NodeSelectorRequirement]) -> Self {
        let mut requirements = Requirements::default();
        for expression in expressions {
            let operator = expression.operator.unwrap_or(Operator::Exists);
            requirements.add(rules.normalize(&expression.key), Label::of(operator, &expression.values, None));
        }
        requirements
    }

    /// Whether a node that is as `self` says can be as `asked`. What it does not define may be asked for only if
    /// `may_come` says so.
    pub(crate) fn meets(&self, asked: &Requirements, may_come: impl Fn(&str) -> bool) -> bool {
        asked.0.iter().all(|(key, label)| match self.0.get(key) {
            Some(own) => own.agrees_with(label),
            None => label.allows_absence() || may_come(key),
        })
    }

    /// Whether nothing is said of one label that cannot both be.
    pub(crate) fn agrees_with(&self, other: &Requirements) -> bool {
        other.0.iter().all(|(key, label)| self.0.get(key).is_none_or(|own| own.agrees_with(label)))
    }
}
