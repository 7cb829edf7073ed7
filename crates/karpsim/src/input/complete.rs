//! What the API server has always filled in, for scenarios that were written by hand.
//!
//! A scenario holds objects as the API server returns them. Where a decision hangs on a field that it never leaves open, a
//! field left open is taken as it would have been filled in; all else stays as it stands. For traces, whose objects stand as
//! users apply them, [`crate::input::defaults`] fills in everything.

use crate::input::defaults::BUDGET_NODES;
use crate::model::core::{Pod, ResourceRequirements};
use crate::model::karpenter::{Budget, Disruption};
use crate::model::meta::{Duration, NillableDuration, Str};
use crate::model::objects::Objects;
use std::sync::Arc;

pub(super) fn complete(objects: &mut Objects) {
    for pod in &mut objects.pods {
        // Pods are shared between scenarios: one that is whole is left alone.
        if resources(pod).any(lacks_requests) {
            let spec = &mut Arc::make_mut(pod).spec;
            spec.containers
                .iter_mut()
                .chain(&mut spec.init_containers)
                .map(|container| &mut container.resources)
                .chain(spec.resources.as_deref_mut())
                .for_each(requests_from_limits);
        }
    }
    for pool in &mut objects.node_pools {
        let Disruption { consolidate_after, budgets, .. } = &mut pool.spec.disruption;
        consolidate_after.get_or_insert(NillableDuration(Some(Duration::from_secs(0))));
        budgets
            .get_or_insert_with(|| vec![Budget { nodes: Str::const_new(BUDGET_NODES), ..Budget::default() }]);
    }
}

fn resources(pod: &Pod) -> impl Iterator<Item = &ResourceRequirements> {
    let containers = pod.spec.containers.iter().chain(&pod.spec.init_containers);
    containers.map(|container| &container.resources).chain(pod.spec.resources.as_deref())
}

fn lacks_requests(resources: &ResourceRequirements) -> bool {
    resources.limits.iter().any(|(name, _)| resources.requests.get(name).is_none())
}

/// A limit without a request is a request too.
fn requests_from_limits(resources: &mut ResourceRequirements) {
    for (name, quantity) in resources.limits.iter() {
        if resources.requests.get(name).is_none() {
            resources.requests.insert(name, quantity);
        }
    }
}
