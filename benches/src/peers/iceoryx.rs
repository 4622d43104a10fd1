//! iceoryx2: publish and subscribe over POSIX shared memory, without copies and without locks.
//!
//! Both sides look for the next sample again and again, as iceoryx2's own benchmarks do. For set-up its
//! building block for shared memory is used, since a whole service is far more than a region.

use std::rc::Rc;

use iceoryx2::config::Config;
use iceoryx2::node::{Node, NodeBuilder};
use iceoryx2::port::backpressure_strategy::BackpressureStrategy;
use iceoryx2::port::publisher::Publisher;
use iceoryx2::port::subscriber::Subscriber;
use iceoryx2::prelude::{LogLevel, ServiceName, ipc, set_log_level};
use iceoryx2::service::port_factory::publish_subscribe::PortFactory;
use iceoryx2_bb_container::semantic_string::SemanticString;
use iceoryx2_bb_posix::creation_mode::CreationMode;
use iceoryx2_bb_posix::shared_memory::SharedMemoryBuilder;
use iceoryx2_bb_system_types::file_name::FileName;
use iceoryx2_bb_system_types::path::Path;

use super::PeerPart;
use crate::clock::{Alone, Clock, Subject};
use crate::exchange::Exchange;
use crate::measure::Entry;
use crate::orders::PartName;
use crate::parts::{Given, Part};
use crate::payload::{expect_sum, pattern};
use crate::questions::in_place::IN_PLACE;
use crate::questions::throughput::{Reader, slots};
use crate::second_process::SecondProcess;
use crate::{Failure, spin};

/// Create, map, fill, unmap, unlink; without the library's own zeroing, which the kernel has done.
pub(super) fn set_up(size: usize) -> Result<Entry, Failure> {
    let bytes = pattern(size);
    let name = FileName::new(format!("benches-iceoryx-{}", std::process::id()).as_bytes());
    let name = name.map_err(|e| Failure::new(format!("a name for iceoryx2: {e:?}")))?;
    let work = Alone(move || {
        let memory = SharedMemoryBuilder::new(&name)
            .creation_mode(CreationMode::CreateExclusive)
            .size(bytes.len())
            .zero_memory(false)
            .create();
        let mut memory = memory.map_err(|e| Failure::new(format!("iceoryx2's shared memory: {e:?}")))?;
        memory.as_mut_slice().copy_from_slice(&bytes);
        Ok(())
    });
    Ok(Entry::peer("iceoryx2 shared memory", size as u64, "POSIX shared memory", work))
}

/// A node, kept for as long as its ports; its files are in `/dev/shm`, which is our own where that is permitted.
fn node() -> Result<Node<ipc::Service>, Failure> {
    set_log_level(LogLevel::Error);
    let mut config = Config::global_config().clone();
    let path = Path::new(b"/dev/shm/iceoryx2").map_err(|e| Failure::new(format!("a path: {e:?}")))?;
    config.global.set_root_path(&path);
    NodeBuilder::new().config(&config).create::<ipc::Service>().map_err(Failure::step("an iceoryx2 node"))
}

fn service_name(name: &str) -> Result<ServiceName, Failure> {
    ServiceName::new(name).map_err(Failure::step("an iceoryx2 service name"))
}

/// One direction of a ping-pong.
struct Words {
    _service: PortFactory<ipc::Service, u64, ()>,
    publisher: Option<Publisher<ipc::Service, u64, ()>>,
    subscriber: Option<Subscriber<ipc::Service, u64, ()>>,
}

impl Words {
    fn new(node: &Node<ipc::Service>, name: &str, publishes: bool) -> Result<Self, Failure> {
        let service = node.service_builder(&service_name(name)?).publish_subscribe::<u64>();
        let service = service.max_publishers(1).max_subscribers(1).open_or_create();
        let service = service.map_err(Failure::step("an iceoryx2 service"))?;
        let publisher = publishes.then(|| service.publisher_builder().create()).transpose();
        let subscriber = (!publishes).then(|| service.subscriber_builder().create()).transpose();
        Ok(Self {
            publisher: publisher.map_err(Failure::step("an iceoryx2 publisher"))?,
            subscriber: subscriber.map_err(Failure::step("an iceoryx2 subscriber"))?,
            _service: service,
        })
    }

    #[inline]
    fn say(&self, number: u64) -> Result<(), Failure> {
        let sent = self.publisher.as_ref().map(|publisher| publisher.send_copy(number)).transpose();
        sent.map(drop).map_err(Failure::step("Publisher::send_copy"))
    }

    #[inline]
    fn hear(&self) -> Result<u64, Failure> {
        let Some(subscriber) = &self.subscriber else { return Err(Failure::new("this side only speaks")) };
        let mut came = None;
        spin::until(|| {
            came = subscriber.receive().transpose();
            came.is_some()
        });
        let sample = came.transpose().map_err(Failure::step("Subscriber::receive"))?;
        sample.map(|sample| *sample).ok_or_else(|| Failure::new("iceoryx2: nothing came"))
    }
}

