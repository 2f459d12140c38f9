//! Test support: scripted model server, real-OpenCode and browser launchers.
