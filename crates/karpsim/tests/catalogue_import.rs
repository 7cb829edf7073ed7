//! Imports: the samples against an expectation that was made by hand from the rules, and each rule alone.

use karpsim::catalogue::view::{Certainty, OfferingView};
use karpsim::catalogue::{self, Catalogue, kwok};
use karpsim::provider::Settings;
use karpsim::provider::import::aws::{AwsImport, ImportNote, Part};
use karpsim::provider::import::price_series;

const SAMPLES: [&str; 5] = [
    "describe-instance-types",
    "describe-instance-type-offerings",
    "describe-availability-zones",
    "get-products",
    "describe-spot-price-history",
];

fn sample(name: &str) -> String {
    let path = format!("{}/../../data/samples/aws/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn finish(texts: &[String]) -> (Catalogue, Vec<ImportNote>) {
    let mut import = AwsImport::default();
    for text in texts {
        import.add(text).unwrap();
    }
    import.finish(None, &Settings::default()).unwrap()
}

fn samples() -> Vec<String> {
    SAMPLES.map(sample).to_vec()
}

#[test]
fn the_samples_give_the_expected_catalogue() {
    let expected = catalogue::read(&sample("expected-catalogue")).unwrap();
    let (imported, notes) = finish(&samples());
    assert_eq!(notes, []);
    for (ours, theirs) in imported.instance_types.iter().zip(&expected.instance_types) {
        assert_eq!(ours, theirs);
    }
    assert_eq!(imported, expected);
    catalogue::check(&imported).unwrap();
    // The order of the files does not matter.
    let mut backwards = samples();
    backwards.reverse();
    assert_eq!(finish(&backwards).0, expected);
}

fn price(catalogue: &Catalogue, name: &str, capacity_type: &str, zone: &str) -> Option<f64> {
    let instance_type = catalogue.instance_types.iter().find(|it| it.name == name)?;
    let views = instance_type.offerings.iter().map(OfferingView::new);
    views
        .filter(|view| view.capacity_type == capacity_type && view.zone == zone)
        .map(|view| view.offering.price.0)
        .next()
}

fn product(name: &str, attributes: &str, price: &str, date: &str) -> String {
    let entry = format!(
        r#"{{"product": {{"productFamily": "Compute Instance", "attributes": {{"instanceType": "{name}", "regionCode": "us-west-2",
        "operatingSystem": "Linux", "tenancy": "Shared", "preInstalledSw": "NA", "capacitystatus": "Used"{attributes}}}}},
        "terms": {{"OnDemand": {{"a": {{"effectiveDate": "{date}", "priceDimensions": {{"b": {{"unit": "Hrs", "pricePerUnit": {{"USD": "{price}"}}}}}}}}}}}}}}"#
    );
    serde_json::json!({ "PriceList": [entry] }).to_string()
}

