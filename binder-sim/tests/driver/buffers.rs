//! Buffers behind a payload (PTR), descriptors in them (FDA), and what of them is malformed.

use crate::two::{Two, call, nothing, one_way, reply};
use binder_sim::driver::{Profile, Translation};
use binder_sim::protocol::{
    Command, Object, ObjectFlags, Payload, Placed, TransactionData, TransactionFlags,
};

/// A sender's address.
const AT: u64 = 0x5000_0000;

/// A buffer of the sender's with these bytes.
fn ptr(data: &[u8]) -> Object {
    Object::ptr(AT, data)
}

/// A buffer that another one points to.
fn child(data: &[u8], of: u64, at: u64) -> Object {
    let Object::Ptr { buffer, length, data, .. } = ptr(data) else { unreachable!("it is one") };
    Object::Ptr { flags: Object::HAS_PARENT, buffer, length, parent: of, parent_offset: at, data }
}

/// `objects` after eight bytes, since a buffer at offset 0 can be nobody's parent.
fn after_eight(objects: &[Object]) -> Payload {
    let mut payload = Payload::objects(objects.iter().cloned());
    payload.objects.iter_mut().for_each(|placed| placed.offset += 8);
    let bytes = vec![0; payload.bytes.len() + 8];
    Payload::placed(bytes, payload.objects)
}

/// Sends `command` to a server that accepts descriptors, in both schemes; says why it was refused, or `taken`.
/// Whatever came of it, nothing stays behind.
fn outcome(command: &Command) -> String {
    let outcomes = Translation::ALL.map(|translation| {
        let mut two = Two::with(Profile::default(), translation, ObjectFlags::ACCEPTS_FDS);
        for label in ["one", "two", "three"] {
            two.world.open(two.client, label, ()).expect("room");
        }
        two.says(two.client, [command.clone()], "ok");
        let error = two.world.extended_error(two.client).expect("an ioctl");
        if error.command.is_none() {
            return "taken".to_string();
        }
        two.reads(two.client, "NOOP; FAILED_REPLY");
        two.reads(two.server, "EAGAIN");
        assert_eq!(two.world.in_flight(), 0, "a file stayed in flight");
        let open = two.world.open_of(two.server).expect("open");
        assert_eq!(two.world.driver().buffers(open), Some((0, 128 << 10)), "a buffer stayed");
        assert_eq!(two.world.table(two.server).map(|table| table.len()), Some(1), "a number stayed");
        error.to_string()
    });
    assert_eq!(outcomes[0], outcomes[1], "both schemes");
    outcomes[0].replace("BR_FAILED_REPLY, -", "")
}

/// A call with exactly this much room behind the payload; `None` is the plain command.
fn roomy(payload: Payload, buffers_size: Option<u64>) -> Command {
    let data = TransactionData { buffers_size, ..TransactionData::new(0, 1, payload) };
    Command::Transaction(data.flags(TransactionFlags::NONE))
}

#[test]
fn a_buffer_follows_its_payload_and_the_pointer_to_it_is_rewritten() {
    let mut two = Two::new();
    let payload = after_eight(&[ptr(&[1; 16]), child(&[2; 5], 0, 8), child(&[3; 8], 1, 0)]);
    // The innermost pointer does not fit into five bytes.
    two.asks(two.client, [call(0, payload)], "NOOP; FAILED_REPLY");
    let payload = after_eight(&[ptr(&[1; 16]), child(&[2; 12], 0, 8), child(&[3; 8], 1, 0)]);
    two.says(two.client, [call(0, payload)], "ok");
    let got = two.takes(two.server);
    let place = |n: usize| match &got.payload.objects[n].object {
        Object::Ptr { buffer, data, .. } => (*buffer, data.clone()),
        other => panic!("{other}"),
    };
    // The data, the offsets, then the three buffers, each at a multiple of 8.
    let first = got.buffer + 128 + 24;
    assert_eq!([place(0).0, place(1).0, place(2).0], [first, first + 16, first + 32]);
    let pointer = |to: u64| to.to_le_bytes();
    assert_eq!(
        place(0).1,
        [&[1; 8], &pointer(first + 16)[..]].concat(),
        "the second half points to the child"
    );
    assert_eq!(place(1).1, [&pointer(first + 32)[..], &[2; 4]].concat());
    assert_eq!(place(2).1, [3; 8]);
}

