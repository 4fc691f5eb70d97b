//! What was booted, what will be, and how to come back.

mod line;
mod menu;
mod system;

use super::Check;

/// What was booted, what will be, and how to come back.
pub(super) const CHECKS: &[Check] = &[
    line::PENDING,
    menu::LOADER,
    menu::OVERWRITTEN,
    line::LENGTH,
    menu::FALLBACK,
    line::DUPLICATES,
    system::KERNEL,
    system::VIRTUAL,
];

#[cfg(test)]
mod tests;
