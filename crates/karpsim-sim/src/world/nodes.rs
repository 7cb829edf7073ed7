//! Instances and their nodes, from the cloud's answer to the end.

use super::{Happening, World};
use crate::delays::Step;
use crate::error::Error;
use crate::ledger::NanoDollarsPerHour;
use crate::scheduler::NodeInfo;
use crate::trace::NodeGroup;
use karpsim::catalogue::Price;
use karpsim::decision::{Launch, NewNodeClaim};
use karpsim::model::core::{Node, NodeSpec, NodeStatus, ResourceList, Taint, TaintEffect};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Labels, ObjectMeta, Str};
use karpsim::problem::near_miss;
use karpsim::quantity::Quantity;
use karpsim_controller::{Event, Machine, Nanos, OfferingKey, SECOND, launch_order, machine};
use std::sync::Arc;

const HOSTNAME: &str = "kubernetes.io/hostname";
/// Pods of a node that is gone are seen at the next beat of this, …
const GC_BEAT: Nanos = 20 * SECOND;
/// … and collected after this.
const GC_QUARANTINE: Nanos = 40 * SECOND;

/// An instance: of a NodeClaim, or a node that Karpenter does not own.
#[derive(Debug, Clone)]
pub(crate) struct Instance {
    /// What is to be launched, until it is.
    wanted: Option<Box<NewNodeClaim>>,
    startup_taints: Vec<Taint>,
    pub(crate) offering: Option<OfferingKey>,
    machine: Machine,
    pub(crate) launched: Option<Nanos>,
    /// The cloud has said that it will take it.
    pub(crate) interrupted: bool,
    pub(crate) managed: bool,
}

