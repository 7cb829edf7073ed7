//! The autoscaler's flags, those that decide.

use karpsim::model::meta::{Duration, Str};

/// How one of several groups is chosen. They are asked in turn, until one option is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Expander {
    /// The smallest share of cpu and memory that stays unused.
    LeastWaste,
    /// The most pods helped.
    MostPods,
    /// The fewest nodes.
    LeastNodes,
    /// The highest number in the ConfigMap `cluster-autoscaler-priority-expander`.
    Priority,
    /// Any; here the smallest name.
    Random,
}

/// The least and the most that a cluster may have of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Scale-down stops here.
    pub min: i64,
    /// Scale-up stops here.
    pub max: i64,
}

/// Options that a node group can have for itself.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct NodeGroupDefaults {
    /// `scale-down-utilization-threshold`: a node in use above this share stays.
    pub scale_down_utilization_threshold: f64,
    /// `scale-down-gpu-utilization-threshold`: the same for GPU nodes.
    pub scale_down_gpu_utilization_threshold: f64,
    /// `scale-down-unneeded-time`: how long a ready node is unneeded before it goes.
    pub scale_down_unneeded_time: Duration,
    /// `scale-down-unready-time`: the same for unready nodes.
    pub scale_down_unready_time: Duration,
    /// `ignore-daemonsets-utilization`: daemons do not count as use.
    pub ignore_daemon_sets_utilization: bool,
    /// `max-node-provision-time`: how long an ordered node may take.
    pub max_node_provision_time: Duration,
    /// `max-node-startup-time`: how long a registered node may take to be ready.
    pub max_node_startup_time: Duration,
}

/// What one node group has instead of [`NodeGroupDefaults`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct NodeGroupOptions {
    /// See [`NodeGroupDefaults::scale_down_utilization_threshold`].
    pub scale_down_utilization_threshold: Option<f64>,
    /// See [`NodeGroupDefaults::scale_down_gpu_utilization_threshold`].
    pub scale_down_gpu_utilization_threshold: Option<f64>,
    /// See [`NodeGroupDefaults::scale_down_unneeded_time`].
    pub scale_down_unneeded_time: Option<Duration>,
    /// See [`NodeGroupDefaults::scale_down_unready_time`].
    pub scale_down_unready_time: Option<Duration>,
    /// See [`NodeGroupDefaults::ignore_daemon_sets_utilization`].
    pub ignore_daemon_sets_utilization: Option<bool>,
    /// See [`NodeGroupDefaults::max_node_provision_time`].
    pub max_node_provision_time: Option<Duration>,
    /// See [`NodeGroupDefaults::max_node_startup_time`].
    pub max_node_startup_time: Option<Duration>,
}

impl NodeGroupOptions {
    /// Sets the option that the flag `name` sets for all groups.
    ///
    /// # Errors
    ///
    /// If there is no such option for a group, or `value` is none for it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FlagError> {
        let flag = Flag { name, value };
        match name {
            "scale-down-utilization-threshold" => {
                self.scale_down_utilization_threshold = Some(flag.number()?);
            }
            "scale-down-gpu-utilization-threshold" => {
                self.scale_down_gpu_utilization_threshold = Some(flag.number()?);
            }
            "scale-down-unneeded-time" => self.scale_down_unneeded_time = Some(flag.duration()?),
            "scale-down-unready-time" => self.scale_down_unready_time = Some(flag.duration()?),
            "ignore-daemonsets-utilization" => self.ignore_daemon_sets_utilization = Some(flag.boolean()?),
            "max-node-provision-time" => self.max_node_provision_time = Some(flag.duration()?),
            "max-node-startup-time" => self.max_node_startup_time = Some(flag.duration()?),
            _ => return Err(FlagError::Unknown { name: name.to_owned() }),
        }
        Ok(())
    }

    /// What holds for the group.
    pub(crate) fn over(&self, defaults: &NodeGroupDefaults) -> NodeGroupDefaults {
        NodeGroupDefaults {
            scale_down_utilization_threshold: self
                .scale_down_utilization_threshold
                .unwrap_or(defaults.scale_down_utilization_threshold),
            scale_down_gpu_utilization_threshold: self
                .scale_down_gpu_utilization_threshold
                .unwrap_or(defaults.scale_down_gpu_utilization_threshold),
            scale_down_unneeded_time: self
                .scale_down_unneeded_time
                .unwrap_or(defaults.scale_down_unneeded_time),
            scale_down_unready_time: self.scale_down_unready_time.unwrap_or(defaults.scale_down_unready_time),
            ignore_daemon_sets_utilization: self
                .ignore_daemon_sets_utilization
                .unwrap_or(defaults.ignore_daemon_sets_utilization),
            max_node_provision_time: self.max_node_provision_time.unwrap_or(defaults.max_node_provision_time),
            max_node_startup_time: self.max_node_startup_time.unwrap_or(defaults.max_node_startup_time),
        }
    }
}

