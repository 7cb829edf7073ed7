//! `karpsim catalogue` and `karpsim schema` as their users meet them.

mod program;

use program::{Folder, Run, karpsim};
use serde_json::Value;

fn run(arguments: &[&str]) -> Run {
    karpsim(arguments, b"")
}

fn out(arguments: &[&str]) -> String {
    let run = run(arguments);
    assert_eq!(run.code, 0, "{arguments:?}: {}", run.err);
    run.out
}

fn said(arguments: &[&str]) -> String {
    let run = run(arguments);
    assert_eq!((run.code, run.out.as_str()), (2, ""), "{arguments:?}");
    run.err
}

#[test]
fn the_carried_catalogues_are_listed() {
    let list = out(&["catalogue", "list"]);
    // Types and types with a GPU are those that the sources count.
    for (name, types, gpus) in
        [("aws/us-west-2", "1314", "65"), ("aws/us-east-1", "1345", "64"), ("gcp/us-central1", "360", "21")]
    {
        let line = list.lines().find(|line| line.starts_with(name)).unwrap();
        let cells: Vec<&str> = line.split_whitespace().collect();
        assert_eq!((cells[1], cells[2]), (types, gpus), "{line}");
    }
    assert_eq!(out(&["catalogue", "list", "-o", "name"]).lines().count(), 6);
    assert_eq!(
        out(&["catalogue", "list", "--catalogue", "gcp/us-central1", "-o", "name"]).lines().count(),
        360
    );
}

#[test]
fn one_type_is_shown() {
    let run = run(&["catalogue", "show", "g4dn.xlarge"]);
    let line =
        |start: &str| run.out.lines().find(|line| line.trim_start().starts_with(start)).unwrap().trim();
    assert_eq!(line("GPU"), "GPU             1 × T4 (nvidia), 16 GiB of GPU memory");
    let on_demand: Vec<&str> = line("on-demand").split_whitespace().collect();
    assert_eq!(
        on_demand,
        ["on-demand", "a,b,c", "0.526", "0.526", "0.0329", "0.1315", "383.98", "list", "2025-04-04"]
    );
    assert_eq!(run.err, "", "nothing here is an estimate");
    let allocatable: Vec<&str> = line("memory").split_whitespace().collect();
    assert_eq!(allocatable, ["memory", "15155Mi", "574Mi", "100Mi", "14481Mi"]);
}

#[test]
fn estimates_are_marked() {
    let shown = run(&["catalogue", "show", "m5.large"]);
    assert!(
        shown.out.lines().any(|line| line.contains("spot")
            && line.contains('~')
            && line.contains("spot-advisor 2025-06-28"))
    );
    assert!(shown.err.starts_with("~ derived or estimated"));
    let wide = run(&["catalogue", "list", "aws/cn-north-1", "-o", "wide", "--limit", "3"]);
    assert_eq!(wide.err, "", "the sources stand there");
    assert!(wide.out.lines().next().unwrap().contains("ON-DEMAND CNY/h"));
    for line in wide.out.lines().skip(1) {
        assert!(line.contains("list 2024-11-06") && line.contains("estimated"), "{line}");
    }
    let prices: Value =
        serde_json::from_str(&out(&["catalogue", "price", "m5.large", "-o", "json"])).unwrap();
    for item in prices["items"].as_array().unwrap() {
        assert_eq!(item["estimated"], item["capacityType"] == "spot", "{item}");
    }
}

