//! Pure verdicts: the permission objects given to OpenCode.
