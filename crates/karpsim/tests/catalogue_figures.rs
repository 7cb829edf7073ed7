//! Capacity and overhead of every embedded type, derived from its raw facts, are the figures that the files carry: exact
//! equality. The files were made from the clouds' own tables, independently of this code.

use karpsim::catalogue::{self, Catalogue, allocatable};
use karpsim::model::core::ResourceList;
use karpsim::provider::{NodeClass, Settings, recompute};
use karpsim::quantity::Quantity;
use std::sync::Arc;

const FILES: [(&str, usize); 6] = [
    ("aws-us-west-2", 1314),
    ("aws-us-east-1", 1345),
    ("aws-eu-central-1", 783),
    ("aws-cn-north-1", 304),
    ("gcp-us-central1", 360),
    ("azure-eastus", 934),
];

fn load(name: &str) -> Catalogue {
    catalogue::read(&karpsim_testkit::text(&format!("catalogues/{name}.json"))).unwrap()
}

#[test]
fn formulas_give_all_figures_of_all_catalogues() {
    for (name, count) in FILES {
        let embedded = load(name);
        assert_eq!(embedded.instance_types.len(), count, "{name}");
        // Nothing of the figures may be left where the formulas read.
        let mut bare = embedded.clone();
        for instance_type in bare.instance_types.iter_mut().map(Arc::make_mut) {
            instance_type.overhead = karpsim::catalogue::Overhead::default();
            instance_type.capacity =
                instance_type.capacity.iter().filter(|(name, _)| name.contains('/')).collect();
        }
        let derived = recompute(&bare, None, &Settings::default()).unwrap();
        for (ours, theirs) in derived.instance_types.iter().zip(&embedded.instance_types) {
            assert_eq!(ours.capacity, theirs.capacity, "{name} {}", theirs.name);
            assert_eq!(ours.overhead, theirs.overhead, "{name} {}", theirs.name);
        }
    }
}

#[test]
fn network_facts_agree_with_labels_and_resources() {
    for (name, _) in &FILES[..4] {
        for instance_type in &load(name).instance_types {
            let network = karpsim::provider::aws::network(&instance_type.name).unwrap();
            let pod_eni = instance_type.capacity.get("vpc.amazonaws.com/pod-eni").unwrap_or(Quantity::ZERO);
            assert_eq!(Quantity::from_units(network.branch_interfaces), pod_eni, "{}", instance_type.name);
        }
    }
}

#[test]
fn what_is_written_is_read_back() {
    for (name, _) in FILES {
        let embedded = load(name);
        let written = catalogue::write(&embedded);
        assert_eq!(catalogue::read(&written).unwrap(), embedded, "{name}");
        // One type a line.
        assert_eq!(written.lines().count(), embedded.instance_types.len() + 3, "{name}");
    }
}

fn under(class: &str, settings: &Settings, name: &str) -> (ResourceList, ResourceList, ResourceList) {
    let class = NodeClass::read(class, None).unwrap();
    let mut catalogue = load(if class.provider() == "aws" {
        "aws-us-west-2"
    } else if class.provider() == "gcp" {
        "gcp-us-central1"
    } else {
        "azure-eastus"
    });
    catalogue.instance_types.retain(|it| it.name == name);
    let catalogue = recompute(&catalogue, Some(&class), settings).unwrap();
    let instance_type = &catalogue.instance_types[0];
    (instance_type.capacity.clone(), instance_type.overhead.kube_reserved.clone(), allocatable(instance_type))
}

fn quantity(text: &str) -> Quantity {
    Quantity::parse(text).unwrap()
}