#[test]
fn the_newest_list_price_wins_and_others_are_passed_over() {
    let mut texts = samples();
    for text in [
        product("m5.large", "", "0.5", "2026-07-31T00:00:00Z"),
        product("m5.large", "", "0.25", "2026-08-02T00:00:00Z"),
        product("m5.large", "", "0.0000000000", "2026-09-01T00:00:00Z"),
        product("c7g.large", r#", "regionCode": "us-east-1""#, "9", "2026-09-01T00:00:00Z"),
        product("c7g.large", r#", "operatingSystem": "Windows""#, "9", "2026-09-01T00:00:00Z"),
        product("c7g.large", r#", "preInstalledSw": "SQL Std""#, "9", "2026-09-01T00:00:00Z"),
        product("c7g.large", r#", "tenancy": "Dedicated""#, "9", "2026-09-01T00:00:00Z"),
        product(
            "c7g.large",
            r#", "capacitystatus": "UnusedCapacityReservation""#,
            "9",
            "2026-09-01T00:00:00Z",
        ),
    ] {
        texts.insert(0, text);
    }
    let (imported, _) = finish(&texts);
    assert_eq!(price(&imported, "m5.large", "on-demand", "us-west-2b"), Some(0.25));
    assert_eq!(price(&imported, "c7g.large", "on-demand", "us-west-2a"), Some(0.0725));
}

#[test]
fn the_latest_spot_price_of_a_zone_wins() {
    let mut texts = samples();
    texts.push(
        r#"{"SpotPriceHistory": [
            {"AvailabilityZone": "us-west-2c", "InstanceType": "m5.large", "ProductDescription": "Linux/UNIX (Amazon VPC)",
             "SpotPrice": "0.0400", "Timestamp": "2026-08-20T05:15:07+02:00"},
            {"AvailabilityZone": "us-west-2b", "InstanceType": "m5.large", "ProductDescription": "Linux/UNIX",
             "SpotPrice": "0.0410", "Timestamp": "2026-08-20T02:15:08Z"},
            {"AvailabilityZone": "us-west-2a", "InstanceType": "m5.large", "ProductDescription": "Linux/UNIX",
             "SpotPrice": "0.000000", "Timestamp": "2026-09-20T02:15:08Z"},
            {"AvailabilityZone": "us-west-2a", "InstanceType": "m5.large", "ProductDescription": "SUSE Linux",
             "SpotPrice": "0.9", "Timestamp": "2026-09-20T02:15:08Z"}]}"#
            .to_owned(),
    );
    let (imported, _) = finish(&texts);
    // 05:15:07+02:00 is 03:15:07Z: not newer than what is there.
    assert_eq!(price(&imported, "m5.large", "spot", "us-west-2c"), Some(0.0352));
    assert_eq!(price(&imported, "m5.large", "spot", "us-west-2b"), Some(0.041));
    assert_eq!(price(&imported, "m5.large", "spot", "us-west-2a"), Some(0.0365));
}

#[test]
fn missing_parts_are_named() {
    let with = |names: &[&str]| {
        let mut import = AwsImport::default();
        for name in names {
            import.add(&sample(name)).unwrap();
        }
        import.finish(None, &Settings::default())
    };
    let error = with(&["describe-availability-zones", "get-products"]).unwrap_err().to_string();
    assert_eq!(
        error,
        "missing output of `aws ec2 describe-instance-types`, `aws ec2 describe-instance-type-offerings --location-type availability-zone`"
    );
    let error =
        with(&["describe-instance-types", "describe-instance-type-offerings"]).unwrap_err().to_string();
    assert!(error.contains(
        "`aws pricing get-products --service-code AmazonEC2`, `aws ec2 describe-spot-price-history`"
    ));
    let (catalogue, notes) =
        with(&["describe-instance-types", "describe-instance-type-offerings", "get-products"]).unwrap();
    assert_eq!(notes, [ImportNote::MissingPart(Part::Zones), ImportNote::MissingPart(Part::SpotPrices)]);
    assert_eq!(catalogue.region, "us-west-2");
    assert_eq!(price(&catalogue, "m5.large", "on-demand", "us-west-2a"), Some(0.096));
    assert_eq!(price(&catalogue, "m5.large", "spot", "us-west-2a"), None);
}

#[test]
fn what_karpenter_does_not_use_is_left_out_and_named() {
    let mut texts = samples();
    let entry = |name: &str, architecture: &str, virtualization: &str| {
        format!(
            r#"{{"InstanceTypes": [{{"InstanceType": "{name}", "SupportedUsageClasses": ["on-demand"],
            "SupportedVirtualizationTypes": ["{virtualization}"], "ProcessorInfo": {{"SupportedArchitectures": ["{architecture}"]}},
            "VCpuInfo": {{"DefaultVCpus": 2}}, "MemoryInfo": {{"SizeInMiB": 1024}}, "NetworkInfo": {{"DefaultNetworkCardIndex": 0,
            "NetworkCards": [{{"MaximumNetworkInterfaces": 2}}], "Ipv4AddressesPerInterface": 2}}}}]}}"#
        )
    };
    texts.push(entry("mac1.metal", "x86_64_mac", "hvm"));
    texts.push(entry("t1.micro", "i386", "paravirtual"));
    texts.push(entry("zz9.large", "x86_64", "hvm"));
    texts.push(entry("zz9.xlarge", "x86_64", "hvm"));
    texts.push(
        r#"{"InstanceTypeOfferings": [{"InstanceType": "zz9.large", "Location": "us-west-2a"},
            {"InstanceType": "zz9.large", "Location": "us-west-2-lax-1a"}, {"InstanceType": "zz9.xlarge", "Location": "us-west-2a"}]}"#
            .to_owned(),
    );
    texts.push(
        r#"{"AvailabilityZones": [{"ZoneName": "us-west-2-lax-1a", "ZoneId": "usw2-lax1-az1", "ZoneType": "local-zone", "RegionName": "us-west-2"}]}"#
            .to_owned(),
    );
    texts.push(product("zz9.large", "", "1", "2026-08-01T00:00:00Z"));
    let (imported, notes) = finish(&texts);
    assert_eq!(
        notes,
        [
            ImportNote::LeftOut(vec!["zz9.xlarge".into()]),
            ImportNote::NotForKarpenter(vec!["mac1.metal".into(), "t1.micro".into()]),
            ImportNote::NoNetworkFacts(vec!["zz9.large".into()]),
            ImportNote::ZonesLeftOut(vec!["us-west-2-lax-1a".into()]),
        ]
    );
    let zz9 = imported.instance_types.iter().find(|it| it.name == "zz9.large").unwrap();
    assert_eq!(zz9.offerings.len(), 1);
    assert_eq!(zz9.capacity.get("pods").unwrap().to_string(), "4", "2 × 1 + 2");
}

