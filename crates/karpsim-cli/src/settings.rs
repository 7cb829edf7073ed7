//! Karpenter's own settings, under Karpenter's own names: as flags, as environment variables, and as the `settings:` of
//! the values of its Helm chart. A flag wins over the environment, both over the values, and all over the scenario.

use crate::failure::Failure;
use crate::unpack;
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
#[command(next_help_heading = "Karpenter's settings (they override the scenario's options)")]
pub(crate) struct SettingsFlags {
    /// Which Karpenter decides: 1.14 (v1.14.1), 1.14.3 or 1.15 (v1.15.0)
    #[arg(long, value_name = "VERSION", env = "KARPENTER_VERSION", hide_env_values = true)]
    karpenter_version: Option<String>,
    /// How preferences are treated: Respect or Ignore
    #[arg(long, value_name = "POLICY", env = "PREFERENCE_POLICY", hide_env_values = true)]
    preference_policy: Option<String>,
    /// What happens when minValues cannot be met: Strict or BestEffort
    #[arg(long, value_name = "POLICY", env = "MIN_VALUES_POLICY", hide_env_values = true)]
    min_values_policy: Option<String>,
    /// Feature gates, as `SpotToSpotConsolidation=true,NodeOverlay=true`
    #[arg(long, value_name = "GATES", env = "FEATURE_GATES", hide_env_values = true)]
    feature_gates: Option<String>,
    /// Values of Karpenter's Helm chart, whose `settings:` are taken
    #[arg(long, value_name = "FILE")]
    values: Option<PathBuf>,
}

/// Flags for the batch window, which matters only where time passes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Karpenter's settings (they override the scenario's options)")]
pub(crate) struct BatchFlags {
    /// How long a batch window lasts at most [default: 10s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "BATCH_MAX_DURATION",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    batch_max_duration: Option<String>,
    /// How long no pod may come for a batch window to end [default: 1s]
    #[arg(
        long,
        value_name = "DURATION",
        env = "BATCH_IDLE_DURATION",
        hide_env_values = true,
        allow_hyphen_values = true
    )]
    batch_idle_duration: Option<String>,
}

impl BatchFlags {
    /// Lays the flags over what the chart's values say.
    ///
    /// # Errors
    ///
    /// If one is no duration.
    pub(crate) fn lay_over(&self, settings: &mut Settings) -> Result<(), Failure> {
        if let Some(text) = &self.batch_max_duration {
            settings.batch_max = Some(duration(text, "--batch-max-duration")?);
        }
        if let Some(text) = &self.batch_idle_duration {
            settings.batch_idle = Some(duration(text, "--batch-idle-duration")?);
        }
        Ok(())
    }
}

/// A Go duration that is not negative.
pub(crate) fn duration(text: &str, place: &str) -> Result<Duration, Failure> {
    Duration::parse(text)
        .filter(|duration| duration.nanos >= 0)
        .ok_or_else(|| wrong(place, text, "a duration such as 10s, 1m30s or 0s", None))
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
    /// If a word is none of Karpenter's, or the values cannot be read.
    pub(crate) fn settings(&self) -> Result<Settings, Failure> {
        let mut settings = Settings::default();
        if let Some(path) = &self.values {
            settings.take_values(path)?;
        }
        if let Some(word) = &self.karpenter_version {
            settings.version = Some(version(word, "--karpenter-version")?);
        }
        if let Some(word) = &self.preference_policy {
            settings.preference_policy = Some(preference_policy(word, "--preference-policy")?);
        }
        if let Some(word) = &self.min_values_policy {
            settings.min_values_policy = Some(min_values_policy(word, "--min-values-policy")?);
        }
        if let Some(list) = &self.feature_gates {
            for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
                let (name, on) = item.split_once('=').unwrap_or((item, ""));
                let on = match on {
                    "true" => true,
                    "false" => false,
                    _ => return Err(wrong("--feature-gates", item, "NAME=true or NAME=false", None)),
                };
                settings.gates.push((gate(name, "--feature-gates")?, on));
            }
        }
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
            return Err(Failure::input(format!("{shown}: there is no `settings:`"))
                .hint("the values of Karpenter's Helm chart have one at the top"));
        };
        let at = |name: &str| format!("{shown}: `settings.{name}`");
        let word = |name: &str| match settings.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(word)) => Ok(Some(word.as_str())),
            Some(other) => Err(wrong(&at(name), &other.to_string(), "a word", None)),
        };
        if let Some(found) = word("preferencePolicy")? {
            self.preference_policy = Some(preference_policy(found, &at("preferencePolicy"))?);
        }
        if let Some(found) = word("minValuesPolicy")? {
            self.min_values_policy = Some(min_values_policy(found, &at("minValuesPolicy"))?);
        }
        if let Some(found) = word("batchMaxDuration")? {
            self.batch_max = Some(duration(found, &at("batchMaxDuration"))?);
        }
        if let Some(found) = word("batchIdleDuration")? {
            self.batch_idle = Some(duration(found, &at("batchIdleDuration"))?);
        }
        if let Some(gates) = settings.get("featureGates").and_then(Value::as_object) {
            for (name, on) in gates {
                // The chart writes `nodeOverlay`, the flag `NodeOverlay`.
                let mut letters = name.chars();
                let name: String =
                    letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
                let gate = gate(&name, &at("featureGates"))?;
                let on = on
                    .as_bool()
                    .ok_or_else(|| wrong(&at("featureGates"), &on.to_string(), "true or false", None))?;
                self.gates.push((gate, on));
            }
        }
        Ok(())
    }
}

fn version(word: &str, place: &str) -> Result<KarpenterVersion, Failure> {
    KarpenterVersion::named(word).ok_or_else(|| {
        let known = KarpenterVersion::WORDS;
        wrong(place, word, &format!("one of {}", known.join(", ")), near_miss(word, known.iter().copied()))
    })
}

fn preference_policy(word: &str, place: &str) -> Result<PreferencePolicy, Failure> {
    [PreferencePolicy::Respect, PreferencePolicy::Ignore]
        .into_iter()
        .find(|policy| policy.as_str() == word)
        .ok_or_else(|| {
            wrong(place, word, "Respect or Ignore", near_miss(word, PreferencePolicy::WORDS.iter().copied()))
        })
}

fn min_values_policy(word: &str, place: &str) -> Result<MinValuesPolicy, Failure> {
    [MinValuesPolicy::Strict, MinValuesPolicy::BestEffort]
        .into_iter()
        .find(|policy| policy.as_str() == word)
        .ok_or_else(|| {
            wrong(
                place,
                word,
                "Strict or BestEffort",
                near_miss(word, MinValuesPolicy::WORDS.iter().copied()),
            )
        })
}

fn gate(name: &str, place: &str) -> Result<Gate, Failure> {
    GATES.iter().find(|(known, _)| *known == name).map(|(_, gate)| *gate).ok_or_else(|| {
        let names = GATES.map(|(name, _)| name);
        wrong(place, name, &format!("one of {}", names.join(", ")), near_miss(name, names))
    })
}

fn wrong(place: &str, found: &str, allowed: &str, near: Option<&str>) -> Failure {
    let failure = Failure::input(format!("{place}: found `{found}`, allowed is {allowed}"));
    match near {
        Some(near) => failure.hint(format!("did you mean `{near}`?")),
        None => failure,
    }
}
