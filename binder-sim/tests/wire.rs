//! The wire: what is encoded decodes to the same, any bytes decode to something, and the numbers are the
//! header's.

use binder_sim::protocol::{
    Command, Delivered, Object, ObjectFlags, Payload, Placed, Return, SecurityContext, TransactionData,
    TransactionFlags,
};
use binder_sim::wire::{self, Blocks, bc, br, ioctl, object_type};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use std::io::Write;
use std::process::{Command as Program, Stdio};

/// How many inputs of senseless bytes there are.
const SENSELESS: u32 = 1_000_000;

#[test]
fn a_call_with_a_descriptor_as_the_kernel_has_it() {
    let call = TransactionData::new(1, 7, Payload::objects([Object::fd(5)]));
    let mut memory = Blocks::default();
    let bytes = wire::encode(&[Command::Transaction(call.clone())], &mut memory);
    assert_eq!(bytes.len(), 4 + 64);
    assert_eq!(bytes[..4], 0x4040_6300_u32.to_le_bytes(), "BC_TRANSACTION");
    assert_eq!(bytes[4..12], 1_u64.to_le_bytes(), "the handle, and nothing in the other half");
    assert_eq!(bytes[20..24], 7_u32.to_le_bytes(), "the code");
    assert_eq!(bytes[36..44], 24_u64.to_le_bytes(), "data_size");
    assert_eq!(bytes[44..52], 8_u64.to_le_bytes(), "offsets_size");
    let [Command::Transaction(again)] = &wire::decode(&bytes, &memory)[..] else { panic!("not one call") };
    assert_eq!(again.payload.objects, call.payload.objects);
    assert_eq!(again.payload.bytes[..4], object_type::BINDER_TYPE_FD.to_le_bytes());
    assert_eq!(again.payload.bytes[8..12], 5_u32.to_le_bytes());
}

fn object() -> impl Strategy<Value = Object> {
    let flags = any::<u32>().prop_map(ObjectFlags);
    prop_oneof![
        (any::<u64>(), any::<u64>(), flags.clone(), any::<bool>())
            .prop_map(|(ptr, cookie, flags, strong)| Object::Binder { ptr, cookie, flags, strong }),
        (any::<u32>(), flags, any::<bool>()).prop_map(|(handle, flags, strong)| Object::Handle {
            handle,
            flags,
            strong
        }),
        (any::<u32>(), any::<u64>(), any::<u32>()).prop_map(|(fd, cookie, pad_flags)| Object::Fd {
            fd,
            cookie,
            pad_flags
        }),
        prop::collection::vec(any::<u8>(), 1..40).prop_map(|data| Object::ptr(0, &data)),
    ]
}

/// Objects one after the other, with bytes between them.
fn payload() -> impl Strategy<Value = Payload> {
    prop::collection::vec((0..3_u64, object()), 0..5).prop_map(|pieces| {
        let (mut bytes, mut objects) = (Vec::new(), Vec::new());
        for (gap, object) in pieces {
            bytes.resize(bytes.len() + 4 * usize::try_from(gap).expect("small"), 0xaa);
            objects.push(Placed { offset: bytes.len() as u64, object: object.clone() });
            bytes.resize(bytes.len() + object.wire_size(), 0);
        }
        Payload::placed(bytes, objects)
    })
}

fn data() -> impl Strategy<Value = TransactionData> {
    (any::<u32>(), any::<u32>(), any::<u32>(), payload()).prop_map(|(target, code, flags, payload)| {
        TransactionData::new(target, code, payload).flags(TransactionFlags(flags))
    })
}

fn command() -> impl Strategy<Value = Command> {
    let (one, two) = (any::<u64>(), (any::<u64>(), any::<u64>()));
    let notice = (any::<u32>(), any::<u64>());
    prop_oneof![
        data().prop_map(Command::Transaction),
        data().prop_map(Command::Reply),
        one.prop_map(Command::FreeBuffer),
        any::<u32>().prop_map(Command::IncRefs),
        any::<u32>().prop_map(Command::Acquire),
        any::<u32>().prop_map(Command::Release),
        any::<u32>().prop_map(Command::DecRefs),
        two.prop_map(|(ptr, cookie)| Command::IncRefsDone { ptr, cookie }),
        two.prop_map(|(ptr, cookie)| Command::AcquireDone { ptr, cookie }),
        prop_oneof![Just(Command::RegisterLooper), Just(Command::EnterLooper), Just(Command::ExitLooper)],
        notice.prop_map(|(handle, cookie)| Command::RequestDeathNotification { handle, cookie }),
        notice.prop_map(|(handle, cookie)| Command::ClearDeathNotification { handle, cookie }),
        notice.prop_map(|(handle, cookie)| Command::RequestFreezeNotification { handle, cookie }),
        notice.prop_map(|(handle, cookie)| Command::ClearFreezeNotification { handle, cookie }),
        one.prop_map(Command::DeadBinderDone),
        one.prop_map(Command::FreezeNotificationDone),
    ]
}

