//! The controllers of workloads: they keep as many pods as they should.

use super::budgets::rounded_up;
use super::pods::{NewPod, Owner, PodState};
use super::workload::{Kind, Update, Workload, WorkloadKey};
use super::{Happening, World};
use crate::scheduler::{PodId, tolerated};
use karpsim::kubernetes::pods::{is_terminal, is_terminating};
use karpsim::model::core::{Taint, TaintEffect, Toleration, TolerationOperator};
use karpsim::model::meta::{IntOrString, Str};
use karpsim_controller::SECOND;
use std::sync::Arc;

/// A Job that lost a pod waits before it makes another, …
const JOB_BACKOFF: i64 = 10 * SECOND;
/// … twice as long for every one that it lost in a row, up to this.
const JOB_BACKOFF_MAX: i64 = 360 * SECOND;

impl World<'_> {
    /// Brings a workload to its count.
    pub(crate) fn reconcile_workload(&mut self, key: &WorkloadKey) {
        match key.kind {
            Kind::Deployment | Kind::ReplicaSet => self.reconcile_replicas(key),
            Kind::StatefulSet => self.reconcile_stateful(key),
            Kind::Job => self.reconcile_job(key),
            Kind::DaemonSet => self.daemons_dirty = true,
            Kind::Other => {}
        }
    }

    fn active_pods(&self, workload: &Workload) -> Vec<PodId> {
        let active = |id: &&PodId| self.pods.get(id).is_some_and(PodState::is_active);
        workload.pods.iter().filter(active).copied().collect()
    }

    fn make(&mut self, key: &WorkloadKey, name: Option<Str>, pinned: Option<Str>) {
        let Some(workload) = self.workloads.get_mut(key) else { return };
        let name = name.unwrap_or_else(|| {
            workload.number += 1;
            Str::from(format!("{}-{}", key.name, workload.number))
        });
        let new = NewPod {
            name,
            shape: Arc::clone(&workload.shape),
            owner: Owner::Workload(key.clone()),
            label: workload.label.clone(),
            duration: None,
            delete_at: None,
            revision: workload.revision,
            pinned,
        };
        let id = self.create_pod(new);
        if let Some(workload) = self.workloads.get_mut(key) {
            workload.pods.insert(id);
        }
    }

    fn reconcile_replicas(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.get(key) else { return };
        let active = self.active_pods(workload);
        let desired = workload.replicas;
        let (old, new): (Vec<PodId>, Vec<PodId>) = active.iter().copied().partition(|id| {
            self.pods.get(id).is_some_and(|state| state.revision != workload.revision)
                && workload.update != Update::Never
        });
        let (surge, unavailable) = match &workload.update {
            Update::Rolling { max_surge, max_unavailable } => {
                let surge = rounded_up(max_surge, desired);
                let unavailable = match max_unavailable {
                    IntOrString::Int(number) => *number,
                    // Rounded down, but both at nothing would never come to an end.
                    text => {
                        let up = rounded_up(text, desired.saturating_mul(100));
                        up.div_euclid(100)
                    }
                };
                (surge, if surge == 0 && unavailable == 0 { 1 } else { unavailable })
            }
            Update::Recreate => (0, desired),
            Update::Never => (0, 0),
        };
        if old.is_empty() {
            let missing = desired - new.len() as i64;
            if missing >= 0 {
                for _ in 0..missing {
                    self.make(key, None, None);
                }
            } else {
                self.remove_worst(new, missing.unsigned_abs() as usize);
            }
            return;
        }
        if workload.update == Update::Recreate {
            self.remove_worst(old, usize::MAX);
            return;
        }
        let room = (desired + surge - active.len() as i64).min(desired - new.len() as i64);
        for _ in 0..room.max(0) {
            self.make(key, None, None);
        }
        let ready = |id: &PodId| self.pods.get(id).is_some_and(PodState::is_ready);
        let broken: Vec<PodId> = old.iter().copied().filter(|id| !ready(id)).collect();
        let well = active.iter().filter(|id| ready(id)).count() as i64;
        let removable = (well - (desired - unavailable)).max(0) as usize;
        self.remove_worst(broken, usize::MAX);
        let whole: Vec<PodId> =
            old.into_iter().filter(|id| self.pods.get(id).is_some_and(PodState::is_ready)).collect();
        self.remove_worst(whole, removable);
    }

    /// Removes `count` pods, in the order in which a ReplicaSet gives them up.
    fn remove_worst(&mut self, ids: Vec<PodId>, count: usize) {
        let mut on_node: std::collections::BTreeMap<Str, usize> = std::collections::BTreeMap::new();
        for id in &ids {
            if let Some(state) = self.pods.get(id).filter(|state| state.bound.is_some()) {
                *on_node.entry(state.pod.spec.node_name.clone()).or_default() += 1;
            }
        }
        let age_bucket = |since: Option<i64>| {
            let seconds = since.map_or(0, |since| (self.now - since) / SECOND);
            if seconds <= 0 { 0 } else { 1 + seconds.ilog2() }
        };
        let mut order: Vec<_> = ids
            .into_iter()
            .filter_map(|id| {
                let state = self.pods.get(&id)?;
                let cost = state.pod.metadata.annotations.get("controller.kubernetes.io/pod-deletion-cost");
                let neighbours = on_node.get(&state.pod.spec.node_name).copied().unwrap_or(0);
                Some((
                    state.bound.is_some(),
                    state.running.is_some(),
                    cost.and_then(|cost| cost.parse::<i64>().ok()).unwrap_or(0),
                    std::cmp::Reverse(neighbours),
                    age_bucket(state.running),
                    age_bucket(Some(state.created)),
                    std::cmp::Reverse(id),
                ))
            })
            .collect();
        order.sort_unstable();
        for (.., std::cmp::Reverse(id)) in order.into_iter().take(count) {
            self.delete_pod(id, None);
        }
    }

    fn reconcile_stateful(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.get(key) else { return };
        let ordinal = |state: &PodState| {
            state
                .pod
                .metadata
                .name
                .rsplit_once('-')
                .and_then(|(_, number)| number.parse::<i64>().ok())
                .unwrap_or(-1)
        };
        let mut there: Vec<(i64, PodId, bool, bool)> = workload
            .pods
            .iter()
            .filter_map(|id| {
                self.pods.get(id).map(|it| (ordinal(it), *id, it.is_ready(), is_terminating(&it.pod)))
            })
            .collect();
        there.sort_unstable();
        let (replicas, ordered, revision) = (workload.replicas, workload.ordered, workload.revision);
        for number in 0..replicas {
            match there.iter().find(|(ordinal, ..)| *ordinal == number) {
                None => {
                    self.make(key, Some(Str::from(format!("{}-{number}", key.name))), None);
                    if ordered {
                        return;
                    }
                }
                Some((_, _, ready, terminating)) if ordered && (!ready || *terminating) => return,
                Some(_) => {}
            }
        }
        // Those that are too many go from the highest number down, one after the other.
        if there.iter().any(|(.., terminating)| *terminating) && ordered {
            return;
        }
        let surplus: Vec<PodId> =
            there.iter().rev().filter(|it| it.0 >= replicas && !it.3).map(|it| it.1).collect();
        let count = if ordered { 1 } else { usize::MAX };
        if !surplus.is_empty() {
            for id in surplus.into_iter().take(count) {
                self.delete_pod(id, None);
            }
            return;
        }
        let outdated = there.iter().rev().find(|(_, id, ..)| {
            self.pods.get(id).is_some_and(|state| state.revision != revision && state.is_active())
        });
        if let Some((_, id, ..)) = outdated {
            self.delete_pod(*id, None);
        }
    }

    fn reconcile_job(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.get(key) else { return };
        let Some(job) = workload.job.clone() else { return };
        let active = self.active_pods(workload);
        if job.failed > job.backoff_limit {
            for id in active {
                self.delete_pod(id, None);
            }
            self.warn(format!("Job `{}` has exceeded its backoffLimit and has failed", workload_name(key)));
            return;
        }
        if job.suspended {
            for id in active {
                self.delete_pod(id, None);
            }
            return;
        }
        let wanted = match job.completions {
            Some(completions) => job.parallelism.min(completions - job.succeeded),
            None if job.succeeded > 0 => active.len() as i64,
            None => job.parallelism,
        };
        let missing = wanted - active.len() as i64;
        if missing > 0 && job.not_before > self.now {
            self.push(job.not_before, Happening::Workload(key.clone()));
            return;
        }
        for _ in 0..missing.max(0) {
            self.make(key, None, None);
        }
        if missing < 0 {
            self.remove_worst(active, missing.unsigned_abs() as usize);
        }
    }

    pub(crate) fn pod_succeeded(&mut self, key: &WorkloadKey) {
        if let Some(job) = self.workloads.get_mut(key).and_then(|workload| workload.job.as_mut()) {
            job.succeeded += 1;
            job.failed_since_success = 0;
        }
    }

    pub(crate) fn pod_failed(&mut self, key: &WorkloadKey) {
        let now = self.now;
        if let Some(job) = self.workloads.get_mut(key).and_then(|workload| workload.job.as_mut()) {
            job.failed += 1;
            job.failed_since_success += 1;
            let doubled = JOB_BACKOFF.saturating_mul(1 << (job.failed_since_success - 1).min(10));
            job.not_before = now + doubled.min(JOB_BACKOFF_MAX);
        }
    }

    /// Every node that should has a pod of every DaemonSet.
    pub(crate) fn reconcile_daemons(&mut self) {
        let keys: Vec<WorkloadKey> =
            self.workloads.keys().filter(|key| key.kind == Kind::DaemonSet).cloned().collect();
        for key in keys {
            let Some(workload) = self.workloads.get(&key) else { continue };
            let shape = Arc::clone(&workload.shape);
            let mut has: std::collections::BTreeMap<Str, PodId> = std::collections::BTreeMap::new();
            let mut outdated = Vec::new();
            for id in &workload.pods {
                let Some(state) = self.pods.get(id) else { continue };
                let Some(node) = &state.pinned else { continue };
                has.insert(node.clone(), *id);
                if state.revision != workload.revision && state.is_active() {
                    outdated.push(*id);
                }
            }
            let mut make = Vec::new();
            let mut remove = outdated;
            for (name, info) in &self.nodes {
                let spec = &shape.prototype.spec;
                let taints: Vec<Taint> =
                    info.node.spec.taints.iter().filter(|taint| !daemon_ignores(taint)).cloned().collect();
                let should =
                    tolerated(&spec.tolerations, &taints) && crate::scheduler::matches_node(spec, &info.node);
                match has.get(name) {
                    None if should && info.node.metadata.deletion_timestamp.is_none() => {
                        make.push(name.clone());
                    }
                    // A taint that came later chases away only if it says so.
                    Some(id) if !crate::scheduler::matches_node(spec, &info.node) => remove.push(*id),
                    _ => {}
                }
            }
            for node in make {
                self.make(&key, None, Some(node));
            }
            for id in remove {
                self.delete_pod(id, None);
            }
        }
    }

    /// Deletes a workload's pods with it.
    pub(crate) fn remove_workload(&mut self, key: &WorkloadKey) {
        let Some(workload) = self.workloads.remove(key) else { return };
        self.dirty_workloads.remove(key);
        for id in workload.pods {
            if self.pods.get(&id).is_some_and(|state| is_terminal(&state.pod)) {
                self.remove_pod(id);
            } else {
                self.delete_pod(id, None);
            }
        }
    }
}

fn workload_name(key: &WorkloadKey) -> String {
    format!("{}/{}", key.namespace, key.name)
}

/// Taints that the DaemonSet controller lets its pods tolerate.
fn daemon_ignores(taint: &Taint) -> bool {
    tolerated(&daemon_tolerations(), std::slice::from_ref(taint))
}

/// Tolerations that every pod of a DaemonSet gets.
pub(crate) fn daemon_tolerations() -> Vec<Toleration> {
    [
        ("not-ready", TaintEffect::NoExecute),
        ("unreachable", TaintEffect::NoExecute),
        ("disk-pressure", TaintEffect::NoSchedule),
        ("memory-pressure", TaintEffect::NoSchedule),
        ("pid-pressure", TaintEffect::NoSchedule),
        ("unschedulable", TaintEffect::NoSchedule),
    ]
    .map(|(name, effect)| Toleration {
        key: Str::from(format!("node.kubernetes.io/{name}")),
        operator: Some(TolerationOperator::Exists),
        effect: Some(effect),
        ..Toleration::default()
    })
    .to_vec()
}