#[test]
fn an_array_of_descriptors_is_closed_with_its_buffer_whatever_is_there_by_then() {
    for translation in Translation::ALL {
        let mut two = Two::with(Profile::default(), translation, ObjectFlags::ACCEPTS_FDS);
        let fds: Vec<u32> =
            ["one", "two", "three"].map(|label| two.world.open(two.client, label, ()).expect("room")).into();
        let (server, client) = (two.server, two.client);
        two.says(client, [call(0, Payload::fd_array(AT, &fds))], "ok");
        let got = two.takes(server);
        let Object::FdArray { fds: numbers, .. } = &got.payload.objects[1].object else { panic!("{got:?}") };
        assert_eq!(*numbers, [1, 2, 3], "the server's lowest free ones");
        let Object::Ptr { data, .. } = &got.payload.objects[0].object else { panic!("{got:?}") };
        assert_eq!(data[..], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0], "they stand in the buffer");
        let file = |two: &Two, fd| two.world.file(server, fd).map(|file| file.label().to_string());
        assert_eq!(file(&two, 2), Some("two".into()));
        // The server closes one itself, and opens something else there; and keeps another by a number of its own.
        two.world.close(server, 2).expect("open");
        assert_eq!(two.world.open(server, "mine", ()), Ok(2));
        assert_eq!(two.world.dup(server, 1), Ok(4));
        two.asks(server, [Command::FreeBuffer(got.buffer), reply(nothing())], "NOOP; TRANSACTION_COMPLETE");
        assert_eq!([1, 2, 3, 4].map(|fd| file(&two, fd)), [None, None, None, Some("one".into())]);
        two.reads(client, "NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes");
    }
}

#[test]
fn the_thread_that_closes_an_array_comes_back_from_its_read() {
    let mut two = Two::new();
    let fd = two.world.open(two.client, "memory", ()).expect("room");
    two.asks(two.client, [one_way(0, Payload::fd_array(AT, &[fd]))], "NOOP; TRANSACTION_COMPLETE");
    let got = two.takes(two.server);
    let free = vec![Command::FreeBuffer(got.buffer)];
    two.does(two.server, 0, free, binder_sim::driver::Read::WAIT, "NOOP");
    assert_eq!(two.world.table(two.server).map(|table| table.len()), Some(1), "the array's number is gone");
}

#[test]
fn an_array_that_does_not_fit_is_lost_whole() {
    let mut two = Two::new();
    let fd = two.world.open(two.client, "memory", ()).expect("room");
    two.world.set_limit(two.server, 3).expect("alive");
    two.says(two.client, [call(0, Payload::fd_array(AT, &[fd; 3]))], "ok");
    two.reads(two.server, "EAGAIN");
    two.reads(two.client, "NOOP; TRANSACTION_COMPLETE; FAILED_REPLY");
    assert_eq!((two.world.in_flight(), two.world.table(two.server).map(|t| t.len())), (0, Some(1)));
}

