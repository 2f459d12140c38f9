//! Channels (03 §8.23).
