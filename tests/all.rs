//! The one integration-test binary: one module a room.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod playbook;
