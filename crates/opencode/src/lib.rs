//! Typed client of the OpenCode server: HTTP and SSE.
