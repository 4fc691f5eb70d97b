//! Everything that is printed for a shell, run by one.

#![expect(clippy::unwrap_used, reason = "a test panics where it can not go on")]

mod loaders;
mod machine;
mod plan;
mod shell;