#[test]
fn what_a_buffer_may_be() {
    let eight = after_eight(&[ptr(&[1; 8])]);
    let short = |length: u64, readable: usize| {
        let object = Object::Ptr {
            flags: 0,
            buffer: AT,
            length,
            parent: 0,
            parent_offset: 0,
            data: vec![1; readable],
        };
        after_eight(&[object])
    };
    let pair = |first: &[u8], of: u64, at: u64| after_eight(&[ptr(first), child(&[2; 8], of, at)]);
    let table = [
        ("plain command, no room", roomy(eight.clone(), None), "EINVAL"),
        ("plain command, empty buffer", roomy(after_eight(&[ptr(&[])]), None), "taken"),
        ("exactly enough room", roomy(eight.clone(), Some(8)), "taken"),
        ("less room than buffer", roomy(after_eight(&[ptr(&[1; 16])]), Some(8)), "EINVAL"),
        ("room that is no multiple of 8", roomy(eight.clone(), Some(12)), "EINVAL"),
        ("room that overflows", roomy(eight.clone(), Some(u64::MAX)), "EINVAL"),
        ("room for more than there is", roomy(eight.clone(), Some(1 << 40)), "ENOSPC"),
        ("bytes that cannot be read", roomy(short(16, 8), Some(16)), "EINVAL"),
        ("child of itself", roomy(pair(&[1; 8], 1, 0), Some(16)), "EINVAL"),
        ("child of nobody", roomy(pair(&[1; 8], 7, 0), Some(16)), "EINVAL"),
        ("child in a buffer too small", roomy(pair(&[1; 4], 0, 0), Some(16)), "EINVAL"),
        ("child past the end", roomy(pair(&[1; 8], 0, 1), Some(16)), "EINVAL"),
        ("child at an odd place", roomy(pair(&[1; 16], 0, 2), Some(24)), "EINVAL"),
        ("child in its place", roomy(pair(&[1; 16], 0, 4), Some(24)), "taken"),
        ("pointer under unreadable bytes", roomy(under_pointer(), Some(24)), "taken"),
        (
            "child of what is no buffer",
            roomy(after_eight(&[Object::fd(1), child(&[2; 8], 0, 0)]), Some(8)),
            "EINVAL",
        ),
    ];
    for (name, command, expected) in table {
        assert_eq!(outcome(&command), expected, "{name}");
    }
    // At offset 0 a buffer is fine, and nobody's parent.
    assert_eq!(outcome(&call(0, Payload::objects([ptr(&[1; 8])]))), "taken");
    assert_eq!(outcome(&call(0, Payload::objects([ptr(&[1; 16]), child(&[2; 8], 0, 0)]))), "EINVAL");
}

/// A buffer of 8 readable bytes of 16, of which the other 8 are a pointer that is rewritten anyway.
fn under_pointer() -> Payload {
    let object =
        Object::Ptr { flags: 0, buffer: AT, length: 16, parent: 0, parent_offset: 0, data: vec![1; 8] };
    after_eight(&[object, child(&[2; 8], 0, 8)])
}

#[test]
fn fixups_go_forward_and_stay_in_the_last_buffer_or_what_it_stands_in() {
    let (a, b) = (ptr(&[1; 32]), |at| child(&[2; 8], 0, at));
    let table = [
        ("in order", vec![a.clone(), b(0), b(8), b(16)], "taken"),
        ("backwards", vec![a.clone(), b(16), b(0)], "EINVAL"),
        ("twice the same", vec![a.clone(), b(0), b(0)], "EINVAL"),
        ("overlapping", vec![a.clone(), b(0), b(4)], "EINVAL"),
        ("a grandchild, and back up", vec![a.clone(), b(0), child(&[3; 8], 1, 0), b(8)], "taken"),
        ("back into a finished child", vec![a.clone(), b(0), b(8), child(&[3; 8], 1, 0)], "EINVAL"),
        ("past an orphan", vec![a.clone(), ptr(&[4; 8]), b(0)], "EINVAL"),
    ];
    for (name, objects, expected) in table {
        assert_eq!(outcome(&call(0, after_eight(&objects))), expected, "{name}");
    }
}

/// An array with all its fields.
fn array(parent: u64, parent_offset: u64, num_fds: u64, fds: &[u32]) -> Object {
    Object::FdArray { pad: 0, num_fds, parent, parent_offset, fds: fds.to_vec() }
}

