//! Bulk copies against a plain vector: whatever the offsets and lengths, the same answers and the same bytes.

use std::sync::atomic::{AtomicU8, AtomicU32};

use fd_shm::{Mapping, ReadMapping, Region, Shareable};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

#[path = "support/random.rs"]
mod random;
use random::Random;

/// One copy: where, how many bytes, which byte, and whether in or out.
#[derive(Debug, Clone, Copy)]
struct Copy {
    offset: usize,
    len: usize,
    byte: u8,
    inward: bool,
}

/// Offsets near every edge: inside, round the end, and where a careless sum would wrap.
fn offset() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 0..6000usize, 1 => usize::MAX - 6000..=usize::MAX]
}

fn copies() -> impl Strategy<Value = Vec<Copy>> {
    let copy = (offset(), 0..6000usize, any::<u8>(), any::<bool>());
    vec(copy.prop_map(|(offset, len, byte, inward)| Copy { offset, len, byte, inward }), 1..40)
}

/// Applies `copies` to a region of `size` bytes with a `T` at its head, and to a vector.
fn check<T: Shareable>(size: usize, copies: &[Copy]) -> Result<(), TestCaseError> {
    let region = Region::create("bounds", size).expect("a region");
    let (head, mapped) = (size_of::<T>(), region.map::<T>());
    if head > size {
        prop_assert!(mapped.is_err_and(|e| e.is_too_small()), "a head of {head} in {size}");
        return Ok(());
    }
    let mapping = mapped.expect("it fits");
    let reader = region.map_read_only::<T>().expect("it fits");
    let mut model = vec![0; size.saturating_sub(head.next_multiple_of(64))];
    prop_assert_eq!((mapping.len(), mapping.tail_len(), reader.tail_len()), (size, model.len(), model.len()));
    for &copy in copies {
        one(&mapping, &reader, &mut model, copy)?;
    }
    let mut all = vec![0; model.len()];
    reader.copy_out(0, &mut all).expect("the whole tail");
    prop_assert_eq!(all, model);
    Ok(())
}

/// Applies one copy to both.
fn one<T: Shareable>(
    mapping: &Mapping<T>,
    reader: &ReadMapping<T>,
    model: &mut [u8],
    copy: Copy,
) -> Result<(), TestCaseError> {
    let Copy { offset, len, byte, inward } = copy;
    let range = offset.checked_add(len).and_then(|end| model.get_mut(offset..end));
    let mut buffer = vec![byte; len];
    let (done, expected) = match (inward, range) {
        (true, Some(range)) => {
            range.fill(byte);
            (mapping.copy_in(offset, &buffer), None)
        }
        (false, Some(range)) => (reader.copy_out(offset, &mut buffer), Some(range.to_vec())),
        // Out of bounds: refused, and the buffer stays as it was.
        (true, None) => {
            prop_assert!(mapping.copy_in(offset, &buffer).is_err_and(|e| e.is_out_of_bounds()));
            return Ok(());
        }
        (false, None) => {
            prop_assert!(mapping.copy_out(offset, &mut buffer).is_err_and(|e| e.is_out_of_bounds()));
            prop_assert!(reader.copy_out(offset, &mut buffer).is_err_and(|e| e.is_out_of_bounds()));
            prop_assert!(buffer.iter().all(|&b| b == byte));
            return Ok(());
        }
    };
    prop_assert!(done.is_ok(), "{done:?}");
    prop_assert!(expected.is_none_or(|expected| expected == buffer));
    Ok(())
}

#[test]
fn copies_agree_with_a_vector() {
    let mut random = Random::printed();
    let bytes: [u8; 32] = std::array::from_fn(|_| random.below(u8::MAX));
    let config = Config { cases: 400, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let result = runner.run(&(1..6000usize, 0..3u8, copies()), |(size, head, copies)| match head {
        0 => check::<()>(size, &copies),
        1 => check::<AtomicU32>(size, &copies),
        _ => check::<[AtomicU8; 100]>(size, &copies),
    });
    if let Err(TestError::Fail(reason, (size, head, copies))) = result {
        panic!("{reason}\nregion of {size} bytes, head {head}, after {copies:#?}");
    }
    result.expect("no case was given up");
}

#[test]
fn a_refused_copy_names_what_it_was_asked_and_what_there_is() {
    let mapping = Region::create("bounds", 100).expect("a region").map::<AtomicU32>().expect("it fits");
    let check = |refused: fd_shm::Result<()>, text: &str| {
        assert_eq!(refused.expect_err("out of bounds").to_string(), text);
    };
    check(mapping.copy_in(30, &[0; 7]), "copy_in(30, 7 bytes): past the end, the tail has 36 bytes");
    check(mapping.copy_out(37, &mut []), "copy_out(37, 0 bytes): past the end, the tail has 36 bytes");
    mapping.copy_out(36, &mut []).expect("nothing, at the very end");
}

#[test]
fn a_head_that_does_not_fit_is_refused() {
    let region = Region::create("bounds", 10).expect("a region");
    let refused = region.map::<[AtomicU32; 3]>().expect_err("12 bytes in 10");
    assert!(refused.is_too_small());
    assert!(refused.to_string().ends_with("the region is too small: its head needs 12 bytes"), "{refused}");
    assert_eq!(region.map::<[AtomicU32; 2]>().expect("8 bytes in 10").tail_len(), 0);
}
