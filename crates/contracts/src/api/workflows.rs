//! Workflows and runs (03 §8.6).
