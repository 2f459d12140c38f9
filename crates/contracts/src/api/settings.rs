//! Settings (03 §8.8).
