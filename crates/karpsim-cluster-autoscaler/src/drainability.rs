//! Which pods of a node can be moved away, and which keep it.

use crate::decision::BlockingReason;
use crate::disruption_budgets::DisruptionBudgets;
use crate::options::Options;
use crate::pods::{PodRef, controller, is_daemon, is_long_terminating, is_mirror, is_terminal};
use crate::snapshot::NodeInfo;
use crate::time::{Nanos, later, moment};
use crate::view::Controllers;
use karpsim::model::core::Pod;

const SAFE_TO_EVICT: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict";
const SAFE_TO_EVICT_LOCAL_VOLUMES: &str = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes";
const SYSTEM_NAMESPACE: &str = "kube-system";

/// What becomes of a pod when its node goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It moves.
    Moves,
    /// It goes with the node.
    Ignored,
    /// The node waits for its end.
    AwaitedToComplete,
    /// It keeps the node.
    Blocks(BlockingReason),
}

/// What is asked about pods.
#[derive(Clone, Copy)]
pub(crate) struct DrainRules<'a> {
    pub(crate) options: &'a Options,
    /// `None`: controllers are taken to be there.
    pub(crate) controllers: Option<&'a Controllers>,
    /// DaemonSets, sorted by namespace and name. Asked only with `controllers`.
    pub(crate) daemon_sets: &'a DaemonSetNames,
    /// `None`: there are no budgets.
    pub(crate) budgets: Option<&'a DisruptionBudgets>,
    pub(crate) now: Nanos,
}

/// Namespaces and names of DaemonSets.
pub(crate) type DaemonSetNames =
    std::collections::BTreeSet<(karpsim::model::meta::Str, karpsim::model::meta::Str)>;

/// The pods of a node that must move, or wait.
#[derive(Debug, Clone, Default)]
pub(crate) struct PodsToMove {
    pub(crate) moving: Vec<PodRef>,
    pub(crate) has_on_completion: bool,
}

/// A pod that keeps its node.
#[derive(Debug, Clone)]
pub(crate) struct Blocking {
    pub(crate) pod: PodRef,
    pub(crate) reason: BlockingReason,
}