/// Words that no driver takes.
fn refused() -> impl Strategy<Value = Command> {
    let priority = (any::<i32>(), any::<u32>());
    prop_oneof![
        any::<i32>().prop_map(Command::AcquireResult),
        priority.prop_map(|(priority, handle)| Command::AttemptAcquire { priority, handle }),
        Just(Command::Unknown { word: 0x1234 }),
    ]
}

/// A payload as it reads where its bytes say what its objects are, and buffers are where they were put.
fn as_bytes(mut payload: Payload) -> Payload {
    for Placed { offset, object } in &mut payload.objects {
        if let Object::Ptr { buffer, .. } = object {
            *buffer = 0;
        }
        let mut form = Vec::new();
        wire::put_object(object, &mut form);
        let at = usize::try_from(*offset).expect("small");
        payload.bytes[at..at + form.len()].copy_from_slice(&form);
    }
    payload
}

/// A runner whose seed is printed when something fails; `SEED=` replays it.
fn check<V: std::fmt::Debug>(
    cases: u32,
    values: impl Strategy<Value = V>,
    property: impl Fn(V) -> Result<(), TestCaseError>,
) {
    let seed: u64 = std::env::var("SEED").map_or(0x0c0_dec, |seed| seed.parse().expect("SEED is a number"));
    let bytes: [u8; 32] = core::array::from_fn(|n| seed.to_le_bytes()[n % 8]);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    if let Err(error) = runner.run(&values, property) {
        panic!("SEED={seed}: {error}");
    }
}

#[test]
fn commands_are_the_same_there_and_back() {
    check(
        2000,
        (prop::collection::vec(command(), 0..6), prop::option::of(refused())),
        |(mut commands, last)| {
            commands.extend(last);
            let mut memory = Blocks::default();
            let bytes = wire::encode(&commands, &mut memory);
            prop_assert_eq!(bytes.len(), commands.iter().map(Command::wire_size).sum::<usize>());
            let plain = |command: Command| match command {
                Command::Transaction(data) => {
                    Command::Transaction(TransactionData { payload: as_bytes(data.payload), ..data })
                }
                Command::Reply(data) => {
                    Command::Reply(TransactionData { payload: as_bytes(data.payload), ..data })
                }
                other => other,
            };
            let again: Vec<Command> = wire::decode(&bytes, &memory).into_iter().map(plain).collect();
            prop_assert_eq!(again, commands.into_iter().map(plain).collect::<Vec<_>>());
            Ok(())
        },
    );
}

/// Where a payload is delivered.
const BUFFER: u64 = 0x7000_0040;

fn delivered() -> impl Strategy<Value = Delivered> {
    let node = (any::<u64>(), any::<u64>(), any::<u32>(), any::<u32>());
    (node, any::<u32>(), any::<u32>(), payload()).prop_map(
        |((ptr, cookie, code, flags), pid, uid, payload)| {
            let mut payload = payload;
            // The driver puts buffers behind the offsets, each at a multiple of eight.
            let mut end = BUFFER + payload.data_size.next_multiple_of(8) + payload.offsets_size;
            for placed in &mut payload.objects {
                if let Object::Ptr { buffer, length, .. } = &mut placed.object {
                    *buffer = end;
                    end += length.next_multiple_of(8);
                }
            }
            Delivered {
                ptr,
                cookie,
                code,
                flags: TransactionFlags(flags),
                sender_pid: pid,
                sender_euid: uid,
                buffer: BUFFER,
                payload,
                security_context: None,
            }
        },
    )
}

