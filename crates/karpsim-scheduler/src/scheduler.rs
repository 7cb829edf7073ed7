//! One scheduling cycle: filters, scores, preemption, and what is assumed afterwards.

use crate::attempt::{Attempt, NodeRefusals, Outcome, Placed, Preemption, Unschedulable};
use crate::batch::{Batch, Signature};
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::filters::{NodeView, PreFilter, Rejection};
use crate::nominator::{Nominator, is_same};
use crate::options::Options;
use crate::preemption;
use crate::reason::{CycleError, Plugin, Reason};
use crate::scores;
use karpsim::api::core::Pod;
use karpsim::api::meta::{Str, Time};
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// With fewer nodes all are asked.
const FEASIBLE_MIN: usize = 100;
/// At least this part of the nodes is to be found feasible.
const PERCENT_MIN: usize = 5;

/// kube-scheduler's cycle over a [`Cluster`].
#[derive(Debug, Clone)]
pub struct Scheduler {
    /// What it sees.
    pub cluster: Cluster,
    nominator: Nominator,
    next_start: usize,
    cycle: u64,
    batch: Batch,
}

/// What a search for nodes found.
#[derive(Default)]
struct Search {
    feasible: Vec<NodeIndex>,
    refused: NodeRefusals,
    absent: Option<Reason>,
}

impl Scheduler {
    /// A scheduler of an empty cluster.
    pub fn new(options: Options) -> Self {
        Scheduler {
            cluster: Cluster::new(options),
            nominator: Nominator::default(),
            next_start: 0,
            cycle: 0,
            batch: Batch::default(),
        }
    }

    /// A pod is nominated no more: it is gone, or bound.
    pub fn forget_nomination(&mut self, pod: &Pod) {
        self.nominator.clear(pod);
    }

    /// Tries to place a pod; a node that its status says it is nominated to is tried first. If a node is found, the pod is there from now on as if it were bound, and what it needs of
    /// volumes is taken; once it is bound, [`Cluster::set_pod`] says so. Victims of preemption stay until they are
    /// [removed](Cluster::remove_pod).
    pub fn attempt(&mut self, pod: &Arc<Pod>, now: Time) -> Attempt {
        let info = self.cluster.pod_info(pod);
        let now_nanos = now.0.as_nanosecond();
        self.cycle += 1;
        self.cluster.begin_cycle();
        let start = self.next_start;
        if self.cluster.node_count() == 0 {
            self.nominator.clear(pod);
            return Attempt::new(Outcome::NoNodes, start);
        }
        let prepared = match self.cluster.pre_filter(&info) {
            Ok(prepared) => prepared,
            Err(Rejection::Failed(error)) => return self.failed(pod, error, start),
            Err(Rejection::Refused(refusal)) => {
                self.nominator.keep(&info);
                let unschedulable = Unschedulable {
                    node_count: self.cluster.node_count(),
                    pre_filter: Some(refusal),
                    nodes: NodeRefusals::default(),
                    absent: None,
                    preemption: Preemption::NotTried,
                };
                return Attempt::new(Outcome::Unschedulable(Box::new(unschedulable)), start);
            }
        };
        let signature = Signature::new(&self.cluster.options, &info);
        let hint = self.hint(signature.as_ref(), &prepared, now_nanos);
        let search = match self.search(&info, &prepared, hint.as_ref()) {
            Ok(search) => search,
            Err(error) => return self.failed(pod, error, start),
        };
        let evaluated = search.feasible.len() + search.refused.len();
        let feasible = search.feasible.len();
        let Some((best, scores)) = self.best(&info, &search.feasible) else {
            let unschedulable = self.preempt(&info, &prepared, search, now_nanos);
            let outcome = Outcome::Unschedulable(Box::new(unschedulable));
            return Attempt { evaluated, ..Attempt::new(outcome, start) };
        };
        let others: VecDeque<(NodeIndex, Str)> = scores
            .iter()
            .skip(1)
            .map(|score| (score.node, self.cluster.node_name(score.node).clone()))
            .collect();
        let node = self.cluster.node_name(best).clone();
        let hint = hint.map(|(node, _)| node);
        self.batch.store(signature, hint, (best, node.clone()), others, self.cycle, now_nanos as i64);
        match self.assume(&info, &prepared, best) {
            Ok(placed) => {
                Attempt { outcome: Outcome::Placed(placed), feasible, evaluated, start, scores }
            }
            Err(error) => self.failed(pod, error, start),
        }
    }

