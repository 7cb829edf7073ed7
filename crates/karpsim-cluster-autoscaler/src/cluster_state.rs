//! Which nodes are there, which were ordered, and whether that is as it should be.

use crate::backoff::Backoff;
use crate::nodes::{NodeRef, is_suspended, readiness};
use crate::options::{NodeGroupDefaults, Options};
use crate::time::{Nanos, later, moment};
use crate::view::NodeGroupState;
use karpsim::model::meta::Str;
use std::collections::{BTreeMap, BTreeSet};

/// An order that is open.
#[derive(Debug, Clone, Copy)]
struct Order {
    increase: i64,
    expected_by: Nanos,
}

/// Nodes of a group, or of all, by what state they are in.
#[derive(Debug, Clone, Default)]
struct Counts {
    /// There are registered nodes or unregistered instances.
    known: bool,
    registered: i64,
    ready: i64,
    unready: i64,
    suspended: i64,
    not_started: Vec<Str>,
    unregistered: i64,
    long_unregistered: i64,
}

/// A group that has another size than it should, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct WrongSize {
    current: i64,
    expected: i64,
    since: Nanos,
}

/// Something that the cloud is asked for because orders were not carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Repair {
    /// Take back orders.
    DecreaseTargetSize { group: usize, by: i64 },
}

/// See the module's head.
#[derive(Debug)]
pub(crate) struct ClusterState {
    ok_total_unready_count: i64,
    max_total_unready_percentage: f64,
    options: Vec<NodeGroupDefaults>,
    orders: Vec<Option<Order>>,
    pub(crate) backoff: Backoff,
    /// Instances without a Node: their group, and when they were first seen.
    unregistered: BTreeMap<Str, (usize, Nanos)>,
    /// Instances that could not be made and have been reported.
    failed: BTreeSet<Str>,
    wrong_sizes: Vec<Option<WrongSize>>,
    counts: Vec<Counts>,
    total_unready: i64,
    total_nodes: i64,
}

impl ClusterState {
    pub(crate) fn new(groups: Vec<NodeGroupDefaults>, options: &Options) -> Self {
        let count = groups.len();
        ClusterState {
            ok_total_unready_count: options.ok_total_unready_count,
            max_total_unready_percentage: options.max_total_unready_percentage,
            options: groups,
            orders: vec![None; count],
            backoff: Backoff::new(count, options),
            unregistered: BTreeMap::new(),
            failed: BTreeSet::new(),
            wrong_sizes: vec![None; count],
            counts: vec![Counts::default(); count],
            total_unready: 0,
            total_nodes: 0,
        }
    }

    /// `by` more nodes were ordered.
    pub(crate) fn note_scale_up(&mut self, group: usize, by: i64, now: Nanos) {
        let increase = self.orders[group].map_or(0, |order| order.increase) + by;
        let expected_by = later(now, self.options[group].max_node_provision_time);
        self.orders[group] = Some(Order { increase, expected_by });
    }

    /// What the cluster and the cloud look like at the beginning of a run. Returns what the cloud is to be asked for.
    pub(crate) fn update(
        &mut self,
        nodes: &[(NodeRef, Option<usize>)],
        states: &[NodeGroupState],
        now: Nanos,
    ) -> Vec<Repair> {
        self.update_unregistered(nodes, states, now);
        self.count(nodes, now);
        self.backoff.forget_old(now);
        let repairs = self.close_orders(states, now);
        self.note_failed_instances(states, now);
        self.update_wrong_sizes(states, now);
        repairs
    }

    fn update_unregistered(
        &mut self,
        nodes: &[(NodeRef, Option<usize>)],
        states: &[NodeGroupState],
        now: Nanos,
    ) {
        let registered: BTreeSet<&str> = nodes.iter().map(|(node, _)| node.metadata.name.as_str()).collect();
        let mut unregistered = BTreeMap::new();
        for (group, state) in states.iter().enumerate() {
            for name in &state.instances {
                if !registered.contains(name.as_str()) && !state.failed_instances.contains(name) {
                    let since = self.unregistered.get(name).map_or(now, |(_, since)| *since);
                    unregistered.insert(name.clone(), (group, since));
                }
            }
        }
        self.unregistered = unregistered;
    }

    fn count(&mut self, nodes: &[(NodeRef, Option<usize>)], now: Nanos) {
        self.counts = vec![Counts::default(); self.options.len()];
        self.total_unready = 0;
        self.total_nodes = nodes.len() as i64;
        // A node without a group takes the start-up time of the last one that has one, as in the autoscaler's own loop.
        let mut startup_time = crate::options::Options::default().node_group_defaults.max_node_startup_time;
        for (node, group) in nodes {
            if let Some(group) = *group {
                startup_time = self.options[group].max_node_startup_time;
            }
            let mut nobody = Counts::default();
            let counts = match *group {
                Some(group) => &mut self.counts[group],
                None => &mut nobody,
            };
            counts.known = true;
            counts.registered += 1;
            if is_suspended(node) {
                counts.suspended += 1;
            } else if readiness(node).ready {
                counts.ready += 1;
            } else if later(moment(node.metadata.creation_timestamp), startup_time) > now {
                counts.not_started.push(node.metadata.name.clone());
            } else {
                counts.unready += 1;
                self.total_unready += 1;
            }
        }
        for (group, since) in self.unregistered.values() {
            let counts = &mut self.counts[*group];
            counts.known = true;
            if later(*since, self.options[*group].max_node_provision_time) < now {
                counts.long_unregistered += 1;
            } else {
                counts.unregistered += 1;
            }
        }
    }

