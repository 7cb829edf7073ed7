//! Which labels Karpenter knows, which it refuses, and which are other names of the same.

use crate::catalogue::Catalogue;
use crate::kubernetes::labels::{
    ARCH, CAPACITY_TYPE, HOSTNAME, INSTANCE_TYPE, NODE_POOL, ON_DEMAND, OS, REGION, RESERVED, SPOT,
    WINDOWS_BUILD, ZONE,
};
use crate::model::karpenter::{NodeClaim, NodeClassReference};
use rustc_hash::{FxHashMap, FxHashSet};

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

/// Whether Karpenter waits for the claim: it is its own, and has no instance yet.
pub fn is_being_launched(claim: &NodeClaim, provider: &str) -> bool {
    claim.status.provider_id.is_empty() && is_known_node_class(provider, &claim.spec.node_class_ref)
}
