//! Pods that can stand for each other in scale-up.

use crate::placing::KINDS_OF_A_CONTROLLER;
use crate::pods::{PodRef, are_alike, controller, is_daemon};
use karpsim::model::meta::Str;
use rustc_hash::FxHashMap;

/// Pods of one controller with equal labels and specs, in order. There is at least one.
#[derive(Debug, Clone)]
pub(crate) struct PodGroup {
    pub(crate) pods: Vec<PodRef>,
    /// Groups of nodes in question of which a bare new node can take the first pod.
    pub(crate) schedulable_on: Vec<usize>,
    /// Those of which it cannot.
    pub(crate) refused_by: Vec<usize>,
    /// Whether it counts as something that can be helped.
    pub(crate) schedulable: bool,
}

impl PodGroup {
    fn of(pod: &PodRef) -> Self {
        PodGroup {
            pods: vec![pod.clone()],
            schedulable_on: Vec::new(),
            refused_by: Vec::new(),
            schedulable: false,
        }
    }

    /// The pod that stands for all.
    pub(crate) fn exemplar(&self) -> &PodRef {
        &self.pods[0]
    }
}

/// Groups in the order of their first pods. A controller has ten kinds; each pod of a further kind is a group alone, as
/// is a pod without controller.
pub(crate) fn group(pods: &[PodRef]) -> Vec<PodGroup> {
    let mut groups: Vec<PodGroup> = Vec::new();
    let mut kinds: FxHashMap<&Str, Vec<usize>> = FxHashMap::default();
    for pod in pods {
        let Some(owner) = controller(pod).filter(|_| !is_daemon(pod)) else {
            groups.push(PodGroup::of(pod));
            continue;
        };
        let of_controller = kinds.entry(&owner.uid).or_default();
        if let Some(&kind) = of_controller.iter().find(|&&kind| are_alike(pod, groups[kind].exemplar())) {
            groups[kind].pods.push(pod.clone());
            continue;
        }
        if of_controller.len() < KINDS_OF_A_CONTROLLER {
            of_controller.push(groups.len());
        }
        groups.push(PodGroup::of(pod));
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::group;
    use crate::pods::PodRef;
    use std::sync::Arc;

    fn pod(name: &str, owner: &str, cpu: usize) -> PodRef {
        Arc::new(
            serde_json::from_str(&format!(
                r#"{{"metadata": {{"name": "{name}", "ownerReferences": [{owner}]}},
                    "spec": {{"containers": [{{"resources": {{"requests": {{"cpu": "{cpu}"}}}}}}]}}}}"#
            ))
            .unwrap(),
        )
    }

    #[test]
    fn the_eleventh_kind_of_a_controller_has_a_group_for_each_pod() {
        let owner = r#"{"kind": "ReplicaSet", "uid": "u", "controller": true}"#;
        let pods: Vec<PodRef> = (0..24).map(|n| pod(&format!("p-{n}"), owner, n % 12 + 1)).collect();
        let sizes: Vec<usize> = group(&pods).iter().map(|group| group.pods.len()).collect();
        assert_eq!(sizes, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1, 1, 1]);
    }

    #[test]
    fn pods_without_controller_are_alone() {
        assert_eq!(group(&[pod("a", "", 1), pod("b", "", 1)]).len(), 2);
    }
}
