//! What kube-controller-manager is told about all autoscalers.

use crate::amount::{Nanos, SECOND};

/// How often kube-controller-manager synchronises an autoscaler by default (`--horizontal-pod-autoscaler-sync-period`).
/// Nothing here keeps time: whoever calls [`Hpa::sync`](crate::Hpa::sync) does.
pub const DEFAULT_SYNC_PERIOD: Nanos = 15 * SECOND;

/// Flags of kube-controller-manager.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// `--horizontal-pod-autoscaler-tolerance`: how far the ratio of a metric to its target may be from 1 before
    /// anything is done, where the autoscaler's behavior says nothing else. Default 0.1.
    pub tolerance: f64,
    /// `--horizontal-pod-autoscaler-downscale-stabilization`: for how long recommendations count, where the autoscaler's
    /// behavior says nothing else. Default 5 minutes.
    pub downscale_stabilization: Nanos,
    /// `--horizontal-pod-autoscaler-cpu-initialization-period`: how long after its start a pod's cpu samples are
    /// mistrusted. Default 5 minutes.
    pub cpu_initialization_period: Nanos,
    /// `--horizontal-pod-autoscaler-initial-readiness-delay`: a pod that became unready so soon after its start counts as
    /// never having been ready. Default 30 seconds.
    pub initial_readiness_delay: Nanos,
    /// The feature gate HPAScaleToZero, which is off by default: `minReplicas` may be 0.
    pub scale_to_zero: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            tolerance: 0.1,
            downscale_stabilization: 300 * SECOND,
            cpu_initialization_period: 300 * SECOND,
            initial_readiness_delay: 30 * SECOND,
            scale_to_zero: false,
        }
    }
}
