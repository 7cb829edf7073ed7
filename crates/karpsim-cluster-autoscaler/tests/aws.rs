//! Node groups from what AWS users have.

use karpsim::catalogue::{self, Catalogue};
use karpsim::model::core::TaintEffect;
use karpsim_cluster_autoscaler::aws::{
    AwsError, Discovery, DiscoveryError, Lookups, read_auto_scaling_groups, read_eksctl,
};
use std::sync::OnceLock;

fn types() -> &'static Catalogue {
    static CATALOGUE: OnceLock<Catalogue> = OnceLock::new();
    CATALOGUE
        .get_or_init(|| catalogue::read(&karpsim_testkit::text("catalogues/aws-us-west-2.json")).unwrap())
}

const GROUPS: &str = r#"{"AutoScalingGroups": [
    {"AutoScalingGroupName": "gpu", "MinSize": 0, "MaxSize": 4, "DesiredCapacity": 1,
     "AvailabilityZones": ["us-west-2b", "us-west-2a"],
     "MixedInstancesPolicy": {"LaunchTemplate": {"LaunchTemplateSpecification": {"LaunchTemplateName": "lt"},
        "Overrides": [{"InstanceType": "g4dn.xlarge"}, {"InstanceType": "g5.xlarge"}]}},
     "Instances": [{"InstanceId": "i-0123", "InstanceType": "g5.xlarge", "AvailabilityZone": "us-west-2a",
                    "LifecycleState": "InService", "HealthStatus": "Healthy"}],
     "Tags": [
        {"Key": "k8s.io/cluster-autoscaler/enabled", "Value": "true"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/label/team", "Value": "ml"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/label/k8s.amazonaws.com/accelerator", "Value": "nvidia-t4"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/taint/nvidia.com/gpu", "Value": "present:NoSchedule"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/taint/odd", "Value": "sometimes"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/resources/ephemeral-storage", "Value": "100G"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/autoscaling-options/scaledownunneededtime", "Value": "30m"},
        {"Key": "k8s.io/cluster-autoscaler/node-template/autoscaling-options/scaledownutilizationthreshold", "Value": "half"},
        {"Key": "eks:nodegroup-name", "Value": "gpu-managed"}]},
    {"AutoScalingGroupName": "plain", "MinSize": 1, "MaxSize": 3, "DesiredCapacity": 2,
     "AvailabilityZones": ["us-west-2c"], "LaunchTemplate": {"LaunchTemplateName": "lt2"}, "Instances": [], "Tags": []}
]}"#;

#[test]
fn a_group_has_the_template_that_its_tags_and_its_first_type_tell() {
    let groups =
        read_auto_scaling_groups(GROUPS, &Discovery::default(), &Lookups::default(), types()).unwrap();
    let [group] = groups.as_slice() else { panic!("the one that is tagged as enabled: {groups:?}") };
    let node_group = &group.node_group;
    assert_eq!((node_group.name.as_str(), node_group.min_size, node_group.max_size), ("gpu", 0, 4));
    assert_eq!(group.desired_capacity, 1);
    let node = &node_group.template;
    let label = |key: &str| node.metadata.labels.get(key);
    assert_eq!(label("node.kubernetes.io/instance-type"), Some("g4dn.xlarge"));
    assert_eq!(label("topology.kubernetes.io/zone"), Some("us-west-2b"));
    assert_eq!(label("topology.kubernetes.io/region"), Some("us-west-2"));
    assert_eq!(label("kubernetes.io/arch"), Some("amd64"));
    assert_eq!(label("team"), Some("ml"));
    assert_eq!(label("k8s.amazonaws.com/accelerator"), Some("nvidia-t4"));
    assert_eq!(label("nodegroup-name"), Some("gpu-managed"));
    let capacity = |resource: &str| node.status.capacity.get(resource).unwrap().to_string();
    assert_eq!(capacity("cpu"), "4");
    assert_eq!(capacity("memory"), (16_384_i64 << 20).to_string());
    assert_eq!(capacity("nvidia.com/gpu"), "1");
    assert_eq!(capacity("pods"), "110");
    assert_eq!(capacity("ephemeral-storage"), "100000000000");
    assert_eq!(node.status.allocatable, node.status.capacity);
    let taints: Vec<_> =
        node.spec.taints.iter().map(|it| (it.key.as_str(), it.value.as_str(), it.effect)).collect();
    assert_eq!(taints, [("nvidia.com/gpu", "present", Some(TaintEffect::NoSchedule))]);
    assert_eq!(node_group.options.scale_down_unneeded_time.unwrap().nanos, 30 * 60 * 1_000_000_000);
    assert_eq!(node_group.options.scale_down_utilization_threshold, None);
    assert_eq!(group.tag_problems.len(), 1);
}

