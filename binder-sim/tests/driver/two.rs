//! Two processes and what they say to the driver, one step at a time, every invariant checked after each.

use binder_sim::driver::{Profile, Read, Translation, WriteRead};
use binder_sim::protocol::{
    Answer, Command, Delivered, Ioctl, Object, ObjectFlags, Payload, Return, TransactionData,
    TransactionFlags,
};
use binder_sim::world::{Caller, Pid, World};

/// A server on handle 0 that accepts descriptors, and a client; both mapped, both past their first call.
pub(crate) struct Two {
    /// The machine.
    pub(crate) world: World,
    /// The manager.
    pub(crate) server: Pid,
    /// Its client.
    pub(crate) client: Pid,
}

impl Two {
    /// On this kernel, whose newest scheme is the deferred one.
    pub(crate) fn on(profile: Profile) -> Two {
        Two::with(profile, Translation::Deferred, ObjectFlags::ACCEPTS_FDS)
    }

    /// On the newest kernel.
    pub(crate) fn new() -> Two {
        Two::on(Profile::default())
    }

    /// The same with another scheme, or another manager.
    pub(crate) fn with(profile: Profile, translation: Translation, flags: ObjectFlags) -> Two {
        let mut world = World::with_profile(profile, translation);
        let [server, client] = ["server", "client"].map(|name| world.spawn(name));
        let mut two = Two { world, server, client };
        for pid in [server, client] {
            two.join(pid);
        }
        two.world.set_context_manager(server, flags).expect("nobody else is manager");
        two
    }

    /// One more process, mapped and past its first call.
    pub(crate) fn third(&mut self) -> Pid {
        let pid = self.world.spawn("third");
        self.join(pid);
        pid
    }

    /// Opens and maps the device.
    fn join(&mut self, pid: Pid) {
        self.world.open_device(pid).expect("a fresh process");
        self.world.mmap(pid, 128 << 10).expect("not mapped yet");
        self.says(pid, [], "ok");
    }

    /// The main thread writes, and reads nothing; what comes of it is as expected.
    #[track_caller]
    pub(crate) fn says<const N: usize>(&mut self, pid: Pid, write: [Command; N], expected: &str) {
        self.does(pid, 0, write.into(), Read::NONE, expected);
    }

    /// The main thread reads what there is.
    #[track_caller]
    pub(crate) fn reads(&mut self, pid: Pid, expected: &str) {
        self.does(pid, 0, vec![], Read::NOW, expected);
    }

    /// The main thread writes, then reads what there is.
    #[track_caller]
    pub(crate) fn asks<const N: usize>(&mut self, pid: Pid, write: [Command; N], expected: &str) {
        self.does(pid, 0, write.into(), Read::NOW, expected);
    }

    /// The `n`-th thread (0: the main one) writes and reads.
    #[track_caller]
    pub(crate) fn does(&mut self, pid: Pid, n: u32, write: Vec<Command>, read: Read, expected: &str) {
        let caller = self.caller(pid, n);
        let result = self.world.write_read_by(caller, write, read).expect("an ioctl");
        let saw = result.map_or("waits".into(), |result| text(&result));
        self.settle();
        assert_eq!(saw, expected);
    }

    /// What came of a call of the `n`-th thread that had to wait.
    #[track_caller]
    pub(crate) fn came(&mut self, pid: Pid, n: u32, expected: &str) {
        let caller = self.caller(pid, n);
        let saw = self.world.take_returned_of(caller).map_or("waits".into(), |result| text(&result));
        assert_eq!(saw, expected);
    }

    /// Reads one delivered transaction.
    #[track_caller]
    pub(crate) fn takes(&mut self, pid: Pid) -> Delivered {
        let read = self.world.write_read(pid, vec![], Read::NOW).expect("an ioctl").expect("no wait");
        self.settle();
        read.returns.iter().find_map(Return::delivered).cloned().unwrap_or_else(|| panic!("{read:?}"))
    }

    /// Any other ioctl of the main thread.
    #[track_caller]
    pub(crate) fn ioctl(&mut self, pid: Pid, ioctl: Ioctl) -> Result<Option<Answer>, String> {
        let caller = self.caller(pid, 0);
        let answer = self.world.ioctl(caller, ioctl).map_err(|error| error.errno().to_string());
        self.settle();
        answer
    }

    /// Everybody who was woken runs; every invariant holds.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        self.world.check().expect("every invariant holds");
        self.world.run();
        self.world.check().expect("every invariant holds");
    }

    /// The `n`-th thread of a process.
    pub(crate) fn caller(&self, pid: Pid, n: u32) -> Caller {
        let main = self.world.main(pid, "ioctl").expect("it has the device open");
        Caller { tid: if n == 0 { pid.raw() } else { pid.raw() * 1000 + n }, ..main }
    }
}

/// What came out of an ioctl.
pub(crate) fn text(result: &WriteRead) -> String {
    match result.error {
        Some(errno) => errno.to_string(),
        None if result.returns.is_empty() => "ok".into(),
        None => {
            let texts: Vec<String> = result.returns.iter().map(ToString::to_string).collect();
            texts.join("; ").replace("BR_", "")
        }
    }
}

/// A call of `handle` with `payload` and no flags.
pub(crate) fn call(handle: u32, payload: Payload) -> Command {
    flagged(handle, payload, TransactionFlags::NONE)
}

/// A one-way call.
pub(crate) fn one_way(handle: u32, payload: Payload) -> Command {
    flagged(handle, payload, TransactionFlags::ONE_WAY)
}

/// A call with flags.
pub(crate) fn flagged(handle: u32, payload: Payload, flags: TransactionFlags) -> Command {
    Command::Transaction(TransactionData::new(handle, 1, payload).flags(flags))
}

/// An empty payload.
pub(crate) fn nothing() -> Payload {
    Payload::new()
}

/// A reply.
pub(crate) fn reply(payload: Payload) -> Command {
    Command::Reply(TransactionData::new(0, 0, payload).flags(TransactionFlags::NONE))
}

/// The sender's own node.
pub(crate) fn node(ptr: u64) -> Payload {
    Payload::objects([Object::binder(ptr, ObjectFlags::ACCEPTS_FDS)])
}
