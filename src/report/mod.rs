//! What people and programs read: folds over events, and faults.

pub mod fault;
