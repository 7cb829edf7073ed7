use super::{Catalogues, Findings, read_json, read_yaml, validate};
use crate::catalogue::Catalogue;
use crate::problem::{Place, Problem, ProblemKind};
use crate::scenario::{Scenario, ScenarioKind};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

fn data(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../data").join(path)
}

fn unpacked(path: &str) -> String {
    let file = std::fs::File::open(data(path)).unwrap();
    let mut text = String::new();
    ruzstd::decoding::StreamingDecoder::new(file).unwrap().read_to_string(&mut text).unwrap();
    text
}

/// The catalogues of the recordings, each read once.
#[derive(Default)]
struct Recorded(Mutex<Vec<(String, Arc<Catalogue>)>>);

impl Catalogues for Recorded {
    fn file(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        let mut read = self.0.lock().unwrap();
        if let Some((_, catalogue)) = read.iter().find(|(known, _)| known == name) {
            return Ok(catalogue.clone());
        }
        let text = unpacked(&format!("conformance/{name}.zst"));
        let catalogue = Arc::new(crate::catalogue::read(&text)?);
        read.push((name.to_owned(), catalogue.clone()));
        Ok(catalogue)
    }

    fn named(&self, name: &str) -> Result<Arc<Catalogue>, Problem> {
        Err(Problem::new(
            Place::at("catalogue.name"),
            ProblemKind::UnknownName {
                what: "catalogue",
                name: name.into(),
                sought: "the recordings".into(),
                near: None,
            },
        ))
    }
}

fn admitted(text: &str, findings: &mut Findings) -> Result<Scenario, Problem> {
    validate(read_json(text)?.text, &Recorded::default(), findings)
}

#[test]
fn every_recorded_scenario_passes() {
    // What is said of them, and of how many objects: as many as the recordings hold.
    let of_provisioning: &[(&str, usize)] = &[
        ("does not count", 39),
        ("dynamic resources are not modelled", 36),
        ("the feature gate NodeOverlay is off", 13),
        ("has the resource `example.com/fpga`", 128),
        ("has the resource `example.com/slots`", 71),
        ("has the resource `hugepages-2Mi`", 82),
        ("has the resource `aws.amazon.com/neuron`", 35),
        ("has the resource `smarter-devices/fuse`", 33),
        ("has the resource `nvidia.com/gpu`", 28),
    ];
    let of_disruption: &[(&str, usize)] = &[("does not count", 19), ("is not launched yet", 5)];
    for (file, count, notices) in
        [("provisioning", 2392, of_provisioning), ("disruption", 921, of_disruption)]
    {
        let text = unpacked(&format!("conformance/{file}.jsonl.zst"));
        let catalogues = Recorded::default();
        let mut findings = Findings::default();
        let mut passed = 0;
        for line in text.lines() {
            let scenario = validate(read_json(line).unwrap().text, &catalogues, &mut findings);
            let scenario = scenario.unwrap_or_else(|problem| panic!("{}: {problem}", &line[..90]));
            assert_eq!(scenario.kind.as_str(), file);
            passed += 1;
        }
        assert_eq!(passed, count);
        assert_eq!(findings.iter().count(), notices.len(), "{findings:#?}");
        for (part, count) in notices {
            let found = findings.iter().find(|finding| finding.to_string().contains(part));
            assert_eq!(found.map(|finding| finding.count), Some(*count), "{part}");
        }
    }
}

/// A scenario with `objects`, over a catalogue of its own.
fn with_objects(objects: &str) -> String {
    format!(
        r#"{{"name": "a", "now": "2026-01-01T00:00:00Z", "catalogue": {{"instanceTypes": [{{"name": "m5.large",
        "capacity": {{"cpu": "2"}}}}]}}, "objects": [{objects}]}}"#
    )
}

fn with_pod_spec(spec: &str) -> String {
    with_objects(&format!(
        r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "web", "namespace": "default"}}, "spec": {spec}}}"#
    ))
}

fn with_pool_spec(spec: &str) -> String {
    with_objects(&format!(
        r#"{{"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {{"name": "gpu"}}, "spec": {spec}}}"#
    ))
}

fn required(expression: &str) -> String {
    with_pod_spec(&format!(
        r#"{{"affinity": {{"nodeAffinity": {{"requiredDuringSchedulingIgnoredDuringExecution": {{"nodeSelectorTerms": [
        {{"matchExpressions": [{expression}]}}]}}}}}}}}"#
    ))
}

