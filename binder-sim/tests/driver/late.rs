//! What comes too late: inputs for opens that are gone, answers for calls that are.

use binder_sim::driver::{Device, Driver, Input, Output, Profile, Read, ThreadId, Translation};
use binder_sim::protocol::{Command, Ioctl, Object, ObjectFlags, Payload, TransactionData};
use std::fmt::Debug;

/// Everything that a driver says.
fn said<F: Debug>(driver: &mut Driver<F>) -> Vec<Output<F>> {
    std::iter::from_fn(|| driver.poll()).collect()
}

/// A process opens and maps the device; its main thread.
fn join<F: Debug>(driver: &mut Driver<F>, pid: u32) -> ThreadId {
    driver.handle(Input::Open { device: Device::Binder, pid, euid: 0, comm: "it".into() });
    let Some(Output::Opened(process)) = driver.poll() else { panic!("an open") };
    driver.handle(Input::Mmap { process, pid, base: 4096, size: 4096, write: false });
    said(driver);
    ThreadId { process, tid: pid }
}

/// One command, with the files that its descriptors name; nothing is read.
fn write<F>(thread: ThreadId, command: Command, files: Vec<F>) -> Input<F> {
    let files = files.into_iter().map(Some).collect();
    Input::WriteRead { thread, pid: thread.tid, euid: 0, write: vec![command], files, read: Read::NONE }
}

/// Takes what there is.
fn read<F>(thread: ThreadId) -> Input<F> {
    Input::WriteRead { thread, pid: thread.tid, euid: 0, write: vec![], files: vec![], read: Read::NOW }
}

#[test]
fn an_open_that_is_gone_is_answered_or_ignored() {
    let mut driver: Driver<u32> = Driver::new(Profile::default(), Translation::Deferred);
    let open = |driver: &mut Driver<u32>| {
        driver.handle(Input::Open { device: Device::Binder, pid: 7, euid: 0, comm: "it".into() });
        match driver.poll() {
            Some(Output::Opened(process)) => process,
            other => panic!("{other:?}"),
        }
    };
    let gone = open(&mut driver);
    driver.handle(Input::Close(gone));
    // Closed and not yet taken apart, and then not there at all, and then somebody else's place.
    for round in 0..3 {
        let thread = ThreadId { process: gone, tid: 7 };
        let inputs = [
            Input::Mmap { process: gone, pid: 7, base: 0, size: 4096, write: false },
            write(thread, Command::EnterLooper, vec![]),
            Input::Ioctl { thread, euid: 0, ioctl: Ioctl::Version },
            Input::Poll(thread),
            Input::Munmap(gone),
            Input::SetEuid { process: gone, euid: 1 },
            Input::Resume(thread),
            Input::Interrupt(thread),
            Input::TimeUp(thread),
            Input::Exited(7),
            Input::Flush(gone),
            Input::Close(gone),
        ];
        for (n, input) in inputs.into_iter().enumerate() {
            driver.handle(input);
            let answers = said(&mut driver);
            let text = format!("{answers:?}");
            assert!(if n < 4 { text.contains("EBADF") } else { answers.is_empty() }, "{round}, {n}: {text}");
            driver.check().expect("every invariant holds");
        }
        match round {
            0 => driver.handle(Input::RunDeferred),
            _ => drop(open(&mut driver)),
        }
    }
}

#[test]
fn an_answer_that_comes_too_late_changes_nothing() {
    for translation in Translation::ALL {
        for late in [false, true] {
            let mut driver: Driver<&str> = Driver::new(Profile::default(), translation);
            let [server, client] = [1, 2].map(|pid| join(&mut driver, pid));
            let flags = ObjectFlags::ACCEPTS_FDS;
            driver.handle(Input::Ioctl {
                thread: server,
                euid: 0,
                ioctl: Ioctl::SetContextMgrExt { ptr: 0, cookie: 0, flags },
            });
            let call = TransactionData::new(0, 1, Payload::objects([Object::fd(5)]));
            driver.handle(write(client, Command::Transaction(call), vec!["file"]));
            driver.handle(read(server));
            if translation == Translation::Deferred {
                driver.check().expect("the reader's table has still to be asked");
            }
            let mut answers = Vec::new();
            let mut closed = Vec::new();
            for output in said(&mut driver) {
                match output {
                    Output::Install(install) => answers.push(Input::Installed(install.call, Ok(vec![3]))),
                    Output::InstallRemote(install) => {
                        answers.push(Input::InstalledRemotely(install.call, Ok(3)))
                    }
                    _ => {}
                }
            }
            assert_eq!(answers.len(), 1, "somebody is held");
            assert!(driver.check().is_err(), "and nobody is to be asked any more: now it has to be answered");
            for input in [Input::Resume(server), Input::Resume(client)] {
                driver.handle(input);
                assert!(said(&mut driver).is_empty(), "a thread that is held is not woken by anything else");
            }
            if late {
                // Whoever is held goes; or whoever is to receive.
                let who = if translation == Translation::Classic { client } else { server };
                driver.handle(Input::Close(who.process));
                driver.handle(Input::RunDeferred);
            } else {
                driver.handle(Input::Close(server.process));
                driver.handle(Input::RunDeferred);
            }
            answers.into_iter().for_each(|answer| driver.handle(answer));
            closed.extend(
                said(&mut driver).into_iter().filter(|output| matches!(output, Output::CloseRemote { .. })),
            );
            driver.check().expect("every invariant holds");
            assert_eq!(
                closed.len(),
                usize::from(translation == Translation::Classic),
                "nobody knows of the number"
            );
            assert_eq!(driver.files().count(), 0);
        }
    }
}

#[test]
fn a_reply_that_waits_for_a_number_is_accounted_for() {
    let mut driver: Driver<&str> = Driver::new(Profile::default(), Translation::Classic);
    let [server, client] = [1, 2].map(|pid| join(&mut driver, pid));
    driver.handle(Input::Ioctl { thread: server, euid: 0, ioctl: Ioctl::SetContextMgr });
    let call = Command::Transaction(TransactionData::new(0, 1, Payload::new()));
    driver.handle(write(client, call, vec![]));
    driver.handle(read(server));
    said(&mut driver);
    let reply = Command::Reply(TransactionData::new(0, 1, Payload::objects([Object::fd(5), Object::fd(6)])));
    driver.handle(write(server, reply, vec!["five", "six"]));
    let files: Vec<&&str> = driver.files().collect();
    assert_eq!(files, [&"six"], "the first is on its way to the table");
}

#[test]
fn an_open_that_is_closed_takes_its_waiting_threads_along() {
    let mut driver: Driver<&str> = Driver::new(Profile::default(), Translation::Deferred);
    driver.handle(Input::Open { device: Device::Binder, pid: 1, euid: 0, comm: "it".into() });
    let Some(Output::Opened(process)) = driver.poll() else { panic!("an open") };
    let thread = ThreadId { process, tid: 1 };
    for read in [Read::NONE, Read::WAIT] {
        driver.handle(Input::WriteRead {
            thread,
            pid: thread.tid,
            euid: 0,
            write: vec![],
            files: vec![],
            read,
        });
    }
    said(&mut driver);
    assert!(driver.is_in_call(thread), "it waits");
    driver.handle(Input::Close(process));
    driver.handle(Input::RunDeferred);
    assert!(said(&mut driver).is_empty() && !driver.is_in_call(thread), "its call never returns");
    driver.check().expect("every invariant holds");
}
