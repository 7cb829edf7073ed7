//! The main loop, one run at a time.

use crate::actuation::{Removals, soft_taints};
use crate::cluster_state::{ClusterState, Repair};
use crate::decision::{RunDecision, ScaleDownReport, ScaleDownResult, ScaleUpReport, ScaleUpResult};
use crate::disruption_budgets::DisruptionBudgets;
use crate::drainability::DaemonSetNames;
use crate::expander::Priorities;
use crate::filters::Filters;
use crate::nodes::{NodeRef, TaintRules, is_ready_and_schedulable};
use crate::options::{NodeGroupDefaults, Options};
use crate::pending::{Whereabouts, are_all_new, is_old_enough, whereabouts};
use crate::placing::Placer;
use crate::pods::{PodRef, is_daemon, is_expendable, is_recreatable, is_terminal, key, priority};
use crate::predicates::Predicates;
use crate::scale_down::{InProgress, Planner, ScaleDown};
use crate::scale_up::ScaleUp;
use crate::snapshot::{NodeInfo, Snapshot};
use crate::templates::{Templates, fresh_node};
use crate::time::{Nanos, later, moment};
use crate::view::{Cloud, ClusterView, NodeGroup, NodeGroupState};
use karpsim::go_sort::sort_slice;
use karpsim::model::core::Pod;
use karpsim::model::meta::{Duration, Str, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The Cluster Autoscaler, with all that it remembers from run to run.
#[derive(Debug)]
pub struct ClusterAutoscaler {
    options: Options,
    /// By name.
    groups: Vec<NodeGroup>,
    group_options: Vec<NodeGroupDefaults>,
    taints: TaintRules,
    cluster_state: ClusterState,
    templates: Templates,
    placer: Placer,
    planner: Planner,
    in_progress: InProgress,
    /// Kube-scheduler's filters, with the cluster of the last run.
    filters: Filters,
    /// Where the last search for any node ended.
    last_found: usize,
    last_scale_up: Nanos,
    last_deletion: Nanos,
    last_deletion_failure: Nanos,
    /// By group, for `scale-down-delay-type-local`.
    last_scale_ups: Vec<Option<Nanos>>,
    last_deletions: Vec<Option<Nanos>>,
    last_deletion_failures: Vec<Option<Nanos>>,
}

impl ClusterAutoscaler {
    /// An autoscaler that starts at `start`. It remembers nothing and is in no cool-down.
    pub fn new(options: Options, mut groups: Vec<NodeGroup>, start: Time) -> Self {
        groups.sort_by(|a, b| a.name.cmp(&b.name));
        let group_options: Vec<NodeGroupDefaults> =
            groups.iter().map(|group| group.options.over(&options.node_group_defaults)).collect();
        // Nothing has happened for an hour.
        let long_ago = moment(Some(start)).saturating_sub(Duration::from_secs(60 * 60).nanos);
        let count = groups.len();
        ClusterAutoscaler {
            taints: TaintRules::new(&options),
            cluster_state: ClusterState::new(group_options.clone(), &options),
            templates: Templates::new(count, options.force_daemon_sets),
            placer: Placer::default(),
            planner: Planner::new(&options),
            in_progress: InProgress::new(),
            filters: Filters::default(),
            last_found: 0,
            last_scale_up: long_ago,
            last_deletion: long_ago,
            last_deletion_failure: long_ago,
            last_scale_ups: vec![None; count],
            last_deletions: vec![None; count],
            last_deletion_failures: vec![None; count],
            options,
            groups,
            group_options,
        }
    }

    /// The flags.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The node groups, by name.
    pub fn node_groups(&self) -> &[NodeGroup] {
        &self.groups
    }

    /// The cloud has taken a node away that a run decided to remove.
    pub fn node_deleted(&mut self, node: &str, at: Time) {
        if let Some((group, _)) = self.in_progress.remove(node) {
            self.last_deletions[group] = Some(moment(Some(at)));
        }
    }

    /// A node that a run decided to remove stays after all.
    pub fn node_deletion_failed(&mut self, node: &str, at: Time) {
        if let Some((group, _)) = self.in_progress.remove(node) {
            self.last_deletion_failures[group] = Some(moment(Some(at)));
        }
    }

    /// One run of the main loop.
    pub fn run_once(&mut self, now: Time, view: &ClusterView, cloud: &mut dyn Cloud) -> RunDecision {
        let filters = std::mem::take(&mut self.filters).begin(view);
        let mut run = Run::new(self, view, filters, moment(Some(now)));
        let decision = run.decide(self, view, cloud);
        (self.filters, self.last_found) = run.snapshot.give_back();
        decision
    }
}

/// What one run works on.
struct Run<P> {
    now: Nanos,
    /// Registered nodes by name, each with its group.
    nodes: Vec<(NodeRef, Option<usize>)>,
    group_of: BTreeMap<Str, usize>,
    states: Vec<NodeGroupState>,
    target_sizes: Vec<i64>,
    pending: Vec<PodRef>,
    snapshot: Snapshot<P>,
    budgets: DisruptionBudgets,
    daemon_set_names: DaemonSetNames,
    /// How many nodes were ready and not cordoned at first.
    ready_nodes: i64,
    /// It is too soon to decide anything; more pods may be on their way.
    holds_scale_down: bool,
    removed_instances: Vec<Str>,
}

impl<P: Predicates> Run<P> {
    fn new(autoscaler: &ClusterAutoscaler, view: &ClusterView, predicates: P, now: Nanos) -> Self {
        let states: Vec<NodeGroupState> = autoscaler
            .groups
            .iter()
            .map(|group| view.node_groups.get(&group.name).cloned().unwrap_or_default())
            .collect();
        let group_of: BTreeMap<Str, usize> = states
            .iter()
            .enumerate()
            .flat_map(|(group, state)| state.instances.iter().map(move |name| (name.clone(), group)))
            .collect();
        let mut nodes: Vec<(NodeRef, Option<usize>)> = view
            .nodes
            .iter()
            .map(|node| (autoscaler.taints.as_taken(node), group_of.get(&node.metadata.name).copied()))
            .collect();
        nodes.sort_by(|(a, _), (b, _)| a.metadata.name.cmp(&b.metadata.name));

        let mut snapshot = Snapshot::new(predicates, autoscaler.last_found);
        for (node, _) in &nodes {
            snapshot.add_node(NodeInfo { node: node.clone(), pods: Vec::new() });
        }
        let cutoff = autoscaler.options.expendable_pods_priority_cutoff;
        let mut pods: Vec<&PodRef> =
            view.pods.iter().filter(|pod| !is_terminal(pod) && !is_expendable(pod, cutoff)).collect();
        pods.sort_by(|a, b| {
            (&a.metadata.namespace, &a.metadata.name).cmp(&(&b.metadata.namespace, &b.metadata.name))
        });
        let mut pending = Vec::new();
        let mut nominated = Vec::new();
        for pod in pods {
            match whereabouts(pod) {
                Whereabouts::On(node) => snapshot.add_pod(pod.clone(), node),
                Whereabouts::NominatedTo(node) => nominated.push((pod, node)),
                Whereabouts::Unschedulable => pending.push(pod.clone()),
                Whereabouts::Elsewhere => {}
            }
        }
        for (pod, node) in nominated {
            snapshot.add_pod(pod.clone(), node);
        }
        snapshot.loaded();
        let daemon_set_names = view
            .daemon_sets
            .iter()
            .map(|it| (it.metadata.namespace.clone(), it.metadata.name.clone()))
            .collect();
        Run {
            now,
            ready_nodes: nodes.iter().filter(|(node, _)| is_ready_and_schedulable(node)).count() as i64,
            nodes,
            group_of,
            target_sizes: states.iter().map(|state| state.target_size).collect(),
            states,
            pending,
            snapshot,
            budgets: DisruptionBudgets::new(&view.disruption_budgets),
            daemon_set_names,
            holds_scale_down: false,
            removed_instances: Vec::new(),
        }
    }

    fn decide(
        &mut self,
        autoscaler: &mut ClusterAutoscaler,
        view: &ClusterView,
        cloud: &mut dyn Cloud,
    ) -> RunDecision {
        let nodes = &self.nodes;
        autoscaler
            .in_progress
            .retain(|name, _| nodes.binary_search_by(|(node, _)| node.metadata.name.cmp(name)).is_ok());
        let templates = autoscaler.templates.of_all(
            &autoscaler.groups,
            &self.nodes,
            &self.snapshot,
            &view.daemon_sets,
            &autoscaler.taints,
            self.now,
        );
        for Repair::DecreaseTargetSize { group, by } in
            autoscaler.cluster_state.update(&self.nodes, &self.states, self.now)
        {
            self.decrease_target_size(autoscaler, cloud, group, by);
        }
        self.remove_long_unregistered(autoscaler);
        if !autoscaler.cluster_state.is_healthy() {
            autoscaler.planner.forget_unneeded();
            return self.broken_off(autoscaler);
        }
        self.remove_failed_instances();
        let mut fixed = false;
        for (group, by) in autoscaler.cluster_state.too_small_for_long(self.now) {
            fixed |= self.decrease_target_size(autoscaler, cloud, group, by);
        }
        if fixed {
            return self.broken_off(autoscaler);
        }

        self.expect_upcoming(autoscaler, &templates);
        // Nodes that there are or will be, as the run counts them. Placing pods does not change that.
        let expected: Vec<(NodeRef, Option<usize>)> = self
            .snapshot
            .nodes()
            .map(|info| (info.node.clone(), self.group_of.get(info.name()).copied()))
            .collect();
        let to_help = self.pods_to_help(autoscaler);
        let mut reports = Vec::new();
        let refusal = self.refusal_to_help(autoscaler, &to_help);
        let priorities = view.expander_priorities.as_deref().and_then(Priorities::read);
        let mut scale_up = |autoscaler: &mut ClusterAutoscaler, run: &mut Self, pods: Option<&[PodRef]>| {
            let mut scale_up = ScaleUp {
                options: &autoscaler.options,
                groups: &autoscaler.groups,
                templates: &templates,
                snapshot: &mut run.snapshot,
                cluster_state: &mut autoscaler.cluster_state,
                target_sizes: &mut run.target_sizes,
                last_scale_ups: &mut autoscaler.last_scale_ups,
                cloud: &mut *cloud,
                nodes: &expected,
                priorities: priorities.as_ref(),
                now: run.now,
            };
            let report = match pods {
                Some(pods) => scale_up.help(pods),
                None => scale_up.enforce_min_sizes(),
            };
            if report.result == ScaleUpResult::ScaleUpSuccessful {
                autoscaler.last_scale_up = run.now;
            }
            report
        };
        if refusal.is_none() {
            reports.push(scale_up(autoscaler, self, Some(&to_help)));
        }
        let scale_down = if autoscaler.options.scale_down_enabled {
            self.scale_down(autoscaler, view)
        } else {
            Removals::not_tried()
        };
        if autoscaler.options.enforce_node_group_min_size {
            reports.push(scale_up(autoscaler, self, None));
        } else if let Some(refusal) = refusal {
            reports.push(refusal);
        }
        self.decision(autoscaler, reports, scale_down)
    }

    /// A run that ends before anything is tried.
    fn broken_off(&mut self, autoscaler: &ClusterAutoscaler) -> RunDecision {
        let report = ScaleUpReport::of(ScaleUpResult::ScaleUpNotTried);
        self.decision(autoscaler, vec![report], Removals::not_tried())
    }

    fn decision(
        &mut self,
        autoscaler: &ClusterAutoscaler,
        scale_up: Vec<ScaleUpReport>,
        removals: Removals,
    ) -> RunDecision {
        let planner = &autoscaler.planner;
        let unremovable = planner
            .unremovable()
            .iter()
            .filter(|(node, _)| self.group_of.contains_key(*node))
            .map(|(node, reason)| (node.clone(), reason.clone()))
            .collect();
        RunDecision {
            scale_up,
            scale_down: ScaleDownReport {
                result: removals.result,
                unneeded: planner.unneeded().cloned().collect(),
                unremovable,
                empty: removals.empty,
                drained: removals.drained,
            },
            target_sizes: autoscaler
                .groups
                .iter()
                .map(|group| group.name.clone())
                .zip(self.target_sizes.iter().copied())
                .collect(),
            soft_taints: removals.soft_taints,
            removed_instances: std::mem::take(&mut self.removed_instances),
        }
    }

    /// Takes back orders. Returns whether the cloud did.
    fn decrease_target_size(
        &mut self,
        autoscaler: &ClusterAutoscaler,
        cloud: &mut dyn Cloud,
        group: usize,
        by: i64,
    ) -> bool {
        let done = cloud.decrease_target_size(&autoscaler.groups[group].name, by).is_ok();
        if done {
            self.target_sizes[group] -= by;
        }
        done
    }

    /// Instances that never became nodes are taken away, down to the minimum of their group.
    fn remove_long_unregistered(&mut self, autoscaler: &ClusterAutoscaler) {
        for (group, name) in autoscaler.cluster_state.long_unregistered(self.now) {
            if self.target_sizes[group] > autoscaler.groups[group].min_size {
                self.target_sizes[group] -= 1;
                self.removed_instances.push(name);
            }
        }
    }

    /// What stands for orders that cannot be carried out is taken away.
    fn remove_failed_instances(&mut self) {
        for (group, state) in self.states.iter().enumerate() {
            self.target_sizes[group] -= state.failed_instances.len() as i64;
            self.removed_instances.extend(state.failed_instances.iter().cloned());
        }
    }

    /// Puts nodes that are on their way into the snapshot, in place of those of them that are registered.
    fn expect_upcoming(&mut self, autoscaler: &ClusterAutoscaler, templates: &[NodeInfo]) {
        let mut not_started: Vec<Str> = Vec::new();
        for (group, template) in templates.iter().enumerate() {
            let upcoming = autoscaler.cluster_state.upcoming(group, self.target_sizes[group], self.now);
            let Some((count, registered)) = upcoming else { continue };
            not_started.extend(registered.iter().cloned());
            for number in 0..count {
                let info = fresh_node(template, &format!("upcoming-{number}"));
                self.group_of.insert(info.name().clone(), group);
                self.snapshot.add_node(info);
            }
        }
        for name in &not_started {
            self.snapshot.remove_node(name);
        }
        self.nodes.retain(|(node, _)| !not_started.contains(&node.metadata.name));
    }

    /// Pending pods that find no place on the nodes there are, that no DaemonSet made, and that are old enough.
    fn pods_to_help(&mut self, autoscaler: &mut ClusterAutoscaler) -> Vec<PodRef> {
        let mut pending = std::mem::take(&mut self.pending);
        pending.extend(self.pods_being_drained(autoscaler));
        sort_slice(&mut pending, |a, b| priority(a) > priority(b));
        let placed = autoscaler.placer.place(&mut self.snapshot, &pending, false, |_| true);
        autoscaler.placer.drop_old_hints();
        let delay = autoscaler.options.new_pod_scale_up_delay;
        pending
            .into_iter()
            .zip(placed)
            .filter(|(pod, placed)| !placed && !is_daemon(pod) && is_old_enough(pod, delay, self.now))
            .map(|(pod, _)| pod)
            .collect()
    }

    /// Pods that will come back from nodes that are being drained.
    fn pods_being_drained(&self, autoscaler: &ClusterAutoscaler) -> Vec<PodRef> {
        let drained = autoscaler.in_progress.iter().filter(|(_, (_, drains))| *drains);
        drained
            .filter_map(|(name, _)| self.snapshot.get(name))
            .flat_map(|info| &info.pods)
            .filter(|pod| pod.metadata.deletion_timestamp.is_none() && is_recreatable(pod))
            .map(|pod| {
                let mut pod = Pod::clone(pod);
                pod.spec.node_name = Str::default();
                Arc::new(pod)
            })
            .collect()
    }

    /// Why the pods are not helped now, as the report says it.
    fn refusal_to_help(&mut self, autoscaler: &ClusterAutoscaler, pods: &[PodRef]) -> Option<ScaleUpReport> {
        if pods.is_empty() {
            return Some(ScaleUpReport::of(ScaleUpResult::ScaleUpNotNeeded));
        }
        if autoscaler.options.max_nodes_total > 0 && self.ready_nodes >= autoscaler.options.max_nodes_total {
            let mut report = ScaleUpReport::of(ScaleUpResult::ScaleUpLimitedByMaxNodesTotal);
            report.unschedulable = pods.iter().map(|pod| key(pod)).collect();
            report.sort();
            return Some(report);
        }
        if are_all_new(pods, self.now) {
            self.holds_scale_down = true;
            return Some(ScaleUpReport::of(ScaleUpResult::ScaleUpInCooldown));
        }
        None
    }

    fn scale_down(&mut self, autoscaler: &mut ClusterAutoscaler, view: &ClusterView) -> Removals {
        let is_in_cooldown = self.is_in_cooldown(autoscaler);
        let now = self.now;
        let options = &autoscaler.options;
        let is_recent = |last: Option<Nanos>, delay| last.is_some_and(|last| later(last, delay) > now);
        let is_delayed = |group: usize| {
            options.scale_down_delay_type_local
                && (is_recent(autoscaler.last_scale_ups[group], options.scale_down_delay_after_add)
                    || is_recent(autoscaler.last_deletions[group], options.scale_down_delay_after_delete)
                    || is_recent(
                        autoscaler.last_deletion_failures[group],
                        options.scale_down_delay_after_failure,
                    ))
        };
        let mut run = ScaleDown {
            options,
            groups: &autoscaler.groups,
            group_options: &autoscaler.group_options,
            snapshot: &mut self.snapshot,
            budgets: &mut self.budgets,
            controllers: &view.controllers,
            daemon_sets: &self.daemon_set_names,
            target_sizes: &self.target_sizes,
            in_progress: &autoscaler.in_progress,
            now,
        };
        let candidates = autoscaler.planner.candidates(&run, &self.nodes, is_delayed);
        autoscaler.planner.update(&mut run, &self.nodes, &candidates);
        let mut removals = Removals::not_tried();
        if is_in_cooldown {
            removals.result = ScaleDownResult::ScaleDownInCooldown;
        } else if candidates.is_empty() {
            removals.result = ScaleDownResult::ScaleDownNoCandidates;
        } else {
            let group_of = |name: &str| self.group_of.get(name).copied();
            let (empty, to_drain) = autoscaler.planner.nodes_to_delete(&mut run, group_of);
            if empty.is_empty() && to_drain.is_empty() {
                removals.result = ScaleDownResult::ScaleDownNoNodeDeleted;
            } else {
                removals.result = ScaleDownResult::ScaleDownNodeDeleteStarted;
                autoscaler.last_deletion = now;
                removals.begin(empty, to_drain, &self.snapshot, &mut autoscaler.in_progress);
            }
        }
        let most = options.max_bulk_soft_taint_count;
        removals.soft_taints = soft_taints(&self.nodes, &autoscaler.planner, most);
        removals
    }

    fn is_in_cooldown(&self, autoscaler: &ClusterAutoscaler) -> bool {
        let options = &autoscaler.options;
        let is_recent = |last, delay| later(last, delay) > self.now;
        self.holds_scale_down
            || (!options.scale_down_delay_type_local
                && (is_recent(autoscaler.last_scale_up, options.scale_down_delay_after_add)
                    || is_recent(autoscaler.last_deletion, options.scale_down_delay_after_delete)
                    || is_recent(autoscaler.last_deletion_failure, options.scale_down_delay_after_failure)))
    }
}