/// The flags. [`Options::default`] has the autoscaler's defaults.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Options {
    /// `expander`, a chain.
    pub expanders: Vec<Expander>,
    /// `balance-similar-node-groups`.
    pub balance_similar_node_groups: bool,
    /// `balancing-ignore-label`: labels that similar groups may differ in, beside the usual ones.
    pub balancing_ignore_labels: Vec<Str>,
    /// `balancing-label`: if there are any, groups are similar that agree in these and nothing else is asked.
    pub balancing_labels: Vec<Str>,
    /// `memory-difference-ratio`: by what share the capacity of memory of similar groups may differ.
    pub memory_difference_ratio: f64,
    /// `max-allocatable-difference-ratio`.
    pub max_allocatable_difference_ratio: f64,
    /// `max-free-difference-ratio`.
    pub max_free_difference_ratio: f64,
    /// `max-nodes-total`; 0: no limit.
    pub max_nodes_total: i64,
    /// `cores-total`.
    pub cores_total: Limits,
    /// `memory-total`, in bytes; the flag says GiB.
    pub memory_total_bytes: Limits,
    /// `max-nodes-per-scaleup`.
    pub max_nodes_per_scale_up: i64,
    /// `force-ds`: templates made of live nodes also get daemons that should run there and do not.
    pub force_daemon_sets: bool,
    /// `fastpath-binpacking-enabled`.
    pub fastpath_binpacking: bool,
    /// `new-pod-scale-up-delay`: pods up to this age are not helped.
    pub new_pod_scale_up_delay: Duration,
    /// `enforce-node-group-min-size`.
    pub enforce_node_group_min_size: bool,
    /// `expendable-pods-priority-cutoff`: pods of a priority below are as good as not there.
    pub expendable_pods_priority_cutoff: i64,
    /// `ok-total-unready-count`: so many unready nodes are never too many.
    pub ok_total_unready_count: i64,
    /// `max-total-unready-percentage`.
    pub max_total_unready_percentage: f64,
    /// `scale-down-enabled`.
    pub scale_down_enabled: bool,
    /// `scale-down-unready-enabled`: unready nodes may go too.
    pub scale_down_unready_enabled: bool,
    /// `scale-down-delay-after-add`.
    pub scale_down_delay_after_add: Duration,
    /// `scale-down-delay-after-delete`.
    pub scale_down_delay_after_delete: Duration,
    /// `scale-down-delay-after-failure`.
    pub scale_down_delay_after_failure: Duration,
    /// `scale-down-delay-type-local`: these delays hold for the group, not for all.
    pub scale_down_delay_type_local: bool,
    /// `max-scale-down-parallelism`.
    pub max_scale_down_parallelism: i64,
    /// `max-drain-parallelism`.
    pub max_drain_parallelism: i64,
    /// `unremovable-node-recheck-timeout`: how long a node whose removal was simulated in vain is left alone.
    pub unremovable_node_recheck_timeout: Duration,
    /// What groups have that say nothing else.
    pub node_group_defaults: NodeGroupDefaults,
    /// `ignore-mirror-pods-utilization`.
    pub ignore_mirror_pods_utilization: bool,
    /// `skip-nodes-with-system-pods`.
    pub skip_nodes_with_system_pods: bool,
    /// `skip-nodes-with-local-storage`.
    pub skip_nodes_with_local_storage: bool,
    /// `skip-nodes-with-custom-controller-pods`.
    pub skip_nodes_with_custom_controller_pods: bool,
    /// `min-replica-count`.
    pub min_replica_count: i64,
    /// `blocking-system-pod-distruption-timeout`: older pods of `kube-system` without a budget may go.
    pub blocking_system_pod_disruption_timeout: Duration,
    /// `initial-node-group-backoff-duration`.
    pub initial_node_group_backoff_duration: Duration,
    /// `max-node-group-backoff-duration`.
    pub max_node_group_backoff_duration: Duration,
    /// `node-group-backoff-reset-timeout`.
    pub node_group_backoff_reset_timeout: Duration,
    /// `max-bulk-soft-taint-count`: so many soft taints change in a run.
    pub max_bulk_soft_taint_count: i64,
    /// `node-delete-delay-after-taint`: how long after the decision a node is removed. The world waits, not the
    /// autoscaler.
    pub node_delete_delay_after_taint: Duration,
    /// `startup-taint`: a node with such a taint is not ready yet.
    pub startup_taints: Vec<Str>,
    /// `startup-taint-prefix`, beside the two that are always in force.
    pub startup_taint_prefixes: Vec<Str>,
    /// `status-taint`: taints that new nodes will not have.
    pub status_taints: Vec<Str>,
    /// `scan-interval`: the time between two runs.
    pub scan_interval: Duration,
}

