//! What the labels of a node are, or can turn out to be.

use crate::selectors::{holds, integer};
use karpsim::catalogue::Catalogue;
use karpsim::label_rules::LabelRules;
use karpsim::model::core::NodeSelectorRequirement;
use karpsim::model::meta::{Labels, Operator};
use std::collections::{BTreeMap, BTreeSet};

/// Names of labels: Kubernetes and the providers have several for the same, of which nodes carry all.
pub(crate) struct Names(LabelRules);

impl Names {
    pub(crate) fn new(catalogue: &Catalogue) -> Self {
        Names(LabelRules::new(catalogue))
    }

    /// The one name for `key`.
    pub(crate) fn of(&self, key: &str) -> String {
        self.0.normalize(key).to_owned()
    }
}

/// One label of a node.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Label {
    /// It will have one of these values; with none left, there can be no such node.
    OneOf(BTreeSet<String>),
    /// It will have a value that all of these expressions allow.
    Some(Vec<NodeSelectorRequirement>),
    /// It is not looked at.
    Unchecked,
}

/// Labels of a node; a label that is not listed is absent.
#[derive(Debug, Clone, Default)]
pub(crate) struct NodeLabels(pub(crate) BTreeMap<String, Label>);

impl NodeLabels {
    /// Labels as they stand on a node.
    pub(crate) fn standing(names: &Names, labels: &Labels) -> Self {
        let one =
            |(key, value): (&str, &str)| (names.of(key), Label::OneOf(BTreeSet::from([value.to_owned()])));
        NodeLabels(labels.iter().map(one).collect())
    }

    /// Labels of a node to be, of which all of `asked` is true. `Err`: the label for which that cannot be.
    ///
    /// Expressions that only exclude, or only ask for presence, on a label that nothing gives values to, leave it open.
    pub(crate) fn to_be(names: &Names, asked: &[NodeSelectorRequirement]) -> Result<Self, String> {
        let mut by_key: BTreeMap<String, Vec<NodeSelectorRequirement>> = BTreeMap::new();
        for expression in asked {
            by_key.entry(names.of(&expression.key)).or_default().push(expression.clone());
        }
        let mut labels = BTreeMap::new();
        for (key, expressions) in by_key {
            let absent = expressions.iter().any(|it| it.operator == Some(Operator::DoesNotExist));
            let lists: Vec<_> = expressions.iter().filter(|it| it.operator == Some(Operator::In)).collect();
            if absent {
                if expressions.iter().all(|expression| holds(expression, None)) {
                    continue;
                }
                return Err(key);
            }
            let Some(list) = lists.first() else {
                labels.insert(key, Label::Some(expressions));
                continue;
            };
            let allowed = |value: &&str| expressions.iter().all(|expression| holds(expression, Some(value)));
            let values: BTreeSet<String> =
                list.values.iter().map(|value| value.as_str()).filter(allowed).map(str::to_owned).collect();
            if values.is_empty() {
                return Err(key);
            }
            labels.insert(key, Label::OneOf(values));
        }
        Ok(NodeLabels(labels))
    }

    /// Whether `asked` is true of the node whatever its labels turn out to be.
    pub(crate) fn meet(&self, names: &Names, asked: &NodeSelectorRequirement) -> bool {
        match self.0.get(&names.of(&asked.key)) {
            None => holds(asked, None),
            Some(Label::OneOf(values)) => values.iter().all(|value| holds(asked, Some(value))),
            Some(Label::Some(known)) => follows(known, asked),
            Some(Label::Unchecked) => true,
        }
    }

    /// The value of `key`, if there is but one.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        match self.0.get(key) {
            Some(Label::OneOf(values)) if values.len() == 1 => values.first().map(String::as_str),
            _ => None,
        }
    }

    /// Whether `key` may turn out to have `value`.
    pub(crate) fn may_be(&self, key: &str, value: &str) -> bool {
        match self.0.get(key) {
            None => false,
            Some(Label::OneOf(values)) => values.contains(value),
            Some(Label::Some(known)) => known.iter().all(|it| holds(it, Some(value))),
            Some(Label::Unchecked) => true,
        }
    }
}

/// Whether no value and no absence of label `key` can be all that `asked` says of it.
pub(crate) fn contradicts_itself(asked: &[NodeSelectorRequirement], key: &str) -> bool {
    let of_key: Vec<&NodeSelectorRequirement> = asked.iter().filter(|it| it.key == key).collect();
    if of_key.iter().all(|it| holds(it, None)) {
        return false;
    }
    if of_key.iter().any(|it| it.operator == Some(Operator::DoesNotExist)) {
        return true;
    }
    let lists = of_key.iter().find(|it| it.operator == Some(Operator::In));
    if let Some(list) = lists {
        return !list.values.iter().any(|value| of_key.iter().all(|it| holds(it, Some(value))));
    }
    // Bounds with no integer between them.
    let bound = |it: &NodeSelectorRequirement| it.values.first().and_then(|bound| integer(bound));
    let least = of_key.iter().filter_map(|it| match it.operator {
        Some(Operator::Gt) => bound(it).map(|bound| bound.saturating_add(1)),
        Some(Operator::Gte) => bound(it),
        _ => None,
    });
    let most = of_key.iter().filter_map(|it| match it.operator {
        Some(Operator::Lt) => bound(it).map(|bound| bound.saturating_sub(1)),
        Some(Operator::Lte) => bound(it),
        _ => None,
    });
    matches!((least.max(), most.min()), (Some(least), Some(most)) if least > most)
}

/// `key DoesNotExist`.
pub(crate) fn absent(key: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.into(),
        operator: Some(Operator::DoesNotExist),
        ..NodeSelectorRequirement::default()
    }
}

/// Whether `asked` is true of every value of which all of `known` is true.
fn follows(known: &[NodeSelectorRequirement], asked: &NodeSelectorRequirement) -> bool {
    let bound = asked.values.first().and_then(|bound| integer(bound));
    let of = |operators: [Operator; 2]| {
        let bounding =
            known.iter().filter(move |it| it.operator.is_some_and(|operator| operators.contains(&operator)));
        bounding.filter_map(|it| {
            let strict = matches!(it.operator, Some(Operator::Gt | Operator::Lt));
            it.values.first().and_then(|bound| integer(bound)).map(|bound| (bound, strict))
        })
    };
    let least = of([Operator::Gt, Operator::Gte]).map(|(bound, strict)| bound + i64::from(strict)).max();
    let most = of([Operator::Lt, Operator::Lte]).map(|(bound, strict)| bound - i64::from(strict)).min();
    match asked.operator {
        Some(Operator::Exists) => true,
        Some(Operator::NotIn) => {
            asked.values.iter().all(|value| known.iter().any(|it| !holds(it, Some(value))))
        }
        Some(Operator::Gt) => matches!((least, bound), (Some(least), Some(bound)) if least > bound),
        Some(Operator::Gte) => matches!((least, bound), (Some(least), Some(bound)) if least >= bound),
        Some(Operator::Lt) => matches!((most, bound), (Some(most), Some(bound)) if most < bound),
        Some(Operator::Lte) => matches!((most, bound), (Some(most), Some(bound)) if most <= bound),
        Some(Operator::In | Operator::DoesNotExist) | None => false,
    }
}
