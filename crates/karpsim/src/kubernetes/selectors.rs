//! Label selectors.

use super::labels::{is_label_value, is_qualified_name};
use crate::model::meta::{LabelSelector, Labels, SelectorOperator};

/// Whether `selector` selects `labels`. One that the API server would refuse selects nothing.
pub fn selects(selector: &LabelSelector, labels: &Labels) -> bool {
    is_valid(selector) && matches(selector, labels)
}

/// Whether `labels` fit a selector that is valid.
pub fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|expression| {
            let value = labels.get(&expression.key);
            let listed = value.is_some_and(|value| expression.values.iter().any(|one| one == value));
            match expression.operator {
                Some(SelectorOperator::In) => listed,
                Some(SelectorOperator::NotIn) => !listed,
                Some(SelectorOperator::Exists) => value.is_some(),
                Some(SelectorOperator::DoesNotExist) => value.is_none(),
                None => false,
            }
        })
}

/// Whether the API server would take the selector.
pub fn is_valid(selector: &LabelSelector) -> bool {
    selector.match_labels.iter().all(|(key, value)| is_qualified_name(key) && is_label_value(value))
        && selector.match_expressions.iter().all(|expression| {
            let counted = match expression.operator {
                Some(SelectorOperator::In | SelectorOperator::NotIn) => !expression.values.is_empty(),
                Some(SelectorOperator::Exists | SelectorOperator::DoesNotExist) => {
                    expression.values.is_empty()
                }
                None => false,
            };
            counted
                && is_qualified_name(&expression.key)
                && expression.values.iter().all(|value| is_label_value(value))
        })
}
