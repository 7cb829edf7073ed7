//! Selectors over labels, as the documentation of Kubernetes explains them ("Labels and Selectors", "Assigning Pods to
//! Nodes").

use crate::labels::contradicts_itself;
use karpsim::model::core::{NodeSelectorRequirement, NodeSelectorTerm, Pod};
use karpsim::model::meta::{LabelSelector, Labels, Operator, SelectorOperator};

/// The integer that a label's value is, if it is one.
pub(crate) fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Whether a label with `value` (`None`: no such label) is what `asked` wants. `Gte` and `Lte` are Karpenter's.
pub(crate) fn holds(asked: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let listed = || value.is_some_and(|value| asked.values.iter().any(|listed| listed == value));
    let compares = |test: fn(i64, i64) -> bool| {
        let bound = asked.values.first().and_then(|bound| integer(bound));
        matches!((value.and_then(integer), bound), (Some(value), Some(bound)) if test(value, bound))
    };
    match asked.operator {
        Some(Operator::In) => listed(),
        Some(Operator::NotIn) => !listed(),
        Some(Operator::Exists) => value.is_some(),
        Some(Operator::DoesNotExist) => value.is_none(),
        Some(Operator::Gt) => compares(|value, bound| value > bound),
        Some(Operator::Lt) => compares(|value, bound| value < bound),
        Some(Operator::Gte) => compares(|value, bound| value >= bound),
        Some(Operator::Lte) => compares(|value, bound| value <= bound),
        None => false,
    }
}

/// Whether `labels` are selected. No selector selects nothing, an empty one everything.
pub(crate) fn selects(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return false };
    let equal = selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = value.is_some_and(|value| expression.values.iter().any(|listed| listed == value));
            match expression.operator {
                Some(SelectorOperator::In) => listed,
                Some(SelectorOperator::NotIn) => !listed,
                Some(SelectorOperator::Exists) => value.is_some(),
                Some(SelectorOperator::DoesNotExist) => value.is_none(),
                None => false,
            }
        })
}

/// What a pod asks of its node: all of `always`, and all of one of `either`, if there are any.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// `spec.nodeSelector`.
    pub(crate) always: Vec<NodeSelectorRequirement>,
    /// The terms of the required node affinity.
    pub(crate) either: Vec<Vec<NodeSelectorRequirement>>,
    /// All that it prefers.
    pub(crate) wished: Vec<NodeSelectorRequirement>,
}

impl Asked {
    /// What `pod` asks for.
    pub(crate) fn of(pod: &Pod) -> Self {
        let always = pod.spec.node_selector.iter().map(|(key, value)| one_of(key, value)).collect();
        let affinity = pod.spec.affinity.as_ref().and_then(|affinity| affinity.node_affinity.as_ref());
        let terms = affinity.and_then(|affinity| affinity.required.as_ref());
        let either =
            terms.into_iter().flat_map(|required| &required.node_selector_terms).map(expressions).collect();
        let preferred = affinity.into_iter().flat_map(|affinity| &affinity.preferred);
        let wished = preferred.flat_map(|term| expressions(&term.preference)).collect();
        Asked { always, either, wished }
    }

    /// Whether a node meets all of it, given whether it meets an expression.
    pub(crate) fn met(&self, meets: impl Fn(&NodeSelectorRequirement) -> bool) -> bool {
        self.always.iter().all(&meets)
            && (self.either.is_empty() || self.either.iter().any(|term| term.iter().all(&meets)))
    }

    /// Whether something else that is asked, or (`with_wishes`) wished, of the same label cannot be together with `one`.
    pub(crate) fn contradicts(
        &self,
        one: &NodeSelectorRequirement,
        with_wishes: bool,
        name: &dyn Fn(&str) -> String,
    ) -> bool {
        let key = name(&one.key);
        let under_name =
            |it: &NodeSelectorRequirement| NodeSelectorRequirement { key: key.as_str().into(), ..it.clone() };
        let required = self.always.iter().chain(self.either.iter().flatten());
        let others = required.chain(self.wished.iter().filter(|_| with_wishes));
        let mut of_key = others.filter(|other| name(&other.key) == key);
        of_key.any(|other| contradicts_itself(&[under_name(one), under_name(other)], &key))
    }

    /// Whether `value` of label `key` is all right by every term.
    pub(crate) fn allows(&self, key: &str, value: &str, name: &dyn Fn(&str) -> String) -> bool {
        let mut of_key =
            self.always.iter().chain(self.either.iter().flatten()).filter(|asked| name(&asked.key) == key);
        of_key.all(|asked| holds(asked, Some(value)))
    }
}

/// `key In [value]`.
pub(crate) fn one_of(key: &str, value: &str) -> NodeSelectorRequirement {
    NodeSelectorRequirement {
        key: key.into(),
        operator: Some(Operator::In),
        values: vec![value.into()],
        ..NodeSelectorRequirement::default()
    }
}

/// The expressions of a term.
pub(crate) fn expressions(term: &NodeSelectorTerm) -> Vec<NodeSelectorRequirement> {
    term.match_expressions.iter().flatten().cloned().collect()
}
