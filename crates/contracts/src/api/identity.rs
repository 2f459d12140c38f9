//! Principals and sign-in (03 §6).
