//! Real adapters of the ports, one feature each.
