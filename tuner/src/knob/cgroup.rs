//! Controllers of cgroup v2: whether a group's children have a file such as `cpuset.cpus` at all.
//!
//! `Documentation/admin-guide/cgroup-v2.rst` of Linux 6.18, "Controllers": `+name` and `-name` are written to
//! `cgroup.subtree_control`, which reads back as the names that are on.

use super::{KnobError, Value};
use crate::hands::Hands;

pub(super) fn read(hands: &dyn Hands, cgroup: &str, name: &str) -> Result<Value, KnobError> {
    let on = hands.text(&format!("{cgroup}/cgroup.subtree_control"))?;
    let is_on = on.is_some_and(|on| on.split_whitespace().any(|word| word == name));
    Ok(if is_on { Value::Present } else { Value::Absent })
}

pub(super) fn write(
    hands: &dyn Hands,
    cgroup: &str,
    name: &str,
    on: bool,
) -> Result<(), KnobError> {
    let path = format!("{cgroup}/cgroup.subtree_control");
    let sign = if on { '+' } else { '-' };
    Ok(hands.write(&path, &format!("{sign}{name}\n"))?)
}