#[test]
fn what_is_refused_is_said_in_one_sentence() {
    const TERM: &str = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[0]\
                        .matchExpressions[0]";
    let table: Vec<(String, String, Option<&str>)> = vec![
        ("{\"name\": \"a\"".into(), "the text ends in the middle of a value".into(), None),
        ("{\"name\": }".into(), "not JSON: expected value".into(), None),
        ("[".repeat(100_000), "brackets are nested deeper than 128 levels".into(), None),
        ("3".into(), "found `3`, allowed is a scenario, a Kubernetes object or a list of objects".into(), None),
        (
            r#"{"name": "a", "objcts": []}"#.into(),
            "unknown field `objcts`".into(),
            Some("did you mean `objects`?"),
        ),
        (
            r#"{"name": "a", "options": {"featureGates": {"spotToSpot": true}}}"#.into(),
            "`options.featureGates`: unknown field `spotToSpot`".into(),
            Some(
                "known here: `reservedCapacity`, `spotToSpotConsolidation`, `nodeOverlay`, `staticCapacity`, `nodeRepair`, \
                 `terminateFirstDrift`, `terminateFirstRepair`, `podDeletionCostManagement`, `capacityBuffer`",
            ),
        ),
        (
            r#"{"name": "a", "options": {"preferencePolicy": "respect"}}"#.into(),
            "`options.preferencePolicy`: found \"respect\", allowed is one of Respect, Ignore".into(),
            Some("did you mean `Respect`?"),
        ),
        (
            r#"{"kind": "provisionning", "objects": []}"#.into(),
            "found \"provisionning\", allowed is one of provisioning, disruption".into(),
            Some("did you mean `provisioning`?"),
        ),
        (
            r#"{"name": "a", "now": "yesterday"}"#.into(),
            "`now`: found \"yesterday\", allowed is a time such as \"2026-01-15T10:00:00Z\"".into(),
            None,
        ),
        (
            r#"{"scenario": {"name": "a"}, "decisions": {}}"#.into(),
            "unknown field `decisions`".into(),
            Some("did you mean `decision`?"),
        ),
        (
            r#"{"name": "a", "catalogue": {}}"#.into(),
            "`catalogue`: there is no instance type: no catalogue is named".into(),
            None,
        ),
        (
            r#"{"catalogue": {"file": "a", "name": "b"}}"#.into(),
            "`catalogue`: `file` and `name` exclude each other".into(),
            None,
        ),
        (
            r#"{"catalogue": {"file": "catalogues/fake-400.json", "include": ["fake-it-1", "fake-it-4000"]}}"#.into(),
            "`catalogue.include[1]`: no instance type `fake-it-4000` in catalogue file `catalogues/fake-400.json`".into(),
            Some("did you mean `fake-it-40`?"),
        ),
        (
            r#"{"catalogue": {"instanceTypes": [{"name": "m5.large", "capacity": {"cpu": "-2"}}]}}"#.into(),
            "instance type `m5.large`: `capacity.cpu`: found `-2`, allowed is a quantity of 0 or more".into(),
            None,
        ),
        (
            with_objects(r#"{"kind": "Pod"}"#),
            "Pod without a name: field `apiVersion` is missing".into(),
            None,
        ),
        (
            with_objects(r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {}}"#),
            "Pod without a name: `metadata`: field `name` is missing".into(),
            None,
        ),
        (
            with_objects(
                r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}},
                {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a"}}"#,
            ),
            "Node `a`: `metadata.name`: found it twice, allowed is one object of a name".into(),
            None,
        ),
        (
            with_objects(r#"{"apiVersion": "karpenter.sh/v1", "kind": "Nodepool", "metadata": {"name": "a"}}"#),
            "`objects[0]`: no kind `Nodepool` in `karpenter.sh/v1`".into(),
            Some("did you mean `NodePool`?"),
        ),
        (
            with_objects(r#"{"apiVersion": "policy/v1beta1", "kind": "PodDisruptionBudget", "metadata": {"name": "a"}}"#),
            "`objects[0].apiVersion`: found `policy/v1beta1` for kind PodDisruptionBudget, allowed is `policy/v1`".into(),
            None,
        ),
        (
            with_pod_spec(r#"{"containers": [{"resources": {"requests": {"cpu": "1x"}}}]}"#),
            "Pod `default/web`: `spec.containers[0].resources.requests.cpu`: found \"1x\", allowed is a quantity such as \
             `100m`, `1.5`, `2Gi` or `1e3`"
                .into(),
            None,
        ),
        (
            with_pod_spec(r#"{"containers": [{}, {"resources": {"requests": {"memory": "-1Gi"}}}]}"#),
            "Pod `default/web`: `spec.containers[1].resources.requests.memory`: found `-1073741824`, allowed is a quantity \
             of 0 or more"
                .into(),
            None,
        ),
        (
            with_pod_spec(r#"{"containers": [{"resources": {"request": {}}}]}"#),
            "Pod `default/web`: `spec.containers[0].resources`: unknown field `request`".into(),
            Some("did you mean `requests`?"),
        ),
        (
            with_pod_spec(r#"{"nodeSelector": {"gpu": true}}"#),
            "Pod `default/web`: `spec.nodeSelector.gpu`: found `true`, allowed is a string".into(),
            Some("put it in quotes"),
        ),
        (
            with_pod_spec(r#"{"containers": {}}"#),
            "Pod `default/web`: `spec.containers`: found an object, allowed is a list".into(),
            None,
        ),
        (
            with_pod_spec(r#"{"priority": "high"}"#),
            "Pod `default/web`: `spec.priority`: found \"high\", allowed is an integer".into(),
            None,
        ),
        (
            with_pod_spec(r#"{"tolerations": [{"key": "a", "operator": "Exist"}]}"#),
            "Pod `default/web`: `spec.tolerations[0].operator`: found \"Exist\", allowed is one of Equal, Exists, Lt, Gt"
                .into(),
            Some("did you mean `Exists`?"),
        ),
        (
            with_pod_spec(r#"{"tolerations": [{"effect": "NoSchedule"}]}"#),
            "Pod `default/web`: `spec.tolerations[0].operator`: found none, allowed is `Exists` where there is no key".into(),
            None,
        ),
        (
            with_pod_spec(r#"{"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "a"}]}"#),
            "Pod `default/web`: `spec.topologySpreadConstraints[0].maxSkew`: found `0`, allowed is 1 or more".into(),
            None,
        ),
        (
            required(r#"{"key": "a", "operator": "in", "values": ["b"]}"#),
            format!(
                "Pod `default/web`: `{TERM}.operator`: found \"in\", allowed is one of In, NotIn, Exists, DoesNotExist, Gt, \
                 Lt, Gte, Lte"
            ),
            Some("did you mean `In`?"),
        ),
        (
            required(r#"{"key": "a", "operator": "In"}"#),
            format!("Pod `default/web`: `{TERM}.values`: found none, allowed is one value or more with operator In"),
            None,
        ),
        (
            required(r#"{"key": "a", "operator": "Exists", "values": ["b", "c"]}"#),
            format!("Pod `default/web`: `{TERM}.values`: found 2 values, allowed is no value with operator Exists"),
            None,
        ),
        (
            required(r#"{"key": "a", "operator": "Gt", "values": ["many"]}"#),
            format!("Pod `default/web`: `{TERM}.values`: found \"many\", allowed is one integer with operator Gt"),
            None,
        ),
        (
            required(r#"{"key": "a"}"#),
            format!("Pod `default/web`: `{TERM}`: field `operator` is missing"),
            None,
        ),
        (
            with_pool_spec(r#"{"template": {"spec": {"requirement": []}}}"#),
            "NodePool `gpu`: `spec.template.spec`: unknown field `requirement`".into(),
            Some("did you mean `requirements`?"),
        ),
        (
            with_pool_spec(r#"{"colour": "red"}"#),
            "NodePool `gpu`: `spec`: unknown field `colour`".into(),
            Some("known here: `template`, `disruption`, `limits`, `weight`, `replicas`"),
        ),
        (
            with_pool_spec(r#"{"disruption": {"consolidateAfter": "never"}}"#),
            "NodePool `gpu`: `spec.disruption.consolidateAfter`: found \"never\", allowed is a duration such as \"30s\" or \
             \"720h\", or \"Never\""
                .into(),
            None,
        ),
        (
            with_pool_spec(r#"{"disruption": {"budgets": [{"nodes": "101%"}]}}"#),
            "NodePool `gpu`: `spec.disruption.budgets[0].nodes`: found \"101%\", allowed is a number such as \"3\" or a \
             percentage such as \"10%\""
                .into(),
            None,
        ),
        (
            with_pool_spec(r#"{"disruption": {"budgets": [{"nodes": "1", "schedule": "@daily"}]}}"#),
            "NodePool `gpu`: `spec.disruption.budgets[0]`: field `duration` is missing".into(),
            None,
        ),
        (
            with_pool_spec(
                r#"{"disruption": {"budgets": [{"nodes": "1", "schedule": "every morning", "duration": "8h"}]}}"#,
            ),
            "NodePool `gpu`: `spec.disruption.budgets[0].schedule`: found \"every morning\", allowed is five cron fields, \
             such as \"0 9 * * 1-5\", or @daily, @hourly and their like"
                .into(),
            None,
        ),
        (
            with_pool_spec(r#"{"limits": {"cpu": -1}}"#),
            "NodePool `gpu`: `spec.limits.cpu`: found `-1`, allowed is a quantity of 0 or more".into(),
            None,
        ),
        (
            with_pool_spec(r#"{"disruption": {"consolidateAfter": "-5m"}}"#),
            "NodePool `gpu`: `spec.disruption.consolidateAfter`: found -300 s, allowed is a duration of 0 or more".into(),
            None,
        ),
        (
            with_pool_spec(r#"{"disruption": {"budgets": [{"nodes": "1", "schedule": "@daily", "duration": "-1h"}]}}"#),
            "NodePool `gpu`: `spec.disruption.budgets[0].duration`: found -3600 s, allowed is a duration of 0 or more".into(),
            None,
        ),
        (
            with_objects(
                r#"{"apiVersion": "karpenter.sh/v1alpha5", "kind": "Provisioner", "metadata": {"name": "gpu"},
                "spec": {"ttlSecondsAfterEmpty": 30, "weigth": 3}}"#,
            ),
            "Provisioner `gpu`: `spec`: unknown field `weigth`".into(),
            Some("did you mean `weight`?"),
        ),
        (
            with_objects(
                r#"{"apiVersion": "karpenter.sh/v1alpha5", "kind": "Provisioner", "metadata": {"name": "gpu"},
                "spec": {"taints": [{"effect": "NoExecut"}]}}"#,
            ),
            "NodePool `gpu`: `spec.template.spec.taints[0].effect`: found \"NoExecut\", allowed is one of NoSchedule, \
             PreferNoSchedule, NoExecute"
                .into(),
            Some("did you mean `NoExecute`?"),
        ),
    ];
    for (text, sentence, hint) in table {
        let problem = admitted(&text, &mut Findings::default()).expect_err(&sentence);
        assert_eq!(problem.to_string(), sentence, "{}", &text[..text.len().min(300)]);
        assert_eq!(problem.hint().as_deref(), hint, "{sentence}");
    }
}

#[test]
fn what_the_api_server_fills_in_is_filled_in() {
    // Its documented defaults: requests from limits; budgets of 10 % and consolidateAfter 0s of a NodePool.
    let scenario = admitted(
        &with_objects(
            r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "train", "namespace": "default"},
                "spec": {"containers": [{"name": "a", "resources": {
                    "requests": {"cpu": "1"}, "limits": {"cpu": "2", "nvidia.com/gpu": "4"}}}]}},
               {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "plain"}, "spec": {}},
               {"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": {"name": "free"},
                "spec": {"disruption": {"consolidateAfter": "Never", "budgets": []}}}"#,
        ),
        &mut Findings::default(),
    )
    .unwrap();
    let requests = &scenario.objects.pods[0].spec.containers[0].resources.requests;
    let written = |name: &str| requests.get(name).map(|quantity| quantity.to_string());
    assert_eq!((written("cpu").as_deref(), written("nvidia.com/gpu").as_deref()), (Some("1"), Some("4")));
    let disruption: Vec<String> = scenario
        .objects
        .node_pools
        .iter()
        .map(|pool| {
            let budgets = pool.spec.disruption.budgets.iter().flatten().map(|budget| budget.nodes.as_str());
            let after = pool.spec.disruption.consolidate_after.unwrap().0.map(|after| after.nanos);
            format!("{} {after:?} {:?}", pool.metadata.name, budgets.collect::<Vec<_>>())
        })
        .collect();
    assert_eq!(disruption, [r#"plain Some(0) ["10%"]"#, "free None []"]);
}

/// Of two fields with one name the last holds, whole.
#[test]
fn a_field_that_comes_twice_is_the_last() {
    let first = r#""spec": {"nodeName": "a", "priority": 7, "tolerations": [{"operator": "Exists"}]}"#;
    let text = format!(
        r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "p"}}, {first}, "spec": {{"priority": 8}}, "status": null}}"#
    );
    let read = read_json(&text).unwrap();
    let pod = &read.text.objects.0.pods[0];
    assert_eq!((pod.metadata.name.as_str(), pod.spec.priority), ("p", Some(8)));
    assert_eq!((pod.spec.node_name.as_str(), pod.spec.tolerations.len()), ("", 0));
    assert_eq!(pod.status, Default::default());
}

#[test]
fn what_is_not_modelled_is_said() {
    let mut findings = Findings::default();
    let text = with_objects(
        r#"{"apiVersion": "autoscaling.x-k8s.io/v1alpha1", "kind": "CapacityBuffer", "metadata": {"name": "spare"}},
           {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "train", "namespace": "default"},
            "spec": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "gpu"}]}}"#,
    );
    admitted(&text, &mut findings).unwrap();
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "`objects[0]`: capacity buffers are not modelled: no room is kept for them",
            "Pod `default/train`: `spec.resourceClaims`: dynamic resources are not modelled: the pod finds no place, as with \
             Karpenter's default",
        ]
    );
}

#[test]
fn overlays_without_effect_are_said() {
    let overlay = r#"{"apiVersion": "karpenter.sh/v1alpha1", "kind": "NodeOverlay", "metadata": {"name": "cheap"},
        "spec": {"priceAdjustment": "-5O%"}}"#;
    let mut findings = Findings::default();
    admitted(&with_objects(overlay), &mut findings).unwrap();
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "NodeOverlay `cheap`: `spec.priceAdjustment`: \"-5O%\" has no effect: a price is as \"0.25\", an adjustment as \
             \"+0.5\" or \"-10%\"",
            "NodeOverlay `cheap`: has no effect: the feature gate NodeOverlay is off (--feature-gates NodeOverlay=true)",
        ]
    );
}

#[test]
fn a_schedule_that_karpenter_cannot_read_is_said() {
    let mut findings = Findings::default();
    let text = with_pool_spec(
        r#"{"disruption": {"budgets": [{"nodes": "1"}, {"nodes": "1", "schedule": "0 25 * * *", "duration": "8h"}]}}"#,
    );
    admitted(&text, &mut findings).unwrap();
    let said: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert!(
        said.iter().any(|said| said.starts_with(
            "NodePool `gpu`: `spec.disruption.budgets[1].schedule`: Karpenter cannot read \"0 25 * * *\""
        )),
        "{said:?}"
    );
}

#[test]
fn what_is_accepted_is_said_once_with_its_first_place() {
    let mut findings = Findings::default();
    let pods: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| {
            format!(
                r#"{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}"}}, "spec": {{
                "containers": [{{}}, {{"hologram": 1}}]}}}}"#
            )
        })
        .collect();
    let others = r#"{"apiVersion": "v1", "kind": "ConfigMap", "data": {}},
        {"apiVersion": "example.com/v1", "kind": "Widget"}, {"apiVersion": "example.com/v1", "kind": "Widget"},
        {"apiVersion": "v1", "kind": "Pods"},
        {"apiVersion": "karpenter.sh/v1alpha5", "kind": "Provisioner", "metadata": {"name": "gpu"},
         "spec": {"kubeletConfiguration": {"maxPods": 3}}}"#;
    let text = with_objects(&format!("{}, {others}", pods.join(", ")));
    let scenario = admitted(&text, &mut findings).unwrap();
    assert_eq!((scenario.objects.pods.len(), scenario.objects.node_pools.len()), (3, 1));
    assert_eq!(
        findings.iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "Provisioner `gpu`: `spec.kubeletConfiguration`: not carried over to karpenter.sh/v1: the kubelet's settings \
             belong to the node class, and capacity and overhead are the catalogue's",
            "`objects[4]`: objects of the unknown kind Widget (example.com/v1) have no effect (and 1 more like it)",
            "`objects[6]`: objects of the unknown kind Pods (v1) have no effect (did you mean `Pod`?)",
            "Pod `a`: `spec.containers[1]`: unknown field `hologram` has no effect (and 2 more like it)",
            "NodePool `gpu`: `status.conditions`: does not count: its status has no condition ValidationSucceeded, nor \
             NodeClassReady, nor Ready that is True",
        ]
    );
}

#[test]
fn dumps_are_scenarios() {
    let pod = |name: &str, kind: &str| {
        format!(
            r#"{{{kind}"metadata": {{"name": "{name}", "creationTimestamp": "2026-01-0{name}T00:00:00Z"}}}}"#
        )
    };
    let typed = r#""apiVersion": "v1", "kind": "Pod", "#;
    for (text, names) in [
        (pod("1", typed), vec!["1"]),
        (format!("[{}, {}]", pod("2", typed), pod("1", typed)), vec!["2", "1"]),
        (format!(r#"{{"apiVersion": "v1", "kind": "List", "items": [{}]}}"#, pod("1", typed)), vec!["1"]),
        (format!(r#"{{"items": [{}], "kind": "List", "apiVersion": "v1"}}"#, pod("1", typed)), vec!["1"]),
        (
            format!(
                r#"{{"kind": "PodList", "apiVersion": "v1", "metadata": {{}}, "items": [{}, {}]}}"#,
                pod("3", ""),
                pod("1", "")
            ),
            vec!["3", "1"],
        ),
        (r#"{"metadata": {"name": "1"}, "kind": "Pod", "apiVersion": "v1"}"#.into(), vec!["1"]),
    ] {
        let read = read_json(&text).unwrap();
        assert!(read.bare, "{text}");
        let objects = &read.text.objects.0;
        assert_eq!(
            objects.pods.iter().map(|pod| pod.metadata.name.as_str()).collect::<Vec<_>>(),
            names,
            "{text}"
        );
    }
    // The clock of a dump is its latest object's.
    let text = format!("[{}, {}]", pod("2", typed), pod("1", typed));
    let mut text = read_json(&text).unwrap().text;
    text.catalogue.file = "catalogues/fake-400.json".into();
    let scenario = validate(text, &Recorded::default(), &mut Findings::default()).unwrap();
    assert_eq!(scenario.now.0.to_string(), "2026-01-02T00:00:00Z");
    assert_eq!(scenario.kind, ScenarioKind::Provisioning);
    assert_eq!(scenario.catalogue.instance_types.len(), 400);
}

#[test]
fn yaml_documents_of_objects_are_one_scenario() {
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - resources: {requests: {cpu: 010}}\n";
    let list =
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Node\n  metadata: {name: node-1}\n";
    let scenario = "name: second\nobjects: []\n";
    let all = read_yaml(&format!("{pod}---\n{list}---\n{scenario}---\nname: third\n")).unwrap();
    assert_eq!(
        all.iter().map(|(line, read)| (*line, read.bare)).collect::<Vec<_>>(),
        [(1, true), (15, false), (18, false)]
    );
    let first = &all[0].1.text.objects.0;
    assert_eq!((first.pods.len(), first.nodes.len(), first.count), (1, 1, 2));
    let cpu = first.pods[0].spec.containers[0].resources.requests.get("cpu");
    assert_eq!(cpu, Some(crate::quantity::Quantity::from_units(8)));
    assert_eq!(all[1].1.text.name, "second");

    let (_, problem) = read_yaml("apiVersion: v1\nkind: Node\nmetadata: {name: n}\n").unwrap_err();
    assert_eq!(
        problem.to_string(),
        "Node without a name: `metadata.name`: found `false`, allowed is a string"
    );
    assert_eq!(problem.hint().as_deref(), Some("put it in quotes"));

    let (line, problem) = read_yaml(&format!("{pod}---\n{}", pod.replace("010", "ten"))).unwrap_err();
    assert_eq!(line, 8);
    assert_eq!(
        problem.to_string(),
        "Pod `a`: `spec.containers[0].resources.requests.cpu`: found \"ten\", allowed is a quantity such as `100m`, \
         `1.5`, `2Gi` or `1e3`"
    );
}
