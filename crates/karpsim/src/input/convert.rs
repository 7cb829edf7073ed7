//! Older forms of Karpenter's kinds into `karpenter.sh/v1`.
//!
//! | from | to |
//! |---|---|
//! | `karpenter.sh/v1alpha5` Provisioner | NodePool of the same name, and an EC2NodeClass if it has a `provider` |
//! | `karpenter.k8s.aws/v1alpha1` AWSNodeTemplate | EC2NodeClass of the same name |
//! | `karpenter.sh/v1beta1` NodePool, NodeClaim | the same kinds in `v1` |
//! | `karpenter.k8s.aws/v1beta1` EC2NodeClass | the same kind in `v1` |
//!
//! What is not carried over is returned as [`Notice`]s. A Provisioner gets what the v1alpha5 webhooks filled in:
//! `karpenter.sh/capacity-type In [on-demand]`, `kubernetes.io/arch In [amd64]` and `kubernetes.io/os In [linux]` where it
//! says nothing about them, and, if it narrows neither instance type nor family, category nor generation, the categories
//! `c`, `m`, `r` of a generation above 2. (Before v0.19 Karpenter chose "general purpose" types by a list of its own; the
//! same default stands for it.)

use crate::problem::{Notice, NoticeKind, Place, Problem, ProblemKind, near_miss};
use serde_json::{Map, Value, json};

type Fields = Map<String, Value>;

/// The objects that stand for an older one.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Converted {
    /// Objects; the first stands for the old one.
    pub objects: Vec<Value>,
    /// What was not carried over.
    pub notices: Vec<Notice>,
}

/// Whether `object` is of a form that [`convert`] changes.
pub fn is_old(object: &Value) -> bool {
    matches!(
        type_of(object),
        ("karpenter.sh/v1alpha5", "Provisioner")
            | ("karpenter.sh/v1beta1", "NodePool" | "NodeClaim")
            | ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate")
            | ("karpenter.k8s.aws/v1beta1", "EC2NodeClass")
    )
}

/// Brings `object` into the form of `karpenter.sh/v1`. An object that is in that form, or of another group, comes back
/// as it is.
///
/// # Errors
///
/// If a field of an older form is unknown, or has not the shape it must have.
pub fn convert(object: Value) -> Result<Converted, Problem> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let (api_version, kind) = type_of(&object);
    let mut old = Old { who: format!("{kind} `{name}`"), name, notices: Vec::new() };
    let objects = match (api_version, kind) {
        ("karpenter.sh/v1alpha5", "Provisioner") => old.provisioner(object)?,
        ("karpenter.sh/v1beta1", "NodePool") => vec![old.node_pool_v1beta1(object)?],
        ("karpenter.sh/v1beta1", "NodeClaim") => vec![old.node_claim_v1beta1(object)?],
        ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate") => vec![old.node_template(object)?],
        ("karpenter.k8s.aws/v1beta1", "EC2NodeClass") => {
            vec![with_api_version(object, "karpenter.k8s.aws/v1")]
        }
        _ => vec![object],
    };
    Ok(Converted { objects, notices: old.notices })
}

fn type_of(object: &Value) -> (&str, &str) {
    let text = |name| object.get(name).and_then(Value::as_str).unwrap_or_default();
    (text("apiVersion"), text("kind"))
}

fn with_api_version(mut object: Value, api_version: &str) -> Value {
    object["apiVersion"] = json!(api_version);
    object
}

/// An object being converted.
struct Old {
    who: String,
    name: String,
    notices: Vec<Notice>,
}

impl Old {
    fn problem(&self, path: &str, kind: ProblemKind) -> Problem {
        Problem::new(Place::in_object(self.who.clone(), path), kind)
    }

    fn not_carried_over(&mut self, path: impl Into<String>, because: &'static str) {
        let place = Place::in_object(self.who.clone(), path);
        self.notices.push(Notice { place, kind: NoticeKind::NotCarriedOver { because } });
    }

