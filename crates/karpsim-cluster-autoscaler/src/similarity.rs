//! Which node groups are alike, and how a scale-up is spread over them.

use crate::options::Options;
use crate::pods::milli;
use crate::snapshot::NodeInfo;
use karpsim::go_sort::sort_slice;
use karpsim::kubernetes::requests::{add, pod_requests};
use karpsim::model::core::ResourceList;
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use std::collections::{BTreeMap, BTreeSet};

/// Labels that similar groups may differ in.
const IGNORED_LABELS: [&str; 14] = [
    "kubernetes.io/hostname",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "beta.kubernetes.io/fluentd-ds-ready",
    "kops.k8s.io/instancegroup",
    "alpha.eksctl.io/instance-id",
    "alpha.eksctl.io/nodegroup-name",
    "eks.amazonaws.com/nodegroup",
    "k8s.amazonaws.com/eniConfig",
    "lifecycle",
    "topology.ebs.csi.aws.com/zone",
    "topology.k8s.aws/zone-id",
];

/// Whether new nodes of two groups will be so much alike that the groups can share a scale-up.
pub(crate) fn are_similar(a: &NodeInfo, b: &NodeInfo, options: &Options) -> bool {
    if !options.balancing_labels.is_empty() {
        return options.balancing_labels.iter().all(|label| {
            let value = |info: &NodeInfo| info.node.metadata.labels.get(label).map(Str::from);
            value(a).is_some() && value(a) == value(b)
        });
    }
    has_equal_capacity(a, b, options.memory_difference_ratio)
        && are_within(
            &by_name(&a.node.status.allocatable),
            &by_name(&b.node.status.allocatable),
            options.max_allocatable_difference_ratio,
        )
        && are_within(&free(a), &free(b), options.max_free_difference_ratio)
        && has_equal_labels(a, b, &options.balancing_ignore_labels)
}

type ByName = BTreeMap<Str, Quantity>;

fn by_name(list: &ResourceList) -> ByName {
    list.iter().map(|(name, amount)| (name.into(), amount)).collect()
}

/// Capacity is equal, but for a little memory.
fn has_equal_capacity(a: &NodeInfo, b: &NodeInfo, memory_difference_ratio: f64) -> bool {
    let (a, b) = (by_name(&a.node.status.capacity), by_name(&b.node.status.capacity));
    a.keys().eq(b.keys())
        && a.iter().zip(b.values()).all(|((name, a), b)| {
            if name == "memory" { is_within(*a, *b, memory_difference_ratio) } else { a == b }
        })
}

/// What the pods that a node has from the start leave of it. Of other resources than the usual ones only those count
/// that such pods ask for.
fn free(info: &NodeInfo) -> ByName {
    let mut requested: ByName =
        ["cpu", "memory", "pods", "ephemeral-storage"].map(|name| (Str::from(name), Quantity::ZERO)).into();
    for pod in &info.pods {
        let mut requests = pod_requests(pod);
        // The number of pods is no request.
        requests.remove("pods");
        add(&mut requested, &requests);
    }
    let left = |name: &str, amount: Quantity| {
        let allocatable = info.node.status.allocatable.get(name).unwrap_or_default();
        Quantity::from_nanos(allocatable.nanos() - amount.nanos())
    };
    requested.into_iter().map(|(name, amount)| (name.clone(), left(&name, amount))).collect()
}

fn are_within(a: &ByName, b: &ByName, ratio: f64) -> bool {
    a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| is_within(*a, *b, ratio))
}

fn is_within(a: Quantity, b: Quantity, ratio: f64) -> bool {
    let (a, b) = (milli(a) as f64, milli(b) as f64);
    let (larger, smaller) = (a.max(b), a.min(b));
    larger - smaller <= larger * ratio
}

fn has_equal_labels(a: &NodeInfo, b: &NodeInfo, ignored: &[Str]) -> bool {
    let counted = |info: &NodeInfo| -> BTreeSet<(Str, Str)> {
        info.node
            .metadata
            .labels
            .iter()
            .filter(|(label, _)| !IGNORED_LABELS.contains(label) && !ignored.iter().any(|it| it == label))
            .map(|(label, value)| (label.into(), value.into()))
            .collect()
    };
    counted(a) == counted(b)
}

/// A group whose size is to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Resize {
    pub(crate) group: usize,
    pub(crate) from: i64,
    pub(crate) to: i64,
    max: i64,
}

