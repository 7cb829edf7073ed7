//! How many nodes of a group cores and memory in total allow.

use crate::nodes::NodeRef;
use crate::options::{Limits, Options};
use karpsim::model::core::Node;

/// Cores and bytes.
type Amounts = [i64; 2];

fn amounts(node: &Node) -> Amounts {
    ["cpu", "memory"].map(|resource| {
        node.status.capacity.get(resource).map_or(0, |amount| amount.units_rounded_up().max(0))
    })
}

/// What is left up to the limits. All nodes of a group count as the first of them that is seen.
pub(crate) struct Quotas {
    left: Amounts,
    of_group: Vec<Option<Amounts>>,
}

impl Quotas {
    /// How much can still be added to `nodes`.
    pub(crate) fn upwards<'a>(
        options: &Options,
        groups: usize,
        nodes: impl IntoIterator<Item = (&'a NodeRef, Option<usize>)>,
    ) -> Self {
        Quotas::new(options, groups, nodes, |limits, used| limits.max.saturating_sub(used))
    }

    /// How much can still be taken from `nodes`.
    pub(crate) fn downwards<'a>(
        options: &Options,
        groups: usize,
        nodes: impl IntoIterator<Item = (&'a NodeRef, Option<usize>)>,
    ) -> Self {
        Quotas::new(options, groups, nodes, |limits, used| used.saturating_sub(limits.min))
    }

    fn new<'a>(
        options: &Options,
        groups: usize,
        nodes: impl IntoIterator<Item = (&'a NodeRef, Option<usize>)>,
        left: impl Fn(Limits, i64) -> i64,
    ) -> Self {
        let mut quotas = Quotas { left: [0; 2], of_group: vec![None; groups] };
        let mut used: Amounts = [0; 2];
        for (node, group) in nodes {
            // Nodes of virtual kubelets may have any capacity.
            if node.metadata.labels.get("type") == Some("virtual-kubelet") {
                continue;
            }
            let of_node = quotas.amounts_of(node, group);
            used = [used[0].saturating_add(of_node[0]), used[1].saturating_add(of_node[1])];
        }
        quotas.left =
            [left(options.cores_total, used[0]).max(0), left(options.memory_total_bytes, used[1]).max(0)];
        quotas
    }

    fn amounts_of(&mut self, node: &Node, group: Option<usize>) -> Amounts {
        match group {
            Some(group) => *self.of_group[group].get_or_insert_with(|| amounts(node)),
            None => amounts(node),
        }
    }

    /// How many of `count` nodes like `node` are within the limits.
    pub(crate) fn allowed(&mut self, node: &Node, group: usize, count: i64) -> i64 {
        let of_node = self.amounts_of(node, Some(group));
        let per_resource = of_node.into_iter().zip(self.left).filter(|(amount, _)| *amount > 0);
        per_resource.map(|(amount, left)| left / amount).fold(count, i64::min)
    }

    /// As [`Quotas::allowed`]; if all are allowed they count from now on.
    pub(crate) fn take(&mut self, node: &Node, group: usize, count: i64) -> i64 {
        let allowed = self.allowed(node, group, count);
        if allowed == count {
            let of_node = self.amounts_of(node, Some(group));
            for (left, amount) in self.left.iter_mut().zip(of_node) {
                *left = left.saturating_sub(amount.saturating_mul(count)).max(0);
            }
        }
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::Quotas;
    use crate::options::Options;
    use karpsim::model::core::Node;
    use std::sync::Arc;

    fn node(cpu: &str, memory: &str) -> Arc<Node> {
        let text = format!(r#"{{"status": {{"capacity": {{"cpu": "{cpu}", "memory": "{memory}"}}}}}}"#);
        Arc::new(serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn fractional_cores_are_rounded_up_and_whole_nodes_are_allowed() {
        let mut options = Options::default();
        options.set("cores-total", "0:10").unwrap();
        let there = node("1500m", "1Gi");
        let mut quotas = Quotas::upwards(&options, 2, [(&there, None)]);
        let new = node("3", "4Gi");
        assert_eq!(quotas.allowed(&new, 0, 5), 2);
        assert_eq!(quotas.take(&new, 0, 2), 2);
        assert_eq!(quotas.allowed(&node("3", "4Gi"), 1, 1), 0);
    }

    #[test]
    fn downwards_the_minimum_is_kept() {
        let mut options = Options::default();
        options.set("memory-total", "6:100").unwrap();
        let nodes = [node("2", "4Gi"), node("2", "4Gi")];
        let mut quotas = Quotas::downwards(&options, 1, nodes.iter().map(|node| (node, Some(0))));
        assert_eq!(quotas.take(&nodes[0], 0, 1), 0);
        options.set("memory-total", "4:100").unwrap();
        let mut quotas = Quotas::downwards(&options, 1, nodes.iter().map(|node| (node, Some(0))));
        assert_eq!(quotas.take(&nodes[0], 0, 1), 1);
        assert_eq!(quotas.take(&nodes[1], 0, 1), 0);
    }
}