#[test]
fn types_are_found_and_sorted() {
    let names = |arguments: &[&str]| -> Vec<String> {
        let all = [&["catalogue", "find", "-o", "name"], arguments].concat();
        out(&all).lines().map(ToOwned::to_owned).collect()
    };
    let large = names(&["karpenter.k8s.aws/instance-gpu-memory>=24576", "--sort", "price"]);
    // No GPU of at least 24 GiB is cheaper than an L40S; g5 and g6 have 22888 MiB.
    assert_eq!(large[..2], ["g6e.xlarge", "g6e.2xlarge"]);
    assert!(!large.iter().any(|name| name.starts_with("g5.") || name.starts_with("g6.")));
    assert_eq!(
        names(&["karpenter.k8s.aws/instance-family in (g4dn,g5)", "nvidia.com/gpu>=8", "--sort", "name"]),
        ["g4dn.metal", "g5.48xlarge"]
    );
    assert_eq!(
        names(&["karpenter.k8s.aws/instance-family=g5g", "memory>=60Gi", "--sort", "vcpu", "--reverse"])
            .len(),
        2
    );
    // A price chooses offerings: only zones and capacity types that are so cheap are left.
    let cheap = out(&[
        "catalogue",
        "find",
        "node.kubernetes.io/instance-type=g4dn.xlarge",
        "price<0.3",
        "-o",
        "json",
    ]);
    let cheap: Value = serde_json::from_str(&cheap).unwrap();
    let offerings = cheap["instanceTypes"][0]["offerings"].as_array().unwrap();
    assert_eq!(offerings.len(), 3);
    assert!(offerings.iter().all(|offering| offering["price"] == 0.2286));
}

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(
        said(&["catalogue", "find", "karpenter.k8s.aws/instance-gpu-memroy>=24576"]),
        "error: `karpenter.k8s.aws/instance-gpu-memroy` is neither a label nor a resource in this catalogue\n  hint: did you mean `karpenter.k8s.aws/instance-gpu-memory`?\n"
    );
    assert_eq!(
        said(&["catalogue", "show", "g4dn.xlarg"]),
        "error: instance type `g4dn.xlarg` not found in catalogue `aws/us-west-2`\n  hint: did you mean `g4dn.xlarge`?\n"
    );
    for (arguments, flag) in [
        (&["--overlay", "discounts.yaml"][..], "--overlay"),
        (&["--node-class", "class.yaml"], "--node-class"),
        (&["--azure-network", "none"], "--azure-network"),
        (&["--sort", "price"], "--sort"),
        (&["--reverse"], "--reverse"),
        (&["--limit", "1"], "--limit"),
    ] {
        assert_eq!(
            said(&[&["catalogue", "list"], arguments].concat()),
            format!("error: {flag} needs a catalogue\n  hint: use `karpsim catalogue list NAME {flag} …`\n")
        );
    }
    assert!(
        said(&["catalogue", "list", "aws/us-west-2", "--catalogue", "aws/us-east-1"]).contains("--catalogue")
    );
    assert!(said(&["catalogue", "list", "aws/us-west-3"]).contains("did you mean `aws/us-west-2`?"));
    assert!(said(&["catalogue", "find", "cpu>>4"]).contains("invalid requirement"));
    assert!(
        said(&["catalogue", "show", "m5.large", "--vm-memory-overhead-percent", "7.5"])
            .contains("0.075 is 7.5 %")
    );
    let nothing = run(&["catalogue", "find", "karpenter.k8s.aws/instance-gpu-name=t5"]);
    assert_eq!((nothing.code, nothing.out.as_str()), (0, ""));
    assert!(nothing.err.contains("did you mean `t4`?"), "{}", nothing.err);
}

