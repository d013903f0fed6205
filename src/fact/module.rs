//! Kernel modules.

/// A module's state.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct Module {
    pub loaded: bool,
    /// Compiled into the kernel: it can be neither unloaded nor blocked.
    pub builtin: bool,
    /// `modprobe` would run `/bin/false`, `/bin/true` or nothing instead of loading it.
    pub blocked: bool,
    /// It is on a `blacklist` line, so hardware does not load it by itself.
    pub blacklisted: bool,
    /// The kernel has such a module at all.
    pub exists: bool,
}