/// The words, spinning.
pub(super) fn ping_pong(other: &Rc<SecondProcess>) -> Result<Entry, Failure> {
    let name = format!("benches/{}/words", std::process::id());
    let node = node()?;
    let there = Words::new(&node, &format!("{name}/there"), true)?;
    let back = Words::new(&node, &format!("{name}/back"), false)?;
    let part = other.join_named(PartName::Peer(PeerPart::IceoryxWords), 0, name)?;
    let mut said = 0;
    let work = Exchange::new(other, part, move || {
        let _kept = &node;
        said += 1;
        there.say(said)?;
        let heard = back.hear()?;
        if heard == said { Ok(()) } else { Err(Failure::new("iceoryx2: another word came back")) }
    });
    Ok(Entry::peer("iceoryx2, spinning", 0, "memfd, spinning", work))
}

/// The second process: says what it has heard.
struct PingPongThere {
    there: Words,
    back: Words,
    _node: Node<ipc::Service>,
}

/// The answering side.
pub(super) fn answerer(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let (name, node) = (given.name()?, node()?);
    let there = Words::new(&node, &format!("{name}/there"), false)?;
    let back = Words::new(&node, &format!("{name}/back"), true)?;
    Ok(Box::new(PingPongThere { there, back, _node: node }))
}

impl Part for PingPongThere {
    fn run(&mut self, count: u64) -> Result<u64, Failure> {
        for _ in 0..count {
            self.back.say(self.there.hear()?)?;
        }
        Ok(0)
    }
}

/// The service of messages of `size`, which holds as many as our ring has slots.
fn messages(
    node: &Node<ipc::Service>,
    name: &str,
    size: usize,
) -> Result<PortFactory<ipc::Service, [u64], ()>, Failure> {
    let service = node.service_builder(&service_name(name)?).publish_subscribe::<[u64]>();
    let service = service.max_publishers(1).max_subscribers(1).enable_safe_overflow(false);
    let service = service.subscriber_max_buffer_size(slots(size) as usize).open_or_create();
    service.map_err(Failure::step("an iceoryx2 service"))
}

/// Messages that are made in a loaned sample.
struct Messages {
    other: Rc<SecondProcess>,
    part: usize,
    publisher: Publisher<ipc::Service, [u64], ()>,
    words: usize,
    made: u64,
    _service: PortFactory<ipc::Service, [u64], ()>,
    _node: Node<ipc::Service>,
}

/// Messages in place, both sides looking again and again.
pub(super) fn throughput(other: &Rc<SecondProcess>, size: usize) -> Result<Entry, Failure> {
    let name = format!("benches/{}/messages/{size}", std::process::id());
    let (words, node) = (size / 8, node()?);
    let service = messages(&node, &name, size)?;
    let publisher = service
        .publisher_builder()
        .initial_max_slice_len(words)
        .backpressure_strategy(BackpressureStrategy::RetryUntilDelivered)
        .create()
        .map_err(Failure::step("an iceoryx2 publisher"))?;
    let part = other.join_named(PartName::Peer(PeerPart::IceoryxMessages), size, name)?;
    let other = Rc::clone(other);
    let work = Messages { other, part, publisher, words, made: 0, _service: service, _node: node };
    Ok(Entry::peer("iceoryx2, in place", size as u64, IN_PLACE, work))
}

impl Subject for Messages {
    fn run(&mut self, count: u64, clock: &mut Clock) -> Result<(), Failure> {
        self.other.run(self.part, count)?;
        let mut written = 0_u64;
        clock.start();
        for _ in 0..count {
            self.made += 1;
            let sample =
                self.publisher.loan_slice_uninit(self.words).map_err(Failure::step("an iceoryx2 loan"))?;
            let sample = sample.write_from_fn(|at| {
                let value = self.made ^ at as u64;
                written = written.wrapping_add(value);
                value
            });
            sample.send().map_err(Failure::step("SampleMut::send"))?;
        }
        let found = self.other.answer(clock)?;
        clock.finish(count);
        expect_sum(found, written)
    }
}

/// The reading end.
pub(super) fn reader(given: &mut Given) -> Result<Box<dyn Part>, Failure> {
    let (name, node) = (given.name()?, node()?);
    let service = messages(&node, &name, given.size())?;
    let subscriber = service.subscriber_builder().create();
    let subscriber = subscriber.map_err(Failure::step("an iceoryx2 subscriber"))?;
    Ok(Box::new(Reader(move || {
        let _kept = (&service, &node);
        let mut came = None;
        spin::until(|| {
            came = subscriber.receive().transpose();
            came.is_some()
        });
        let sample = came.transpose().map_err(Failure::step("Subscriber::receive"))?;
        Ok(sample.map_or(0, |sample| sample.iter().fold(0, |sum: u64, word| sum.wrapping_add(*word))))
    })))
}