#[test]
fn what_an_array_may_be() {
    let with = |array: Object| call(0, after_eight(&[ptr(&[0; 16]), array]));
    let odd = |array: Object| call(0, after_eight(&[Object::ptr(AT + 2, &[0; 16]), array]));
    let table = [
        ("three descriptors", with(array(0, 0, 3, &[1, 2, 3])), "taken"),
        ("none", with(array(0, 0, 0, &[])), "taken"),
        ("none, and more is said", with(array(0, 0, 0, &[9, 9])), "taken"),
        ("at the end", with(array(0, 12, 1, &[1])), "taken"),
        ("past the end", with(array(0, 16, 1, &[1])), "EINVAL"),
        ("more than fit", with(array(0, 0, 5, &[1; 5])), "EINVAL"),
        ("more than can be counted", with(array(0, 0, u64::MAX / 2, &[1])), "EINVAL"),
        ("fewer readable than said", with(array(0, 0, 3, &[1, 2])), "EINVAL"),
        ("at an odd place", with(array(0, 2, 1, &[1])), "EINVAL"),
        ("at an odd place in the sender", odd(array(0, 0, 1, &[1])), "EINVAL"),
        ("a bad number", with(array(0, 0, 2, &[1, 77])), "EBADF"),
        ("in itself", with(array(1, 0, 1, &[1])), "EINVAL"),
        ("in nothing", with(array(9, 0, 1, &[1])), "EINVAL"),
        ("two, in order", two_arrays(4), "taken"),
        ("two, over each other", two_arrays(0), "EINVAL"),
        ("without a buffer before", call(0, after_eight(&[array(0, 0, 1, &[1])])), "EINVAL"),
    ];
    for (name, command, expected) in table {
        assert_eq!(outcome(&command), expected, "{name}");
    }
}

/// Two arrays of one in one buffer, the second at this place.
fn two_arrays(at: u64) -> Command {
    call(0, after_eight(&[ptr(&[0; 16]), array(0, 0, 1, &[1]), array(0, at, 1, &[2])]))
}

#[test]
fn an_array_that_is_not_accepted() {
    let mut two = Two::with(Profile::default(), Translation::Deferred, ObjectFlags::NONE);
    let fd = two.world.open(two.client, "memory", ()).expect("room");
    two.asks(two.client, [call(0, Payload::fd_array(AT, &[fd]))], "NOOP; FAILED_REPLY");
    assert_eq!(
        two.world.extended_error(two.client).expect("an ioctl").to_string(),
        "BR_FAILED_REPLY, -EPERM"
    );
}

#[test]
fn sizes_that_are_not_true() {
    let claims =
        |data_size, offsets_size| Payload { data_size, offsets_size, ..Payload::objects([Object::fd(1)]) };
    let placed = |offset: u64| Payload::placed(vec![0; 64], vec![Placed { offset, object: Object::fd(1) }]);
    let unreadable = |readable: usize, offset: u64| Payload {
        bytes: vec![0; readable],
        ..Payload { data_size: 64, ..placed(offset) }
    };
    let table = [
        ("offsets that cannot be read", claims(24, 16), "EFAULT"),
        ("offsets in part", claims(24, 12), "EINVAL"),
        ("offsets in part, and fewer than said", claims(24, 20), "EFAULT"),
        ("fewer offsets than there are", claims(24, 0), "taken"),
        ("less data than there is", claims(16, 8), "EINVAL"),
        // As much is read as the largest object takes, whichever it is.
        ("less than 40 bytes that can be read", claims(32, 8), "EINVAL"),
        ("an object that cannot be read, with no gap before it", unreadable(0, 0), "EINVAL"),
        ("a gap that cannot be read", unreadable(8, 16), "EFAULT"),
        ("an object that can be read in part", unreadable(32, 16), "EINVAL"),
        ("data behind the object that cannot be read", unreadable(56, 0), "EFAULT"),
        ("sizes that overflow when added", claims(u64::MAX, 8), "EINVAL"),
        ("2^40 bytes", claims(1 << 40, 8), "ENOSPC"),
        ("2^40 bytes of offsets", claims(24, 1 << 40), "ENOSPC"),
    ];
    for (name, payload, expected) in table {
        assert_eq!(outcome(&call(0, payload)), expected, "{name}");
    }
}

#[test]
fn a_descriptor_opened_as_a_path_is_none() {
    let mut two = Two::new();
    let fd = two.world.open_path(two.client, "a path").expect("room");
    let sent = call(0, Payload::objects([Object::fd(fd)]));
    two.asks(two.client, [sent], "NOOP; FAILED_REPLY");
    assert_eq!(
        two.world.extended_error(two.client).expect("an ioctl").to_string(),
        "BR_FAILED_REPLY, -EBADF"
    );
}
