//! Karpenter's own settings, under Karpenter's own names: as flags, as environment variables, and as the `settings:` of
//! the values of its Helm chart. A flag wins over the environment, both over the values, and all over the scenario.

use crate::failure::Failure;
use crate::flags::time::duration;
use crate::input::unpack;
use clap::Args;
use karpsim::model::meta::Duration;
use karpsim::problem::near_miss;
use karpsim::scenario::{MinValuesPolicy, Options, PreferencePolicy};
use karpsim::version::KarpenterVersion;
use karpsim::yaml;
use serde_json::Value;
use std::path::PathBuf;

/// Flags for Karpenter's settings.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Karpenter settings (these override the options in the input)")]
pub(crate) struct SettingsFlags {
    /// Which Karpenter decides: 1.14 (v1.14.1), 1.14.3 or 1.15 (v1.15.0)
    #[arg(long, value_name = "VERSION", env = "KARPENTER_VERSION", hide_env_values = true, value_parser = karpenter_version)]
    karpenter_version: Option<KarpenterVersion>,
    /// How to treat preferences: Respect or Ignore
    #[arg(long, value_name = "POLICY", env = "PREFERENCE_POLICY", hide_env_values = true, value_parser = preference_policy)]
    preference_policy: Option<PreferencePolicy>,
    /// What to do if minValues cannot be met: Strict or BestEffort
    #[arg(long, value_name = "POLICY", env = "MIN_VALUES_POLICY", hide_env_values = true, value_parser = min_values_policy)]
    min_values_policy: Option<MinValuesPolicy>,
    /// Feature gates, such as `SpotToSpotConsolidation=true,NodeOverlay=true`
    #[arg(long, value_name = "GATES", env = "FEATURE_GATES", hide_env_values = true, value_parser = gates)]
    feature_gates: Option<Gates>,
    /// Values file of Karpenter's Helm chart, to take its `settings` from
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
}

/// Flags for the batch window, which matters only where time passes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Karpenter settings (these override the options in the input)")]
pub(crate) struct BatchFlags {
    /// Maximum length of a batch window [default: 10s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "BATCH_MAX_DURATION",
        hide_env_values = true,
        value_parser = duration,
        allow_hyphen_values = true
    )]
    batch_max_duration: Option<Duration>,
    /// Time without new pods after which a batch window ends [default: 1s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "BATCH_IDLE_DURATION",
        hide_env_values = true,
        value_parser = duration,
        allow_hyphen_values = true
    )]
    batch_idle_duration: Option<Duration>,
}

impl BatchFlags {
    /// Lays the flags over what the chart's values say.
    pub(crate) fn lay_over(&self, settings: &mut Settings) {
        settings.batch_max = self.batch_max_duration.or(settings.batch_max);
        settings.batch_idle = self.batch_idle_duration.or(settings.batch_idle);
    }
}

/// Settings that override a scenario's options.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Settings {
    version: Option<KarpenterVersion>,
    preference_policy: Option<PreferencePolicy>,
    min_values_policy: Option<MinValuesPolicy>,
    gates: Vec<(Gate, bool)>,
    /// `--batch-max-duration`.
    pub(crate) batch_max: Option<Duration>,
    /// `--batch-idle-duration`.
    pub(crate) batch_idle: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Gate {
    ReservedCapacity,
    SpotToSpotConsolidation,
    NodeOverlay,
    StaticCapacity,
    NodeRepair,
    TerminateFirstDrift,
    TerminateFirstRepair,
    PodDeletionCostManagement,
    /// Of no consequence here.
    Other,
}

const GATES: [(&str, Gate); 9] = [
    ("NodeOverlay", Gate::NodeOverlay),
    ("NodeRepair", Gate::NodeRepair),
    ("PodDeletionCostManagement", Gate::PodDeletionCostManagement),
    ("ReservedCapacity", Gate::ReservedCapacity),
    ("SpotToSpotConsolidation", Gate::SpotToSpotConsolidation),
    ("StaticCapacity", Gate::StaticCapacity),
    ("TerminateFirstDrift", Gate::TerminateFirstDrift),
    ("TerminateFirstRepair", Gate::TerminateFirstRepair),
    ("CapacityBuffer", Gate::Other),
];

impl SettingsFlags {
    /// The settings that were given.
    ///
    /// # Errors
    ///
    /// If the values cannot be read.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        if let Some(path) = &self.values {
            settings.take_values(path)?;
        }
        settings.version = self.karpenter_version.or(settings.version);
        settings.preference_policy = self.preference_policy.or(settings.preference_policy);
        settings.min_values_policy = self.min_values_policy.or(settings.min_values_policy);
        settings.gates.extend(self.feature_gates.iter().flat_map(|gates| &gates.0));
        Ok(settings)
    }
}

