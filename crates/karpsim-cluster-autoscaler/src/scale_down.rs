//! Scaling down: which nodes are unneeded, and which of them go now.
//!
//! In each run candidates are tried one by one, empty nodes first, then those that were unneeded before: a node is
//! unneeded if little of it is in use and its pods find places on other nodes, given what was found before it. A node that
//! stays unneeded for long enough goes, within the limits.

use crate::decision::UnremovableReason;
use crate::disruption_budgets::DisruptionBudgets;
use crate::drainability::{DaemonSetNames, DrainRules};
use crate::nodes::{NodeRef, TO_BE_DELETED_TAINT, is_scale_down_disabled, readiness};
use crate::options::{NodeGroupDefaults, Options};
use crate::placing::Placer;
use crate::predicates::Predicates;
use crate::quotas::Quotas;
use crate::removal::{Removal, simulate};
use crate::snapshot::{NodeInfo, Snapshot};
use crate::time::{MINUTE, Nanos, SECOND, later};
use crate::utilization::{Ignored, utilization};
use crate::view::{Controllers, NodeGroup};
use karpsim::go_sort::sort_slice;
use karpsim::model::core::Node;
use karpsim::model::meta::Str;
use std::collections::{BTreeMap, BTreeSet};

/// A node that could go.
#[derive(Debug, Clone)]
struct Unneeded {
    node: NodeRef,
    removal: Removal,
    since: Nanos,
}

/// Removals that have begun and have not ended: their group, and whether pods had to be evicted.
pub(crate) type InProgress = BTreeMap<Str, (usize, bool)>;

/// What a run works on.
pub(crate) struct ScaleDown<'a, P> {
    pub(crate) options: &'a Options,
    pub(crate) groups: &'a [NodeGroup],
    pub(crate) group_options: &'a [NodeGroupDefaults],
    pub(crate) snapshot: &'a mut Snapshot<P>,
    pub(crate) budgets: &'a mut DisruptionBudgets,
    pub(crate) controllers: &'a Controllers,
    pub(crate) daemon_sets: &'a DaemonSetNames,
    pub(crate) target_sizes: &'a [i64],
    pub(crate) in_progress: &'a InProgress,
    pub(crate) now: Nanos,
}

impl<P> ScaleDown<'_, P> {
    /// Whether a node has nothing to move, taking controllers to be there and budgets not to.
    fn is_empty(&self, info: Option<&NodeInfo>) -> Emptiness {
        let rules = DrainRules {
            options: self.options,
            controllers: None,
            daemon_sets: self.daemon_sets,
            budgets: None,
            now: self.now,
        };
        match info.map(|info| rules.pods_to_move(info)) {
            Some(Ok(pods)) if pods.moving.is_empty() => {
                Emptiness { empty: true, waits: pods.has_on_completion }
            }
            _ => Emptiness { empty: false, waits: false },
        }
    }
}

/// How soon a candidate is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Emptiness {
    empty: bool,
    waits: bool,
}

/// What is remembered of nodes from run to run.
#[derive(Debug)]
pub(crate) struct Planner {
    placer: Placer,
    unneeded: BTreeMap<Str, Unneeded>,
    unremovable: BTreeMap<Str, UnremovableReason>,
    /// Nodes whose removal was simulated in vain, and until when they are left alone.
    left_alone_until: BTreeMap<Str, Nanos>,
    /// Nodes that were unneeded when that was last asked.
    previous: BTreeSet<Str>,
    last_update: Nanos,
    shortest_interval: Nanos,
}

impl Planner {
    pub(crate) fn new(options: &Options) -> Self {
        Planner {
            placer: Placer::default(),
            unneeded: BTreeMap::new(),
            unremovable: BTreeMap::new(),
            left_alone_until: BTreeMap::new(),
            previous: BTreeSet::new(),
            last_update: i64::MIN,
            shortest_interval: options.node_group_defaults.scale_down_unneeded_time.nanos.max(1),
        }
    }

    /// Nodes that could go.
    pub(crate) fn unneeded(&self) -> impl Iterator<Item = &Str> {
        self.unneeded.keys()
    }

    /// Whether a node could go.
    pub(crate) fn is_unneeded(&self, node: &str) -> bool {
        self.unneeded.contains_key(node)
    }

    /// Nodes that stay, and why.
    pub(crate) fn unremovable(&self) -> &BTreeMap<Str, UnremovableReason> {
        &self.unremovable
    }

    /// Forgets which nodes could go.
    pub(crate) fn forget_unneeded(&mut self) {
        self.unneeded.clear();
    }

