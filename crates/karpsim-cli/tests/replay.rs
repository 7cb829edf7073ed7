//! `karpsim replay` and `karpsim whatif` as their users meet them.

mod program;

use program::{Folder, command, data, karpsim};
use serde_json::{Value, json};

const TRACE: &str = "traces/resnet-gpu.json";
const LIMIT: &str = "warning: NodePool `gpu`: `spec.limits.gpu`: no instance type has the resource `gpu`, so this limit has no \
                     effect (did you mean `amd.com/gpu`, `nvidia.com/gpu`?)\n";

fn result(arguments: &[&str]) -> Value {
    let run = karpsim(&[arguments, &["-o", "json"]].concat(), b"");
    assert_eq!(run.code, 0, "{}", run.err);
    serde_json::from_str(&run.out).unwrap()
}

#[test]
fn the_walk_through_without_delays_costs_what_arithmetic_says() {
    let result = result(&["replay", TRACE, "--delays", "none"]);
    assert_eq!(
        (&result["apiVersion"], &result["kind"]),
        (&json!("karpsim.dev/v1alpha1"), &json!("ReplayResult"))
    );
    let totals = &result["totals"];
    // 1 × 1830 s + 5 × 1230 s at 0.526 dollars an hour.
    assert_eq!(totals["nodeSecondsByInstanceType"]["g4dn.xlarge"], json!(7980.0));
    assert!((totals["costUsd"].as_f64().unwrap() - 7980.0 / 3600.0 * 0.526).abs() < 1e-8);
    assert!((totals["costUsdUnmanaged"].as_f64().unwrap() - 0.192).abs() < 1e-9);
    let decisions: Vec<(f64, &str, usize, usize)> = result["decisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|decision| {
            let count = |list: &str| decision[list].as_array().unwrap().len();
            let at = decision["at"].as_f64().unwrap();
            (at, decision["kind"].as_str().unwrap(), count("launched"), count("removed"))
        })
        .collect();
    assert_eq!(decisions, [(0.0, "provision", 1, 0), (600.0, "provision", 5, 0), (1830.0, "disrupt", 0, 6)]);
    assert_eq!(totals["podsByInstanceType"]["default/resnet"], json!({"g4dn.xlarge": 6}));
}

#[test]
fn the_table_tells_the_story() {
    let run = karpsim(&["replay", TRACE], b"");
    assert_eq!((run.code, run.err.as_str()), (0, LIMIT));
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(
        lines[0],
        "resnet-gpu: 40m from 2022-03-21T02:00:00Z, karpenter-0.6 timing, pods bound by Karpenter"
    );
    for line in [
        "0:00:01  provision      gpu       +g4dn.xlarge on-demand us-west-2a             default/resnet-1",
        "0:10:01  provision      gpu       +5 × g4dn.xlarge on-demand us-west-2a         default/resnet-2, default/resnet-3 \
         and 3 other(s)  $0.5260/h, next g4dn.2xlarge at $0.7520/h",
        "0:30:31  disrupt Empty  gpu       -6 × g4dn.xlarge on-demand us-west-2a",
        "nodes                  6 launched, 6 removed",
    ] {
        assert!(lines.iter().any(|found| found.starts_with(line)), "{line}\n{}", run.out);
    }
    assert!(lines.iter().all(|line| !line.ends_with(' ') && !line.contains('\u{1b}')), "{}", run.out);
}

/// The same with every number as a double: YAML does not tell 1 from 1.0.
fn doubles(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(values) => values.into_iter().map(doubles).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, doubles(value))).collect(),
        other => other,
    }
}

