//! One scheduling cycle.

use super::Scheduler;
use crate::attempt::{Attempt, NodeRefusals, Outcome, Placed, Preemption, Unschedulable};
use crate::batch::Signature;
use crate::class::NodeNames;
use crate::cluster::{Cluster, NodeIndex, PodInfo};
use crate::filters::{NodeView, PreFilter, Rejection};
use crate::nominator::{Nominator, is_same};
use crate::preemption;
use crate::reason::{CycleError, Plugin, Reason};
use crate::scores::{self, NodeScore, SpreadScores};
use crate::tables::{NodeTable, Tables};
use karpsim::model::core::{Pod, WhenUnsatisfiable};
use karpsim::model::meta::Str;
use rustc_hash::FxHashSet;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::sync::Arc;

/// With fewer nodes all are asked.
const FEASIBLE_MIN: usize = 100;
/// At least this part of the nodes is to be found feasible.
const PERCENT_MIN: usize = 5;

/// What a search for nodes found.
#[derive(Default)]
struct Search {
    feasible: Vec<NodeIndex>,
    refused: NodeRefusals,
    absent: Option<Reason>,
}

impl Scheduler {
    pub(super) fn attempt_info(&mut self, info: &PodInfo, now: i64) -> Attempt {
        let pod = &info.pod;
        self.cycle += 1;
        self.cluster.begin_cycle();
        let start = self.next_start;
        if self.cluster.node_count() == 0 {
            self.nominator.clear(pod);
            return Attempt::new(Outcome::NoNodes, start);
        }
        let prepared = match &mut self.tables {
            Some(tables) => prepare(&self.cluster, tables, info),
            None => self.cluster.pre_filter(info),
        };
        let prepared = match prepared {
            Ok(prepared) => prepared,
            Err(Rejection::Failed(error)) => return self.failed(pod, error, start),
            Err(Rejection::Refused(refusal)) => {
                self.nominator.keep(info);
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
        let signature = Signature::new(&self.cluster.options, info);
        let hint = self.hint(signature.as_ref(), &prepared, now);
        let search = match self.search(info, &prepared, hint.as_ref()) {
            Ok(search) => search,
            Err(error) => return self.failed(pod, error, start),
        };
        let evaluated = search.feasible.len() + search.refused.len();
        let feasible = search.feasible.len();
        let keeps_scores = self.records_scores || signature.is_some();
        let Some((best, scores)) = self.best(info, &search.feasible, keeps_scores) else {
            let unschedulable = self.preempt(info, prepared, search, now);
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
        self.batch.store(signature, hint, (best, node), others, self.cycle, now);
        match self.assume(info, &prepared, best) {
            Ok(placed) => Attempt { outcome: Outcome::Placed(placed), feasible, evaluated, start, scores },
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
        now: i64,
    ) -> Option<(NodeIndex, Str)> {
        let cluster = &self.cluster;
        self.batch.hint(signature, self.cycle, now, |node, name| {
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
            let nodes = std::iter::once(node);
            ask(&self.cluster, &self.nominator, prepared, None, nodes, 1, &mut search)?;
            if !search.feasible.is_empty() {
                return Ok(search);
            }
        }
        let named: Option<SmallVec<[NodeIndex; 1]>> = prepared
            .node_names()
            .map(|names| names.iter().filter_map(|name| self.cluster.node_index(name)).collect());
        // The table is of no use to pods that are for one node each.
        let is_of_use = named.is_none() && info.pod.spec.node_name.is_empty();
        let tables = self.tables.as_mut().filter(|_| is_of_use);
        let table = tables.map(|tables| tables.nodes(&self.cluster, &info.class));
        if named.is_some() {
            search.absent = Some(Reason::NotNamed(Plugin::NodeAffinity));
        }
        let order = self.cluster.order();
        let nodes: &[NodeIndex] = named.as_deref().unwrap_or(order);
        if !nodes.is_empty() {
            let goal = feasible_goal(&self.cluster, nodes.len());
            let from = self.next_start % nodes.len();
            let turned = nodes[from..].iter().chain(&nodes[..from]).copied();
            ask(&self.cluster, &self.nominator, prepared, table, turned, goal, &mut search)?;
        }
        let processed = search.feasible.len() + search.refused.len();
        self.next_start = (self.next_start + processed) % self.cluster.node_count().max(1);
        Ok(search)
    }

    /// The best of the nodes, and if they are wanted all scores, the best first. One node alone is not scored.
    fn best(
        &mut self,
        info: &PodInfo,
        feasible: &[NodeIndex],
        keeps_scores: bool,
    ) -> Option<(NodeIndex, Vec<scores::NodeScores>)> {
        let (cluster, class) = (&self.cluster, &*info.class);
        match feasible {
            [] => None,
            [only] => Some((*only, Vec::new())),
            _ => {
                let Some(tables) = &mut self.tables else {
                    let mut all = scores::score(cluster, info, feasible);
                    Attempt::sort_scores(cluster, &mut all);
                    return Some((all.first()?.node, all));
                };
                let raw: Vec<NodeScore> = if class.node_names == NodeNames::Any {
                    let table = tables.nodes(cluster, class);
                    feasible.iter().map(|node| table.score(*node)).collect()
                } else {
                    feasible
                        .iter()
                        .map(|node| scores::node_score(cluster, class, cluster.info(*node)))
                        .collect()
                };
                let spread = tables
                    .spread(cluster, class, WhenUnsatisfiable::ScheduleAnyway)
                    .map(|table| SpreadScores::new(cluster, class, Arc::clone(table.state()), feasible));
                let affinity = tables.affinity(cluster, &class.kind);
                let affinity = affinity.and_then(|table| table.scores());
                if !keeps_scores {
                    let totals = scores::totals(cluster, info, feasible, &raw, spread.as_ref(), affinity);
                    let best = best_of(cluster, feasible, &totals)?;
                    return Some((best, Vec::new()));
                }
                let mut all = scores::combine(cluster, info, feasible, &raw, spread.as_ref(), affinity);
                Attempt::sort_scores(cluster, &mut all);
                Some((all.first()?.node, all))
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
    fn preempt(&mut self, info: &PodInfo, prepared: PreFilter, search: Search, now: i64) -> Unschedulable {
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
                let found = preemption::find(cluster, &self.nominator, prepared, &helped, i128::from(now));
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
                        self.nominator.clear(&info.pod);
                        Preemption::NoCandidates { tried: found.refused }
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

/// What the filters have to know before they see a node, from the tables.
fn prepare(cluster: &Cluster, tables: &mut Tables, info: &PodInfo) -> Result<PreFilter, Rejection> {
    let class = &*info.class;
    let hard = tables.spread(cluster, class, WhenUnsatisfiable::DoNotSchedule);
    let hard = hard.map(|table| Arc::clone(table.state()));
    let affinity = tables.affinity(cluster, &class.kind);
    let affinity = affinity.and_then(|table| table.state(&class.kind)).cloned();
    cluster.pre_filter_with(info, || hard, || affinity)
}

/// How many feasible nodes are enough.
fn feasible_goal(cluster: &Cluster, nodes: usize) -> usize {
    if nodes < FEASIBLE_MIN {
        return nodes;
    }
    let percent = match usize::try_from(cluster.options.percentage_of_nodes_to_score) {
        Ok(0) | Err(_) => 50_usize.saturating_sub(nodes / 125).max(PERCENT_MIN),
        Ok(percent) => percent,
    };
    (nodes * percent / 100).max(FEASIBLE_MIN)
}

/// Asks nodes in turn until one more than `goal` can take the pod; that one does not count.
fn ask(
    cluster: &Cluster,
    nominator: &Nominator,
    prepared: &PreFilter,
    table: Option<&NodeTable>,
    nodes: impl Iterator<Item = NodeIndex>,
    goal: usize,
    search: &mut Search,
) -> Result<(), CycleError> {
    // Where others are expected, the table does not say enough.
    let expecting: FxHashSet<NodeIndex> =
        nominator.nodes().filter_map(|name| cluster.node_index(name)).collect();
    let mut numbers: Vec<Option<u32>> = vec![None; table.map_or(0, |table| table.refusals().len())];
    for node in nodes {
        let Some(view) = cluster.view(node) else { continue };
        let verdict = match table.filter(|_| expecting.is_empty() || !expecting.contains(&node)) {
            Some(table) => match table.refusal(node) {
                Some(refusal) => {
                    let at = refusal as usize;
                    let number =
                        *numbers[at].get_or_insert_with(|| search.refused.intern(&table.refusals()[at]));
                    search.refused.push(node, number);
                    continue;
                }
                None => prepared.filter_rest(cluster, view),
            },
            None => fits_with_nominated(cluster, nominator, prepared, view),
        };
        match verdict {
            Ok(()) if search.feasible.len() == goal => break,
            Ok(()) => search.feasible.push(node),
            Err(Rejection::Refused(refusal)) => {
                let number = search.refused.intern(&refusal);
                search.refused.push(node, number);
            }
            Err(Rejection::Failed(error)) => return Err(error),
        }
    }
    Ok(())
}

/// The node with the highest total; of equals the smallest name.
fn best_of(cluster: &Cluster, nodes: &[NodeIndex], totals: &[i64]) -> Option<NodeIndex> {
    let (mut best, mut most) = (*nodes.first()?, *totals.first()?);
    for (node, total) in nodes.iter().zip(totals) {
        let is_better = *total > most || *total == most && cluster.node_name(*node) < cluster.node_name(best);
        if is_better {
            (best, most) = (*node, *total);
        }
    }
    Some(best)
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