impl DrainRules<'_> {
    /// What must happen to the pods of a node, or the first that keeps it.
    pub(crate) fn pods_to_move(&self, info: &NodeInfo) -> Result<PodsToMove, Blocking> {
        let mut pods = PodsToMove::default();
        for pod in &info.pods {
            match self.fate(pod) {
                Fate::Moves if is_daemon(pod) => {}
                Fate::Moves => pods.moving.push(pod.clone()),
                Fate::Ignored => {}
                Fate::AwaitedToComplete => pods.has_on_completion = true,
                Fate::Blocks(reason) => return Err(Blocking { pod: pod.clone(), reason }),
            }
        }
        Ok(pods)
    }

    fn fate(&self, pod: &Pod) -> Fate {
        if is_mirror(pod) || is_long_terminating(pod, self.now) {
            return Fate::Ignored;
        }
        if let Some(reason) = self.missing_controller(pod) {
            return Fate::Blocks(reason);
        }
        let safe_to_evict = pod.metadata.annotations.get(SAFE_TO_EVICT);
        if is_daemon(pod) || safe_to_evict == Some("true") || is_terminal(pod) {
            return Fate::Moves;
        }
        if safe_to_evict == Some("on-completion") {
            return Fate::AwaitedToComplete;
        }
        if !self.is_replicated(pod) {
            return Fate::Blocks(BlockingReason::NotReplicated);
        }
        if self.is_system_pod_without_budget(pod) {
            return if self.is_old_enough_to_go(pod) {
                Fate::Moves
            } else {
                Fate::Blocks(BlockingReason::UnmovableKubeSystemPod)
            };
        }
        if safe_to_evict == Some("false") {
            return Fate::Blocks(BlockingReason::NotSafeToEvictAnnotation);
        }
        if self.options.skip_nodes_with_local_storage && has_local_storage(pod) {
            return Fate::Blocks(BlockingReason::LocalStorageRequested);
        }
        if self.budgets.is_some_and(|budgets| budgets.forbids(pod)) {
            return Fate::Blocks(BlockingReason::NotEnoughPdb);
        }
        Fate::Moves
    }

    /// A controller that is gone, or that has too few replicas.
    fn missing_controller(&self, pod: &Pod) -> Option<BlockingReason> {
        let controllers = self.controllers.filter(|_| self.options.skip_nodes_with_custom_controller_pods)?;
        let owner = controller(pod)?;
        let namespace = pod.metadata.namespace.as_str();
        // A core group has no slash; whatever has more than one is no group and version.
        let (group, _) = owner.api_version.rsplit_once('/').unwrap_or(("", ""));
        if group.contains('/') {
            return None;
        }
        let counts_replicas = match owner.kind.as_str() {
            "ReplicationController" => true,
            _ if is_daemon(pod) => {
                let is_known = group == "apps" && owner.kind == "DaemonSet";
                let is_there = || self.daemon_sets.contains(&(namespace.into(), owner.name.clone()));
                return (is_known && !is_there()).then_some(BlockingReason::ControllerNotFound);
            }
            "ReplicaSet" => true,
            "Job" => false,
            "StatefulSet" if group == "apps" => false,
            _ => return None,
        };
        match controllers.find(&owner.kind, namespace, &owner.name) {
            None => Some(BlockingReason::ControllerNotFound),
            Some(Some(replicas)) if counts_replicas && *replicas < self.options.min_replica_count => {
                Some(BlockingReason::MinReplicasReached)
            }
            Some(_) => None,
        }
    }

    /// Whether something makes the pod anew.
    fn is_replicated(&self, pod: &Pod) -> bool {
        controller(pod).is_some_and(|owner| {
            !self.options.skip_nodes_with_custom_controller_pods
                || matches!(
                    owner.kind.as_str(),
                    "ReplicationController" | "Job" | "ReplicaSet" | "StatefulSet"
                )
        })
    }

    fn is_system_pod_without_budget(&self, pod: &Pod) -> bool {
        self.options.skip_nodes_with_system_pods
            && pod.metadata.namespace == SYSTEM_NAMESPACE
            && !self.budgets.is_some_and(|budgets| budgets.has_any_for(pod))
    }

    fn is_old_enough_to_go(&self, pod: &Pod) -> bool {
        let created = pod.metadata.creation_timestamp;
        created.is_some()
            && self.now > later(moment(created), self.options.blocking_system_pod_disruption_timeout)
    }
}

/// Whether the pod has files on the node that its annotation does not give up.
fn has_local_storage(pod: &Pod) -> bool {
    let given_up = pod.metadata.annotations.get(SAFE_TO_EVICT_LOCAL_VOLUMES).unwrap_or_default();
    pod.spec.volumes.iter().any(|volume| {
        let is_local =
            volume.host_path.is_some() || volume.empty_dir.as_ref().is_some_and(|it| it.medium != "Memory");
        is_local && !given_up.split(',').any(|name| !name.is_empty() && name == volume.name)
    })
}

#[cfg(test)]
mod tests {
    use super::{DaemonSetNames, DrainRules, Fate};
    use crate::decision::BlockingReason;
    use crate::disruption_budgets::DisruptionBudgets;
    use crate::options::Options;
    use crate::time::moment;
    use crate::view::Controllers;
    use karpsim::model::core::Pod;
    use std::sync::Arc;

    const OWNED: &str = r#""ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs", "controller": true}]"#;
    const BY_OPERATOR: &str = r#""ownerReferences": [{"apiVersion": "x.io/v1", "kind": "Database", "name": "d", "controller": true}]"#;

