//! Usage, diagnostics, billing (03 §8.13).
