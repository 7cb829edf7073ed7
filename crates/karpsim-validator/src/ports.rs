//! Host ports: on one node each address, port and protocol is taken once. The address `0.0.0.0`, which is meant where
//! none is given, is all addresses.

use karpsim::model::core::Pod;

/// Looser than Kubernetes: like Karpenter, ports of sidecars are not looked at.
fn ports(pod: &Pod) -> Vec<(i64, &str, &str)> {
    let taken =
        pod.spec.containers.iter().flat_map(|container| &container.ports).filter(|port| port.host_port != 0);
    taken
        .map(|port| {
            let address = if port.host_ip.is_empty() { "0.0.0.0" } else { port.host_ip.as_str() };
            let protocol = if port.protocol.is_empty() { "TCP" } else { port.protocol.as_str() };
            (port.host_port, protocol, address)
        })
        .collect()
}

/// Whether two pods on one node want the same port.
pub(crate) fn clash(one: &Pod, other: &Pod) -> bool {
    ports(one).iter().any(|(port, protocol, address)| {
        ports(other).iter().any(|(other_port, other_protocol, other_address)| {
            (port, protocol) == (other_port, other_protocol)
                && (address == other_address || *address == "0.0.0.0" || *other_address == "0.0.0.0")
        })
    })
}
