//! Which pod is tried next, and when.
//!
//! A pod waits in one of three places. *Active* pods are tried by priority, then by the time of their last failure or arrival.
//! A pod that failed is *unschedulable* until something happens that one of the plugins that refused it may like
//! ([`hints`]), or until five minutes have passed. If that comes soon after the failure the pod goes into *back-off* first: 1 s
//! after the first failure, twice that after each further one, at most 10 s. Back-off only keeps pods behind others: when
//! there are no active ones, the next of back-off is tried at once. Pods that failed by an error wait their time in any case.
//!
//! Time is whatever the caller says. Like pods that were refused by the same plugins are asked about an event once.

mod event;
mod hints;

pub(crate) use event::{Event, NodeChange, PodChange};

use crate::class::ClassId;
use crate::cluster::{Cluster, PodInfo};
use crate::options::Options;
use crate::reason::{Plugin, gates};
use crate::storage::namespaced;
use karpsim::model::core::Pod;
use karpsim::model::meta::Str;
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SECOND: i64 = 1_000_000_000;
/// How often unschedulable pods are looked through for those that have waited too long.
const LEFTOVER_PERIOD: i64 = 30 * SECOND;

/// Pods by arrival.
type Number = u64;

/// A set of plugins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub(crate) struct Plugins(u16);