#[test]
fn forms_and_sources_do_not_change_the_result() {
    let folder = Folder::new("forms");
    let json = karpsim(&["replay", TRACE, "-o", "json"], b"");
    let yaml = karpsim(&["replay", TRACE, "-o", "yaml"], b"");
    let as_value: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(doubles(karpsim::yaml::documents(&yaml.out).unwrap().remove(0).value), doubles(as_value));
    assert!(
        yaml.out.starts_with("apiVersion: karpsim.dev/v1alpha1\nkind: ReplayResult\nname: resnet-gpu\n"),
        "{}",
        yaml.out
    );

    let text = std::fs::read_to_string(data(TRACE)).unwrap();
    let piped = karpsim(&["replay", "-", "-o", "json"], text.as_bytes());
    assert_eq!(piped.out, json.out);
    // The same as a stream: the header, then a line an event.
    let mut header: Value = serde_json::from_str(&text).unwrap();
    let events = header.as_object_mut().unwrap().remove("events").unwrap();
    let lines: String = std::iter::once(&header)
        .chain(events.as_array().unwrap())
        .flat_map(|value| [value.to_string(), "\n".to_owned()])
        .collect();
    assert_eq!(karpsim(&["replay", "-", "-o", "json"], lines.as_bytes()).out, json.out);
    // And as YAML, packed.
    let packed = ruzstd::encoding::compress_to_vec(
        format!("# a comment\n{}", serde_json::from_str::<Value>(&text).unwrap()).as_bytes(),
        ruzstd::encoding::CompressionLevel::Fastest,
    );
    let path = folder.file("trace.yaml.zst", packed);
    assert_eq!(karpsim(&["replay", &path, "-o", "json"], b"").out, json.out);
    // And again, on one thread.
    let alone = command(&["replay", TRACE, "-o", "json"]).env("RAYON_NUM_THREADS", "1").output().unwrap();
    assert_eq!(String::from_utf8(alone.stdout).unwrap(), json.out);
}

#[test]
fn events_are_written_whole_or_not_at_all() {
    let folder = Folder::new("events");
    let path = folder.path("events.jsonl");
    let run = karpsim(&["replay", TRACE, "--events", &path], b"");
    assert_eq!(run.code, 0, "{}", run.err);
    let written = std::fs::read_to_string(&path).unwrap();
    let events: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(events.iter().any(|event| event["what"] == "mark"), "{written}");
    assert!(events.windows(2).all(|pair| pair[0]["t"].as_f64() <= pair[1]["t"].as_f64()));
    assert_eq!(folder.names(), ["events.jsonl"]);

    std::fs::remove_file(&path).unwrap();
    let broken = folder.file(
        "broken.jsonl",
        "{\"apiVersion\":\"karpsim.dev/v1alpha1\",\"kind\":\"Trace\",\"catalogue\":\
        {\"name\":\"aws/us-west-2\"}}\n{\"at\":5,\"mark\":\"a\"}\n{\"at\":3,\"mark\":\"b\"}\n",
    );
    let run = karpsim(&["replay", &broken, "--events", &path], b"");
    assert_eq!((run.code, run.out.as_str()), (2, ""));
    assert_eq!(run.err, format!("error: {broken}:3: `at`: out of order: 3 s after an event at 5 s\n"));
    assert_eq!(folder.names(), ["broken.jsonl"]);
}

#[test]
fn events_go_to_a_plain_file_or_nowhere() {
    let folder = Folder::new("events-nowhere");
    std::fs::create_dir(folder.path("taken")).unwrap();
    let taken = folder.path("taken");
    for (path, sentence) in [
        (taken.as_str(), format!("{taken}: is a directory\n")),
        ("/dev/null", "/dev/null: is not a regular file\n".to_owned()),
        (
            "-",
            "-: expected a file, not standard output\n  hint: standard output is for the result\n".to_owned(),
        ),
    ] {
        let run = karpsim(&["replay", TRACE, "--events", path], b"");
        assert_eq!((run.code, run.err, run.out.as_str()), (2, format!("error: {sentence}"), ""));
    }
    assert_eq!(folder.names(), ["taken"], "nothing half-written is left");
}

#[test]
fn a_negative_duration_is_refused() {
    for flag in ["--end", "--think-time", "--batch-max-duration", "--batch-idle-duration"] {
        let run = karpsim(&["replay", TRACE, flag, "-5s"], b"");
        let sentence =
            format!("error: invalid value '-5s' for '{flag} <DURATION>': expected a duration such as");
        assert!(run.code == 2 && run.err.starts_with(&sentence), "{}", run.err);
    }
}

