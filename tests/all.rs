//! All integration tests, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod architecture;
mod cli;
mod common;
mod fact;
mod fact_recorded;
mod fleet;
mod inventory;
mod kind_cases;
mod kind_laws;
mod lab;
mod laws;
mod plan;
mod playbook;
mod ssh;
mod wire;
