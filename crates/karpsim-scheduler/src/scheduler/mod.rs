//! Scheduling, pod by pod: which is tried next, filters, scores, preemption, and what is assumed afterwards.

#[cfg(test)]
mod against_plain;
mod cycle;
mod objects;

pub(crate) use cycle::fits_with_nominated;

use crate::attempt::{Attempt, Nomination, Outcome, Preemption};
use crate::batch::Batch;
use crate::cluster::{Cluster, PodInfo};
use crate::nominator::Nominator;
use crate::options::Options;
use crate::queue::{Plugins, Queue};
use crate::tables::Tables;
use karpsim::model::core::Pod;
use std::sync::Arc;

/// kube-scheduler: a [`Cluster`], and the pods that wait for a place in it.
///
/// Objects are told to it as they come, change and go (`set_…`, `remove_…`), each with the time in nanoseconds since 1970.
/// [`schedule_next`](Self::schedule_next) tries a pod, and [`next_wakeup`](Self::next_wakeup) says when there is something to
/// do. Nothing else happens by itself: a pod that was placed counts as bound at once, but its binding has to be told as any
/// change ([`set_pod`](Self::set_pod) with the node), and so has the end of victims of preemption.
#[derive(Debug, Clone)]
pub struct Scheduler {
    pub(crate) cluster: Cluster,
    queue: Queue,
    nominator: Nominator,
    next_start: usize,
    cycle: u64,
    batch: Batch,
    /// `None`: nothing is kept between cycles.
    tables: Option<Tables>,
    records_scores: bool,
}

impl Scheduler {
    /// A scheduler of an empty cluster.
    pub fn new(options: Options) -> Self {
        Scheduler {
            queue: Queue::new(&options),
            cluster: Cluster::new(options),
            nominator: Nominator::default(),
            next_start: 0,
            cycle: 0,
            batch: Batch::default(),
            tables: Some(Tables::default()),
            records_scores: false,
        }
    }

    /// Whether attempts tell what all nodes scored. It takes time, and is off at first.
    pub fn record_scores(&mut self, records: bool) {
        self.records_scores = records;
    }

    /// Nothing is kept between cycles: each asks every node everything.
    #[cfg(test)]
    fn keep_nothing(&mut self) {
        self.tables = None;
    }

    /// What it sees.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// How many pods wait, whether they are to be tried or not.
    pub fn pending(&self) -> usize {
        self.queue.len()
    }

    /// Tries the next pod, if there is one to be tried.
    ///
    /// If it finds no node it goes back to the queue. Its nomination, and those that it took from others, are known to the
    /// scheduler; their status is yet to be told to the world.
    pub fn schedule_next(&mut self, now: i64) -> Option<(Arc<Pod>, Attempt)> {
        loop {
            let mut queued = self.queue.pop(now)?;
            let pod = Arc::clone(&queued.info.pod);
            if pod.metadata.deletion_timestamp.is_some() {
                self.nominator.clear(&pod);
                continue;
            }
            let attempt = self.attempt_info(&queued.info, now);
            let plugins: Plugins = match &attempt.outcome {
                Outcome::Placed(_) => return Some((pod, attempt)),
                Outcome::Unschedulable(why) => why.plugins().into_iter().collect(),
                Outcome::NoNodes | Outcome::Failed(_) => Plugins::default(),
            };
            match attempt.nomination() {
                Nomination::Keep => {}
                Nomination::Clear => set_nomination(&mut queued.info, ""),
                Nomination::Set(node) => {
                    set_nomination(&mut queued.info, &node);
                    self.nominator.nominate(&queued.info, &node);
                }
            }
            if let Outcome::Unschedulable(why) = &attempt.outcome
                && let Preemption::Nominated { replaced, .. } = &why.preemption
            {
                for other in replaced {
                    self.queue.change(other, |info| set_nomination(info, ""));
                }
            }
            self.queue.give_back(queued, plugins, now);
            return Some((pod, attempt));
        }
    }

    /// When there is something to do at the latest; `None`: not before something happens.
    pub fn next_wakeup(&self, now: i64) -> Option<i64> {
        self.queue.next_wakeup(now)
    }

    /// Tries to place a pod that is not in the queue; a node that its status says it is nominated to is tried first. If a node
    /// is found, the pod counts as bound from now on.
    pub fn attempt(&mut self, pod: &Arc<Pod>, now: i64) -> Attempt {
        let info = self.cluster.pod_info(pod);
        self.attempt_info(&info, now)
    }
}

/// Sets `status.nominatedNodeName` of what is known of a pod.
fn set_nomination(info: &mut PodInfo, node: &str) {
    if info.pod.status.nominated_node_name != node {
        Arc::make_mut(&mut info.pod).status.nominated_node_name = node.into();
    }
}
