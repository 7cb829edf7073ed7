//! The fields of one JSON object of karpsim's own form, taken one by one; what is left over is an error with a near miss.

use super::seconds;
use crate::error::Error;
use karpsim::problem::near_miss;
use karpsim_controller::Nanos;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// The fields of an object that were not taken yet.
pub(crate) struct Fields {
    map: Map<String, Value>,
}

impl Fields {
    pub(crate) fn new(value: Value) -> Result<Self, Error> {
        match value {
            Value::Object(map) => Ok(Fields { map }),
            other => Err(Error::new("", format!("expected an object, found {}", kind(&other)))),
        }
    }

    /// Checks names against `known`.
    pub(crate) fn known(self, known: &[&'static str]) -> Result<Self, Error> {
        match self.map.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(unknown(name, known)),
            None => Ok(self),
        }
    }

    pub(crate) fn value(&mut self, name: &str) -> Option<Value> {
        self.map.remove(name).filter(|value| !value.is_null())
    }

    pub(crate) fn optional<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Error> {
        self.value(name)
            .map(|value| serde_json::from_value(value).map_err(|error| Error::new(name, error.to_string())))
            .transpose()
    }

    pub(crate) fn or_default<T: DeserializeOwned + Default>(&mut self, name: &str) -> Result<T, Error> {
        Ok(self.optional(name)?.unwrap_or_default())
    }

    pub(crate) fn required<T: DeserializeOwned>(&mut self, name: &str) -> Result<T, Error> {
        self.optional(name)?.ok_or_else(|| Error::new("", format!("missing field `{name}`")))
    }

    pub(crate) fn seconds(&mut self, name: &str) -> Result<Option<Nanos>, Error> {
        self.value(name)
            .map(|value| in_seconds(&value).map_err(|message| Error::new(name, message)))
            .transpose()
    }

    /// One time, or a list of times in which `null` stands for none.
    pub(crate) fn seconds_list(&mut self, name: &str) -> Result<Option<Times>, Error> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(list)) => {
                let mut times = Vec::with_capacity(list.len());
                for (index, value) in list.iter().enumerate() {
                    times.push(match value {
                        Value::Null => None,
                        value => Some(
                            in_seconds(value)
                                .map_err(|message| Error::new(format!("{name}[{index}]"), message))?,
                        ),
                    });
                }
                Ok(Some(Times::Each(times)))
            }
            Some(value) => {
                Ok(Some(Times::All(in_seconds(&value).map_err(|message| Error::new(name, message))?)))
            }
        }
    }
}

/// A time for all pods of a batch, or one for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Times {
    /// The same for all.
    All(Nanos),
    /// One each; `None`: no end.
    Each(Vec<Option<Nanos>>),
}

impl Times {
    /// That of the pod at `index`.
    pub fn of(&self, index: usize) -> Option<Nanos> {
        match self {
            Times::All(time) => Some(*time),
            Times::Each(times) => times.get(index).copied().flatten(),
        }
    }
}

/// Numbers come as doubles here; their shortest text is what was written.
pub(crate) fn in_seconds(value: &Value) -> Result<Nanos, String> {
    seconds::parse(&value.to_string())
}

pub(crate) fn unknown(name: &str, known: &[&'static str]) -> Error {
    let hint = match near_miss(name, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            format!(
                "known fields: {}",
                known.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(", ")
            )
        }
    };
    Error::new(name, "unknown field").hint(Some(hint))
}

pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

impl Fields {
    /// What was not taken, as one object.
    pub(crate) fn rest<T: DeserializeOwned>(self) -> Result<T, Error> {
        serde_json::from_value(Value::Object(self.map)).map_err(|error| Error::new("", error.to_string()))
    }
}
