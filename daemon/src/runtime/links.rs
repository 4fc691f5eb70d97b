//! Links that come and go while frames flow: each change is told once.

use crate::state::State;

/// What was last seen of each port's link; `None` where it can not be read.
#[derive(Debug)]
pub(super) struct Links(Vec<Option<bool>>);

impl Links {
    /// As they are now: nothing is told.
    pub(super) fn of(state: &State<'_>) -> Self {
        Self(links(state))
    }

    /// Looks at every port, and tells what changed.
    pub(super) fn look(&mut self, state: &State<'_>) {
        let now = links(state);
        for (port, up) in changed(&self.0, &now) {
            let port = &state.ports[port].name;
            if up {
                tracing::info!(port, "the link is up");
            } else {
                tracing::warn!(port, "the link is down");
            }
        }
        self.0 = now;
    }
}

fn links(state: &State<'_>) -> Vec<Option<bool>> {
    state.ports.iter().map(|port| port.observer.link().ok().map(|link| link.up)).collect()
}

/// Ports whose link is not as it was, and how it is now. What can not be read has not changed.
fn changed(before: &[Option<bool>], now: &[Option<bool>]) -> Vec<(usize, bool)> {
    let both = before.iter().zip(now).enumerate();
    both.filter_map(|(port, (before, now))| match (before, now) {
        (Some(before), Some(now)) if before != now => Some((port, *now)),
        _ => None,
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_and_what_stays_or_is_unknown_is_not() {
        let (up, down) = (Some(true), Some(false));
        assert_eq!(changed(&[up, down, up], &[down, up, up]), [(0, false), (1, true)]);
        assert_eq!(changed(&[None, up], &[down, None]), []);
    }
}
