//! How long things take in the world: always the same, or drawn from a range.
//!
//! A draw is a function of the seed, the step and whose step it is, not the next number of a stream: what one node draws
//! does not depend on what others drew before. So variants of a trace differ in what they change, not in their luck.

use crate::error::Error;
use crate::trace::fields::Fields;
use crate::trace::seconds;
use karpsim::problem::near_miss;
use karpsim_controller::{Nanos, SECOND, draw};
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// What takes time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// NodeClaim created → launched.
    Launch,
    /// Launched → the node exists and is registered.
    NodeCreated,
    /// Node exists → ready; pods bind then.
    NodeReady,
    /// Ready → initialized.
    NodeInitialized,
    /// The later of bound and node ready → running and ready.
    PodStart,
    /// Deletion → gone, whatever the grace period.
    PodStop,
    /// The cloud's "terminate" → gone.
    InstanceTerminate,
    /// First pass of the disruption loop.
    DisruptionLoopFirst,
}

/// Names, in the order of [`Step`].
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

/// What an EC2 node takes as a rule, in the order of [`Step`]: 2 s to be launched, 25 s until its kubelet is there, 12 s
/// until it is ready and 2 s until it is initialized; a pod starts in 3 s and stops in 1 s; an instance ends in 30 s. The
/// disruption loop begins at 10 s.
const DEFAULTS: [Nanos; NAMES.len()] =
    [2 * SECOND, 25 * SECOND, 12 * SECOND, 2 * SECOND, 3 * SECOND, SECOND, 30 * SECOND, 10 * SECOND];

/// How long a step takes: from `min` to `max`, each duration as likely as any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delay {
    min: Nanos,
    max: Nanos,
}

impl Delay {
    /// Always the same.
    pub const fn fixed(delay: Nanos) -> Self {
        Delay { min: delay, max: delay }
    }

    /// From `min` to `max`; `None` if that is no range.
    pub fn range(min: Nanos, max: Nanos) -> Option<Self> {
        (0 <= min && min <= max).then_some(Delay { min, max })
    }

    /// Whether it is not always the same.
    pub fn varies(self) -> bool {
        self.min < self.max
    }

    /// Reads a time, or an object with `min` and `max`.
    fn read(value: Value) -> Result<Self, Error> {
        if !value.is_object() {
            let fixed = seconds::parse(&value.to_string());
            return fixed.map(Delay::fixed).map_err(|message| {
                Error::new("", message).hint(Some("write a range as {\"min\": 20, \"max\": 60}".into()))
            });
        }
        let mut fields = Fields::new(value)?.known(&["min", "max"])?;
        let missing = |name: &str| Error::new("", format!("missing field `{name}`"));
        let min = fields.seconds("min")?.ok_or_else(|| missing("min"))?;
        let max = fields.seconds("max")?.ok_or_else(|| missing("max"))?;
        Delay::range(min, max).ok_or_else(|| {
            let (min, max) = (seconds::shown(min), seconds::shown(max));
            Error::new("max", format!("invalid value {max} s: expected at least `min`, {min} s"))
        })
    }
}

/// How long everything takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delays {
    of: [Delay; NAMES.len()],
    seed: u64,
}

impl Delays {
    /// How long `step` takes.
    pub fn of(&self, step: Step) -> Delay {
        self.of[step as usize]
    }

    /// How long `step` takes this time, for the node or pod called `whose`.
    pub fn draw(&self, step: Step, whose: &str) -> Nanos {
        let Delay { min, max } = self.of(step);
        if min == max {
            return min;
        }
        let name = NAMES[step as usize];
        let random = draw(self.seed, &[name, whose]);
        // `Delay` keeps 0 ≤ min < max, so the count of durations and what is added to `min` fit.
        let count = u128::from(max.abs_diff(min)) + 1;
        let above = (u128::from(random) * count) >> u64::BITS;
        min.saturating_add_unsigned(u64::try_from(above).unwrap_or_default())
    }

    /// The seed, if anything varies.
    pub fn seed_in_force(&self) -> Option<u64> {
        self.of.iter().any(|delay| delay.varies()).then_some(self.seed)
    }

    /// All by name, for a result.
    pub(crate) fn shown(&self) -> BTreeMap<&'static str, ShownDelay> {
        let shown = |delay: Delay| {
            if delay.varies() {
                ShownDelay::Range { min: seconds::shown(delay.min), max: seconds::shown(delay.max) }
            } else {
                ShownDelay::Fixed(seconds::shown(delay.min))
            }
        };
        NAMES.into_iter().zip(self.of.map(shown)).collect()
    }
}

