//! JSON Schema of the forms, derived from the very declarations that read them, so that the two cannot differ.

use super::core::ResourceList;
use crate::model::objects::ObjectsBox;
use crate::quantity::Quantity;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A type whose JSON form can be described.
pub trait Describe {
    /// The schema of a value; what it refers to is put into `definitions`.
    fn describe(definitions: &mut Definitions) -> Value;
}

impl<T: Describe> Describe for Vec<T> {
    fn describe(definitions: &mut Definitions) -> Value {
        json!({"type": "array", "items": T::describe(definitions)})
    }
}

impl<T: Describe> Describe for Option<T> {
    fn describe(definitions: &mut Definitions) -> Value {
        T::describe(definitions)
    }
}

impl<T: Describe> Describe for std::sync::Arc<T> {
    fn describe(definitions: &mut Definitions) -> Value {
        T::describe(definitions)
    }
}

impl<T: Describe> Describe for Box<T> {
    fn describe(definitions: &mut Definitions) -> Value {
        T::describe(definitions)
    }
}

impl Describe for ResourceList {
    fn describe(definitions: &mut Definitions) -> Value {
        json!({"type": "object", "additionalProperties": Quantity::describe(definitions)})
    }
}

/// Kinds that are read, with the struct of each.
macro_rules! kinds {
    ($definitions:ident; $($api_version:literal $kind:literal $ty:ty,)*) => {
        vec![$((
            $api_version, $kind, <$ty as Describe>::describe($definitions)
        ),)*]
    };
}

impl Describe for ObjectsBox {
    /// Objects of the kinds that decide are described; others are any object with a kind.
    fn describe(definitions: &mut Definitions) -> Value {
        use super::core::{
            CsiNode, DaemonSet, Namespace, Node, PersistentVolume, PersistentVolumeClaim, Pod,
            PodDisruptionBudget, StorageClass,
        };
        use super::karpenter::{NodeClaim, NodeOverlay, NodePool};
        use super::selecting::{ReplicaSet, ReplicationController, Service, StatefulSet};
        let kinds = kinds! { definitions;
            "v1" "Pod" Pod,
            "v1" "Node" Node,
            "karpenter.sh/v1" "NodeClaim" NodeClaim,
            "karpenter.sh/v1" "NodePool" NodePool,
            "karpenter.sh/v1alpha1" "NodeOverlay" NodeOverlay,
            "apps/v1" "DaemonSet" DaemonSet,
            "v1" "Namespace" Namespace,
            "v1" "PersistentVolume" PersistentVolume,
            "v1" "PersistentVolumeClaim" PersistentVolumeClaim,
            "storage.k8s.io/v1" "StorageClass" StorageClass,
            "storage.k8s.io/v1" "CSINode" CsiNode,
            "policy/v1" "PodDisruptionBudget" PodDisruptionBudget,
            "v1" "Service" Service,
            "v1" "ReplicationController" ReplicationController,
            "apps/v1" "ReplicaSet" ReplicaSet,
            "apps/v1" "StatefulSet" StatefulSet,
        };
        let cases: Vec<Value> = kinds
            .into_iter()
            .map(|(api_version, kind, schema)| {
                json!({
                    "if": {"properties": {"apiVersion": {"const": api_version}, "kind": {"const": kind}}},
                    "then": schema,
                })
            })
            .collect();
        let object = json!({
            "type": "object",
            "description": "a Kubernetes object",
            "required": ["apiVersion", "kind"],
            "properties": {"apiVersion": {"type": "string"}, "kind": {"type": "string"}},
            "allOf": cases,
        });
        definitions.define("Object", object);
        json!({"type": "array", "items": {"$ref": "#/$defs/Object"}})
    }
}

/// Named schemas that others refer to.
#[derive(Debug, Default)]
pub struct Definitions {
    done: BTreeMap<&'static str, Value>,
}

impl Definitions {
    /// The schema of an object, as a reference. `shape` is asked once.
    pub fn object(
        &mut self,
        name: &'static str,
        module: &'static str,
        documentation: &str,
        shape: impl FnOnce(&mut Definitions) -> Shape,
    ) -> Value {
        if !self.done.contains_key(name) {
            self.done.insert(name, Value::Null);
            let shape = shape(self);
            let mut schema = json!({"type": "object", "properties": shape.properties});
            if let Some(text) = sentence(documentation) {
                schema["description"] = text.into();
            }
            // In Kubernetes' own kinds unknown fields are let through with a warning; elsewhere they are errors.
            if !(module.ends_with("::core") || module.ends_with("::meta")) {
                schema["additionalProperties"] = false.into();
            }
            self.done.insert(name, schema);
        }
        json!({"$ref": format!("#/$defs/{name}")})
    }

    /// Puts a schema under a name.
    pub fn define(&mut self, name: &'static str, schema: Value) {
        self.done.insert(name, schema);
    }

