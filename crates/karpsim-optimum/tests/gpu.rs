//! Cases that users reported: GPUs, where one large node is dearer than some small ones.

mod corpus;

use corpus::small;
use karpsim_optimum::{Limits, OptimizationProblem, Optimum, Status, nanos};
use serde_json::json;

fn solve(text: &str) -> Optimum {
    let scenario = karpsim_testkit::scenario(text);
    Optimum::solve(&OptimizationProblem::new(&scenario), &Limits::default())
}

fn gpu_pods(count: usize) -> Vec<serde_json::Value> {
    let requests = json!({"cpu": "100m", "nvidia.com/gpu": "1"});
    (0..count).map(|index| small::pod(&format!("gpu-{index}"), &requests, &json!({}), &json!({}))).collect()
}

#[test]
fn two_pods_of_one_gpu_each_want_two_small_nodes() {
    let catalogue =
        json!({"file": "catalogues/aws-us-west-2.json", "include": ["g5.2xlarge", "g5.12xlarge"]});
    let mut objects = gpu_pods(2);
    objects.push(small::node_pool("gpu", &[("karpenter.sh/capacity-type", &["on-demand"])]));
    let optimum = solve(&small::scenario(&catalogue, &objects));
    assert_eq!(optimum.karpenter_cost, nanos(5.672));
    assert_eq!(optimum.cost, nanos(2.424));
    assert_eq!(optimum.bound, optimum.cost);
    assert_eq!(optimum.status, Status::Optimal);
    assert_eq!(optimum.difference, "two g5.2xlarge instead of one g5.12xlarge");
    assert_eq!(optimum.relaxed, []);
}

#[test]
fn three_pods_of_one_gpu_each_want_three_small_spot_nodes() {
    let catalogue = json!({"file": "catalogues/aws-us-west-2.json", "include": [
        "g4dn.xlarge", "g4dn.2xlarge", "g4dn.4xlarge", "g4dn.8xlarge", "g4dn.12xlarge", "g4dn.16xlarge"]});
    let mut objects = gpu_pods(3);
    objects.push(small::node_pool("gpu", &[("karpenter.sh/capacity-type", &["spot", "on-demand"])]));
    let optimum = solve(&small::scenario(&catalogue, &objects));
    assert_eq!(optimum.status, Status::Optimal);
    assert_eq!(optimum.difference, "three g4dn.xlarge instead of one g4dn.12xlarge");
    assert!(optimum.cost < optimum.karpenter_cost);
    let launches: Vec<_> =
        optimum.decision.new_node_claims.iter().filter_map(|claim| claim.launch.as_ref()).collect();
    assert_eq!(launches.len(), 3);
    for launch in launches {
        assert_eq!((launch.instance_type.as_str(), launch.capacity_type.as_str()), ("g4dn.xlarge", "spot"));
    }
}