    /// Takes the object at `name` out of `fields`; empty if it is absent or null.
    fn object(&self, fields: &mut Fields, path: &str, name: &str) -> Result<Fields, Problem> {
        match fields.remove(name) {
            None | Some(Value::Null) => Ok(Fields::new()),
            Some(Value::Object(object)) => Ok(object),
            Some(other) => Err(self.wrong(&join(path, name), &other, "an object")),
        }
    }

    /// Takes the whole number of seconds at `name`.
    fn seconds(&self, fields: &mut Fields, path: &str, name: &str) -> Result<Option<u64>, Problem> {
        match fields.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => value
                .as_u64()
                .map(Some)
                .ok_or_else(|| self.wrong(&join(path, name), &value, "a number of seconds, 0 or more")),
        }
    }

    fn list(&self, fields: &mut Fields, path: &str, name: &str) -> Result<Vec<Value>, Problem> {
        match fields.remove(name) {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => Err(self.wrong(&join(path, name), &other, "a list")),
        }
    }

    fn wrong(&self, path: &str, found: &Value, allowed: &str) -> Problem {
        self.problem(
            path,
            ProblemKind::Value { found: shown(found), allowed: allowed.to_owned(), near: None },
        )
    }

    /// What is left of an object whose known fields were taken out must be nothing.
    fn nothing_left(&self, fields: &Fields, path: &str, known: &[&'static str]) -> Result<(), Problem> {
        let Some(name) = fields.keys().next() else { return Ok(()) };
        Err(self.problem(
            path,
            ProblemKind::UnknownField {
                name: name.clone(),
                near: near_miss(name, known.iter().copied()).map(str::to_owned),
                known: known.to_vec(),
            },
        ))
    }

    fn provisioner(&mut self, object: Value) -> Result<Vec<Value>, Problem> {
        const KNOWN: &[&str] = &[
            "annotations",
            "labels",
            "taints",
            "startupTaints",
            "requirements",
            "kubeletConfiguration",
            "provider",
            "providerRef",
            "ttlSecondsAfterEmpty",
            "ttlSecondsUntilExpired",
            "limits",
            "weight",
            "consolidation",
        ];
        let (metadata, mut spec) = self.open(object)?;
        let labels = self.object(&mut spec, "spec", "labels")?;
        let annotations = self.object(&mut spec, "spec", "annotations")?;
        let mut requirements = self.list(&mut spec, "spec", "requirements")?;
        fill_in_requirements(&mut requirements, &labels);

        let mut limits = self.object(&mut spec, "spec", "limits")?;
        let resources = self.object(&mut limits, "spec.limits", "resources")?;
        self.nothing_left(&limits, "spec.limits", &["resources"])?;

        let empty = self.seconds(&mut spec, "spec", "ttlSecondsAfterEmpty")?;
        let expired = self.seconds(&mut spec, "spec", "ttlSecondsUntilExpired")?;
        let mut consolidation = self.object(&mut spec, "spec", "consolidation")?;
        let consolidated = match consolidation.remove("enabled") {
            None | Some(Value::Null) => false,
            Some(Value::Bool(enabled)) => enabled,
            Some(other) => return Err(self.wrong("spec.consolidation.enabled", &other, "true or false")),
        };
        self.nothing_left(&consolidation, "spec.consolidation", &["enabled"])?;
        if consolidated && empty.is_some() {
            return Err(self.problem(
                "spec",
                ProblemKind::Exclusive { first: "consolidation.enabled", second: "ttlSecondsAfterEmpty" },
            ));
        }

        let mut disruption = Fields::new();
        let (policy, after) = match (consolidated, empty) {
            (true, _) => ("WhenEmptyOrUnderutilized", "0s".to_owned()),
            (false, Some(seconds)) => ("WhenEmpty", format!("{seconds}s")),
            (false, None) => ("WhenEmpty", "Never".to_owned()),
        };
        disruption.insert("consolidationPolicy".into(), json!(policy));
        disruption.insert("consolidateAfter".into(), json!(after));
        // There were no budgets; every node could go at once.
        disruption.insert("budgets".into(), json!([{"nodes": "100%"}]));

        let mut template = Fields::new();
        template.insert("requirements".into(), Value::Array(requirements));
        for taints in ["taints", "startupTaints"] {
            let list = self.list(&mut spec, "spec", taints)?;
            if !list.is_empty() {
                template.insert(taints.into(), Value::Array(list));
            }
        }
        template.insert(
            "expireAfter".into(),
            expired.map_or_else(|| json!("Never"), |seconds| json!(format!("{seconds}s"))),
        );

        let mut objects = Vec::with_capacity(2);
        let mut node_class_name = self.name.clone();
        let mut reference = self.object(&mut spec, "spec", "providerRef")?;
        let mut provider = self.object(&mut spec, "spec", "provider")?;
        if let Some(name) = reference.remove("name") {
            node_class_name = name
                .as_str()
                .map(str::to_owned)
                .ok_or_else(|| self.wrong("spec.providerRef.name", &name, "a name"))?;
            for field in ["kind", "apiVersion"] {
                reference.remove(field);
            }
            self.nothing_left(&reference, "spec.providerRef", &["name", "kind", "apiVersion"])?;
            if !provider.is_empty() {
                return Err(
                    self.problem("spec", ProblemKind::Exclusive { first: "provider", second: "providerRef" })
                );
            }
        } else if !provider.is_empty() {
            for field in ["apiVersion", "kind"] {
                provider.remove(field);
            }
            let spec = self.node_class_spec(provider, "spec.provider")?;
            objects.push(json!({
                "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass",
                "metadata": {"name": self.name}, "spec": spec,
            }));
        }
        template.insert(
            "nodeClassRef".into(),
            json!({"group": "karpenter.k8s.aws", "kind": "EC2NodeClass", "name": node_class_name}),
        );
        self.kubelet(&mut spec, "spec", "kubeletConfiguration");

        let mut new = Fields::new();
        new.insert(
            "template".into(),
            json!({"metadata": {"labels": labels, "annotations": annotations}, "spec": template}),
        );
        new.insert("disruption".into(), Value::Object(disruption));
        if !resources.is_empty() {
            new.insert("limits".into(), Value::Object(resources));
        }
        if let Some(weight) = spec.remove("weight") {
            new.insert("weight".into(), weight);
        }
        self.nothing_left(&spec, "spec", KNOWN)?;
        objects.insert(
            0,
            json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": metadata, "spec": new}),
        );
        Ok(objects)
    }

    fn node_template(&mut self, object: Value) -> Result<Value, Problem> {
        let (metadata, spec) = self.open(object)?;
        let spec = self.node_class_spec(spec, "spec")?;
        Ok(json!({
            "apiVersion": "karpenter.k8s.aws/v1", "kind": "EC2NodeClass", "metadata": metadata, "spec": spec,
        }))
    }

    /// AWS's part of a Provisioner, or an AWSNodeTemplate's `spec`.
    fn node_class_spec(&mut self, mut old: Fields, path: &str) -> Result<Fields, Problem> {
        const KNOWN: &[&str] = &[
            "subnetSelector",
            "securityGroupSelector",
            "amiFamily",
            "amiSelector",
            "instanceProfile",
            "launchTemplate",
            "tags",
            "metadataOptions",
            "blockDeviceMappings",
            "userData",
            "detailedMonitoring",
            "context",
        ];
        let mut new = Fields::new();
        for (selector, terms) in [
            ("subnetSelector", "subnetSelectorTerms"),
            ("securityGroupSelector", "securityGroupSelectorTerms"),
            ("amiSelector", "amiSelectorTerms"),
        ] {
            let selector = self.object(&mut old, path, selector)?;
            if !selector.is_empty() {
                new.insert(terms.into(), Value::Array(selector_terms(selector)));
            }
        }
        if let Some(family) = old.remove("amiFamily") {
            let alias = match family.as_str() {
                Some("AL2") => Some("al2@latest"),
                Some("Bottlerocket") => Some("bottlerocket@latest"),
                Some("Windows2019") => Some("windows2019@latest"),
                Some("Windows2022") => Some("windows2022@latest"),
                _ => None,
            };
            match alias {
                Some(alias) if !new.contains_key("amiSelectorTerms") => {
                    new.insert("amiSelectorTerms".into(), json!([{"alias": alias}]));
                }
                _ => {
                    new.insert("amiFamily".into(), family);
                }
            }
        }
        for same in [
            "instanceProfile",
            "tags",
            "metadataOptions",
            "blockDeviceMappings",
            "userData",
            "detailedMonitoring",
        ] {
            if let Some(value) = old.remove(same).filter(|value| !value.is_null()) {
                new.insert(same.into(), value);
            }
        }
        if let Some(context) = old.remove("context").filter(|value| !value.is_null()) {
            new.insert("context".into(), context);
        }
        if old.remove("launchTemplate").is_some_and(|value| !value.is_null()) {
            self.not_carried_over(
                join(path, "launchTemplate"),
                "an EC2NodeClass has no custom launch template",
            );
        }
        self.nothing_left(&old, path, KNOWN)?;
        Ok(new)
    }

    fn node_pool_v1beta1(&mut self, object: Value) -> Result<Value, Problem> {
        let (metadata, mut spec) = self.open(object)?;
        let mut template = self.object(&mut spec, "spec", "template")?;
        let mut claim = self.object(&mut template, "spec.template", "spec")?;
        self.node_class_ref(&mut claim, "spec.template.spec")?;
        self.kubelet(&mut claim, "spec.template.spec", "kubelet");
        if claim.remove("resources").is_some_and(|value| !value.is_null()) {
            self.not_carried_over("spec.template.spec.resources", "a NodePool template has no resources");
        }

        let mut disruption = self.object(&mut spec, "spec", "disruption")?;
        claim.insert("expireAfter".into(), disruption.remove("expireAfter").unwrap_or_else(|| json!("720h")));
        let policy = disruption.get("consolidationPolicy").and_then(Value::as_str);
        if matches!(policy, None | Some("WhenUnderutilized")) {
            disruption.insert("consolidationPolicy".into(), json!("WhenEmptyOrUnderutilized"));
        }
        disruption.entry("consolidateAfter").or_insert_with(|| json!("0s"));

        template.insert("spec".into(), Value::Object(claim));
        spec.insert("template".into(), Value::Object(template));
        spec.insert("disruption".into(), Value::Object(disruption));
        Ok(json!({"apiVersion": "karpenter.sh/v1", "kind": "NodePool", "metadata": metadata, "spec": spec}))
    }

    fn node_claim_v1beta1(&mut self, mut object: Value) -> Result<Value, Problem> {
        let status = object.as_object_mut().and_then(|fields| fields.remove("status"));
        let (metadata, mut spec) = self.open(object)?;
        self.node_class_ref(&mut spec, "spec")?;
        self.kubelet(&mut spec, "spec", "kubelet");
        let mut new =
            json!({"apiVersion": "karpenter.sh/v1", "kind": "NodeClaim", "metadata": metadata, "spec": spec});
        if let Some(status) = status {
            new["status"] = status;
        }
        Ok(new)
    }

    /// v1beta1 names the group and version of a node class, v1 the group alone.
    fn node_class_ref(&self, spec: &mut Fields, path: &str) -> Result<(), Problem> {
        let mut reference = self.object(spec, path, "nodeClassRef")?;
        if reference.is_empty() {
            return Ok(());
        }
        if let Some(api_version) = reference.remove("apiVersion") {
            let group = api_version.as_str().unwrap_or_default().split('/').next().unwrap_or_default();
            reference.entry("group").or_insert_with(|| json!(group));
        }
        reference.entry("group").or_insert_with(|| json!("karpenter.k8s.aws"));
        reference.entry("kind").or_insert_with(|| json!("EC2NodeClass"));
        spec.insert("nodeClassRef".into(), Value::Object(reference));
        Ok(())
    }

    fn kubelet(&mut self, spec: &mut Fields, path: &str, name: &str) {
        if spec.remove(name).is_some_and(|value| value.as_object().is_some_and(|fields| !fields.is_empty())) {
            self.not_carried_over(
                join(path, name),
                "kubelet settings belong to the node class, and capacity and overhead come from the catalogue",
            );
        }
    }

    /// Metadata and spec of an object that has nothing else but a status, which the new form does not share.
    fn open(&self, object: Value) -> Result<(Fields, Fields), Problem> {
        let Value::Object(mut fields) = object else { return Err(self.wrong("", &object, "an object")) };
        let metadata = self.object(&mut fields, "", "metadata")?;
        let spec = self.object(&mut fields, "", "spec")?;
        for known in ["apiVersion", "kind", "status"] {
            fields.remove(known);
        }
        self.nothing_left(&fields, "", &["apiVersion", "kind", "metadata", "spec", "status"])?;
        Ok((metadata, spec))
    }
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// A value as an error names it, cut where it becomes long.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Null => "null".to_owned(),
        Value::String(text) => quoted(text),
        other => format!("`{other}`"),
    }
}

