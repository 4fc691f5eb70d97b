//! Which configuration a machine is looked at for: the one that was given, the daemon's, or what fits the machine.

use std::path::Path;

use config::Config;

use super::{Failure, Session};
use crate::{Fact, Facts, Intent, Source, guard, intent::Origin};

/// What the daemon runs with, from the root: `barewired.service`.
const DAEMONS: &str = "etc/barewire/barewire.toml";

impl Session<'_> {
    /// What the machine is to be tuned for.
    pub(crate) fn intent(&self, source: &Source, facts: &Facts) -> Result<Intent, Failure> {
        let common = &self.common;
        let intent = match (&common.config, common.without_config) {
            (Some(file), _) => {
                let config = config::load(file).map_err(Failure::Config)?;
                Intent { origin: Origin::Given(file.clone()), ..Intent::new(&config, facts) }
            }
            (None, false) if look(source) => {
                let place = common.snapshot.as_deref().unwrap_or(&common.root);
                let file = place.join(DAEMONS);
                let config = daemons(source, &file)?;
                Intent { origin: Origin::Found(file), ..Intent::new(&config, facts) }
            }
            (None, _) => Intent::without_config(facts)?,
        };
        // Over which wire we came in says nothing about a machine that is only a directory here.
        if !source.is_live() {
            return Ok(intent);
        }
        let connection = self.surroundings.ssh_connection.as_deref();
        Ok(intent.guarding(facts, &guard::Session::read(source, connection)))
    }

    /// The same, which goes without a configuration that nobody named when that is wrong.
    pub(super) fn intent_whatever(
        &mut self,
        source: &Source,
        facts: &Facts,
    ) -> Result<Intent, Failure> {
        match self.intent(source, facts) {
            Err(Failure::Config(errors)) if self.common.config.is_none() => {
                writeln!(self.err, "{errors}\nwarning: going on without this configuration")?;
                self.common.without_config = true;
                self.intent(source, facts)
            }
            intent => intent,
        }
    }
}

/// Has a look, so that a copy of what was looked at has it.
pub(super) fn look(source: &Source) -> bool {
    bytes(source) != Fact::Absent
}

fn bytes(source: &Source) -> Fact<Vec<u8>> {
    source.binary(DAEMONS, config::MAX_FILE + 1)
}

fn daemons(source: &Source, file: &Path) -> Result<Config, Failure> {
    let name = file.display().to_string();
    let config = match bytes(source) {
        Fact::Is(bytes) => config::parse_bytes(&bytes, &name),
        Fact::Absent => Err(config::unreadable(&name, &"it went away")),
        Fact::Unknown { why } => Err(config::unreadable(&name, &why)),
    };
    config.map_err(Failure::Config)
}
