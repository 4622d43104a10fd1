//! The service manager: look it up by name, get a handle, send a descriptor.
//!
//! Run it: `cargo run --example binder_13_by_name`
//!
//! What to look for: everybody has handle 0 from the start, and everything else comes from there. The name is a
//! matter of the manager's alone; the driver never sees one. An app is not let in, a second server takes the name
//! over, and a server that dies takes its name with it.

use std::error::Error;

use binder_sim::driver::{Read, Translation};
use binder_sim::protocol::{Command, Delivered, Object, ObjectFlags, Payload, Return, TransactionData};
use binder_sim::service::{self, ServiceManager, Status, add_service, get_service};
use binder_sim::world::Pid;

#[path = "support/stage.rs"]
#[allow(unreachable_pub, dead_code)] // one file for several programs
mod stage;

type Result<T> = std::result::Result<T, Box<dyn Error>>;
type Stage = stage::Stage;

// ANCHOR: machine
/// A machine with a manager on handle 0.
struct Machine {
    stage: Stage,
    manager: Pid,
    list: ServiceManager,
}

impl Machine {
    /// Calls handle 0 and lets the manager answer; gives the reply.
    fn ask(&mut self, who: Pid, data: TransactionData) -> Result<Delivered> {
        self.stage.call(who, vec![Command::Transaction(data)])?;
        self.stage.serve(self.manager, |read| self.list.answer(read))?;
        let mut came = self.stage.resume(who);
        let reply = loop {
            self.stage.write(who, came.iter().filter_map(counted).collect())?;
            match came.iter().find_map(Return::delivered) {
                Some(reply) => break reply.clone(),
                None => came = self.stage.read(who)?,
            }
        };
        Ok(reply)
    }

    /// Gives a node of this process a name; says what the manager says.
    fn add(&mut self, who: Pid, name: &str, node: u64) -> Result<()> {
        let reply = self.ask(who, add_service(name, Object::binder(node, ObjectFlags::ACCEPTS_FDS)))?;
        let answer = service::added(&reply).err().unwrap_or(Status::Done);
        self.stage.tell(who, &format!("is told: {answer}"));
        self.stage.world.write_read(who, vec![Command::FreeBuffer(reply.buffer)], Read::NONE)?;
        Ok(())
    }

    /// Looks a name up, and keeps the handle if there is one.
    fn get(&mut self, who: Pid, name: &str) -> Result<Option<u32>> {
        let reply = self.ask(who, get_service(name))?;
        let found = service::found(&reply).cloned();
        let handle = match found {
            Ok(Object::Handle { handle, .. }) => Some(handle),
            Ok(_) => None,
            Err(status) => {
                self.stage.tell(who, &format!("is told: {status}"));
                None
            }
        };
        let keep = handle.map(Command::Acquire).into_iter().chain([Command::FreeBuffer(reply.buffer)]);
        self.stage.write(who, keep.collect())?;
        Ok(handle)
    }
}

/// What the owner of a node answers when the driver counts it.
fn counted(read: &Return) -> Option<Command> {
    match *read {
        Return::IncRefs { ptr, cookie } => Some(Command::IncRefsDone { ptr, cookie }),
        Return::Acquire { ptr, cookie } => Some(Command::AcquireDone { ptr, cookie }),
        _ => None,
    }
}
// ANCHOR_END: machine

// ANCHOR: main
fn main() -> Result<()> {
    let mut stage = Stage::new(Translation::Deferred);
    let manager = stage.process("manager", || ())?;
    let [server, client] = [stage.process("server", || ())?, stage.process("client", || ())?];
    stage.world.set_context_manager(manager, ObjectFlags::NONE)?;
    let mut machine = Machine { stage, manager, list: ServiceManager::new() };

    println!("A server gives its node a name:");
    machine.add(server, "printer", 0xf00d)?;
    println!("\nA client looks the name up:");
    let handle = machine.get(client, "printer")?.ok_or("it is there")?;
    println!("\nIt calls the handle with a descriptor, and the server has the file:");
    machine.stage.world.open(server, "spool", ())?;
    let document = machine.stage.world.open(client, "document", ())?;
    let print = TransactionData::new(handle, 1, Payload::objects([Object::fd(document)]));
    machine.stage.call(client, vec![Command::Transaction(print)])?;
    machine.stage.serve(server, |read| match read {
        Return::Transaction(call) => {
            let reply = Command::Reply(TransactionData::new(0, 0, Payload::new()));
            vec![Command::FreeBuffer(call.buffer), reply]
        }
        other => counted(other).into_iter().collect(),
    })?;
    let came = machine.stage.resume(client);
    let free = came.iter().find_map(Return::delivered).map(|reply| Command::FreeBuffer(reply.buffer));
    machine.stage.write(client, free.into_iter().collect())?;
    println!("  the server has  {}", machine.stage.table(server));
    others(&mut machine, server, client)
}
// ANCHOR_END: main

// ANCHOR: others
/// Who else may have the name, and until when.
fn others(machine: &mut Machine, server: Pid, client: Pid) -> Result<()> {
    let app = machine.stage.process("app", || ())?;
    machine.stage.world.set_euid(app, 10_123)?;
    println!("\nAn app (uid 10123) wants the name:");
    machine.add(app, "printer", 0xbad)?;
    println!("\nA second server takes it over; the manager lets the first one's node go:");
    let newer = machine.stage.process("newer", || ())?;
    machine.add(newer, "printer", 0xbeef)?;
    println!(
        "\nBoth servers die. Of the first the manager hears nothing any more; with the second the name goes:"
    );
    for process in [server, newer] {
        machine.stage.world.exit(process)?;
        machine.stage.serve(machine.manager, |read| machine.list.answer(read))?;
    }
    println!("\nThe client looks the name up once more:");
    machine.get(client, "printer")?;
    machine.stage.world.check()?;
    Ok(())
}
// ANCHOR_END: others
