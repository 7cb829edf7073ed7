//! Settings of the Karpenter deployment that its provider looks at.

use crate::provider::Settings;

/// Settings of the provider.
#[derive(Debug, Clone, PartialEq)]
pub struct ProviderSettings {
    /// What capacity depends on.
    pub capacity: Settings,
    /// Feature gate `ReservedCapacity`.
    pub reserved_capacity: bool,
    /// Whether `--min-values-policy` is `BestEffort`.
    pub relaxes_min_values: bool,
}

impl Default for ProviderSettings {
    fn default() -> Self {
        ProviderSettings { capacity: Settings::default(), reserved_capacity: true, relaxes_min_values: false }
    }
}
