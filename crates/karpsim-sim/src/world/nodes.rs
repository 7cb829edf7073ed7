//! Instances that Karpenter asks for and their nodes, from the cloud's answer to the end.

use super::instances::{Instance, InstanceId};
use super::{Happening, World};
use crate::delays::Step;
use crate::ledger::NanoDollarsPerHour;
use crate::scheduler::NodeInfo;
use karpsim::catalogue::Price;
use karpsim::decision::{Launch, NewNodeClaim};
use karpsim::model::core::{Node, NodeSpec, NodeStatus, ResourceList, Taint, TaintEffect};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Labels, ObjectMeta, Str};
use karpsim::quantity::Quantity;
use karpsim_controller::{Event, Nanos, OfferingKey, SECOND, launch_order, machine};
use std::sync::Arc;

const HOSTNAME: &str = "kubernetes.io/hostname";
/// Pods of a node that is gone are seen at the next beat of this, …
const GC_BEAT: Nanos = 20 * SECOND;
/// … and collected after this.
const GC_QUARANTINE: Nanos = 40 * SECOND;

impl World<'_> {
    /// Karpenter asks for an instance.
    pub(crate) fn launch_requested(&mut self, claim: &Arc<NodeClaim>, wanted: Box<NewNodeClaim>) {
        let name = claim.metadata.name.clone();
        let entry = self.ledger.open_node_claim(&name, Some(wanted.node_pool.clone()), Some(self.now));
        self.log("nodeclaim", "created", || {
            vec![("nodeclaim", name.as_str().into()), ("nodePool", wanted.node_pool.as_str().into())]
        });
        let startup_taints = claim.spec.startup_taints.clone();
        let id = self.instances.insert(Instance::wanted(entry, wanted, name.clone(), startup_taints));
        self.after(self.delays.draw(Step::Launch, &name), Happening::Launch(id));
    }

    /// The cloud answers: the cheapest offering that it has, of those that are allowed.
    pub(crate) fn launch(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get_mut(id) else { return };
        let (entry, name) = (instance.entry, instance.whose());
        let Some(wanted) = instance.wanted.take() else { return };
        let running: Vec<OfferingKey> =
            self.instances.iter().filter_map(|(_, instance)| instance.offering.clone()).collect();
        let mut unavailable = Vec::new();
        let mut chosen = None;
        let first = wanted.launch.clone().map(|launch| Launch { price: self.price_of(&launch), ..launch });
        let planned = first.filter(|launch| self.cloud.has(&OfferingKey::from(launch), &running, self.now));
        if let Some(launch) = planned {
            chosen = Some(launch);
        } else {
            for launch in launch_order(self.cloud.catalogue(), &wanted) {
                let key = OfferingKey::from(&launch);
                if self.cloud.has(&key, &running, self.now) {
                    chosen = Some(launch);
                    break;
                }
                unavailable.push(key);
            }
        }
        let Some(launch) = chosen else {
            self.instances.remove(id);
            self.log("nodeclaim", "launch failed", || vec![("nodeclaim", name.as_str().into())]);
            self.tell(Event::LaunchFailed { node_claim: name, unavailable });
            return;
        };
        let key = OfferingKey::from(&launch);
        let delivered = machine(self.cloud.catalogue(), &launch).unwrap_or_default();
        let node = self.node_names.next(&name, &launch.zone, &mut self.node_names_taken);
        let provider_id = Str::from(format!("karpsim:///{}/{name}", launch.zone));
        self.instances.launched(id, &provider_id, &node);
        if let Some(instance) = self.instances.get_mut(id) {
            instance.offering = Some(key.clone());
            instance.machine = delivered;
            instance.launched = Some(self.now);
        }
        self.ledger.launch(entry, key, NanoDollarsPerHour::from_dollars(launch.price.0), self.now);
        self.log("nodeclaim", "launched", || {
            vec![
                ("nodeclaim", name.as_str().into()),
                ("instanceType", launch.instance_type.as_str().into()),
                ("zone", launch.zone.as_str().into()),
                ("capacityType", launch.capacity_type.as_str().into()),
                ("price", launch.price.0.into()),
            ]
        });
        self.after(self.delays.draw(Step::NodeCreated, &name), Happening::NodeCreated(id));
        self.tell(Event::Launched { node_claim: name, provider_id, launch, unavailable });
    }

    fn price_of(&self, launch: &Launch) -> Price {
        self.cloud.price(&OfferingKey::from(launch)).map_or(launch.price, |price| Price(price.dollars()))
    }

    /// The kubelet makes its node.
    pub(crate) fn node_created(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.get(id) else { return };
        let Some(name) = instance.node().cloned() else { return };
        let (provider_id, whose) = (instance.provider_id().clone(), instance.whose());
        let taints = ["NoSchedule", "NoExecute"].map(|effect| Taint {
            key: "node.kubernetes.io/not-ready".into(),
            effect: if effect == "NoExecute" {
                Some(TaintEffect::NoExecute)
            } else {
                Some(TaintEffect::NoSchedule)
            },
            ..Taint::default()
        });
        // Devices are registered by their plugins, which run when the node is ready.
        let node = Node {
            metadata: ObjectMeta {
                name: name.clone(),
                uid: Str::from(format!("node-{name}")),
                creation_timestamp: Some(self.calendar.stamp(self.now)),
                labels: with_hostname(instance.machine.labels.clone(), &name),
                ..ObjectMeta::default()
            },
            spec: NodeSpec { provider_id, taints: taints.to_vec(), ..NodeSpec::default() },
            status: NodeStatus {
                capacity: without_devices(&instance.machine.capacity),
                allocatable: without_devices(&instance.machine.allocatable),
                ..NodeStatus::default()
            },
            ..Node::default()
        };
        self.log("node", "created", || vec![("node", name.as_str().into())]);
        self.node_added = true;
        self.nodes.insert(name.clone(), NodeInfo { node: Arc::new(node), ..NodeInfo::default() });
        self.after(self.delays.draw(Step::NodeReady, &whose), Happening::NodeReady(id));
        self.node_changed(&name);
    }

    /// A node changed: Karpenter, the DaemonSets and the scheduler look at it.
    pub(super) fn node_changed(&mut self, name: &Str) {
        self.daemons_dirty = true;
        self.freed = true;
        if let Some(info) = self.nodes.get(name) {
            let node = Arc::clone(&info.node);
            self.tell(Event::Node(node));
        }
    }

    pub(crate) fn node_ready(&mut self, id: InstanceId) {
        let stamp = self.calendar.stamp(self.now);
        let Some(instance) = self.instances.get(id) else { return };
        let Some(name) = &instance.node().cloned() else { return };
        let (entry, whose) = (instance.entry, instance.whose());
        let (machine, startup) = (instance.machine.clone(), instance.startup_taints.clone());
        let Some(info) = self.nodes.get_mut(name) else { return };
        let node = Arc::make_mut(&mut info.node);
        super::pods::set_condition(&mut node.status.conditions, "Ready", "True", "KubeletReady", stamp);
        node.spec.taints.retain(|taint| {
            let starting =
                taint.key == "node.kubernetes.io/not-ready" && taint.effect == Some(TaintEffect::NoSchedule);
            !starting && !startup.iter().any(|it| it.key == taint.key && it.effect == taint.effect)
        });
        node.status.capacity = machine.capacity;
        node.status.allocatable = machine.allocatable;
        let waiting: Vec<_> = info.pods.iter().copied().collect();
        if let Some(entry) = self.ledger.entry_mut(entry) {
            entry.ready = Some(self.now);
        }
        self.log("node", "ready", || vec![("node", name.as_str().into())]);
        if !startup.is_empty() {
            self.warn("startupTaints are removed when the node is ready: what removes them is not modelled");
        }
        self.after(self.delays.draw(Step::NodeInitialized, &whose), Happening::NodeInitializable(id));
        for id in waiting {
            self.start_later(id);
        }
        self.node_changed(name);
    }

    pub(crate) fn node_initializable(&mut self, id: InstanceId) {
        let Some(name) = self.instances.get(id).and_then(Instance::node).cloned() else { return };
        let Some(info) = self.nodes.get_mut(&name) else { return };
        let node = Arc::make_mut(&mut info.node);
        node.spec.taints.retain(|taint| taint.key != "node.kubernetes.io/not-ready");
        self.node_changed(&name);
    }

    /// Karpenter changes a node; it knows.
    pub(crate) fn change_node_for_karpenter(&mut self, name: &Str, change: impl FnOnce(&mut Node)) {
        if let Some(info) = self.nodes.get_mut(name) {
            change(Arc::make_mut(&mut info.node));
            self.daemons_dirty = true;
            self.freed = true;
        }
    }

    /// Karpenter terminates an instance. Of one that the cloud does not know it hears as much.
    pub(crate) fn terminate_instance(&mut self, provider_id: Str) {
        let known = self.instances.of_provider_id(&provider_id);
        let whose = known.and_then(|id| self.instances.get(id)).map(Instance::whose);
        let delay = self.delays.draw(Step::InstanceTerminate, &whose.unwrap_or_else(|| provider_id.clone()));
        self.after(delay, known.map_or(Happening::NoInstance(provider_id), Happening::InstanceGone));
    }

    pub(crate) fn instance_gone(&mut self, id: InstanceId) {
        let Some(instance) = self.instances.remove(id) else { return };
        if let Some(entry) = self.ledger.entry_mut(instance.entry) {
            entry.gone = Some(self.now);
        }
        if let Some(node_claim) = instance.node_claim().cloned() {
            self.tell(match instance.provider_id().clone() {
                none if none.is_empty() => Event::LaunchFailed { node_claim, unavailable: Vec::new() },
                provider_id => Event::InstanceGone(provider_id),
            });
        } else if let Some(name) = instance.node() {
            self.remove_node(name);
            self.tell(Event::NodeGone(name.clone()));
        }
    }

    /// The cloud takes an instance back, whatever runs on it.
    pub(crate) fn instance_lost(&mut self, id: InstanceId) {
        if let Some(name) = self.instances.get(id).map(Instance::name) {
            self.log("node", "lost", || vec![("node", name.as_str().into())]);
            self.instance_gone(id);
        }
    }

    /// A node object is gone; pods that still name it are orphans.
    pub(crate) fn remove_node(&mut self, name: &Str) {
        let Some(info) = self.nodes.remove(name) else { return };
        self.log("node", "deleted", || vec![("node", name.as_str().into())]);
        self.daemons_dirty = true;
        self.affine.retain(|id| !info.pods.contains(id));
        let mut orphans: Vec<_> = info.pods.into_iter().collect();
        // Pods that have ended stay in the API server until now, too.
        orphans.extend(
            self.pods
                .iter()
                .filter(|(_, state)| {
                    state.pod.spec.node_name == *name && karpsim::kubernetes::pods::is_terminal(&state.pod)
                })
                .map(|(id, _)| *id),
        );
        if orphans.is_empty() {
            return;
        }
        let seen = self.now + (GC_BEAT - self.now.rem_euclid(GC_BEAT)) % GC_BEAT;
        self.orphans.insert(name.clone(), orphans);
        self.push(seen + GC_QUARANTINE, Happening::PodGc(name.clone()));
    }

    /// Pods whose node is gone are taken out; their owners make others.
    pub(crate) fn collect_orphans(&mut self, node: &Str) {
        for id in self.orphans.remove(node).unwrap_or_default() {
            let Some(state) = self.pods.get(&id) else { continue };
            if state.is_active() {
                self.restart_batch_pod(id);
            }
            self.remove_pod(id);
        }
    }
}

pub(super) fn with_hostname(mut labels: Labels, name: &Str) -> Labels {
    if labels.get(HOSTNAME).is_none() {
        labels.insert(HOSTNAME, name.clone());
    }
    labels
}

/// Extended resources are at zero until their plugins have registered them.
fn without_devices(resources: &ResourceList) -> ResourceList {
    resources
        .iter()
        .map(|(name, quantity)| {
            let device = name.contains('/') && !name.starts_with("kubernetes.io/");
            (name, if device { Quantity::ZERO } else { quantity })
        })
        .collect()
}