impl Resize {
    /// From one size to another.
    pub(crate) fn new(group: usize, from: i64, to: i64, max: i64) -> Self {
        Resize { group, from, to, max }
    }
}

/// Spreads `nodes` one by one over groups (number, size, maximum), always to the smallest; full ones drop out. Groups
/// that get none are left out.
pub(crate) fn balance(groups: &[(usize, i64, i64)], nodes: i64) -> Vec<Resize> {
    let mut resizes: Vec<Resize> = groups
        .iter()
        .filter(|(_, size, max)| size != max)
        .map(|&(group, size, max)| Resize::new(group, size, size, max))
        .collect();
    let room: i64 = resizes.iter().map(|resize| (resize.max - resize.from).max(0)).sum();
    let mut left = nodes.min(room);
    sort_slice(&mut resizes, |a, b| a.from < b.from);
    // Before `first` are those that are full. From `first` to `current` all have one size, and what follows is at most
    // one node smaller than those that were already given one.
    let (mut first, mut current) = (0, 0);
    while left > 0 {
        let size = {
            let resize = &mut resizes[current];
            if resize.to < resize.max {
                resize.to += 1;
                left -= 1;
                resize.to
            } else {
                resizes.swap(first, current);
                first += 1;
                // After the exchange the place holds another group, whose size decides how to go on.
                resizes[current].to
            }
        };
        let next_is_smaller = resizes.get(current + 1).is_some_and(|next| size > next.to);
        current = if next_is_smaller { current + 1 } else { first };
    }
    resizes.retain(|resize| resize.to != resize.from);
    resizes
}

#[cfg(test)]
mod tests {
    use super::{are_similar, balance};
    use crate::options::Options;
    use crate::snapshot::NodeInfo;
    use std::sync::Arc;

    fn sizes(groups: &[(i64, i64)], nodes: i64) -> Vec<i64> {
        let numbered: Vec<(usize, i64, i64)> =
            groups.iter().enumerate().map(|(number, &(size, max))| (number, size, max)).collect();
        let mut sizes: Vec<i64> = groups.iter().map(|(size, _)| *size).collect();
        for resize in balance(&numbered, nodes) {
            sizes[resize.group] = resize.to;
        }
        sizes
    }

    #[test]
    fn nodes_go_to_the_smallest_groups_until_all_are_level() {
        assert_eq!(sizes(&[(3, 10), (0, 10), (1, 10)], 3), [3, 2, 2]);
        // When all are level, the one that was smallest at first goes on.
        assert_eq!(sizes(&[(3, 10), (0, 10), (1, 10)], 6), [3, 4, 3]);
        assert_eq!(sizes(&[(0, 1), (0, 2), (0, 10)], 7), [1, 2, 4]);
        assert_eq!(sizes(&[(0, 1), (0, 2)], 7), [1, 2]);
        assert_eq!(sizes(&[(5, 5), (7, 6)], 1), [5, 7]);
    }

    fn node(name: &str, memory: &str, more: &str) -> NodeInfo {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}", "labels": {{"kubernetes.io/hostname": "{name}" {more}}}}},
                "status": {{"capacity": {{"cpu": "4", "memory": "{memory}"}},
                            "allocatable": {{"cpu": "4", "memory": "{memory}"}}}}}}"#
        );
        NodeInfo { node: Arc::new(serde_json::from_str(&text).unwrap()), pods: Vec::new() }
    }

    #[test]
    fn a_little_memory_and_the_zone_may_differ_but_no_other_label() {
        let options = Options::default();
        let plain = node("a", "16000Mi", "");
        assert!(are_similar(
            &plain,
            &node("b", "15760Mi", r#", "topology.kubernetes.io/zone": "z""#),
            &options
        ));
        assert!(!are_similar(&plain, &node("b", "15759Mi", ""), &options));
        assert!(!are_similar(&plain, &node("b", "16000Mi", r#", "team": "a""#), &options));
    }

    #[test]
    fn with_labels_to_balance_by_nothing_else_is_asked() {
        let mut options = Options::default();
        options.set("balancing-label", "team").unwrap();
        let a = node("a", "1Gi", r#", "team": "a""#);
        assert!(are_similar(&a, &node("b", "64Gi", r#", "team": "a", "x": "y""#), &options));
        assert!(!are_similar(&a, &node("b", "1Gi", ""), &options));
    }
}