    fn failed(&mut self, pod: &Pod, error: CycleError, start: usize) -> Attempt {
        self.nominator.clear(pod);
        Attempt::new(Outcome::Failed(error), start)
    }

    /// The node that batching tries first.
    fn hint(
        &mut self,
        signature: Option<&Signature>,
        prepared: &PreFilter,
        now_nanos: i128,
    ) -> Option<(NodeIndex, Str)> {
        let cluster = &self.cluster;
        self.batch.hint(signature, self.cycle, now_nanos as i64, |node, name| {
            cluster.node_index(name) == Some(node)
                && matches!(cluster.filter(prepared, node), Err(Rejection::Refused(_)))
        })
    }

    /// Looks for nodes: the nominated one, or that of batching, alone; else all that are asked.
    fn search(
        &mut self,
        info: &PodInfo,
        prepared: &PreFilter,
        hint: Option<&(NodeIndex, Str)>,
    ) -> Result<Search, CycleError> {
        let mut search = Search::default();
        let nominated = nominated_node(&info.pod).or(hint.map(|(_, name)| name.as_str()));
        if let Some(node) = nominated.and_then(|name| self.cluster.node_index(name)) {
            self.ask(prepared, std::iter::once(node), 1, &mut search)?;
            if !search.feasible.is_empty() {
                return Ok(search);
            }
        }
        let named: Option<SmallVec<[NodeIndex; 1]>> = prepared
            .node_names()
            .map(|names| names.iter().filter_map(|name| self.cluster.node_index(name)).collect());
        if named.is_some() {
            search.absent = Some(Reason::NotNamed(Plugin::NodeAffinity));
        }
        let order = self.cluster.order();
        let nodes: &[NodeIndex] = named.as_deref().unwrap_or(order);
        if !nodes.is_empty() {
            let goal = self.feasible_goal(nodes.len());
            let from = self.next_start % nodes.len();
            let turned = nodes[from..].iter().chain(&nodes[..from]).copied();
            self.ask(prepared, turned, goal, &mut search)?;
        }
        let processed = search.feasible.len() + search.refused.len();
        self.next_start = (self.next_start + processed) % self.cluster.node_count().max(1);
        Ok(search)
    }

    /// How many feasible nodes are enough.
    fn feasible_goal(&self, nodes: usize) -> usize {
        if nodes < FEASIBLE_MIN {
            return nodes;
        }
        let percent = match usize::try_from(self.cluster.options.percentage_of_nodes_to_score) {
            Ok(0) | Err(_) => 50_usize.saturating_sub(nodes / 125).max(PERCENT_MIN),
            Ok(percent) => percent,
        };
        (nodes * percent / 100).max(FEASIBLE_MIN)
    }

    /// Asks nodes in turn until one more than `goal` can take the pod; that one does not count.
    fn ask(
        &self,
        prepared: &PreFilter,
        nodes: impl Iterator<Item = NodeIndex>,
        goal: usize,
        search: &mut Search,
    ) -> Result<(), CycleError> {
        for node in nodes {
            let Some(view) = self.cluster.view(node) else { continue };
            match fits_with_nominated(&self.cluster, &self.nominator, prepared, view) {
                Ok(()) if search.feasible.len() == goal => break,
                Ok(()) => search.feasible.push(node),
                Err(Rejection::Refused(refusal)) => search.refused.set(node, refusal),
                Err(Rejection::Failed(error)) => return Err(error),
            }
        }
        Ok(())
    }

    /// The best of the nodes, and all scores, the best first. One node alone is not scored.
    fn best(&self, info: &PodInfo, feasible: &[NodeIndex]) -> Option<(NodeIndex, Vec<scores::NodeScores>)> {
        match feasible {
            [] => None,
            [only] => Some((*only, Vec::new())),
            _ => {
                let mut scores = scores::score(&self.cluster, info, feasible);
                Attempt::sort_scores(&self.cluster, &mut scores);
                Some((scores.first()?.node, scores))
            }
        }
    }

    /// Puts the pod on its node.
    fn assume(
        &mut self,
        info: &PodInfo,
        prepared: &PreFilter,
        node: NodeIndex,
    ) -> Result<Placed, CycleError> {
        let volumes = match self.cluster.node(node) {
            Some(object) if prepared.has_claims() => match prepared.volumes_on(&self.cluster, object) {
                Ok(volumes) => volumes,
                Err(Rejection::Failed(error)) => return Err(error),
                Err(Rejection::Refused(_)) => Default::default(),
            },
            _ => Default::default(),
        };
        let node = self.cluster.node_name(node).clone();
        self.cluster.assume_volumes(&volumes, &node);
        self.cluster.place(info, &node);
        self.nominator.clear(&info.pod);
        Ok(Placed { node, volumes })
    }

