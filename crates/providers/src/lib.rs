//! The traits that adapters implement, and their public conformance suites.
