//! Playing a trace.

use crate::delays::{DelaySettings, Step};
use crate::error::Error;
use crate::result::ReplayResult;
use crate::trace::{Header, Trace, TraceEvent};
use crate::world::{self, Cloud, NodeNames, Observer, World};
use karpsim::batching::BatchWindow;
use karpsim::catalogue::Catalogue;
use karpsim::model::meta::Duration;
use karpsim_controller::{Binding, Calendar, Controller, Nanos, NodeClaimNames, Profile, Settings};
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
    /// How the NodeClaims and nodes that the replay makes are called.
    pub names: Names,
}

/// How the NodeClaims and nodes that a replay makes are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Names {
    /// NodeClaims are `POOL-1`, `POOL-2`, …, and nodes are called as their NodeClaims: easy to read.
    #[default]
    Numbered,
    /// As in a real cluster: NodeClaims as the API server names them (`POOL-x7k2p`), nodes as their provider does
    /// (`ip-10-0-1-2.us-west-2.compute.internal`). What is random is drawn with the seed.
    Realistic,
    /// Numbered, and the nodes have something behind that.
    #[cfg(test)]
    NodesWithSuffix(&'static str),
}

impl Names {
    fn of_node_claims(self, seed: u64) -> NodeClaimNames {
        match self {
            Names::Realistic => NodeClaimNames::Generated { seed },
            _ => NodeClaimNames::Numbered,
        }
    }

    fn of_nodes(self, seed: u64, catalogue: &Catalogue) -> NodeNames {
        match self {
            Names::Numbered => NodeNames::AsNodeClaim,
            Names::Realistic => NodeNames::AsProvider {
                provider: catalogue.provider.clone(),
                region: catalogue.region.clone(),
                seed,
            },
            #[cfg(test)]
            Names::NodesWithSuffix(suffix) => NodeNames::WithSuffix(suffix),
        }
    }
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
    let karpenter = header.options.karpenter.clone();
    let feature_gates = karpenter.feature_gates.clone();
    let settings = Settings {
        options: karpenter,
        batch_idle: options.batch_idle.unwrap_or(BatchWindow::IDLE_DEFAULT),
        batch_max: options.batch_max.unwrap_or(BatchWindow::MAX_DEFAULT),
        profile,
        binding,
        disruption_loop_first: delays.draw(Step::DisruptionLoopFirst, "karpenter"),
        node_claim_names: options.names.of_node_claims(seed),
        think_time: options.think_time,
    };
    let cloud = Cloud::new(catalogue, &header.options.node_resources);
    let controller = Controller::new(settings, calendar, Arc::clone(cloud.catalogue()));
    let end = match (options.end, header.end) {
        (Some(own), Some(trace)) => Some(own.min(trace)),
        (own, trace) => own.or(trace),
    };
    let settings = world::Settings {
        calendar,
        delays,
        binding,
        end,
        feature_gates,
        node_names: options.names.of_nodes(seed, cloud.catalogue()),
        pod_template_paths: header.pod_template_paths.clone(),
    };
    let mut world = World::new(settings, controller, cloud, observer);
    if !header.options.device_shares.is_empty() {
        world.say("deviceShares: shares are counted per node, not per device");
    }
    world.run(header.objects.clone(), events)?;
    Ok(world.finish(header.name.clone(), profile))
}

#[cfg(test)]
mod tests {
    use super::{Names, ReplayOptions, replay_events};
    use crate::log::LogEvent;
    use crate::trace::Trace;
    use std::path::Path;
    use std::sync::Arc;

    /// What a replay of a recorded run gives and logs, as text.
    fn told(run: &str, names: Names) -> String {
        let file = format!("{}/../../data/traces/e2e/{run}.trace.json", env!("CARGO_MANIFEST_DIR"));
        let trace = Trace::read(std::fs::read(Path::new(&file)).expect(&file).as_slice()).unwrap();
        let catalogue = Arc::new(trace.header.catalogue.resolve(None));
        assert!(!catalogue.instance_types.is_empty(), "{run} brings its catalogue");
        let mut text = String::new();
        let mut log = |event: &LogEvent| text += &(serde_json::to_string(event).unwrap() + "\n");
        let options = ReplayOptions { names, ..ReplayOptions::default() };
        let events = trace.events.iter().cloned().map(Ok);
        let result = replay_events(&trace.header, events, &options, catalogue, Some(&mut log)).unwrap();
        text + &serde_json::to_string_pretty(&result).unwrap()
    }

    #[test]
    fn the_names_of_nodes_decide_nothing_in_recorded_runs() {
        for run in ["consolidate-blind", "drift", "expire", "jobs", "pdb", "resnet"] {
            // `!` sorts before whatever a name may hold, so the order of names, which breaks ties, stays.
            let renamed = told(run, Names::NodesWithSuffix("!node"));
            assert!(renamed.contains("-1!node\""), "{run}");
            assert_eq!(renamed.replace("!node", ""), told(run, Names::Numbered), "{run}");
        }
    }
}