    /// No node can take the pod: looks whether evicting others helps.
    fn preempt(
        &mut self,
        info: &PodInfo,
        prepared: &PreFilter,
        search: Search,
        now_nanos: i128,
    ) -> Unschedulable {
        let cluster = &self.cluster;
        let nominated = nominated_node(&info.pod);
        // A node that was not asked is refused for good.
        let is_hopeless = |node: NodeIndex| search.refused.get(node).is_none_or(|it| it.unresolvable);
        let hopeless = nominated.and_then(|name| cluster.node_index(name)).is_none_or(is_hopeless);
        let preemption = match preemption::may_preempt(cluster, info, nominated, hopeless) {
            Err(why) => {
                self.nominator.keep(info);
                Preemption::NotEligible(why)
            }
            Ok(()) => {
                let mut helped: Vec<NodeIndex> = search
                    .refused
                    .iter()
                    .filter(|(_, refusal)| !refusal.unresolvable)
                    .map(|(node, _)| node)
                    .collect();
                helped.sort_by(|a, b| cluster.node_name(*a).cmp(cluster.node_name(*b)));
                let found = preemption::find(cluster, &self.nominator, prepared, &helped, now_nanos);
                match (found.best, found.error) {
                    (Some(candidate), _) => {
                        let node = cluster.node_name(candidate.node).clone();
                        let victims: Vec<Arc<Pod>> = candidate
                            .victims
                            .iter()
                            .map(|pod| Arc::clone(&cluster.bound(*pod).pod))
                            .collect();
                        let replaced = self.nominate(info, &node, &victims);
                        Preemption::Nominated { node, victims, replaced }
                    }
                    (None, Some(error)) => {
                        self.nominator.keep(info);
                        Preemption::Failed(error)
                    }
                    (None, None) => {
                        let mut tried = NodeRefusals::default();
                        for (node, refusal) in found.refused {
                            tried.set(node, refusal);
                        }
                        self.nominator.clear(&info.pod);
                        Preemption::NoCandidates { tried }
                    }
                }
            }
        };
        Unschedulable {
            node_count: self.cluster.node_count(),
            pre_filter: None,
            nodes: search.refused,
            absent: search.absent,
            preemption,
        }
    }

    /// Nominates the pod. If pods have to go for it that were not about to go already, those of lower priority that were
    /// nominated to the node, and know it, are no more.
    fn nominate(&mut self, info: &PodInfo, node: &str, victims: &[Arc<Pod>]) -> Vec<Arc<Pod>> {
        let evicts = victims.iter().any(|victim| victim.metadata.deletion_timestamp.is_none());
        let loses = |other: &&PodInfo| {
            other.class.priority < info.class.priority && nominated_node(&other.pod).is_some()
        };
        let nominated = self.nominator.pods_for(node);
        let replaced: Vec<Arc<Pod>> = if evicts {
            nominated.iter().filter(loses).map(|other| Arc::clone(&other.pod)).collect()
        } else {
            Vec::new()
        };
        for other in &replaced {
            self.nominator.clear(other);
        }
        self.nominator.nominate(info, node);
        replaced
    }
}

/// The node that the status of a pod names.
fn nominated_node(pod: &Pod) -> Option<&str> {
    Some(pod.status.nominated_node_name.as_str()).filter(|name| !name.is_empty())
}

/// Whether a node can take the pod, with the pods of equal or higher priority that are nominated to it and without them.
pub(crate) fn fits_with_nominated(
    cluster: &Cluster,
    nominator: &Nominator,
    prepared: &PreFilter,
    view: NodeView<'_>,
) -> Result<(), Rejection> {
    if !nominator.is_empty() {
        let expected: Vec<PodInfo> = nominator
            .pods_for(&view.info.name)
            .iter()
            .filter(|other| {
                other.class.priority >= prepared.info.class.priority
                    && !is_same(&other.pod, &prepared.info.pod)
            })
            .cloned()
            .collect();
        if !expected.is_empty() {
            let mut with = prepared.clone();
            let mut info = view.info.clone();
            for other in &expected {
                info.take(&other.class.usage, &other.class.ports);
                with.update(cluster, view.index, other, 1);
            }
            with.filter(cluster, NodeView { info: &info, extra: &expected, ..view })?;
        }
    }
    prepared.filter(cluster, view)
}
