//! An error in the place of an `io::Error`: the nearest kind, the same text, and still itself inside.

mod support;

use std::io::{self, ErrorKind};
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use support::namespace::private;
use sysv_shm::{Error, Key, Operation, Segment, SegmentId, SemaphoreSet};

const KEY: Key = Key::new(0x0001_2345);

#[test]
fn it_has_the_nearest_kind_and_is_still_inside() {
    private(|| {
        let segment = Segment::create(KEY, 4).unwrap().remove_on_drop();
        let set = SemaphoreSet::create(KEY, 1).unwrap().remove_on_drop();
        let take = [Operation::take(0)];
        let mut rows: Vec<(Error, ErrorKind)> = vec![
            (Segment::open(Key::new(1), 0).unwrap_err(), ErrorKind::NotFound),
            (Segment::from_id(SegmentId::new(-1)).unwrap_err(), ErrorKind::NotFound),
            (Segment::create_new(KEY, 4).unwrap_err(), ErrorKind::AlreadyExists),
            (Segment::create(Key::PRIVATE, 0).unwrap_err(), ErrorKind::InvalidInput),
            (segment.attach::<[AtomicU32; 2]>().unwrap_err(), ErrorKind::InvalidInput),
            (segment.attach::<()>().unwrap().copy_in(5, &[1]).unwrap_err(), ErrorKind::InvalidInput),
            (set.try_operate(&take).unwrap_err(), ErrorKind::WouldBlock),
            (set.operate_for(&take, Duration::ZERO).unwrap_err(), ErrorKind::TimedOut),
        ];
        if cfg!(target_pointer_width = "64") {
            // With 32 bits there is no size that the kernel would not give.
            let most = Segment::create(Key::PRIVATE, usize::MAX);
            rows.push((most.unwrap_err(), ErrorKind::QuotaExceeded));
        }
        for (error, kind) in rows {
            let (text, whole) = (error.to_string(), error.clone());
            assert_eq!(format!("{error:?}"), text, "what `unwrap` and `main` show");
            let converted = io::Error::from(error);
            assert_eq!((converted.kind(), converted.to_string()), (kind, text));
            assert_eq!(converted.downcast::<Error>().ok(), Some(whole));
        }
    });
}