fn answer() -> impl Strategy<Value = Return> {
    let (one, two) = (any::<u64>(), (any::<u64>(), any::<u64>()));
    prop_oneof![
        Just(Return::Noop),
        Just(Return::SpawnLooper),
        Just(Return::TransactionComplete),
        Just(Return::TransactionPendingFrozen),
        Just(Return::OnewaySpamSuspect),
        prop_oneof![Just(Return::FailedReply), Just(Return::DeadReply), Just(Return::FrozenReply)],
        Just(Return::Ok),
        any::<i32>().prop_map(Return::Error),
        two.prop_map(|(ptr, cookie)| Return::IncRefs { ptr, cookie }),
        two.prop_map(|(ptr, cookie)| Return::Acquire { ptr, cookie }),
        two.prop_map(|(ptr, cookie)| Return::Release { ptr, cookie }),
        two.prop_map(|(ptr, cookie)| Return::DecRefs { ptr, cookie }),
        one.prop_map(Return::DeadBinder),
        one.prop_map(Return::ClearDeathNotificationDone),
        one.prop_map(Return::ClearFreezeNotificationDone),
        (one, any::<bool>()).prop_map(|(cookie, is_frozen)| Return::FrozenBinder { cookie, is_frozen }),
    ]
}

#[test]
fn returns_are_the_same_there_and_back() {
    let calls = delivered().prop_map(|call| Return::Transaction(Box::new(call)));
    let replies = delivered().prop_map(|reply| Return::Reply(Box::new(reply)));
    let last = prop_oneof![calls, replies];
    check(2000, (prop::collection::vec(answer(), 0..6), prop::option::of(last)), |(mut returns, last)| {
        let mapping = Blocks::default();
        let mapping = match last.as_ref().and_then(Return::delivered) {
            Some(delivered) => mapping.with(BUFFER, &wire::lay_out(delivered)),
            None => mapping,
        };
        returns.extend(last);
        let bytes = wire::encode_returns(&returns);
        prop_assert_eq!(bytes.len(), returns.iter().map(Return::wire_size).sum::<usize>());
        let mut again = wire::decode_returns(&bytes, &mapping);
        // The bytes under an object mean nothing on one side and are its form on the other.
        for answer in again.iter_mut().chain(&mut returns) {
            if let Return::Transaction(delivered) | Return::Reply(delivered) = answer {
                delivered.payload = as_bytes(delivered.payload.clone());
            }
        }
        prop_assert_eq!(again, returns);
        Ok(())
    });
}

#[test]
fn a_security_context_comes_with_its_call() {
    let (address, text) = (BUFFER + 8, "u:r:shell:s0".to_string());
    let call = Delivered {
        ptr: 1,
        cookie: 1,
        code: 0,
        flags: TransactionFlags::NONE,
        sender_pid: 9,
        sender_euid: 0,
        buffer: BUFFER,
        payload: Payload::new(),
        security_context: Some(SecurityContext { address, text }),
    };
    let returns = [Return::Transaction(Box::new(call))];
    let bytes = wire::encode_returns(&returns);
    assert_eq!(bytes[..4], br::BR_TRANSACTION_SEC_CTX.to_le_bytes());
    assert_eq!(
        wire::decode_returns(&bytes, &Blocks::default().with(address, b"u:r:shell:s0\0rest")),
        returns
    );
}

/// Bytes that say nothing, or nearly something: words of the driver with anything behind them.
struct Senseless(u64);

impl Senseless {
    /// The next number: xorshift64.
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("small")
    }

    /// Bytes, with words of this list among them.
    fn bytes(&mut self, words: &[(&str, u32)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for _ in 0..self.below(5) {
            if self.below(8) > 0 {
                bytes.extend(words[self.below(words.len())].1.to_le_bytes());
            }
            for _ in 0..self.below(10) {
                // Small numbers are sizes and addresses that lead somewhere.
                let small = self.below(4) > 0;
                let number = if small { self.next() % 128 } else { self.next() };
                bytes.extend(number.to_le_bytes());
            }
            let end = bytes.len() - self.below(bytes.len().min(8) + 1);
            bytes.truncate(end);
        }
        bytes
    }
}

#[test]
fn any_bytes_decode_to_something() {
    let mut senseless = Senseless(0x5eed_5eed);
    let (mut commands, mut returns) = (0, 0);
    for _ in 0..SENSELESS {
        let memory = Blocks::default()
            .with(0, &senseless.bytes(object_type::ALL))
            .with(64, &senseless.bytes(&[("", 8)]));
        let bytes = senseless.bytes(bc::ALL);
        let decoded = wire::decode(&bytes, &memory);
        let refused = |c: &Command| matches!(c, Command::AcquireResult(_) | Command::AttemptAcquire { .. });
        let ends =
            |c: &Command| refused(c) || matches!(c, Command::Unknown { .. } | Command::Unreadable { .. });
        let cut = decoded.iter().position(ends).unwrap_or(decoded.len());
        assert!(cut + 1 >= decoded.len(), "nothing stands behind what cannot be read: {decoded:?}");
        let taken: usize = decoded[..cut].iter().map(Command::wire_size).sum();
        assert!(taken <= bytes.len() || cut < decoded.len(), "{decoded:?} out of {} bytes", bytes.len());
        commands += decoded.len();
        returns += wire::decode_returns(&senseless.bytes(br::ALL), &memory).len();
    }
    assert!(commands > 0 && returns > 0, "{commands} commands, {returns} returns");
}

