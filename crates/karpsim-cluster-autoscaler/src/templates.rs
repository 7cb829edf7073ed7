//! What a new node of a group will be, and which pods it will have from the start.

use crate::filters::belongs_on;
use crate::nodes::{HOSTNAME, NodeRef, TO_BE_DELETED_TAINT, TaintRules, has_taint, readiness};
use crate::pods::{PodRef, controller, is_daemon, is_mirror};
use crate::predicates::Predicates;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::time::{MINUTE, Nanos};
use crate::view::NodeGroup;
use karpsim::model::core::{DaemonSet, Node, Pod, TaintEffect, Toleration, TolerationOperator};
use karpsim::model::meta::{ObjectMeta, OwnerReference, Str};
use std::collections::BTreeSet;
use std::sync::Arc;

const TEMPLATE_LABEL: &str = "cluster-autoscaler.kubernetes.io/template-node";
const SYSTEM_NODE_CRITICAL: &str = "system-node-critical";

/// Labels that have an old name beside the new one.
const DEPRECATED_LABELS: [(&str, &str); 3] = [
    ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type"),
    ("topology.kubernetes.io/region", "failure-domain.beta.kubernetes.io/region"),
    ("topology.kubernetes.io/zone", "failure-domain.beta.kubernetes.io/zone"),
];

/// Makes the templates of a run, and remembers those that were made of live nodes.
#[derive(Debug)]
pub(crate) struct Templates {
    force_daemon_sets: bool,
    /// By group: the last one that was made of a live node.
    seen: Vec<Option<NodeInfo>>,
    /// How many were made. Each has a name of its own, so that a place found for a pod on a node that was expected is not
    /// taken for one on another that is expected later.
    made: u64,
}

impl Templates {
    pub(crate) fn new(groups: usize, force_daemon_sets: bool) -> Self {
        Templates { force_daemon_sets, seen: vec![None; groups], made: 0 }
    }

    /// The template of each group: made of the first of its nodes that is a good example, else the last such one, else
    /// of what the cloud says. `nodes` are all registered nodes by name, each with its group.
    pub(crate) fn of_all<P: Predicates>(
        &mut self,
        groups: &[NodeGroup],
        nodes: &[(NodeRef, Option<usize>)],
        snapshot: &Snapshot<P>,
        daemon_sets: &[Arc<DaemonSet>],
        taints: &TaintRules,
        now: Nanos,
    ) -> Vec<NodeInfo> {
        let mut found: Vec<Option<NodeInfo>> = vec![None; groups.len()];
        for (node, group) in nodes {
            let Some(group) = *group else { continue };
            if found[group].is_some() || !is_good_example(node, now) {
                continue;
            }
            if let Some(example) = snapshot.get(&node.metadata.name) {
                let name = self.next_name(&groups[group]);
                let template = template_of(example, &name, daemon_sets, self.force_daemon_sets, taints);
                self.seen[group] = Some(template.clone());
                found[group] = Some(template);
            }
        }
        let mut templates = Vec::with_capacity(groups.len());
        for (number, (found, group)) in found.into_iter().zip(groups).enumerate() {
            let template = found.or_else(|| self.seen[number].clone());
            templates.push(match template {
                Some(template) => template,
                None => of_cloud(group, &self.next_name(group), daemon_sets, taints),
            });
        }
        templates
    }

    fn next_name(&mut self, group: &NodeGroup) -> String {
        self.made += 1;
        format!("template-node-for-{}-{}", group.name, self.made)
    }
}

/// Whether new nodes can be expected to be like this one: it has been ready for over a minute and stays.
fn is_good_example(node: &Node, now: Nanos) -> bool {
    let readiness = readiness(node);
    readiness.ready
        && readiness.since.saturating_add(MINUTE) < now
        && !node.spec.unschedulable
        && !has_taint(node, TO_BE_DELETED_TAINT)
}

