//! Labels against selectors and node affinity.

use karpsim::model::core::{Node, NodeSelectorRequirement, NodeSelectorTerm, PodAffinityTerm};
use karpsim::model::meta::{LabelSelector, Labels, Operator, SelectorOperator, Str};
use std::collections::BTreeMap;

/// Whether a selector selects these labels. No selector selects nothing.
pub(crate) fn selects(selector: Option<&LabelSelector>, labels: &Labels) -> bool {
    let Some(selector) = selector else { return false };
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = |value: &str| expression.values.iter().any(|it| it == value);
            match expression.operator {
                Some(SelectorOperator::In) => value.is_some_and(listed),
                Some(SelectorOperator::NotIn) => !value.is_some_and(listed),
                Some(SelectorOperator::Exists) => value.is_some(),
                Some(SelectorOperator::DoesNotExist) => value.is_none(),
                None => false,
            }
        })
}

/// Whether a term of node affinity holds on a node. An empty term holds nowhere.
pub(crate) fn term_holds(term: &NodeSelectorTerm, node: &Node) -> bool {
    let expressions = term.match_expressions.as_deref().unwrap_or_default();
    let fields = term.match_fields.as_deref().unwrap_or_default();
    if expressions.is_empty() && fields.is_empty() {
        return false;
    }
    expressions.iter().all(|it| requirement_holds(it, node.metadata.labels.get(&it.key)))
        && fields
            .iter()
            .all(|it| it.key == "metadata.name" && requirement_holds(it, Some(&node.metadata.name)))
}

fn requirement_holds(requirement: &NodeSelectorRequirement, value: Option<&str>) -> bool {
    let listed = |value: &str| requirement.values.iter().any(|it| it == value);
    let numbers = || {
        let bound = requirement.values.first()?.parse::<i64>().ok()?;
        Some((value?.parse::<i64>().ok()?, bound))
    };
    match requirement.operator {
        Some(Operator::In) => value.is_some_and(listed),
        Some(Operator::NotIn) => !value.is_some_and(listed),
        Some(Operator::Exists) => value.is_some(),
        Some(Operator::DoesNotExist) => value.is_none(),
        Some(Operator::Gt) => numbers().is_some_and(|(value, bound)| value > bound),
        Some(Operator::Lt) => numbers().is_some_and(|(value, bound)| value < bound),
        Some(Operator::Gte) => numbers().is_some_and(|(value, bound)| value >= bound),
        Some(Operator::Lte) => numbers().is_some_and(|(value, bound)| value <= bound),
        None => false,
    }
}

/// Whether a term of pod affinity, of a pod in `home`, means a pod with these labels in `namespace`.
pub(crate) fn term_selects(
    term: &PodAffinityTerm,
    home: &str,
    namespaces: &BTreeMap<Str, Labels>,
    namespace: &str,
    labels: &Labels,
) -> bool {
    let in_namespace = if term.namespaces.is_empty() && term.namespace_selector.is_none() {
        namespace == home
    } else {
        term.namespaces.iter().any(|it| it == namespace)
            || term.namespace_selector.as_ref().is_some_and(|selector| {
                selects(Some(selector), namespaces.get(namespace).unwrap_or(&Labels::default()))
            })
    };
    in_namespace && selects(term.label_selector.as_ref(), labels)
}
