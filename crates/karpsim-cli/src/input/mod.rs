//! What the program reads: files of all packings, scenarios, traces, overlays, catalogues.

pub(crate) mod embedded;
pub(crate) mod overlay;
pub(crate) mod records;
pub(crate) mod scenario;
pub(crate) mod sources;
pub(crate) mod trace;
pub(crate) mod unpack;
