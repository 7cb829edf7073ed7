//! What EC2 refuses with, and what Karpenter makes of it.

use super::fleet::FleetError;

/// The launch template of the request does not exist (any more).
pub(super) const LAUNCH_TEMPLATE_NOT_FOUND: &str = "InvalidLaunchTemplateName.NotFoundException";
/// The role that EC2 needs for spot instances does not exist, and Karpenter may not create it.
const SERVICE_LINKED_ROLE_NOT_PERMITTED: &str = "AuthFailure.ServiceLinkedRoleCreationNotPermitted";
/// A subnet is full.
const NO_FREE_ADDRESSES: &str = "InsufficientFreeAddressesInSubnet";
/// A reservation is used up.
pub(super) const RESERVATION_USED_UP: &str = "ReservationCapacityExceeded";
/// There is no capacity in a pool.
pub(super) const NO_CAPACITY: &str = "InsufficientInstanceCapacity";

/// Codes that mean that there is no capacity now, be it for want of machines or of quota.
const LACKING_CAPACITY: [&str; 8] = [
    NO_CAPACITY,
    "MaxSpotInstanceCountExceeded",
    "VcpuLimitExceeded",
    "UnfulfillableCapacity",
    "Unsupported",
    NO_FREE_ADDRESSES,
    "MaxFleetCountExceeded",
    RESERVATION_USED_UP,
];

impl FleetError {
    /// Whether there is just no capacity now.
    pub fn lacks_capacity(&self) -> bool {
        LACKING_CAPACITY.contains(&self.code.as_str())
    }

    /// Whether spot instances cannot be launched at all.
    pub(super) fn lacks_service_linked_role(&self) -> bool {
        self.code == SERVICE_LINKED_ROLE_NOT_PERMITTED
    }

    /// Whether the subnet is full.
    pub(super) fn lacks_addresses(&self) -> bool {
        self.code == NO_FREE_ADDRESSES
    }

    /// Whether a spread placement group has its seven instances in the zone. Only the message tells it.
    pub(super) fn is_limit_of_spread_group(&self) -> bool {
        self.message.contains("limit of instances in this spread placement group")
    }
}

/// Why CreateFleet as a whole was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiError {
    /// EC2's code.
    pub code: String,
    /// EC2's words.
    pub message: String,
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "api error {}: {}", self.code, self.message)
    }
}

/// Why there is no instance. What core does next depends on the kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// There is no capacity for what was asked; the NodeClaim is deleted, and its pods are scheduled anew.
    #[error("insufficient capacity: {message}")]
    InsufficientCapacity {
        /// In words.
        message: String,
    },
    /// The node class is not ready; the NodeClaim is deleted.
    #[error("node class not ready: {message}")]
    NodeClassNotReady {
        /// In words.
        message: String,
    },
    /// Anything else; the NodeClaim stays and is tried again.
    #[error("{reason}: {message}")]
    Create {
        /// The reason of the condition `Launched`.
        reason: &'static str,
        /// In words.
        message: String,
    },
}

impl LaunchError {
    /// Its kind: `InsufficientCapacity`, `NodeClassNotReady`, `CreateError`.
    pub const fn kind(&self) -> &'static str {
        match self {
            LaunchError::InsufficientCapacity { .. } => "InsufficientCapacity",
            LaunchError::NodeClassNotReady { .. } => "NodeClassNotReady",
            LaunchError::Create { .. } => "CreateError",
        }
    }

    /// The reason, if it has one of its own.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            LaunchError::Create { reason, .. } => Some(reason),
            LaunchError::InsufficientCapacity { .. } | LaunchError::NodeClassNotReady { .. } => None,
        }
    }

    /// In words.
    pub fn message(&self) -> &str {
        match self {
            LaunchError::InsufficientCapacity { message }
            | LaunchError::NodeClassNotReady { message }
            | LaunchError::Create { message, .. } => message,
        }
    }

    pub(super) fn insufficient(message: impl Into<String>) -> Self {
        LaunchError::InsufficientCapacity { message: message.into() }
    }

    /// An error whose text tells the reason.
    pub(super) fn told_by(text: String) -> Self {
        LaunchError::Create { reason: reason(&text), message: text }
    }
}

