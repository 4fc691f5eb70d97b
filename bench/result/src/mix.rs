//! Frames of several sizes: a mix that takes turns.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Which sizes take turns, in bytes with the check sequence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Mix {
    /// One that has a name.
    Known(KnownMix),
    /// These, one after the other, over and over.
    Sizes(Vec<usize>),
}

/// Mixes that have names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KnownMix {
    /// Of 48 frames 28 of 64 bytes, 16 of 570 and 4 of 1518, as evenly as can be.
    Imix,
}

/// Of each size, so many.
const IMIX: [(usize, usize); 3] = [(64, 28), (570, 16), (1518, 4)];

/// The longest mix.
const MOST: usize = 100_000;

impl Mix {
    /// The sizes in their order.
    #[must_use]
    pub fn sizes(&self) -> Vec<usize> {
        match self {
            Self::Known(KnownMix::Imix) => spread(&IMIX),
            Self::Sizes(sizes) => sizes.clone(),
        }
    }

    /// Bytes of a frame on average, rounded; 0 of none.
    #[must_use]
    pub fn mean(&self) -> usize {
        let sizes = self.sizes();
        let sum: usize = sizes.iter().sum();
        (sum + sizes.len() / 2).checked_div(sizes.len()).unwrap_or(0)
    }

    /// In a few words.
    #[must_use]
    pub fn what(&self) -> String {
        match self {
            Self::Known(KnownMix::Imix) => {
                let parts = IMIX.map(|(size, count)| format!("{count} of {size}"));
                format!("IMIX: {} bytes", parts.join(", "))
            }
            Self::Sizes(sizes) => format!("a mix of {} frames", sizes.len()),
        }
    }

    /// Everything that is wrong with it.
    #[must_use]
    pub fn wrong(&self) -> Option<String> {
        let sizes = self.sizes();
        let odd = sizes.iter().find(|size| !(64..=1518).contains(*size));
        match (odd, sizes.len()) {
            (_, 0) => Some("a mix of no frames".to_owned()),
            (_, count) if count > MOST => Some(format!("a mix of {count} frames: at most {MOST}")),
            (Some(size), _) => Some(format!("frames of {size} bytes in the mix: 64 to 1518")),
            (None, _) => None,
        }
    }
}

/// Each as often as it should be, and never many of one kind in a row: always the one that is furthest behind its share.
fn spread(parts: &[(usize, usize)]) -> Vec<usize> {
    let all: usize = parts.iter().map(|(_, count)| count).sum();
    let mut used = vec![0; parts.len()];
    (1..=all)
        .filter_map(|turn| {
            let behind = |index: &usize| {
                turn * parts[*index].1 - (used[*index] * all).min(turn * parts[*index].1)
            };
            let next = (0..parts.len())
                .filter(|index| used[*index] < parts[*index].1)
                .max_by_key(behind)?;
            used[next] += 1;
            Some(parts[next].0)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imix_has_its_shares_and_no_long_runs() {
        let sizes = Mix::Known(KnownMix::Imix).sizes();
        for (size, count) in IMIX {
            assert_eq!(sizes.iter().filter(|it| **it == size).count(), count, "{size}");
        }
        assert!(sizes.windows(4).all(|four| four.iter().any(|size| *size != four[0])), "{sizes:?}");
        // (28 · 64 + 16 · 570 + 4 · 1518) / 48
        assert_eq!(Mix::Known(KnownMix::Imix).mean(), 354);
    }

    #[test]
    fn a_mix_is_a_name_or_a_list() {
        let read = |text: &str| serde_json::from_str::<Mix>(text).unwrap();
        assert_eq!(read("\"imix\""), Mix::Known(KnownMix::Imix));
        assert_eq!(read("[64, 65]").mean(), 65);
        for (mix, named) in
            [("[]", "no frames"), ("[64, 63]", "63 bytes"), ("[1519]", "1519 bytes")]
        {
            assert!(read(mix).wrong().is_some_and(|why| why.contains(named)), "{mix}");
        }
        assert_eq!(Mix::Sizes(vec![]).mean(), 0);
        assert!(Mix::Sizes(vec![64; MOST + 1]).wrong().is_some());
        assert_eq!(Mix::Sizes(vec![64; MOST]).wrong(), None);
    }
}