impl Settings {
    /// Lays these settings over `options`.
    pub(crate) fn apply(&self, options: &mut Options) {
        options.karpenter_version = self.version.or(options.karpenter_version);
        options.preference_policy = self.preference_policy.or(options.preference_policy);
        options.min_values_policy = self.min_values_policy.or(options.min_values_policy);
        let gates = &mut options.feature_gates;
        for (gate, on) in &self.gates {
            match gate {
                Gate::ReservedCapacity => gates.reserved_capacity = Some(*on),
                Gate::SpotToSpotConsolidation => gates.spot_to_spot_consolidation = Some(*on),
                Gate::NodeOverlay => gates.node_overlay = Some(*on),
                Gate::StaticCapacity => gates.static_capacity = Some(*on),
                Gate::NodeRepair => gates.node_repair = Some(*on),
                Gate::TerminateFirstDrift => gates.terminate_first_drift = Some(*on),
                Gate::TerminateFirstRepair => gates.terminate_first_repair = Some(*on),
                Gate::PodDeletionCostManagement => gates.pod_deletion_cost_management = Some(*on),
                Gate::Other => {}
            }
        }
    }

    /// Takes the `settings:` of a chart's values. Settings that have no bearing on decisions are passed over.
    fn take_values(&mut self, path: &std::path::Path) -> Result<(), Failure> {
        let shown = unpack::shown(path);
        let text = unpack::text(path)?;
        let documents = yaml::documents(&text).map_err(|problem| Failure::problem(&shown, 0, &problem))?;
        let Some(settings) = documents.iter().find_map(|document| document.value.get("settings")) else {
            return Err(Failure::input(format!("{shown}: missing field `settings`"))
                .hint("expected a values file of Karpenter's Helm chart"));
        };
        let at = |name: &str| format!("{shown}: `settings.{name}`");
        let wrong = |name: &str, found: &dyn std::fmt::Display, expected: &str| {
            Failure::input(format!("{}: invalid value `{found}`: {expected}", at(name)))
        };
        let word = |name: &str| match settings.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) => Ok(Some(word.as_str())),
            Some(other) => Err(wrong(name, other, "expected a string")),
        };
        if let Some(found) = word("preferencePolicy")? {
            let policy = preference_policy(found);
            self.preference_policy =
                Some(policy.map_err(|expected| wrong("preferencePolicy", &found, &expected))?);
        }
        if let Some(found) = word("minValuesPolicy")? {
            let policy = min_values_policy(found);
            self.min_values_policy =
                Some(policy.map_err(|expected| wrong("minValuesPolicy", &found, &expected))?);
        }
        for (name, own) in
            [("batchMaxDuration", &mut self.batch_max), ("batchIdleDuration", &mut self.batch_idle)]
        {
            if let Some(found) = word(name)? {
                *own = Some(duration(found).map_err(|expected| wrong(name, &found, &expected))?);
            }
        }
        if let Some(gates) = settings.get("featureGates").and_then(Value::as_object) {
            for (name, on) in gates {
                // The chart writes `nodeOverlay`, the flag `NodeOverlay`.
                let mut letters = name.chars();
                let name: String =
                    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
                let gate = gate(&name).map_err(|expected| wrong("featureGates", &name, &expected))?;
                let on = on.as_bool();
                let on = on.ok_or_else(|| wrong("featureGates", &name, "expected true or false"))?;
                self.gates.push((gate, on));
            }
        }
        Ok(())
    }
}

fn karpenter_version(word: &str) -> Result<KarpenterVersion, String> {
    let known = KarpenterVersion::WORDS;
    KarpenterVersion::named(word).ok_or_else(|| {
        expected(&format!("one of {}", known.join(", ")), near_miss(word, known.iter().copied()))
    })
}

fn preference_policy(word: &str) -> Result<PreferencePolicy, String> {
    let policies = [PreferencePolicy::Respect, PreferencePolicy::Ignore];
    policies.into_iter().find(|policy| policy.as_str() == word).ok_or_else(|| {
        expected("Respect or Ignore", near_miss(word, PreferencePolicy::WORDS.iter().copied()))
    })
}

fn min_values_policy(word: &str) -> Result<MinValuesPolicy, String> {
    let policies = [MinValuesPolicy::Strict, MinValuesPolicy::BestEffort];
    policies.into_iter().find(|policy| policy.as_str() == word).ok_or_else(|| {
        expected("Strict or BestEffort", near_miss(word, MinValuesPolicy::WORDS.iter().copied()))
    })
}

/// Feature gates in the order in which they were given.
#[derive(Debug, Clone)]
struct Gates(Vec<(Gate, bool)>);

fn gates(list: &str) -> Result<Gates, String> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    let gate = |item: &str| match item.split_once('=') {
        Some((name, "true")) => Ok((gate(name)?, true)),
        Some((name, "false")) => Ok((gate(name)?, false)),
        _ => Err(format!("expected NAME=true or NAME=false, not `{item}`")),
    };
    items.map(gate).collect::<Result<_, _>>().map(Gates)
}

fn gate(name: &str) -> Result<Gate, String> {
    GATES.iter().find(|(known, _)| *known == name).map(|(_, gate)| *gate).ok_or_else(|| {
        let names = GATES.map(|(name, _)| name);
        expected(&format!("one of the feature gates {}", names.join(", ")), near_miss(name, names))
    })
}

fn expected(what: &str, near: Option<&str>) -> String {
    match near {
        Some(near) => format!("expected {what}; did you mean `{near}`?"),
        None => format!("expected {what}"),
    }
}
