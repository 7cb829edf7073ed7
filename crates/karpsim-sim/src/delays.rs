//! How long things take in the world.

use crate::error::Error;
use crate::trace::seconds;
use karpsim::api::problem::near_miss;
use karpsim_controller::{Nanos, SECOND};
use serde_json::Value;

/// Delays, each in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    /// NodeClaim created → launched.
    pub launch: Nanos,
    /// Launched → the node exists and is registered.
    pub node_created: Nanos,
    /// Node exists → ready; pods bind then.
    pub node_ready: Nanos,
    /// Ready → initialized.
    pub node_initialized: Nanos,
    /// The later of bound and node ready → running and ready.
    pub pod_start: Nanos,
    /// Deletion → gone, whatever the grace period.
    pub pod_stop: Nanos,
    /// The cloud's "terminate" → gone.
    pub instance_terminate: Nanos,
    /// First pass of the disruption loop.
    pub disruption_loop_first: Nanos,
}

impl Default for Delays {
    /// What an EC2 node takes as a rule: 2 s to be launched, 25 s until its kubelet is there, 12 s until it is ready
    /// and 2 s until it is initialized; a pod starts in 3 s and stops in 1 s; an instance ends in 30 s. The disruption
    /// loop begins at 10 s.
    fn default() -> Self {
        Delays {
            launch: 2 * SECOND,
            node_created: 25 * SECOND,
            node_ready: 12 * SECOND,
            node_initialized: 2 * SECOND,
            pod_start: 3 * SECOND,
            pod_stop: SECOND,
            instance_terminate: 30 * SECOND,
            disruption_loop_first: 10 * SECOND,
        }
    }
}

/// Delays of which some are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelaySettings {
    set: [Option<Nanos>; NAMES.len()],
}

/// Names, in the order of the fields of [`Delays`].
const NAMES: [&str; 8] = [
    "launch",
    "nodeCreated",
    "nodeReady",
    "nodeInitialized",
    "podStart",
    "podStop",
    "instanceTerminate",
    "disruptionLoopFirst",
];

impl DelaySettings {
    /// The names that can be set.
    pub const NAMES: [&'static str; 8] = NAMES;

    /// All are nothing.
    pub fn none() -> Self {
        DelaySettings { set: [Some(0); NAMES.len()] }
    }

    /// Sets one by name.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn set(&mut self, name: &str, delay: Nanos) -> Result<(), Error> {
        match NAMES.iter().position(|known| *known == name) {
            Some(place) => {
                self.set[place] = Some(delay);
                Ok(())
            }
            None => {
                let hint = match near_miss(name, NAMES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known here: {}", NAMES.map(|name| format!("`{name}`")).join(", ")),
                };
                Err(Error::new(name, "unknown delay").hint(Some(hint)))
            }
        }
    }

    /// Reads an object of seconds by name.
    pub(crate) fn read(value: Value) -> Result<Self, Error> {
        let Value::Object(map) = value else {
            return Err(Error::new("", "allowed is an object of seconds by name"));
        };
        let mut settings = DelaySettings::default();
        for (name, value) in map {
            let delay =
                seconds::parse(&value.to_string()).map_err(|message| Error::new(name.as_str(), message))?;
            settings.set(&name, delay)?;
        }
        Ok(settings)
    }

    /// These, and where nothing is set, those of `other`.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let mut set = self.set;
        for (own, other) in set.iter_mut().zip(other.set) {
            *own = own.or(other);
        }
        DelaySettings { set }
    }

    /// These, and where nothing is set, the defaults.
    pub fn resolve(&self) -> Delays {
        let defaults = Delays::default();
        let [launch, created, ready, initialized, start, stop, terminate, first] = self.set;
        Delays {
            launch: launch.unwrap_or(defaults.launch),
            node_created: created.unwrap_or(defaults.node_created),
            node_ready: ready.unwrap_or(defaults.node_ready),
            node_initialized: initialized.unwrap_or(defaults.node_initialized),
            pod_start: start.unwrap_or(defaults.pod_start),
            pod_stop: stop.unwrap_or(defaults.pod_stop),
            instance_terminate: terminate.unwrap_or(defaults.instance_terminate),
            disruption_loop_first: first.unwrap_or(defaults.disruption_loop_first),
        }
    }
}
