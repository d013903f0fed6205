//! Tencent Cloud's API 3.0: one signed POST an action, errors in answers of HTTP 200, limits by the second.

mod answer;
mod client;
mod cvm;
mod sign;

pub use client::{Client, Credentials};
pub use cvm::{Filter, Instance, instances};
