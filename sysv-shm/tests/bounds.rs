//! Copies in and out of the tail against a plain vector: same bytes, same refusals, for any range.

mod support;

use std::sync::atomic::AtomicU32;
use std::{env, process};

use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};
use support::namespace::private;
use sysv_shm::{Key, Segment};

const SIZE: usize = 300;
const TAIL: usize = SIZE - 64;

/// Offsets and lengths round the tail's end, and ones whose sum does not fit into a usize.
fn range() -> impl Strategy<Value = (usize, usize)> {
    let offset = prop_oneof![4 => 0..=TAIL + 2, 1 => usize::MAX - TAIL..=usize::MAX];
    (offset, 0..=TAIL + 2)
}

#[test]
fn a_tail_is_a_vector() {
    private(|| {
        let segment = Segment::create_new(Key::PRIVATE, SIZE).unwrap().remove_on_drop();
        let attachment = segment.attach::<AtomicU32>().unwrap();
        let reader = segment.attach_read_only::<AtomicU32>().unwrap();
        let mut model = vec![0_u8; TAIL];
        let steps = proptest::collection::vec((range(), any::<u8>()), 1..200);
        let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) };
        let seed = env::var("SEED").map_or_else(|_| u64::from(process::id()), |seed| seed.parse().unwrap());
        let rng = TestRng::from_seed(RngAlgorithm::XorShift, &[seed.to_le_bytes(); 2].concat());
        let model = std::cell::RefCell::new(&mut model);
        let outcome = TestRunner::new_with_rng(config, rng).run(&steps, |steps| {
            let model = &mut *model.borrow_mut();
            for ((offset, len), byte) in steps {
                let place = offset.checked_add(len).filter(|&end| end <= TAIL).map(|end| offset..end);
                let bytes = vec![byte; len];
                prop_assert_eq!(attachment.copy_in(offset, &bytes).is_ok(), place.is_some());
                if let Some(place) = place.clone() {
                    model[place].copy_from_slice(&bytes);
                }
                let mut seen = vec![!byte; len];
                prop_assert_eq!(reader.copy_out(offset, &mut seen).is_ok(), place.is_some());
                let expected = place.map_or(vec![!byte; len], |place| model[place].to_vec());
                prop_assert_eq!(seen, expected, "a refused copy touches nothing");
            }
            let mut all = vec![0; TAIL];
            attachment.copy_out(0, &mut all).unwrap();
            prop_assert_eq!(&all, &**model);
            prop_assert_eq!(
                attachment.load(std::sync::atomic::Ordering::Relaxed),
                0,
                "the head is untouched"
            );
            Ok(())
        });
        assert!(outcome.is_ok(), "SEED={seed}: {}", outcome.unwrap_err());
    });
}
