//! The controller: what it holds, how it takes events in, in which order it does what is due.

use crate::claim::Claim;
use crate::cluster::Cluster;
use crate::decider::{Decider, Karpsim};
use crate::disruption::DisruptionLoop;
use crate::event::Event;
use crate::moment::Moment;
use crate::names::GivenNames;
use crate::provisioner::LastRound;
use crate::queue::Orchestrated;
use crate::ready::Ready;
use crate::record::{Cause, Decided, Milestone, Reason, Record, Removed};
use crate::settings::Settings;
use crate::termination::{EvictionState, Termination};
use crate::time::{Calendar, Nanos};
use karpsim::batching::BatchWindow;
use karpsim::catalogue::Catalogue;
use karpsim::kubernetes::pods;
use karpsim::model::core::Pod;
use karpsim::model::karpenter::NodePool;
use karpsim::model::meta::Str;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is to be looked at, at some time. At one time the order is that of the variants, then of names.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    /// `Consolidatable` of a NodeClaim.
    Condition(Str),
    /// `ttlSecondsAfterEmpty` of a NodeClaim.
    Ttl(Str),
    /// `expireAfter` of a NodeClaim.
    Expire(Str),
    /// A command that waits for its replacements.
    Command(u64),
    /// The drain of a NodeClaim.
    Drain(Str),
    /// The next attempt to evict a pod.
    Evict(Str),
    /// The count of a static NodePool.
    Static(Str),
    /// A node or pod that asks for a round again.
    Retrigger(Subject),
}

/// Who asks for a provisioning round.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A node that is to go.
    Node(Str),
    /// A pod without a node.
    Pod(Str),
}

/// Karpenter's control loops. See the crate's page.
pub struct Controller {
    pub(crate) settings: Settings,
    pub(crate) cluster: Cluster,
    pub(crate) decider: Box<dyn Decider>,
    /// What decisions are asked of.
    pub(crate) moment: Moment,
    pub(crate) window: BatchWindow,
    pub(crate) timers: BTreeSet<(Nanos, Timer)>,
    pub(crate) ready: Ready,
    pub(crate) retriggers: BTreeMap<Subject, Nanos>,
    pub(crate) last_round: Option<LastRound>,
    pub(crate) names: GivenNames,
    pub(crate) disruption: DisruptionLoop,
    pub(crate) queue: BTreeMap<u64, Orchestrated>,
    pub(crate) commands_started: u64,
    pub(crate) terminations: BTreeMap<Str, Termination>,
    pub(crate) evictions: BTreeMap<Str, EvictionState>,
    pub(crate) expirer_free_at: Nanos,
}

impl Controller {
    /// A Karpenter that starts now, decides with the library and knows nothing yet.
    pub fn new(settings: Settings, calendar: Calendar, catalogue: Arc<Catalogue>) -> Self {
        Self::with_decider(settings, calendar, catalogue, Box::new(Karpsim))
    }

    /// The same with decisions from elsewhere.
    pub fn with_decider(
        settings: Settings,
        calendar: Calendar,
        catalogue: Arc<Catalogue>,
        decider: Box<dyn Decider>,
    ) -> Self {
        let cluster = Cluster::new(calendar, settings.options.clone(), catalogue);
        Controller {
            moment: Moment::new(&cluster),
            window: BatchWindow::new(settings.batch_idle, settings.batch_max),
            disruption: DisruptionLoop::new(settings.disruption_loop_first),
            cluster,
            settings,
            decider,
            timers: BTreeSet::new(),
            ready: Ready::default(),
            retriggers: BTreeMap::new(),
            last_round: None,
            names: GivenNames::default(),
            queue: BTreeMap::new(),
            commands_started: 0,
            terminations: BTreeMap::new(),
            evictions: BTreeMap::new(),
            expirer_free_at: Nanos::MIN,
        }
    }

    /// When something is to be done next, if nothing else happens.
    pub fn next_wakeup(&self) -> Option<Nanos> {
        let timer = self.timers.first().map(|(at, _)| *at);
        let pass = self.disruption.next_at();
        [timer, self.window.closes_at(), pass].into_iter().flatten().min()
    }

    /// Takes what is to be done, and what there is to know, since it was last taken. To be asked after every event and
    /// every wake-up, until there is nothing.
    pub fn ready(&mut self) -> Ready {
        std::mem::take(&mut self.ready)
    }

    /// Does what is due at `now`: one stage at a time, so that the world can answer in between. To be called again as
    /// long as [`Controller::next_wakeup`] is not after `now`.
    pub fn wake(&mut self, now: Nanos) {
        let mut did = false;
        while self.timers.first().is_some_and(|(at, _)| *at <= now) {
            let Some((_, timer)) = self.timers.pop_first() else { break };
            did = true;
            match timer {
                Timer::Condition(claim) => self.reconcile_conditions(&claim, now),
                Timer::Ttl(claim) => self.ttl_due(&claim, now),
                Timer::Expire(claim) => self.expire_due(&claim, now),
                Timer::Command(id) => self.poll_command(id, now),
                Timer::Drain(claim) => self.poll_drain(&claim, now),
                Timer::Evict(pod) => self.evict_due(&pod),
                Timer::Static(pool) => self.reconcile_static(&pool, now),
                Timer::Retrigger(subject) => self.retrigger_due(subject, now),
            }
        }
        if did {
            return;
        }
        if self.disruption.next_at().is_some_and(|at| at <= now) {
            self.run_disruption(now);
            return;
        }
        if self.window.close(now) {
            self.provision_round(now);
        }
    }

