//! Pods: made, bound, running, ended, deleted, gone. The kubelets are delays.

use super::workload::WorkloadKey;
use super::{Happening, World};
use crate::delays::Step;
use crate::scheduler::{PodId, Shape};
use crate::trace::{Batch, OnEviction};
use karpsim::kubernetes::pods::{is_terminal, is_terminating, pod_key};
use karpsim::model::core::Pod;
use karpsim::model::meta::{Condition, Str, Time};
use karpsim_controller::{Event, Nanos, SECOND};
use std::cmp::Reverse;
use std::sync::Arc;

/// Who made a pod, and makes another in its place.
#[derive(Debug, Clone)]
pub(crate) enum Owner {
    /// A workload.
    Workload(WorkloadKey),
    /// A batch of the trace.
    Batch(Arc<Batch>),
    /// Nobody.
    None,
}

/// A pod with what the world knows of it.
#[derive(Debug, Clone)]
pub(crate) struct PodState {
    pub(crate) key: Str,
    pub(crate) pod: Arc<Pod>,
    pub(crate) shape: Arc<Shape>,
    pub(crate) owner: Owner,
    /// Under which name its owner counts: `namespace/name`.
    pub(crate) label: Str,
    pub(crate) created: Nanos,
    pub(crate) bound: Option<Nanos>,
    pub(crate) running: Option<Nanos>,
    /// How long it runs; `None`: until it is deleted.
    pub(crate) duration: Option<Nanos>,
    /// When it is deleted, whatever its state.
    pub(crate) delete_at: Option<Nanos>,
    /// The template it was made from.
    pub(crate) revision: u64,
    /// The node it must go to.
    pub(crate) pinned: Option<Str>,
    /// It was there before 0.
    pub(crate) before_start: bool,
}

impl PodState {
    /// It counts as one of its workload's.
    pub(crate) fn is_active(&self) -> bool {
        !is_terminal(&self.pod) && !is_terminating(&self.pod)
    }

    /// It runs and takes traffic.
    pub(crate) fn is_ready(&self) -> bool {
        self.running.is_some() && !is_terminal(&self.pod)
    }
}

/// Pods that begin to count their duration together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Gang {
    members: Vec<PodId>,
    running: usize,
    started: bool,
}

/// What a new pod is.
pub(crate) struct NewPod {
    pub(crate) name: Str,
    pub(crate) shape: Arc<Shape>,
    pub(crate) owner: Owner,
    pub(crate) label: Str,
    pub(crate) duration: Option<Nanos>,
    pub(crate) delete_at: Option<Nanos>,
    pub(crate) revision: u64,
    pub(crate) pinned: Option<Str>,
}

