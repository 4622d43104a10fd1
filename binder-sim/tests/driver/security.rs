//! What a security module is asked, and the text it has for a caller.

use crate::two::{Two, call, node, nothing, reply};
use binder_sim::driver::{Credentials, Profile, Security, Translation};
use binder_sim::errno::Errno;
use binder_sim::protocol::{Command, Ioctl, Object, ObjectFlags, Payload, TransactionData};
use binder_sim::world::File;
use std::sync::Arc;

/// An ioctl of the client that comes to nothing.
#[track_caller]
fn fails(two: &mut Two, ioctl: Ioctl, errno: &str) {
    assert_eq!(two.ioctl(two.client, ioctl), Err(errno.into()), "{ioctl}");
}

/// A security module with one answer to each question.
#[derive(Debug, Clone, Copy)]
struct Module {
    set_context_mgr: bool,
    transaction: bool,
    transfer_binder: bool,
    transfer_file: bool,
    knows_contexts: bool,
}

const ALLOWS: Module = Module {
    set_context_mgr: true,
    transaction: true,
    transfer_binder: true,
    transfer_file: true,
    knows_contexts: true,
};

impl Security<File<()>> for Module {
    fn set_context_mgr(&self, _: Credentials) -> bool {
        self.set_context_mgr
    }
    fn transaction(&self, _: Credentials, _: Credentials) -> bool {
        self.transaction
    }
    fn transfer_binder(&self, _: Credentials, _: Credentials) -> bool {
        self.transfer_binder
    }
    fn transfer_file(&self, _: Credentials, _: Credentials, _: &File<()>) -> bool {
        self.transfer_file
    }
    fn context(&self, of: Credentials) -> Result<String, Errno> {
        self.knows_contexts.then(|| format!("u:r:pid{}", of.pid)).ok_or(Errno::EINVAL)
    }
}

#[test]
fn a_security_module_is_asked_four_questions() {
    let fd = || Payload::objects([Object::fd(1)]);
    let array = || Payload::fd_array(0x5000, &[1]);
    let handle = || Payload::objects([Object::handle(0)]);
    let no_calls = Module { transaction: false, ..ALLOWS };
    let no_nodes = Module { transfer_binder: false, ..ALLOWS };
    let no_files = Module { transfer_file: false, ..ALLOWS };
    let table = [
        ("a call", no_calls, nothing(), true),
        ("a node", no_nodes, node(0x500), true),
        ("a handle", no_nodes, handle(), true),
        ("a file", no_files, fd(), true),
        ("a file in an array", no_files, array(), true),
        ("all of it, allowed", ALLOWS, fd(), false),
        ("a file, when nodes may not go", no_nodes, fd(), false),
    ];
    for (name, module, payload, refused) in table {
        let mut two = Two::new();
        two.world.open(two.client, "memory", ()).expect("room");
        two.says(two.client, [Command::Acquire(0)], "ok");
        two.world.set_security(Arc::new(module));
        two.says(two.client, [call(0, payload)], "ok");
        let error = two.world.extended_error(two.client).expect("an ioctl").to_string();
        assert_eq!(error, if refused { "BR_FAILED_REPLY, -EPERM" } else { "BR_OK, 0" }, "{name}");
        assert_eq!(two.world.in_flight() > 0, !refused, "{name}");
    }
    // A reply is not asked about.
    let mut two = Two::new();
    two.says(two.client, [call(0, nothing())], "ok");
    two.takes(two.server);
    two.world.set_security(Arc::new(no_calls));
    two.says(two.server, [reply(nothing())], "ok");
    two.reads(two.client, "NOOP; TRANSACTION_COMPLETE; REPLY, 0 bytes");
    // Nor is it of use to be the second.
    two.world.set_security(Arc::new(Module { set_context_mgr: false, ..ALLOWS }));
    fails(&mut two, Ioctl::SetContextMgr, "EBUSY");
    two.world.exit(two.server).expect("alive");
    fails(&mut two, Ioctl::SetContextMgr, "EPERM");
}

/// A security module that allows everything and knows nothing.
#[derive(Debug)]
struct Dumb;

impl Security<File<()>> for Dumb {}

#[test]
fn a_node_that_asks_for_it_sees_its_callers_security_context() {
    let flags = ObjectFlags::TXN_SECURITY_CTX;
    let mut two = Two::with(Profile::default(), Translation::Deferred, flags);
    let (server, client) = (two.server, two.client);
    let error = |two: &mut Two| two.world.extended_error(client).expect("an ioctl").to_string();
    two.asks(client, [call(0, nothing())], "NOOP; FAILED_REPLY");
    assert_eq!(error(&mut two), "BR_FAILED_REPLY, -EOPNOTSUPP", "without a module nobody has one");
    two.world.set_security(Arc::new(Dumb));
    two.asks(client, [call(0, nothing())], "NOOP; FAILED_REPLY");
    assert_eq!(error(&mut two), "BR_FAILED_REPLY, -EOPNOTSUPP", "nor with one that has no texts");
    two.world.set_security(Arc::new(Module { knows_contexts: false, ..ALLOWS }));
    two.asks(client, [call(0, nothing())], "NOOP; FAILED_REPLY");
    assert_eq!(error(&mut two), "BR_FAILED_REPLY, -EINVAL", "whatever the module says");
    two.world.set_security(Arc::new(ALLOWS));
    let data = TransactionData { buffers_size: Some(u64::MAX), ..TransactionData::new(0, 1, nothing()) };
    two.asks(client, [Command::Transaction(data)], "NOOP; FAILED_REPLY");
    assert_eq!(error(&mut two), "BR_FAILED_REPLY, -EINVAL", "the sum is too large");
    two.says(client, [call(0, Payload::bytes(&[7; 10]))], "ok");
    two.says(server, [], "ok");
    let got = two.takes(server);
    let context = got.security_context.as_ref().expect("asked for");
    assert_eq!(context.text, format!("u:r:pid{}", client.raw()));
    assert_eq!((context.address - got.buffer, got.offsets() - got.buffer), (16, 16), "behind the data");
    two.says(server, [reply(nothing())], "ok");
    assert!(two.takes(client).security_context.is_none(), "a reply is for no node");
}
