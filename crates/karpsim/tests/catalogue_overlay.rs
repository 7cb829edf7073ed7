//! Overlays: prices, reservations, GPU sharing, resources; and what is wrong with one.

use karpsim::catalogue::diff::Change;
use karpsim::catalogue::overlay::{Applied, CatalogueOverlay};
use karpsim::catalogue::view::OfferingView;
use karpsim::catalogue::{self, Catalogue};

fn load(name: &str) -> Catalogue {
    catalogue::read(&karpsim_testkit::text(&format!("catalogues/{name}.json"))).unwrap()
}

fn overlay(body: &str) -> CatalogueOverlay {
    CatalogueOverlay::read(&format!(
        "apiVersion: karpsim.dev/v1alpha1\nkind: CatalogueOverlay\nname: acme\n{body}"
    ))
    .unwrap()
}

fn apply(body: &str) -> Applied {
    overlay(body).apply(&load("aws-us-west-2")).unwrap()
}

fn said(body: &str) -> String {
    let text = format!("apiVersion: karpsim.dev/v1alpha1\nkind: CatalogueOverlay\n{body}");
    CatalogueOverlay::read(&text).unwrap_err().to_string()
}

fn offering(applied: &Applied, name: &str, capacity_type: &str, zone: &str) -> (f64, String) {
    let instance_type = applied.catalogue.instance_types.iter().find(|it| it.name == name).unwrap();
    let mut views = instance_type.offerings.iter().map(OfferingView::new);
    let found = views.find(|view| view.capacity_type == capacity_type && view.zone == zone).unwrap();
    (found.offering.price.0, found.offering.price_source.to_string())
}

fn resource(applied: &Applied, name: &str, resource: &str) -> Option<String> {
    let instance_type = applied.catalogue.instance_types.iter().find(|it| it.name == name).unwrap();
    instance_type.capacity.get(resource).map(|amount| amount.to_string())
}

#[test]
fn prices_change_rule_by_rule() {
    let applied = apply(
        "prices:
- {capacityTypes: [on-demand], discountPercent: 28, reason: compute savings plan}
- {requirements: [{key: karpenter.k8s.aws/instance-family, operator: In, values: [g4dn]}], capacityTypes: [on-demand], discountPercent: 50}
- {instanceTypes: [m5.large], zones: [us-west-2a], capacityTypes: [spot], price: 0.01}
- {requirements: [{key: karpenter.k8s.aws/instance-gpu-count, operator: Gt, values: ['0']}], licence: {perNode: 0.1, perVCPU: 0.01, perGPU: 0.5}}
- {requirements: [{key: topology.kubernetes.io/zone, operator: In, values: [us-west-2d]}], capacityTypes: [on-demand], factor: 1.5}
- {instanceTypes: [nothing.large], factor: 2}
",
    );
    assert_eq!(applied.unused, ["prices[5]"]);
    // 0.096 × 0.72; 0.526 × 0.72 × 0.5 + 0.1 + 4 × 0.01 + 1 × 0.5.
    assert_eq!(
        offering(&applied, "m5.large", "on-demand", "us-west-2a"),
        (0.06912, "list, compute savings plan (acme)".into())
    );
    assert_eq!(offering(&applied, "m5.large", "on-demand", "us-west-2d").0, 0.10368);
    assert_eq!(offering(&applied, "g4dn.xlarge", "on-demand", "us-west-2a").0, 0.82936);
    assert_eq!(offering(&applied, "m5.large", "spot", "us-west-2a"), (0.01, "overlay, set (acme)".into()));
    let (_, untouched) = offering(&applied, "m5.large", "spot", "us-west-2b");
    assert_eq!(untouched, "spot-advisor");
}

#[test]
fn reservations_are_reserved_offerings() {
    let applied = apply(
        "reservations:\n- {id: ri-1, instanceType: p5.48xlarge, zone: us-west-2b, count: 3, price: 20}\n",
    );
    let p5 = applied.catalogue.instance_types.iter().find(|it| it.name == "p5.48xlarge").unwrap();
    let reserved = p5.offerings.last().unwrap();
    assert_eq!((reserved.price.0, reserved.available, reserved.reservation_capacity), (20.0, true, 3));
    let shown: Vec<String> =
        reserved.requirements.iter().map(|one| format!("{}={}", one.key, one.values.join(","))).collect();
    assert_eq!(
        shown,
        [
            "karpenter.k8s.aws/capacity-reservation-id=ri-1",
            "karpenter.sh/capacity-type=reserved",
            "topology.k8s.aws/zone-id=usw2-az1",
            "topology.kubernetes.io/zone=us-west-2b"
        ]
    );
    let capacity_type = p5.requirements.iter().find(|one| one.key == "karpenter.sh/capacity-type").unwrap();
    assert_eq!(capacity_type.values.join(","), "on-demand,reserved,spot");
    catalogue::check(&applied.catalogue).unwrap();
}