    /// The nodes of groups that can be smaller, in the order in which they are tried. `nodes` are by name.
    pub(crate) fn candidates<P: Predicates>(
        &self,
        run: &ScaleDown<'_, P>,
        nodes: &[(NodeRef, Option<usize>)],
        is_delayed: impl Fn(usize) -> bool,
    ) -> Vec<(NodeRef, usize)> {
        let mut candidates: Vec<((NodeRef, usize), Emptiness, bool)> = nodes
            .iter()
            .filter_map(|(node, group)| Some((node, (*group)?)))
            .filter(|(_, group)| run.target_sizes[*group] > run.groups[*group].min_size)
            .map(|(node, group)| {
                let name = &node.metadata.name;
                let emptiness = run.is_empty(run.snapshot.get(name));
                ((node.clone(), group), emptiness, self.previous.contains(name))
            })
            .collect();
        sort_slice(&mut candidates, |(_, a, a_before), (_, b, b_before)| {
            if a.empty != b.empty {
                return a.empty;
            }
            if a.waits != b.waits {
                return !a.waits;
            }
            *a_before && !b_before
        });
        candidates
            .into_iter()
            .map(|(candidate, ..)| candidate)
            .filter(|(_, group)| !is_delayed(*group))
            .collect()
    }

    /// Finds out which nodes could go. `destinations` are the nodes that pods can move to.
    pub(crate) fn update<P: Predicates>(
        &mut self,
        run: &mut ScaleDown<'_, P>,
        destinations: &[(NodeRef, Option<usize>)],
        candidates: &[(NodeRef, usize)],
    ) {
        let interval = run.now.saturating_sub(self.last_update).max(1);
        self.shortest_interval = self.shortest_interval.min(interval);
        self.last_update = run.now;
        run.snapshot.fork();
        let mut destinations: BTreeSet<Str> = destinations
            .iter()
            .map(|(node, _)| node.metadata.name.clone())
            .filter(|name| !run.in_progress.contains_key(name))
            .collect();
        self.unremovable.clear();
        self.left_alone_until.retain(|name, until| run.snapshot.get(name).is_some() && *until > run.now);

        let mut eligible = Vec::new();
        for (node, group) in candidates {
            let name = &node.metadata.name;
            if run.in_progress.contains_key(name) {
                continue;
            }
            match self.ineligible(run, name, *group) {
                Some(reason) => {
                    self.unremovable.insert(name.clone(), reason);
                }
                None => eligible.push(node),
            }
        }
        let limit = self.limit(run.options);
        let mut found: BTreeMap<Str, Unneeded> = BTreeMap::new();
        for node in eligible {
            if found.len() as i64 >= limit {
                break;
            }
            let name = &node.metadata.name;
            let rules = DrainRules {
                options: run.options,
                controllers: Some(run.controllers),
                daemon_sets: run.daemon_sets,
                budgets: Some(run.budgets),
                now: run.now,
            };
            match simulate(run.snapshot, name, &destinations, &mut self.placer, rules) {
                Ok(mut removal) => {
                    removal.is_risky = !run.budgets.allow_together(&removal.moving);
                    run.budgets.take(&removal.moving);
                    destinations.remove(name);
                    let since = self.unneeded.get(name).map_or(run.now, |before| before.since);
                    found.insert(name.clone(), Unneeded { node: node.clone(), removal, since });
                }
                Err(reason) => {
                    let until = later(run.now, run.options.unremovable_node_recheck_timeout);
                    self.left_alone_until.insert(name.clone(), until);
                    self.unremovable.insert(name.clone(), reason);
                }
            }
        }
        self.unneeded = found;
        self.previous = self.unneeded.keys().cloned().collect();
        run.snapshot.revert();
        self.placer.drop_old_hints();
    }

    /// Why a node cannot go, without any simulation.
    fn ineligible<P: Predicates>(
        &self,
        run: &ScaleDown<'_, P>,
        name: &str,
        group: usize,
    ) -> Option<UnremovableReason> {
        let Some(info) = run.snapshot.get(name) else { return Some(UnremovableReason::UnexpectedError) };
        if self.left_alone_until.contains_key(name) {
            return Some(UnremovableReason::RecentlyUnremovable);
        }
        if is_being_deleted(&info.node, run.now) {
            return Some(UnremovableReason::CurrentlyBeingDeleted);
        }
        if is_scale_down_disabled(&info.node) {
            return Some(UnremovableReason::ScaleDownDisabledAnnotation);
        }
        let options = &run.group_options[group];
        let ignored = Ignored {
            daemons: options.ignore_daemon_sets_utilization,
            mirrors: run.options.ignore_mirror_pods_utilization,
        };
        let Some(utilization) = utilization(info, ignored, run.now) else {
            return Some(UnremovableReason::UnexpectedError);
        };
        if !run.options.scale_down_unready_enabled && !readiness(&info.node).ready {
            return Some(UnremovableReason::ScaleDownUnreadyDisabled);
        }
        let threshold = if crate::nodes::gpu_resource(&info.node).is_some() {
            options.scale_down_gpu_utilization_threshold
        } else {
            options.scale_down_utilization_threshold
        };
        (utilization > threshold).then_some(UnremovableReason::NotUnderutilized)
    }

    /// How many unneeded nodes are worth finding: what the next removals can use, and some more.
    fn limit(&self, options: &Options) -> i64 {
        let at_once = options.max_scale_down_parallelism;
        let interval = self.shortest_interval;
        let unneeded_time = options.node_group_defaults.scale_down_unneeded_time.nanos.max(interval);
        let by_last = (self.unneeded.len() as i64).saturating_add(at_once.saturating_mul(2));
        let by_time = at_once.saturating_mul(unneeded_time / interval).saturating_add(at_once);
        by_last.min(by_time)
    }

