//! Daemon sets, as their pods would run on a node.

use super::offers::{Pool, Type};
use super::pods::{HostPort, host_ports, tolerate_prefer_no_schedule, tolerates_all};
use super::requirements::Requirements;
use karpsim::kubernetes::requests::{RawAmounts, pod_requests};
use karpsim::label_rules::LabelRules;
use karpsim::model::core::{Container, DaemonSet, Pod, Toleration};
use karpsim::scenario::Scenario;

/// A daemon set, as its newest pod or its template stands for it.
pub(crate) struct Daemon {
    pub(crate) name: String,
    pub(crate) requests: RawAmounts,
    selector: Requirements,
    /// OR-ed terms; those that did not fit some type are gone for good.
    terms: Vec<Requirements>,
    pub(crate) tolerations: Vec<Toleration>,
    pub(crate) ports: Vec<HostPort>,
}

impl Daemon {
    pub(crate) fn asked(&self) -> Requirements {
        self.terms.first().map_or_else(|| self.selector.clone(), |term| self.selector.and(term))
    }

    /// Whether it would run on nodes of a type. Asking drops its wishes for good.
    pub(crate) fn runs_on(&mut self, pool: &Pool<'_>, it: &Type, rules: &LabelRules) -> bool {
        tolerate_prefer_no_schedule(&mut self.tolerations);
        if !tolerates_all(&self.tolerations, pool.taints()) {
            return false;
        }
        loop {
            let asked = self.asked();
            let of_pool = pool.requirements.meets(&asked, |key| rules.is_well_known(key));
            if of_pool && it.requirements.agrees_with(&asked) {
                return true;
            }
            if self.terms.len() <= 1 {
                return false;
            }
            self.terms.remove(0);
        }
    }
}

/// All of them, in order of namespace and name.
pub(crate) fn daemons(scenario: &Scenario, rules: &LabelRules) -> Vec<Daemon> {
    let mut sets: Vec<&DaemonSet> = scenario.objects.daemon_sets.iter().collect();
    sets.sort_by_key(|set| (set.metadata.namespace.clone(), set.metadata.name.clone()));
    let mut daemons = Vec::new();
    for set in sets {
        let pod = stand_in(scenario, set);
        let containers = || pod.spec.containers.iter().chain(&pod.spec.init_containers);
        if !pod.spec.resource_claims.is_empty()
            || containers().any(|container| !container.resources.claims.is_empty())
        {
            continue;
        }
        let required = |spec: &karpsim::model::core::PodSpec| {
            let affinity = spec.affinity.as_ref()?.node_affinity.as_ref()?;
            affinity.required.as_ref().map(|required| required.node_selector_terms.clone())
        };
        let terms = required(&set.spec.template.spec).or_else(|| required(&pod.spec)).unwrap_or_default();
        daemons.push(Daemon {
            name: format!("{}/{}", pod.metadata.namespace, pod.metadata.name),
            requests: pod_requests(&pod),
            selector: Requirements::of_labels(rules, &pod.spec.node_selector),
            terms: terms
                .iter()
                .map(|term| {
                    Requirements::of_expressions(rules, term.match_expressions.as_deref().unwrap_or_default())
                })
                .collect(),
            tolerations: pod.spec.tolerations.clone(),
            ports: host_ports(&pod.spec),
        });
    }
    daemons
}

/// The newest pod of the set, the first by name among equals; or else a pod out of its template, with limits for requests
/// that are not written.
fn stand_in(scenario: &Scenario, set: &DaemonSet) -> Pod {
    let mut own: Vec<&Pod> = scenario
        .objects
        .pods
        .iter()
        .map(|pod| &**pod)
        .filter(|pod| {
            let owners = &pod.metadata.owner_references;
            pod.metadata.namespace == set.metadata.namespace
                && owners.iter().any(|owner| owner.controller && owner.uid == set.metadata.uid)
        })
        .collect();
    own.sort_by_key(|pod| (std::cmp::Reverse(pod.metadata.creation_timestamp), pod.metadata.name.clone()));
    if let Some(newest) = own.first() {
        return (*newest).clone();
    }
    let mut pod = Pod { spec: set.spec.template.spec.clone(), ..Pod::default() };
    pod.metadata.name = set.metadata.name.clone();
    pod.metadata.namespace = set.metadata.namespace.clone();
    let complete = |container: &mut Container| {
        for (name, quantity) in container.resources.limits.clone().iter() {
            if container.resources.requests.get(name).is_none() {
                container.resources.requests.insert(name, quantity);
            }
        }
    };
    pod.spec.containers.iter_mut().for_each(complete);
    pod.spec.init_containers.iter_mut().for_each(complete);
    pod
}