#[test]
fn a_variant_may_bring_another_catalogue() {
    let folder = Folder::new("other-catalogue");
    let file = data("scenarios/g4dn.json");
    let patch = folder.file("patch.yaml", format!("catalogue: {{file: {}}}", file.display()));
    let run = karpsim(&["whatif", TRACE, "--variant", &format!("small={patch}")], b"");
    // That file has no m5.large for the nodes that the trace begins with: it is the one that was read.
    assert_eq!(run.code, 2);
    assert!(run.err.contains("m5.large"), "{}", run.err);
}

#[test]
fn objects_of_a_trace_are_checked_as_those_of_a_scenario() {
    let folder = Folder::new("objects");
    let run = |object: &str| {
        let path = folder.file(
            "trace.json",
            format!(
                r#"{{"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "end": 1, "catalogue": {{"name": "aws/us-west-2"}},
                    "objects": [{object}]}}"#
            ),
        );
        let run = karpsim(&["replay", &path], b"");
        assert_eq!(run.out.is_empty(), run.code != 0, "{}", run.out);
        (run.code, run.err.replace(&path, "TRACE"))
    };
    let pool = |spec: &str| {
        format!(
            r#"{{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {{"name": "x"}}, "spec": {spec}}}"#
        )
    };
    let deployment = |container: &str| {
        format!(
            r#"{{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {{"name": "web"}},
                "spec": {{"template": {{"spec": {{"containers": [{container}]}}}}}}}}"#
        )
    };
    for (object, sentence) in [
        (
            pool(r#"{"limits": {"cpu": -1}}"#),
            "`objects[0].spec.limits.cpu`: NodePool `x`: invalid value `-1`: expected a quantity of 0 or more\n",
        ),
        (
            pool(r#"{"template": {"spec": {"requirements": [{"key": "a", "operator": "in"}]}}}"#),
            "`objects[0].spec.template.spec.requirements[0].operator`: NodePool `x`: invalid value \"in\": expected one of In, NotIn, \
             Exists, DoesNotExist, Gt, Lt, Gte, Lte\n  hint: did you mean `In`?\n",
        ),
        (
            pool(
                r#"{"disruption": {"budgets": [{"nodes": "1", "schedule": "mornings", "duration": "8h"}]}}"#,
            ),
            "`objects[0].spec.disruption.budgets[0].schedule`: NodePool `x`: invalid value \"mornings\": expected five cron fields \
             such as \"0 9 * * 1-5\", or a macro such as @daily\n",
        ),
        (
            deployment(r#"{"name": "a", "resources": {"requests": {"cpu": "1x"}}}"#),
            "`objects[0].spec.template.spec.containers[0].resources.requests.cpu`: Deployment `default/web`: invalid value \"1x\": \
             expected a quantity such as `100m`, `1.5`, `2Gi` or `1e3`\n",
        ),
        (
            deployment(r#"{"name": "a", "resources": {"request": {"cpu": "1"}}}"#),
            "`objects[0].spec.template.spec.containers[0].resources`: Deployment `default/web`: unknown field `request`\n  \
             hint: did you mean `requests`?\n",
        ),
        (
            r#"{"apiVersion": "karpenter.sh/v1", "kind": "Nodepool", "metadata": {"name": "x"}}"#.to_owned(),
            "`objects[0]`: Nodepool `default/x`: kind `Nodepool` not found in `karpenter.sh/v1`\n  hint: did you mean `NodePool`?\n",
        ),
    ] {
        assert_eq!(run(&object), (2, format!("error: TRACE: {sentence}")), "{object}");
    }
    let (code, said) =
        run(r#"{"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "x"},
            "spec": {"price": "0.25"}}"#);
    let sentence = "warning: NodeOverlay: has no effect: the feature gate NodeOverlay is off (enable it with --feature-gates NodeOverlay=true)\n";
    assert_eq!((code, said.as_str()), (0, sentence));
    let (code, said) = run(r#"{"apiVersion": "v1", "kind": "Podd", "metadata": {"name": "x"}}"#);
    assert_eq!(
        (code, said.as_str()),
        (0, "warning: objects of unknown kind Podd (v1) have no effect (did you mean `Pod`?)\n")
    );
}

#[test]
fn flags_are_heard() {
    let end = |arguments: &[&str]| result(&[&["replay", TRACE], arguments].concat());
    assert_eq!(end(&["--end", "10m"])["end"], json!(600.0));
    let delays = end(&["--delays", "launch=5,nodeReady=1m", "--delays", "podStop=0s"]);
    assert_eq!(delays["delays"]["launch"], json!(5.0));
    assert_eq!(delays["delays"]["nodeReady"], json!(60.0));
    assert_eq!(delays["delays"]["podStop"], json!(0.0));
    let other = end(&["--profile", "karpenter-1", "--binding", "early"]);
    assert_eq!((&other["profile"], &other["binding"]), (&json!("karpenter-1"), &json!("early")));
    let first = |result: &Value| result["decisions"][0]["at"].as_f64().unwrap();
    assert!((first(&end(&["--batch-idle-duration", "5s"])) - 5.0).abs() < 1e-9);
    let output = command(&["replay", TRACE, "-o", "json"]).env("BATCH_IDLE_DURATION", "3s").output().unwrap();
    assert!((first(&serde_json::from_slice(&output.stdout).unwrap()) - 3.0).abs() < 1e-9);

    for (arguments, sentence) in [
        (
            vec!["--delays", "nodeRedy=3"],
            "error: --delays: unknown delay `nodeRedy`\n  hint: did you mean `nodeReady`?\n",
        ),
        (
            vec!["--delays", "nodeReady"],
            "error: --delays: invalid value `nodeReady`: expected `none` or NAME=DURATION\n  hint: did you mean `nodeReady`?\n",
        ),
        (
            vec!["--batch-max-duration", "ten"],
            "error: invalid value 'ten' for '--batch-max-duration <DURATION>': expected a duration such as 90s, 1m30s, 720h, 2d, \
             PT30S or 60 (seconds)\n\nFor more information, try '--help'.\n",
        ),
        (
            vec!["--strict"],
            "error: traces/resnet-gpu.json: NodePool `gpu`: `spec.limits.gpu`: no instance type has the resource `gpu`, \
             so this limit has no effect (did you mean `amd.com/gpu`, `nvidia.com/gpu`?)\n  hint: --strict treats warnings as errors\n",
        ),
    ] {
        let run = karpsim(&[&["replay", TRACE], &*arguments].concat(), b"");
        assert_eq!((run.code, run.err.as_str(), run.out.as_str()), (2, sentence, ""));
    }
}

const VARIANTS: [&str; 6] = [
    "--variant",
    "spot=variants/resnet-spot.yaml",
    "--variant",
    "2xlarge=variants/resnet-2xlarge.yaml",
    "--variant",
    "keep-5m=variants/resnet-keep-5m.yaml",
];

#[test]
fn what_if_compares_variants_with_the_trace() {
    let result = result(&[&["whatif", TRACE, "--delays", "none"], &VARIANTS[..]].concat());
    let variants = result["variants"].as_array().unwrap();
    let names: Vec<&str> = variants.iter().map(|variant| variant["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["base", "spot", "2xlarge", "keep-5m"]);
    let cost = |index: usize| variants[index]["costUsd"].as_f64().unwrap();
    let near = |found: f64, expected: f64| assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    near(cost(0), 7980.0 / 3600.0 * 0.526);
    assert!(cost(1) < cost(0) * 0.6, "{}", cost(1));
    near(cost(2), 7980.0 / 3600.0 * 0.752);
    // Six nodes, 270 s longer.
    near(cost(3), (7980.0 + 6.0 * 270.0) / 3600.0 * 0.526);
    let against = variants[3]["costUsdAgainstBase"].as_f64().unwrap();
    near(against, 6.0 * 270.0 / 3600.0 * 0.526);
    near(variants[3]["costUsdPerMonthAgainstBase"].as_f64().unwrap(), against * 730.0 / (2400.0 / 3600.0));

    // The base is what replay gives.
    let replayed = self::result(&["replay", TRACE]);
    let table = karpsim(&[&["whatif", TRACE], &VARIANTS[..]].concat(), b"");
    assert_eq!((table.code, table.err.as_str()), (0, LIMIT));
    let base = table.out.lines().nth(1).unwrap();
    let cost = format!("${:.4}", replayed["totals"]["costUsd"].as_f64().unwrap());
    assert!(base.starts_with("base") && base.contains(&cost), "{}", table.out);
}

#[test]
fn a_file_for_another_command_names_the_command() {
    for (file, found) in [
        ("{\"kind\": \"disruption\", \"objects\": []}", "a scenario"),
        ("{\"now\": \"2026-01-01T00:00:00Z\", \"objects\": []}", "a scenario"),
        ("{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": []}", "Kubernetes objects"),
    ] {
        let run = karpsim(&["replay", "-"], file.as_bytes());
        let said = format!(
            "error: standard input: expected a trace (`kind: Trace`), found {found}\n  hint: use `karpsim decide`\n"
        );
        assert_eq!((run.code, run.out.as_str(), run.err), (2, "", said));
    }
    for arguments in [&["decide", TRACE][..], &["budget", TRACE], &["explain", TRACE, "node/n"]] {
        let run = karpsim(arguments, b"");
        let said = format!(
            "error: {TRACE}: invalid value \"Trace\": expected one of provisioning, disruption\n  hint: this is a \
             trace: use `karpsim replay`\n"
        );
        assert_eq!((run.code, run.out.as_str(), run.err), (2, "", said), "{arguments:?}");
    }
}

#[test]
fn what_pods_ask_for_in_vain_is_said_once() {
    let trace = br#"{"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "name": "t", "end": 60,
        "catalogue": {"name": "aws/us-west-2", "include": ["g4dn.xlarge"]},
        "objects": [
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"replicas": 2, "template": {"spec": {
                "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpus": 1}}}]}}}},
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "b"}, "spec": {"replicas": 1, "template": {"spec": {
                "containers": [{"name": "c", "resources": {"limits": {"nvidia.com/gpus": 1, "nvidia.com/gpu": 1}}}]}}}}],
        "events": []}"#;
    let run = karpsim(&["replay", "-"], trace);
    let said = "no instance type or node has the resource `nvidia.com/gpus` that the pod requests, so the pod is \
                unschedulable (did you mean `nvidia.com/gpu`?)";
    assert_eq!(run.code, 0, "{}", run.err);
    assert_eq!(run.err.matches(said).count(), 1, "{}", run.err);
}

