//! Runs what the cloud has queued.
