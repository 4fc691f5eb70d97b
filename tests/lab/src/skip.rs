//! What the tests are asked to run on; and tests that can not run here, and say so.

use std::{env, path::PathBuf, thread, time::Instant};

use crate::{Cache, Debian, Guest, Image, Kernel, Lab, LabError, Machine, Model, Recipe, Snapshot};

/// Says that the running test is skipped; `cargo xtask lab test` counts these lines.
pub fn skip(why: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    eprintln!("SKIPPED: {test}: {why}");
}

/// Where the cache of this tree is: `BAREWIRE_LAB_CACHE`, or `lab` in cargo's target directory.
#[must_use]
pub fn cache_of_this_tree() -> PathBuf {
    if let Some(cache) = env::var_os("BAREWIRE_LAB_CACHE") {
        return cache.into();
    }
    crate::bypass::target().join("lab")
}

/// The Debian, and the kind of NIC, that `cargo xtask lab test` asks the tests to use: Debian 12 with its standard kernel
/// and igb, unless told otherwise. For tests that are to hold on every machine.
///
/// # Panics
/// When it asks in words that nobody knows.
#[must_use]
pub fn under_test() -> (Recipe, Model) {
    let words = env::var("BAREWIRE_LAB_MACHINE").unwrap_or_default();
    understood(&words).unwrap_or_else(|word| panic!("BAREWIRE_LAB_MACHINE: unknown word {word}"))
}

fn understood(words: &str) -> Result<(Recipe, Model), &str> {
    let (mut debian, mut kernel, mut model) = (Debian::Bookworm, Kernel::Standard, Model::Igb);
    for word in words.split_whitespace() {
        match word {
            "--debian" | "--nics" => {}
            "bookworm" => debian = Debian::Bookworm,
            "trixie" => debian = Debian::Trixie,
            "--rt" => kernel = Kernel::Rt,
            "e1000e" => model = Model::E1000e,
            "igb" => model = Model::Igb,
            "virtio" => model = Model::VirtioNet,
            unknown => return Err(unknown),
        }
    }
    Ok((Recipe::new(debian, kernel), model))
}

/// The image, if it has been built; else the running test is skipped.
///
/// # Panics
/// When there is a cache and it can not be read.
#[must_use]
pub fn image_or_skip(recipe: &Recipe) -> Option<Image> {
    let top = cache_of_this_tree();
    let image = if top.is_dir() {
        let found = Cache::at(top)
            .and_then(|cache| Lab::find(&cache))
            .and_then(|lab| lab.map_or(Ok(None), |lab| lab.find_image(recipe)));
        match found {
            Ok(image) => image,
            Err(error) => panic!("the lab's cache is there, but {error:?}"),
        }
    } else {
        None
    };
    if image.is_none() {
        skip(&format!("needs the image {recipe}: `cargo xtask lab build` makes it"));
    }
    image
}

/// A machine that has just booted, with a NIC "east" on node 0 and one "west" on node 1, as `cargo xtask lab test` asks
/// for it. When there is no image, the running test is skipped.
///
/// # Panics
/// When there is an image, and it does not run.
#[must_use]
pub fn guest_or_skip() -> Option<Guest> {
    let (recipe, model) = under_test();
    let image = image_or_skip(&recipe)?;
    Some(restored(Snapshot::of(&image, &machine_with(model))))
}

/// Two NICs of that kind: "east" on node 0 and "west" on node 1.
pub(crate) fn machine_with(model: Model) -> Machine {
    Machine::new().nic("east", model, 0).nic("west", model, 1)
}

/// The guest of a snapshot.
///
/// # Panics
/// When there is none, or it does not run.
pub(crate) fn restored(snapshot: Result<Snapshot, LabError>) -> Guest {
    let restored = snapshot.and_then(|snapshot| {
        let begun = Instant::now();
        let guest = Guest::restore(&snapshot)?;
        eprintln!("{}; restored in {:.2} s", snapshot.about(), begun.elapsed().as_secs_f64());
        Ok(guest)
    });
    match restored {
        Ok(guest) => guest,
        Err(error) => panic!("{error:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_is_asked_for_in_the_words_of_the_command_line() {
        let rt = Recipe::new(Debian::Trixie, Kernel::Rt);
        assert_eq!(understood("--debian trixie --nics virtio --rt"), Ok((rt, Model::VirtioNet)));
        assert_eq!(understood(""), Ok((Recipe::default(), Model::Igb)));
        assert_eq!(understood("--debian sarge"), Err("sarge"));
    }
}