impl World<'_> {
    /// Makes a pod.
    pub(crate) fn create_pod(&mut self, new: NewPod) -> PodId {
        self.last_pod += 1;
        let id = self.last_pod;
        let mut pod = (*new.shape.prototype).clone();
        pod.metadata.name = new.name;
        pod.metadata.uid = Str::from(format!("pod-{id:012}"));
        pod.metadata.creation_timestamp = Some(self.calendar.stamp(self.now));
        let key = pod_key(&pod);
        if let Owner::Batch(batch) = &new.owner
            && let Some(gang) = &batch.gang
        {
            self.gangs.entry(gang.clone()).or_default().members.push(id);
        }
        if let Some(at) = new.delete_at {
            self.push(at, Happening::PodDelete(id));
        }
        self.log("pod", "created", || {
            vec![("pod", key.as_str().into()), ("owner", new.label.as_str().into())]
        });
        let state = PodState {
            key: key.clone(),
            pod: Arc::new(pod),
            owner: new.owner,
            label: new.label,
            created: self.now,
            bound: None,
            running: None,
            duration: new.duration,
            delete_at: new.delete_at,
            revision: new.revision,
            pinned: new.pinned,
            before_start: self.setting_up,
            shape: new.shape,
        };
        self.pending.entry(state.shape.class).or_default().insert((Reverse(state.shape.priority), id));
        self.untried.push(id);
        self.pods.insert(id, state);
        self.pod_ids.insert(key, id);
        self.pod_changed(id);
        id
    }

    /// The workload and the budgets look at a pod again.
    fn pod_changed(&mut self, id: PodId) {
        if !self.budgets.is_empty() {
            self.budgets_dirty = true;
        }
        if let Some(PodState { owner: Owner::Workload(key), .. }) = self.pods.get(&id) {
            let key = key.clone();
            self.dirty_workloads.insert(key);
        }
    }

    /// Changes a pod and tells Karpenter.
    pub(crate) fn change_pod(&mut self, id: PodId, change: impl FnOnce(&mut Pod)) {
        let Some(state) = self.pods.get_mut(&id) else { return };
        change(Arc::make_mut(&mut state.pod));
        let pod = Arc::clone(&state.pod);
        self.pod_changed(id);
        self.tell(Event::Pod(pod));
    }

    /// Binds a pod to a node.
    pub(crate) fn bind(&mut self, id: PodId, node: &Str) {
        let now = self.now;
        let Some(state) = self.pods.get_mut(&id) else { return };
        state.bound = Some(now);
        let (shape, label, key) = (Arc::clone(&state.shape), state.label.clone(), state.key.clone());
        self.forget_pending(id, &shape);
        if shape.has_affinity {
            self.affine.insert(id);
        }
        let mut ready = None;
        if let Some(info) = self.nodes.get_mut(node) {
            info.add(id, &shape, &label);
            ready =
                karpsim::model::meta::condition_is_true(&info.node.status.conditions, "Ready").then_some(());
        }
        self.count_bound(id, node);
        self.log("pod", "bound", || vec![("pod", key.as_str().into()), ("node", node.as_str().into())]);
        let stamp = self.calendar.stamp(now);
        let node = node.clone();
        self.change_pod(id, |pod| {
            pod.spec.node_name = node;
            set_condition(&mut pod.status.conditions, "PodScheduled", "True", "", stamp);
        });
        // On a node that is not ready the kubelet begins when it is.
        if ready.is_some() {
            self.start_later(id);
        }
    }

    /// The kubelet begins with a pod.
    pub(crate) fn start_later(&mut self, id: PodId) {
        if self.setting_up {
            self.pod_start(id);
        } else {
            let key = self.pods.get(&id).map(|state| state.key.clone()).unwrap_or_default();
            self.after(self.delays.draw(Step::PodStart, &key), Happening::PodStart(id));
        }
    }

    /// A pod does not wait for a node any more.
    pub(crate) fn forget_pending(&mut self, id: PodId, shape: &Shape) {
        if let Some(class) = self.pending.get_mut(&shape.class) {
            class.remove(&(Reverse(shape.priority), id));
            if class.is_empty() {
                self.pending.remove(&shape.class);
            }
        }
    }

    pub(crate) fn pod_start(&mut self, id: PodId) {
        let now = self.now;
        let Some(state) = self.pods.get_mut(&id) else { return };
        if is_terminal(&state.pod) || is_terminating(&state.pod) || state.running.is_some() {
            return;
        }
        // The node may be gone by now.
        if !self.nodes.contains_key(&state.pod.spec.node_name) {
            return;
        }
        state.running = Some(now);
        let (key, owner) = (state.key.clone(), state.owner.clone());
        self.log("pod", "running", || vec![("pod", key.as_str().into())]);
        self.count_running(id);
        let stamp = self.calendar.stamp(now);
        self.change_pod(id, |pod| {
            pod.status.phase = "Running".into();
            pod.status.start_time = Some(stamp);
            set_condition(&mut pod.status.conditions, "Ready", "True", "", stamp);
        });
        match owner {
            Owner::Workload(workload) => {
                let duration =
                    self.workloads.get_mut(&workload).and_then(super::workload::Workload::next_duration);
                if let Some(state) = self.pods.get_mut(&id) {
                    state.duration = state.duration.or(duration);
                }
                self.end_later(id);
            }
            Owner::Batch(batch) => match &batch.gang {
                Some(gang) => self.gang_runs(gang, id),
                None => self.end_later(id),
            },
            Owner::None => self.end_later(id),
        }
    }

    fn end_later(&mut self, id: PodId) {
        if let Some(duration) = self.pods.get(&id).and_then(|state| state.duration) {
            self.after(duration, Happening::PodEnd(id));
        }
    }

    /// Another pod of a gang runs; with the last one they all begin to count.
    fn gang_runs(&mut self, name: &str, id: PodId) {
        let Some(gang) = self.gangs.get_mut(name) else { return };
        if gang.started {
            self.end_later(id);
            return;
        }
        gang.running += 1;
        if gang.running < gang.members.len() {
            return;
        }
        gang.started = true;
        for member in std::mem::take(&mut gang.members) {
            self.end_later(member);
        }
    }

    pub(crate) fn pod_end(&mut self, id: PodId) {
        let Some(state) = self.pods.get(&id) else { return };
        if is_terminal(&state.pod) || is_terminating(&state.pod) || state.running.is_none() {
            return;
        }
        if !self.nodes.contains_key(&state.pod.spec.node_name) {
            return;
        }
        let key = state.key.clone();
        self.log("pod", "succeeded", || vec![("pod", key.as_str().into())]);
        let stamp = self.calendar.stamp(self.now);
        self.leave_node(id);
        self.change_pod(id, |pod| {
            pod.status.phase = "Succeeded".into();
            set_condition(&mut pod.status.conditions, "Ready", "False", "PodCompleted", stamp);
        });
        if let Some(PodState { owner: Owner::Workload(key), .. }) = self.pods.get(&id) {
            let key = key.clone();
            self.pod_succeeded(&key);
        }
    }

    /// What a pod held on its node is free again.
    fn leave_node(&mut self, id: PodId) {
        let Some(state) = self.pods.get(&id) else { return };
        self.affine.remove(&id);
        if let Some(info) = self.nodes.get_mut(&state.pod.spec.node_name) {
            info.remove(id, &state.shape, &state.label);
            self.freed = true;
        }
    }

    /// Deletes a pod, with its own grace period or another.
    pub(crate) fn delete_pod(&mut self, id: PodId, grace_seconds: Option<i64>) {
        let Some(state) = self.pods.get(&id) else { return };
        let on_a_node = self.nodes.contains_key(&state.pod.spec.node_name);
        if !on_a_node || is_terminal(&state.pod) {
            self.remove_pod(id);
            return;
        }
        let own = state.pod.spec.termination_grace_period_seconds;
        // The API server takes less than nothing for a second.
        let grace = grace_seconds.or(own).map_or(30, |grace| if grace < 0 { 1 } else { grace });
        let stamp = self.calendar.stamp(self.now.saturating_add(grace.saturating_mul(SECOND)));
        if is_terminating(&state.pod) {
            // Deleted once more: only a nearer end counts.
            if state.pod.metadata.deletion_timestamp.is_some_and(|old| stamp < old) {
                self.change_pod(id, |pod| pod.metadata.deletion_timestamp = Some(stamp));
            }
            return;
        }
        let (key, node) = (state.key.clone(), state.pod.spec.node_name.clone());
        self.log("pod", "deleting", || vec![("pod", key.as_str().into()), ("node", node.as_str().into())]);
        self.change_pod(id, |pod| pod.metadata.deletion_timestamp = Some(stamp));
        self.after(self.delays.draw(Step::PodStop, &key), Happening::PodStop(id));
    }

    /// A pod is gone.
    pub(crate) fn remove_pod(&mut self, id: PodId) {
        self.leave_node(id);
        let Some(state) = self.pods.remove(&id) else { return };
        self.forget_pending(id, &state.shape);
        self.pod_ids.remove(&state.key);
        self.count_gone(&state);
        if !self.budgets.is_empty() {
            self.budgets_dirty = true;
        }
        match &state.owner {
            Owner::Workload(key) => {
                if let Some(workload) = self.workloads.get_mut(key) {
                    workload.pods.remove(&id);
                    self.dirty_workloads.insert(key.clone());
                }
            }
            Owner::Batch(batch) => {
                if let Some(gang) = batch.gang.as_ref().and_then(|name| self.gangs.get_mut(name))
                    && let Some(place) = gang.members.iter().position(|member| *member == id)
                {
                    gang.members.swap_remove(place);
                    if state.running.is_some() {
                        gang.running = gang.running.saturating_sub(1);
                    }
                }
            }
            Owner::None => {}
        }
        self.log("pod", "deleted", || vec![("pod", state.key.as_str().into())]);
        self.tell(Event::PodGone(state.key));
    }

    /// Another pod in place of one of a batch that was evicted, or lost its node.
    pub(crate) fn restart_batch_pod(&mut self, id: PodId) {
        let Some(state) = self.pods.get(&id) else { return };
        let Owner::Batch(batch) = &state.owner else { return };
        let ran = state.running.map_or(0, |since| self.now - since);
        let duration = match batch.on_eviction {
            OnEviction::Gone => return,
            OnEviction::Restart => state.duration,
            OnEviction::Resume => state.duration.map(|duration| (duration - ran).max(0)),
        };
        let (batch, shape, label, delete_at) =
            (Arc::clone(batch), Arc::clone(&state.shape), state.label.clone(), state.delete_at);
        let name = self.batch_pod_name(&batch, true);
        self.create_pod(NewPod {
            name,
            shape,
            owner: Owner::Batch(batch),
            label,
            duration,
            delete_at,
            revision: 0,
            pinned: None,
        });
    }
}

/// Sets a condition; its time moves only with its status.
pub(crate) fn set_condition(
    conditions: &mut Vec<Condition>,
    kind: &str,
    status: &str,
    reason: &str,
    stamp: Time,
) {
    let place = match conditions.iter().position(|it| it.kind == kind) {
        Some(place) => place,
        None => {
            conditions.push(Condition { kind: kind.into(), ..Condition::default() });
            conditions.len() - 1
        }
    };
    let condition = &mut conditions[place];
    if condition.status != status {
        condition.last_transition_time = Some(stamp);
    }
    condition.status = status.into();
    condition.reason = reason.into();
}