fn of_cloud(group: &NodeGroup, name: &str, daemon_sets: &[Arc<DaemonSet>], taints: &TaintRules) -> NodeInfo {
    let example = NodeInfo { node: group.template.clone(), pods: Vec::new() };
    let mut info = template_of(&example, name, daemon_sets, true, taints);
    let labels = &mut Arc::make_mut(&mut info.node).metadata.labels;
    for (stable, deprecated) in DEPRECATED_LABELS {
        if let Some(value) = labels.get(stable).map(Str::from) {
            labels.insert(deprecated, value);
        }
    }
    info
}

fn template_of(
    example: &NodeInfo,
    name: &str,
    daemon_sets: &[Arc<DaemonSet>],
    force_daemon_sets: bool,
    taints: &TaintRules,
) -> NodeInfo {
    let mut node = named(&example.node, name);
    node.spec.taints.retain(|taint| taints.lasts(taint));
    // The taints must be gone before DaemonSets are asked whether they run here.
    let mut node = Arc::new(node);
    let pods = pods_of_fresh_node(&example.pods, &node, daemon_sets, force_daemon_sets);
    Arc::make_mut(&mut node).metadata.labels.insert(TEMPLATE_LABEL, "true");
    NodeInfo { node, pods }
}

fn named(node: &Node, name: &str) -> Node {
    let mut node = node.clone();
    node.metadata.name = name.into();
    node.metadata.uid = name.into();
    node.metadata.labels.insert(HOSTNAME, name);
    node
}

/// A further node like `template`.
pub(crate) fn fresh_node(template: &NodeInfo, suffix: &str) -> NodeInfo {
    let node = named(&template.node, &format!("{}-{suffix}", template.name()));
    let pods = template
        .pods
        .iter()
        .map(|pod| {
            let mut pod = Pod::clone(pod);
            pod.metadata.name = format!("{}-{suffix}", pod.metadata.name).into();
            pod.metadata.uid = Str::default();
            pod.spec.node_name = node.metadata.name.clone();
            Arc::new(pod)
        })
        .collect();
    NodeInfo { node: Arc::new(node), pods }
}

fn pods_of_fresh_node(
    present: &[PodRef],
    node: &NodeRef,
    daemon_sets: &[Arc<DaemonSet>],
    force_daemon_sets: bool,
) -> Vec<PodRef> {
    let staying: Vec<&PodRef> =
        present.iter().filter(|pod| pod.metadata.deletion_timestamp.is_none()).collect();
    let running: BTreeSet<&Str> = staying
        .iter()
        .filter_map(|pod| controller(pod))
        .filter(|owner| owner.kind == "DaemonSet")
        .map(|owner| &owner.uid)
        .collect();
    let renamed = |pod: &PodRef| {
        let mut pod = Pod::clone(pod);
        pod.metadata.name = format!("{}-{}", pod.metadata.name, node.metadata.name).into();
        pod.metadata.uid = Str::default();
        pod.spec.node_name = node.metadata.name.clone();
        Arc::new(pod)
    };
    let mut pods: Vec<PodRef> =
        staying.iter().filter(|pod| is_mirror(pod) || is_daemon(pod)).map(|pod| renamed(pod)).collect();
    for daemon_set in daemon_sets {
        if running.contains(&daemon_set.metadata.uid) {
            continue;
        }
        let pod = daemon_pod(daemon_set, node);
        if (force_daemon_sets || preempts_everywhere(&pod)) && belongs_on(&pod, node) {
            pods.push(Arc::new(pod));
        }
    }
    pods
}