#[test]
fn gpus_are_shared() {
    let sliced = apply("gpuSharing:\n- {timeSlicing: {replicas: 4}}\n");
    assert_eq!(resource(&sliced, "g4dn.12xlarge", "nvidia.com/gpu"), Some("16".into()));
    assert_eq!(resource(&sliced, "m5.large", "nvidia.com/gpu"), None);
    let renamed = apply(
        "gpuSharing:\n- {instanceTypes: [g4dn.xlarge], timeSlicing: {replicas: 4, renameByDefault: true}}\n",
    );
    assert_eq!(resource(&renamed, "g4dn.xlarge", "nvidia.com/gpu"), None);
    assert_eq!(resource(&renamed, "g4dn.xlarge", "nvidia.com/gpu.shared"), Some("4".into()));
    let mixed = apply(
        "gpuSharing:\n- {instanceTypes: [p4d.24xlarge], mig: {profiles: {1g.5gb: 2, 2g.10gb: 1, 3g.20gb: 1}, gpus: 6}}\n",
    );
    assert_eq!(resource(&mixed, "p4d.24xlarge", "nvidia.com/gpu"), Some("2".into()));
    assert_eq!(resource(&mixed, "p4d.24xlarge", "nvidia.com/mig-1g.5gb"), Some("12".into()));
    assert_eq!(resource(&mixed, "p4d.24xlarge", "nvidia.com/mig-3g.20gb"), Some("6".into()));
    let single = apply(
        "gpuSharing:\n- {instanceTypes: [p5.48xlarge], mig: {strategy: single, profiles: {1g.10gb: 7}}}\n",
    );
    assert_eq!(resource(&single, "p5.48xlarge", "nvidia.com/gpu"), Some("56".into()));
    let both = apply(
        "gpuSharing:
- {instanceTypes: [p4d.24xlarge], mig: {profiles: {7g.40gb: 1}}}
- {instanceTypes: [p4d.24xlarge], timeSlicing: {resource: nvidia.com/mig-7g.40gb, replicas: 2}}
",
    );
    assert_eq!(resource(&both, "p4d.24xlarge", "nvidia.com/mig-7g.40gb"), Some("16".into()));
    assert_eq!(resource(&both, "p4d.24xlarge", "nvidia.com/gpu"), None);
    let shares = apply("gpuSharing:\n- {shares: {resource: example.com/gpu-milli, perDevice: 1000}}\n");
    assert_eq!(resource(&shares, "g5.48xlarge", "example.com/gpu-milli"), Some("8000".into()));
    assert_eq!(resource(&shares, "g5.48xlarge", "nvidia.com/gpu"), Some("8".into()));
    // A fractional type has no GPU in Karpenter's eyes until it is given one.
    let fraction = apply(
        "resources:\n- {instanceTypes: [g6f.large], capacity: {nvidia.com/gpu: 1, vpc.amazonaws.com/pod-eni: 0}}\n",
    );
    assert_eq!(resource(&fraction, "g6f.large", "nvidia.com/gpu"), Some("1".into()));
    assert_eq!(resource(&fraction, "g6f.large", "vpc.amazonaws.com/pod-eni"), None);
    for applied in [sliced, mixed, both, shares, fraction] {
        catalogue::check(&applied.catalogue).unwrap();
    }
}

#[test]
fn mig_that_does_not_fit_is_refused() {
    let refused = |body: &str| overlay(body).apply(&load("aws-us-west-2")).unwrap_err().to_string();
    let on = |names: &str, profiles: &str| {
        refused(&format!("gpuSharing:\n- {{instanceTypes: [{names}], mig: {{profiles: {profiles}}}}}\n"))
    };
    assert_eq!(
        on("p4d.24xlarge", "{1g.10gb: 1, 3g.40gb: 1}"),
        "`gpuSharing[0].mig.profiles`: A100 40GB (p4d.24xlarge) has no MIG profile `3g.40gb`: expected one of 1g.5gb, 1g.10gb, 2g.10gb, 3g.20gb, 4g.20gb, 7g.40gb"
    );
    // 7 compute slices, but 4 + 4 + 1 of 8 memory slices.
    assert!(
        on("p4d.24xlarge", "{3g.20gb: 2, 1g.5gb: 1}")
            .contains("7 of 7 compute slices and 9 of 8 memory slices")
    );
    assert!(on("g4dn.xlarge", "{1g.5gb: 1}").contains("t4 (g4dn.xlarge) does not support MIG"));
}