/// Reasons, and the words that tell them; all words of a reason must be there. The first that fits holds.
const REASONS: [(&[&str], &str); 18] = [
    (&["AuthFailure.ServiceLinkedRoleCreationNotPermitted"], "SpotSLRCreationFailed"),
    // A policy that denies comes before the image that it denies.
    (&["UnauthorizedOperation"], UNAUTHORIZED),
    (&["AccessDenied"], UNAUTHORIZED),
    (&["AuthFailure"], UNAUTHORIZED),
    (&["InvalidParameter", "belong to different networks"], "SecurityGroupSubnetVPCMismatch"),
    (&["iamInstanceProfile.name is invalid"], "InstanceProfileNameInvalid"),
    (&["InvalidLaunchTemplateId.NotFound"], "LaunchTemplateNotFound"),
    (&["User data is limited to"], "UserDataSizeLimitExceeded"),
    (&["InvalidAMIID.Malformed"], "InvalidAMIID"),
    (&["InvalidAMIID.NotFound"], "AMINotFound"),
    (&["RequestLimitExceeded"], "RequestLimitExceeded"),
    (&["InternalError"], "InternalError"),
    (&["not eligible for Free Tier"], "FreeTierIneligible"),
    (&["MaxFleetCountExceeded"], "FleetQuotaExceeded"),
    (&["PendingVerification"], "AccountPendingVerification"),
    (&["MaxSpotInstanceCountExceeded"], "SpotQuotaExceeded"),
    (&["VcpuLimitExceeded"], "VCPULimitExceeded"),
    (&[NO_FREE_ADDRESSES], "InsufficientFreeAddressesInSubnet"),
];

const UNAUTHORIZED: &str = "Unauthorized";
const LAUNCH_FAILED: &str = "LaunchFailed";
/// Policies that deny explicitly.
const EXPLICIT_DENIALS: [&str; 2] =
    ["with an explicit deny in a permissions boundary", "with an explicit deny in a service control policy"];

/// The reason that the text of an error, or of all errors together, tells.
fn reason(text: &str) -> &'static str {
    let found = REASONS.iter().find(|(words, _)| words.iter().all(|word| text.contains(word)));
    match found.map_or(LAUNCH_FAILED, |(_, reason)| reason) {
        UNAUTHORIZED
            if text.contains("Not authorized for images")
                && !EXPLICIT_DENIALS.iter().any(|denial| text.contains(denial)) =>
        {
            "AMIAuthorizationFailure"
        }
        reason => reason,
    }
}

#[cfg(test)]
mod tests {
    use super::reason;

    #[test]
    fn the_first_words_that_are_there_tell_the_reason() {
        for (text, expected) in [
            ("AuthFailure.ServiceLinkedRoleCreationNotPermitted: no", "SpotSLRCreationFailed"),
            ("UnauthorizedOperation: Not authorized for images: [ami-1]", "AMIAuthorizationFailure"),
            (
                "UnauthorizedOperation: Not authorized for images with an explicit deny in a service control policy",
                "Unauthorized",
            ),
            ("AuthFailure: you", "Unauthorized"),
            (
                "InvalidParameter: sg-1 and subnet-1 belong to different networks",
                "SecurityGroupSubnetVPCMismatch",
            ),
            ("InvalidParameterValue: what", "LaunchFailed"),
            ("VcpuLimitExceeded: ; InternalError: ", "InternalError"),
            ("VcpuLimitExceeded: ; MaxFleetCountExceeded: ", "FleetQuotaExceeded"),
            (
                "InsufficientInstanceCapacity: ; InsufficientFreeAddressesInSubnet: ",
                "InsufficientFreeAddressesInSubnet",
            ),
            ("", "LaunchFailed"),
        ] {
            assert_eq!(reason(text), expected, "{text}");
        }
    }
}
