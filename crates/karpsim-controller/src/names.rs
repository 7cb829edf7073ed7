//! Names of new NodeClaims, and the draws that random ones are made of.

use karpsim::model::meta::Str;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// How new NodeClaims are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub enum NodeClaimNames {
    /// `POOL-1`, `POOL-2`, …: short, and in order of creation.
    #[default]
    Numbered,
    /// As the API server makes names of `generateName: POOL-`, drawn with a seed.
    Generated {
        /// Another seed, other names.
        seed: u64,
    },
}

/// Letters of generated names: without vowels and what looks like another, so that they spell nothing.
const LETTERS: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";
/// The API server cuts what the letters are put behind to this.
const BASE_MAX: usize = 58;

/// Five letters as the API server puts them behind `generateName`, drawn with `seed` for `whose`.
pub fn name_suffix(seed: u64, whose: &[&str]) -> Str {
    let mut random = draw(seed, whose);
    (0..5)
        .map(|_| {
            let letter = LETTERS[(random % LETTERS.len() as u64) as usize];
            random /= LETTERS.len() as u64;
            char::from(letter)
        })
        .collect()
}

/// A random number that depends on nothing but `seed` and `whose`: what one draws does not depend on what others drew
/// before.
pub fn draw(seed: u64, whose: &[&str]) -> u64 {
    let separated = whose.iter().enumerate().flat_map(|(index, part)| {
        let separator = (index > 0).then_some(0);
        separator.into_iter().chain(part.bytes())
    });
    split_mix(split_mix(seed) ^ fnv(separated))
}

/// FNV-1a: the same on every machine and in every version of the compiler.
pub(crate) fn fnv(bytes: impl Iterator<Item = u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// A step of SplitMix64 (Steele, Lea and Flood, 2014): its state after one increment, mixed.
fn split_mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// The names that were given. No name is given twice, not even after its NodeClaim is gone: records would mix them up.
#[derive(Debug, Clone, Default)]
pub(crate) struct GivenNames {
    numbers: BTreeMap<Str, u64>,
    taken: BTreeSet<Str>,
}

impl GivenNames {
    /// A NodeClaim of `pool` has this name already.
    pub(crate) fn note(&mut self, pool: &Str, name: &Str) {
        let number = name.strip_prefix(pool.as_str()).and_then(|rest| rest.strip_prefix('-'));
        if let Some(number) = number.and_then(|number| number.parse::<u64>().ok()) {
            let last = self.numbers.entry(pool.clone()).or_default();
            *last = number.max(*last);
        }
        self.taken.insert(name.clone());
    }

    /// The name of the next NodeClaim of `pool`.
    pub(crate) fn next(&mut self, names: NodeClaimNames, pool: &Str) -> Str {
        let number = self.numbers.entry(pool.clone()).or_default();
        match names {
            NodeClaimNames::Numbered => {
                *number += 1;
                Str::from(format!("{pool}-{number}"))
            }
            NodeClaimNames::Generated { seed } => {
                let mut base = format!("{pool}-");
                base.truncate(base.floor_char_boundary(BASE_MAX));
                loop {
                    *number += 1;
                    let suffix = name_suffix(seed, &["nodeclaim", pool, &number.to_string()]);
                    let name = Str::from(format!("{base}{suffix}"));
                    if self.taken.insert(name.clone()) {
                        return name;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GivenNames, NodeClaimNames, split_mix};
    use std::collections::BTreeSet;

    #[test]
    fn the_generator_is_split_mix_64() {
        // The first five numbers for the seed 1234567, as published with other implementations.
        let increment = 0x9e37_79b9_7f4a_7c15_u64;
        let numbers = (0..5).map(|n| split_mix(1_234_567_u64.wrapping_add(increment.wrapping_mul(n))));
        assert_eq!(
            numbers.collect::<Vec<_>>(),
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423,
                4_593_380_528_125_082_431,
                16_408_922_859_458_223_821
            ]
        );
    }

    #[test]
    fn numbers_go_on_after_names_that_were_there() {
        let mut given = GivenNames::default();
        let pool = "default".into();
        given.note(&pool, &"default-7".into());
        given.note(&pool, &"default-x7k2p".into());
        given.note(&pool, &"another-12".into());
        assert_eq!(given.next(NodeClaimNames::Numbered, &pool), "default-8");
        assert_eq!(given.next(NodeClaimNames::Numbered, &"other".into()), "other-1");
    }

    #[test]
    fn generated_names_are_as_the_api_server_makes_them() {
        let mut given = GivenNames::default();
        let names = NodeClaimNames::Generated { seed: 3 };
        let many: BTreeSet<_> = (0..10_000).map(|_| given.next(names, &"default".into())).collect();
        assert_eq!(many.len(), 10_000, "no name twice");
        for name in &many {
            let suffix = name.strip_prefix("default-").unwrap();
            assert!(suffix.len() == 5 && suffix.bytes().all(|it| super::LETTERS.contains(&it)), "{name}");
        }
        let long = "p".repeat(63).as_str().into();
        assert_eq!(given.next(names, &long).len(), 63, "a name is no longer than a label may be");
        let first = |seed| GivenNames::default().next(NodeClaimNames::Generated { seed }, &"default".into());
        assert_eq!(first(1), first(1));
        assert_ne!(first(1), first(2));
    }
}
