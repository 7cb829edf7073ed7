//! Why a sync does less than it should, as facts; rendered in the words of kube-controller-manager.

use crate::metrics::Unavailable;
use crate::spec::{MetricSpec, ResourceTarget, ValueTarget};
use karpsim::model::meta::{LabelSelector, SelectorOperator, Str};
use std::fmt;

/// What a sync ends with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The target has no scale.
    #[error("{0}")]
    Scale(ScaleError),
    /// It is not known which pods are meant.
    #[error("failed to compute desired number of replicas based on listed metrics for {reference}: {error}")]
    Selector {
        /// The target, as `Deployment/default/web`.
        reference: String,
        /// What is wrong.
        error: SelectorError,
    },
    /// Metrics failed: all of them, or some while the others ask for fewer replicas. Nothing is changed.
    #[error("failed to compute desired number of replicas based on listed metrics for {reference}: {failed}")]
    Metrics {
        /// The target, as `Deployment/default/web`.
        reference: String,
        /// Which.
        failed: FailedMetrics,
    },
    /// Metrics failed, and the others decided.
    #[error("{0}")]
    SomeMetrics(FailedMetrics),
}

/// Metrics that failed in one sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedMetrics {
    /// How many.
    pub invalid: usize,
    /// Of how many.
    pub total: usize,
    /// The first of them.
    pub first: MetricError,
}

impl fmt::Display for FailedMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailedMetrics { invalid, total, first } = self;
        write!(f, "invalid metrics ({invalid} invalid out of {total}), first error is: {first}")
    }
}

/// Why the target's scale could not be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ScaleError {
    /// No such kind can be scaled.
    #[error("unable to determine resource for scale target reference: {message}")]
    UnknownKind {
        /// What the API server says.
        message: String,
    },
    /// There is no such object.
    #[error("failed to query scale subresource for {reference}: {message}")]
    NotFound {
        /// The target, as `Deployment/default/web`.
        reference: String,
        /// What the API server says.
        message: String,
    },
}

impl ScaleError {
    pub(crate) fn message(&self) -> &str {
        match self {
            ScaleError::UnknownKind { message } | ScaleError::NotFound { message, .. } => message,
        }
    }
}

/// Why it is not known which pods are the target's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SelectorError {
    /// The scale has no selector.
    #[error("selector is required")]
    Missing,
    /// The scale's selector cannot be read.
    #[error("couldn't convert selector into a corresponding internal selector object: {message}")]
    Invalid {
        /// Why not.
        message: String,
    },
    /// Some of the pods are another autoscaler's too.
    #[error("pods by selector {selector} are controlled by multiple HPAs: [{}]", .autoscalers.join(" "))]
    Ambiguous {
        /// The scale's selector.
        selector: String,
        /// The autoscalers, as `default/web`.
        autoscalers: Vec<String>,
    },
}

/// Why one metric proposes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetricError {
    /// The metric.
    pub metric: MetricSpec,
    /// Namespace of the autoscaler.
    pub namespace: Str,
    /// What failed.
    pub cause: MetricErrorCause,
}

/// What failed of a metric.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MetricErrorCause {
    /// The metrics API lists nothing.
    NoMetrics,
    /// The metrics API cannot be asked.
    Unavailable(Unavailable),
    /// The metric's selector cannot be used.
    InvalidSelector(SelectorFault),
    /// The selector finds no pod.
    NoPods,
    /// No pod has a sample that counts.
    NoSamples,
    /// A pod lacks a request.
    Request(MissingRequest),
    /// All pods with samples request nothing.
    NothingRequested,
    /// The target has no amount, or an Object metric's target none that fits its type.
    NoTarget,
}

/// A pod without the request that utilization needs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MissingRequest {
    /// A container lacks it.
    #[error("missing request for {resource} in container {container} of Pod {pod}")]
    OfContainer {
        /// The resource.
        resource: Str,
        /// The container.
        container: Str,
        /// The pod.
        pod: Str,
    },
    /// The pod has requests of its own, but not this one.
    #[error("missing pod-level request for {resource} in Pod {pod}")]
    OfPod {
        /// The resource.
        resource: Str,
        /// The pod.
        pod: Str,
    },
    /// The pod has no such container.
    #[error("container {container} not found in Pod {pod}")]
    NoContainer {
        /// The container.
        container: Str,
        /// The pod.
        pod: Str,
    },
}

/// What is wrong with an expression of a metric's selector.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SelectorFault {
    /// Operator In or NotIn without values.
    NoValues,
    /// Operator Exists or DoesNotExist with values.
    Values(Vec<Str>),
    /// No operator.
    NoOperator,
}

impl SelectorFault {
    /// The first that is wrong with `selector`.
    pub(crate) fn of(selector: Option<&LabelSelector>) -> Option<Self> {
        selector?.match_expressions.iter().find_map(|expression| match expression.operator {
            None => Some(SelectorFault::NoOperator),
            Some(SelectorOperator::In | SelectorOperator::NotIn) => {
                expression.values.is_empty().then_some(SelectorFault::NoValues)
            }
            Some(SelectorOperator::Exists | SelectorOperator::DoesNotExist) => {
                (!expression.values.is_empty()).then(|| SelectorFault::Values(expression.values.clone()))
            }
        })
    }
}

impl fmt::Display for SelectorFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SelectorFault::NoValues => f.write_str(
                "values: Invalid value: null: for 'in', 'notin' operators, values set can't be empty",
            ),
            SelectorFault::Values(values) => {
                let values: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
                let values = values.join(",");
                write!(
                    f,
                    "values: Invalid value: [{values}]: values set must be empty for exists and does not exist"
                )
            }
            SelectorFault::NoOperator => f.write_str("\"\" is not a valid label selector operator"),
        }
    }
}

