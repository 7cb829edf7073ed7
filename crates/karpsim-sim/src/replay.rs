//! Playing a trace.

use crate::delays::{DelaySettings, Step};
use crate::error::Error;
use crate::ledger::Ledger;
use crate::result::ReplayResult;
use crate::trace::{Header, Trace, TraceEvent};
use crate::world::{Cloud, Observer, World};
use karpsim::batching::BatchWindow;
use karpsim::catalogue::Catalogue;
use karpsim::model::meta::Duration;
use karpsim::scenario::FeatureGates;
use karpsim_controller::{Binding, Calendar, Controller, Nanos, Profile, Settings};
use std::sync::Arc;

/// How a trace is played. What is `None` is as the trace says, or at its default.
#[derive(Debug, Clone, Default)]
pub struct ReplayOptions {
    /// Delays; they go before the trace's.
    pub delays: DelaySettings,
    /// What delays that vary are drawn with [default: 0].
    pub seed: Option<u64>,
    /// `--batch-idle-duration`.
    pub batch_idle: Option<Duration>,
    /// `--batch-max-duration`.
    pub batch_max: Option<Duration>,
    /// Whose timing. By itself: `karpenter-0.6` if the trace has a Provisioner.
    pub profile: Option<Profile>,
    /// Who binds. By itself: early with `karpenter-0.6`.
    pub binding: Option<Binding>,
    /// How long one simulation of consolidation is taken to last.
    pub think_time: Nanos,
    /// Where the replay stops, before the trace does.
    pub end: Option<Nanos>,
}

impl ReplayOptions {
    /// `--delays none`: nothing takes time, and a batch window closes at once.
    #[must_use]
    pub fn without_delays(mut self) -> Self {
        self.delays = DelaySettings::none();
        self.batch_idle = Some(Duration::default());
        self.batch_max = Some(Duration::default());
        self
    }
}

/// Plays a trace that is in memory.
///
/// # Errors
///
/// If something in the trace is wrong: with its place.
pub fn replay(
    trace: &Trace,
    options: &ReplayOptions,
    catalogue: Arc<Catalogue>,
) -> Result<ReplayResult, Error> {
    replay_events(&trace.header, trace.events.iter().cloned().map(Ok), options, catalogue, None)
}

/// Plays a trace whose events are read as they are needed, and shows what happens to `observer`.
///
/// # Errors
///
/// If something in the trace is wrong: with its place.
pub fn replay_events(
    header: &Header,
    events: impl Iterator<Item = Result<TraceEvent, Error>>,
    options: &ReplayOptions,
    mut catalogue: Arc<Catalogue>,
    observer: Observer<'_>,
) -> Result<ReplayResult, Error> {
    let profile = options.profile.unwrap_or(if header.has_provisioner {
        Profile::Karpenter06
    } else {
        Profile::Karpenter1
    });
    let binding = options.binding.unwrap_or(match profile {
        Profile::Karpenter06 => Binding::Early,
        Profile::Karpenter1 => Binding::Scheduler,
    });
    for share in &header.options.device_shares {
        Cloud::share_devices(&mut catalogue, &share.resource, &share.device, share.per_device);
    }
    let seed = options.seed.or(header.options.seed).unwrap_or_default();
    let delays = options.delays.or(header.options.delays).resolve(seed);
    let calendar = Calendar::new(header.start);
    let mut karpenter = header.options.karpenter.clone();
    // A NodePool with `replicas` says that this gate is on.
    let has_static = header
        .objects
        .iter()
        .map(|object| &object.value)
        .any(|object| object.pointer("/spec/replicas").is_some() && object["kind"] == "NodePool");
    if has_static && karpenter.feature_gates.static_capacity.is_none() {
        karpenter.feature_gates = FeatureGates { static_capacity: Some(true), ..karpenter.feature_gates };
    }
    let settings = Settings {
        options: karpenter,
        batch_idle: options.batch_idle.unwrap_or(BatchWindow::IDLE_DEFAULT),
        batch_max: options.batch_max.unwrap_or(BatchWindow::MAX_DEFAULT),
        profile,
        binding,
        disruption_loop_first: delays.draw(Step::DisruptionLoopFirst, "karpenter"),
        think_time: options.think_time,
    };
    let cloud = Cloud::new(catalogue, &header.options.node_resources);
    let controller = Controller::new(settings, calendar, Arc::clone(cloud.catalogue()));
    let end = match (options.end, header.end) {
        (Some(own), Some(trace)) => Some(own.min(trace)),
        (own, trace) => own.or(trace),
    };
    let mut world =
        World::new(calendar, delays, binding, end, controller, cloud, Ledger::default(), observer);
    world.set_pod_template_paths(header.pod_template_paths.clone());
    if !header.options.device_shares.is_empty() {
        world.say("deviceShares: shares are counted per node, not per device");
    }
    world.run(header.objects.clone(), events)?;
    Ok(world.finish(header.name.clone(), profile))
}