/// Says on the real standard error, which the test harness does not swallow, what was not checked.
fn skip(reason: &str) {
    writeln!(std::io::stderr(), "not checked: {reason}").expect("standard error");
    assert!(std::env::var_os("CI").is_none(), "in CI nothing may be skipped: {reason}");
}

#[test]
fn numbers_and_layouts_are_the_headers() {
    let header = "/usr/include/linux/android/binder.h";
    let Ok(text) = std::fs::read_to_string(header) else {
        return skip("there is no linux/android/binder.h (Debian's package linux-libc-dev has it)");
    };
    let lists = [ioctl::ALL, bc::ALL, br::ALL, object_type::ALL];
    // An older header does not know the newest words.
    let (known, newer): (Vec<_>, Vec<_>) =
        lists.concat().into_iter().partition(|(name, _)| text.contains(name));
    let frozen = |name: &str| name.contains("FROZEN") || name.contains("FREEZE");
    assert!(newer.iter().all(|(name, _)| frozen(name)), "the header does not know {newer:?}");
    let mut program = String::from("#include <stddef.h>\n#include <linux/android/binder.h>\n");
    for (name, number) in known {
        program += &format!("_Static_assert((unsigned){name} == {number:#x}u, \"{name}\");\n");
    }
    for (structure, field, offset) in LAYOUTS {
        let (field, what) = if field.is_empty() {
            (format!("sizeof(struct {structure})"), "size")
        } else {
            (format!("offsetof(struct {structure}, {field})"), field)
        };
        program += &format!("_Static_assert({field} == {offset}, \"{structure} {what}\");\n");
    }
    let compiler = Program::new("cc").args(["-x", "c", "-fsyntax-only", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut compiler) = compiler else { return skip("there is no C compiler") };
    compiler.stdin.take().expect("a pipe").write_all(program.as_bytes()).expect("the compiler reads");
    assert!(
        compiler.wait().expect("the compiler ends").success(),
        "a number or a layout differs:\n{program}"
    );
}

/// What the codec takes for granted: where a field stands, or how large a structure is.
const LAYOUTS: [(&str, &str, usize); 36] = [
    ("binder_transaction_data", "", 64),
    ("binder_transaction_data", "cookie", 8),
    ("binder_transaction_data", "code", 16),
    ("binder_transaction_data", "flags", 20),
    ("binder_transaction_data", "sender_pid", 24),
    ("binder_transaction_data", "sender_euid", 28),
    ("binder_transaction_data", "data_size", 32),
    ("binder_transaction_data", "offsets_size", 40),
    ("binder_transaction_data", "data.ptr.buffer", 48),
    ("binder_transaction_data", "data.ptr.offsets", 56),
    ("binder_transaction_data_sg", "buffers_size", 64),
    ("binder_transaction_data_sg", "", 72),
    ("binder_transaction_data_secctx", "secctx", 64),
    ("flat_binder_object", "", 24),
    ("flat_binder_object", "flags", 4),
    ("flat_binder_object", "handle", 8),
    ("flat_binder_object", "cookie", 16),
    ("binder_fd_object", "", 24),
    ("binder_fd_object", "fd", 8),
    ("binder_fd_object", "cookie", 16),
    ("binder_buffer_object", "", 40),
    ("binder_buffer_object", "buffer", 8),
    ("binder_buffer_object", "length", 16),
    ("binder_buffer_object", "parent", 24),
    ("binder_buffer_object", "parent_offset", 32),
    ("binder_fd_array_object", "", 32),
    ("binder_fd_array_object", "num_fds", 8),
    ("binder_fd_array_object", "parent", 16),
    ("binder_fd_array_object", "parent_offset", 24),
    ("binder_write_read", "", 48),
    ("binder_ptr_cookie", "", 16),
    ("binder_handle_cookie", "", 12),
    ("binder_handle_cookie", "cookie", 4),
    ("binder_freeze_info", "", 12),
    ("binder_frozen_status_info", "", 12),
    ("binder_node_debug_info", "", 24),
];