    /// Takes in what happened at `now`.
    pub fn observe(&mut self, now: Nanos, event: Event) {
        self.cluster.version += 1;
        match event {
            Event::Pod(pod) => self.observe_pod(now, pod),
            Event::PodGone(key) => self.observe_pod_gone(now, &key),
            Event::Node(node) => self.observe_node(now, node),
            Event::NodeGone(name) => self.observe_node_gone(now, &name),
            Event::NodeClaim(object) => self.observe_claim(now, object),
            Event::DeleteNodeClaim(name) => self.remove_claim(Cause::Delete, Reason::Deleted, &name, now),
            Event::DeleteNode(node) => {
                if let Some(name) = self.cluster.claim_of_node(&node).cloned() {
                    self.remove_claim(Cause::Delete, Reason::Deleted, &name, now);
                }
            }
            Event::NodePool(pool) => self.observe_node_pool(now, *pool),
            Event::NodePoolGone(name) => self.observe_node_pool_gone(now, &name),
            Event::NodeOverlay(object) => {
                self.cluster.node_overlays.insert(object.metadata.name.clone(), *object);
                self.cluster.mark_unconsolidated(now);
            }
            Event::NodeOverlayGone(name) => {
                self.cluster.node_overlays.remove(&name);
                self.cluster.mark_unconsolidated(now);
            }
            Event::DaemonSet(object) => {
                let key = key_of(&object.metadata.namespace, &object.metadata.name);
                self.cluster.daemon_sets.insert(key, *object);
            }
            Event::DaemonSetGone(key) => drop(self.cluster.daemon_sets.remove(&key)),
            Event::PodDisruptionBudget(object) => {
                let key = key_of(&object.metadata.namespace, &object.metadata.name);
                self.cluster.budgets.insert(key, *object);
            }
            Event::PodDisruptionBudgetGone(key) => drop(self.cluster.budgets.remove(&key)),
            Event::Namespace(object) => {
                self.cluster.namespaces.insert(object.metadata.name.clone(), *object);
            }
            Event::PersistentVolume(object) => {
                self.cluster.volumes.insert(object.metadata.name.clone(), *object);
            }
            Event::PersistentVolumeClaim(object) => {
                let key = key_of(&object.metadata.namespace, &object.metadata.name);
                self.cluster.volume_claims.insert(key, *object);
            }
            Event::StorageClass(object) => {
                self.cluster.storage_classes.insert(object.metadata.name.clone(), *object);
            }
            Event::CsiNode(object) => {
                self.cluster.csi_nodes.insert(object.metadata.name.clone(), *object);
            }
            Event::Prices(changes) => self.cluster.set_prices(&changes),
            Event::Launched { node_claim, provider_id, launch, unavailable } => {
                self.launched(now, &node_claim, &provider_id, &launch, unavailable);
            }
            Event::LaunchFailed { node_claim, unavailable } => {
                self.launch_failed(now, &node_claim, unavailable);
            }
            Event::InstanceGone(provider_id) => self.instance_gone(now, &provider_id),
            Event::EvictionRefused(pod) => self.eviction_refused(now, &pod),
            Event::EvictionAccepted(pod) => drop(self.evictions.remove(&pod)),
            Event::Interruption { provider_id, interruption } => {
                self.interrupted(now, &provider_id, interruption);
            }
        }
    }

    pub(crate) fn at(&mut self, when: Nanos, timer: Timer) {
        self.timers.insert((when, timer));
    }

    fn observe_pod(&mut self, now: Nanos, pod: Arc<Pod>) {
        let key = pods::pod_key(&pod);
        let old = self.cluster.pods.insert(key.clone(), Arc::clone(&pod));
        let node = pod.spec.node_name.clone();
        if !node.is_empty() {
            let newly_bound = old.as_ref().is_none_or(|old| old.spec.node_name.is_empty());
            let newly = |is: fn(&Pod) -> bool| is(&pod) && !old.as_ref().is_some_and(|old| is(old));
            if newly_bound {
                self.cluster.pods_on_node.entry(node.clone()).or_default().insert(key.clone());
                if !pods::is_terminal(&pod) {
                    self.cluster.mark_unconsolidated(now);
                }
            }
            let event = newly_bound || newly(pods::is_terminal) || newly(pods::is_terminating);
            if event && !pods::is_owned_by_daemon_set(&pod) {
                self.pod_event(&node, now);
            }
            self.reconcile_ttl(&node, now);
        }
        if pods::is_provisionable(&pod) {
            self.cluster.provisionable.insert(key.clone());
            self.trigger(Subject::Pod(key), now);
        } else if self.cluster.provisionable.remove(&key) {
            self.retriggers.remove(&Subject::Pod(key));
        }
    }

