//! Node classes as they are written: `karpenter.k8s.aws/v1` and `v1beta1` EC2NodeClass, `v1alpha1` AWSNodeTemplate.
//!
//! The older forms are turned into the newer one. What they hold beside (kubelet settings stood in NodePools and
//! Provisioners then) is brought in by [`Ec2NodeClass::with_kubelet`].

use super::node_class::Ec2NodeClass;
use crate::catalogue::read::{typed, value_problem};
use crate::problem::Problem;
use crate::provider::node_class::KubeletConfiguration;
use serde_json::{Map, Value, json};

/// Versions and kinds that are read.
pub const NODE_CLASS_FORMS: [(&str, &str); 3] = [
    ("karpenter.k8s.aws/v1", "EC2NodeClass"),
    ("karpenter.k8s.aws/v1beta1", "EC2NodeClass"),
    ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate"),
];

/// A node class that was read.
#[derive(Debug, Clone)]
pub struct ReadNodeClass {
    /// The node class.
    pub class: Ec2NodeClass,
    /// The object in the form of `karpenter.k8s.aws/v1`, for the [hash](super::static_hash).
    pub object: Value,
    /// Fields of an older form that have a bearing on nodes and were not carried over.
    pub left_out: Vec<&'static str>,
}

/// Reads a node class, in whichever of the [forms](NODE_CLASS_FORMS).
///
/// # Errors
///
/// If it has another form, or a field that its form does not have.
pub fn read_node_class(object: &Value) -> Result<ReadNodeClass, Problem> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let (version, kind) = (text("apiVersion"), text("kind"));
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
    let place = format!("{kind} `{name}`");
    let mut object = object.clone();
    let left_out = match (version, kind) {
        ("karpenter.k8s.aws/v1" | "", "EC2NodeClass") => Vec::new(),
        ("karpenter.k8s.aws/v1beta1", "EC2NodeClass") => {
            edit_spec(&mut object, from_v1beta1);
            Vec::new()
        }
        ("karpenter.k8s.aws/v1alpha1", "AWSNodeTemplate") => {
            let names_template = object.pointer("/spec/launchTemplate").is_some();
            edit_spec(&mut object, from_v1alpha1);
            names_template.then_some("spec.launchTemplate").into_iter().collect()
        }
        _ => {
            let forms = NODE_CLASS_FORMS.map(|(version, kind)| format!("{version} {kind}")).join(", ");
            return Err(value_problem(place, "", format!("{version} {kind}"), forms));
        }
    };
    let class = typed(&object, &place)?;
    Ok(ReadNodeClass { class, object, left_out })
}

fn edit_spec(object: &mut Value, edit: fn(&mut Map<String, Value>)) {
    if let Some(fields) = object.as_object_mut() {
        fields.insert("apiVersion".into(), "karpenter.k8s.aws/v1".into());
        fields.insert("kind".into(), "EC2NodeClass".into());
        if let Some(spec) = fields.entry("spec").or_insert_with(|| json!({})).as_object_mut() {
            edit(spec);
        }
    }
}

/// The family decides which image is taken where none is selected; there is no alias yet. Ubuntu is gone since: its nodes
/// are those of AL2 with another root device.
fn from_v1beta1(spec: &mut Map<String, Value>) {
    if spec.get("amiFamily").and_then(Value::as_str) == Some("Ubuntu") {
        spec.insert("amiFamily".into(), "AL2".into());
        spec.entry("blockDeviceMappings").or_insert_with(|| {
            json!([{"deviceName": "/dev/sda1", "rootVolume": true,
                "ebs": {"encrypted": true, "volumeType": "gp3", "volumeSize": "20Gi"}}])
        });
    }
}

/// Selectors are maps of tags, and the family is AL2 if none is named.
fn from_v1alpha1(spec: &mut Map<String, Value>) {
    spec.remove("launchTemplate");
    spec.entry("amiFamily").or_insert_with(|| "AL2".into());
    for (older, newer) in [
        ("amiSelector", "amiSelectorTerms"),
        ("subnetSelector", "subnetSelectorTerms"),
        ("securityGroupSelector", "securityGroupSelectorTerms"),
    ] {
        if let Some(tags) = spec.remove(older) {
            spec.insert(newer.into(), json!([{ "tags": tags }]));
        }
    }
    from_v1beta1(spec);
}

impl Ec2NodeClass {
    /// The node class with the kubelet settings of an older NodePool or Provisioner. Its own, if it has any, hold.
    pub fn with_kubelet(mut self, kubelet: &KubeletConfiguration) -> Self {
        if self.spec.kubelet == KubeletConfiguration::default() {
            self.spec.kubelet = kubelet.clone();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::read_node_class;
    use crate::provider::aws::AmiFamily;
    use crate::quantity::Quantity;
    use serde_json::json;

    #[test]
    fn older_forms_become_the_newer_one() {
        let template = json!({"apiVersion": "karpenter.k8s.aws/v1alpha1", "kind": "AWSNodeTemplate",
            "metadata": {"name": "x"}, "spec": {"subnetSelector": {"a": "b"}, "launchTemplate": "mine",
            "blockDeviceMappings": [{"deviceName": "/dev/xvda", "ebs": {"volumeSize": "80Gi"}}]}});
        let read = read_node_class(&template).unwrap();
        assert_eq!(read.class.ami_family(), Ok(AmiFamily::Al2));
        assert_eq!(read.left_out, ["spec.launchTemplate"]);
        let size = read.class.spec.block_device_mappings[0].ebs.volume_size;
        assert_eq!(size, Some(Quantity::from_units(80 << 30)));

        let ubuntu = json!({"apiVersion": "karpenter.k8s.aws/v1beta1", "kind": "EC2NodeClass",
            "metadata": {"name": "x"}, "spec": {"amiFamily": "Ubuntu"}});
        let read = read_node_class(&ubuntu).unwrap();
        assert_eq!(read.class.ami_family(), Ok(AmiFamily::Al2));
        assert!(read.class.spec.block_device_mappings[0].root_volume);
    }

    #[test]
    fn what_no_form_has_is_an_error() {
        let wrong = json!({"apiVersion": "karpenter.k8s.aws/v1beta1", "kind": "EC2NodeClass",
            "metadata": {"name": "x"}, "spec": {"launchTemplate": "mine"}});
        let said = read_node_class(&wrong).unwrap_err().to_string();
        assert_eq!(said, "EC2NodeClass `x`: `spec`: unknown field `launchTemplate`");
        let other = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}});
        assert!(read_node_class(&other).unwrap_err().to_string().contains("AWSNodeTemplate"));
    }
}
