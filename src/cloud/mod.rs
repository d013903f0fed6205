//! What the owner of a machine says of it: the APIs of clouds, asked over HTTPS from here and never from a host.

pub mod tencent;
