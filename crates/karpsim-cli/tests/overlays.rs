//! `--overlay`: prices that change, discounts and other traces, each against sums done by hand.

mod program;

use program::{Folder, Run, karpsim};
use serde_json::{Value, json};

const RESNET: &str = "traces/resnet-gpu.json";
const DISCOUNT: &str = "apiVersion: karpsim.dev/v1alpha1\nkind: CatalogueOverlay\nname: acme\nprices:\n- {capacityTypes: \
                        [on-demand], discountPercent: 28}\n";
const LICENCE: &str =
    "apiVersion: karpsim.dev/v1alpha1\nkind: CatalogueOverlay\nprices:\n- {licence: {perNode: 0.1}}\n";

fn json_of(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{}", run.err);
    serde_json::from_str(&run.out).unwrap()
}

fn replay(arguments: &[&str]) -> Value {
    json_of(&karpsim(&[&["replay", "-o", "json", "--delays", "none"], arguments].concat(), b""))
}

fn near(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap();
    assert!((found - expected).abs() < 1e-6, "{found}, expected {expected}");
}

fn instance_type(name: &str, capacity_type: &str, price: f64) -> Value {
    let is = |key: &str, value: &str| json!({"key": key, "operator": "In", "values": [value]});
    let offering = |zone: &str| {
        let place =
            [is("karpenter.sh/capacity-type", capacity_type), is("topology.kubernetes.io/zone", zone)];
        json!({"requirements": place, "price": price, "available": true})
    };
    json!({
        "name": name,
        "requirements": [is("node.kubernetes.io/instance-type", name), is("kubernetes.io/arch", "amd64"),
            is("kubernetes.io/os", "linux"), is("karpenter.sh/capacity-type", capacity_type),
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["z1", "z2"]}],
        "capacity": {"cpu": "2", "memory": "8Gi", "pods": "10"},
        "offerings": [offering("z1"), offering("z2")],
    })
}