/// m5.large: 8192 MiB, 2 vCPUs, 3 interfaces of 10 addresses. By hand: 8192 − ⌈614.4⌉ = 7577 MiB; 3 × 9 + 2 = 29 pods.
#[test]
fn an_ec2_node_class_decides() {
    let plain = "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {name: default}\nspec: {}\n";
    let (capacity, kube_reserved, left) = under(plain, &Settings::default(), "m5.large");
    assert_eq!(capacity.get("memory"), Some(quantity("7577Mi")));
    assert_eq!(kube_reserved.get("memory"), Some(quantity("574Mi")));
    // 7577 − 574 − 100 MiB, 2 − 0.07 cores, 20 − 1 − 2 GiB.
    assert_eq!(left.get("memory"), Some(quantity("6903Mi")));
    assert_eq!(left.get("cpu"), Some(quantity("1930m")));
    assert_eq!(left.get("ephemeral-storage"), Some(quantity("17Gi")));

    // One interface is kept: 2 × 9 + 2 = 20 pods, while the kubelet's reserve stays that of 29.
    let settings =
        Settings { reserved_enis: 1, vm_memory_overhead_percent: Some(0.1), ..Settings::default() };
    let (capacity, kube_reserved, _) = under(plain, &settings, "m5.large");
    assert_eq!(capacity.get("pods"), Some(quantity("20")));
    assert_eq!(capacity.get("memory"), Some(quantity("7372Mi")), "8192 − ⌈819.2⌉");
    assert_eq!(kube_reserved.get("memory"), Some(quantity("574Mi")));
    let settings = Settings { reserved_enis: 3, ..Settings::default() };
    assert_eq!(under(plain, &settings, "m5.large").0.get("pods"), Some(quantity("0")));

    let kubelet = r#"{"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "x"}, "spec": {
        "amiSelectorTerms": [{"alias": "al2023@latest"}], "instanceStorePolicy": "RAID0",
        "kubelet": {"maxPods": 110, "podsPerCore": 10, "kubeReserved": {"cpu": "200m"}, "systemReserved": {"memory": "1Gi"},
                    "evictionHard": {"memory.available": "5%", "nodefs.available": "100%"},
                    "evictionSoft": {"memory.available": "50%"}}}}"#;
    let (capacity, kube_reserved, left) = under(kubelet, &Settings::default(), "g4dn.xlarge");
    assert_eq!(capacity.get("pods"), Some(quantity("40")), "10 × 4 vCPUs");
    assert_eq!(capacity.get("ephemeral-storage"), Some(quantity("125G")));
    assert_eq!(capacity.get("nvidia.com/gpu"), Some(quantity("1")));
    assert_eq!(kube_reserved.get("cpu"), Some(quantity("200m")));
    assert_eq!(
        kube_reserved.get("memory"),
        Some(quantity("574Mi")),
        "29 pods by interfaces, whatever maxPods"
    );
    // 15155 − 574 − 1024 MiB and 5 % of 15155 MiB, rounded up to a byte: 794,558,464.
    assert_eq!(
        left.get("memory"),
        Some(Quantity::from_units((15155 - 574 - 1024) * 1024 * 1024 - 794_558_464))
    );
    assert_eq!(left.get("ephemeral-storage"), Some(Quantity::from_units(125_000_000_000 - (1 << 30))));
}

#[test]
fn image_families_differ() {
    let class = |spec: &str| {
        format!("apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {{name: x}}\nspec: {spec}\n")
    };
    // Bottlerocket: the reserve follows maxPods, podsPerCore does not count, data is on /dev/xvdb.
    let bottlerocket = class(
        "{amiFamily: Bottlerocket, kubelet: {maxPods: 50, podsPerCore: 1}, blockDeviceMappings: [{deviceName: /dev/xvda, ebs: {volumeSize: 4Gi}}, {deviceName: /dev/xvdb, ebs: {volumeSize: 100Gi}}]}",
    );
    let (capacity, kube_reserved, _) = under(&bottlerocket, &Settings::default(), "m5.large");
    assert_eq!(capacity.get("pods"), Some(quantity("50")));
    assert_eq!(capacity.get("ephemeral-storage"), Some(quantity("100Gi")));
    assert_eq!(kube_reserved.get("memory"), Some(quantity("805Mi")), "11 × 50 + 255");
    let windows = class("{amiSelectorTerms: [{alias: windows2022@latest}]}");
    let (capacity, ..) = under(&windows, &Settings::default(), "m5.large");
    assert_eq!(capacity.get("pods"), Some(quantity("110")));
    assert_eq!(capacity.get("vpc.amazonaws.com/PrivateIPv4Address"), Some(quantity("9")));
    let root =
        class("{blockDeviceMappings: [{deviceName: /dev/sdz, rootVolume: true, ebs: {volumeSize: 300Gi}}]}");
    assert_eq!(
        under(&root, &Settings::default(), "m5.large").0.get("ephemeral-storage"),
        Some(quantity("300Gi"))
    );
    // An EFA-only interface carries no pods: 2 × 9 + 2.
    let efa = class(
        "{networkInterfaces: [{networkCardIndex: 0, deviceIndex: 0, interfaceType: interface}, {networkCardIndex: 0, deviceIndex: 1, interfaceType: efa-only}]}",
    );
    let (capacity, ..) = under(&efa, &Settings::default(), "m5.large");
    assert_eq!(
        (capacity.get("pods"), capacity.get("vpc.amazonaws.com/efa")),
        (Some(quantity("20")), Some(quantity("1")))
    );
}

