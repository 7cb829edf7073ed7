//! How traces are played: the flags that `replay` and `whatif` share.

use crate::failure::Failure;
use crate::flags::SourceFlags;
use crate::flags::settings::{BatchFlags, Settings, SettingsFlags};
use crate::flags::time::duration;
use crate::input::overlay::{self, OverlaidCatalogues};
use crate::input::sources::Sources;
use clap::{Args, ValueEnum};
use karpsim::catalogue::CatalogueReference;
use karpsim::input;
use karpsim::model::meta::Duration;
use karpsim::problem::near_miss;
use karpsim::scenario::Options;
use karpsim_controller::{Binding, Profile};
use karpsim_sim::layers::Layers;
use karpsim_sim::overlay::TraceOverlays;
use karpsim_sim::{Delay, DelaySettings, Names, ReplayOptions};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Flags for playing a trace.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct PlayFlags {
    #[command(flatten)]
    source: SourceFlags,
    /// Overlay to apply to the trace: another Trace (objects, events, prices), a CatalogueOverlay (discounts,
    /// reservations, GPU sharing), or the output of `aws ec2 describe-spot-price-history`; repeatable
    #[arg(long, value_name = "FILE")]
    overlay: Vec<PathBuf>,
    /// Delays of the simulated cloud and cluster: `none`, or a list such as `launch=3s,nodeReady=10s..40s`; each node
    /// draws its own delay from a range; repeatable
    #[arg(long, value_name = "NAME=DURATION,…")]
    delays: Vec<String>,
    /// Seed for delays that are drawn from a range, and for realistic names [default: 0]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Names of new NodeClaims and nodes [default: numbered]
    #[arg(long, value_name = "STYLE")]
    names: Option<NamesWord>,
    /// When pods are bound to new nodes: early (by Karpenter, at launch) or by kube-scheduler once the node is ready
    /// [default: depends on the profile]
    #[arg(long, value_name = "WHO")]
    binding: Option<BindingWord>,
    /// Karpenter version whose timing to follow [default: karpenter-0.6 if the trace has a Provisioner, else karpenter-1]
    #[arg(long, value_name = "VERSION")]
    profile: Option<ProfileWord>,
    /// Time that Karpenter takes for one consolidation simulation [default: 0s]
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    think_time: Option<Duration>,
    /// Stop this long after the start of the trace
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true)]
    end: Option<Duration>,
    #[command(flatten)]
    settings: SettingsFlags,
    #[command(flatten)]
    batch: BatchFlags,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum NamesWord {
    /// NodeClaims are POOL-1, POOL-2, …, and nodes have the names of their NodeClaims
    Numbered,
    /// As in a real cluster: NodeClaims such as POOL-x7k2p, nodes with the names that their provider gives
    Realistic,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BindingWord {
    Early,
    Scheduler,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ProfileWord {
    #[value(name = "karpenter-0.6")]
    Karpenter06,
    #[value(name = "karpenter-1")]
    Karpenter1,
}

/// What the flags say.
pub(crate) struct Play {
    options: ReplayOptions,
    settings: Settings,
    overlays: TraceOverlays,
    /// The catalogue overlays among them, as they are applied.
    overlaid: Arc<OverlaidCatalogues>,
    sources: Sources,
}

impl PlayFlags {
    /// What the flags say about the trace in `file`.
    ///
    /// # Errors
    ///
    /// If one of them is wrong.
    pub(crate) fn play(&self, file: &Path) -> Result<Play, Failure> {
        let mut settings = self.settings.settings()?;
        self.batch.lay_over(&mut settings);
        let mut options = ReplayOptions {
            batch_max: settings.batch_max,
            batch_idle: settings.batch_idle,
            seed: self.seed,
            names: match self.names {
                Some(NamesWord::Realistic) => Names::Realistic,
                Some(NamesWord::Numbered) | None => Names::Numbered,
            },
            binding: self.binding.map(|word| match word {
                BindingWord::Early => Binding::Early,
                BindingWord::Scheduler => Binding::Scheduler,
            }),
            profile: self.profile.map(|word| match word {
                ProfileWord::Karpenter06 => Profile::Karpenter06,
                ProfileWord::Karpenter1 => Profile::Karpenter1,
            }),
            end: self.end.map(|end| end.nanos),
            think_time: self.think_time.unwrap_or_default().nanos,
            ..ReplayOptions::default()
        };
        for item in self.delays.iter().flat_map(|list| list.split(',')).map(str::trim) {
            if item == "none" {
                options = ReplayOptions {
                    batch_max: settings.batch_max.or(Some(Duration::default())),
                    batch_idle: settings.batch_idle.or(Some(Duration::default())),
                    ..options.without_delays()
                };
            } else {
                options.delays = delay(item)?.or(options.delays);
            }
        }
        let overlays = overlay::of_trace(&self.overlay)?;
        let overlaid = Arc::new(OverlaidCatalogues::new(overlays.catalogue.clone()));
        let sources = self.source.sources(file, Arc::clone(&overlaid))?;
        Ok(Play { options, settings, overlays, overlaid, sources })
    }
}

/// `NAME=DURATION`.
fn delay(item: &str) -> Result<DelaySettings, Failure> {
    let mut settings = DelaySettings::default();
    let Some((name, text)) = item.split_once('=') else {
        let failure =
            Failure::input(format!("--delays: invalid value `{item}`: expected `none` or NAME=DURATION"));
        return Err(failure.hint(
            match near_miss(item, std::iter::once("none").chain(DelaySettings::NAMES)) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known delays: {}", DelaySettings::NAMES.join(", ")),
            },
        ));
    };
    let nanos = |text: &str| match duration(text) {
        Ok(duration) => Ok(duration.nanos),
        Err(expected) => Err(Failure::input(format!("--delays {name}: invalid value `{text}`: {expected}"))),
    };
    let delay = match text.split_once("..") {
        None => Delay::fixed(nanos(text)?),
        Some((min, max)) => Delay::range(nanos(min)?, nanos(max)?).ok_or_else(|| {
            Failure::input(format!(
                "--delays {name}: invalid value `{text}`: the range ends before it starts"
            ))
            .hint(format!("did you mean `{max}..{min}`?"))
        })?,
    };
    settings.set(name, delay).map_err(|error| {
        Failure::input(format!("--delays: {} `{name}`", error.message)).maybe_hint(error.hint)
    })?;
    Ok(settings)
}

impl Play {
    /// What is laid over the trace, given to `play`.
    pub(crate) fn with_layers<T>(&self, play: impl FnOnce(&Layers<'_>) -> T) -> T {
        let catalogue = |reference: &CatalogueReference| input::resolve(reference, &self.sources);
        let settings = |options: &mut Options| self.settings.apply(options);
        play(&Layers {
            overlays: &self.overlays,
            options: &self.options,
            settings: &settings,
            catalogue: &catalogue,
        })
    }

    /// Remarks on overlays that have nothing to do with the trace that was played.
    pub(crate) fn remarks(&self) -> Vec<String> {
        self.overlaid.remarks()
    }
}
