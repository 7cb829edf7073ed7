//! Which labels Karpenter knows, which it refuses, and which are other names of the same.

use crate::api::karpenter::NodeClassReference;
use crate::catalogue::Catalogue;
use rustc_hash::{FxHashMap, FxHashSet};

/// `kubernetes.io/hostname`.
pub const HOSTNAME: &str = "kubernetes.io/hostname";
/// `topology.kubernetes.io/zone`.
pub const ZONE: &str = "topology.kubernetes.io/zone";
/// `topology.kubernetes.io/region`.
pub const REGION: &str = "topology.kubernetes.io/region";
/// `node.kubernetes.io/instance-type`.
pub const INSTANCE_TYPE: &str = "node.kubernetes.io/instance-type";
/// `kubernetes.io/arch`.
pub const ARCH: &str = "kubernetes.io/arch";
/// `kubernetes.io/os`.
pub const OS: &str = "kubernetes.io/os";
/// `node.kubernetes.io/windows-build`.
pub const WINDOWS_BUILD: &str = "node.kubernetes.io/windows-build";
/// `karpenter.sh/nodepool`.
pub const NODE_POOL: &str = "karpenter.sh/nodepool";
/// `karpenter.sh/capacity-type`.
pub const CAPACITY_TYPE: &str = "karpenter.sh/capacity-type";
/// `karpenter.sh/registered`.
pub const REGISTERED: &str = "karpenter.sh/registered";
/// `karpenter.sh/initialized`.
pub const INITIALIZED: &str = "karpenter.sh/initialized";
/// The annotation `karpenter.sh/do-not-disrupt`.
pub const DO_NOT_DISRUPT: &str = "karpenter.sh/do-not-disrupt";

/// The capacity type of reserved offerings.
pub const RESERVED: &str = "reserved";
/// The capacity type of spot offerings.
pub const SPOT: &str = "spot";
/// The capacity type of on-demand offerings.
pub const ON_DEMAND: &str = "on-demand";

const WELL_KNOWN: [&str; 8] =
    [NODE_POOL, ZONE, REGION, INSTANCE_TYPE, ARCH, OS, CAPACITY_TYPE, WINDOWS_BUILD];

const NORMALIZED: [(&str, &str); 5] = [
    ("failure-domain.beta.kubernetes.io/zone", ZONE),
    ("failure-domain.beta.kubernetes.io/region", REGION),
    ("beta.kubernetes.io/arch", ARCH),
    ("beta.kubernetes.io/os", OS),
    ("beta.kubernetes.io/instance-type", INSTANCE_TYPE),
];

const CAPACITY_TYPES: [&str; 3] = [ON_DEMAND, RESERVED, SPOT];

/// The rules of a provider: Karpenter's own lists with what the provider adds.
#[derive(Debug, Clone)]
pub struct LabelRules {
    well_known: FxHashSet<String>,
    restricted_domains: Vec<String>,
    normalized: FxHashMap<String, String>,
    reservation_id: String,
}

impl LabelRules {
    /// The rules that go with `catalogue`.
    pub fn new(catalogue: &Catalogue) -> Self {
        LabelRules {
            well_known: WELL_KNOWN
                .iter()
                .map(ToString::to_string)
                .chain(catalogue.well_known_labels.iter().map(ToString::to_string))
                .collect(),
            restricted_domains: std::iter::once("karpenter.sh".to_owned())
                .chain(catalogue.restricted_label_domains.iter().map(ToString::to_string))
                .collect(),
            normalized: NORMALIZED
                .iter()
                .map(|(from, to)| ((*from).to_owned(), (*to).to_owned()))
                .chain(catalogue.normalized_labels.iter().map(|(from, to)| (from.to_owned(), to.to_owned())))
                .collect(),
            reservation_id: catalogue.reservation_id_label.to_string(),
        }
    }

    /// The name that Karpenter uses for `key`.
    pub fn normalize<'a>(&'a self, key: &'a str) -> &'a str {
        self.normalized.get(key).map_or(key, String::as_str)
    }

