//! A check that finds nothing is worth nothing: each invariant, broken on purpose.

use crate::driver::allocation::{Buffer, HeldObject};
use crate::driver::node::NodeId;
use crate::driver::thread::ThreadKey;
use crate::driver::work::{List, Work};
use crate::driver::{Device, Driver, Input, Output, ProcessId, Profile, Read, ThreadId, Translation};
use crate::protocol::{Command, Ioctl, Object, ObjectFlags, Payload, TransactionData, TransactionFlags};
use alloc::string::ToString;
use alloc::vec;

/// A server with an unread one-way call that brought it a node of the client's, and a file in flight.
fn busy() -> (Driver<&'static str>, ProcessId, ProcessId) {
    let mut driver = Driver::new(Profile::default(), Translation::Deferred);
    let mut join = |pid: u32| {
        driver.handle(Input::Open { device: Device::Binder, pid, euid: 0, comm: "it".into() });
        let Some(Output::Opened(process)) = driver.poll() else { panic!("an open") };
        driver.handle(Input::Mmap { process, pid, base: 0, size: 4096, write: false });
        assert!(matches!(driver.poll(), Some(Output::Done(Ok(())))));
        ThreadId { process, tid: pid }
    };
    let [server, client] = [join(1), join(2)];
    let flags = ObjectFlags::ACCEPTS_FDS;
    driver.handle(Input::Ioctl {
        thread: server,
        euid: 0,
        ioctl: Ioctl::SetContextMgrExt { ptr: 0, cookie: 0, flags },
    });
    let objects = [Object::binder(0x500, ObjectFlags::NONE), Object::fd(3)];
    let call = TransactionData::new(0, 1, Payload::objects(objects)).flags(TransactionFlags::ONE_WAY);
    let write = vec![Command::Transaction(call), Command::IncRefs(0)];
    driver.handle(Input::WriteRead {
        thread: client,
        pid: 2,
        euid: 0,
        write,
        files: vec![Some("file")],
        read: Read::NONE,
    });
    while driver.poll().is_some() {}
    driver.check().expect("every invariant holds");
    (driver, server.process, client.process)
}

/// A driver, its server and its client.
type Breaks = fn(&mut Driver<&'static str>, ProcessId, ProcessId);

/// Each of these has been done to a driver, and this is what is found.
fn check(table: &[(&str, Breaks)]) {
    for (expected, breaks) in table {
        let (mut driver, server, client) = busy();
        breaks(&mut driver, server, client);
        let found = driver.check().expect_err(expected).to_string();
        assert!(found.starts_with("broken invariant: ") && found.contains(expected), "{expected}: {found}");
    }
}

/// The manager's node.
fn manager(driver: &Driver<&'static str>) -> NodeId {
    driver.contexts[0].manager.expect("set")
}

/// The client's node.
fn node(driver: &Driver<&'static str>, client: ProcessId) -> NodeId {
    driver.processes[client].nodes[&0x500]
}

/// The client's thread.
fn thread(driver: &Driver<&'static str>, client: ProcessId) -> ThreadKey {
    *driver.processes[client].threads.values().next().expect("it has made a call")
}

/// The buffer of the call.
fn buffer<'a>(driver: &'a mut Driver<&'static str>, server: ProcessId) -> &'a mut Buffer {
    let buffer =
        driver.transactions.iter().next().and_then(|(_, call)| call.buffer).expect("the call has one");
    driver.buffer_mut(server, buffer).expect("it is out")
}

#[test]
fn a_nodes_counts_and_queues() {
    check(&[
        ("handles", |d, server, client| {
            let id = node(d, client);
            d.nodes[id].holders.remove(&server);
        }),
        ("its work item is not where it says", |d, server, client| {
            let id = node(d, client);
            d.nodes[id].work = Some(List::Process(server));
        }),
        ("the driver itself still counts on it", |d, _, _| {
            let id = manager(d);
            d.nodes[id].tmp = 1;
        }),
        ("one-way calls wait behind nothing", |d, _, _| {
            let (id, call) = (manager(d), d.transactions.iter().next().expect("a call").0);
            d.nodes[id].has_async = false;
            d.nodes[id].async_todo.push_back(call);
        }),
        ("waits for a one-way call that does not exist", |d, _, client| {
            let id = node(d, client);
            d.nodes[id].has_async = true;
        }),
        ("its owner does not know it", |d, _, client| d.processes[client].nodes.clear()),
        ("are accounted for", |d, server, client| {
            let object = HeldObject::Node { node: node(d, client), strong: true };
            buffer(d, server).objects.push(object);
        }),
    ]);
}

#[test]
fn a_processs_threads_buffers_and_lists() {
    check(&[
        ("counts as waiting and does not wait", |d, _, client| {
            let key = thread(d, client);
            d.processes[client].waiting.push(key);
        }),
        ("a thread is to come back for nothing", |d, _, client| {
            let (key, id) = (thread(d, client), node(d, client));
            d.threads[key].todo.clear();
            d.nodes[id].work = None;
        }),
        ("outstanding", |d, server, _| d.processes[server].outstanding = 7),
        ("a buffer that nobody can free", |d, server, _| buffer(d, server).transaction = None),
        ("the one-way half does not add up", |d, server, _| {
            let id = manager(d);
            buffer(d, server).is_async = false;
            d.nodes[id].has_async = false;
        }),
        ("is listed and is not there", |d, server, _| {
            let id = manager(d);
            d.processes[server].todo.push_back(Work::Node(id));
        }),
    ]);
}

#[test]
fn what_nobody_reaches() {
    check(&[
        ("can be reached", |d, server, _| d.processes[server].todo.clear()),
        ("belong to a process", |d, _, client| {
            let (key, id) = (thread(d, client), node(d, client));
            d.threads[key].todo.clear();
            d.nodes[id].work = None;
            d.processes[client].threads.clear();
        }),
        ("files wait for the receiver", |d, _, _| d.translation = Translation::Classic),
    ]);
}
