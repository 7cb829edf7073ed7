//! The commands, one a file.

pub(crate) mod budget;
pub(crate) mod catalogue;
pub(crate) mod completions;
pub(crate) mod decide;
pub(crate) mod explain;
pub(crate) mod optimum;
pub(crate) mod replay;
pub(crate) mod schema;
pub(crate) mod whatif;
