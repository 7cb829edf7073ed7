//! Every event of a replay, for `--events`: one JSON object a line.

use crate::trace::seconds::shown;
use karpsim_controller::Nanos;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::Value;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct LogEvent {
    /// When.
    pub at: Nanos,
    /// To what: `input`, `mark`, `pod`, `node`, `nodeclaim`, `pass`, `decision`, `warning`.
    pub what: &'static str,
    /// What: `created`, `bound`, `running`, …
    pub event: &'static str,
    /// To which, and more.
    pub fields: Vec<(&'static str, Value)>,
}

impl Serialize for LogEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("t", &shown(self.at))?;
        map.serialize_entry("what", self.what)?;
        if !self.event.is_empty() {
            map.serialize_entry("event", self.event)?;
        }
        for (name, value) in &self.fields {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}