#[test]
fn a_file_of_something_else_is_refused() {
    let mut import = AwsImport::default();
    let error = import.add(r#"{"Reservations": []}"#).unwrap_err().to_string();
    assert!(
        error.contains("fields Reservations") && error.contains("InstanceTypes, InstanceTypeOfferings"),
        "{error}"
    );
    let error = import.add(r#"{"InstanceTypes": [{"InstanceType": "m5.large"}]}"#).unwrap_err().to_string();
    assert_eq!(error, "instance type `m5.large`: `InstanceTypes[0]`: missing field `VCpuInfo.DefaultVCpus`");
}

#[test]
fn a_spot_history_is_a_price_series() {
    let mut import = AwsImport::default();
    import.add(&sample("describe-spot-price-history")).unwrap();
    let start = "2026-08-20T02:00:00Z".parse().unwrap();
    let events = price_series::series(import.spot_prices(), start);
    let of = |name: &str| -> Vec<(i64, String, f64)> {
        let events = events.iter().filter(|event| event.instance_type == name);
        events.map(|event| (event.at_nanos / 1_000_000_000, event.zones.join(","), event.price)).collect()
    };
    // us-west-2a cost 0.2499 since the day before and 0.2214 from 06:15:07 on.
    assert_eq!(
        of("g4dn.xlarge"),
        [
            (0, "us-west-2a".into(), 0.2499),
            (15307, "us-west-2a".into(), 0.2214),
            (18907, "us-west-2b".into(), 0.2387),
            (22507, "us-west-2c".into(), 0.2302),
        ]
    );
    let text = price_series::write_trace(&events, start);
    assert_eq!(text.lines().count(), 10, "a header and nine events: Windows is not among them");
    assert!(text.contains(
        r#"{"at":0,"price":{"capacityTypes":["spot"],"instanceTypes":["m5.large"],"price":0.0365,"zones":["us-west-2a"]}}"#
    ));
}

#[test]
fn kwok_types_are_read_as_the_provider_reads_them() {
    let text = r#"[{"name": "c-2x-amd64-linux", "architecture": "amd64", "operatingSystems": ["linux"],
        "resources": {"cpu": "2", "memory": "4096Mi", "ephemeral-storage": "20Gi", "pods": "32"},
        "offerings": [{"Price": 0.0123, "Available": false, "Requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["spot"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["test-zone-b"]},
            {"key": "example.com/rack", "operator": "In", "values": ["7"]}]}]},
        {"name": "g5.4xlarge", "architecture": "amd64", "operatingSystems": ["linux"],
         "resources": {"cpu": "16", "memory": "64Gi", "nvidia.com/gpu": "1"},
         "offerings": [{"capacityType": "on-demand", "zone": "us-east-1a", "price": 1.624}]}]"#;
    let read = kwok::read(text).unwrap();
    assert_eq!(read.provider, "kwok");
    assert!(read.well_known_labels.iter().any(|label| label == "example.com/rack"));
    let label = |index: usize, key: &str| {
        let requirement = read.instance_types[index].requirements.iter().find(|one| one.key == key).unwrap();
        requirement.values.join(",")
    };
    assert_eq!(label(0, "karpenter.kwok.sh/instance-size"), "2");
    assert_eq!(label(0, "karpenter.kwok.sh/instance-family"), "c");
    assert_eq!(label(0, "karpenter.kwok.sh/instance-memory"), "4Gi");
    assert_eq!(label(1, "karpenter.kwok.sh/instance-size"), "4xlarge");
    assert_eq!(label(1, "karpenter.kwok.sh/instance-family"), "g5");
    assert_eq!(label(1, "karpenter.sh/capacity-type"), "on-demand");
    assert!(read.instance_types[0].offerings[0].available, "every offering is taken as available");
    assert_eq!(read.instance_types[1].capacity.get("pods").unwrap().to_string(), "110");
    assert_eq!(
        read.instance_types[1].overhead.kube_reserved.get("memory").unwrap().to_string(),
        (10 << 20).to_string()
    );
    // Written and read again it is the same.
    assert_eq!(kwok::read(&kwok::write(&read)).unwrap(), read);
    // The provider would launch what is unavailable, so it is not written.
    let mut left = read.clone();
    std::sync::Arc::make_mut(&mut left.instance_types[0]).offerings[0].available = false;
    let names = |catalogue: &Catalogue| -> Vec<String> {
        catalogue.instance_types.iter().map(|it| it.name.to_string()).collect()
    };
    assert_eq!(names(&kwok::read(&kwok::write(&left)).unwrap()), ["g5.4xlarge"]);
}

#[test]
fn sources_say_what_is_an_estimate() {
    assert_eq!(Certainty::of("list"), Certainty::Published);
    assert_eq!(Certainty::of("spot-feed"), Certainty::Published);
    assert_eq!(Certainty::of("parity"), Certainty::Derived);
    assert_eq!(Certainty::of("spot-advisor, −20 % (acme)"), Certainty::Derived);
    assert_eq!(Certainty::of("estimated"), Certainty::Estimated);
    assert_eq!(Certainty::of(""), Certainty::Published);
}