#[test]
fn a_patch_that_matches_nothing_is_an_error() {
    let folder = Folder::new("patches");
    for (patch, sentence) in [
        (
            "objects: [{kind: NodePool, name: gpus, patch: {}}]",
            "the trace has no NodePool gpus to patch\n  hint: did you mean NodePool gpu?",
        ),
        (
            "objects: [{kind: Provisioner, name: gpu, patch: {}}]",
            "the trace has no Provisioner gpu to patch\n  hint: patch a Provisioner as its NodePool",
        ),
        (
            "objects: [{kind: Deployment, namespace: kube-system, name: core-dns, patch: {}}]",
            "the trace has no Deployment kube-system/core-dns to patch\n  hint: did you mean Deployment \
             kube-system/coredns?",
        ),
        (
            "objects: [{kind: NodePool, name: gpu, pach: {}}]",
            "`objects[0]`: unknown field `pach`\n  hint: did you mean `patch`?",
        ),
        ("objects: [{kind: NodePool, patch: {}}]", "`objects[0]`: missing field `name`"),
        (
            "objects: [{kind: NodePool, name: gpu, patch: {metadata: {name: cpu}}}]",
            "`objects[0].patch.metadata.name`: invalid value \"cpu\": expected \"gpu\"\n  hint: a patch cannot rename an object",
        ),
        ("object: []", "unknown field `object`\n  hint: did you mean `objects`?"),
        (
            "objects: [{kind: NodePol, name: gpu, patch: {}}]",
            "the trace has no NodePol default/gpu to patch\n  hint: did you mean the kind NodePool?",
        ),
        ("catalogue: {nam: aws/us-east-1}", "`catalogue.nam`: unknown field\n  hint: did you mean `name`?"),
        ("- 1", "expected an object with objects, options, catalogue"),
        (
            "objects: [{kind: NodePool, name: gpu, patch: {spec: {weigth: 3}}}]",
            "`objects[0].spec`: NodePool `gpu`: unknown field `weigth`\n  hint: did you mean `weight`?",
        ),
        (
            "options: {delays: {nodeRedy: 3}}",
            "`options.delays.nodeRedy`: unknown delay\n  hint: did you mean `nodeReady`?",
        ),
        (
            "catalogue: {include: [g4dn.xlarg]}",
            "`catalogue.include[0]`: instance type `g4dn.xlarg` not found in catalogue `aws/us-west-2`\n  hint: did you mean \
             `g4dn.xlarge`?",
        ),
    ] {
        let path = folder.file("patch.yaml", patch);
        let run = karpsim(&["whatif", TRACE, "--variant", &format!("a={path}")], b"");
        assert_eq!(
            (run.code, run.err, run.out.as_str()),
            (2, format!("error: {path}: {sentence}\n"), ""),
            "{patch}"
        );
    }
    let twice = karpsim(&["whatif", TRACE, "--variant", "base=a.yaml"], b"");
    assert_eq!(
        twice.err,
        "error: --variant: duplicate name `base`\n  hint: `base` is the trace without changes\n"
    );
}