/// The pod that the DaemonSet would make for this node.
fn daemon_pod(daemon_set: &DaemonSet, node: &Node) -> Pod {
    let template = &daemon_set.spec.template;
    let mut spec = template.spec.clone();
    spec.node_name = node.metadata.name.clone();
    spec.tolerations.extend(daemon_tolerations(spec.host_network));
    Pod {
        metadata: ObjectMeta {
            name: format!("{}-pod-{}", daemon_set.metadata.name, node.metadata.name).into(),
            namespace: daemon_set.metadata.namespace.clone(),
            labels: template.metadata.labels.clone(),
            annotations: template.metadata.annotations.clone(),
            owner_references: vec![OwnerReference {
                kind: "DaemonSet".into(),
                name: daemon_set.metadata.name.clone(),
                uid: daemon_set.metadata.uid.clone(),
                controller: true,
                ..OwnerReference::default()
            }],
            ..ObjectMeta::default()
        },
        spec,
        ..Pod::default()
    }
}

/// What the DaemonSet controller lets its pods put up with.
fn daemon_tolerations(host_network: bool) -> impl Iterator<Item = Toleration> {
    [
        ("node.kubernetes.io/not-ready", TaintEffect::NoExecute, true),
        ("node.kubernetes.io/unreachable", TaintEffect::NoExecute, true),
        ("node.kubernetes.io/disk-pressure", TaintEffect::NoSchedule, true),
        ("node.kubernetes.io/memory-pressure", TaintEffect::NoSchedule, true),
        ("node.kubernetes.io/pid-pressure", TaintEffect::NoSchedule, true),
        ("node.kubernetes.io/unschedulable", TaintEffect::NoSchedule, true),
        ("node.kubernetes.io/network-unavailable", TaintEffect::NoSchedule, host_network),
    ]
    .into_iter()
    .filter(|(.., applies)| *applies)
    .map(|(key, effect, _)| Toleration {
        key: key.into(),
        operator: Some(TolerationOperator::Exists),
        effect: Some(effect),
        ..Toleration::default()
    })
}

/// Whether the pod makes room for itself on every node that it belongs to.
fn preempts_everywhere(pod: &Pod) -> bool {
    pod.spec.priority_class_name == SYSTEM_NODE_CRITICAL
        && matches!(pod.spec.preemption_policy.as_str(), "" | "PreemptLowerPriority")
}

#[cfg(test)]
mod tests {
    use super::{Templates, fresh_node};
    use crate::filters::Filters;
    use crate::nodes::{NodeRef, TaintRules};
    use crate::options::Options;
    use crate::snapshot::{NodeInfo, Snapshot};
    use crate::time::MINUTE;
    use crate::view::NodeGroup;
    use karpsim::model::core::{DaemonSet, Node, Pod};
    use karpsim::model::meta::Str;
    use std::sync::Arc;

    fn read<T: serde::de::DeserializeOwned>(text: &str) -> Arc<T> {
        Arc::new(serde_json::from_str(text).unwrap())
    }