#[test]
fn instances_are_found_among_the_nodes_by_their_ids() {
    let groups =
        read_auto_scaling_groups(GROUPS, &Discovery::default(), &Lookups::default(), types()).unwrap();
    let node = r#"{"metadata": {"name": "ip-10-0-0-1"}, "spec": {"providerID": "aws:///us-west-2a/i-0123"}}"#;
    let node = std::sync::Arc::new(serde_json::from_str(node).unwrap());
    assert_eq!(groups[0].state(&[node]).instances, ["ip-10-0-0-1"]);
    assert_eq!(groups[0].state(&[]).instances, ["aws:///us-west-2a/i-0123"]);
}

#[test]
fn groups_are_found_by_flags_and_what_is_not_known_is_said() {
    let mut discovery = Discovery::default();
    discovery.add_nodes("2:9:plain").unwrap();
    let read = |discovery: &Discovery, lookups: &Lookups| {
        read_auto_scaling_groups(GROUPS, discovery, lookups, types())
    };
    let error = read(&discovery, &Lookups::default()).unwrap_err();
    assert!(matches!(error, AwsError::NoInstanceType { .. }), "{error}");
    let mut lookups = Lookups::default();
    lookups.instance_types.insert("plain".into(), "m6g.large".into());
    let groups = read(&discovery, &lookups).unwrap();
    assert_eq!(groups.len(), 1);
    assert_eq!((groups[0].node_group.min_size, groups[0].node_group.max_size), (2, 9));
    assert_eq!(groups[0].node_group.template.metadata.labels.get("kubernetes.io/arch"), Some("arm64"));
    lookups.instance_types.insert("plain".into(), "x9.huge".into());
    assert!(matches!(read(&discovery, &lookups), Err(AwsError::UnknownInstanceType { .. })));

    let mut by_tag = Discovery::default();
    by_tag.add_auto_discovery("asg:tag=k8s.io/cluster-autoscaler/enabled=yes").unwrap();
    assert!(read(&by_tag, &lookups).unwrap().is_empty());
    assert_eq!(
        by_tag.add_auto_discovery("mig:namePrefix=x"),
        Err(DiscoveryError::AutoDiscovery("mig:namePrefix=x".to_owned()))
    );
    assert!(by_tag.add_nodes("9:2:plain").is_err());
}

const EKSCTL: &str = "
apiVersion: eksctl.io/v1alpha5
kind: ClusterConfig
metadata: {name: demo, region: us-west-2}
managedNodeGroups:
  - name: spot
    instanceTypes: [m5.large, m5a.large]
    spot: true
    minSize: 0
    maxSize: 10
    labels: {tier: batch}
    taints:
      - {key: spot, value: 'true', effect: NoSchedule}
    availabilityZones: [us-west-2c]
  - name: default
    desiredCapacity: 3
";

#[test]
fn eksctl_files_have_eksctls_defaults() {
    let groups = read_eksctl(EKSCTL, types()).unwrap();
    let sizes: Vec<_> = groups
        .iter()
        .map(|it| {
            (it.node_group.name.as_str(), it.node_group.min_size, it.desired_capacity, it.node_group.max_size)
        })
        .collect();
    assert_eq!(sizes, [("default", 3, 3, 3), ("spot", 0, 0, 10)]);
    let label = |group: usize, key: &str| {
        groups[group].node_group.template.metadata.labels.get(key).map(str::to_owned)
    };
    assert_eq!(label(0, "node.kubernetes.io/instance-type").as_deref(), Some("m5.large"));
    assert_eq!(label(0, "topology.kubernetes.io/zone").as_deref(), Some("us-west-2a"));
    assert_eq!(label(1, "topology.kubernetes.io/zone").as_deref(), Some("us-west-2c"));
    assert_eq!(label(1, "tier").as_deref(), Some("batch"));
    assert_eq!(label(1, "eks.amazonaws.com/capacityType").as_deref(), Some("SPOT"));
    assert_eq!(label(1, "eks.amazonaws.com/nodegroup").as_deref(), Some("spot"));
    assert_eq!(groups[1].node_group.template.spec.taints.len(), 1);
}

#[test]
fn a_desired_capacity_outside_the_sizes_is_refused() {
    let text = EKSCTL.replace("desiredCapacity: 3", "desiredCapacity: 3\n    maxSize: 2");
    assert!(matches!(read_eksctl(&text, types()), Err(AwsError::Sizes { .. })));
}
