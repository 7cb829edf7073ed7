//! The cluster in the autoscaler's head: nodes with pods, changed to try things out and changed back.
//!
//! What is tried between [`Snapshot::fork`] and [`Snapshot::revert`] is undone step by step; nothing is copied. Nodes
//! have an order, in which searches go: registered nodes by name, then upcoming ones, then those that an estimate adds.

use crate::nodes::NodeRef;
use crate::pods::{PodRef, key};
use crate::predicates::{NodeNumber, Predicates, Refusal};
use karpsim::model::meta::Str;
use rustc_hash::FxHashMap;

/// A node with its pods, in the order in which they came.
#[derive(Debug, Clone)]
pub(crate) struct NodeInfo {
    pub(crate) node: NodeRef,
    pub(crate) pods: Vec<PodRef>,
}

impl NodeInfo {
    pub(crate) fn name(&self) -> &Str {
        &self.node.metadata.name
    }
}

/// A step, to be undone.
enum Step {
    NodeAdded { at: usize },
    NodeRemoved { at: usize, number: NodeNumber },
    PodAdded { number: NodeNumber },
    PodRemoved { number: NodeNumber, at: usize, pod: PodRef },
}

/// See the module's head.
pub(crate) struct Snapshot<P> {
    predicates: P,
    /// Every node that there ever was, by number.
    infos: Vec<NodeInfo>,
    /// Those that are there, in order.
    order: Vec<NodeNumber>,
    /// Those that are there, by name. Asked for one name at a time, never walked.
    by_name: FxHashMap<Str, NodeNumber>,
    steps: Vec<Step>,
    forks: Vec<usize>,
    /// Place of the last node that a search has found. The next search begins behind it.
    last_found: usize,
}

impl<P: Predicates> Snapshot<P> {
    /// An empty cluster, where the last search ended at `last_found`.
    pub(crate) fn new(predicates: P, last_found: usize) -> Self {
        Snapshot {
            predicates,
            infos: Vec::new(),
            order: Vec::new(),
            by_name: FxHashMap::default(),
            steps: Vec::new(),
            forks: Vec::new(),
            last_found,
        }
    }

    /// Everything that there is is in. From now on, things are tried out.
    pub(crate) fn loaded(&mut self) {
        self.predicates.loaded();
        self.steps.clear();
    }

    /// Takes back all that was tried out. Returns whom was asked, and where the last search ended.
    pub(crate) fn give_back(mut self) -> (P, usize) {
        self.forks.clear();
        self.revert();
        (self.predicates, self.last_found)
    }

    /// All nodes, in order.
    pub(crate) fn nodes(&self) -> impl ExactSizeIterator<Item = &NodeInfo> {
        self.order.iter().map(|&number| &self.infos[number])
    }

    /// The node of this name.
    pub(crate) fn get(&self, name: &str) -> Option<&NodeInfo> {
        self.by_name.get(name).map(|&number| &self.infos[number])
    }

    /// From now on, steps can be undone.
    pub(crate) fn fork(&mut self) {
        self.forks.push(self.steps.len());
    }

    /// The steps since the last fork stay, as far as forks before it stay.
    pub(crate) fn commit(&mut self) {
        self.forks.pop();
    }

    /// Undoes the steps since the last fork.
    pub(crate) fn revert(&mut self) {
        let until = self.forks.pop().unwrap_or(0);
        while self.steps.len() > until {
            match self.steps.pop() {
                Some(Step::NodeAdded { at }) => {
                    let number = self.order.remove(at);
                    self.forget(number);
                }
                Some(Step::NodeRemoved { at, number }) => {
                    self.order.insert(at, number);
                    self.tell_all(number);
                    self.by_name.insert(self.infos[number].name().clone(), number);
                }
                Some(Step::PodAdded { number }) => {
                    if let Some(pod) = self.infos[number].pods.pop() {
                        self.predicates.remove_pod(number, &pod);
                    }
                }
                Some(Step::PodRemoved { number, at, pod }) => {
                    self.predicates.add_pod(number, &pod);
                    self.infos[number].pods.insert(at, pod);
                }
                None => return,
            }
        }
    }

    fn tell_all(&mut self, number: NodeNumber) {
        let info = &self.infos[number];
        self.predicates.add_node(number, &info.node);
        for pod in &info.pods {
            self.predicates.add_pod(number, pod);
        }
    }

    fn forget(&mut self, number: NodeNumber) {
        let info = &self.infos[number];
        for pod in &info.pods {
            self.predicates.remove_pod(number, pod);
        }
        self.predicates.remove_node(number);
        self.by_name.remove(info.name());
    }

    /// A node comes, behind all others.
    pub(crate) fn add_node(&mut self, info: NodeInfo) {
        self.insert_node(self.order.len(), info);
    }

    fn insert_node(&mut self, at: usize, info: NodeInfo) {
        let number = self.infos.len();
        self.by_name.insert(info.name().clone(), number);
        self.infos.push(info);
        self.order.insert(at, number);
        self.tell_all(number);
        self.steps.push(Step::NodeAdded { at });
    }

    /// A node goes, with its pods.
    pub(crate) fn remove_node(&mut self, name: &str) {
        let Some(&number) = self.by_name.get(name) else { return };
        let Some(at) = self.order.iter().position(|&it| it == number) else { return };
        self.order.remove(at);
        self.forget(number);
        self.steps.push(Step::NodeRemoved { at, number });
    }

    /// A pod comes to a node, whether it fits or not.
    pub(crate) fn add_pod(&mut self, pod: PodRef, name: &str) {
        if let Some(&number) = self.by_name.get(name) {
            self.put(pod, number);
        }
    }

    fn put(&mut self, pod: PodRef, number: NodeNumber) {
        self.predicates.add_pod(number, &pod);
        self.infos[number].pods.push(pod);
        self.steps.push(Step::PodAdded { number });
    }

