//! One rule of the controller a test, each on as little as shows it.

mod limits;
mod pods;
mod proposals;
mod stabilization;
mod status;
mod world;
