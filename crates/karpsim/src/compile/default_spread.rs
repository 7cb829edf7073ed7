//! The topology spread of pods that have none of their own.
//!
//! The scheduler's configuration names constraints without selectors; which pods are counted follows from each pod: those
//! that its Services select and that its owner made. A pod that no Service selects and no controller owns has no default.

use crate::kubernetes::pods::controller_of;
use crate::model::core::{Pod, TopologySpreadConstraint};
use crate::model::meta::{LabelSelector, LabelSelectorRequirement, Labels, SelectorOperator};
use crate::model::selecting::Service;
use crate::scenario::Scenario;
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Constraints that a pod is given.
pub(super) type GivenSpread = Option<Arc<[TopologySpreadConstraint]>>;

/// Namespace and name.
type Key<'a> = (&'a str, &'a str);

/// The default constraints, and what pods' selectors follow from. Empty if there are no constraints.
#[derive(Debug, Default)]
pub struct DefaultSpread<'a> {
    constraints: &'a [TopologySpreadConstraint],
    /// By namespace, in order of name.
    services: FxHashMap<&'a str, Vec<&'a Service>>,
    replication_controllers: FxHashMap<Key<'a>, &'a Labels>,
    replica_sets: FxHashMap<Key<'a>, &'a LabelSelector>,
    stateful_sets: FxHashMap<Key<'a>, &'a LabelSelector>,
}

impl<'a> DefaultSpread<'a> {
    /// What `scenario` gives its pods.
    pub fn new(scenario: &'a Scenario) -> Self {
        let constraints = scenario.options.default_spread();
        let mut spread = DefaultSpread { constraints, ..DefaultSpread::default() };
        if constraints.is_empty() {
            return spread;
        }
        let objects = &scenario.objects;
        for service in &objects.services {
            spread.services.entry(&service.metadata.namespace).or_default().push(service);
        }
        for services in spread.services.values_mut() {
            services.sort_by(|a, b| a.metadata.name.cmp(&b.metadata.name));
        }
        for it in &objects.replication_controllers {
            let key = (it.metadata.namespace.as_str(), it.metadata.name.as_str());
            spread.replication_controllers.insert(key, &it.spec.selector);
        }
        for it in &objects.replica_sets {
            let key = (it.metadata.namespace.as_str(), it.metadata.name.as_str());
            spread.replica_sets.insert(key, &it.spec.selector);
        }
        for it in &objects.stateful_sets {
            let key = (it.metadata.namespace.as_str(), it.metadata.name.as_str());
            spread.stateful_sets.insert(key, &it.spec.selector);
        }
        spread
    }

    /// What the pod is given. `None`: nothing.
    pub(super) fn of(&self, pod: &Pod) -> GivenSpread {
        if self.constraints.is_empty() || !pod.spec.topology_spread_constraints.is_empty() {
            return None;
        }
        let selector = self.selector_of(pod)?;
        let constraints = self.constraints.iter().map(|constraint| TopologySpreadConstraint {
            label_selector: Some(selector.clone()),
            ..constraint.clone()
        });
        Some(constraints.collect())
    }

    /// The labels of all Services that select the pod, the later overriding the earlier; those of its owner come last. A
    /// ReplicationController overrides too, a ReplicaSet or StatefulSet must be met beside.
    fn selector_of(&self, pod: &Pod) -> Option<LabelSelector> {
        let namespace = pod.metadata.namespace.as_str();
        let mut selector = LabelSelector::default();
        for service in self.services.get(namespace).into_iter().flatten() {
            let labels = &service.spec.selector;
            if labels.iter().all(|(key, value)| pod.metadata.labels.get(key) == Some(value)) {
                labels.iter().for_each(|(key, value)| selector.match_labels.insert(key, value));
            }
        }
        if let Some(owner) = controller_of(pod) {
            let key = (namespace, owner.name.as_str());
            let of_owner = match (owner.api_version.as_str(), owner.kind.as_str()) {
                ("v1", "ReplicationController") => {
                    let labels = self.replication_controllers.get(&key).into_iter().flat_map(|it| it.iter());
                    labels.for_each(|(key, value)| selector.match_labels.insert(key, value));
                    None
                }
                ("apps/v1", "ReplicaSet") => self.replica_sets.get(&key),
                ("apps/v1", "StatefulSet") => self.stateful_sets.get(&key),
                _ => None,
            };
            selector.match_expressions.extend(of_owner.into_iter().flat_map(|it| expressions(it)));
        }
        let selects = !selector.match_labels.is_empty() || !selector.match_expressions.is_empty();
        selects.then_some(selector)
    }
}

/// A selector as expressions alone.
fn expressions(selector: &LabelSelector) -> Vec<LabelSelectorRequirement> {
    let labels = selector.match_labels.iter().map(|(key, value)| LabelSelectorRequirement {
        key: key.into(),
        operator: Some(SelectorOperator::In),
        values: vec![value.into()],
        ..LabelSelectorRequirement::default()
    });
    labels.chain(selector.match_expressions.iter().cloned()).collect()
}
