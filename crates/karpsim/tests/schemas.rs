//! What karpsim reads and writes is valid by the schemas that it prints, and what is wrong is not.

use karpsim::input::documents::Document;
use karpsim_testkit::{Recordings, path};
use serde_json::{Value, json};

fn validator(document: Document) -> jsonschema::Validator {
    let schema = document.schema();
    assert!(jsonschema::meta::is_valid(&schema), "{}", document.name());
    jsonschema::validator_for(&schema).unwrap()
}

fn assert_valid(validator: &jsonschema::Validator, value: &Value, name: &str) {
    let errors: Vec<String> = validator
        .iter_errors(value)
        .take(5)
        .map(|error| format!("{}: {error:.300}", error.instance_path()))
        .collect();
    assert!(errors.is_empty(), "{name}:\n{}", errors.join("\n"));
}

#[test]
fn embedded_catalogues_are_valid() {
    let validator = validator(Document::Catalogue);
    for entry in std::fs::read_dir(path("catalogues")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "zst") {
            let name = path.file_name().unwrap().to_str().unwrap();
            let text = karpsim_testkit::text(&format!("catalogues/{name}"));
            let value: Value = serde_json::from_str(&text).unwrap();
            assert_valid(&validator, &value, path.to_str().unwrap());
        }
    }
}

#[test]
fn recorded_scenarios_and_decisions_are_valid() {
    let (scenarios, decisions) = (validator(Document::Scenario), validator(Document::Decision));
    let mut count = 0;
    for name in ["provisioning", "disruption", "v1.15"] {
        for recording in Recordings::read(name).iter() {
            let read = |text: &str| serde_json::from_str::<Value>(text).unwrap();
            assert_valid(&scenarios, &read(recording.scenario), recording.name);
            assert_valid(&decisions, &read(recording.decision), recording.name);
            count += 1;
        }
    }
    assert_eq!(count, 2392 + 921 + 273);
}

#[test]
fn traces_are_valid() {
    let validator = validator(Document::Trace);
    let mut count = 0;
    let mut paths = vec![path("traces/resnet-gpu.json").to_str().unwrap().to_owned()];
    for entry in std::fs::read_dir(path("traces/e2e")).unwrap() {
        let path = entry.unwrap().path().to_str().unwrap().to_owned();
        if path.ends_with(".trace.json") {
            paths.push(path);
        }
    }
    for path in paths {
        let value: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_valid(&validator, &value, &path);
        count += 1;
    }
    assert_eq!(count, 7);
}

#[test]
fn what_is_wrong_is_not_valid() {
    let valid = |document: Document, value: Value| validator(document).is_valid(&value);
    let head = json!({"apiVersion": "karpsim.dev/v1alpha1", "kind": "Trace"});
    let event = |event: Value| {
        let mut trace = head.clone();
        trace["events"] = json!([event]);
        valid(Document::Trace, trace)
    };
    assert!(event(json!({"at": 1.5, "mark": "x"})));
    assert!(event(json!({"at": "PT1M", "price": {"capacityTypes": ["spot"], "factor": 2}})));
    assert!(event(json!({"at": 0, "pods": {"template": "t", "duration": [1, null]}})));
    assert!(!event(json!({"at": 1})));
    assert!(!event(
        json!({"at": 1, "mark": "x", "scale": {"kind": "Deployment", "name": "a", "replicas": 1}})
    ));
    assert!(!event(json!({"at": 1, "price": {"factor": 2, "price": 1}})));
    assert!(!event(json!({"at": 1, "unavailable": {"zone": "a"}})));
    assert!(!event(json!({"at": -1, "mark": "x"})));

    let catalogue = |price: Value, operator: &str| {
        valid(
            Document::Catalogue,
            json!({"provider": "aws", "instanceTypes": [{"name": "a", "capacity": {"cpu": "4"}, "offerings": [
                {"price": price, "requirements": [{"key": "a", "operator": operator}]}]}]}),
        )
    };
    assert!(catalogue(json!(0.1), "Exists"));
    assert!(!catalogue(json!("0.1"), "Exists"));
    assert!(!catalogue(json!(0.1), "exists"));
    assert!(!valid(Document::Catalogue, json!({"instanceType": []})));
    assert!(!valid(Document::Catalogue, json!({"instanceTypes": [{"capacity": {"cpu": "four"}}]})));
    let overlay = |body: Value| {
        let mut overlay = json!({"apiVersion": "karpsim.dev/v1alpha1", "kind": "CatalogueOverlay"});
        overlay.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
        valid(Document::CatalogueOverlay, overlay)
    };
    assert!(overlay(json!({"prices": [{"discountPercent": 3}]})));
    assert!(!overlay(json!({"prices": [{"discount": 3}]})));
    // Karpenter's kinds are strict, Kubernetes' own are not.
    let scenario = |object: Value| valid(Document::Scenario, json!({"objects": [object]}));
    assert!(scenario(json!({"apiVersion": "v1", "kind": "Pod", "spec": {"unheardOf": 1}})));
    assert!(!scenario(json!({"apiVersion": "v1", "kind": "Pod", "spec": {"nodeName": 1}})));
    assert!(!scenario(json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "spec": {"weights": 1}})));
    assert!(!scenario(json!({"kind": "Pod"})));
}
