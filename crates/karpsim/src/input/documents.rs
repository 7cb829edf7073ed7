//! The schemas that `karpsim schema` prints: one a form that karpsim reads or writes.

use crate::catalogue::{Catalogue, CatalogueOverlay, CatalogueReference};
use crate::model::core::{NodeSelectorRequirement, ResourceList, Taint};
use crate::model::meta::{Labels, Str};
use crate::model::objects::ObjectsBox;
use crate::model::schema::{Definitions, Describe};
use crate::scenario::{Options, ScenarioText};
use serde_json::{Value, json};

/// A form with a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A catalogue file.
    Catalogue,
    /// An overlay on a catalogue.
    CatalogueOverlay,
    /// A scenario: one moment of a cluster.
    Scenario,
    /// A trace: a start and what happens after it.
    Trace,
    /// What is decided.
    Decision,
}

impl Document {
    /// All of them.
    pub const ALL: [Document; 5] = [
        Document::Catalogue,
        Document::CatalogueOverlay,
        Document::Scenario,
        Document::Trace,
        Document::Decision,
    ];

    /// Its name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Document::Catalogue => "catalogue",
            Document::CatalogueOverlay => "catalogue-overlay",
            Document::Scenario => "scenario",
            Document::Trace => "trace",
            Document::Decision => "decision",
        }
    }

    /// Its JSON Schema (draft 2020-12).
    pub fn schema(self) -> Value {
        let mut definitions = Definitions::default();
        let (title, root) = match self {
            Document::Catalogue => ("karpsim catalogue", Catalogue::describe(&mut definitions)),
            Document::CatalogueOverlay => {
                ("karpsim catalogue overlay", CatalogueOverlay::describe(&mut definitions))
            }
            Document::Scenario => ("karpsim scenario", ScenarioText::describe(&mut definitions)),
            Document::Trace => ("karpsim trace", trace(&mut definitions)),
            Document::Decision => ("karpsim decision", decision(&mut definitions)),
        };
        definitions.document(title, root)
    }
}

#[expect(clippy::needless_pass_by_value, reason = "built in place by every caller")]
fn object(properties: Value, required: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
}

/// A value that may as well be `null`, which is as good as its absence.
#[expect(clippy::needless_pass_by_value, reason = "built in place by every caller")]
fn optional(schema: Value) -> Value {
    json!({"anyOf": [schema, {"type": "null"}]})
}

