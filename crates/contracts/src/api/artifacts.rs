//! Artifacts (03 §8.5).
