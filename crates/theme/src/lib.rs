//! Design tokens: colours, contrast, derivation, presets and the CSS custom properties made of them (02 §8).