/// Some sizes have no label of their GPU; which it is, and with how much memory, Microsoft's list of sizes says.
#[test]
fn mig_is_checked_on_azure_too() {
    let azure = load("azure-eastus");
    let apply = |name: &str, profiles: &str| {
        let body = format!("gpuSharing:\n- {{instanceTypes: [{name}], mig: {{profiles: {{{profiles}}}}}}}\n");
        overlay(&body).apply(&azure).map(|applied| applied.unused).map_err(|error| error.to_string())
    };
    for (name, gpu, fits, does_not) in [
        ("Standard_ND96asr_v4", "A100 40GB", "3g.20gb: 2", "3g.40gb"),
        ("Standard_ND96amsr_A100_v4", "A100 80GB", "3g.40gb: 2", "3g.20gb"),
        ("Standard_NC24ads_A100_v4", "A100 80GB", "1g.10gb: 7", "1g.5gb"),
        ("Standard_NC40ads_H100_v5", "H100 94GB", "1g.12gb: 7", "7g.80gb"),
        ("Standard_ND96isr_H100_v5", "H100 80GB", "7g.80gb: 1", "1g.12gb"),
    ] {
        assert_eq!(apply(name, fits), Ok(Vec::new()), "{name}");
        let said = apply(name, &format!("{does_not}: 1")).unwrap_err();
        assert!(said.contains(&format!("{gpu} ({name}) has no MIG profile `{does_not}`")), "{said}");
    }
    for (name, gpu) in [
        ("Standard_NC6s_v3", "v100"),
        ("Standard_NC24rs_v3", "v100"),
        ("Standard_ND40rs_v2", "v100"),
        ("Standard_NV12s_v3", "m60"),
    ] {
        let said = apply(name, "1g.5gb: 1").unwrap_err();
        assert!(said.contains(&format!("{gpu} ({name}) does not support MIG")), "{said}");
    }
}

#[test]
fn what_is_wrong_with_an_overlay_is_said() {
    assert_eq!(said("pricing: []\n"), "unknown field `pricing`");
    assert_eq!(said("prices: [{discount: 3}]\n"), "`prices[0]`: unknown field `discount`");
    assert_eq!(
        said("prices: [{factor: 1, price: 2}]\n"),
        "`prices[0]`: `price` and `factor` are mutually exclusive"
    );
    assert_eq!(
        said("prices: [{zones: [a]}]\n"),
        "`prices[0]`: expected exactly one of price, factor, discountPercent, licence, found none"
    );
    assert_eq!(
        said("prices: [{discountPercent: 120}]\n"),
        "`prices[0].discountPercent`: invalid value 120: expected a number from 0 to 100"
    );
    assert_eq!(
        said("prices: [{factor: 1, requirements: [{key: a, operator: Equals, values: [b]}]}]\n"),
        "`prices[0].requirements[0].operator`: invalid value `Equals`: expected one of `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`, `Gte`, `Lte`"
    );
    assert_eq!(
        said("gpuSharing: [{timeSlicing: {replicas: 1}}]\n"),
        "`gpuSharing[0].timeSlicing.replicas`: invalid value 1: expected a number above 1"
    );
    assert_eq!(
        CatalogueOverlay::read("kind: NodeOverlay\napiVersion: karpsim.dev/v1alpha1\n")
            .unwrap_err()
            .to_string(),
        "`kind`: invalid value `NodeOverlay`: expected `CatalogueOverlay`"
    );
}

