//! The exercises of the book's chapters on descriptors: each test tells whether one is solved.
//!
//! `cargo test -p fd-shm --test exercises NAME` judges what is in `exercises/NAME.rs`; with `--features
//! solutions`, the solutions.

#![allow(unsafe_code)] // a private mapping of a memory file

#[path = "../../sysv-shm/tests/support/exercise.rs"]
mod exercise;

#[path = "support/alone.rs"]
mod alone;

#[path = "support/holder.rs"]
#[allow(dead_code, unused_imports)] // of a holder, only that it holds is of interest here
mod holder;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/asked_once.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/asked_once.rs")]
mod asked_once;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/found_by_a_word.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/found_by_a_word.rs")]
mod found_by_a_word;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/frames.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/frames.rs")]
mod frames;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/how_large.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/how_large.rs")]
mod how_large;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/keeps_alive.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/keeps_alive.rs")]
mod keeps_alive;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/one_memory.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/one_memory.rs")]
mod one_memory;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/one_of_each.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/one_of_each.rs")]
mod one_of_each;

#[cfg_attr(feature = "solutions", path = "../exercises/solutions/standing_still.rs")]
#[cfg_attr(not(feature = "solutions"), path = "../exercises/standing_still.rs")]
mod standing_still;

use std::cell::Cell;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::os::unix::net::{UnixListener, UnixStream};

use asked_once::{LONGEST, sum_of};
use exercise::{Verdict, check, judge};
use fd_shm::{Expected, Memfd, Region, Seals, scm_rights};
use holder::Holder;
use memmap2::MmapOptions;