/// A delay in a result, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(untagged)]
pub enum ShownDelay {
    /// Always the same.
    Fixed(f64),
    /// Drawn from a range.
    Range {
        /// The least.
        min: f64,
        /// The most.
        max: f64,
    },
}

/// Delays of which some are set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DelaySettings {
    set: [Option<Delay>; NAMES.len()],
}

impl DelaySettings {
    /// The names that can be set.
    pub const NAMES: [&'static str; 8] = NAMES;

    /// All are nothing.
    pub fn none() -> Self {
        DelaySettings { set: [Some(Delay::fixed(0)); NAMES.len()] }
    }

    /// Sets one by name.
    ///
    /// # Errors
    ///
    /// If there is none of that name.
    pub fn set(&mut self, name: &str, delay: Delay) -> Result<(), Error> {
        match NAMES.iter().position(|known| *known == name) {
            Some(place) => {
                self.set[place] = Some(delay);
                Ok(())
            }
            None => {
                let hint = match near_miss(name, NAMES) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known delays: {}", NAMES.map(|name| format!("`{name}`")).join(", ")),
                };
                Err(Error::new(name, "unknown delay").hint(Some(hint)))
            }
        }
    }

    /// Reads an object of delays by name.
    pub(crate) fn read(value: Value) -> Result<Self, Error> {
        let Value::Object(map) = value else {
            return Err(Error::new("", "expected an object with delays by name"));
        };
        let mut settings = DelaySettings::default();
        for (name, value) in map {
            let delay = Delay::read(value).map_err(|error| error.below(&name))?;
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

    /// These, and where nothing is set, the defaults; what varies is drawn with `seed`.
    pub fn resolve(&self, seed: u64) -> Delays {
        let mut of = DEFAULTS.map(Delay::fixed);
        for (delay, own) in of.iter_mut().zip(self.set) {
            *delay = own.unwrap_or(*delay);
        }
        Delays { of, seed }
    }
}

#[cfg(test)]
mod tests {
    use super::{Delay, DelaySettings, Delays, Step};
    use karpsim_controller::SECOND;

    fn delays(seed: u64) -> Delays {
        let mut settings = DelaySettings::default();
        settings.set("nodeCreated", Delay::range(20 * SECOND, 60 * SECOND).unwrap()).unwrap();
        settings.resolve(seed)
    }

    #[test]
    fn draws_fill_the_range_evenly() {
        let delays = delays(0);
        let seconds: Vec<f64> = (1..=10_000)
            .map(|n| delays.draw(Step::NodeCreated, &format!("gpu-{n}")) as f64 / SECOND as f64)
            .collect();
        assert!(seconds.iter().all(|drawn| (20.0..=60.0).contains(drawn)));
        // Of an even distribution: mean 40, deviation 40 / √12 = 11.547, so that of the mean of 10,000 is 0.115.
        let mean = seconds.iter().sum::<f64>() / 10_000.0;
        assert!((mean - 40.0).abs() < 0.5, "{mean}");
        let deviation = (seconds.iter().map(|drawn| (drawn - mean).powi(2)).sum::<f64>() / 10_000.0).sqrt();
        assert!((deviation - 11.547).abs() < 0.3, "{deviation}");
        for tenth in 0..10 {
            let from = 20.0 + 4.0 * f64::from(tenth);
            let count = seconds.iter().filter(|drawn| (from..from + 4.0).contains(*drawn)).count();
            // 1000 expected, deviation 30.
            assert!((850..1150).contains(&count), "{count} from {from}");
        }
    }

    #[test]
    fn a_draw_depends_on_seed_step_and_name_alone() {
        let draw = |seed, name| delays(seed).draw(Step::NodeCreated, name);
        assert_eq!(draw(7, "gpu-1"), draw(7, "gpu-1"));
        assert_ne!(draw(7, "gpu-1"), draw(8, "gpu-1"));
        assert_ne!(draw(7, "gpu-1"), draw(7, "gpu-2"));
        // What does not vary is as it is, and then there is no seed to speak of.
        assert_eq!(delays(7).draw(Step::NodeReady, "gpu-1"), 12 * SECOND);
        assert_eq!(delays(7).seed_in_force(), Some(7));
        assert_eq!(DelaySettings::default().resolve(7).seed_in_force(), None);
        assert_eq!(Delay::range(2, 1), None);
        assert_eq!(Delay::range(-1, 1), None);
    }
}