/// A trace as a document; in a stream the header has no `events` and each further line is an `Event`.
fn trace(definitions: &mut Definitions) -> Value {
    let text = || json!({"type": "string"});
    let texts = || optional(json!({"type": "array", "items": {"type": "string"}}));
    let whole = || json!({"type": "integer", "minimum": 0});
    definitions.define(
        "Seconds",
        json!({
            "description": "seconds as a number, or an ISO 8601 duration such as PT12.5S",
            "anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": "^P"}],
        }),
    );
    let seconds = || json!({"$ref": "#/$defs/Seconds"});
    let times = || json!({"anyOf": [seconds(), {"type": "array", "items": {"anyOf": [seconds(), {"type": "null"}]}}, {"type": "null"}]});
    let _ = ObjectsBox::describe(definitions);
    let kubernetes_object = || json!({"$ref": "#/$defs/Object"});
    let one_or_many = |schema: Value| json!({"anyOf": [schema, {"type": "array", "items": schema}]});
    let reference = |more: &[(&str, Value)]| {
        let mut properties =
            json!({"apiVersion": text(), "kind": text(), "namespace": optional(text()), "name": text()});
        let mut required = vec!["kind", "name"];
        for (name, schema) in more {
            properties[*name] = schema.clone();
            required.push(name);
        }
        object(properties, &required)
    };
    let requirements = Vec::<NodeSelectorRequirement>::describe(definitions);
    let offerings = |more: Value, required: &[&str]| {
        let mut properties = json!({
            "instanceTypes": texts(),
            "zones": texts(),
            "capacityTypes": texts(),
            "requirements": optional(requirements.clone()),
        });
        if let (Some(all), Some(more)) = (properties.as_object_mut(), more.as_object()) {
            all.extend(more.clone());
        }
        object(properties, required)
    };
    let amount = json!({"type": "number", "minimum": 0});
    let mut price = offerings(json!({"price": amount, "factor": amount}), &[]);
    price["oneOf"] = json!([{"required": ["price"]}, {"required": ["factor"]}]);
    let pods = object(
        json!({
            "template": text(), "namespace": optional(text()), "name": optional(text()), "namePrefix": optional(text()),
            "count": optional(whole()), "duration": times(), "lifetime": times(),
            "requests": optional(ResourceList::describe(definitions)), "labels": optional(Labels::describe(definitions)),
            "gang": optional(text()), "onEviction": optional(json!({"enum": ["restart", "resume", "gone"]})),
            "recorded": true,
        }),
        &["template"],
    );
    let nodes = object(
        json!({
            "instanceType": text(), "count": optional(whole()), "zones": texts(), "capacityType": optional(text()),
            "labels": optional(Labels::describe(definitions)), "taints": optional(Vec::<Taint>::describe(definitions)),
            "namePrefix": optional(text()),
        }),
        &["instanceType"],
    );
    let interrupt = offerings(
        json!({
            "nodes": texts(), "count": optional(whole()),
            "fraction": optional(json!({"type": "number", "minimum": 0, "maximum": 1})),
            "pick": optional(json!({"enum": ["name", "oldest", "newest"]})), "notice": optional(seconds()),
            "reason": optional(json!({"enum": ["spot", "rebalance", "maintenance", "stopped"]})),
        }),
        &[],
    );
    let metric = object(
        json!({
            "namespace": optional(text()), "name": text(), "labels": optional(Labels::describe(definitions)),
            "object": true, "value": {"type": "number"},
        }),
        &["name", "value"],
    );
    let kinds = [
        ("apply", one_or_many(kubernetes_object())),
        ("delete", one_or_many(reference(&[]))),
        ("scale", reference(&[("replicas", whole())])),
        ("pods", pods),
        ("nodes", nodes),
        ("interrupt", interrupt),
        ("unavailable", offerings(json!({"for": optional(seconds())}), &[])),
        ("available", offerings(json!({}), &[])),
        (
            "capacity",
            offerings(json!({"limit": optional(whole()), "notice": optional(seconds())}), &["limit"]),
        ),
        ("price", price),
        ("metric", metric),
        ("mark", text()),
    ];
    let mut properties = json!({
        "at": seconds(),
        "durations": {"description": "beside apply: when the n-th pod of the object ends", "type": ["array", "object"]},
    });
    let mut alternatives = Vec::new();
    for (name, schema) in kinds {
        properties[name] = schema;
        alternatives.push(json!({"required": [name]}));
    }
    let mut event = object(properties, &["at"]);
    event["oneOf"] = alternatives.into();
    event["description"] = "What happens: at and exactly one of the other fields.".into();
    definitions.define("Event", event);

    let _ = Options::describe(definitions);
    let shares = object(
        json!({"resource": text(), "device": text(), "perDevice": {"type": "integer", "minimum": 1}}),
        &["resource", "device", "perDevice"],
    );
    let delays = [
        "launch",
        "nodeCreated",
        "nodeReady",
        "nodeInitialized",
        "podStart",
        "podStop",
        "instanceTerminate",
        "disruptionLoopFirst",
    ];
    let range = object(json!({"min": seconds(), "max": seconds()}), &["min", "max"]);
    let delay = json!({"anyOf": [seconds(), range]});
    let delays: serde_json::Map<String, Value> =
        delays.iter().map(|name| ((*name).to_owned(), optional(delay.clone()))).collect();
    let node_resources = optional(ResourceList::describe(definitions));
    definitions.extend(
        "Options",
        &[
            ("deviceShares", optional(json!({"type": "array", "items": shares}))),
            ("nodeResources", node_resources),
            ("delays", optional(object(delays.into(), &[]))),
            ("seed", optional(json!({"type": "integer", "minimum": 0}))),
        ],
    );
    let mut root = object(
        json!({
            "apiVersion": {"const": "karpsim.dev/v1alpha1"},
            "kind": {"const": "Trace"},
            "name": optional(text()),
            "start": optional(json!({"type": "string", "format": "date-time", "description": "what at: 0 is on the calendar"})),
            "end": optional(seconds()),
            "source": optional(Str::describe(definitions)),
            "options": optional(json!({"$ref": "#/$defs/Options"})),
            "catalogue": optional(CatalogueReference::describe(definitions)),
            "objects": optional(json!({"type": "array", "items": kubernetes_object()})),
            "podTemplatePaths": optional(json!({"type": "object", "additionalProperties": {"type": "array", "items": text()}})),
            "replicasFrom": true,
            "events": {"type": "array", "items": {"$ref": "#/$defs/Event"}},
        }),
        &["apiVersion", "kind"],
    );
    root["description"] =
        "A start and what happens after it, as one document. In a stream the header has no events; each \
        further line is an Event."
            .into();
    root
}