#[test]
fn what_is_wrong_with_a_catalogue_is_said() {
    let said = |text: &str| catalogue::read(text).unwrap_err().to_string();
    let with = |field: &str, value: &str| {
        let mut object = serde_json::json!({"name": "m5.large", "requirements": [], "capacity": {"cpu": "2", "memory": "8Gi", "pods": "29"},
            "offerings": [{"price": 0.1, "available": true, "requirements": [
                {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]},
                {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z"]}]}]});
        *object.pointer_mut(field).unwrap() = serde_json::from_str(value).unwrap();
        said(&serde_json::json!({"provider": "aws", "instanceTypes": [object]}).to_string())
    };
    assert_eq!(
        with("/offerings/0/price", "\"cheap\""),
        "instance type `m5.large`: `offerings[0].price`: expected a number, found string \"cheap\""
    );
    assert_eq!(
        with("/offerings/0/price", "-1"),
        "instance type `m5.large`: `offerings[0].price`: invalid value -1: expected a number not below 0"
    );
    assert_eq!(
        with("/capacity/cpu", "\"two\""),
        "instance type `m5.large`: `capacity.cpu`: expected a quantity such as `100m`, `1.5`, `2Gi` or `1e3`, found string \"two\""
    );
    assert_eq!(
        with("/capacity", "{\"cpu\": \"2\", \"memory\": \"1Gi\"}"),
        "instance type `m5.large`: `capacity`: missing field `pods`"
    );
    assert_eq!(
        with("/offerings/0/requirements/0/operator", "\"in\""),
        "instance type `m5.large`: `offerings[0].requirements[0].operator`: invalid value `in`: expected one of `In`, `NotIn`, `Exists`, `DoesNotExist`, `Gt`, `Lt`, `Gte`, `Lte`"
    );
    assert_eq!(
        with("/offerings/0/requirements/0/values/0", "\"ondemand\""),
        "instance type `m5.large`: `offerings[0].requirements`: invalid value `ondemand` for `karpenter.sh/capacity-type`: expected one of on-demand, reserved, spot"
    );
    assert_eq!(
        said(
            r#"{"instanceTypes": [{"name": "a", "capacity": {"cpu": 1, "memory": 1, "pods": 1}, "offering": []}]}"#
        ),
        "instance type `a`: unknown field `offering`"
    );
    assert_eq!(said("{\"instanceTypes\": ["), "unexpected end of input");
}

#[test]
fn differences_are_found() {
    let before = load("aws-us-west-2");
    let applied = overlay("prices: [{instanceTypes: [m5.large], zones: [us-west-2a], capacityTypes: [on-demand], price: 0.1}]\nresources: [{instanceTypes: [g6f.large], capacity: {nvidia.com/gpu: 1}}]\n").apply(&before).unwrap();
    let mut after = applied.catalogue;
    after.instance_types.retain(|it| it.name != "m5.xlarge");
    let diff = catalogue::diff(&before, &after);
    assert_eq!((diff.removed.join(","), diff.added.len()), ("m5.xlarge".into(), 0));
    assert_eq!(diff.changed.len(), 2);
    assert_eq!(
        diff.changed[1].1,
        [Change::Price {
            capacity_type: "on-demand".into(),
            zone: "us-west-2a".into(),
            before: Some(0.096),
            after: Some(0.1)
        }]
    );
    assert!(
        matches!(&diff.changed[0].1[..], [Change::Amount { part: "capacity", resource, before: None, after: Some(_) }] if resource == "nvidia.com/gpu")
    );
    assert!(catalogue::diff(&before, &before).is_empty());
    // Between regions the cheapest price counts, and zones do not.
    let elsewhere = catalogue::diff(&load("aws-eu-central-1"), &before);
    let (_, m5) = elsewhere.changed.iter().find(|(name, _)| name == "m5.large").unwrap();
    assert!(
        m5.contains(&Change::Price {
            capacity_type: "on-demand".into(),
            zone: "".into(),
            before: Some(0.115),
            after: Some(0.096)
        }),
        "{m5:?}"
    );
    assert_eq!(m5.len(), 2, "on demand and spot: {m5:?}");
}

#[test]
fn the_documented_overlay_applies_with_every_rule() {
    let path = format!("{}/../../data/catalogues/README.md", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let example = text.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let applied = CatalogueOverlay::read(example).unwrap().apply(&load("aws-us-west-2")).unwrap();
    assert_eq!(applied.unused, Vec::<String>::new());
    // 31.5 dollars and the licence of 0.02 + 192 × 0.001 + 8 × 0.5.
    assert_eq!(offering(&applied, "p5.48xlarge", "on-demand", "us-west-2a").0, 35.712);
    assert_eq!(resource(&applied, "g4dn.xlarge", "nvidia.com/gpu"), Some("4".into()));
    catalogue::check(&applied.catalogue).unwrap();
}
