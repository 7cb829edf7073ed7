//! Instances of the cloud, and how they are found: by the provider id that the cloud gives them, by the NodeClaim that they
//! were launched for, by the node that runs on them.
//!
//! The two names have nothing to do with each other. What belongs together is said by the provider id, which the NodeClaim
//! has in its status and the node in its spec, and by the NodeClaim's `status.nodeName`.

use crate::ledger::EntryId;
use karpsim::decision::NewNodeClaim;
use karpsim::model::core::Taint;
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::Str;
use karpsim_controller::{Machine, Nanos, OfferingKey};
use std::collections::BTreeMap;

/// An instance's number: the n-th that was asked for or found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceId(u64);

/// An instance, or one that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// Its entry in the ledger.
    pub(crate) entry: EntryId,
    /// How the cloud calls it; empty until it is launched.
    provider_id: Str,
    /// Its NodeClaim, if Karpenter has one.
    node_claim: Option<Str>,
    /// Its node, by the name that the machine has from its launch on.
    node: Option<Str>,
    /// What is to be launched, until it is.
    pub(crate) wanted: Option<Box<NewNodeClaim>>,
    pub(crate) startup_taints: Vec<Taint>,
    pub(crate) offering: Option<OfferingKey>,
    pub(crate) machine: Machine,
    pub(crate) launched: Option<Nanos>,
    /// The cloud has said that it will take it.
    pub(crate) interrupted: bool,
}

impl Instance {
    /// One that is asked for.
    pub(crate) fn wanted(
        entry: EntryId,
        wanted: Box<NewNodeClaim>,
        node_claim: Str,
        startup_taints: Vec<Taint>,
    ) -> Self {
        Instance {
            entry,
            provider_id: Str::default(),
            node_claim: Some(node_claim),
            node: None,
            wanted: Some(wanted),
            startup_taints,
            offering: None,
            machine: Machine::default(),
            launched: None,
            interrupted: false,
        }
    }

    /// One that runs already, with its node.
    pub(crate) fn running(
        entry: EntryId,
        provider_id: Str,
        node: Str,
        offering: OfferingKey,
        machine: Machine,
        now: Nanos,
    ) -> Self {
        Instance {
            entry,
            provider_id,
            node_claim: None,
            node: Some(node),
            wanted: None,
            startup_taints: Vec::new(),
            offering: Some(offering),
            machine,
            launched: Some(now),
            interrupted: false,
        }
    }

    /// How the cloud calls it; empty until it is launched.
    pub(crate) fn provider_id(&self) -> &Str {
        &self.provider_id
    }

    /// Its NodeClaim.
    pub(crate) fn node_claim(&self) -> Option<&Str> {
        self.node_claim.as_ref()
    }

    /// Its node.
    pub(crate) fn node(&self) -> Option<&Str> {
        self.node.as_ref()
    }

    /// Under which name it is listed: its node's, and its NodeClaim's until it has one.
    pub(crate) fn name(&self) -> Str {
        self.node.clone().or_else(|| self.node_claim.clone()).unwrap_or_default()
    }

    /// Whose delays are drawn: its NodeClaim's, and its node's if it has none.
    pub(crate) fn whose(&self) -> Str {
        self.node_claim.clone().or_else(|| self.node.clone()).unwrap_or_default()
    }
}

/// All instances.
#[derive(Debug, Clone, Default)]
pub(crate) struct Instances {
    last: u64,
    all: BTreeMap<InstanceId, Instance>,
    of_provider_id: BTreeMap<Str, InstanceId>,
    of_node_claim: BTreeMap<Str, InstanceId>,
    of_node: BTreeMap<Str, InstanceId>,
    /// NodeClaims that were there before the replay made any: name, by provider id and by `status.nodeName`.
    found_by_provider_id: BTreeMap<Str, Str>,
    found_by_node: BTreeMap<Str, Str>,
}

impl Instances {
    pub(crate) fn get(&self, id: InstanceId) -> Option<&Instance> {
        self.all.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: InstanceId) -> Option<&mut Instance> {
        self.all.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (InstanceId, &Instance)> {
        self.all.iter().map(|(id, instance)| (*id, instance))
    }

    pub(crate) fn of_provider_id(&self, provider_id: &str) -> Option<InstanceId> {
        self.of_provider_id.get(provider_id).copied()
    }

    pub(crate) fn of_node_claim(&self, name: &str) -> Option<InstanceId> {
        self.of_node_claim.get(name).copied()
    }

    pub(crate) fn of_node(&self, name: &str) -> Option<InstanceId> {
        self.of_node.get(name).copied()
    }

    /// A new one. What has a provider id and a node is joined to the NodeClaim that was found for them.
    pub(crate) fn insert(&mut self, mut instance: Instance) -> InstanceId {
        self.last += 1;
        let id = InstanceId(self.last);
        if instance.node_claim.is_none() {
            let by_node = || instance.node.as_ref().and_then(|node| self.found_by_node.get(node));
            instance.node_claim =
                self.found_by_provider_id.get(&instance.provider_id).or_else(by_node).cloned();
        }
        if !instance.provider_id.is_empty() {
            self.of_provider_id.insert(instance.provider_id.clone(), id);
        }
        if let Some(name) = &instance.node_claim {
            self.of_node_claim.insert(name.clone(), id);
        }
        if let Some(name) = &instance.node {
            self.of_node.insert(name.clone(), id);
        }
        self.all.insert(id, instance);
        id
    }

    /// The cloud has launched it.
    pub(crate) fn launched(&mut self, id: InstanceId, provider_id: &Str, node: &Str) {
        if let Some(instance) = self.all.get_mut(&id) {
            instance.provider_id = provider_id.clone();
            instance.node = Some(node.clone());
            self.of_provider_id.insert(provider_id.clone(), id);
            self.of_node.insert(node.clone(), id);
        }
    }

    /// A NodeClaim was there before; its instance, if that is known and was nobody's until now.
    pub(crate) fn found(&mut self, claim: &NodeClaim) -> Option<InstanceId> {
        let name = &claim.metadata.name;
        let (provider_id, node) = (&claim.status.provider_id, &claim.status.node_name);
        if !provider_id.is_empty() {
            self.found_by_provider_id.insert(provider_id.clone(), name.clone());
        }
        if !node.is_empty() {
            self.found_by_node.insert(node.clone(), name.clone());
        }
        let id = self.of_provider_id(provider_id).or_else(|| self.of_node(node))?;
        let instance = self.all.get_mut(&id).filter(|instance| instance.node_claim.is_none())?;
        instance.node_claim = Some(name.clone());
        self.of_node_claim.insert(name.clone(), id);
        Some(id)
    }

    pub(crate) fn remove(&mut self, id: InstanceId) -> Option<Instance> {
        let instance = self.all.remove(&id)?;
        remove_if(&mut self.of_provider_id, Some(&instance.provider_id), id);
        remove_if(&mut self.of_node_claim, instance.node_claim.as_ref(), id);
        remove_if(&mut self.of_node, instance.node.as_ref(), id);
        Some(instance)
    }
}

/// Takes `name` out unless it names another instance by now.
fn remove_if(names: &mut BTreeMap<Str, InstanceId>, name: Option<&Str>, id: InstanceId) {
    if let Some(name) = name
        && names.get(name) == Some(&id)
    {
        names.remove(name);
    }
}
