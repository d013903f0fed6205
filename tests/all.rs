//! All integration tests, in one binary.
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod architecture;
mod fact;
mod fact_recorded;
mod inventory;
mod playbook;
mod ssh;
mod wire;
