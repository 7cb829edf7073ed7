//! How much of a node is in use.

use crate::nodes::gpu_resource;
use crate::pods::{is_daemon, is_long_terminating, is_mirror, milli, requested};
use crate::snapshot::NodeInfo;
use crate::time::Nanos;
use karpsim::quantity::Quantity;

/// Which pods do not count.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ignored {
    pub(crate) daemons: bool,
    pub(crate) mirrors: bool,
}

/// The larger share of cpu and memory, on a GPU node that of its GPUs. `None`: the node has no cpu or no memory.
pub(crate) fn utilization(info: &NodeInfo, ignored: Ignored, now: Nanos) -> Option<f64> {
    if let Some(gpu) = gpu_resource(&info.node) {
        // GPUs that are not there yet are not in use.
        return Some(share(info, gpu, ignored, now).unwrap_or(0.0));
    }
    let cpu = share(info, "cpu", ignored, now)?;
    let memory = share(info, "memory", ignored, now)?;
    Some(if cpu > memory { cpu } else { memory })
}

/// What pods ask for, of what is allocatable. Pods that do not count are taken off both.
fn share(info: &NodeInfo, resource: &str, ignored: Ignored, now: Nanos) -> Option<f64> {
    let allocatable = info.node.status.allocatable.get(resource)?;
    if milli(allocatable) == 0 {
        return None;
    }
    let (mut counted, mut off) = (Quantity::ZERO, Quantity::ZERO);
    for pod in &info.pods {
        let amount = requested(pod, resource);
        if (ignored.daemons && is_daemon(pod)) || (ignored.mirrors && is_mirror(pod)) {
            off += amount;
        } else if !is_long_terminating(pod, now) {
            counted += amount;
        }
    }
    Some(milli(counted) as f64 / milli(allocatable).saturating_sub(milli(off)) as f64)
}

#[cfg(test)]
mod tests {
    use super::{Ignored, utilization};
    use crate::snapshot::NodeInfo;
    use std::sync::Arc;

    const DAEMON: &str = r#""ownerReferences": [{"kind": "DaemonSet", "name": "d", "controller": true}]"#;

    fn info(allocatable: &str, pods: &[(&str, &str)]) -> NodeInfo {
        let node = format!(r#"{{"status": {{"allocatable": {{{allocatable}}}}}}}"#);
        let pod = |(metadata, requests): &(&str, &str)| {
            let text = format!(
                r#"{{"metadata": {{{metadata}}}, "spec": {{"containers": [{{"resources": {{"requests": {{{requests}}}}}}}]}}}}"#
            );
            Arc::new(serde_json::from_str(&text).unwrap())
        };
        NodeInfo {
            node: Arc::new(serde_json::from_str(&node).unwrap()),
            pods: pods.iter().map(pod).collect(),
        }
    }

    #[test]
    fn daemons_that_do_not_count_are_taken_off_both_sides() {
        let node =
            info(r#""cpu": "4", "memory": "8Gi""#, &[(DAEMON, r#""cpu": "1""#), ("", r#""cpu": "1""#)]);
        let with = |daemons| utilization(&node, Ignored { daemons, mirrors: false }, 0);
        assert_eq!(with(false), Some(0.5));
        assert_eq!(with(true), Some(1.0 / 3.0));
    }

    #[test]
    fn a_gpu_node_is_judged_by_its_gpus_alone() {
        let none = Ignored { daemons: false, mirrors: false };
        let node = info(r#""cpu": "4", "memory": "8Gi", "nvidia.com/gpu": "4""#, &[("", r#""cpu": "4""#)]);
        assert_eq!(utilization(&node, none, 0), Some(0.0));
        assert_eq!(utilization(&info(r#""cpu": "4""#, &[]), none, 0), None);
    }
}