    fn observe_pod_gone(&mut self, now: Nanos, key: &Str) {
        let Some(pod) = self.cluster.pods.remove(key) else { return };
        self.cluster.provisionable.remove(key);
        self.retriggers.remove(&Subject::Pod(key.clone()));
        self.evictions.remove(key);
        self.cluster.mark_unconsolidated(now);
        let node = &pod.spec.node_name;
        if let Some(on_node) = self.cluster.pods_on_node.get_mut(node) {
            on_node.remove(key);
            if on_node.is_empty() {
                self.cluster.pods_on_node.remove(node);
            }
        }
        if !node.is_empty() {
            self.reconcile_ttl(node, now);
        }
    }

    fn observe_node_gone(&mut self, now: Nanos, name: &Str) {
        if self.cluster.remove_node(name) {
            self.retriggers.remove(&Subject::Node(name.clone()));
            self.cluster.mark_unconsolidated(now);
        }
    }

    fn observe_claim(&mut self, now: Nanos, object: Arc<karpsim::model::karpenter::NodeClaim>) {
        // Another Karpenter sees to those of other node classes.
        if !self.cluster.is_managed(&object.spec.node_class_ref) {
            return;
        }
        let claim = Claim::found(object, &self.cluster.calendar);
        let name = claim.name().clone();
        self.names.note(&claim.pool, &name);
        let node = claim.provider_id().and_then(|id| self.cluster.node_of_instance(id)).cloned();
        if let Some(expires) = claim.expires(&self.cluster.calendar) {
            self.at(expires.max(now), Timer::Expire(name.clone()));
        }
        self.cluster.insert_claim(claim);
        self.cluster.mark_unconsolidated(now);
        self.reconcile_conditions(&name, now);
        // Its node may have been seen before it.
        if let Some(node) = node {
            self.node_of_claim(&node, &name, now);
        }
    }

    fn observe_node_pool(&mut self, now: Nanos, pool: NodePool) {
        let name = pool.metadata.name.clone();
        let changed = self.cluster.node_pools.get(&name).is_none_or(|old| old.spec != pool.spec);
        self.cluster.node_pools.insert(name.clone(), pool);
        if !changed {
            return;
        }
        self.cluster.mark_unconsolidated(now);
        for claim in self.claims_of_pool(&name) {
            self.reconcile_conditions(&claim, now);
        }
        if self.cluster.static_pool(&name).is_some() {
            self.at(now, Timer::Static(name));
        }
    }

    fn observe_node_pool_gone(&mut self, now: Nanos, name: &Str) {
        if self.cluster.node_pools.remove(name).is_none() {
            return;
        }
        let mut going = self.claims_of_pool(name);
        going.retain(|claim| self.cluster.claim(claim).is_some_and(|claim| claim.deleting.is_none()));
        if !going.is_empty() {
            self.decided_removal(Cause::Delete, Reason::NodePoolDeleted, &going);
        }
        for claim in going {
            self.delete_claim(&claim, now);
        }
    }

    pub(crate) fn claims_of_pool(&self, pool: &str) -> Vec<Str> {
        self.cluster.claims().filter(|claim| claim.pool == pool).map(|claim| claim.name().clone()).collect()
    }

    pub(crate) fn milestone(&mut self, claim: &Str, milestone: Milestone) {
        self.ready.record(Record::NodeClaim { node_claim: claim.clone(), reached: milestone });
    }

    /// What goes with these NodeClaims.
    pub(crate) fn removed(&self, claims: &[Str]) -> Vec<Removed> {
        claims
            .iter()
            .map(|name| {
                let claim = self.cluster.claim(name);
                let pods = claim.map(|claim| self.cluster.reschedulable_of(claim)).unwrap_or_default();
                Removed { name: name.clone(), pods }
            })
            .collect()
    }

    /// Records that NodeClaims go without anything in their place.
    pub(crate) fn decided_removal(&mut self, cause: Cause, reason: Reason, claims: &[Str]) {
        let decided = Decided::removing(cause, reason, self.removed(claims));
        self.decided(decided);
    }

    pub(crate) fn decided(&mut self, decided: Decided) {
        self.ready.record(Record::Decided(Box::new(decided)));
    }

    /// Deletes a NodeClaim that is not being deleted, and says so.
    pub(crate) fn remove_claim(&mut self, cause: Cause, reason: Reason, name: &Str, now: Nanos) {
        if self.cluster.claim(name).is_some_and(|claim| claim.deleting.is_none()) {
            self.decided_removal(cause, reason, std::slice::from_ref(name));
            self.delete_claim(name, now);
        }
    }
}

/// `namespace/name`.
fn key_of(namespace: &str, name: &str) -> Str {
    Str::from(format!("{namespace}/{name}"))
}
