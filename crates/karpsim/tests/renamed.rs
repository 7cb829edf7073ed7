//! Recorded decisions with other names: nodes and NodeClaims are called otherwise, and differently from each other, in the
//! same order (which breaks ties). Nothing but the names in a decision may change.

mod data;

use karpsim::catalogue::Catalogue;
use karpsim::scenario::{Scenario, ScenarioText};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// How many recordings of every family are tried.
const OF_EACH_FAMILY: usize = 3;

/// What Karpenter calls the nodes that it plans, and sorts among those that are there.
const PLANNED: &str = "hostname-placeholder";

/// New names of nodes, and of NodeClaims.
struct Names {
    nodes: BTreeMap<String, String>,
    node_claims: BTreeMap<String, String>,
}

impl Names {
    fn of(objects: &[Value]) -> Names {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let named = |kind: &str| -> BTreeSet<String> {
            let of_kind = objects.iter().filter(|object| object["kind"] == kind);
            of_kind.map(|object| text(&object["metadata"]["name"])).collect()
        };
        let (mut nodes, node_claims) = (named("Node"), named("NodeClaim"));
        let hostname = |object: &Value| text(&object["metadata"]["labels"]["kubernetes.io/hostname"]);
        nodes.extend(
            objects.iter().filter(|it| it["kind"] == "Node").map(hostname).filter(|name| !name.is_empty()),
        );
        let all: BTreeSet<&String> = nodes.union(&node_claims).collect();
        let ranked: Vec<(String, String)> = all
            .into_iter()
            .enumerate()
            .map(|(rank, name)| {
                let side = if name.as_str() < PLANNED { "a" } else { "z" };
                (name.clone(), format!("{side}{rank:05}"))
            })
            .collect();
        let map = |names: &BTreeSet<String>, what: &str| -> BTreeMap<String, String> {
            let of_kind = ranked.iter().filter(|(name, _)| names.contains(name));
            of_kind.map(|(name, new)| (name.clone(), format!("{new}.{what}"))).collect()
        };
        Names { nodes: map(&nodes, "node"), node_claims: map(&node_claims, "claim") }
    }

    /// The new name of what is called `name` where nodes go by their own name, and others by their NodeClaim's.
    fn new<'a>(&'a self, name: &'a str) -> &'a str {
        self.nodes.get(name).or_else(|| self.node_claims.get(name)).map_or(name, String::as_str)
    }

    /// Renames everywhere but in the names of other objects.
    fn rename(&self, value: &mut Value) {
        match value {
            Value::String(text) => *text = self.new(text).to_owned(),
            Value::Array(items) => items.iter_mut().for_each(|item| self.rename(item)),
            Value::Object(fields) => {
                let kind = fields.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
                for (key, field) in fields.iter_mut() {
                    match key.as_str() {
                        "metadata" => self.rename_metadata(&kind, field),
                        "name" | "uid" | "namespace" | "providerID" => {}
                        _ => self.rename(field),
                    }
                }
            }
            _ => {}
        }
    }

    fn rename_metadata(&self, kind: &str, metadata: &mut Value) {
        let names = match kind {
            "Node" | "CSINode" => &self.nodes,
            "NodeClaim" => &self.node_claims,
            _ => &BTreeMap::new(),
        };
        self.rename(metadata);
        if let Some(new) = metadata["name"].as_str().and_then(|name| names.get(name)) {
            metadata["name"] = new.as_str().into();
        }
    }

    /// Renames the nodes of a decision.
    fn rename_decision(&self, decision: &mut Value) {
        for node in list(decision, "existingNodes") {
            node["name"] = self.new(node["name"].as_str().unwrap_or_default()).into();
        }
        for command in list(decision, "commands") {
            self.rename(&mut command["candidates"]);
        }
    }
}

/// The members of a list of a decision, if it has the list.
fn list<'a>(decision: &'a mut Value, name: &str) -> impl Iterator<Item = &'a mut Value> {
    decision.get_mut(name).and_then(Value::as_array_mut).into_iter().flatten()
}

fn decide(scenario: &Value, catalogue: &mut BTreeMap<String, Catalogue>) -> Value {
    let text: ScenarioText = serde_json::from_str(&scenario.to_string()).expect("a scenario");
    let file = text.catalogue.file.to_string();
    let base = (!file.is_empty()).then(|| {
        &*catalogue.entry(file.clone()).or_insert_with(|| {
            serde_json::from_str(&data::text(&format!("conformance/{file}"))).expect("a catalogue")
        })
    });
    let scenario = Scenario {
        name: text.name,
        kind: text.kind.expect("a recording names its kind"),
        now: text.now.expect("a recording has a clock"),
        options: text.options,
        catalogue: Arc::new(text.catalogue.resolve(base)),
        objects: text.objects.0,
        memory: text.cluster,
    };
    let mut decision = serde_json::to_value(karpsim::decide(&scenario)).expect("a decision is JSON");
    // Words are for reading.
    if let Some(errors) = decision.get_mut("podErrors").and_then(Value::as_object_mut) {
        errors.values_mut().for_each(|words| *words = Value::Null);
    }
    decision
}

#[test]
fn names_of_nodes_and_node_claims_decide_nothing() {
    let mut catalogues = BTreeMap::new();
    let mut renamed_nodes = 0;
    for file in ["provisioning", "disruption"] {
        let text = data::text(&format!("conformance/{file}.jsonl"));
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            let mut recording: Value = serde_json::from_str(line).expect("a recording");
            let mut scenario = recording["scenario"].take();
            let name = scenario["name"].as_str().expect("a name").to_owned();
            let family = name.split('/').next().unwrap_or_default().to_owned();
            let names = Names::of(scenario["objects"].as_array().expect("objects"));
            // Without nodes there is nothing to rename.
            let tried = taken.entry(family).or_default();
            if names.nodes.is_empty() || *tried == OF_EACH_FAMILY {
                continue;
            }
            *tried += 1;
            renamed_nodes += names.nodes.len();
            let mut expected = decide(&scenario, &mut catalogues);
            names.rename_decision(&mut expected);
            names.rename(&mut scenario["objects"]);
            names.rename(&mut scenario["cluster"]);
            assert_eq!(decide(&scenario, &mut catalogues), expected, "{name}");
        }
        assert!(!taken.is_empty(), "{file}");
    }
    assert!(renamed_nodes > 100, "{renamed_nodes}");
}
