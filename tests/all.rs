//! All integration tests, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod acts;
mod architecture;
mod attack;
mod budget;
mod cli;
mod common;
mod doors;
mod fact;
mod fact_recorded;
mod faults;
mod fleet;
mod hold;
mod inventory;
mod kind_cases;
mod kind_laws;
mod lab;
mod laws;
mod lockout;
mod network;
mod plan;
mod playbook;
mod report;
mod rollback;
mod saved;
mod secret;
mod ssh;
mod wire;
