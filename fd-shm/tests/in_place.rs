//! Words that are read and written where they lie: as many as the region has room for, and nothing else's.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use fd_shm::{FixedFd, HeadAndWords, Memfd, Region, Seals, Shareable};

/// A number in front of words.
type Numbered = HeadAndWords<AtomicU32, AtomicU32>;

#[test]
fn a_sum_in_place_sees_what_the_other_mapping_stores() {
    let region = Region::create("in place", 4096).expect("a region");
    let writer = region.map::<Numbered>().expect("mapped");
    let reader = region.map_read_only::<Numbered>().expect("mapped");
    for (value, word) in (1..).zip(&writer.words) {
        word.store(value, Ordering::Relaxed);
    }
    // Release and acquire: who sees the number sees the words.
    writer.head.store(1023, Ordering::Release);
    assert_eq!(reader.head.load(Ordering::Acquire) as usize, reader.words.len());
    let sum: u32 = reader.words.iter().map(|word| word.load(Ordering::Relaxed)).sum();
    assert_eq!(sum, 1023 * 1024 / 2);
}

/// How many words a region of `size` bytes has, and how long its tail is, for both kinds of mapping.
fn check_slice<W: Shareable>(size: usize, expected: (usize, usize)) {
    let region = Region::create("in place", size).expect("a region");
    let (ours, seen) = (region.map::<[W]>().expect("mapped"), region.map_read_only::<[W]>().expect("mapped"));
    let what = format!("{size} bytes in words of {}", size_of::<W>());
    assert_eq!((ours.len(), seen.len()), (size, size), "{what}");
    assert_eq!((ours.iter().len(), ours.tail_len()), expected, "{what}");
    assert_eq!((seen.iter().len(), seen.tail_len()), expected, "{what}");
}

#[test]
fn there_are_as_many_words_as_fit() {
    for (size, expected) in
        [(1, (0, 1)), (3, (0, 3)), (4, (1, 0)), (63, (15, 0)), (64, (16, 0)), (67, (16, 3))]
    {
        check_slice::<AtomicU32>(size, expected);
    }
    check_slice::<AtomicU32>(4096, (1024, 0));
    check_slice::<AtomicU32>(10_000, (2500, 0));
    #[cfg(target_pointer_width = "64")]
    for (size, expected) in [(7, (0, 7)), (8, (1, 0)), (63, (7, 0)), (71, (8, 7)), (10_000, (1250, 0))] {
        check_slice::<std::sync::atomic::AtomicU64>(size, expected);
    }
    check_slice::<AtomicU8>(4097, (4097, 0));
    check_slice::<AtomicU16>(4097, (2048, 1));
    check_slice::<[AtomicU32; 3]>(4096, (341, 0));
}

#[test]
fn words_begin_behind_the_head() {
    for (size, words) in [(4, 0), (7, 0), (8, 1), (4096, 1023), (4098, 1023), (4100, 1024)] {
        let region = Region::create("in place", size).expect("a region");
        let mapping = region.map::<Numbered>().expect("mapped");
        assert_eq!(mapping.words.len(), words, "{size} bytes");
        let distance = mapping.words.as_ptr().addr() - (&raw const mapping.head).addr();
        assert_eq!((distance, size_of_val(&*mapping)), (4, 4 + 4 * words), "{size} bytes");
    }
    let refused = Region::create("in place", 3).and_then(|region| region.map::<Numbered>());
    let refused = refused.expect_err("the head does not fit");
    assert!(refused.is_too_small(), "{refused}");
    assert!(refused.to_string().ends_with("the region is too small: its head needs 4 bytes"), "{refused}");
}

/// Fills the tail, and then each word: neither touches a byte of the other. A mapping that copies everything
/// tells.
#[test]
fn no_copy_touches_a_word_and_no_word_the_tail() {
    for size in (1..300).chain([4095, 4096, 4097, 8191, 8200]) {
        let region = Region::create("in place", size).expect("a region");
        let mapping = region.map::<[AtomicU32]>().expect("mapped");
        let bytes = region.map_read_only::<()>().expect("mapped");
        let seen = || {
            let mut seen = vec![0; size];
            bytes.copy_out(0, &mut seen).expect("all of it");
            seen
        };
        let (words, tail) = (4 * mapping.iter().len(), mapping.tail_len());
        assert!(words + tail <= size && size - words - tail < 4, "{size} bytes: fewer than a word are lost");
        mapping.copy_in(0, &vec![0xee; tail]).expect("the whole tail");
        let mut expected = vec![0; size];
        expected[size - tail..].fill(0xee);
        assert_eq!(seen(), expected, "{size} bytes, the tail is filled");
        mapping.iter().for_each(|word| word.store(u32::from_ne_bytes([0x11; 4]), Ordering::Relaxed));
        expected[..words].fill(0x11);
        assert_eq!(seen(), expected, "{size} bytes, the words are filled");
        assert!(mapping.copy_in(tail, &[1]).is_err_and(|refused| refused.is_out_of_bounds()), "{size} bytes");
    }
}

#[test]
fn a_region_that_grows_keeps_the_words_that_were_checked() {
    let growing = Memfd::create("in place").expect("a memory file");
    growing.set_len(64).expect("sized");
    growing.add_seals(Seals::SHRINK).expect("sealed");
    let fixed = FixedFd::new(growing.as_fd().try_clone_to_owned().expect("dup")).expect("a region");
    growing.set_len(4096).expect("growing is not sealed");
    assert_eq!(fixed.map::<[AtomicU32]>().expect("mapped").iter().len(), 16);
}