    /// Whether Karpenter can reason about `key` where a node does not define it.
    pub fn is_well_known(&self, key: &str) -> bool {
        self.well_known.contains(key)
    }

    /// All well-known labels, sorted; for hints.
    pub fn well_known(&self) -> Vec<&str> {
        let mut all: Vec<&str> = self.well_known.iter().map(String::as_str).collect();
        all.sort_unstable();
        all
    }

    /// The label that holds a reserved offering's reservation; empty if the provider has none.
    pub fn reservation_id(&self) -> &str {
        &self.reservation_id
    }

    /// Whether users may not select by `key`: it is in a domain of Karpenter or the provider, or it is the hostname.
    pub fn is_restricted(&self, key: &str) -> bool {
        if self.is_well_known(key) {
            return false;
        }
        let domain = key.split_once('/').map_or("", |(domain, _)| domain);
        let in_domain = |restricted: &String| {
            domain == restricted
                || domain.strip_suffix(restricted.as_str()).is_some_and(|before| before.ends_with('.'))
        };
        self.restricted_domains.iter().any(in_domain) || key == HOSTNAME
    }

    /// The values that make sense for `key`, if only some do.
    pub fn known_values(key: &str) -> Option<&'static [&'static str]> {
        (key == CAPACITY_TYPE).then_some(&CAPACITY_TYPES)
    }
}

/// The label that names the node class of a group and kind.
pub fn node_class_label(group: &str, kind: &str) -> String {
    format!("{group}/{}", kind.to_lowercase())
}

/// Whether a provider's Karpenter knows the class. It leaves NodePools and NodeClaims of other classes alone.
pub fn is_known_node_class(provider: &str, class: &NodeClassReference) -> bool {
    known_node_classes(provider).contains(&(class.group.as_str(), class.kind.as_str()))
}

/// Group and kind of the node classes that a provider's Karpenter knows.
fn known_node_classes(provider: &str) -> &'static [(&'static str, &'static str)] {
    match provider {
        "aws" | "fake" => &[("karpenter.k8s.aws", "EC2NodeClass"), ("karpenter.test.sh", "TestNodeClass")],
        "kwok" => &[("karpenter.kwok.sh", "KWOKNodeClass")],
        "azure" => &[("karpenter.azure.com", "AKSNodeClass")],
        "gcp" => &[("karpenter.k8s.gcp", "GCENodeClass")],
        _ => &[
            ("karpenter.k8s.aws", "EC2NodeClass"),
            ("karpenter.test.sh", "TestNodeClass"),
            ("karpenter.kwok.sh", "KWOKNodeClass"),
            ("karpenter.azure.com", "AKSNodeClass"),
            ("karpenter.k8s.gcp", "GCENodeClass"),
        ],
    }
}

/// Whether `text` can be a label key, as Kubernetes checks it (`IsQualifiedName`).
pub fn is_qualified_name(text: &str) -> bool {
    let (prefix, name) = match text.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, text),
    };
    let name_ok = !name.is_empty() && name.len() <= 63 && is_label_shape(name);
    let prefix_ok = prefix.is_none_or(|prefix| {
        !prefix.is_empty()
            && prefix.len() <= 253
            && prefix.split('.').all(|part| {
                let bytes = part.as_bytes();
                let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
                !bytes.is_empty()
                    && alphanumeric(bytes[0])
                    && alphanumeric(bytes[bytes.len() - 1])
                    && bytes.iter().all(|&byte| alphanumeric(byte) || byte == b'-')
            })
    });
    name_ok && prefix_ok
}

/// Whether `text` can be a label value, as Kubernetes checks it (`IsValidLabelValue`).
pub fn is_label_value(text: &str) -> bool {
    text.is_empty() || (text.len() <= 63 && is_label_shape(text))
}

fn is_label_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes[0].is_ascii_alphanumeric()
        && bytes[bytes.len() - 1].is_ascii_alphanumeric()
        && bytes.iter().all(|&byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}