    /// A pod leaves a node.
    pub(crate) fn remove_pod(&mut self, pod: &PodRef, name: &str) {
        let Some(&number) = self.by_name.get(name) else { return };
        let pods = &mut self.infos[number].pods;
        let Some(at) = pods.iter().position(|it| key(it) == key(pod)) else { return };
        let pod = pods.remove(at);
        self.predicates.remove_pod(number, &pod);
        self.steps.push(Step::PodRemoved { number, at, pod });
    }

    /// Whether the pod could come to this node. A node that is not there refuses.
    pub(crate) fn check(&mut self, pod: &PodRef, name: &str) -> Result<(), Refusal> {
        let number = *self.by_name.get(name).ok_or(Refusal::Other)?;
        self.predicates.check(pod, number)
    }

    /// Puts the pod on this node, if it fits. This is no search: the next one begins where it would have.
    pub(crate) fn schedule_on(&mut self, pod: &PodRef, name: &str) -> Result<(), Refusal> {
        self.check(pod, name)?;
        self.add_pod(pod.clone(), name);
        Ok(())
    }

    /// Puts the pod on the first node that is acceptable and that it fits on, and returns its name. The search begins
    /// behind the node that the last one found, counted among all nodes that there are now.
    pub(crate) fn schedule_anywhere(
        &mut self,
        pod: &PodRef,
        acceptable: impl Fn(&NodeInfo) -> bool,
    ) -> Option<Str> {
        let count = self.order.len();
        let (order, infos) = (&self.order, &self.infos);
        let candidates = (0..count)
            .map(|step| order[(step + 1 + self.last_found) % count])
            .filter(|&number| !infos[number].node.spec.unschedulable && acceptable(&infos[number]));
        let number = self.predicates.first_fitting(pod, candidates)?;
        self.last_found = self.order.iter().position(|&it| it == number)?;
        self.put(pod.clone(), number);
        Some(self.infos[number].name().clone())
    }

    /// `node`, without pods, takes the place of the node of this name.
    pub(crate) fn replace_with_bare(&mut self, name: &str, node: NodeRef) {
        let Some(&number) = self.by_name.get(name) else { return };
        let Some(at) = self.order.iter().position(|&it| it == number) else { return };
        self.remove_node(name);
        self.insert_node(at, NodeInfo { node, pods: Vec::new() });
    }
}

#[cfg(test)]
mod tests {
    use super::{NodeInfo, Snapshot};
    use crate::filters::Filters;
    use crate::pods::PodRef;
    use karpsim::model::core::Node;
    use std::sync::Arc;

    fn node(name: &str) -> NodeInfo {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}"}}, "status": {{"allocatable": {{"cpu": "2", "memory": "4Gi", "pods": "9"}}}}}}"#
        );
        NodeInfo { node: Arc::new(serde_json::from_str::<Node>(&text).unwrap()), pods: Vec::new() }
    }

    fn pod(name: &str, cpu: &str) -> PodRef {
        let text = format!(
            r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"containers": [{{"resources": {{"requests": {{"cpu": "{cpu}"}}}}}}]}}}}"#
        );
        Arc::new(serde_json::from_str(&text).unwrap())
    }

    fn snapshot(names: &[&str]) -> Snapshot<Filters> {
        let mut snapshot = Snapshot::new(Filters::default(), 0);
        for name in names {
            snapshot.add_node(node(name));
        }
        snapshot
    }

    fn layout(snapshot: &Snapshot<Filters>) -> Vec<String> {
        let one = |info: &NodeInfo| {
            let pods: Vec<&str> = info.pods.iter().map(|pod| pod.metadata.name.as_str()).collect();
            format!("{}:{}", info.name(), pods.join(","))
        };
        snapshot.nodes().map(one).collect()
    }

    #[test]
    fn a_search_begins_behind_the_last_find_and_a_named_try_does_not_move_it() {
        let mut snapshot = snapshot(&["a", "b", "c"]);
        let mut find = |name: &str| snapshot.schedule_anywhere(&pod(name, "1"), |_| true).unwrap();
        assert_eq!([find("p"), find("q"), find("r")], ["b", "c", "a"]);
        snapshot.schedule_on(&pod("s", "1"), "a").unwrap();
        assert!(snapshot.check(&pod("t", "1"), "a").is_err());
        assert_eq!(snapshot.schedule_anywhere(&pod("u", "1"), |_| true).unwrap(), "b");
        // Counted among all nodes, also those that are not asked.
        assert_eq!(snapshot.schedule_anywhere(&pod("v", "1"), |info| info.name() != "c"), None);
    }

    #[test]
    fn what_is_tried_out_is_taken_back_step_by_step() {
        let mut snapshot = snapshot(&["a", "b", "c"]);
        for (name, node) in [("p", "a"), ("q", "a"), ("r", "b")] {
            snapshot.add_pod(pod(name, "1"), node);
        }
        let before = layout(&snapshot);
        snapshot.fork();
        snapshot.remove_pod(&pod("p", "1"), "a");
        let bare = node("a").node;
        snapshot.replace_with_bare("a", bare);
        snapshot.fork();
        snapshot.schedule_on(&pod("p", "1"), "c").unwrap();
        snapshot.remove_node("a");
        snapshot.commit();
        snapshot.add_node(node("d"));
        assert_eq!(layout(&snapshot), ["b:r", "c:p", "d:"]);
        snapshot.revert();
        assert_eq!(layout(&snapshot), before);
        // The scheduler knows it too: `a` is full again.
        assert!(snapshot.check(&pod("t", "1"), "a").is_err());
        assert!(snapshot.check(&pod("t", "1"), "c").is_ok());
    }
}