/// What `karpsim decide` prints. What goes before it (`apiVersion`, `kind`, the scenario's name …) is let through.
fn decision(definitions: &mut Definitions) -> Value {
    let texts = || json!({"type": "array", "items": {"type": "string"}});
    let amounts = ResourceList::describe(definitions);
    definitions.define(
        "NewNodeClaim",
        object(
            json!({
                "nodePool": {"type": "string"},
                "pods": texts(),
                "instanceTypes": texts(),
                "requirements": {"type": "array", "items": object(
                    json!({
                        "key": {"type": "string"},
                        "operator": {"enum": crate::model::meta::Operator::WORDS},
                        "values": texts(),
                        "minValues": {"type": "integer", "minimum": 1},
                    }),
                    &["key", "operator"],
                )},
                "requests": amounts,
                "launch": {"anyOf": [
                    object(
                        json!({
                            "instanceType": {"type": "string"},
                            "zone": {"type": "string"},
                            "capacityType": {"enum": ["on-demand", "reserved", "spot"]},
                            "price": {"type": "number"},
                        }),
                        &["instanceType", "zone", "capacityType", "price"],
                    ),
                    {"type": "null"},
                ]},
            }),
            &["nodePool", "pods", "instanceTypes", "requirements", "requests", "launch"],
        ),
    );
    let claims = json!({"type": "array", "items": {"$ref": "#/$defs/NewNodeClaim"}});
    definitions.define(
        "Command",
        object(
            json!({
                "method": {"enum": [
                    "repair", "emptiness", "static-drift", "drift", "multi-node-consolidation", "single-node-consolidation",
                ]},
                "reason": {"enum": crate::model::karpenter::DisruptionReason::WORDS},
                "candidates": texts(),
                "replacements": claims,
                "terminateFirst": {"enum": ["no-reserved-capacity", "static-at-limit"]},
                "reboot": {"type": "boolean"},
                "condition": {"type": "string"},
                "terminationGracePeriod": {"type": "string"},
            }),
            &["method", "reason", "candidates", "replacements"],
        ),
    );
    let filled = object(json!({"name": {"type": "string"}, "pods": texts()}), &["name", "pods"]);
    json!({
        "type": "object",
        "description": "What is decided: newNodeClaims and what goes with them for provisioning, commands for disruption.",
        "properties": {
            "newNodeClaims": claims,
            "existingNodes": {"type": "array", "items": filled},
            "podErrors": {"type": "object", "additionalProperties": {"type": "string"}},
            "ignoredPods": texts(),
            "commands": {"type": "array", "items": {"$ref": "#/$defs/Command"}},
            "podDeletionCost": {"type": "object", "additionalProperties": {"type": ["integer", "null"]}},
        },
        "oneOf": [
            {"required": ["newNodeClaims", "existingNodes", "podErrors", "ignoredPods"]},
            {"required": ["commands"]},
        ],
    })
}
