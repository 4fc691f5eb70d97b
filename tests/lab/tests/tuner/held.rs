//! The tuner, held still in the middle of its work, so that something can happen to the machine meanwhile.

use lab::Guest;

use crate::stock::CONFIG;

/// Where it writes to: a file system that is neither full nor read-only.
const SAID: &str = "/run/tune.said";

/// Runs the tuner until `is_so`, and holds it there.
pub(crate) fn hold(guest: &mut Guest, words: &str, is_so: &str) {
    // What the test itself has put there is not to be lost.
    guest.must("sync");
    guest.must(&format!(
        "rm -f {SAID}; systemd-run --quiet --unit=tune sh -c \
         'barewire-tune --config {CONFIG} {words} >{SAID} 2>&1; echo exit=$? >>{SAID}'; \
         until {is_so} || grep -qs ^exit= {SAID}; do :; done; \
         systemctl kill --signal=STOP tune.service || :; ! grep -q ^exit= {SAID} || {{ cat {SAID}; exit 1; }}"
    ));
}

/// Lets it go on to its end, expects that exit code, and gives back what it wrote.
#[track_caller]
pub(crate) fn release(guest: &mut Guest, code: i32) -> String {
    let text = guest.must(&format!(
        "systemctl kill --signal=CONT tune.service; \
         until grep -q ^exit= {SAID}; do sleep 0.1; done; cat {SAID}"
    ));
    let (text, exit) = text.trim_end().rsplit_once("exit=").expect("it ends with the exit code");
    assert_eq!(exit, code.to_string(), "{text}");
    text.to_owned()
}
