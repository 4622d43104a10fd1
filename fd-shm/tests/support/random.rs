//! Random numbers for tests that make more cases than proptest has time for:
//! seeded, printed, replayed by `SEED=`.

/// A small generator (splitmix64): a case costs more than its numbers.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// With the seed of `SEED=`, or a fresh one; printed, so that it is shown when the test fails.
    pub(crate) fn printed() -> Self {
        use std::hash::{BuildHasher, RandomState};
        let given = std::env::var("SEED").ok().and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| RandomState::new().hash_one("seed"));
        println!("SEED={seed}");
        Self(seed)
    }

    /// Any number.
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, a number above 0 of whatever type.
    pub(crate) fn below<N: TryFrom<u64> + TryInto<u64>>(&mut self, end: N) -> N {
        let below = end.try_into().ok().and_then(|end| N::try_from(self.next() % end).ok());
        below.expect("what is below an N is an N")
    }
}
