//! What a declared structure looks like through both kinds of attachment, and between threads.

mod support;

use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU16, AtomicU32, Ordering};
use std::thread;

use support::namespace::private;
use sysv_shm::{Attachment, Key, ReadAttachment, Segment};

#[repr(C)]
struct Point {
    x: AtomicU16,
    y: AtomicU16,
}
sysv_shm::shareable!(Point { x: AtomicU16, y: AtomicU16 });

#[repr(C)]
struct Whole {
    time: AtomicI32,
    corners: [Point; 2],
    name: [AtomicU8; 4],
    count: AtomicU32,
}
sysv_shm::shareable!(Whole { time: AtomicI32, corners: [Point; 2], name: [AtomicU8; 4], count: AtomicU32 });

#[test]
fn a_view_shows_every_field_where_it_is() {
    private(|| {
        let segment = Segment::create_new(Key::PRIVATE, size_of::<Whole>()).unwrap().remove_on_drop();
        let (writer, reader) = both(&segment);
        writer.time.store(-1, Ordering::Release);
        writer.corners[1].y.store(0xabcd, Ordering::Release);
        writer.name[3].store(b'!', Ordering::Release);
        writer.count.store(7, Ordering::Release);
        for order in [Ordering::Relaxed, Ordering::Acquire, Ordering::SeqCst] {
            assert_eq!((reader.time.load(order), reader.count.load(order)), (-1, 7));
            assert_eq!((reader.corners[0].y.load(order), reader.corners[1].y.load(order)), (0, 0xabcd));
            assert_eq!((reader.name[2].load(order), reader.name[3].load(order)), (0, b'!'));
            assert_eq!((reader.corners[0].x.load(order), reader.corners[1].x.load(order)), (0, 0));
        }
    });
}

/// Any bit pattern is a value: whatever a peer writes can be looked at.
#[test]
fn a_hostile_peer_can_write_anything() {
    private(|| {
        let segment = Segment::create_new(Key::PRIVATE, size_of::<Whole>()).unwrap().remove_on_drop();
        let (_, reader) = both(&segment);
        segment.attach::<()>().unwrap().copy_in(0, &[0xff; size_of::<Whole>()]).unwrap();
        assert_eq!(
            (reader.time.load(Ordering::Relaxed), reader.count.load(Ordering::Relaxed)),
            (-1, u32::MAX)
        );
        assert_eq!(reader.corners[0].x.load(Ordering::Relaxed), u16::MAX);
        assert_eq!(reader.name[0].load(Ordering::Relaxed), u8::MAX);
    });
}

#[test]
fn threads_share_one_attachment_and_see_the_bytes_that_a_word_announces() {
    private(|| {
        let segment = Segment::create_new(Key::PRIVATE, 4096).unwrap().remove_on_drop();
        let (writer, reader) = both(&segment);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..10_000 {
                        writer.count.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        });
        assert_eq!(reader.count.load(Ordering::Relaxed), 20_000, "no increment is lost");

        thread::scope(|scope| {
            scope.spawn(|| {
                writer.copy_in(0, &[7; 1000]).unwrap();
                writer.time.store(1, Ordering::Release); // pairs with the Acquire below
            });
            while reader.time.load(Ordering::Acquire) == 0 {
                thread::yield_now();
            }
            let mut bytes = [0; 1000];
            reader.copy_out(0, &mut bytes).unwrap();
            assert_eq!(bytes, [7; 1000]);
        });
    });
}

fn both(segment: &Segment) -> (Attachment<Whole>, ReadAttachment<Whole>) {
    (segment.attach().unwrap(), segment.attach_read_only().unwrap())
}
