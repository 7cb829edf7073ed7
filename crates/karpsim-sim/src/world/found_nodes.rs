//! Nodes that the replay did not launch: those of the trace's `nodes` events, and those of a cluster's dump with their
//! NodeClaims.

use super::World;
use super::apply::of_another_karpenter;
use super::instances::Instance;
use super::nodes::with_hostname;
use crate::error::Error;
use crate::ledger::NanoDollarsPerHour;
use crate::scheduler::NodeInfo;
use crate::trace::NodeGroup;
use karpsim::catalogue::Price;
use karpsim::decision::Launch;
use karpsim::label_rules::is_known_node_class;
use karpsim::model::core::{Node, NodeSpec, NodeStatus};
use karpsim::model::karpenter::NodeClaim;
use karpsim::model::meta::{Labels, ObjectMeta, Str};
use karpsim::problem::near_miss;
use karpsim_controller::{Event, Machine, OfferingKey, machine};
use std::sync::Arc;

impl World<'_> {
    /// Nodes that Karpenter does not own, ready at once.
    pub(crate) fn add_group(&mut self, group: &NodeGroup) -> Result<(), Error> {
        let Some(instance_type) = self.cloud.instance_type(&group.instance_type) else {
            let names = self.cloud.catalogue().instance_types.iter().map(|it| it.name.as_str());
            let hint = near_miss(&group.instance_type, names).map(|near| format!("did you mean `{near}`?"));
            let message = format!("the catalogue has no instance type `{}`", group.instance_type);
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
                provider_id: Str::from(format!("karpsim:///{zone}/nodes/{name}")),
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
        let entry = self.ledger.open(name.clone(), None, None);
        self.ledger.launch(entry, key.clone(), price, self.now);
        let provider_id = node.spec.provider_id.clone();
        self.instances.insert(Instance::running(entry, provider_id, name.clone(), key, machine, self.now));
        self.node_names_taken.insert(name.clone());
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

    /// A NodeClaim of a cluster's dump.
    pub(crate) fn add_found_node_claim(&mut self, claim: NodeClaim) {
        if !is_known_node_class(&self.cloud.catalogue().provider, &claim.spec.node_class_ref) {
            self.warn(of_another_karpenter("NodeClaims", &claim.spec.node_class_ref));
        } else if let Some(id) = self.instances.found(&claim)
            && let Some(entry) = self.instances.get(id).map(|instance| instance.entry)
        {
            self.ledger.claim_node(entry, &claim.metadata.name);
        }
        self.tell(Event::NodeClaim(Arc::new(claim)));
    }

    /// A node of a cluster's dump. With its NodeClaim, before or after it, it is Karpenter's.
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
                "node `{name}`: the catalogue has no `{}` in `{}` as {}; it costs nothing here",
                key.instance_type, key.zone, key.capacity_type
            ));
        }
        let price = self.cloud.price(&key).unwrap_or_default();
        let created = pool.is_some().then_some(self.now);
        let entry = self.ledger.open(name.clone(), pool, created);
        self.ledger.launch(entry, key.clone(), price, self.now);
        let machine = Machine {
            labels: node.metadata.labels.clone(),
            capacity: node.status.capacity.clone(),
            allocatable: node.status.allocatable.clone(),
        };
        let provider_id = node.spec.provider_id.clone();
        let id = self.instances.insert(Instance::running(
            entry,
            provider_id,
            name.clone(),
            key,
            machine,
            self.now,
        ));
        if let Some(node_claim) = self.instances.get(id).and_then(Instance::node_claim) {
            self.ledger.claim_node(entry, node_claim);
        }
        self.node_names_taken.insert(name.clone());
        self.node_added = true;
        self.nodes.insert(name.clone(), NodeInfo { node: Arc::new(node), ..NodeInfo::default() });
        self.node_changed(&name);
    }
}

/// Labels that only Karpenter's own nodes have.
fn is_karpenters(key: &str) -> bool {
    key.split('/').next().is_some_and(|domain| domain.split('.').any(|part| part == "karpenter"))
}