    /// Adds properties to the object under a name.
    pub fn extend(&mut self, name: &str, properties: &[(&str, Value)]) {
        if let Some(own) = self.done.get_mut(name).and_then(|schema| schema.get_mut("properties")) {
            for (name, schema) in properties {
                own[*name] = schema.clone();
            }
        }
    }

    /// A whole schema document with `title`, whose root is `root`.
    pub fn document(self, title: &str, root: Value) -> Value {
        let mut document = Map::new();
        document.insert("$schema".into(), "https://json-schema.org/draft/2020-12/schema".into());
        document.insert("title".into(), title.into());
        if let Value::Object(root) = root {
            document.extend(root);
        }
        let definitions: Map<String, Value> =
            self.done.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
        if !definitions.is_empty() {
            document.insert("$defs".into(), Value::Object(definitions));
        }
        Value::Object(document)
    }
}

/// The fields of an object.
#[derive(Debug, Default)]
pub struct Shape {
    properties: Map<String, Value>,
}

impl Shape {
    /// A field that is read. `null` is as good as its absence.
    pub fn field(&mut self, name: &str, documentation: &str, schema: Value) {
        let mut schema = or_null(schema);
        if let (Some(text), Some(object)) = (sentence(documentation), schema.as_object_mut()) {
            let known =
                object.get("description").and_then(Value::as_str).map(|form| format!("{text} ({form})"));
            object.insert("description".into(), known.unwrap_or(text).into());
        }
        self.properties.insert(name.to_owned(), schema);
    }

    /// A field without a bearing on decisions.
    pub fn passed(&mut self, name: &str) {
        self.properties.insert(name.to_owned(), Value::Bool(true));
    }

    /// A field with a bearing that is not modelled.
    pub fn unmodelled(&mut self, name: &str) {
        self.properties
            .insert(name.to_owned(), json!({"description": "Accepted with a warning; not modelled."}));
    }
}

fn or_null(schema: Value) -> Value {
    match schema {
        Value::Object(mut object) => match object.get("type") {
            Some(Value::String(one)) => {
                let both = json!([one, "null"]);
                object.insert("type".into(), both);
                Value::Object(object)
            }
            Some(Value::Array(several)) => {
                let mut several = several.clone();
                several.push("null".into());
                object.insert("type".into(), several.into());
                Value::Object(object)
            }
            _ => match object.get_mut("enum").or(None) {
                Some(Value::Array(words)) => {
                    words.push(Value::Null);
                    Value::Object(object)
                }
                _ => json!({"anyOf": [Value::Object(object), {"type": "null"}]}),
            },
        },
        other => other,
    }
}

/// Reads a schema that is written as text in the sources.
pub fn parse(schema: &str) -> Value {
    serde_json::from_str(schema).unwrap_or(Value::Bool(true))
}

/// The schema of one of several words, as text for [`parse`].
pub fn words(words: &[&str]) -> String {
    json!({"enum": words}).to_string()
}

/// The text of doc comments, out of the attributes as the compiler prints them.
fn sentence(attributes: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = attributes;
    while let Some(at) = rest.find("doc = ") {
        let literal = rest[at..].find('"').map(|quote| &rest[at + quote..])?;
        let mut escaped = false;
        let end = literal.char_indices().skip(1).find_map(|(index, character)| {
            let closing = character == '"' && !escaped;
            escaped = character == '\\' && !escaped;
            closing.then_some(index)
        })?;
        let line: String = serde_json::from_str(&literal[..=end]).unwrap_or_default();
        if !text.is_empty() {
            text.push(' ');
        }
        text.push_str(line.trim());
        rest = &literal[end..];
    }
    let text = text.replace(['[', ']'], "").replace('`', "");
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::{Definitions, Describe, parse, sentence};
    use crate::catalogue::Catalogue;
    use serde_json::json;

    #[test]
    fn documentation_becomes_description() {
        assert_eq!(
            sentence(r#"#[doc = " One `thing`."] #[doc = " Says \"two\"."]"#),
            Some("One thing. Says \"two\".".into())
        );
        assert_eq!(sentence("#[allow(x)]"), None);
    }

    #[test]
    fn a_written_schema_that_is_no_json_is_noticed() {
        assert_eq!(parse(r#"{"type": "string"}"#), json!({"type": "string"}));
        let mut definitions = Definitions::default();
        let root = Catalogue::describe(&mut definitions);
        let document = definitions.document("catalogue", root);
        let price = &document["$defs"]["Offering"]["properties"]["price"];
        assert_eq!(price["type"], json!(["number", "null"]));
        let capacity = &document["$defs"]["InstanceType"]["properties"]["capacity"]["additionalProperties"];
        assert_eq!(capacity["anyOf"][0]["type"], json!("number"), "{capacity}");
        assert_eq!(document["$defs"]["InstanceType"]["properties"]["name"]["description"], json!("Name."));
    }
}