    /// The nodes to remove now: without pods to move, and with.
    pub(crate) fn nodes_to_delete<P: Predicates>(
        &mut self,
        run: &mut ScaleDown<'_, P>,
        group_of: impl Fn(&str) -> Option<usize>,
    ) -> (Vec<(Str, usize)>, Vec<(Str, usize)>) {
        let mut quotas = Quotas::downwards(
            run.options,
            run.groups.len(),
            run.snapshot.nodes().map(|info| (&info.node, group_of(info.name()))),
        );
        let mut sizes: Vec<i64> = run.target_sizes.to_vec();
        for (group, _) in run.in_progress.values() {
            sizes[*group] -= 1;
        }
        let (empty, full): (Vec<&Unneeded>, Vec<&Unneeded>) =
            self.unneeded.values().partition(|it| it.removal.moving.is_empty());
        let mut removable = Vec::new();
        for it in empty.into_iter().chain(full) {
            let name = &it.node.metadata.name;
            let Some(group) = group_of(name) else { continue };
            match too_early(it, run, group, &mut sizes, &mut quotas) {
                Some(reason) => {
                    self.unremovable.insert(name.clone(), reason);
                }
                None => removable.push((it, group)),
            }
        }
        // Those that may fail go last.
        removable.sort_by_key(|(it, _)| !it.removal.moving.is_empty() && it.removal.is_risky);
        let (mut at_once, mut to_drain) = (Vec::new(), Vec::new());
        for (it, group) in removable {
            let name = it.node.metadata.name.clone();
            if it.removal.has_on_completion {
                self.unremovable.insert(name, UnremovableReason::BlockedByOnCompletionPod);
            } else if it.removal.moving.is_empty() {
                at_once.push((name, group));
            } else {
                to_drain.push((name, group));
            }
        }
        within_parallelism(run, at_once, to_drain)
    }
}

/// Why an unneeded node does not go yet. If it goes, it counts for those after it.
fn too_early<P>(
    unneeded: &Unneeded,
    run: &ScaleDown<'_, P>,
    group: usize,
    sizes: &mut [i64],
    quotas: &mut Quotas,
) -> Option<UnremovableReason> {
    let node = &unneeded.node;
    if is_scale_down_disabled(node) {
        return Some(UnremovableReason::ScaleDownDisabledAnnotation);
    }
    let options = &run.group_options[group];
    let (time, reason) = if readiness(node).ready {
        (options.scale_down_unneeded_time, UnremovableReason::NotUnneededLongEnough)
    } else {
        (options.scale_down_unready_time, UnremovableReason::NotUnreadyLongEnough)
    };
    if time.nanos > 0 && later(unneeded.since, time) >= run.now {
        return Some(reason);
    }
    if sizes[group] <= run.groups[group].min_size {
        return Some(UnremovableReason::NodeGroupMinSizeReached);
    }
    if quotas.take(node, group, 1) < 1 {
        return Some(UnremovableReason::MinimalResourceLimitExceeded);
    }
    sizes[group] -= 1;
    None
}

/// Cuts both lists to what may go at once, group by group in the order of their first nodes.
fn within_parallelism<P>(
    run: &ScaleDown<'_, P>,
    empty: Vec<(Str, usize)>,
    to_drain: Vec<(Str, usize)>,
) -> (Vec<(Str, usize)>, Vec<(Str, usize)>) {
    fn by_group(nodes: Vec<(Str, usize)>) -> Vec<(Str, usize)> {
        let mut first = BTreeMap::new();
        for (place, (_, group)) in nodes.iter().enumerate() {
            first.entry(*group).or_insert(place);
        }
        let mut nodes = nodes;
        nodes.sort_by_key(|(_, group)| first[group]);
        nodes
    }
    fn cut(nodes: Vec<(Str, usize)>, most: i64) -> Vec<(Str, usize)> {
        by_group(nodes).into_iter().take(usize::try_from(most).unwrap_or(0)).collect()
    }
    let drains = run.in_progress.values().filter(|(_, drains)| *drains).count() as i64;
    let budget = run.options.max_scale_down_parallelism - run.in_progress.len() as i64;
    let empty = cut(empty, budget);
    let left = (budget - empty.len() as i64).min(run.options.max_drain_parallelism - drains);
    let to_drain = cut(to_drain, left);
    (empty, to_drain)
}

/// Whether the node's removal has begun a short while ago.
fn is_being_deleted(node: &Node, now: Nanos) -> bool {
    const LONGEST: Nanos = 5 * MINUTE;
    node.spec
        .taints
        .iter()
        .find(|taint| taint.key == TO_BE_DELETED_TAINT)
        .and_then(|taint| taint.value.parse::<i64>().ok())
        .is_some_and(|since| now.saturating_sub(since.saturating_mul(SECOND)) < LONGEST)
}
