//! Instance types, written in the test.

use serde_json::{Value, json};

/// An instance type in these zones, on demand: `(zone, price)`.
pub(crate) fn instance_type(name: &str, cpu: &str, memory: &str, zones: &[(&str, f64)]) -> Value {
    let names: Vec<&str> = zones.iter().map(|(zone, _)| *zone).collect();
    let offerings: Vec<Value> = zones
        .iter()
        .map(|(zone, price)| {
            json!({"available": true, "price": price, "reservationCapacity": 0, "requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": [zone]}]})
        })
        .collect();
    json!({
        "name": name, "capacity": {"cpu": cpu, "memory": memory, "pods": "20"},
        "overhead": {"kubeReserved": {}, "systemReserved": {}, "evictionThreshold": {}},
        "requirements": [
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": [name]},
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": names}],
        "offerings": offerings,
    })
}

/// A catalogue of these types.
pub(crate) fn catalogue(types: &[Value]) -> Value {
    json!({"provider": "aws", "region": "us-west-2", "instanceTypes": types})
}