    /// Nodes that should be there and are not, or are not ready for the first time yet.
    fn missing(&self, group: usize, target: i64) -> i64 {
        let counts = &self.counts[group];
        target - counts.ready - counts.unready - counts.suspended - counts.long_unregistered
    }

    /// Orders that are carried out are closed; those that took too long have failed.
    fn close_orders(&mut self, states: &[NodeGroupState], now: Nanos) -> Vec<Repair> {
        let mut repairs = Vec::new();
        for (group, state) in states.iter().enumerate() {
            let Some(order) = self.orders[group] else { continue };
            if self.missing(group, state.target_size) <= 0 {
                self.orders[group] = None;
            } else if order.expected_by < now {
                self.backoff.note_failure(group, now);
                repairs.push(Repair::DecreaseTargetSize { group, by: order.increase });
                self.orders[group] = None;
            }
        }
        repairs
    }

    /// Orders that the cloud cannot carry out.
    fn note_failed_instances(&mut self, states: &[NodeGroupState], now: Nanos) {
        let mut failed = BTreeSet::new();
        for (group, state) in states.iter().enumerate() {
            let unseen =
                state.failed_instances.iter().filter(|name| !self.failed.contains(*name)).count() as i64;
            failed.extend(state.failed_instances.iter().cloned());
            if unseen == 0 || self.missing(group, state.target_size) <= 0 {
                continue;
            }
            if let Some(order) = self.orders[group] {
                let increase = order.increase - unseen;
                self.orders[group] = (increase > 0).then_some(Order { increase, ..order });
                self.backoff.note_failure(group, now);
            }
        }
        self.failed = failed;
    }

    fn update_wrong_sizes(&mut self, states: &[NodeGroupState], now: Nanos) {
        for (group, state) in states.iter().enumerate() {
            let counts = &self.counts[group];
            let missing_at_most = counts.unregistered + counts.long_unregistered;
            let (current, expected) = (counts.registered, state.target_size);
            let wrong = counts.known && (current > expected || current < expected - missing_at_most);
            self.wrong_sizes[group] = wrong.then(|| match self.wrong_sizes[group] {
                Some(before) if before.current == current && before.expected == expected => before,
                _ => WrongSize { current, expected, since: now },
            });
        }
    }

    /// Whether few enough nodes are unready for anything to be done.
    pub(crate) fn is_healthy(&self) -> bool {
        !(self.total_unready > self.ok_total_unready_count
            && self.total_unready as f64
                > self.max_total_unready_percentage / 100.0 * self.total_nodes as f64)
    }

    /// Whether a group has the nodes that it should have, but for those that were ordered lately.
    pub(crate) fn is_group_healthy(&self, group: usize, target: i64) -> bool {
        let counts = &self.counts[group];
        let ordered = self.orders[group].map_or(0, |order| order.increase);
        let at_least = target - counts.long_unregistered - ordered;
        if !counts.known {
            return target == 0 || (at_least == 0 && target > 0);
        }
        let lacking = (at_least - counts.ready - counts.suspended).max(0);
        let there = counts.ready + counts.unready + counts.not_started.len() as i64 + counts.suspended;
        !(lacking > self.ok_total_unready_count
            && lacking as f64 > self.max_total_unready_percentage / 100.0 * there as f64)
    }

    /// Whether more nodes can be ordered for a group.
    pub(crate) fn can_scale_up(&self, group: usize, target: i64, now: Nanos) -> bool {
        self.is_group_healthy(group, target) && !self.backoff.holds(group, now)
    }

    /// How many nodes of a group are on their way, and the names of those among them that are registered.
    pub(crate) fn upcoming(&self, group: usize, target: i64, now: Nanos) -> Option<(i64, &[Str])> {
        let missing = self.missing(group, target);
        (missing > 0 && self.orders[group].is_some() && !self.backoff.holds(group, now))
            .then(|| (missing, self.counts[group].not_started.as_slice()))
    }

    /// Instances that should have had a Node long ago, by group.
    pub(crate) fn long_unregistered(&self, now: Nanos) -> Vec<(usize, Str)> {
        self.unregistered
            .iter()
            .filter(|(_, (group, since))| later(*since, self.options[*group].max_node_provision_time) < now)
            .map(|(name, (group, _))| (*group, name.clone()))
            .collect()
    }

    /// Groups that have had too few nodes for too long, and by how many.
    pub(crate) fn too_small_for_long(&self, now: Nanos) -> Vec<(usize, i64)> {
        let groups = self.wrong_sizes.iter().zip(&self.options).enumerate();
        groups
            .filter_map(|(group, (wrong, options))| {
                let wrong = (*wrong)?;
                let is_old = later(wrong.since, options.max_node_provision_time) < now;
                (is_old && wrong.current < wrong.expected).then_some((group, wrong.expected - wrong.current))
            })
            .collect()
    }
}