impl World<'_> {
    /// Karpenter asks for an instance.
    pub(crate) fn launch_requested(&mut self, claim: &Arc<NodeClaim>, wanted: Box<NewNodeClaim>) {
        let name = claim.metadata.name.clone();
        self.ledger.open(name.clone(), Some(wanted.node_pool.clone()), Some(self.now));
        self.log("nodeclaim", "created", || {
            vec![("nodeclaim", name.as_str().into()), ("nodePool", wanted.node_pool.as_str().into())]
        });
        self.instances.insert(
            name.clone(),
            Instance {
                wanted: Some(wanted),
                startup_taints: claim.spec.startup_taints.clone(),
                offering: None,
                machine: Machine::default(),
                launched: None,
                interrupted: false,
                managed: true,
            },
        );
        self.after(self.delays.draw(Step::Launch, &name), Happening::Launch(name));
    }

    /// The cloud answers: the cheapest offering that it has, of those that are allowed.
    pub(crate) fn launch(&mut self, name: &Str) {
        let Some(wanted) = self.instances.get_mut(name).and_then(|instance| instance.wanted.take()) else {
            return;
        };
        let running: Vec<OfferingKey> =
            self.instances.values().filter_map(|instance| instance.offering.clone()).collect();
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
            self.instances.remove(name);
            self.log("nodeclaim", "launch failed", || vec![("nodeclaim", name.as_str().into())]);
            self.tell(Event::LaunchFailed { claim: name.clone(), unavailable });
            return;
        };
        let key = OfferingKey::from(&launch);
        let delivered = machine(self.cloud.catalogue(), &launch).unwrap_or_default();
        if let Some(instance) = self.instances.get_mut(name) {
            instance.offering = Some(key.clone());
            instance.machine = delivered;
            instance.launched = Some(self.now);
        }
        self.ledger.launch(name, key, NanoDollarsPerHour::from_dollars(launch.price.0), self.now);
        self.log("nodeclaim", "launched", || {
            vec![
                ("nodeclaim", name.as_str().into()),
                ("instanceType", launch.instance_type.as_str().into()),
                ("zone", launch.zone.as_str().into()),
                ("capacityType", launch.capacity_type.as_str().into()),
                ("price", launch.price.0.into()),
            ]
        });
        self.after(self.delays.draw(Step::NodeCreated, name), Happening::NodeCreated(name.clone()));
        self.tell(Event::Launched { claim: name.clone(), launch, unavailable });
    }

    fn price_of(&self, launch: &Launch) -> Price {
        self.cloud.price(&OfferingKey::from(launch)).map_or(launch.price, |price| Price(price.dollars()))
    }

    /// The kubelet makes its node, called as the NodeClaim.
    pub(crate) fn node_created(&mut self, name: &Str) {
        let Some(instance) = self.instances.get(name) else { return };
        let Some(key) = &instance.offering else { return };
        let provider_id = Str::from(format!("karpsim:///{}/{name}", key.zone));
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
                labels: with_hostname(instance.machine.labels.clone(), name),
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
        self.after(self.delays.draw(Step::NodeReady, name), Happening::NodeReady(name.clone()));
        self.node_changed(name);
    }

    /// A node changed: Karpenter, the DaemonSets and the scheduler look at it.
    fn node_changed(&mut self, name: &Str) {
        self.daemons_dirty = true;
        self.freed = true;
        if let Some(info) = self.nodes.get(name) {
            let node = Arc::clone(&info.node);
            self.tell(Event::Node(node));
        }
    }

    pub(crate) fn node_ready(&mut self, name: &Str) {
        let stamp = self.calendar.stamp(self.now);
        let Some(instance) = self.instances.get(name) else { return };
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
        if let Some(entry) = self.ledger.entry(name) {
            entry.ready = Some(self.now);
        }
        self.log("node", "ready", || vec![("node", name.as_str().into())]);
        if !startup.is_empty() {
            self.warn("startupTaints are removed when the node is ready: what removes them is not modelled");
        }
        self.after(self.delays.draw(Step::NodeInitialized, name), Happening::NodeInitializable(name.clone()));
        for id in waiting {
            self.start_later(id);
        }
        self.node_changed(name);
    }

    pub(crate) fn node_initializable(&mut self, name: &Str) {
        let Some(info) = self.nodes.get_mut(name) else { return };
        let node = Arc::make_mut(&mut info.node);
        node.spec.taints.retain(|taint| taint.key != "node.kubernetes.io/not-ready");
        self.node_changed(name);
    }

    /// Karpenter wants a node to look like this.
    pub(crate) fn update_node(&mut self, node: Arc<Node>) {
        if let Some(info) = self.nodes.get_mut(&node.metadata.name) {
            info.node = node;
            self.daemons_dirty = true;
            self.freed = true;
        }
    }

    /// Karpenter ends an instance.
    pub(crate) fn terminate_instance(&mut self, name: &Str) {
        self.after(self.delays.draw(Step::InstanceTerminate, name), Happening::InstanceGone(name.clone()));
    }

    pub(crate) fn instance_gone(&mut self, name: &Str) {
        let Some(instance) = self.instances.remove(name) else { return };
        if let Some(entry) = self.ledger.entry(name) {
            entry.gone = Some(self.now);
        }
        if instance.managed {
            self.tell(Event::InstanceGone(name.clone()));
        } else {
            self.remove_node(name);
            self.tell(Event::NodeGone(name.clone()));
        }
    }

    /// The cloud takes an instance back, whatever runs on it.
    pub(crate) fn instance_lost(&mut self, name: &Str) {
        if self.instances.contains_key(name) {
            self.log("node", "lost", || vec![("node", name.as_str().into())]);
            self.instance_gone(name);
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

    /// Nodes that Karpenter does not own, ready at once.
    pub(crate) fn add_group(&mut self, group: &NodeGroup) -> Result<(), Error> {
        let Some(instance_type) = self.cloud.instance_type(&group.instance_type) else {
            let names = self.cloud.catalogue().instance_types.iter().map(|it| it.name.as_str());
            let hint = near_miss(&group.instance_type, names).map(|near| format!("did you mean `{near}`?"));
            let message = format!("instance type `{}` not found in the catalogue", group.instance_type);
            return Err(Error::new("nodes.instanceType", message).hint(hint));
        };
        let zones: Vec<Str> = if group.zones.is_empty() {
            let mut zones: Vec<Str> = instance_type
                .offerings
                .iter()
                .map(|offering| OfferingKey::of(instance_type, offering))
                .filter(|key| key.capacity_type == group.capacity_type)
                .map(|key| key.zone)
                .collect();
            zones.sort();
            zones.dedup();
            zones
        } else {
            group.zones.clone()
        };
        for index in 0..group.count {
            let zone = zones.get(index % zones.len().max(1)).cloned().unwrap_or_default();
            let mut number = index;
            let name = loop {
                let name = Str::from(format!("{}-{number}", group.name_prefix));
                if !self.nodes.contains_key(&name) {
                    break name;
                }
                number += 1;
            };
            self.add_unmanaged(group, name, zone);
        }
        Ok(())
    }

    fn add_unmanaged(&mut self, group: &NodeGroup, name: Str, zone: Str) {
        let key = OfferingKey {
            instance_type: group.instance_type.clone(),
            zone: zone.clone(),
            capacity_type: group.capacity_type.clone(),
        };
        let price = self.cloud.price(&key).unwrap_or_else(|| {
            // A zone that is not on offer costs what the type costs elsewhere.
            let offerings = self.cloud.instance_type(&group.instance_type).map(|it| it.offerings.as_slice());
            let least = offerings.unwrap_or_default().iter().map(|it| it.price.0).min_by(f64::total_cmp);
            NanoDollarsPerHour::from_dollars(least.unwrap_or(0.0))
        });
        let launch = Launch {
            instance_type: group.instance_type.clone(),
            zone: zone.clone(),
            capacity_type: group.capacity_type.clone(),
            price: Price(price.dollars()),
        };
        let machine = machine(self.cloud.catalogue(), &launch).unwrap_or_default();
        let mut labels: Labels = machine.labels.iter().filter(|(key, _)| !is_karpenters(key)).collect();
        for (key, value) in group.labels.iter() {
            labels.insert(key, value);
        }
        let stamp = self.calendar.stamp(self.now);
        let mut node = Node {
            metadata: ObjectMeta {
                name: name.clone(),
                uid: Str::from(format!("node-{name}")),
                creation_timestamp: Some(stamp),
                labels: with_hostname(labels, &name),
                ..ObjectMeta::default()
            },
            spec: NodeSpec {
                provider_id: Str::from(format!("karpsim:///{zone}/{name}")),
                taints: group.taints.clone(),
                ..NodeSpec::default()
            },
            status: NodeStatus {
                capacity: machine.capacity.clone(),
                allocatable: machine.allocatable.clone(),
                ..NodeStatus::default()
            },
            ..Node::default()
        };
        super::pods::set_condition(&mut node.status.conditions, "Ready", "True", "KubeletReady", stamp);
        self.ledger.open(name.clone(), None, None);
        self.ledger.launch(&name, key.clone(), price, self.now);
        self.instances.insert(
            name.clone(),
            Instance {
                wanted: None,
                startup_taints: Vec::new(),
                offering: Some(key),
                machine,
                launched: Some(self.now),
                interrupted: false,
                managed: false,
            },
        );
        self.node_added = true;
        self.nodes.insert(name.clone(), NodeInfo { node: Arc::new(node), ..NodeInfo::default() });
        self.log("node", "created", || vec![("node", name.as_str().into())]);
        self.node_changed(&name);
    }

    /// A node that is there is applied again: labels, annotations, taints and cordon are laid over it.
    fn change_node(&mut self, name: &Str, applied: Node) {
        if let Some(info) = self.nodes.get_mut(name) {
            let node = Arc::make_mut(&mut info.node);
            for (key, value) in applied.metadata.labels.iter() {
                node.metadata.labels.insert(key, value);
            }
            for (key, value) in applied.metadata.annotations.iter() {
                node.metadata.annotations.insert(key, value);
            }
            for taint in applied.spec.taints {
                node.spec.taints.retain(|it| it.key != taint.key || it.effect != taint.effect);
                node.spec.taints.push(taint);
            }
            node.spec.unschedulable = applied.spec.unschedulable;
        }
        self.node_changed(name);
    }

    /// A node of a cluster's dump, with its claim if Karpenter owns it.
    pub(crate) fn add_found_node(&mut self, node: Node) {
        let name = node.metadata.name.clone();
        if self.nodes.contains_key(&name) {
            self.change_node(&name, node);
            return;
        }
        let label = |key: &str| Str::from(node.metadata.labels.get(key).unwrap_or_default());
        let key = OfferingKey {
            instance_type: label("node.kubernetes.io/instance-type"),
            zone: label("topology.kubernetes.io/zone"),
            capacity_type: match label("karpenter.sh/capacity-type") {
                none if none.is_empty() => "on-demand".into(),
                given => given,
            },
        };
        let pool = node.metadata.labels.get("karpenter.sh/nodepool").map(Str::from);
        if self.cloud.price(&key).is_none() {
            self.warn(format!(
                "node `{name}`: the catalogue has no offering of `{}` in `{}` as {}, so its cost is 0",
                key.instance_type, key.zone, key.capacity_type
            ));
        }
        let price = self.cloud.price(&key).unwrap_or_default();
        let managed = pool.is_some();
        self.ledger.open(name.clone(), pool, managed.then_some(self.now));
        self.ledger.launch(&name, key.clone(), price, self.now);
        let machine = Machine {
            labels: node.metadata.labels.clone(),
            capacity: node.status.capacity.clone(),
            allocatable: node.status.allocatable.clone(),
        };
        self.instances.insert(
            name.clone(),
            Instance {
                wanted: None,
                startup_taints: Vec::new(),
                offering: Some(key),
                machine,
                launched: Some(self.now),
                interrupted: false,
                managed,
            },
        );
        self.node_added = true;
        self.nodes.insert(name.clone(), NodeInfo { node: Arc::new(node), ..NodeInfo::default() });
        self.node_changed(&name);
    }
}

/// Labels that only Karpenter's own nodes have.
fn is_karpenters(key: &str) -> bool {
    key.split('/').next().is_some_and(|domain| domain.split('.').any(|part| part == "karpenter"))
}

fn with_hostname(mut labels: Labels, name: &Str) -> Labels {
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
