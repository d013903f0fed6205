//! Kernel parameters.
