//! The managed policy (03 §8.15).