/// One pod from the start on, a second one after two hours; each fills a node of either type.
fn two_nodes(capacity_type: &str, policy: &str, end: Option<u64>, events: &[Value]) -> String {
    let mut all = vec![json!({"at": 7200, "scale": {"kind": "Deployment", "name": "web", "replicas": 2}})];
    all.extend(events.iter().cloned());
    all.sort_by_key(|event| event["at"].as_u64());
    json!({
        "apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "name": "two-nodes",
        "start": "2026-08-20T00:00:00Z", "end": end,
        "catalogue": {"instanceTypes": [
            instance_type("a.large", capacity_type, 0.36), instance_type("b.large", capacity_type, 0.72)]},
        "objects": [
            {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "default"}, "spec": {
                "disruption": {"consolidationPolicy": policy, "consolidateAfter": "0s"},
                "template": {"spec": {
                    "nodeClassRef": {"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"},
                    "requirements": [{"key": "karpenter.sh/capacity-type", "operator": "In", "values": [capacity_type]}]}}}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": {
                "replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "resources": {"requests": {"cpu": "1500m"}}}]}}}}],
        "events": all,
    })
    .to_string()
}

/// Type, price at the end and cost of each node.
fn nodes(result: &Value) -> Vec<(&str, f64, f64)> {
    let nodes = result["nodes"].as_array().unwrap().iter();
    let number = |node: &Value, field: &str| (node[field].as_f64().unwrap() * 1e9).round() / 1e9;
    nodes
        .map(|node| {
            let name = node["instanceType"].as_str().unwrap();
            (name, number(node, "priceUsdPerHour"), number(node, "costUsd"))
        })
        .collect()
}

/// An hour at 0.36 and two at 1.08; an hour of the other type, which is the cheaper one by then.
const REPRICED: [(&str, f64, f64); 2] = [("a.large", 1.08, 2.52), ("b.large", 0.72, 0.72)];

fn history(entries: &[(&str, &str, &str, &str)]) -> String {
    let entries: Vec<Value> = entries
        .iter()
        .map(|(name, zone, price, at)| {
            json!({"AvailabilityZone": zone, "InstanceType": name, "ProductDescription": "Linux/UNIX",
                "SpotPrice": price, "Timestamp": at})
        })
        .collect();
    json!({ "SpotPriceHistory": entries }).to_string()
}

const HISTORY: [(&str, &str, &str, &str); 5] = [
    ("a.large", "z1", "0.36", "2026-08-19T12:00:00Z"),
    ("a.large", "z2", "0.36", "2026-08-19T12:00:00Z"),
    ("a.large", "z1", "1.080000", "2026-08-20T01:00:00Z"),
    ("a.large", "z2", "1.080000", "2026-08-20T03:00:00+02:00"),
    ("a.large", "z1", "9", "2026-08-20T09:00:00Z"),
];

#[test]
fn price_events_change_what_runs_and_what_is_launched() {
    let folder = Folder::new("price-events");
    let dear = json!({"at": 3600, "price": {"instanceTypes": ["a.large"], "price": 1.08}});
    let trace = folder.file("a.json", two_nodes("spot", "WhenEmpty", Some(10800), &[dear]));
    let result = replay(&[&trace]);
    assert_eq!(nodes(&result), REPRICED);
    near(&result["totals"]["costUsd"], 3.24);
    // What is said last counts, and a factor is of the catalogue's price: 0.36 × 0.5.
    let events = [
        json!({"at": 3600, "price": {"capacityTypes": ["spot"], "factor": 3}}),
        json!({"at": 5400, "price": {"instanceTypes": ["a.large"], "factor": 0.5}}),
    ];
    let trace = folder.file("b.json", two_nodes("spot", "WhenEmpty", Some(10800), &events));
    // 0.36 for an hour, 1.08 for half of one, 0.18 for an hour and a half; the second node for an hour at 0.18.
    assert_eq!(nodes(&replay(&[&trace])), [("a.large", 0.18, 1.17), ("a.large", 0.18, 0.18)]);
}

#[test]
fn consolidation_compares_with_the_prices_of_the_time() {
    let folder = Folder::new("price-consolidation");
    let dear = json!({"at": 3600, "price": {"instanceTypes": ["a.large"], "price": 1.08}});
    let policy = "WhenEmptyOrUnderutilized";
    let trace = folder.file("trace.json", two_nodes("on-demand", policy, Some(7000), &[dear]));
    // The trace ends before the second pod comes.
    let text = std::fs::read_to_string(&trace).unwrap().replace("\"at\":7200", "\"at\":7000");
    let trace = folder.file("trace.json", text);
    let result = replay(&[&trace]);
    let moved = &result["decisions"][1];
    assert_eq!((&moved["kind"], &moved["reason"]), (&json!("disrupt"), &json!("Underutilized")));
    // A cluster counts as consolidated for five minutes, the loop looks every ten seconds, validation takes fifteen.
    let at = moved["at"].as_f64().unwrap();
    assert!((3600.0..=3925.0).contains(&at), "{at}");
    assert_eq!(moved["launched"][0]["instanceType"], "b.large");
    let (old, new) = (&result["nodes"][0], &result["nodes"][1]);
    near(&old["costUsd"], 0.36 + 1.08 * (old["gone"].as_f64().unwrap() - 3600.0) / 3600.0);
    near(&new["costUsd"], 0.72 * (7000.0 - new["launched"].as_f64().unwrap()) / 3600.0);
}

#[test]
fn a_spot_price_history_is_laid_over_a_trace() {
    let folder = Folder::new("history");
    let trace = folder.file("trace.json", two_nodes("spot", "WhenEmpty", Some(10800), &[]));
    let prices = folder.file("history.json", history(&HISTORY));
    let result = replay(&[&trace, "--overlay", &prices]);
    assert_eq!(nodes(&result), REPRICED);
    assert_eq!(result.get("warnings"), None);

    // Imported, it is a trace that gives the same, from whatever moment on.
    let series = folder.path("prices.jsonl");
    for start in ["2026-08-20T00:00:00Z", "2026-08-19T23:30:00Z"] {
        let import = ["catalogue", "import", "spot-prices", &prices, "--start", start, "--output", &series];
        assert_eq!(karpsim(&import, b"").code, 0);
        let replayed = replay(&[&trace, "--overlay", &series]);
        if start.ends_with("T00:00:00Z") {
            assert_eq!(replayed["nodes"], result["nodes"]);
        } else {
            // Half an hour later: 1.5 hours at 0.36, 1.5 at 1.08.
            assert_eq!(nodes(&replayed)[0], ("a.large", 1.08, 2.16));
        }
    }

    // What the provider asks is under the user's overlays: a licence makes it 0.46, 1.18 and 0.82 an hour.
    let licence = folder.file("licence.yaml", LICENCE);
    let result = replay(&[&trace, "--overlay", &licence, "--overlay", &prices]);
    assert_eq!(nodes(&result), [("a.large", 1.18, 2.82), ("b.large", 0.82, 0.82)]);

    // Prices by themselves do not make a trace longer.
    let open = folder.file("open.json", two_nodes("spot", "WhenEmpty", None, &[]));
    assert_eq!(replay(&[&open, "--overlay", &prices])["end"], json!(7200.0));
    assert_eq!(replay(&[&open, "--overlay", &prices, "--end", "10h"])["end"], json!(36000.0));
}

#[test]
fn a_history_of_another_time_or_place_is_said() {
    let folder = Folder::new("history-elsewhere");
    let trace = folder.file("trace.json", two_nodes("spot", "WhenEmpty", Some(10800), &[]));
    let hint = "(`karpsim catalogue import spot-prices --start TIME` shifts a history)";
    for (entries, warning) in [
        (
            vec![("a.large", "z1", "0.5", "2026-08-19T00:00:00Z")],
            format!(
                "the last price is from 2026-08-19T00:00:00Z, before the trace starts, so prices do not change {hint}"
            ),
        ),
        (
            vec![("a.large", "z1", "0.5", "2026-08-21T00:00:00Z")],
            format!(
                "the first price is from 2026-08-21T00:00:00Z, after the trace ends, so the history has no effect {hint}"
            ),
        ),
    ] {
        let prices = folder.file("history.json", history(&entries));
        let run = karpsim(&["replay", &trace, "--overlay", &prices], b"");
        assert_eq!((run.code, run.err), (0, format!("warning: {prices}: {warning}\n")));
        let run = karpsim(&["replay", &trace, "--overlay", &prices, "--strict"], b"");
        assert_eq!(run.code, 2, "{}", run.err);
    }
    let prices = folder.file(
        "history.json",
        history(&[
            ("a.large", "z1", "0.5", "2026-08-20T00:00:00Z"),
            ("a.large", "us-east-1a", "0.5", "2026-08-20T00:30:00Z"),
            ("m5.large", "z1", "0.5", "2026-08-20T00:40:00Z"),
        ]),
    );
    let run = karpsim(&["replay", &trace, "--overlay", &prices], b"");
    assert_eq!(
        (run.code, run.err.as_str()),
        (0, "warning: price: 2 of 3 event(s) match no offering in the catalogue\n")
    );
}

#[test]
fn a_discount_reaches_every_command() {
    let folder = Folder::new("discount");
    let discount = folder.file("discount.yaml", DISCOUNT);
    // 7980 s of g4dn.xlarge at 0.526 less 28 %, and 3 × 2400 s of m5.large at 0.096 less 28 %.
    let totals = replay(&[RESNET, "--overlay", &discount])["totals"].take();
    near(&totals["costUsd"], 7980.0 / 3600.0 * 0.526 * 0.72);
    near(&totals["costUsdUnmanaged"], 0.192 * 0.72);

    let scenario = "scenarios/gpu-pods.yaml";
    let decided = karpsim(&["decide", scenario, "--overlay", &discount], b"");
    assert_eq!((decided.code, decided.err.as_str()), (0, ""));
    assert!(decided.out.contains("\"price\":0.37872}"), "{}", decided.out);
    let explained = karpsim(&["explain", scenario, "pod/default/resnet-1", "--overlay", &discount], b"");
    assert!(explained.out.contains("$0.37872/h"), "{}{}", explained.out, explained.err);

    // As a variant it is compared with the trace as it is.
    let variant = format!("savings-plan={discount}");
    let compared = karpsim(&["whatif", RESNET, "--variant", &variant, "-o", "json"], b"");
    near(&json_of(&compared)["variants"][1]["costPercentAgainstBase"], -28.0);
    // And over both, it makes no difference which type is cheaper.
    let base = json_of(&karpsim(
        &["whatif", RESNET, "--variant", &variant, "--overlay", &discount, "-o", "json", "--delays", "none"],
        b"",
    ));
    near(&base["variants"][0]["costUsd"], 7980.0 / 3600.0 * 0.526 * 0.72);
    near(&base["variants"][1]["costUsd"], 7980.0 / 3600.0 * 0.526 * 0.72 * 0.72);

    let unused = folder.file("unused.yaml", DISCOUNT.replace("on-demand", "on-demnad"));
    let warning = format!("warning: {unused}: `prices[0]` matches nothing in the catalogue\n");
    for command in [vec!["decide", scenario], vec!["explain", scenario, "pod/default/resnet-1"]] {
        let run = karpsim(&[&command[..], &["--overlay", &unused]].concat(), b"");
        assert_eq!((run.code, &run.err), (0, &warning));
    }
    let run = karpsim(&["replay", RESNET, "--overlay", &unused], b"");
    assert!(run.err.ends_with(&warning), "{}", run.err);
    assert_eq!(karpsim(&["decide", scenario, "--overlay", &unused, "--strict"], b"").code, 2);
}

#[test]
fn traces_are_laid_over_traces() {
    let folder = Folder::new("traces");
    let overlay = folder.file(
        "more.jsonl",
        "{\"apiVersion\": \"karpsim.dev/v1alpha1\", \"kind\": \"Trace\", \"name\": \"dear\", \"options\": {\"delays\": \
         {\"podStop\": 0}}}\n{\"at\": 900, \"price\": {\"instanceTypes\": [\"g4dn.xlarge\"], \"factor\": 2}}\n",
    );
    let result = json_of(&karpsim(&["replay", RESNET, "--overlay", &overlay, "-o", "json"], b""));
    assert_eq!(result["name"], "resnet-gpu + dear");
    assert_eq!((&result["delays"]["podStop"], &result["delays"]["launch"]), (&json!(0.0), &json!(2.0)));
    // The first node for all of the time, 900 s of it at the old price.
    let node = &result["nodes"][3];
    let (launched, gone) = (node["launched"].as_f64().unwrap(), node["gone"].as_f64().unwrap());
    near(&node["costUsd"], ((900.0 - launched) + 2.0 * (gone - 900.0)) / 3600.0 * 0.526);

    // What is wrong in an overlay is said of the overlay.
    let broken = folder.file(
        "broken.jsonl",
        "{\"apiVersion\": \"karpsim.dev/v1alpha1\", \"kind\": \"Trace\"}\n{\"at\": 9, \"scale\": {\"kind\": \"Deployment\", \
         \"name\": \"resnt\", \"replicas\": 1}}\n",
    );
    let run = karpsim(&["replay", RESNET, "--overlay", &broken], b"");
    assert_eq!(
        (run.code, run.err),
        (
            2,
            format!(
                "error: {broken}:2: `scale.name`: Deployment `default/resnt` not found\n  hint: did you mean `resnet`?\n"
            )
        )
    );
}

const SPOT: &str = "spot=variants/resnet-spot.yaml";

#[test]
fn a_wrong_object_is_of_the_file_that_it_is_in() {
    let folder = Folder::new("objects");
    let trace = |objects: &[&str]| {
        let objects = objects.join(", ");
        format!("{{\"apiVersion\": \"karpsim.dev/v1alpha1\", \"kind\": \"Trace\", \"objects\": [{objects}]}}")
    };
    let namespace = r#"{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}"#;
    let good = folder.file("good.json", trace(&[namespace]));
    let (named, provisioner) = (r#""metadata": {"name": "bad"}"#, r#""apiVersion": "karpenter.sh/v1alpha5""#);
    for object in [
        format!(
            r#"{{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", {named}, "spec": {{"weihgt": 1}}}}"#
        ),
        // It is wrong before it is converted, or after.
        format!(r#"{{{provisioner}, "kind": "Provisioner", {named}, "spec": {{"weihgt": 1}}}}"#),
        format!(r#"{{{provisioner}, "kind": "Provisioner", {named}, "spec": {{"weight": "x"}}}}"#),
        // A workload is made after everything else.
        format!(r#"{{"apiVersion": "apps/v1", "kind": "Deployment", {named}, "spec": {{"replicas": "x"}}}}"#),
    ] {
        let bad = folder.file("bad.jsonl", trace(&[namespace, &object]));
        let said = |arguments: &[&str]| {
            let run = karpsim(arguments, b"");
            assert_eq!(run.code, 2, "{arguments:?}: {}", run.err);
            assert!(run.err.starts_with(&format!("error: {bad}: `objects[1]")), "{arguments:?}: {}", run.err);
        };
        said(&["replay", RESNET, "--overlay", &good, "--overlay", &bad]);
        said(&["whatif", RESNET, "--overlay", &good, "--overlay", &bad, "--variant", SPOT]);
        said(&["whatif", RESNET, "--overlay", &good, "--variant", &format!("bad={bad}")]);
        // What is wrong in the trace itself is not the variant's fault, whichever is found first.
        said(&["whatif", &bad, "--catalogue", "aws/us-west-2", "--variant", &format!("good={good}")]);
    }
}

#[test]
fn a_catalogue_that_is_not_there_is_of_the_overlay_that_names_it() {
    let folder = Folder::new("no-catalogue");
    let bad = folder.file(
        "bad.json",
        "{\"apiVersion\": \"karpsim.dev/v1alpha1\", \"kind\": \"Trace\", \"catalogue\": {\"name\": \"aws/us-west-9\"}}",
    );
    let variant = format!("bad={bad}");
    for command in [
        vec!["replay", RESNET, "--overlay", &bad],
        vec!["whatif", RESNET, "--overlay", &bad, "--variant", SPOT],
        vec!["whatif", RESNET, "--variant", &variant],
    ] {
        let run = karpsim(&command, b"");
        assert_eq!(run.code, 2);
        assert!(
            run.err
                .starts_with(&format!("error: {bad}: `catalogue.name`: catalogue `aws/us-west-9` not found")),
            "{}",
            run.err
        );
    }
}

#[test]
fn other_kinds_of_file_are_refused() {
    let folder = Folder::new("kinds");
    let allowed =
        "expected `CatalogueOverlay`, `Trace`, or the output of `aws ec2 describe-spot-price-history`";
    for (text, sentence) in [
        (
            "kind: CatalogOverlay\n",
            format!(
                "`kind`: invalid value `CatalogOverlay`: {allowed}\n  hint: did you mean `CatalogueOverlay`?"
            ),
        ),
        (
            "apiVersion: karpenter.sh/v1alpha1\nkind: NodeOverlay\n",
            format!(
                "`kind`: invalid value `NodeOverlay`: {allowed}\n  hint: put a NodeOverlay into the `objects` of a trace or scenario"
            ),
        ),
        (
            "{\"instanceTypes\": []}",
            format!("field `kind` is missing: {allowed}\n  hint: use --catalogue for a catalogue"),
        ),
        (
            "objects: []\n",
            format!(
                "field `kind` is missing: {allowed}\n  hint: use `karpsim whatif TRACE --variant NAME=FILE` for a patch"
            ),
        ),
        ("", "the file is empty".to_owned()),
        ("- 1\n", "not an overlay: expected a YAML mapping".to_owned()),
        ("{\"SpotPriceHistory\": []}", "the history has no spot price for Linux".to_owned()),
    ] {
        let file = folder.file("overlay", text);
        for command in [
            vec!["replay", RESNET],
            vec!["decide", "scenarios/gpu-pods.yaml"],
            vec!["catalogue", "show", "m5.large"],
        ] {
            let run = karpsim(&[&command[..], &["--overlay", &file]].concat(), b"");
            assert_eq!(
                (run.code, run.err.as_str(), run.out.as_str()),
                (2, &*format!("error: {file}: {sentence}\n"), "")
            );
        }
    }
    // Where no time passes, nothing that needs it.
    let prices = folder.file("history.json", history(&HISTORY));
    for (file, what) in [(RESNET, "a trace"), (&prices, "a spot price history")] {
        for command in [
            vec!["decide", "scenarios/gpu-pods.yaml"],
            vec!["explain", "scenarios/gpu-pods.yaml", "pod/default/resnet-1"],
            vec!["catalogue", "show", "m5.large"],
        ] {
            let run = karpsim(&[&command[..], &["--overlay", file]].concat(), b"");
            let sentence = format!(
                "error: {file}: expected a `CatalogueOverlay`, found {what}\n  hint: use it with `karpsim replay TRACE \
                 --overlay FILE`\n"
            );
            assert_eq!((run.code, run.err.as_str()), (2, sentence.as_str()));
        }
    }
}
