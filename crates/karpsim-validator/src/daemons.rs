//! Daemon pods: one on every node that the daemon set's pods can run on.
//!
//! The pod that stands for a daemon set is its newest one, since templates change before pods do; its node affinity is
//! the template's, since the daemon set controller replaces it.
//!
//! Looser than Kubernetes: of a daemon set with OR-ed node affinity terms Karpenter looks at the first, and forgets it, and
//! so on to the last, while it tries instance types; when it comes to the nodes that stand, any may be the first. So on a
//! new node only those are sure to be reckoned with that the last term admits, on another those that every term admits.

use crate::labels::{Names, NodeLabels};
use crate::selectors::Asked;
use crate::taints::first_untolerated;
use karpsim::model::core::{DaemonSet, Pod, Taint};
use karpsim::scenario::Scenario;

/// The pods that stand for the daemon sets.
pub(crate) fn daemons(scenario: &Scenario) -> Vec<Pod> {
    scenario.objects.daemon_sets.iter().map(|set| newest_pod(scenario, set)).collect()
}

fn newest_pod(scenario: &Scenario, set: &DaemonSet) -> Pod {
    let mut own: Vec<&Pod> =
        scenario.objects.pods.iter().map(|pod| &**pod).filter(|pod| is_of(pod, set)).collect();
    own.sort_by_key(|pod| (std::cmp::Reverse(pod.metadata.creation_timestamp), pod.metadata.name.clone()));
    let template = &set.spec.template;
    let Some(newest) = own.first() else {
        let mut pod = Pod { spec: template.spec.clone(), ..Pod::default() };
        pod.metadata.namespace = set.metadata.namespace.clone();
        pod.metadata.name = set.metadata.name.clone();
        return pod;
    };
    let mut pod = (*newest).clone();
    let of_template = template.spec.affinity.as_ref().and_then(|it| it.node_affinity.as_ref());
    if let Some(required) = of_template.and_then(|affinity| affinity.required.clone()) {
        let affinity = pod.spec.affinity.get_or_insert_default().node_affinity.get_or_insert_default();
        affinity.required = Some(required);
    }
    pod
}

/// Whether `pod` belongs to the daemon set.
fn is_of(pod: &Pod, set: &DaemonSet) -> bool {
    pod.metadata.namespace == set.metadata.namespace
        && pod.metadata.owner_references.iter().any(|owner| {
            owner.kind == "DaemonSet"
                && owner.name == set.metadata.name
                && (owner.uid == set.metadata.uid || owner.uid.is_empty() || set.metadata.uid.is_empty())
        })
}

/// Which of OR-ed terms are sure to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terms {
    /// The last one.
    Last,
    /// Any of them.
    Every,
}

/// Whether the daemon is sure to run on a node with these labels and taints.
pub(crate) fn runs_on(
    daemon: &Pod,
    terms: Terms,
    names: &Names,
    labels: &NodeLabels,
    taints: &[Taint],
) -> bool {
    let mut asked = Asked::of(daemon);
    let one = |asked: &Asked| asked.met(|expression| labels.meet(names, expression));
    let looked_at = std::mem::take(&mut asked.either);
    let admits = |term: &Vec<_>| {
        one(&Asked { always: asked.always.clone(), either: vec![term.clone()], ..Asked::default() })
    };
    let admitted = match terms {
        Terms::Last => looked_at.last().is_none_or(admits),
        Terms::Every => looked_at.iter().all(admits),
    };
    one(&asked) && admitted && first_untolerated(taints, &daemon.spec.tolerations).is_none()
}