impl Plugins {
    pub(crate) fn contains(self, plugin: Plugin) -> bool {
        self.0 & (1 << plugin as u16) != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<Plugin> for Plugins {
    fn from_iter<I: IntoIterator<Item = Plugin>>(plugins: I) -> Self {
        Plugins(plugins.into_iter().fold(0, |set, plugin| set | 1 << plugin as u16))
    }
}

/// A pod that is to be placed.
#[derive(Debug, Clone)]
pub(crate) struct QueuedPod {
    pub(crate) info: PodInfo,
    number: Number,
    /// When it came, or failed last.
    timestamp: i64,
    /// How often it was refused.
    refusals: u32,
    /// How often it failed by an error since it was refused last.
    errors: u32,
    /// Who refused it last.
    plugins: Plugins,
    is_gated: bool,
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Active,
    Backoff {
        until: i64,
    },
    ErrorBackoff {
        until: i64,
    },
    Unschedulable,
    /// Being tried.
    Nowhere,
}

type ActiveKey = (Reverse<i64>, i64, Number);
/// Unschedulable pods that are asked about an event together. Pods with volumes are asked alone.
type GroupKey = (ClassId, Plugins, Option<Number>);

/// All pods that are to be placed. See the [module](self).
#[derive(Debug, Clone)]
pub(crate) struct Queue {
    initial_backoff: i64,
    max_backoff: i64,
    max_in_unschedulable: i64,
    next: Number,
    by_key: FxHashMap<Str, Number>,
    pods: FxHashMap<Number, QueuedPod>,
    active: BTreeSet<ActiveKey>,
    backoff: BTreeSet<(i64, ActiveKey)>,
    error_backoff: BTreeSet<(i64, ActiveKey)>,
    unschedulable: BTreeMap<GroupKey, BTreeSet<Number>>,
    /// Those that are not gated, by the time of their last failure.
    leftover: BTreeSet<(i64, Number)>,
}

/// The whole second that a moment is in.
fn second_of(now: i64) -> i64 {
    now.div_euclid(SECOND) * SECOND
}

impl Queue {
    pub(crate) fn new(options: &Options) -> Self {
        Queue {
            initial_backoff: options.pod_initial_backoff_nanos,
            max_backoff: options.pod_max_backoff_nanos,
            max_in_unschedulable: options.pod_max_in_unschedulable_nanos,
            next: 0,
            by_key: FxHashMap::default(),
            pods: FxHashMap::default(),
            active: BTreeSet::new(),
            backoff: BTreeSet::new(),
            error_backoff: BTreeSet::new(),
            unschedulable: BTreeMap::new(),
            leftover: BTreeSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.pods.len()
    }

    pub(crate) fn get(&self, namespace: &str, name: &str) -> Option<&QueuedPod> {
        self.pods.get(self.by_key.get(&namespaced(namespace, name))?)
    }

    /// A pod comes.
    pub(crate) fn add(&mut self, info: PodInfo, now: i64) {
        let key = namespaced(&info.pod.metadata.namespace, &info.pod.metadata.name);
        self.next += 1;
        let number = self.next;
        let queued = QueuedPod {
            info,
            number,
            timestamp: now,
            refusals: 0,
            errors: 0,
            plugins: Plugins::default(),
            is_gated: false,
            place: Place::Nowhere,
        };
        if let Some(before) = self.by_key.insert(key, number) {
            self.take(before);
        }
        self.activate(queued);
    }

    /// A pod changes. What happened to it may be of interest to whoever refused it.
    pub(crate) fn update(&mut self, cluster: &Cluster, info: PodInfo, old: &Pod, now: i64) {
        let key = namespaced(&info.pod.metadata.namespace, &info.pod.metadata.name);
        let Some(number) = self.by_key.get(&key).copied() else { return self.add(info, now) };
        let Some(place) = self.pods.get(&number).map(|queued| queued.place) else { return };
        let Some(mut queued) = self.take(number) else { return };
        queued.info = info;
        self.by_key.insert(key, number);
        if place != Place::Unschedulable {
            return self.put(queued, place);
        }
        let new = Arc::clone(&queued.info.pod);
        for change in PodChange::all(old, &new) {
            let event = Event::PodUpdated { old, new: &new, change };
            if hints::wants(cluster, &queued.info, queued.plugins, &event) {
                return self.requeue(queued, now);
            }
        }
        self.put(queued, Place::Unschedulable);
    }

    /// Something of a pod changes that makes no difference to when it is tried.
    pub(crate) fn change(&mut self, pod: &Pod, change: impl FnOnce(&mut PodInfo)) {
        let key = namespaced(&pod.metadata.namespace, &pod.metadata.name);
        if let Some(queued) = self.by_key.get(&key).and_then(|number| self.pods.get_mut(number)) {
            change(&mut queued.info);
        }
    }

    /// A pod is gone, or bound.
    pub(crate) fn remove(&mut self, namespace: &str, name: &str) -> Option<QueuedPod> {
        let number = self.by_key.get(&namespaced(namespace, name)).copied()?;
        self.take(number)
    }

    /// The next pod to try. It leaves the queue until it is [given back](Self::give_back).
    pub(crate) fn pop(&mut self, now: i64) -> Option<QueuedPod> {
        self.flush(now);
        let next = self.active.first().or(self.backoff.first().map(|(_, key)| key));
        let number = next?.2;
        self.take(number)
    }

    /// A pod found no node: these plugins refused it; none, and it is an error.
    pub(crate) fn give_back(&mut self, mut queued: QueuedPod, plugins: Plugins, now: i64) {
        let metadata = &queued.info.pod.metadata;
        let key = namespaced(&metadata.namespace, &metadata.name);
        if self.by_key.contains_key(&key) {
            return;
        }
        self.by_key.insert(key, queued.number);
        if plugins.is_empty() {
            queued.errors += 1;
        } else {
            queued.refusals += 1;
            queued.errors = 0;
        }
        queued.timestamp = now;
        queued.plugins = plugins;
        if plugins.is_empty() {
            self.requeue(queued, now);
        } else {
            self.put(queued, Place::Unschedulable);
        }
    }

    /// Something happened. Unschedulable pods that it may help are to be tried again; `matters` narrows them.
    pub(crate) fn notify(
        &mut self,
        cluster: &Cluster,
        event: &Event<'_>,
        now: i64,
        matters: impl Fn(&PodInfo) -> bool,
    ) {
        if self.unschedulable.is_empty() {
            return;
        }
        let mut woken: Vec<Number> = Vec::new();
        for ((_, plugins, _), numbers) in &self.unschedulable {
            let first = numbers.first().and_then(|number| self.pods.get(number));
            if first.is_some_and(|first| hints::wants(cluster, &first.info, *plugins, event)) {
                woken.extend(numbers);
            }
        }
        woken.sort_unstable();
        for number in woken {
            let is_concerned = |queued: &QueuedPod| !queued.is_gated && matters(&queued.info);
            if self.pods.get(&number).is_some_and(is_concerned)
                && let Some(queued) = self.take_keeping_key(number)
            {
                self.requeue(queued, now);
            }
        }
    }

    /// When there is something to do, at the latest; `None`: only when something happens.
    pub(crate) fn next_wakeup(&self, now: i64) -> Option<i64> {
        if !self.active.is_empty() || !self.backoff.is_empty() {
            return Some(now);
        }
        let after_error = self.error_backoff.first().map(|(until, _)| second_of(*until) + SECOND);
        let leftover = self.leftover.first().map(|(timestamp, _)| {
            // At the first look-through after more than the time has passed.
            (timestamp + self.max_in_unschedulable).div_euclid(LEFTOVER_PERIOD) * LEFTOVER_PERIOD
                + LEFTOVER_PERIOD
        });
        [after_error, leftover].into_iter().flatten().min().map(|wakeup| wakeup.max(now))
    }

    fn flush(&mut self, now: i64) {
        let second = second_of(now);
        for errors in [false, true] {
            loop {
                let set = if errors { &self.error_backoff } else { &self.backoff };
                let Some((_, key)) = set.first().filter(|(until, _)| *until < second) else { break };
                let number = key.2;
                if let Some(queued) = self.take_keeping_key(number) {
                    // Gates were looked at before.
                    self.put(queued, Place::Active);
                }
            }
        }
        let look = now.div_euclid(LEFTOVER_PERIOD) * LEFTOVER_PERIOD;
        while let Some((timestamp, number)) = self.leftover.first().copied() {
            if look - timestamp <= self.max_in_unschedulable {
                break;
            }
            match self.take_keeping_key(number) {
                Some(queued) => self.requeue(queued, now),
                None => {
                    self.leftover.remove(&(timestamp, number));
                }
            }
        }
    }

    /// To back-off if it failed a short time ago, else to the active ones.
    fn requeue(&mut self, mut queued: QueuedPod, now: i64) {
        match self.backoff_until(&queued).filter(|until| *until >= second_of(now)) {
            Some(until) => {
                queued.is_gated = gates(&queued.info.pod).is_some();
                let place = match (queued.is_gated, queued.plugins.is_empty()) {
                    (true, _) => Place::Unschedulable,
                    (false, true) => Place::ErrorBackoff { until },
                    (false, false) => Place::Backoff { until },
                };
                self.put(queued, place);
            }
            None => self.activate(queued),
        }
    }

    /// To the active ones, but for its gates.
    fn activate(&mut self, mut queued: QueuedPod) {
        queued.is_gated = gates(&queued.info.pod).is_some();
        if queued.is_gated {
            queued.plugins = Plugins::from_iter([Plugin::SchedulingGates]);
            self.put(queued, Place::Unschedulable);
        } else {
            self.put(queued, Place::Active);
        }
    }

    /// Until when the pod has to stand back. `None`: it has not failed.
    fn backoff_until(&self, queued: &QueuedPod) -> Option<i64> {
        let count = if queued.errors > 0 { queued.errors } else { queued.refusals };
        if count == 0 || self.max_backoff == 0 {
            return None;
        }
        let mut wait = self.initial_backoff;
        for _ in 1..count {
            if wait >= self.max_backoff {
                break;
            }
            wait *= 2;
        }
        Some(second_of(queued.timestamp + wait.min(self.max_backoff)))
    }

    fn key(queued: &QueuedPod) -> ActiveKey {
        (Reverse(queued.info.class.priority), queued.timestamp, queued.number)
    }

    fn group(queued: &QueuedPod) -> GroupKey {
        let alone = (!queued.info.pod.spec.volumes.is_empty()).then_some(queued.number);
        (queued.info.class.id, queued.plugins, alone)
    }

    fn put(&mut self, mut queued: QueuedPod, place: Place) {
        queued.place = place;
        let key = Self::key(&queued);
        let number = queued.number;
        match place {
            Place::Active => {
                self.active.insert(key);
            }
            Place::Backoff { until } => {
                self.backoff.insert((until, key));
            }
            Place::ErrorBackoff { until } => {
                self.error_backoff.insert((until, key));
            }
            Place::Unschedulable => {
                self.unschedulable.entry(Self::group(&queued)).or_default().insert(number);
                if !queued.is_gated {
                    self.leftover.insert((queued.timestamp, number));
                }
            }
            Place::Nowhere => {}
        }
        self.pods.insert(number, queued);
    }

    fn take(&mut self, number: Number) -> Option<QueuedPod> {
        let queued = self.take_keeping_key(number)?;
        let metadata = &queued.info.pod.metadata;
        let key = namespaced(&metadata.namespace, &metadata.name);
        if self.by_key.get(&key) == Some(&number) {
            self.by_key.remove(&key);
        }
        Some(queued)
    }

    fn take_keeping_key(&mut self, number: Number) -> Option<QueuedPod> {
        let mut queued = self.pods.remove(&number)?;
        let key = Self::key(&queued);
        match std::mem::replace(&mut queued.place, Place::Nowhere) {
            Place::Active => {
                self.active.remove(&key);
            }
            Place::Backoff { until } => {
                self.backoff.remove(&(until, key));
            }
            Place::ErrorBackoff { until } => {
                self.error_backoff.remove(&(until, key));
            }
            Place::Unschedulable => {
                let group = Self::group(&queued);
                if let Some(numbers) = self.unschedulable.get_mut(&group) {
                    numbers.remove(&number);
                    if numbers.is_empty() {
                        self.unschedulable.remove(&group);
                    }
                }
                self.leftover.remove(&(queued.timestamp, number));
            }
            Place::Nowhere => {}
        }
        Some(queued)
    }
}