/// `karpsim … 2>&1 | head`: what the program says has nowhere to go.
#[cfg(target_os = "linux")]
#[test]
fn talk_that_nobody_hears_is_no_failure() {
    for (arguments, code) in [
        (&["catalogue", "show", "m5.large"][..], 0),
        (&["catalogue", "find", "karpenter.k8s.aws/instance-gpu-name=t5"], 0),
        (&["catalogue", "show", "m5.lrage"], 2),
    ] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = program::command(arguments).stderr(full).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn a_written_catalogue_is_a_catalogue() {
    let folder = Folder::new("catalogue");
    let found = out(&["catalogue", "find", "karpenter.k8s.aws/instance-family=g4dn", "-o", "json"]);
    let file = folder.file("mine.json", &found);
    let file = file.as_str();
    assert_eq!(out(&["catalogue", "list", file, "-o", "json"]), found);
    let again = run(&["catalogue", "diff", "aws/us-west-2", file, "-o", "json"]);
    assert_eq!(again.code, 1, "fewer types");
    let diff: Value = serde_json::from_str(&again.out).unwrap();
    assert_eq!(
        (diff["removed"].as_array().unwrap().len(), diff["changed"].as_array().unwrap().len()),
        (1314 - 7, 0)
    );
    assert_eq!(
        run(&["catalogue", "diff", file, file]),
        Run { code: 0, out: String::new(), err: String::new() }
    );
    let kwok = folder.file("kwok.json", out(&["catalogue", "list", file, "-o", "kwok"]));
    assert_eq!(
        out(&["catalogue", "list", kwok.as_str(), "-o", "name"]),
        out(&["catalogue", "list", file, "-o", "name"])
    );
    let yaml = folder.file("mine.yaml", out(&["catalogue", "list", file, "-o", "yaml"]));
    assert_eq!(out(&["catalogue", "list", yaml.as_str(), "-o", "json"]), found);
}

#[test]
fn overlays_and_node_classes_apply() {
    let folder = Folder::new("overlay");
    let overlay = folder.file(
        "acme.yaml",
        "apiVersion: karpsim.dev/v1alpha1\nkind: CatalogueOverlay\nname: acme\nprices:\n- {instanceTypes: [m5.large], capacityTypes: [on-demand], discountPercent: 28}\n- {instanceTypes: [m5.lrage], factor: 2}\n",
    );
    let overlay = overlay.as_str();
    let diff = run(&["catalogue", "diff", "aws/us-west-2", "--overlay", overlay]);
    assert_eq!(
        diff.out,
        "m5.large\n  on-demand: 0.096 → 0.0691 (-28.0 %) in us-west-2a, us-west-2b, us-west-2c, us-west-2d\n0 removed, 0 added, 1 changed\n"
    );
    assert_eq!(diff.code, 1);
    assert!(diff.err.contains("`prices[1]` matches nothing in the catalogue"), "{}", diff.err);
    let class = folder.file(
        "class.yaml",
        "apiVersion: karpenter.k8s.aws/v1\nkind: EC2NodeClass\nmetadata: {name: default}\nspec: {kubelet: {maxPods: 110}}\n",
    );
    let shown = out(&["catalogue", "show", "m5.large", "--node-class", class.as_str(), "-o", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["instanceTypes"][0]["capacity"]["pods"], "110");
}

#[test]
fn samples_are_imported() {
    let files = [
        "samples/aws/describe-instance-types.json",
        "samples/aws/describe-instance-type-offerings.json",
        "samples/aws/describe-availability-zones.json",
        "samples/aws/get-products.json",
        "samples/aws/describe-spot-price-history.json",
    ];
    let imported = out(&[&["catalogue", "import", "aws"], &files[..]].concat());
    let folder = Folder::new("import");
    let file = folder.file("imported.json", imported);
    let same = run(&["catalogue", "diff", "samples/aws/expected-catalogue.json", file.as_str()]);
    assert_eq!((same.code, same.out.as_str()), (0, ""));
    let missing = said(&["catalogue", "import", "aws", files[2], files[3]]);
    assert!(missing.contains("missing output of `aws ec2 describe-instance-types`"), "{missing}");
    let series = out(&["catalogue", "import", "spot-prices", files[4], "--start", "2026-08-20T02:00:00Z"]);
    assert_eq!(series.lines().count(), 10);
}

#[test]
fn schemas_are_printed() {
    for form in ["catalogue", "catalogue-overlay", "scenario", "trace", "decision"] {
        let schema: Value = serde_json::from_str(&out(&["schema", form])).unwrap();
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert!(schema["title"].as_str().unwrap().starts_with("karpsim "));
    }
    assert!(said(&["schema", "traec"]).contains("trace"));
}