const GIB: i64 = 1 << 30;

impl Default for Options {
    fn default() -> Self {
        Options {
            expanders: vec![Expander::LeastWaste],
            balance_similar_node_groups: false,
            balancing_ignore_labels: Vec::new(),
            balancing_labels: Vec::new(),
            memory_difference_ratio: 0.015,
            max_allocatable_difference_ratio: 0.05,
            max_free_difference_ratio: 0.05,
            max_nodes_total: 0,
            cores_total: Limits { min: 0, max: 320_000 },
            memory_total_bytes: Limits { min: 0, max: 6_400_000 * GIB },
            max_nodes_per_scale_up: 1_000,
            force_daemon_sets: false,
            fastpath_binpacking: false,
            new_pod_scale_up_delay: Duration::from_secs(0),
            enforce_node_group_min_size: false,
            expendable_pods_priority_cutoff: -10,
            ok_total_unready_count: 3,
            max_total_unready_percentage: 45.0,
            scale_down_enabled: true,
            scale_down_unready_enabled: true,
            scale_down_delay_after_add: Duration::from_secs(10 * 60),
            scale_down_delay_after_delete: Duration::from_secs(0),
            scale_down_delay_after_failure: Duration::from_secs(3 * 60),
            scale_down_delay_type_local: false,
            max_scale_down_parallelism: 10,
            max_drain_parallelism: 1,
            unremovable_node_recheck_timeout: Duration::from_secs(5 * 60),
            node_group_defaults: NodeGroupDefaults {
                scale_down_utilization_threshold: 0.5,
                scale_down_gpu_utilization_threshold: 0.5,
                scale_down_unneeded_time: Duration::from_secs(10 * 60),
                scale_down_unready_time: Duration::from_secs(20 * 60),
                ignore_daemon_sets_utilization: false,
                max_node_provision_time: Duration::from_secs(15 * 60),
                max_node_startup_time: Duration::from_secs(15 * 60),
            },
            ignore_mirror_pods_utilization: false,
            skip_nodes_with_system_pods: true,
            skip_nodes_with_local_storage: true,
            skip_nodes_with_custom_controller_pods: true,
            min_replica_count: 0,
            blocking_system_pod_disruption_timeout: Duration::from_secs(60 * 60),
            initial_node_group_backoff_duration: Duration::from_secs(5 * 60),
            max_node_group_backoff_duration: Duration::from_secs(30 * 60),
            node_group_backoff_reset_timeout: Duration::from_secs(3 * 60 * 60),
            max_bulk_soft_taint_count: 10,
            node_delete_delay_after_taint: Duration::from_secs(5),
            startup_taints: Vec::new(),
            startup_taint_prefixes: Vec::new(),
            status_taints: Vec::new(),
            scan_interval: Duration::from_secs(10),
        }
    }
}