/// A text as an error names it, cut where it becomes long.
pub(crate) fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

fn fill_in_requirements(requirements: &mut Vec<Value>, labels: &Fields) {
    const NARROWING: [&str; 5] = [
        "node.kubernetes.io/instance-type",
        "beta.kubernetes.io/instance-type",
        "karpenter.k8s.aws/instance-family",
        "karpenter.k8s.aws/instance-category",
        "karpenter.k8s.aws/instance-generation",
    ];
    let said = |requirements: &[Value], key: &str| {
        labels.contains_key(key)
            || requirements.iter().any(|requirement| {
                requirement.get("key").and_then(Value::as_str).is_some_and(|found| found == key)
            })
    };
    let narrowed = NARROWING.iter().any(|key| said(requirements, key));
    for (key, beta, value) in [
        ("karpenter.sh/capacity-type", "karpenter.sh/capacity-type", "on-demand"),
        ("kubernetes.io/arch", "beta.kubernetes.io/arch", "amd64"),
        ("kubernetes.io/os", "beta.kubernetes.io/os", "linux"),
    ] {
        if !said(requirements, key) && !said(requirements, beta) {
            requirements.push(json!({"key": key, "operator": "In", "values": [value]}));
        }
    }
    if !narrowed {
        requirements.push(
            json!({"key": "karpenter.k8s.aws/instance-category", "operator": "In", "values": ["c", "m", "r"]}),
        );
        requirements
            .push(json!({"key": "karpenter.k8s.aws/instance-generation", "operator": "Gt", "values": ["2"]}));
    }
}

/// `aws-ids: a,b` (or `aws::ids`) names resources, everything else tags; a name is a term of its own.
fn selector_terms(selector: Fields) -> Vec<Value> {
    let mut ids = Vec::new();
    let mut tags = Fields::new();
    for (key, value) in selector {
        match (key.as_str(), value.as_str()) {
            ("aws-ids" | "aws::ids", Some(list)) => {
                ids.extend(list.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()));
            }
            _ => {
                tags.insert(key, value);
            }
        }
    }
    if ids.is_empty() {
        return vec![json!({"tags": tags})];
    }
    ids.into_iter()
        .map(|id| if tags.is_empty() { json!({"id": id}) } else { json!({"id": id, "tags": tags}) })
        .collect()
}

#[cfg(test)]
#[path = "convert_tests.rs"]
mod tests;
