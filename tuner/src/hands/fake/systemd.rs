//! A systemd of few words.

use super::Fake;
use crate::hands::Output;

impl Fake {
    /// What `systemctl is-…` answers; none for a command that does something.
    pub(super) fn systemd_says(&self, command: &[&str]) -> Option<Output> {
        let ["systemctl", verb @ ("is-enabled" | "is-active"), .., unit] = command else {
            return None;
        };
        let units = self.units.borrow();
        let word = match (units.get(*unit), *verb) {
            (Some((at_boot, _)), "is-enabled") => at_boot.clone(),
            (Some((_, now)), _) => now.clone(),
            (None, "is-enabled") => "not-found".to_owned(),
            (None, _) => "inactive".to_owned(),
        };
        let is_yes = matches!(word.as_str(), "enabled" | "active" | "static");
        Some(Output {
            code: Some(if is_yes { 0 } else { 1 }),
            stdout: format!("{word}\n"),
            stderr: String::new(),
        })
    }

    /// What `systemctl` does; other commands do nothing.
    pub(super) fn systemd_does(&self, command: &[&str]) {
        let ["systemctl", verb, .., unit] = command else { return };
        let mut units = self.units.borrow_mut();
        let Some((at_boot, now)) = units.get_mut(*unit) else { return };
        match *verb {
            "enable" => "enabled".clone_into(at_boot),
            "disable" => "disabled".clone_into(at_boot),
            "start" => "active".clone_into(now),
            "stop" => "inactive".clone_into(now),
            _ => {}
        }
    }
}