    /// A node that is ready since 1970.
    fn live(name: &str, more: &str) -> NodeRef {
        read::<Node>(&format!(
            r#"{{"metadata": {{"name": "{name}", "labels": {{"live": "yes"}}}}, "spec": {{{more}}},
                "status": {{"conditions": [{{"type": "Ready", "status": "True", "lastTransitionTime": "1970-01-01T00:00:00Z"}}]}}}}"#
        ))
    }

    /// The templates of a group `g` in one run after the other, each with these nodes and pods.
    fn of_runs(
        runs: &[&[(NodeRef, &[Arc<Pod>])]],
        daemon_sets: &[Arc<DaemonSet>],
        force: bool,
    ) -> Vec<NodeInfo> {
        let rules = TaintRules::new(&Options::default());
        let cloud = r#"{"metadata": {"labels": {"topology.kubernetes.io/zone": "z"}}}"#;
        let groups = [NodeGroup::new("g", 0, 9, read::<Node>(cloud))];
        let mut templates = Templates::new(1, force);
        let one = |nodes: &&[(NodeRef, &[Arc<Pod>])]| {
            let mut snapshot = Snapshot::new(Filters::default(), 0);
            for (node, pods) in *nodes {
                snapshot.add_node(NodeInfo { node: node.clone(), pods: pods.to_vec() });
            }
            let nodes: Vec<_> = nodes.iter().map(|(node, _)| (node.clone(), Some(0))).collect();
            templates.of_all(&groups, &nodes, &snapshot, daemon_sets, &rules, 2 * MINUTE).remove(0)
        };
        runs.iter().map(one).collect()
    }

    #[test]
    fn what_is_expected_in_a_later_run_has_another_name_unless_its_template_is_remembered() {
        let names = |runs: &[&[(NodeRef, &[Arc<Pod>])]]| -> Vec<Str> {
            let templates = of_runs(runs, &[], false);
            templates.iter().map(|template| fresh_node(template, "upcoming-0").name().clone()).collect()
        };
        let of_cloud = names(&[&[], &[]]);
        assert_ne!(of_cloud[0], of_cloud[1]);
        // Made of a node that is gone in the next run: the same template, the same name.
        let remembered = names(&[&[(live("n", ""), &[])], &[]]);
        assert_eq!(remembered[0], remembered[1]);
    }

    #[test]
    fn a_live_node_is_an_example_if_it_is_not_cordoned_and_its_passing_taints_are_left_out() {
        let taints = r#""taints": [{"key": "DeletionCandidateOfClusterAutoscaler"}, {"key": "dedicated"},
            {"key": "node.kubernetes.io/memory-pressure"}]"#;
        let cordoned = live("a", r#""unschedulable": true"#);
        let templates = of_runs(&[&[(cordoned.clone(), &[]), (live("b", taints), &[])], &[]], &[], false);
        for template in &templates {
            assert_eq!(template.node.metadata.labels.get("live"), Some("yes"));
            let keys: Vec<&str> = template.node.spec.taints.iter().map(|taint| taint.key.as_str()).collect();
            assert_eq!(keys, ["dedicated"]);
        }
        let template = of_runs(&[&[(cordoned, &[])]], &[], false).remove(0);
        assert_eq!(template.node.metadata.labels.get("live"), None);
        assert_eq!(template.node.metadata.labels.get("failure-domain.beta.kubernetes.io/zone"), Some("z"));
    }

    #[test]
    fn a_live_node_lends_its_daemons_and_others_are_added_only_by_force_or_if_critical() {
        let owned = |uid: &str| {
            read::<Pod>(&format!(
                r#"{{"metadata": {{"name": "p-{uid}", "ownerReferences": [{{"kind": "DaemonSet", "uid": "{uid}", "controller": true}}]}}}}"#
            ))
        };
        let plain = read::<Pod>(r#"{"metadata": {"name": "web"}}"#);
        let daemon_set = |uid: &str, spec: &str| {
            read::<DaemonSet>(&format!(
                r#"{{"metadata": {{"name": "{uid}", "uid": "{uid}"}}, "spec": {{"template": {{"spec": {{{spec}}}}}}}}}"#
            ))
        };
        let daemon_sets = [
            daemon_set("runs", ""),
            daemon_set("missing", ""),
            daemon_set("critical", r#""priorityClassName": "system-node-critical""#),
            daemon_set("elsewhere", r#""nodeSelector": {"live": "no"}"#),
        ];
        let pods = [owned("runs"), plain];
        let owners = |nodes: &[(NodeRef, &[Arc<Pod>])], force: bool| -> Vec<Str> {
            let template = of_runs(&[nodes], &daemon_sets, force).remove(0);
            template.pods.iter().map(|pod| pod.metadata.owner_references[0].uid.clone()).collect()
        };
        assert_eq!(owners(&[(live("n", ""), &pods)], false), ["runs", "critical"]);
        assert_eq!(owners(&[(live("n", ""), &pods)], true), ["runs", "missing", "critical"]);
        assert_eq!(owners(&[], false), ["runs", "missing", "critical"]);
    }
}