#[test]
fn names_are_numbered_or_realistic() {
    let plain = karpsim(&["replay", TRACE, "-o", "json"], b"");
    assert_eq!(karpsim(&["replay", TRACE, "-o", "json", "--names", "numbered"], b"").out, plain.out);
    let realistic = |seed: &str| result(&["replay", TRACE, "--names", "realistic", "--seed", seed]);
    let (one, two) = (realistic("1"), realistic("2"));
    let plain: Value = serde_json::from_str(&plain.out).unwrap();
    assert_eq!(one["totals"], plain["totals"], "names cost nothing");
    assert_ne!(one["nodes"], two["nodes"]);
    let names: Vec<&str> = one["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|node| !node["nodePool"].is_null())
        .map(|node| node["name"].as_str().unwrap())
        .collect();
    assert_eq!(names.len(), 6);
    assert!(
        names.iter().all(|name| name.starts_with("gpu-") && name.len() == "gpu-x7k2p".len()),
        "{names:?}"
    );
}

#[test]
fn static_node_pools_wait_for_their_gate() {
    let folder = Folder::new("static");
    let class = r#"{"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"}"#;
    let trace = folder.file(
        "trace.json",
        format!(
            r#"{{"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace", "end": 900,
            "catalogue": {{"name": "aws/us-west-2", "include": ["m5.large"]}}, "objects": [
            {{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {{"name": "gw"}}, "spec": {{"replicas": 2,
            "template": {{"spec": {{"requirements": [], "nodeClassRef": {class}}}}}}}}}]}}"#
        ),
    );
    let off = karpsim(&["replay", &trace, "-o", "json"], b"");
    assert_eq!(
        off.err,
        "warning: NodePool with `replicas`: has no effect: the feature gate StaticCapacity is off (enable it with --feature-gates StaticCapacity=true)\n"
    );
    let off: Value = serde_json::from_str(&off.out).unwrap();
    assert_eq!(off["totals"]["nodesLaunched"], 0);
    let on = result(&["replay", &trace, "--feature-gates", "StaticCapacity=true"]);
    assert_eq!((&on["totals"]["nodesLaunched"], &on["warnings"]), (&json!(2), &Value::Null));
}
