//! Threads, tags, smart filters (03 §8.7).
