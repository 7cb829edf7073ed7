//! Rules of Karpenter's AWS provider, each in a scenario that is as small as can be.

use karpsim::catalogue::{self, Catalogue};
use karpsim::provider::aws::scenario::AwsScenario;
use karpsim::provider::aws::{
    AmiFamily, CapacityType, ClaimToLaunch, HASH_VERSION, Launcher, Memory, ModelledFleet, PoolDepth,
    ProviderSettings, of_catalogue, read_node_class, static_hash,
};
use karpsim::provider::offered_types;
use karpsim::provider::{NodeClass, Settings};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A machine as `describe-instance-types` prints it, with two interfaces of ten addresses: 2 × 9 + 2 = 20 pods.
fn machine(name: &str, more: Value) -> Value {
    let mut machine = json!({
        "InstanceType": name, "SupportedUsageClasses": ["on-demand", "spot"], "Hypervisor": "nitro",
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"], "Manufacturer": "Intel", "SustainedClockSpeedInGhz": 3.1},
        "VCpuInfo": {"DefaultVCpus": 2}, "MemoryInfo": {"SizeInMiB": 8192},
        "NetworkInfo": {"EnaSupport": "required", "DefaultNetworkCardIndex": 0, "Ipv4AddressesPerInterface": 10,
            "NetworkCards": [{"NetworkCardIndex": 0, "MaximumNetworkInterfaces": 2}]},
        "PlacementGroupInfo": {"SupportedStrategies": ["cluster", "partition", "spread"]}
    });
    merge(&mut machine, more);
    machine
}

fn merge(into: &mut Value, more: Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more,
    }
}

/// Two zones with a subnet each, an image for everything, `m5.large` at 0.1 on demand and 0.04 spot. `more` is merged in.
fn scenario(kind: &str, more: Value) -> Value {
    let mut scenario = json!({
        "name": "rule", "kind": kind, "now": "2026-09-01T12:00:00Z", "region": "r",
        "nodeClass": {"metadata": {"name": "default", "generation": 1},
            "spec": {"amiSelectorTerms": [{"alias": "al2023@latest"}]},
            "status": {
                "subnets": [{"id": "subnet-a", "zone": "ra", "zoneID": "az1"}, {"id": "subnet-b", "zone": "rb", "zoneID": "az2"}],
                "securityGroups": [{"id": "sg"}], "amis": [{"id": "ami"}],
                "conditions": [{"type": "Ready", "status": "True", "observedGeneration": 1}]}},
        "ec2": {"instanceTypes": [machine("m5.large", json!({}))], "offerings": {"m5.large": ["ra", "rb"]},
            "subnets": [{"id": "subnet-a", "availableIPs": 100}, {"id": "subnet-b", "availableIPs": 100}]},
        "prices": {"onDemand": {"m5.large": 0.1}, "spot": {"m5.large": {"ra": 0.04, "rb": 0.05}}}
    });
    merge(&mut scenario, more);
    scenario
}

fn decide(scenario: &Value) -> Value {
    let scenario = AwsScenario::read(&scenario.to_string()).unwrap_or_else(|problem| panic!("{problem}"));
    serde_json::to_value(scenario.decide()).unwrap()
}

/// A launch of a NodeClaim with these requirements, answered as `fleet` says.
fn launch(requirements: Value, fleet: Value) -> Value {
    json!({"fleet": fleet, "nodeClaim": {"metadata": {"name": "claim", "labels": {"karpenter.sh/nodepool": "default"}},
        "spec": {"nodeClassRef": {"name": "default"}, "requirements": requirements,
            "resources": {"requests": {"cpu": "1", "pods": "1"}}}}})
}

fn capacity_types(names: &[&str]) -> Value {
    json!([{"key": "karpenter.sh/capacity-type", "operator": "In", "values": names}])
}

/// `type zone subnet` of every pool that was asked for.
fn pools(launch: &Value) -> Vec<String> {
    let configs = launch["fleets"][0]["configs"].as_array().unwrap().iter();
    configs
        .flat_map(|config| config["overrides"].as_array().unwrap())
        .map(|pool| {
            format!(
                "{} {} {}",
                pool[0].as_str().unwrap(),
                pool[1].as_str().unwrap(),
                pool[2].as_str().unwrap()
            )
        })
        .collect()
}

