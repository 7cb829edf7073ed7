//! `karpsim decide` as its users meet it.

mod program;

use program::{Folder, Run, command, data, karpsim};
use serde_json::Value;
use std::io::{Read, Write};

/// Two small scenarios that need no catalogue file.
fn scenario(name: &str) -> String {
    let catalogue = r#"{"provider": "fake", "instanceTypes": [{"name": "small", "requirements": [
        {"key": "node.kubernetes.io/instance-type", "operator": "In", "values": ["small"]},
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
        {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone-1"]},
        {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]}],
        "capacity": {"cpu": "2", "memory": "4Gi", "pods": "10"},
        "offerings": [{"requirements": [
            {"key": "karpenter.sh/capacity-type", "operator": "In", "values": ["on-demand"]},
            {"key": "topology.kubernetes.io/zone", "operator": "In", "values": ["zone-1"]}],
            "price": 1, "available": true}]}]}"#;
    let conditions = r#"[{"type": "ValidationSucceeded", "status": "True"}, {"type": "NodeClassReady", "status": "True"},
        {"type": "Ready", "status": "True"}]"#;
    format!(
        r#"{{"name": "{name}", "kind": "provisioning", "now": "2026-01-01T00:00:00Z", "catalogue": {catalogue}, "objects": [
        {{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {{"name": "pool", "uid": "1"}}, "spec": {{"template":
        {{"spec": {{"nodeClassRef": {{"group": "karpenter.test.sh", "kind": "TestNodeClass", "name": "default"}},
        "requirements": []}}}}}}, "status": {{"conditions": {conditions}}}}},
        {{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "web", "namespace": "default", "uid": "2"}}, "spec":
        {{"containers": [{{"name": "a", "resources": {{"requests": {{"cpu": "1"}}}}}}]}}, "status": {{"phase": "Pending",
        "conditions": [{{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}}]}}}}]}}"#
    )
    .replace('\n', " ")
}

