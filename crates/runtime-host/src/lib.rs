//! Runs and supervises OpenCode, normalizes its events, heals gaps.