impl MetricError {
    /// The reason of the condition ScalingActive.
    pub fn reason(&self) -> &'static str {
        match self.metric {
            MetricSpec::Resource { .. } => "FailedGetResourceMetric",
            MetricSpec::ContainerResource { .. } => "FailedGetContainerResourceMetric",
            MetricSpec::Pods { .. } => "FailedGetPodsMetric",
            MetricSpec::Object { .. } => "FailedGetObjectMetric",
            MetricSpec::External { .. } => "FailedGetExternalMetric",
        }
    }

    /// What stands in the condition's message: less than in the error.
    pub(crate) fn in_condition(&self) -> String {
        match &self.metric {
            MetricSpec::Resource { name, target: Some(target) }
            | MetricSpec::ContainerResource { name, target: Some(target), .. } => {
                let measure = match target {
                    ResourceTarget::AverageUtilization { .. } => "utilization",
                    ResourceTarget::AverageValue { .. } => "usage",
                };
                format!("failed to get {name} {measure}: {}", self.cause())
            }
            _ => self.cause(),
        }
    }

    fn cause(&self) -> String {
        match &self.cause {
            MetricErrorCause::NoMetrics => self.not_had(&format!("no metrics returned from {}", self.api())),
            MetricErrorCause::Unavailable(Unavailable { message }) => {
                let separator = if message.is_empty() { "" } else { ": " };
                self.not_had(&format!("unable to fetch metrics from {}{separator}{message}", self.api()))
            }
            MetricErrorCause::InvalidSelector(fault) => fault.to_string(),
            MetricErrorCause::NoPods => {
                let what = match self.metric {
                    MetricSpec::Object { .. } | MetricSpec::External { .. } => "unable to calculate ready pods: ",
                    _ => "",
                };
                format!("{what}no pods returned by selector while calculating replica count")
            }
            MetricErrorCause::NoSamples => {
                "did not receive metrics for targeted pods (pods might be unready)".to_owned()
            }
            MetricErrorCause::Request(missing) => missing.to_string(),
            MetricErrorCause::NothingRequested => "no metrics returned matched known pods".to_owned(),
            MetricErrorCause::NoTarget => match self.metric {
                MetricSpec::Resource { .. } | MetricSpec::ContainerResource { .. } => {
                    "invalid resource metric source: neither an average utilization target nor an average value (usage) target was set"
                        .to_owned()
                }
                MetricSpec::Object { .. } => no_value_target("object"),
                MetricSpec::Pods { .. } | MetricSpec::External { .. } => no_value_target("external"),
            },
        }
    }

    fn api(&self) -> &'static str {
        match self.metric {
            MetricSpec::Resource { .. } | MetricSpec::ContainerResource { .. } => "resource metrics API",
            MetricSpec::Pods { .. } | MetricSpec::Object { .. } => "custom metrics API",
            MetricSpec::External { .. } => "external metrics API",
        }
    }

    fn not_had(&self, why: &str) -> String {
        match &self.metric {
            MetricSpec::Resource { name, .. } | MetricSpec::ContainerResource { name, .. } => {
                format!("unable to get metrics for resource {name}: {why}")
            }
            MetricSpec::Pods { metric, .. } => format!("unable to get metric {}: {why}", metric.name),
            // The order of the parts is Kubernetes' own.
            MetricSpec::Object { metric, described_object, .. } => format!(
                "unable to get metric {}: {} on {} {}/{why}",
                metric.name, described_object.kind, self.namespace, described_object.name
            ),
            MetricSpec::External { metric, .. } => format!(
                "unable to get external metric {}/{}/{}: {why}",
                self.namespace,
                metric.name,
                shown_selector(metric.selector.as_ref())
            ),
        }
    }
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.in_condition();
        let is_of_selector = matches!(self.cause, MetricErrorCause::InvalidSelector(_));
        match &self.metric {
            MetricSpec::Resource { name, .. } => {
                write!(f, "failed to get {name} resource metric value: {inner}")
            }
            MetricSpec::ContainerResource { container, .. } => {
                write!(f, "failed to get {container} container metric value: {inner}")
            }
            MetricSpec::Pods { .. } => write!(f, "failed to get pods metric value: {inner}"),
            MetricSpec::Object { metric, target, .. } => {
                f.write_str("failed to get object metric value: ")?;
                if matches!(target, Some(ValueTarget::AverageValue { .. })) && !is_of_selector {
                    write!(f, "failed to get {} object metric: ", metric.name)?;
                }
                f.write_str(&inner)
            }
            MetricSpec::External { metric, target } => {
                write!(f, "failed to get {} external metric value: ", metric.name)?;
                match target {
                    Some(ValueTarget::AverageValue { .. }) => {
                        write!(f, "failed to get {} external metric: {inner}", metric.name)
                    }
                    Some(ValueTarget::Value { .. }) => {
                        write!(f, "failed to get external metric {}: {inner}", metric.name)
                    }
                    None => f.write_str(&inner),
                }
            }
        }
    }
}

impl std::error::Error for MetricError {}

fn no_value_target(source: &str) -> String {
    format!("invalid {source} metric source: neither a value target nor an average value target was set")
}

/// A selector as Kubernetes prints it into its messages.
pub(crate) fn shown_selector(selector: Option<&LabelSelector>) -> String {
    let Some(selector) = selector else { return "nil".to_owned() };
    let labels: String =
        selector.match_labels.iter().map(|(key, value)| format!("{key}: {value},")).collect();
    let expression = |expression: &karpsim::model::meta::LabelSelectorRequirement| {
        let operator = expression.operator.map_or("", SelectorOperator::as_str);
        let values = expression.values.join(" ");
        let key = &expression.key;
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
    };
    let expressions: String = selector.match_expressions.iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )
}