/// Why a flag was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FlagError {
    /// No such flag here. The autoscaler has more than those that decide.
    #[error("no flag `{name}` is modelled")]
    Unknown {
        /// The flag.
        name: String,
    },
    /// The value has another form.
    #[error("flag `{name}`: `{value}` is not {expected}")]
    Value {
        /// The flag.
        name: String,
        /// Its value.
        value: String,
        /// What it should be.
        expected: &'static str,
    },
}

struct Flag<'a> {
    name: &'a str,
    value: &'a str,
}

impl Flag<'_> {
    fn refused(&self, expected: &'static str) -> FlagError {
        FlagError::Value { name: self.name.to_owned(), value: self.value.to_owned(), expected }
    }

    fn boolean(&self) -> Result<bool, FlagError> {
        match self.value {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
            _ => Err(self.refused("true or false")),
        }
    }

    fn integer(&self) -> Result<i64, FlagError> {
        self.value.parse().map_err(|_| self.refused("a whole number"))
    }

    fn number(&self) -> Result<f64, FlagError> {
        self.value.parse().map_err(|_| self.refused("a number"))
    }

    fn duration(&self) -> Result<Duration, FlagError> {
        Duration::parse(self.value).ok_or_else(|| self.refused("a duration such as 10m or 1h30m"))
    }

    /// `MIN:MAX`.
    fn limits(&self) -> Result<Limits, FlagError> {
        let limits = self.value.split_once(':').and_then(|(min, max)| {
            Some(Limits { min: min.trim().parse().ok()?, max: max.trim().parse().ok()? })
        });
        limits
            .filter(|limits| limits.min >= 0 && limits.max >= limits.min)
            .ok_or_else(|| self.refused("a range MIN:MAX"))
    }

    fn expanders(&self) -> Result<Vec<Expander>, FlagError> {
        let one = |word: &str| match word {
            "least-waste" => Ok(Expander::LeastWaste),
            "most-pods" => Ok(Expander::MostPods),
            "least-nodes" => Ok(Expander::LeastNodes),
            "priority" => Ok(Expander::Priority),
            "random" => Ok(Expander::Random),
            _ => Err(self.refused("a list of least-waste, most-pods, least-nodes, priority and random")),
        };
        self.value.split(',').map(one).collect()
    }
}

