//! Traces: a start and what happens after it.
//!
//! Two layouts of the same thing: a document (one JSON object with `events`) and a stream (JSON Lines: the header, then
//! an event a line). They are told apart by content. A stream is read line by line ([`TraceReader`]); [`Trace`] holds
//! all events of either.

mod event;
pub(crate) mod fields;
mod header;
mod number;
mod reader;
pub(crate) mod seconds;

pub use event::{
    Batch, EventKind, Interrupt, NewPrice, NodeGroup, ObjectReference, Offerings, OnEviction, Pick,
    TraceEvent,
};
pub use fields::Times;
pub use header::{DeviceShare, Header, HeaderObject, TraceOptions};
pub(crate) use number::{nodes, number};
pub use reader::{Trace, TraceReader, json_of_yaml, merge_events};
