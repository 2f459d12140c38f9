//! The feed of the start page (03 §8.12).