fn texts(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

/// A second type beside `m5.large`: a machine, its on-demand price, its spot price in zone `ra`.
fn beside(name: &str, more: Value, on_demand: f64, spot: f64) -> Value {
    json!({
        "ec2": {"instanceTypes": [machine("m5.large", json!({})), machine(name, more)], "offerings": {name: ["ra", "rb"]}},
        "prices": {"onDemand": {name: on_demand}, "spot": {name: {"ra": spot, "rb": spot}}}
    })
}

#[test]
fn gpus_go_while_something_plainer_is_left() {
    let gpu = json!({"GpuInfo": {"Gpus": [{"Name": "T4", "Manufacturer": "NVIDIA", "Count": 1, "MemoryInfo": {"SizeInMiB": 1}}]}});
    let asked = |requirements: Value| {
        let mut all = beside("g4dn.xlarge", gpu.clone(), 0.02, 0.01);
        all["launches"] = json!([launch(requirements, json!({}))]);
        decide(&scenario("aws-launch", all))["launches"][0].clone()
    };
    let one = asked(capacity_types(&["on-demand"]));
    assert_eq!(one["rejected"], json!({"exotic-instance-filter": ["g4dn.xlarge"]}));
    assert_eq!(one["launched"]["instanceType"], "m5.large", "although the other is cheaper");
    // With minValues the claim means what it says.
    let types = json!([{"key": "node.kubernetes.io/instance-type", "operator": "Exists", "minValues": 1}]);
    assert_eq!(asked(types)["instanceTypes"], json!(["g4dn.xlarge", "m5.large"]));
    let just_the_gpu =
        json!([{"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["g4dn.xlarge"]}]);
    assert_eq!(asked(just_the_gpu)["launched"]["instanceType"], "g4dn.xlarge");
}

#[test]
fn spot_is_not_dearer_than_the_cheapest_on_demand_of_any_type() {
    // 0.1 on demand is the cheapest: the large type's spot price of 0.11 is above it, one of 0.1 is not.
    for (spot, pools_of_the_large) in [(0.11, 0), (0.1, 2)] {
        let mut all = beside("m5.4xlarge", json!({}), 0.8, spot);
        all["launches"] = json!([launch(capacity_types(&["on-demand", "spot"]), json!({}))]);
        let decision = decide(&scenario("aws-launch", all));
        let launch = &decision["launches"][0];
        assert_eq!(launch["capacityType"], "spot");
        let found = pools(launch).iter().filter(|pool| pool.starts_with("m5.4xlarge")).count();
        assert_eq!(found, pools_of_the_large, "at {spot}");
        assert_eq!(launch["rejected"], Value::Null, "the type itself stays");
    }
}

#[test]
fn a_request_names_sixty_types() {
    let names: Vec<String> = (1..=61).map(|size| format!("m5.{size}xlarge")).collect();
    let machines: Vec<Value> = names.iter().map(|name| machine(name, json!({}))).collect();
    let offerings: BTreeMap<&String, Value> = names.iter().map(|name| (name, json!(["ra"]))).collect();
    // The dearest goes, wherever its name stands.
    let price = |name: &String| if name == "m5.30xlarge" { 9.0 } else { 1.0 };
    let prices: BTreeMap<&String, f64> = names.iter().map(|name| (name, price(name))).collect();
    let mut all =
        scenario("aws-launch", json!({"launches": [launch(capacity_types(&["on-demand"]), json!({}))]}));
    all["ec2"]["instanceTypes"] = json!(machines);
    all["ec2"]["offerings"] = json!(offerings);
    all["prices"] = json!({"onDemand": prices});
    let decision = decide(&all);
    let left = texts(&decision["launches"][0]["instanceTypes"]);
    assert_eq!((left.len(), left.contains(&"m5.30xlarge")), (60, false));
}

/// A node class with these reservations, of which the controller believes these counts.
fn reserved(reservations: Value, counts: Value, launches: Value) -> Value {
    decide(&scenario(
        "aws-launch",
        json!({"nodeClass": {"status": {"capacityReservations": reservations}},
            "ec2": {"capacityReservations": counts}, "launches": launches}),
    ))
}

#[test]
fn of_reservations_in_a_zone_that_with_most_room_is_used_until_it_is_used_up() {
    let in_zone_a = |id: &str| json!({"id": id, "instanceType": "m5.large", "availabilityZone": "ra"});
    let any = || launch(capacity_types(&["reserved", "on-demand"]), json!({}));
    let decision = reserved(
        json!([in_zone_a("cr-1"), in_zone_a("cr-2")]),
        json!({"cr-1": 1, "cr-2": 2}),
        json!([any(), any(), any(), any()]),
    );
    let launches = decision["launches"].as_array().unwrap();
    let used: Vec<&Value> = launches.iter().map(|launch| &launch["launched"]["reservation"]).collect();
    // After the first both have one left, and the first of equals is taken.
    assert_eq!(used, [&json!("cr-2"), &json!("cr-1"), &json!("cr-2"), &Value::Null]);
    assert_eq!(launches[3]["capacityType"], "on-demand");
    assert_eq!(launches[0]["fleets"][0]["configs"][0]["reservationPreference"], "capacity-reservations-only");
}

#[test]
fn a_request_holds_one_kind_of_reservation() {
    let reservation = |id: &str, zone: &str, kind: &str, interruptible: bool| {
        json!({"id": id, "instanceType": "m5.large", "availabilityZone": zone, "reservationType": kind,
            "interruptible": interruptible})
    };
    let counts = json!({"cr-1": 5, "cr-2": 5, "cr-3": 5});
    let claim = json!([launch(capacity_types(&["reserved"]), json!({}))]);
    let both_zones_of_blocks = json!([
        reservation("cr-1", "rb", "capacity-block", false),
        reservation("cr-2", "ra", "capacity-block", false),
        reservation("cr-3", "ra", "default", true),
    ]);
    let decision = reserved(both_zones_of_blocks, counts.clone(), claim.clone());
    let fleet = &decision["launches"][0]["fleets"][0];
    // At equal prices a block goes before what can be taken back; of blocks just the first of the node class.
    assert_eq!(fleet["targetCapacityType"], "capacity-block");
    assert_eq!(pools(&decision["launches"][0]), ["m5.large rb subnet-b"]);
    let interruptible = json!([reservation("cr-1", "ra", "default", true)]);
    let decision = reserved(interruptible, counts, claim);
    let fleet = &decision["launches"][0]["fleets"][0];
    assert_eq!(fleet["targetCapacityType"], "reserved-capacity");
    assert_eq!(fleet["configs"][0]["marketType"], "interruptible-capacity-reservation");
}

#[test]
fn what_could_not_be_had_is_not_asked_for_again() {
    let refused = json!({"refuse": [{"zone": "ra", "code": "InsufficientInstanceCapacity"}]});
    let spot = || capacity_types(&["spot"]);
    let decision = decide(&scenario(
        "aws-launch",
        json!({"launches": [launch(spot(), refused), launch(spot(), json!({}))]}),
    ));
    assert_eq!(decision["launches"][0]["unavailable"], json!({"offerings": ["spot:m5.large:ra"]}));
    assert_eq!(pools(&decision["launches"][1]), ["m5.large rb subnet-b"]);
    // Spot everywhere gone, a claim that may be on demand goes on demand, in the next launch.
    let all_refused = json!({"refuse": [{"capacityType": "spot", "code": "MaxSpotInstanceCountExceeded"}]});
    let both = || capacity_types(&["spot", "on-demand"]);
    let decision = decide(&scenario(
        "aws-launch",
        json!({"launches": [launch(both(), all_refused), launch(both(), json!({}))]}),
    ));
    assert_eq!(decision["launches"][0]["error"]["kind"], "InsufficientCapacity");
    assert_eq!(decision["launches"][1]["capacityType"], "on-demand");
}

#[test]
fn addresses_in_flight_count() {
    // Two subnets in zone ra. A launch is expected to take 20 addresses, so that the second has more left for the next.
    let more = json!({
        "nodeClass": {"status": {"subnets": [
            {"id": "subnet-a", "zone": "ra", "zoneID": "az1"}, {"id": "subnet-c", "zone": "ra", "zoneID": "az1"}]}},
        "ec2": {"subnets": [{"id": "subnet-a", "availableIPs": 30}, {"id": "subnet-c", "availableIPs": 25}]},
        "launches": vec![launch(capacity_types(&["on-demand"]), json!({})); 3]
    });
    let decision = decide(&scenario("aws-launch", more));
    let used: Vec<String> = decision["launches"].as_array().unwrap().iter().flat_map(pools).collect();
    // 30 to 25; then 10 to 25; then 10 to 5.
    assert_eq!(used, ["m5.large ra subnet-a", "m5.large ra subnet-c", "m5.large ra subnet-a"]);
}

#[test]
fn a_full_subnet_is_passed_over() {
    let full = json!({"refuse": [{"subnet": "subnet-a", "code": "InsufficientFreeAddressesInSubnet"}]});
    let spot = || capacity_types(&["spot"]);
    let decision = decide(&scenario(
        "aws-launch",
        json!({"launches": [launch(spot(), full), launch(spot(), json!({}))]}),
    ));
    let first = &decision["launches"][0]["unavailable"];
    assert_eq!(first, &json!({"offerings": ["spot:m5.large:ra"], "subnets": ["subnet-a"]}));
    assert_eq!(pools(&decision["launches"][1]), ["m5.large rb subnet-b"]);
}

fn in_group(strategy: &str, requirements: &Value, fleet: Value, launches: usize) -> Value {
    decide(&scenario(
        "aws-launch",
        json!({"nodeClass": {"spec": {"placementGroupSelector": {"name": "group"}}},
            "ec2": {"placementGroups": [{"id": "pg", "name": "group", "strategy": strategy, "partitionCount": 3}]},
            "launches": vec![launch(requirements.clone(), fleet); launches]}),
    ))
}

#[test]
fn the_limit_of_a_spread_group_holds_for_all_types_in_the_zone() {
    let full = json!({"refuse": [{"zone": "ra", "code": "InsufficientInstanceCapacity",
        "message": "You've reached the limit of instances in this spread placement group."}]});
    let decision = in_group("spread", &capacity_types(&["on-demand"]), full, 1);
    assert_eq!(decision["launches"][0]["unavailable"], json!({"offerings": ["on-demand:m5.large:ra:pg"]}));
}

#[test]
fn a_refusal_in_a_partition_is_written_down_and_not_read() {
    let partition = |operator: &str, values: &[&str]| {
        json!([{"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "karpenter.k8s.aws/placement-group-partition", "operator": operator, "values": values}])
    };
    let refused = json!({"refuse": [{"zone": "ra", "code": "InsufficientInstanceCapacity"}]});
    let decision = in_group("partition", &partition("In", &["3", "2"]), refused, 2);
    let launches = decision["launches"].as_array().unwrap();
    assert_eq!(launches[0]["unavailable"], json!({"offerings": ["on-demand:m5.large:ra:pg:2"]}));
    assert_eq!(pools(&launches[1]), ["m5.large ra subnet-a", "m5.large rb subnet-b"]);
    assert_eq!(launches[1]["unavailable"], Value::Null, "it is no news");
    assert_eq!(launches[0]["fleets"][0]["configs"][0]["partition"], 2);
    // It is values that are looked for, allowed or not.
    let decision = in_group("partition", &partition("NotIn", &["2"]), json!({}), 1);
    assert_eq!(decision["launches"][0]["fleets"][0]["configs"][0]["partition"], 2);
}

#[test]
fn a_launch_template_that_is_gone_is_made_again_once() {
    let gone = json!({"code": "InvalidLaunchTemplateName.NotFoundException", "message": ""});
    let after = |errors: Value| {
        let claim = launch(capacity_types(&["spot"]), json!({"apiErrors": errors}));
        decide(&scenario("aws-launch", json!({"launches": [claim]})))["launches"][0].clone()
    };
    let once = after(json!([gone]));
    assert_eq!((once["fleets"].as_array().unwrap().len(), &once["error"]), (2, &Value::Null));
    let twice = after(json!([gone, gone]));
    assert_eq!(twice["error"]["reason"], "LaunchFailed");
    let other = after(json!([{"code": "InternalError", "message": ""}]));
    assert_eq!(
        (other["fleets"].as_array().unwrap().len(), &other["error"]["reason"]),
        (1, &json!("InternalError"))
    );
}

#[test]
fn node_classes_that_are_not_ready_launch_nothing() {
    let outcome = |class: Value| {
        let claim = launch(capacity_types(&["spot"]), json!({}));
        let decision = decide(&scenario("aws-launch", json!({"nodeClass": class, "launches": [claim]})));
        let error = &decision["launches"][0]["error"];
        (error["kind"].as_str().unwrap_or_default().to_owned(), error["reason"].as_str().map(str::to_owned))
    };
    let ready = |status: &str, generation: i64| json!({"status": {"conditions": [{"type": "Ready", "status": status, "observedGeneration": generation}]}});
    assert_eq!(outcome(ready("False", 1)), ("NodeClassNotReady".into(), None));
    assert_eq!(
        outcome(ready("Unknown", 1)),
        ("CreateError".into(), Some("NodeClassReadinessUnknown".into()))
    );
    assert_eq!(outcome(ready("True", 0)), ("NodeClassNotReady".into(), None));
    assert_eq!(outcome(json!({"status": {"conditions": []}})).0, "CreateError");
    let tags = |key: &str| json!({"spec": {"tags": {key: "x"}}});
    assert_eq!(outcome(tags("kubernetes.io/cluster/mine")), ("NodeClassNotReady".into(), None));
    assert_eq!(outcome(tags("kubernetes.io/cluster/")), (String::new(), None), "no cluster's name");
    let deleted = json!({"metadata": {"deletionTimestamp": "2026-09-01T11:00:00Z"}});
    assert_eq!(outcome(deleted), ("InsufficientCapacity".into(), None));
    let no_subnets = json!({"status": {"subnets": []}});
    assert_eq!(outcome(no_subnets), ("CreateError".into(), Some("InstanceTypeResolutionFailed".into())));
    let no_groups = json!({"status": {"securityGroups": []}});
    assert_eq!(outcome(no_groups), ("CreateError".into(), Some("LaunchFailed".into())));
}

#[test]
fn reserving_what_a_type_has_none_of_leaves_less_than_nothing() {
    let reserved = |name: &str| {
        let class = json!({"spec": {"kubelet": {"systemReserved": {name: "1"}}}});
        let claim = launch(capacity_types(&["spot"]), json!({}));
        let decision = decide(&scenario("aws-launch", json!({"nodeClass": class, "launches": [claim]})));
        decision["launches"][0]["compatible"].clone()
    };
    assert_eq!(reserved("nvidia.com/gpu"), 0, "each type counts its GPUs, if only none");
    assert_eq!(reserved("example.com/gpu"), 1);
}

#[test]
fn an_arm_type_under_windows_has_no_operating_system() {
    let arm = json!({"ProcessorInfo": {"SupportedArchitectures": ["arm64"]}});
    let mut all = beside("m7g.large", arm, 0.1, 0.1);
    all["nodeClass"] = json!({"spec": {"amiSelectorTerms": [{"alias": "windows2022@latest"}]}});
    let decision = decide(&scenario("aws-instance-types", all));
    for (it, os, addresses) in [
        (
            &decision["instanceTypes"][0],
            json!({"key": "kubernetes.io/os", "operator": "In", "values": ["windows"]}),
            json!("9"),
        ),
        (
            &decision["instanceTypes"][1],
            json!({"key": "kubernetes.io/os", "operator": "DoesNotExist"}),
            Value::Null,
        ),
    ] {
        assert!(it["requirements"].as_array().unwrap().contains(&os), "{it}");
        assert_eq!(it["capacity"]["vpc.amazonaws.com/PrivateIPv4Address"], addresses);
        assert_eq!(it["capacity"]["pods"], "110");
    }
}

#[test]
fn subnets_without_zone_ids_are_taken_to_be_in_one_zone() {
    let class =
        json!({"status": {"subnets": [{"id": "subnet-b", "zone": "rb"}, {"id": "subnet-a", "zone": "ra"}]}});
    let decision = decide(&scenario("aws-instance-types", json!({"nodeClass": class})));
    let offerings = decision["instanceTypes"][0]["offerings"].as_array().unwrap();
    let available: Vec<bool> = offerings.iter().map(|offering| offering["available"] == true).collect();
    // On demand and spot in ra, which is not known to be one of its zones, and in rb.
    assert_eq!(available, [false, true, false, true]);
}

/// The hashes are those of the provider's own module.
#[test]
fn the_hash_is_that_of_the_provider() {
    assert_eq!(HASH_VERSION, "v5");
    let with = |spec: Value| {
        let mut all = json!({"amiSelectorTerms": [{"alias": "al2023@latest"}], "role": "node-role"});
        merge(&mut all, spec);
        static_hash(&json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "x"}, "spec": all}), "")
            .unwrap()
    };
    for (spec, expected) in HASHES {
        assert_eq!(with(serde_json::from_str(spec).unwrap()), expected, "{spec}");
    }
    let plain = with(json!({}));
    assert_eq!(
        with(json!({"subnetSelectorTerms": [{"id": "subnet-1"}]})),
        plain,
        "what finds things is not hashed"
    );
    assert_eq!(with(json!({"amiFamily": "AL2023"})), plain, "what the alias says already");
    assert_eq!(
        with(json!({"blockDeviceMappings": [{"deviceName": "a"}, {"deviceName": "a"}]})),
        with(json!({"blockDeviceMappings": []})),
        "a list is a set in which equals cancel"
    );
    assert_ne!(with(json!({"userData": ""})), plain, "an empty text is a text");
}

const HASHES: [(&str, &str); 9] = [
    ("{}", "9256495999969595767"),
    (r#"{"userData": "a", "detailedMonitoring": true}"#, "14138270567412639910"),
    (r#"{"tags": {"a": "b", "c": "d"}, "instanceStorePolicy": "RAID0"}"#, "14173836340409179825"),
    (
        r#"{"kubelet": {"maxPods": 58, "evictionSoftGracePeriod": {"memory.available": "1m30s"}, "clusterDNS": ["10.0.0.10"]}}"#,
        "17726206090600114527",
    ),
    (
        r#"{"blockDeviceMappings": [{"deviceName": "/dev/xvda", "rootVolume": true, "ebs": {"volumeSize": "1024Gi", "iops": 3000}}]}"#,
        "17914565415554345468",
    ),
    (
        r#"{"networkInterfaces": [{"networkCardIndex": 0, "deviceIndex": 1, "interfaceType": "efa-only"}]}"#,
        "11055358691072795374",
    ),
    (
        r#"{"connectionTracking": {}, "cpuOptions": {"nestedVirtualization": "enabled"}}"#,
        "4437024930878034898",
    ),
    (r#"{"amiFamily": "Custom", "metadataOptions": {"httpPutResponseHopLimit": 2}}"#, "6134827647248630209"),
    (
        r#"{"placementGroupSelector": {"name": "group"}, "associatePublicIPAddress": false}"#,
        "12500331054917612627",
    ),
];

fn embedded() -> Catalogue {
    catalogue::read(&karpsim_testkit::text("catalogues/aws-us-west-2.json")).unwrap()
}

fn node_class(spec: Value) -> Value {
    json!({"apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": {"name": "default"}, "spec": spec})
}

#[test]
fn a_manifest_has_all_zones_of_the_catalogue_and_says_so() {
    let catalogue = embedded();
    let class = NodeClass::read(
        &node_class(json!({"amiSelectorTerms": [{"alias": "al2@latest"}]})).to_string(),
        None,
    )
    .unwrap();
    let offered = offered_types(&class, &catalogue, &Settings::default()).unwrap();
    assert_eq!(offered.instance_types.len(), catalogue.instance_types.len());
    let said: Vec<String> = offered.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "EC2NodeClass: it has no status: a subnet in each of us-west-2a, us-west-2b, us-west-2c, us-west-2d is assumed"
        ]
    );
    // The catalogue is that of AL2023, on which the first Graviton does not run; on AL2 it does.
    let a1 = offered.instance_types.iter().find(|it| it.name == "a1.large").unwrap();
    assert!(a1.offerings.iter().any(|offering| offering.available));
    for (ours, theirs) in offered.instance_types.iter().zip(&catalogue.instance_types) {
        assert_eq!(
            (&ours.name, &ours.capacity, &ours.overhead),
            (&theirs.name, &theirs.capacity, &theirs.overhead)
        );
        if !ours.name.starts_with("a1.") {
            let open = |it: &catalogue::InstanceType| {
                it.offerings.iter().filter(|offering| offering.available).count()
            };
            assert_eq!(open(ours), open(theirs), "{}", ours.name);
        }
    }
}

#[test]
fn a_status_narrows_zones_and_brings_reservations() {
    let catalogue = embedded();
    let mut class =
        node_class(json!({"amiSelectorTerms": [{"alias": "al2023@latest"}], "kubelet": {"maxPods": 8}}));
    class["status"] = json!({
        "subnets": [{"id": "subnet-1", "zone": "us-west-2a", "zoneID": "usw2-az2"}],
        "capacityReservations": [{"id": "cr-1", "instanceType": "m5.large", "availabilityZone": "us-west-2a"}],
    });
    let class = read_node_class(&class).unwrap().class;
    assert_eq!(class.ami_family(), Ok(AmiFamily::Al2023));
    let over =
        of_catalogue(&class, &catalogue, &BTreeMap::from([("cr-1".into(), 3)]), &ProviderSettings::default())
            .unwrap();
    assert_eq!(over.assumptions, []);
    let types = over.types.instance_types(&over.memory, 0);
    let m5 = types.iter().find(|it| it.name == "m5.large").unwrap();
    let open: Vec<i64> = m5
        .offerings
        .iter()
        .filter(|offering| offering.available)
        .map(|offering| offering.reservation_capacity)
        .collect();
    // On demand, spot, reserved; in the one zone.
    assert_eq!(open, [0, 0, 3]);
    assert_eq!(m5.capacity.get("pods").map(|pods| pods.to_string()).as_deref(), Some("8"));
}

/// Launches spot nodes of two types over a catalogue whose prices are the node class's scenario's.
#[test]
fn the_modelled_fleet_takes_the_cheapest_of_the_deepest_pools() {
    let catalogue = embedded();
    let class = read_node_class(&node_class(json!({"amiSelectorTerms": [{"alias": "al2023@latest"}]})))
        .unwrap()
        .class;
    let settings = ProviderSettings::default();
    let over = of_catalogue(&class, &catalogue, &BTreeMap::new(), &settings).unwrap();
    let requirements = |capacity_type: &str| {
        serde_json::from_value::<Vec<karpsim::model::karpenter::RequirementWithMinValues>>(json!([
            {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["m5.large", "m5.xlarge"]},
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity_type]}]))
        .unwrap()
    };
    let requests = serde_json::from_value(json!({"cpu": "1"})).unwrap();
    let mut launcher = Launcher::new(Arc::clone(&over.class), Ok(over.types.clone()), settings, None);
    let mut launched = |capacity_type: &str, depths: PoolDepth| {
        let mut fleet = ModelledFleet::new(&over.types, depths);
        let claim = ClaimToLaunch {
            node_class: "default",
            labels: &[("karpenter.sh/nodepool", "p")].into_iter().collect(),
            annotations: &[("", ""); 0].into_iter().collect(),
            requirements: &requirements(capacity_type),
            requests: &requests,
        };
        let launch = launcher.launch(&claim, &mut Memory::default(), 0, &mut fleet);
        let launched = launch.outcome.unwrap();
        assert_eq!(launched.capacity_type, CapacityType::named(capacity_type).unwrap());
        (launched.instance.instance_type.to_string(), launched.instance.zone.to_string())
    };
    assert_eq!(launched("on-demand", PoolDepth::default()), ("m5.large".into(), "us-west-2a".into()));
    assert_eq!(launched("spot", PoolDepth::default()).0, "m5.large", "all pools are equally deep");
    let mut depths = PoolDepth::default();
    for zone in ["us-west-2a", "us-west-2b", "us-west-2c", "us-west-2d"] {
        depths.set("m5.large", zone, 3);
        depths.set("m5.xlarge", zone, if zone == "us-west-2c" { 9 } else { 8 });
    }
    assert_eq!(launched("spot", depths), ("m5.xlarge".into(), "us-west-2c".into()));
}
