//! The catalogue of tools and skills (03 §8.9).