fn names(run: &Run) -> Vec<String> {
    run.out
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_pod_gets_a_node() {
    let run = karpsim(&["decide", "-"], scenario("one").as_bytes());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let decision: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(decision["newNodeClaims"][0]["pods"], serde_json::json!(["default/web"]));
    assert_eq!(decision["newNodeClaims"][0]["launch"]["instanceType"], "small");
    // The name comes first, and whole prices are integers.
    assert!(run.out.starts_with(r#"{"name":"one","newNodeClaims":[{"#), "{}", run.out);
    assert!(run.out.contains(r#""price":1}"#), "{}", run.out);
}

/// The library's own test matches every line; here it is that the command takes them, among others, in their form.
#[test]
fn scenarios_of_the_aws_provider_are_decided_too() {
    let recorded = karpsim_testkit::text("conformance/aws-provider.jsonl");
    let some: Vec<&str> = recorded.lines().step_by(25).collect();
    let between = scenario("between").replace('\n', " ");
    let input: String = some.iter().flat_map(|line| [*line, "\n", &between, "\n"]).collect();
    let run = karpsim(&["decide", "-"], input.as_bytes());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let decided: Vec<Value> = run.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(decided.len(), 2 * some.len());
    for (line, ours) in some.iter().zip(decided.iter().step_by(2)) {
        let recording: Value = serde_json::from_str(line).unwrap();
        assert_eq!(ours["name"], recording["scenario"]["name"]);
        let recorded = recording["decision"].as_object().unwrap();
        // Words of errors are for reading, so that only decisions without any are compared as a whole.
        if !recording["decision"].to_string().contains("\"error\"") {
            let fields: serde_json::Map<String, Value> = ours
                .as_object()
                .unwrap()
                .iter()
                .filter(|(key, _)| *key != "name")
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            assert_eq!(&fields, recorded, "{}", ours["name"]);
        }
    }
    let wrong = karpsim(&["decide", "-"], br#"{"kind": "aws-launch", "ec3": {}}"#);
    assert_eq!(wrong.code, 2);
    assert!(wrong.err.contains("unknown field `ec3`"), "{}", wrong.err);
}

#[test]
fn recorded_pairs_are_decided_in_their_order_whatever_the_threads() {
    let recorded = karpsim_testkit::text("conformance/provisioning.jsonl");
    let some: String = recorded.lines().step_by(20).flat_map(|line| [line, "\n"]).collect();
    let expected: Vec<String> = some
        .lines()
        .map(|line| {
            serde_json::from_str::<Value>(line).unwrap()["scenario"]["name"].as_str().unwrap().to_owned()
        })
        .collect();
    let alone = karpsim(&["decide", "-", "--root", "conformance", "--threads", "1"], some.as_bytes());
    let many = karpsim(&["decide", "-", "--root", "conformance", "--threads", "4"], some.as_bytes());
    assert_eq!(alone.code, 0, "{}", alone.err);
    assert_eq!(names(&alone), expected);
    assert_eq!(alone, many);
}

#[test]
fn a_bad_line_ends_the_run_after_the_decisions_before_it() {
    let input = format!(
        "{}\n\n{}\n{{\"name\": \"x\", \"obj\": 1}}\n{}\n",
        scenario("a"),
        scenario("b"),
        scenario("c")
    );
    let run = karpsim(&["decide", "-"], input.as_bytes());
    assert_eq!(names(&run), ["a", "b"]);
    assert_eq!(run.code, 2);
    assert_eq!(
        run.err,
        "error: standard input:4: unknown field `obj`\n  hint: known fields: `name`, `kind`, `now`, `options`, `catalogue`, \
         `objects`, `cluster`, `apiVersion`\n"
    );
}

#[test]
fn plain_packed_and_piped_are_the_same() {
    let folder = Folder::new("packed");
    let text = format!("{}\n{}\n", scenario("a"), scenario("b"));
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    let zstd = |text: &str| {
        ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest)
    };
    // Two frames, one behind the other, are one file.
    let frames = [zstd(&text[..100]), zstd(&text[100..])].concat();
    let plain = karpsim(&["decide", "-"], text.as_bytes());
    assert_eq!(names(&plain), ["a", "b"]);
    for (name, content) in
        [("plain", text.clone().into_bytes()), ("gzip", gzip.finish().unwrap()), ("zstd", frames)]
    {
        let path = folder.file(name, content);
        assert_eq!(karpsim(&["decide", &path], b""), plain, "{name}");
    }
    let pretty =
        serde_json::to_string_pretty(&serde_json::from_str::<Value>(&scenario("a")).unwrap()).unwrap();
    let pretty = karpsim(&["decide", "-"], format!("\n{pretty}\n{}", scenario("b")).as_bytes());
    assert_eq!(pretty, plain);
}

#[test]
fn a_dump_of_objects_is_a_scenario() {
    let scenario: Value = serde_json::from_str(&scenario("a")).unwrap();
    let mut objects = scenario["objects"].clone();
    objects[0]["spec"]["template"]["spec"]["nodeClassRef"] =
        serde_json::json!({"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": "default"});
    let list = serde_json::json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string();
    let folder = Folder::new("dump");
    let path = folder.file("cluster.json", list);
    let run = karpsim(&["decide", &path, "--catalogue", "aws/us-west-2"], b"");
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let decision: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(decision["name"], "cluster");
    assert_eq!(decision["newNodeClaims"][0]["pods"], serde_json::json!(["default/web"]));

    let run = karpsim(&["decide", &path], b"");
    assert_eq!(run.code, 2);
    assert_eq!(
        run.err,
        format!(
            "error: {path}: `catalogue`: no instance types: neither a catalogue nor instance types are given\n  hint: \
             use --catalogue with a name or a file, such as `--catalogue aws/us-west-2`\n"
        )
    );
}

#[test]
fn yaml_is_read_as_kubernetes_reads_it() {
    let catalogue = data("conformance/catalogues/fake-400.json.zst");
    let yaml = "\
apiVersion: karpenter.sh/v1
kind: NodePool
metadata: {name: pool}
spec: {template: {spec: {nodeClassRef: {group: karpenter.test.sh, kind: TestNodeClass, name: default}}}}
status:
  conditions: [{type: ValidationSucceeded, status: 'True'}, {type: NodeClassReady, status: 'True'}, {type: Ready, status: 'True'}]
---
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: default}
spec:
  containers:
  - resources: {requests: {cpu: 010m}}
  - resources: {requests: {cpu: 010}}
status:
  phase: Pending
  conditions: [{type: PodScheduled, status: 'False', reason: Unschedulable}]
";
    let run = karpsim(&["decide", "-", "--catalogue", catalogue.to_str().unwrap()], yaml.as_bytes());
    assert_eq!((run.code, run.err.as_str()), (0, ""));
    let decision: Value = serde_json::from_str(&run.out).unwrap();
    assert_eq!(decision["newNodeClaims"][0]["requests"]["cpu"], "8010m");

    let run = karpsim(&["decide", "-"], yaml.replace("status: 'True'", "status: True").as_bytes());
    assert_eq!(run.code, 2);
    assert_eq!(
        run.err,
        "error: standard input: NodePool `pool`: `status.conditions[0].status`: invalid value `true`: expected a \
         string\n  hint: put the value in quotes\n"
    );

    let run = karpsim(&["decide", "-"], b"a: 1\nb: [\n");
    assert_eq!(run.code, 2);
    assert!(run.err.starts_with("error: standard input:2:4: not YAML: "), "{}", run.err);
}

#[test]
fn what_cannot_be_read_is_said() {
    let folder = Folder::new("unreadable");
    let zstd = std::fs::read(data("conformance/catalogues/fake-400.json.zst")).unwrap();
    let truncated = folder.file("truncated.json.zst", &zstd[..1000]);
    let binary = folder.file("binary", [b"\x7fELF\x02\x01\x01\x00".as_slice(), &[0; 100]].concat());
    let latin = folder.file("latin", b"{\"name\": \"caf\xe9\"}");
    let empty = folder.file("empty", b" \n");
    let misnamed = folder.file("misnamed.json", r#"{"name": "a", "catalogue": {"name": "aws/us-west-1"}}"#);
    let away = folder.file("away.json", r#"{"name": "a", "catalogue": {"file": "catalogues/a.json"}}"#);
    let folder_itself = folder.path("");
    for (arguments, sentence) in [
        (vec!["decide", "absent.json"], "error: absent.json: no such file\n".to_owned()),
        (vec!["decide", &folder_itself], format!("error: {folder_itself}: is a directory\n")),
        (vec!["decide", &empty], format!("error: {empty}: the file is empty\n")),
        (
            vec!["decide", &binary],
            format!(
                "error: {binary}: not UTF-8 text: byte 0x00 at offset 7\n  hint: expected JSON, JSON Lines or YAML, \
                 optionally compressed with zstd or gzip\n"
            ),
        ),
        (
            vec!["decide", &latin],
            format!(
                "error: {latin}:1: not UTF-8 text: byte 0xe9 at offset 13\n  hint: expected JSON, JSON Lines or YAML, \
                 optionally compressed with zstd or gzip\n"
            ),
        ),
        (
            vec!["decide", &misnamed],
            format!(
                "error: {misnamed}: `catalogue.name`: catalogue `aws/us-west-1` not found in the built-in catalogues: \
                 aws/cn-north-1, aws/eu-central-1, aws/us-east-1, aws/us-west-2, azure/eastus, gcp/us-central1\n  hint: did \
                 you mean `aws/us-west-2`?\n"
            ),
        ),
        (
            vec!["decide", &away],
            format!(
                "error: {away}: `catalogue.file`: file {} not found (nor with .zst or .gz)\n  hint: use --root to set the \
                 directory that catalogue files are relative to\n",
                folder.path("catalogues/a.json")
            ),
        ),
        (
            vec!["decide", &away, "--catalogue", "aws/us-west2"],
            "error: catalogue `aws/us-west2` not found: it is neither a built-in catalogue nor a file\n  hint: did you \
             mean `aws/us-west-2`?\n"
                .to_owned(),
        ),
    ] {
        let run = karpsim(&arguments, b"");
        assert_eq!((run.code, run.err, run.out.as_str()), (2, sentence, ""));
    }
    let run = karpsim(&["decide", &truncated], b"");
    assert_eq!(run.code, 2);
    assert!(run.err.starts_with(&format!("error: {truncated}: ")), "{}", run.err);
    assert!(run.err.contains("truncated"), "{}", run.err);
    // Brackets without end are refused after a few, not after all.
    let run = karpsim(&["decide", "-"], "[".repeat(30_000_000).as_bytes());
    assert_eq!(
        (run.code, run.err.as_str()),
        (2, "error: standard input:1: brackets are nested more than 128 levels deep\n")
    );
}

#[test]
fn strict_treats_warnings_as_errors() {
    let input = scenario("a").replace(r#""status": "True""#, r#""status": "False""#);
    let loose = karpsim(&["decide", "-"], input.as_bytes());
    assert_eq!(loose.code, 0);
    let said = "NodePool `pool`: `status.conditions`: is ignored, because these status conditions are not True: \
                ValidationSucceeded, NodeClassReady, Ready";
    assert_eq!(loose.err, format!("warning: {said}\n"));
    let strict = karpsim(&["decide", "-", "--strict"], input.as_bytes());
    assert_eq!((strict.code, strict.out.as_str()), (2, ""));
    assert_eq!(
        strict.err,
        format!("error: standard input: {said}\n  hint: --strict treats warnings as errors\n")
    );
}

#[test]
fn karpenters_settings_have_karpenters_names() {
    let folder = Folder::new("settings");
    let values = folder.file(
        "values.yaml",
        "settings:\n  clusterName: a\n  preferencePolicy: Ignore\n  featureGates: {nodeOverlay: true, nodeRepair: false}\n",
    );
    let wrong = folder.file("wrong.yaml", "settings:\n  preferencePolicy: ignore\n");
    let input = scenario("a");
    let run = |arguments: &[&str]| {
        let run = karpsim(&[&["decide", "-"], arguments].concat(), input.as_bytes());
        (run.code, run.err)
    };
    assert_eq!(
        run(&["--values", &values, "--feature-gates", "SpotToSpotConsolidation=true,"]),
        (0, String::new())
    );
    assert_eq!(
        run(&["--values", &wrong]),
        (
            2,
            format!(
                "error: {wrong}: `settings.preferencePolicy`: invalid value `ignore`: expected Respect or Ignore; did you \
                 mean `Ignore`?\n"
            )
        )
    );
    assert_eq!(
        run(&["--min-values-policy", "Stric"]),
        (
            2,
            "error: invalid value 'Stric' for '--min-values-policy <POLICY>': expected Strict or BestEffort; did you mean \
             `Strict`?\n\nFor more information, try '--help'.\n"
                .to_owned()
        )
    );
    assert_eq!(
        run(&["--feature-gates", "SpotToSpot=true"]).1,
        "error: invalid value 'SpotToSpot=true' for '--feature-gates <GATES>': expected one of the feature gates NodeOverlay, \
         NodeRepair, PodDeletionCostManagement, ReservedCapacity, SpotToSpotConsolidation, StaticCapacity, \
         TerminateFirstDrift, TerminateFirstRepair, CapacityBuffer\n\nFor more information, try '--help'.\n"
    );
    let output = command(&["decide", "-"]).env("PREFERENCE_POLICY", "Never").output().unwrap();
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "error: invalid value 'Never' for '--preference-policy <POLICY>': expected Respect or Ignore\n\nFor more information, try '--help'.\n"
    );
}

#[test]
fn timings_are_written_whole_or_not_at_all() {
    let folder = Folder::new("timings");
    let path = folder.path("timings.jsonl");
    let input = format!("{}\n{}\n", scenario("a"), scenario("b"));
    assert_eq!(karpsim(&["decide", "-", "--timings", &path], input.as_bytes()).code, 0);
    let written = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.iter().map(|line| line["name"].as_str().unwrap()).collect::<Vec<_>>(), ["a", "b"]);
    for part in ["read", "compile", "decide", "render"] {
        assert!(lines[0][part].as_f64().is_some_and(|seconds| (0.0..10.0).contains(&seconds)), "{part}");
    }
    assert_eq!(folder.names(), ["timings.jsonl"]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(karpsim(&["decide", "-", "--timings", &path], b"{\"x\": 1}").code, 2);
    assert_eq!(folder.names(), Vec::<String>::new());
}

#[test]
fn a_reader_that_has_enough_is_no_error() {
    let input: String = (0..2000).flat_map(|index| [scenario(&index.to_string()), "\n".to_owned()]).collect();
    let mut child = command(&["decide", "-"]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 10]).unwrap();
    drop(stdout);
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    feeder.join().unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}

/// The commands below `path`, each with its help.
fn commands(path: &[String]) -> Vec<(String, String)> {
    let arguments: Vec<&str> = path.iter().map(String::as_str).chain(["--help"]).collect();
    let help = karpsim(&arguments, b"").out;
    let below: Vec<String> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // A description that is broken into lines stands deeper than a name.
        .filter(|line| !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .map(str::to_owned)
        .collect();
    if below.is_empty() {
        return vec![(path.join(" "), help)];
    }
    below.into_iter().flat_map(|name| commands(&[path, &[name]].concat())).collect()
}

#[test]
fn every_command_shows_an_example() {
    let all = commands(&[]);
    let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["decide", "replay", "whatif", "completions"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for (name, help) in &all {
        assert!(help.contains(&format!("karpsim {name} ")) && help.contains("Example"), "{name}: {help}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let run = karpsim(&["completions", shell], b"");
        assert!(run.code == 0 && run.out.contains("decide"), "{shell}");
    }
    assert_eq!(karpsim(&["decid"], b"").code, 2);
    // Alone, it shows three things to try.
    let alone = karpsim(&[], b"");
    assert_eq!((alone.code, alone.err.as_str()), (0, ""));
    assert_eq!(alone.out.lines().filter(|line| line.contains(" karpsim ")).count(), 3, "{}", alone.out);
}

#[test]
fn the_clock_can_be_set() {
    // The budget is 0 for one minute, which begins at the time of the scenario.
    let budget = |arguments: &[&str]| {
        let text = scenario("a").replace(
            r#""spec": {"template""#,
            r#""spec": {"disruption": {"budgets": [{"nodes": "0", "schedule": "0 0 1 9 *", "duration": "1m"}]}, "template""#,
        );
        karpsim(&[&["budget", "-", "-o", "json"], arguments].concat(), text.as_bytes())
    };
    for now in ["2026-09-01", "2026-09-01T00:00:00Z"] {
        let run = budget(&["--now", now, "--to", "2026-09-02"]);
        assert_eq!(run.code, 0, "{}", run.err);
        let list: Value = serde_json::from_str(&run.out).unwrap();
        assert_eq!(list["items"][0]["at"], "2026-09-01T00:00:00Z");
        assert_eq!(list["items"][1]["at"], "2026-09-01T00:01:00Z");
    }
    let run = budget(&["--now", "September"]);
    assert_eq!(run.code, 2);
    assert!(run.err.contains("or a date such as 2026-09-01"), "{}", run.err);
}
