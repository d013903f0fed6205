//! Installed packages.
