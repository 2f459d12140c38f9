//! The pure reducer from session events to a view; fences, coalescer, sanitizer.
