//! Words that are read and written where they lie: as many as the segment has room for, and nothing else's.

mod support;

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use support::namespace::private;
use sysv_shm::{HeadAndWords, Key, OwnedSegment, Segment, Shareable};

/// A number in front of words.
type Numbered = HeadAndWords<AtomicU32, AtomicU32>;

fn segment(size: usize) -> OwnedSegment {
    Segment::create_new(Key::PRIVATE, size).unwrap().remove_on_drop()
}

#[test]
fn a_sum_in_place_sees_what_the_other_attachment_stores() {
    private(|| {
        let segment = segment(4096);
        let writer = segment.attach::<Numbered>().unwrap();
        let reader = segment.attach_read_only::<Numbered>().unwrap();
        for (value, word) in (1..).zip(&writer.words) {
            word.store(value, Ordering::Relaxed);
        }
        // Release and acquire: who sees the number sees the words.
        writer.head.store(1023, Ordering::Release);
        assert_eq!(reader.head.load(Ordering::Acquire) as usize, reader.words.len());
        let sum: u32 = reader.words.iter().map(|word| word.load(Ordering::Relaxed)).sum();
        assert_eq!(sum, 1023 * 1024 / 2);
    });
}

/// How many words a segment of `size` bytes has, and how long its tail is, for both kinds of attachment.
fn check<W: Shareable>(size: usize, expected: (usize, usize)) {
    let segment = segment(size);
    let (ours, seen) = (segment.attach::<[W]>().unwrap(), segment.attach_read_only::<[W]>().unwrap());
    let what = format!("{size} bytes in words of {}", size_of::<W>());
    assert_eq!((ours.iter().len(), ours.tail_len()), expected, "{what}");
    assert_eq!((seen.iter().len(), seen.tail_len()), expected, "{what}");
}

#[test]
fn there_are_as_many_words_as_fit() {
    private(|| {
        for (size, expected) in [(1, (0, 1)), (3, (0, 3)), (4, (1, 0)), (64, (16, 0)), (67, (16, 3))] {
            check::<AtomicU32>(size, expected);
        }
        check::<AtomicU32>(10_000, (2500, 0));
        #[cfg(target_pointer_width = "64")]
        for (size, expected) in [(7, (0, 7)), (8, (1, 0)), (71, (8, 7)), (10_000, (1250, 0))] {
            check::<std::sync::atomic::AtomicU64>(size, expected);
        }
        check::<AtomicU8>(4097, (4097, 0));
        check::<[AtomicU32; 3]>(4096, (341, 0));

        for (size, words) in [(4, 0), (7, 0), (8, 1), (4096, 1023)] {
            let attachment = segment(size).attach::<Numbered>().unwrap();
            assert_eq!(attachment.words.len(), words, "{size} bytes");
        }
        let refused = segment(3).attach::<Numbered>().unwrap_err();
        assert!(refused.to_string().contains("3 bytes, and what should be seen in it needs 4"), "{refused}");
    });
}

/// Fills the tail, and then each word: neither touches a byte of the other. An attachment that copies
/// everything tells.
#[test]
fn no_copy_touches_a_word_and_no_word_the_tail() {
    private(|| {
        for size in (1..200).chain([4097, 8200]) {
            let segment = segment(size);
            let attachment = segment.attach::<[AtomicU32]>().unwrap();
            let bytes = segment.attach_read_only::<()>().unwrap();
            let seen = || {
                let mut seen = vec![0; size];
                bytes.copy_out(0, &mut seen).unwrap();
                seen
            };
            let (words, tail) = (4 * attachment.iter().len(), attachment.tail_len());
            assert!(
                words + tail <= size && size - words - tail < 4,
                "{size} bytes: fewer than a word are lost"
            );
            attachment.copy_in(0, &vec![0xee; tail]).unwrap();
            let mut expected = vec![0; size];
            expected[size - tail..].fill(0xee);
            assert_eq!(seen(), expected, "{size} bytes, the tail is filled");
            attachment.iter().for_each(|word| word.store(u32::from_ne_bytes([0x11; 4]), Ordering::Relaxed));
            expected[..words].fill(0x11);
            assert_eq!(seen(), expected, "{size} bytes, the words are filled");
            assert!(
                attachment.copy_in(tail, &[1]).is_err_and(|error| error.is_out_of_bounds()),
                "{size} bytes"
            );
        }
    });
}
