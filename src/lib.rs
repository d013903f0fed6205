//! steadfast brings a fleet of Linux servers to a hardened state over SSH and keeps it there.
//!
//! The map, lowest floor first; a room uses rooms on lower floors only:
//! - `fault` an error with its place and what to do; `day` the calendar; `moment` ages and moments; `yaml` a text as a tree with
//!   places; `graph` order alone; `expr` conditions and templates.
//! - `host` the only way to touch a machine; `probe` what it looks like from outside.
//! - `cloud` what the owner of a machine says of it.
//! - `disk` snapshots of a host's disk, from outside.
//! - `fact` what can be read; `act` what can be done.
//! - `target` a host as questions and effects.
//! - `step` what can be true, one file a kind.
//! - `playbook`, `inventory` as written, then as meant.
//! - `plan` the graph of tasks with their changes.
//! - `event` the language between run and report; `evidence` what was taken of a host, signed.
//! - `run` does it; `report` tells it; `store` remembers it; `lab` makes hosts to try it on.
//! - `cli` one file a command.

pub mod act;
pub mod cli;
pub mod cloud;
pub mod day;
pub mod disk;
pub mod event;
pub mod evidence;
pub mod expr;
pub mod fact;
pub mod fault;
pub mod graph;
pub mod host;
pub mod inventory;
pub mod lab;
pub mod moment;
pub mod plan;
pub mod playbook;
pub mod probe;
pub mod report;
pub mod run;
pub mod secret;
pub mod step;
pub mod store;
pub mod target;
pub mod yaml;
