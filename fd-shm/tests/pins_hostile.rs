//! A peer that writes over a region's pins, a million times: operations answer, or say that the pins are
//! damaged; nothing panics, nothing hangs, and nothing outside the region is touched.

use std::os::fd::AsFd;
use std::time::Duration;

use fd_shm::Region;
use fd_shm::ashmem::Pinning;

#[path = "support/alone.rs"]
mod alone;
#[path = "support/random.rs"]
mod random;
use random::Random;

/// How many tables are made, and tried.
const TABLES: u32 = 1_000_000;

const PAGE: usize = 4096;

/// The data's pages, and a region's length for them: what lies behind is the table.
const PAGES: u32 = 6;

/// The table: eight words, which records were written last, room for those of a change under way at
/// 192, and seven records at 256.
const TABLE: usize = 256 + 7 * 16;

/// A number that a table might hold: small, near a limit, or anything.
fn number(random: &mut Random) -> u32 {
    match random.below(4) {
        0 => u32::MAX - random.below(3),
        1 => u32::try_from(random.next() >> 32).expect("32 bits"),
        _ => random.below(PAGES + 3),
    }
}

/// Bytes for a table: nonsense, or nearly what an operation leaves.
fn table(random: &mut Random, table: &mut [u8; TABLE]) {
    let words = table.as_chunks_mut::<4>().0;
    if random.below(8) == 0 {
        return words.iter_mut().for_each(|word| *word = number(random).to_ne_bytes());
    }
    let (sensible, mut page) = (random.below(2) == 0, 0);
    words.fill([0; 4]);
    words[1] = random.below(40_u32).to_ne_bytes(); // the generation: sometimes near the one seen last
    let recent = [number(random), random.below(9)];
    words[8..40].iter_mut().zip(recent.iter().cycle()).for_each(|(word, slot)| *word = slot.to_ne_bytes());
    words[2] = random.below(9_u32).to_ne_bytes(); // how many records are used
    for word in [3, 4, 5, 6, 7] {
        if random.below(3) == 0 {
            words[word] = number(random).to_ne_bytes(); // a change under way
        }
    }
    for record in [48, 52].into_iter().chain((64..92).step_by(4)) {
        let first = if sensible { page } else { number(random) };
        let end = if sensible { page + random.below(3) } else { number(random) };
        page = if sensible { end } else { 0 };
        words[record] = first.to_ne_bytes();
        words[record + 1] = end.to_ne_bytes();
        words[record + 2] = number(random).to_ne_bytes();
        words[record + 3] = number(random).to_ne_bytes();
    }
}

#[test]
fn whatever_a_peer_writes_over_the_pins_the_others_get_an_answer() {
    alone::alone("whatever_a_peer_writes_over_the_pins_the_others_get_an_answer", || {
        let mut random = Random::printed();
        std::thread::spawn(|| {
            std::thread::sleep(Duration::from_secs(300));
            eprintln!("no end after five minutes");
            std::process::abort();
        });
        let region = Region::create_with("hostile", PAGES as usize * PAGE, Pinning::Kept).expect("a region");
        let handle = || Region::from_fd(region.as_fd().try_clone_to_owned().expect("dup")).expect("a region");
        let handles = [handle(), handle()];
        let (mut bytes, mut answers) = ([0; TABLE], [0_u32; 2]);
        for _ in 0..TABLES {
            table(&mut random, &mut bytes);
            rustix::io::pwrite(&region, &bytes, u64::from(PAGES) * PAGE as u64).expect("written over");
            for _ in 0..1 + random.below(2) {
                let done = operation(&mut random, &handles);
                answers[usize::from(done)] += 1;
            }
        }
        assert!(answers.iter().all(|count| *count > TABLES / 20), "refused, and done: {answers:?}");
        let [refused, done] = answers;
        println!("{TABLES} tables, {} operations: {done} done, {refused} refused as damaged", refused + done);
    });
}

/// One operation through one handle: whether it was done.
fn operation(random: &mut Random, handles: &[Region; 2]) -> bool {
    let region = &handles[random.below(2) as usize];
    let first = random.below(PAGES);
    let (at, len) = (first as usize * PAGE, (1 + random.below(PAGES - first)) as usize * PAGE);
    let done = match random.below(20) {
        0..6 => region.unpin(at, len),
        6..12 => region.pin(at, len).map(|_| ()),
        12..17 => region.pin_status(at, len).map(drop),
        17 => region.evict_one().map(drop),
        18 => region.unpinned().map(|ranges| {
            assert!(ranges.iter().all(|range| range.first <= range.end && range.end <= PAGES));
            assert!(ranges.is_sorted_by(|one, next| one.end <= next.first));
        }),
        _ => region.purge_all().map(drop),
    };
    match done {
        Ok(()) => true,
        Err(refused) => {
            assert!(refused.is_damaged(), "{refused}");
            false
        }
    }
}