#[test]
fn prefix_delegation_is_a_figure_for_max_pods() {
    // The VPC CNI's calculator for m5.large: 3 × 9 × 16 + 2 = 434, at most 110; for c5.18xlarge (72 vCPUs) at most 250.
    assert_eq!(karpsim::provider::aws::prefix_delegation_pods(2, 3, 10), 110);
    assert_eq!(karpsim::provider::aws::prefix_delegation_pods(72, 15, 50), 250);
    assert_eq!(karpsim::provider::aws::prefix_delegation_pods(1, 2, 2), 34);
}

#[test]
fn gcp_and_azure_node_classes_decide() {
    let gce = "apiVersion: karpenter.k8s.gcp/v1alpha1\nkind: GCENodeClass\nmetadata: {name: x}\nspec: {disks: [{boot: true, sizeGiB: 400, category: pd-balanced}], kubeletConfiguration: {maxPods: 64}}\n";
    let (capacity, kube_reserved, left) = under(gce, &Settings::default(), "n2-standard-8");
    assert_eq!(capacity.get("pods"), Some(quantity("64")));
    assert_eq!(capacity.get("ephemeral-storage"), Some(quantity("400Gi")));
    assert_eq!(kube_reserved.get("ephemeral-storage"), Some(quantity("100Gi")), "the least of 200, 146, 100");
    // 8 − 0.09 − 0.1 cores.
    assert_eq!(left.get("cpu"), Some(quantity("7810m")));
    let aks = "apiVersion: karpenter.azure.com/v1beta1\nkind: AKSNodeClass\nmetadata: {name: x}\nspec: {osDiskSizeGB: 256}\n";
    let settings = Settings {
        azure_network: karpsim::provider::azure::NetworkPlugin::AzureNodeSubnet,
        vm_memory_overhead_percent: Some(0.0),
        ..Settings::default()
    };
    let (capacity, _, left) = under(aks, &settings, "Standard_D4s_v5");
    assert_eq!(capacity.get("pods"), Some(quantity("30")));
    assert_eq!(capacity.get("ephemeral-storage"), Some(quantity("256G")));
    // 16 GiB: 1024 + 819.2 + 819.2 = 2662 MiB reserved, 750 MiB threshold.
    assert_eq!(left.get("memory"), Some(Quantity::from_units((16384 - 2662 - 750) * 1024 * 1024)));
}

/// As the provider's own tests have it: `podsPerCore` caps, `kubeReserved` replaces key by key, `systemReserved` is added to
/// the 100m of kube-proxy, and of `evictionHard` a percentage is of the capacity, rounded up.
#[test]
fn the_kubelet_of_a_gce_node_class_decides() {
    let gce = |kubelet: &str| {
        format!(
            "apiVersion: karpenter.k8s.gcp/v1alpha1\nkind: GCENodeClass\nmetadata: {{name: x}}\nspec: {{kubeletConfiguration: {kubelet}}}\n"
        )
    };
    let settings = Settings { vm_memory_overhead_percent: Some(0.0), ..Settings::default() };
    let (capacity, ..) = under(&gce("{podsPerCore: 4}"), &settings, "n2-standard-8");
    assert_eq!(capacity.get("pods"), Some(quantity("32")));
    let reserved = gce(
        "{kubeReserved: {cpu: 500m}, systemReserved: {cpu: 200m, memory: 1Gi}, evictionHard: {memory.available: 1%}}",
    );
    let (_, kube_reserved, left) = under(&reserved, &settings, "n2-standard-8");
    assert_eq!(kube_reserved.get("cpu"), Some(quantity("500m")));
    // 8 cores less 500m, less 200m and kube-proxy's 100m.
    assert_eq!(left.get("cpu"), Some(quantity("7200m")));
    // 32 GiB; GKE keeps 1024 + 819 + 819 + 983 MiB; 1 GiB more; 1 % of 32 GiB is 343,597,383.68 bytes.
    let mib = 1024 * 1024;
    let expected = (32768 - 1024 - 819 - 819 - 983 - 1024) * mib - 343_597_384;
    assert_eq!(left.get("memory"), Some(Quantity::from_units(expected)));
}

