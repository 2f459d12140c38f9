//! Members, roles, audit (03 §8.17).
