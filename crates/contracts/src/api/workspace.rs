//! Config, workspace, runtime, health (03 §4, §8.1).