#[test]
fn the_image_of_an_aks_node_class_labels() {
    let class = "apiVersion: karpenter.azure.com/v1beta1\nkind: AKSNodeClass\nmetadata: {name: x}\nspec: {imageFamily: Ubuntu2204, fipsMode: FIPS, localDNS: {mode: Required}}\n";
    let class = NodeClass::read(class, None).unwrap();
    let offered =
        karpsim::provider::offered_types(&class, &load("azure-eastus"), &Settings::default()).unwrap();
    let it = &offered.instance_types[0];
    let label = |key: &str| it.requirements.iter().find(|one| one.key == key).map(|one| one.values.join(","));
    assert_eq!(label("kubernetes.azure.com/os-sku").as_deref(), Some("Ubuntu"));
    assert_eq!(label("kubernetes.azure.com/fips_enabled").as_deref(), Some("true"));
    let said: Vec<String> = offered.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(said, ["AKSNodeClass: `spec.localDNS` is not modelled"]);
}

/// By GKE's documentation: 10 % are the eviction threshold; one SSD keeps 50 GiB, two 75, more 100; of a boot disk the
/// least of 50 %, 35 % + 6 GiB and 100 GiB.
#[test]
fn gcp_storage_is_on_the_boot_disk_or_on_local_ssds() {
    let disks = |disks: &str| {
        format!(
            "apiVersion: karpenter.k8s.gcp/v1alpha1\nkind: GCENodeClass\nmetadata: {{name: x}}\nspec: {{disks: [{disks}]}}\n"
        )
    };
    let ssd = "{category: local-ssd, sizeGiB: 375}";
    for (given, capacity, reserved, left) in [
        ("{boot: true, sizeGiB: 50}".to_owned(), "50Gi", "24Gi", "21Gi"),
        ("{boot: true, sizeGiB: 10}".to_owned(), "10Gi", "5Gi", "4Gi"),
        (ssd.to_owned(), "375Gi", "50Gi", "288Gi"),
        (format!("{{boot: true, sizeGiB: 50}}, {ssd}, {ssd}"), "750Gi", "75Gi", "600Gi"),
        (format!("{ssd}, {ssd}, {ssd}"), "1125Gi", "100Gi", "913Gi"),
        ("{category: local-ssd}".to_owned(), "100Gi", "41Gi", "49Gi"),
    ] {
        let found = under(&disks(&given), &Settings::default(), "n2-standard-8");
        let storage = |list: &ResourceList| list.get("ephemeral-storage");
        assert_eq!(
            (storage(&found.0), storage(&found.1), storage(&found.2)),
            (Some(quantity(capacity)), Some(quantity(reserved)), Some(quantity(left))),
            "{given}"
        );
    }
}

/// As `describe-instance-types` prints them: `InstanceStorageInfo.TotalSizeInGB`, where `NvmeSupport` is `unsupported`.
#[test]
fn disks_that_are_no_nvme_are_instance_store_too() {
    let raid = "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {name: x}\nspec: {instanceStorePolicy: RAID0}\n";
    for (name, size) in [
        ("d2.xlarge", "6144G"),
        ("h1.16xlarge", "16000G"),
        ("x1e.32xlarge", "3840G"),
        ("r3.large", "32G"),
        ("i3.large", "475G"),
        ("m5.large", "20Gi"),
    ] {
        let (capacity, ..) = under(raid, &Settings::default(), name);
        assert_eq!(capacity.get("ephemeral-storage"), Some(quantity(size)), "{name}");
    }
}

#[test]
fn what_is_wrong_with_a_node_class_is_said() {
    let read = |spec: &str| {
        NodeClass::read(
            &format!(
                "kind: EC2NodeClass\napiVersion: karpenter.k8s.aws/v1\nmetadata: {{name: x}}\nspec: {spec}\n"
            ),
            None,
        )
    };
    let said = |spec: &str| read(spec).unwrap_err().to_string();
    assert_eq!(said("{kubelet: {maxpods: 1}}"), "EC2NodeClass `x`: `spec.kubelet`: unknown field `maxpods`");
    assert_eq!(
        said("{instanceStorePolicy: RAID1}"),
        "EC2NodeClass `x`: `spec.instanceStorePolicy`: invalid value `RAID1`: expected `RAID0`"
    );
    let catalogue = load("aws-cn-north-1");
    let recomputed = |spec: &str| {
        recompute(&catalogue, Some(&read(spec).unwrap()), &Settings::default()).unwrap_err().to_string()
    };
    assert!(
        recomputed("{kubelet: {evictionHard: {memory.available: lots}}}")
            .contains("`lots` is neither a quantity")
    );
    assert!(recomputed("{amiFamily: Ubuntu}").contains("expected one of AL2, AL2023, Bottlerocket"));
}
