//! The life of a NodeClaim until its node takes pods: launched, registered, initialized.

use crate::capacity::{self, OfferingKey};
use crate::controller::{Controller, Subject};
use crate::ready::{Action, NodePatch};
use crate::record::Milestone;
use crate::settings::Binding;
use crate::time::{Nanos, SECOND};
use karpsim::decision::Launch;
use karpsim::kubernetes::eviction;
use karpsim::kubernetes::taints::same_taint;
use karpsim::model::core::{Node, TaintEffect};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Str, condition_is_true};
use std::sync::Arc;

/// An offering that could not be had is not asked for again for this long.
pub(crate) const UNAVAILABLE_FOR: Nanos = 180 * SECOND;

const REGISTERED: &str = "karpenter.sh/registered";
const INITIALIZED: &str = "karpenter.sh/initialized";

/// Taints that a starting node carries and loses by itself.
const EPHEMERAL: [(&str, Option<TaintEffect>); 5] = [
    ("node.kubernetes.io/not-ready", Some(TaintEffect::NoSchedule)),
    ("node.kubernetes.io/not-ready", Some(TaintEffect::NoExecute)),
    ("node.kubernetes.io/unreachable", Some(TaintEffect::NoSchedule)),
    ("node.cloudprovider.kubernetes.io/uninitialized", Some(TaintEffect::NoSchedule)),
    ("karpenter.sh/unregistered", Some(TaintEffect::NoExecute)),
];

impl Controller {
    /// An instance runs: the NodeClaim gets its labels and what it will have.
    pub(crate) fn launched(
        &mut self,
        now: Nanos,
        name: &Str,
        provider_id: &Str,
        launch: &Launch,
        unavailable: Vec<OfferingKey>,
    ) {
        self.cluster.set_unavailable(unavailable, now + UNAVAILABLE_FOR);
        let machine = capacity::machine(self.cluster.catalogue(), launch).unwrap_or_default();
        let stamp = self.cluster.calendar.stamp(now);
        self.cluster.set_provider_id(name, provider_id);
        let Some(claim) = self.cluster.claim_mut(name) else { return };
        claim.launched = Some(now);
        let object = Arc::make_mut(&mut claim.object);
        for (key, value) in machine.labels.iter() {
            if object.metadata.labels.get(key).is_none() {
                object.metadata.labels.insert(key, value);
            }
        }
        object.status.capacity = machine.capacity;
        object.status.allocatable = machine.allocatable;
        claim.set_true("Launched", "Launched", stamp);
        let deleting = claim.deleting.is_some();
        self.cluster.version += 1;
        self.cluster.mark_unconsolidated(now);
        if deleting {
            self.ready.act(Action::TerminateInstance { provider_id: provider_id.clone() });
            return;
        }
        self.reconcile_conditions(name, now);
    }

    /// Nothing could be had: the NodeClaim goes, and its pods ask again.
    pub(crate) fn launch_failed(&mut self, now: Nanos, name: &Str, unavailable: Vec<OfferingKey>) {
        self.cluster.set_unavailable(unavailable, now + UNAVAILABLE_FOR);
        self.claim_gone(name, now);
    }

    /// A node was made or changed.
    pub(crate) fn observe_node(&mut self, now: Nanos, node: Arc<Node>) {
        let name = node.metadata.name.clone();
        let claim = self.cluster.claim_of_instance(&node.spec.provider_id).cloned();
        let is_new = self.cluster.insert_node(node);
        match claim {
            Some(claim) => self.node_of_claim(&name, &claim, now),
            None if is_new => self.cluster.mark_unconsolidated(now),
            None => {}
        }
        self.trigger_for_node(&name, now);
    }

    /// The node of a NodeClaim's instance is there, or changed.
    pub(crate) fn node_of_claim(&mut self, node: &Str, claim: &Str, now: Nanos) {
        self.cluster.join(node, claim);
        if self.cluster.claim(claim).is_some_and(|claim| claim.registered.is_none()) {
            self.register(claim, node, now);
        }
        self.initialize(claim, now);
    }

    /// A node that is to go asks for room for its pods.
    pub(crate) fn trigger_for_node(&mut self, name: &Str, now: Nanos) {
        let is_disrupted =
            |node: &Arc<Node>| node.spec.taints.iter().any(|taint| taint.key == eviction::DISRUPTED);
        if self.cluster.nodes.get(name).is_some_and(is_disrupted) {
            self.trigger(Subject::Node(name.clone()), now);
        } else {
            self.retriggers.remove(&Subject::Node(name.clone()));
        }
    }

    /// The node is there: it gets what the NodeClaim says of it.
    fn register(&mut self, name: &Str, node_name: &Str, now: Nanos) {
        let stamp = self.cluster.calendar.stamp(now);
        let early = self.settings.binding == Binding::Early;
        let Some(claim) = self.cluster.claim_mut(name) else { return };
        claim.registered = Some(now);
        claim.set_true("Registered", "Registered", stamp);
        let NodeClaim { metadata, spec, .. } = &*claim.object;
        let mut patch = NodePatch {
            labels: metadata.labels.clone(),
            annotations: metadata.annotations.clone(),
            taints_added: spec.taints.iter().chain(&spec.startup_taints).cloned().collect(),
            taints_removed: vec!["karpenter.sh/unregistered".into()],
        };
        patch.labels.insert(REGISTERED, "true");
        let planned = if early { std::mem::take(&mut claim.planned_pods) } else { Vec::new() };
        self.cluster.version += 1;
        self.patch_node(node_name, patch);
        self.milestone(name, Milestone::Registered);
        for pod in planned {
            self.bind(&pod, node_name);
        }
    }

    /// The node takes pods once it is ready, its startup taints are off and everything asked for is registered.
    fn initialize(&mut self, name: &Str, now: Nanos) {
        let stamp = self.cluster.calendar.stamp(now);
        let Some(claim) = self.cluster.claim(name) else { return };
        let Some(node) = claim.node().and_then(|node| self.cluster.nodes.get(node)) else { return };
        if claim.registered.is_none() || claim.initialized.is_some() {
            return;
        }
        let taints = &node.spec.taints;
        let starting = taints.iter().any(|taint| EPHEMERAL.contains(&(taint.key.as_str(), taint.effect)));
        let startup = claim
            .object
            .spec
            .startup_taints
            .iter()
            .any(|it| taints.iter().any(|taint| same_taint(it, taint)));
        let registered = claim.requested.iter().all(|resource| {
            node.status.allocatable.get(resource).is_some_and(|quantity| !quantity.is_zero())
        });
        if !condition_is_true(&node.status.conditions, "Ready") || starting || startup || !registered {
            return;
        }
        let node_name = node.metadata.name.clone();
        if let Some(claim) = self.cluster.claim_mut(name) {
            claim.initialized = Some(now);
            claim.set_true("Initialized", "Initialized", stamp);
        }
        self.cluster.version += 1;
        let labels = [(INITIALIZED, "true")].into_iter().collect();
        self.patch_node(&node_name, NodePatch { labels, ..NodePatch::default() });
        self.cluster.mark_unconsolidated(now);
        self.milestone(name, Milestone::Initialized);
        self.reconcile_conditions(name, now);
        self.reconcile_ttl(&node_name, now);
    }

    /// Patches a node, here and in the world.
    pub(crate) fn patch_node(&mut self, name: &Str, patch: NodePatch) {
        let Some(node) = self.cluster.nodes.get_mut(name) else { return };
        patch.apply(Arc::make_mut(node));
        self.cluster.version += 1;
        self.ready.act(Action::PatchNode { node: name.clone(), patch: Box::new(patch) });
    }
}