impl Options {
    /// Sets the flag `name`, written without dashes in front. A list grows with each call.
    ///
    /// # Errors
    ///
    /// If no such flag is modelled, or `value` is none for it.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FlagError> {
        let flag = Flag { name, value };
        match name {
            "expander" => self.expanders = flag.expanders()?,
            "balance-similar-node-groups" => self.balance_similar_node_groups = flag.boolean()?,
            "balancing-ignore-label" => self.balancing_ignore_labels.push(value.into()),
            "balancing-label" => self.balancing_labels.push(value.into()),
            "memory-difference-ratio" => self.memory_difference_ratio = flag.number()?,
            "max-allocatable-difference-ratio" => self.max_allocatable_difference_ratio = flag.number()?,
            "max-free-difference-ratio" => self.max_free_difference_ratio = flag.number()?,
            "max-nodes-total" => self.max_nodes_total = flag.integer()?,
            "cores-total" => self.cores_total = flag.limits()?,
            "memory-total" => {
                let Limits { min, max } = flag.limits()?;
                self.memory_total_bytes =
                    Limits { min: min.saturating_mul(GIB), max: max.saturating_mul(GIB) };
            }
            "max-nodes-per-scaleup" => self.max_nodes_per_scale_up = flag.integer()?,
            "force-ds" => self.force_daemon_sets = flag.boolean()?,
            "fastpath-binpacking-enabled" => self.fastpath_binpacking = flag.boolean()?,
            "new-pod-scale-up-delay" => self.new_pod_scale_up_delay = flag.duration()?,
            "enforce-node-group-min-size" => self.enforce_node_group_min_size = flag.boolean()?,
            "expendable-pods-priority-cutoff" => self.expendable_pods_priority_cutoff = flag.integer()?,
            "ok-total-unready-count" => self.ok_total_unready_count = flag.integer()?,
            "max-total-unready-percentage" => self.max_total_unready_percentage = flag.number()?,
            "scale-down-enabled" => self.scale_down_enabled = flag.boolean()?,
            "scale-down-unready-enabled" => self.scale_down_unready_enabled = flag.boolean()?,
            "scale-down-delay-after-add" => self.scale_down_delay_after_add = flag.duration()?,
            "scale-down-delay-after-delete" => self.scale_down_delay_after_delete = flag.duration()?,
            "scale-down-delay-after-failure" => self.scale_down_delay_after_failure = flag.duration()?,
            "scale-down-delay-type-local" => self.scale_down_delay_type_local = flag.boolean()?,
            "max-scale-down-parallelism" => self.max_scale_down_parallelism = flag.integer()?,
            "max-drain-parallelism" => self.max_drain_parallelism = flag.integer()?,
            "unremovable-node-recheck-timeout" => self.unremovable_node_recheck_timeout = flag.duration()?,
            "ignore-mirror-pods-utilization" => self.ignore_mirror_pods_utilization = flag.boolean()?,
            "skip-nodes-with-system-pods" => self.skip_nodes_with_system_pods = flag.boolean()?,
            "skip-nodes-with-local-storage" => self.skip_nodes_with_local_storage = flag.boolean()?,
            "skip-nodes-with-custom-controller-pods" => {
                self.skip_nodes_with_custom_controller_pods = flag.boolean()?;
            }
            "min-replica-count" => self.min_replica_count = flag.integer()?,
            // The flag's own spelling.
            "blocking-system-pod-distruption-timeout" => {
                self.blocking_system_pod_disruption_timeout = flag.duration()?;
            }
            "initial-node-group-backoff-duration" => {
                self.initial_node_group_backoff_duration = flag.duration()?;
            }
            "max-node-group-backoff-duration" => self.max_node_group_backoff_duration = flag.duration()?,
            "node-group-backoff-reset-timeout" => self.node_group_backoff_reset_timeout = flag.duration()?,
            "max-bulk-soft-taint-count" => self.max_bulk_soft_taint_count = flag.integer()?,
            "node-delete-delay-after-taint" => self.node_delete_delay_after_taint = flag.duration()?,
            "startup-taint" | "ignore-taint" => self.startup_taints.push(value.into()),
            "startup-taint-prefix" => self.startup_taint_prefixes.push(value.into()),
            "status-taint" => self.status_taints.push(value.into()),
            "scan-interval" => self.scan_interval = flag.duration()?,
            _ => {
                let mut of_group = NodeGroupOptions::default();
                of_group.set(name, value)?;
                self.node_group_defaults = of_group.over(&self.node_group_defaults);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Expander, FlagError, Limits, NodeGroupOptions, Options};
    use karpsim::model::meta::Duration;

    #[test]
    fn flags_are_read_as_the_autoscaler_reads_them() {
        let mut options = Options::default();
        for (name, value) in [
            ("expander", "priority,least-waste"),
            ("memory-total", "2:10"),
            ("scale-down-unneeded-time", "5m"),
            ("scale-down-unready-enabled", "false"),
        ] {
            options.set(name, value).unwrap();
        }
        assert_eq!(options.expanders, [Expander::Priority, Expander::LeastWaste]);
        assert_eq!(options.memory_total_bytes, Limits { min: 2 << 30, max: 10 << 30 });
        assert_eq!(options.node_group_defaults.scale_down_unneeded_time, Duration::from_secs(300));
        assert!(!options.scale_down_unready_enabled);
    }

    #[test]
    fn what_is_no_flag_and_what_is_no_value_is_said() {
        let mut options = Options::default();
        assert_eq!(
            options.set("cloud-provider", "aws"),
            Err(FlagError::Unknown { name: "cloud-provider".to_owned() })
        );
        let error = options.set("cores-total", "10:5").unwrap_err();
        assert_eq!(error.to_string(), "flag `cores-total`: `10:5` is not a range MIN:MAX");
        assert_eq!(options, Options::default());
    }

    #[test]
    fn a_group_has_its_own_options_and_else_those_of_all() {
        let mut own = NodeGroupOptions::default();
        own.set("scale-down-utilization-threshold", "0.35").unwrap();
        let over = own.over(&Options::default().node_group_defaults);
        assert_eq!(over.scale_down_utilization_threshold, 0.35);
        assert_eq!(over.scale_down_gpu_utilization_threshold, 0.5);
        assert!(own.set("expander", "random").is_err());
    }
}
