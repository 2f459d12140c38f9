//! Typed client of the Cloud API.
