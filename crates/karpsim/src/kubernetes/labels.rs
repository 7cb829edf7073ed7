//! Names of labels and annotations, and which texts can be label keys and values.

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
/// The annotation `karpenter.sh/do-not-repair`.
pub const DO_NOT_REPAIR: &str = "karpenter.sh/do-not-repair";
/// The annotation `karpenter.sh/disruption-cost`.
pub const DISRUPTION_COST: &str = "karpenter.sh/disruption-cost";
/// The annotation `controller.kubernetes.io/pod-deletion-cost`.
pub const POD_DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// The capacity type of reserved offerings.
pub const RESERVED: &str = "reserved";
/// The capacity type of spot offerings.
pub const SPOT: &str = "spot";
/// The capacity type of on-demand offerings.
pub const ON_DEMAND: &str = "on-demand";

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
