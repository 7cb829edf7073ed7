//! The binary `karpsim`.
fn main() {}
