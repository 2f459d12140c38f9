//! API tokens (03 §8.16).
