//! Provider keys (03 §8.14).
