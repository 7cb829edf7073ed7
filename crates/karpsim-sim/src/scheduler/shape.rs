//! What the scheduler needs to know of a pod. Pods of one template share it.

use karpsim::model::core::{Container, Pod, PodSpec};
use karpsim::model::meta::Str;
use karpsim::quantity::Quantity;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A port of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostPort {
    pub(crate) ip: Str,
    pub(crate) protocol: Str,
    pub(crate) port: i64,
}

impl HostPort {
    /// Whether both cannot be on one node.
    pub(crate) fn conflicts(&self, other: &HostPort) -> bool {
        let anywhere = |ip: &Str| ip.is_empty() || ip == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || anywhere(&self.ip) || anywhere(&other.ip))
    }
}

/// A kind of pod.
#[derive(Debug)]
pub(crate) struct Shape {
    /// Its number: pods of one shape fail together.
    pub(crate) class: u64,
    /// The pod without name and owner.
    pub(crate) prototype: Arc<Pod>,
    /// What it asks for, `pods` too.
    pub(crate) requests: Vec<(Str, Quantity)>,
    /// cpu (milli) and memory (bytes), with defaults for containers that ask for none.
    pub(crate) nonzero: (i64, i64),
    pub(crate) ports: Vec<HostPort>,
    pub(crate) priority: i64,
    /// It has pod affinity, anti-affinity or topology spread.
    pub(crate) has_pod_constraints: bool,
    /// It has pod affinity or anti-affinity: other pods feel it.
    pub(crate) has_affinity: bool,
}

const DEFAULT_CPU_MILLI: i64 = 100;
const DEFAULT_MEMORY_BYTES: i64 = 200 << 20;

impl Shape {
    pub(crate) fn new(class: u64, prototype: Pod) -> Shape {
        let spec = &prototype.spec;
        let mut requests: Vec<(Str, Quantity)> =
            requests(spec).into_iter().filter(|(_, quantity)| !quantity.is_zero()).collect();
        requests.push(("pods".into(), Quantity::from_units(1)));
        let ports = spec
            .containers
            .iter()
            .chain(&spec.init_containers)
            .flat_map(|container| &container.ports)
            .filter(|port| port.host_port > 0)
            .map(|port| HostPort {
                ip: port.host_ip.clone(),
                protocol: if port.protocol.is_empty() { "TCP".into() } else { port.protocol.clone() },
                port: port.host_port,
            })
            .collect();
        let affinity = spec.affinity.as_ref();
        let has_affinity =
            affinity.is_some_and(|it| it.pod_affinity.is_some() || it.pod_anti_affinity.is_some());
        Shape {
            class,
            requests,
            nonzero: nonzero(spec),
            ports,
            priority: spec.priority.unwrap_or(0),
            has_pod_constraints: has_affinity || !spec.topology_spread_constraints.is_empty(),
            has_affinity,
            prototype: Arc::new(prototype),
        }
    }
}

/// What a pod asks for: its containers and sidecars together, or the largest moment of its init containers, and overhead.
fn requests(spec: &PodSpec) -> BTreeMap<Str, Quantity> {
    fn add(to: &mut BTreeMap<Str, Quantity>, container: &Container) {
        for (name, quantity) in container.resources.requests.iter() {
            *to.entry(name.into()).or_default() += quantity;
        }
    }
    let mut total = BTreeMap::new();
    for container in &spec.containers {
        add(&mut total, container);
    }
    // Sidecars keep running; an init container runs beside the sidecars before it.
    let mut sidecars: BTreeMap<Str, Quantity> = BTreeMap::new();
    let mut peak: BTreeMap<Str, Quantity> = BTreeMap::new();
    for container in &spec.init_containers {
        if container.restart_policy == "Always" {
            add(&mut total, container);
            add(&mut sidecars, container);
        }
        let mut moment = sidecars.clone();
        if container.restart_policy != "Always" {
            add(&mut moment, container);
        }
        for (name, quantity) in moment {
            let most = peak.entry(name).or_default();
            *most = (*most).max(quantity);
        }
    }
    for (name, quantity) in peak {
        let most = total.entry(name).or_default();
        *most = (*most).max(quantity);
    }
    if let Some(whole) = &spec.resources {
        for (name, quantity) in whole.requests.iter() {
            total.insert(name.into(), quantity);
        }
    }
    for (name, quantity) in spec.overhead.iter() {
        *total.entry(name.into()).or_default() += quantity;
    }
    total
}

fn nonzero(spec: &PodSpec) -> (i64, i64) {
    let (mut cpu, mut memory) = (0, 0);
    for container in &spec.containers {
        let requests = &container.resources.requests;
        cpu += requests.get("cpu").map_or(DEFAULT_CPU_MILLI, milli);
        memory += requests.get("memory").map_or(DEFAULT_MEMORY_BYTES, Quantity::units_rounded_up);
    }
    (cpu, memory)
}

/// Thousandths, rounded up.
pub(crate) fn milli(quantity: Quantity) -> i64 {
    i64::try_from((quantity.nanos() + 999_999) / 1_000_000).unwrap_or(i64::MAX)
}