    fn fate(flags: &[(&str, &str)], metadata: &str, spec: &str, allowed: i64) -> Fate {
        let mut options = Options::default();
        for (name, value) in flags {
            options.set(name, value).unwrap();
        }
        let mut controllers = Controllers::default();
        controllers.insert("ReplicaSet", "default", "rs", Some(2));
        controllers.insert("ReplicaSet", "kube-system", "rs", Some(2));
        let budget = format!(
            r#"{{"metadata": {{"namespace": "default", "name": "b"}}, "spec": {{"selector": {{}}}},
                "status": {{"disruptionsAllowed": {allowed}}}}}"#
        );
        let budgets = DisruptionBudgets::new(&[Arc::new(serde_json::from_str(&budget).unwrap())]);
        let pod: Pod =
            serde_json::from_str(&format!(r#"{{"metadata": {{{metadata}}}, "spec": {{{spec}}}}}"#)).unwrap();
        let rules = DrainRules {
            options: &options,
            controllers: Some(&controllers),
            daemon_sets: &DaemonSetNames::new(),
            budgets: Some(&budgets),
            now: moment(Some(serde_json::from_str("\"2000-01-01T02:00:00Z\"").unwrap())),
        };
        rules.fate(&pod)
    }

    fn in_default(metadata: &str, spec: &str) -> Fate {
        fate(&[], &format!(r#""namespace": "default", {metadata}"#), spec, 1)
    }

    #[test]
    fn a_pod_moves_if_its_controller_is_there_and_its_budget_allows() {
        assert_eq!(in_default(OWNED, ""), Fate::Moves);
        assert_eq!(in_default(r#""name": "bare""#, ""), Fate::Blocks(BlockingReason::NotReplicated));
        let gone = OWNED.replace("\"rs\"", "\"gone\"");
        assert_eq!(in_default(&gone, ""), Fate::Blocks(BlockingReason::ControllerNotFound));
        let metadata = format!(r#""namespace": "default", {OWNED}"#);
        assert_eq!(fate(&[], &metadata, "", 0), Fate::Blocks(BlockingReason::NotEnoughPdb));
        let few = fate(&[("min-replica-count", "3")], &metadata, "", 1);
        assert_eq!(few, Fate::Blocks(BlockingReason::MinReplicasReached));
    }

    #[test]
    fn a_missing_controller_outweighs_safe_to_evict_and_an_operator_needs_the_flag() {
        let safe = r#""annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict": "true"}"#;
        let gone = OWNED.replace("\"rs\"", "\"gone\"");
        assert_eq!(
            in_default(&format!("{gone}, {safe}"), ""),
            Fate::Blocks(BlockingReason::ControllerNotFound)
        );
        assert_eq!(in_default(BY_OPERATOR, ""), Fate::Blocks(BlockingReason::NotReplicated));
        let metadata = format!(r#""namespace": "default", {BY_OPERATOR}"#);
        assert_eq!(
            fate(&[("skip-nodes-with-custom-controller-pods", "false")], &metadata, "", 1),
            Fate::Moves
        );
    }

    #[test]
    fn system_pods_without_budget_may_go_after_an_hour_and_then_at_once() {
        let system = |created: &str| {
            let metadata = format!(
                r#""namespace": "kube-system", "creationTimestamp": "{created}", {OWNED},
                   "annotations": {{"cluster-autoscaler.kubernetes.io/safe-to-evict": "false"}}"#
            );
            fate(&[], &metadata, "", 1)
        };
        assert_eq!(system("2000-01-01T01:00:00Z"), Fate::Blocks(BlockingReason::UnmovableKubeSystemPod));
        // Older than an hour: the annotation is no longer asked for.
        assert_eq!(system("2000-01-01T00:59:59Z"), Fate::Moves);
    }

    #[test]
    fn files_on_the_node_keep_it_unless_they_are_named_or_in_memory() {
        let volumes =
            r#""volumes": [{"name": "a", "emptyDir": {}}, {"name": "m", "emptyDir": {"medium": "Memory"}}]"#;
        assert_eq!(in_default(OWNED, volumes), Fate::Blocks(BlockingReason::LocalStorageRequested));
        let given_up =
            r#""annotations": {"cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes": "x,a"}"#;
        assert_eq!(in_default(&format!("{OWNED}, {given_up}"), volumes), Fate::Moves);
        let memory = r#""volumes": [{"name": "m", "emptyDir": {"medium": "Memory"}}]"#;
        assert_eq!(in_default(OWNED, memory), Fate::Moves);
    }
}