/// The text of any error.
fn in_words(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[test]
fn one_memory() {
    judge("one_memory", real_lines().and_then(|()| lines_of_elsewhere()));
}

/// Lines of this process's own mappings.
fn real_lines() -> Verdict {
    let first = Region::create("frames", 4096).map_err(in_words)?;
    let second = Region::create("frames", 4096).map_err(in_words)?;
    let map = |region: &Region| region.map::<()>().map_err(in_words);
    let (one, two, other) = (map(&first)?, map(&first)?, map(&second)?);
    // SAFETY: nobody writes the file, and nobody looks at these bytes.
    let private = unsafe { MmapOptions::new().map_copy(&first.as_fd()) }.map_err(in_words)?;
    let (one, two, other) = (line_at(&*one), line_at(&*two), line_at(&*other));
    let private = line_at(private.as_ptr());
    for (a, b, expected, what) in [
        (&one, &two, true, "one file, mapped twice"),
        (&one, &other, false, "two files with one label"),
        (&one, &private, false, "a file, shared and private"),
        (&private, &private, false, "two private mappings of one file"),
    ] {
        let yours = one_memory::is_one_memory(a, b);
        check(yours == expected, format!("{what}: one memory {expected}, yours {yours}\n  {a}\n  {b}"))?;
    }
    Ok(())
}

/// The line of a mapping that begins there.
fn line_at<T>(address: *const T) -> String {
    let maps = std::fs::read_to_string("/proc/self/maps").expect("maps");
    let start = format!("{:x}-", address.addr());
    maps.lines().find(|line| line.starts_with(&start)).expect("it is mapped").to_owned()
}

/// Lines as other machines print them.
fn lines_of_elsewhere() -> Verdict {
    let article = "7f7f8a1000-7f7f8c1000 rw-p 00000000 00:01 49025 /dev/ashmem/dalvik-LinearAlloc (deleted)";
    let shared = "7f00aa0000-7f00ab0000 rw-s 00000000 00:01 49025 /dev/ashmem/frames (deleted)";
    let reader = "7e55550000-7e55560000 r--s 00000000 00:01 49025 /dev/ashmem/frames (deleted)";
    let on_disk = "7f00aa0000-7f00ab0000 rw-s 00000000 08:01 49025 /var/cache/frames";
    for (a, b, expected, what) in [
        (article, article, false, "what Android's runtime showed, in two processes"),
        (shared, reader, true, "a writer's mapping and a reader's"),
        (shared, on_disk, false, "one inode number on two devices"),
    ] {
        let yours = one_memory::is_one_memory(a, b);
        check(yours == expected, format!("{what}: one memory {expected}, yours {yours}"))?;
    }
    Ok(())
}

#[test]
fn keeps_alive() {
    if !holder::is_this_process() {
        judge("keeps_alive", who_holds_it());
    }
}

fn who_holds_it() -> Verdict {
    let inode = |fd: &OwnedFd| File::from(fd.try_clone().expect("dup")).metadata().expect("it is open").ino();
    let ask = |pid, inode, expected: bool, what: &str| {
        let yours = keeps_alive::keeps_alive(pid, inode).map_err(in_words)?;
        check(yours == expected, format!("{what}: keeps it alive {expected}, yours {yours}"))
    };
    let here = std::process::id();
    let region = Region::create("kept", 4096).map_err(in_words)?;
    let mapping = region.map::<()>().map_err(in_words)?;
    let fd = OwnedFd::from(region);
    let file = inode(&fd);
    ask(here, file, true, "a process with a descriptor and a mapping")?;
    drop(fd);
    ask(here, file, true, "a process with a mapping and no descriptor")?;
    drop(mapping);
    ask(here, file, false, "a process that has given up both")?;

    let holder = Holder::start("keeps_alive", "plainly");
    let link = format!("/proc/{}/fd/{}", holder.pid(), holder.number);
    let theirs = std::fs::metadata(link).map_err(in_words)?.ino();
    ask(holder.pid(), theirs, true, "another process with a descriptor and no mapping")?;
    ask(here, theirs, false, "this process, which has neither")
}

#[test]
fn found_by_a_word() {
    judge("found_by_a_word", a_name_goes_with_its_server());
}

/// One server after the other under one name. What the kernel does for one that was killed is to close its socket.
fn a_name_goes_with_its_server() -> Verdict {
    let word = format!("found-by-a-word-{}", std::process::id());
    let another = format!("{word}-another");
    let verdict = two_servers(&word, &another);
    for word in [&word, &another] {
        let address = found_by_a_word::address(word).map_err(in_words)?;
        // Of a wrong answer too, nothing stays.
        address.as_pathname().map(std::fs::remove_file).into_iter().for_each(drop);
    }
    verdict
}

fn two_servers(word: &str, another: &str) -> Verdict {
    let listen = || UnixListener::bind_addr(&found_by_a_word::address(word)?);
    let region = Region::create("found", 4096).map_err(in_words)?;
    for round in 0..2 {
        let server = listen().map_err(|error| format!("server {round}, after the one before it: {error}"))?;
        check(listen().is_err(), "two servers listen under one name at once")?;
        let address = found_by_a_word::address(word).map_err(in_words)?;
        let client = UnixStream::connect_addr(&address).map_err(in_words)?;
        let (stream, _) = server.accept().map_err(in_words)?;
        scm_rights::send(&stream, b".", &[region.as_fd()]).map_err(in_words)?;
        let [_given] = scm_rights::receive(&client, &mut [0], 1)
            .and_then(|message| message.into_exactly())
            .map_err(in_words)?;
    }
    let _server = listen().map_err(in_words)?;
    let other = found_by_a_word::address(another).map_err(in_words)?;
    check(UnixListener::bind_addr(&other).is_ok(), "another name is taken with it")
}

#[test]
fn how_large() {
    judge("how_large", no_holder_is_quick_enough());
}

/// A holder acts once, between two questions; the answer must hold afterwards.
fn no_holder_is_quick_enough() -> Verdict {
    for (acts, expected, what) in [
        (0, Some(8192), "a file that is sealed, and left alone"),
        (1, None, "a file that is not sealed"),
        (2, None, "a file that is cut and then sealed, between your two questions"),
    ] {
        let memfd = Memfd::create("file").map_err(in_words)?;
        memfd.set_len(8192).map_err(in_words)?;
        if acts == 0 {
            memfd.add_seals(Seals::SHRINK).map_err(in_words)?;
        }
        let asked = Cell::new(0);
        let between = || {
            asked.set(asked.get() + 1);
            if asked.get() == 2 && acts == 2 {
                memfd.set_len(4096).expect("not sealed yet");
                memfd.add_seals(Seals::SHRINK).expect("not sealed yet");
            }
        };
        let seals = || {
            between();
            memfd.seals()
        };
        let len = || {
            between();
            memfd.len()
        };
        let yours = how_large::how_large(seals, len).map_err(in_words)?;
        let now = memfd.len().map_err(in_words)?;
        // A right answer may also be the smaller size, by one who asks again.
        let holds = yours == expected || (acts == 2 && yours == Some(now));
        check(holds, format!("{what}: {expected:?}, yours {yours:?}, and now it has {now} bytes"))?;
    }
    Ok(())
}

#[test]
fn asked_once() {
    judge("asked_once", what_is_checked_is_returned());
}

/// A peer that stores another length and other bytes after each look of yours.
fn what_is_checked_is_returned() -> Verdict {
    let good = |rest: &[u8]| [&[sum_of(rest)], rest].concat();
    let honest = good(b"pay 10 to Ann");
    let play = |lengths: [usize; 2], contents: [&[u8]; 2]| {
        let region = Region::create("peer", 4096).expect("a region");
        let peer = region.map::<()>().expect("mapped");
        let (loads, copies) = (Cell::new(0), Cell::new(0));
        let answer = asked_once::message(
            || lengths[loads.replace(1)],
            |to| {
                peer.copy_in(0, contents[copies.replace(1)]).expect("it fits");
                peer.copy_out(0, to)
            },
        );
        answer.map_err(in_words)
    };
    let len = honest.len();
    let answer = play([len, len], [&honest, &honest])?;
    check(answer.as_deref() == Some(&honest[..]), format!("an honest message: yours {answer:?}"))?;
    check(play([len, len], [b"nonsense", b"nonsense"])?.is_none(), "a message with a wrong sum is taken")?;
    check(play([LONGEST + 1; 2], [&honest, &honest])?.is_none(), "a message that is too long is taken")?;
    check(play([0, 0], [&honest, &honest])?.is_none(), "a message without a sum is taken")?;
    let answer = play([len, 4000], [&honest, &honest])?;
    let short = answer.as_ref().is_none_or(|answer| answer.len() <= LONGEST);
    check(short, "the peer changes the length after your look at it, and yours has 4000 bytes")?;
    let answer = play([len, len], [&honest, b"?pay 99 to Eve"])?;
    let text = answer.as_deref().map(String::from_utf8_lossy);
    let whole = answer.as_deref().is_none_or(|answer| answer == honest);
    check(whole, format!("the peer changes the text after your look at it: yours {text:?}"))
}

#[test]
fn standing_still() {
    judge("standing_still", a_receiver_is_satisfied());
}

fn a_receiver_is_satisfied() -> Verdict {
    let text = b"pay 10 to Ann";
    let message = standing_still::publish(text).map_err(in_words)?;
    let all = Seals::SHRINK | Seals::GROW | Seals::WRITE | Seals::SEAL;
    let file = File::from(message.as_fd().try_clone_to_owned().map_err(in_words)?);
    let fixed = Expected::new().exactly(text.len()).sealed(all).check(message.into()).map_err(in_words)?;
    let mut seen = [0; 13];
    fixed.map_read_only::<()>().and_then(|mapping| mapping.copy_out(0, &mut seen)).map_err(in_words)?;
    check(seen == *text, format!("it holds {:?}", String::from_utf8_lossy(&seen)))?;
    check(file.write_at(b"9", 4).is_err(), "and can still be written")
}

#[test]
fn frames() {
    judge("frames", every_frame_by_itself().and_then(|()| a_frame_in_pieces()));
}

/// A frame as its bytes.
fn frame(text: &[u8]) -> Vec<u8> {
    let len = u32::try_from(text.len()).expect("a short text");
    [&len.to_ne_bytes(), text].concat()
}

/// What is sent, all of it before the first is received.
fn every_frame_by_itself() -> Verdict {
    let (sender, receiver) = UnixStream::pair().map_err(in_words)?;
    receiver.set_nonblocking(true).map_err(in_words)?; // what is lost does not come, and nobody waits for it
    let region = Region::create("gift", 64).map_err(in_words)?;
    let frames = [("one", 1), ("two", 0), ("three", 0), ("", 2), ("", 0), ("four", 253), ("last", 0)];
    for (text, count) in frames {
        let descriptors = vec![region.as_fd(); count];
        scm_rights::send(&sender, &frame(text.as_bytes()), &descriptors).map_err(in_words)?;
    }
    for (n, (text, count)) in frames.into_iter().enumerate() {
        let (came, descriptors) = frames::receive_frame(&receiver).map_err(|e| format!("frame {n}: {e}"))?;
        let came = String::from_utf8_lossy(&came);
        let yours = format!("yours is {came:?} with {}", descriptors.len());
        check(
            came == text && descriptors.len() == count,
            format!("frame {n} is {text:?} with {count} descriptors, {yours}"),
        )?;
    }
    drop(sender);
    check(frames::receive_frame(&receiver).is_err(), "a frame behind the last one")
}

/// A frame that no socket holds whole, so that it comes as it is sent.
fn a_frame_in_pieces() -> Verdict {
    let (sender, receiver) = UnixStream::pair().map_err(in_words)?;
    let text: Vec<u8> = (0..=255).cycle().take(4 << 20).collect();
    let region = Region::create("gift", 64).map_err(in_words)?;
    let (sent, came) = std::thread::scope(|scope| {
        let sent = scope.spawn(|| {
            let sender = sender; // closed when all is sent, so that nobody waits for more
            scm_rights::send(&sender, &frame(&text), &[region.as_fd()])
        });
        let came = frames::receive_frame(&receiver);
        drop(receiver); // or a sender would wait for one who has given up
        (sent.join().expect("no panic"), came)
    });
    let (came, descriptors) = came.map_err(in_words)?;
    check(came == text, "a frame that is longer than what a socket holds is not what was sent")?;
    check(descriptors.len() == 1, "and its descriptor is lost")?;
    sent.map_err(in_words)
}

#[test]
fn one_of_each() {
    alone::alone("one_of_each", || judge("one_of_each", open_files_are_told_apart()));
}

fn open_files_are_told_apart() -> Verdict {
    let (one, other) = (Memfd::create("one").map_err(in_words)?, Memfd::create("other").map_err(in_words)?);
    let again = |memfd: &Memfd| memfd.as_fd().try_clone_to_owned().map_err(in_words);
    let reader = File::open(format!("/proc/self/fd/{}", one.as_fd().as_raw_fd())).map_err(in_words)?;
    let reader = OwnedFd::from(reader);
    let reader_again = reader.try_clone().map_err(in_words)?;
    let open = || std::fs::read_dir("/proc/self/fd").expect("/proc").count();
    let before = open();
    let came = vec![again(&one)?, again(&other)?, reader, again(&one)?, reader_again, again(&other)?];
    let kept = one_of_each::one_of_each(came).map_err(in_words)?;
    check(kept.len() == 3, format!("of three open files yours keeps {}", kept.len()))?;
    let writers = kept.iter().filter(|fd| {
        let mut file = File::from(fd.try_clone().expect("dup"));
        file.write_all(b"x").is_ok()
    });
    check(writers.count() == 2, "and not one of each")?;
    // Before, the reader's two were open already.
    check(open() == before - 2 + 3, "a descriptor that was known is not closed")
}
