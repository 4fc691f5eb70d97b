//! Tests that can not run here, and say so.

use std::{env, path::PathBuf, thread};

use crate::{Cache, Image, Lab, Recipe};

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
    let top = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    match env::var_os("CARGO_TARGET_DIR") {
        Some(target) => top.join(target).join("lab"),
        None => top.join("target/lab"),
    }
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
