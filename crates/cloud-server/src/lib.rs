//! The cloud's control plane: services, HTTP and SSE.
