//! Two processes share memory by handing a descriptor over: the tour of `fd-shm`.
//!
//! Run it:                  `cargo run --example fd_shm`
//! or, in two terminals:    `cargo run --example fd_shm -- server` and `cargo run --example fd_shm -- client`
//!
//! What to look for: the client gets in because the server sends it the descriptor, and in no other way; the
//! descriptor has another number over there and is the same open file all the same; the client checks what it
//! was given before it maps it; and when both have gone, nothing is left and nobody had to clean up.

use std::error::Error;
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use fd_shm::{Region, Seals, same_open_file, scm_rights, shareable};
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv, sockopt};
use rustix::thread::futex;

#[path = "../../sysv-shm/examples/support/stage.rs"]
#[allow(unreachable_pub)] // one file, quoted by every tour: `pub` is what its readers would write
mod stage;

/// One line of a role's story.
macro_rules! tell {
    ($($text:tt)*) => { println!("          {}", format_args!($($text)*)) };
}

/// Opens a role's part of the story.
fn introduce(role: &str) {
    println!("{role}  pid {}", std::process::id());
}

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: meeting
/// What lies at the beginning of the region: the same words, seen by both processes.
#[repr(C)]
struct Meeting {
    /// Whose turn it is: SERVER, CLIENT or OVER. Each waits here for the other.
    turn: AtomicU32,
    /// Written by the server.
    question: AtomicU32,
    /// Written by the client.
    answer: AtomicU32,
    /// The number that the descriptor got in the client.
    number_in_client: AtomicU32,
}
shareable!(Meeting { turn: AtomicU32, question: AtomicU32, answer: AtomicU32, number_in_client: AtomicU32 });

/// Bytes of a frame, which lies behind the words and is copied in and out.
const FRAME: usize = 23;

const SERVER: u32 = 0; // a new region is all zeros
const CLIENT: u32 = 1;
const OVER: u32 = 2;
// ANCHOR_END: meeting

// ANCHOR: server
/// Makes the region, hands it to the first client that asks, and looks at what the client did.
fn server() -> Result<()> {
    // First the name: if another server has it, we stop before anything is made. An abstract name is no file.
    // It goes with the socket, and the region goes with its last holder, so Ctrl-C, or any other death, needs
    // no clean-up.
    let listener = listen()?;

    let region = Region::create("frames", 10_000)?;
    let fd = region.as_fd().as_raw_fd();
    introduce("server");
    tell!("made a region, \"frames\" of {} bytes: descriptor {fd}", region.len());
    let fixed = region.seals()?.contains(Seals::SHRINK | Seals::GROW);
    tell!("its size is sealed, for everybody and for ever: {}", if fixed { "yes" } else { "no" });

    let ours = region.map::<Meeting>()?;
    ours.question.store(42, Ordering::Relaxed);
    ours.copy_in(0, b"a frame from the server")?;
    tell!("mapped it, wrote 42 into a word and a frame behind it");
    tell!("the name is a label: nobody can open the region by it");

    tell!("is listening for a client (cargo run --example fd_shm -- client)");
    let (client, _) = listener.accept()?;
    let client_pid = sockopt::socket_peercred(&client)?.pid.as_raw_nonzero().get().unsigned_abs();

    // The turn travels with the descriptor: the client must not wait for a word that it has seen already.
    ours.turn.store(CLIENT, Ordering::Release);
    scm_rights::send(&client, b"frames", &[region.as_fd()])?;
    wait_while(&ours.turn, CLIENT, &client)?;

    let mut frame = [0; FRAME];
    ours.copy_out(0, &mut frame)?;
    let answer = ours.answer.load(Ordering::Relaxed);
    introduce("server");
    tell!("sees the client's writes: {answer}, \"{}\"", frame.escape_ascii());
    show_evidence(&region, client_pid, ours.number_in_client.load(Ordering::Relaxed))?;

    ours.turn.store(OVER, Ordering::Release);
    futex::wake(&ours.turn, futex::Flags::empty(), 1)?;
    Ok(())
}
// ANCHOR_END: server

// ANCHOR: client
/// Asks the server for the region, checks it, and answers in it.
fn client() -> Result<()> {
    // Files that the server does not have open, so that the region cannot get the same number by chance.
    let others = [File::open("/dev/null")?, File::open("/dev/null")?, File::open("/dev/null")?];
    let server = connect()?;
    introduce("client");
    tell!("has opened {} other files first, and asks the server", others.len());

    let mut text = [0; 64];
    let [descriptor] = scm_rights::receive(&server, &mut text, 1)?.into_exactly()?;
    let fd = descriptor.as_raw_fd();
    // Whoever sent it might shrink it later, which would turn our loads into SIGBUS. This refuses all but
    // what cannot.
    let region = Region::from_fd(descriptor)?;
    let name = region.name()?;
    tell!("received descriptor {fd}: \"{}\" of {} bytes, and it cannot shrink", name.display(), region.len());

    let ours = region.map::<Meeting>()?;
    let mut frame = [0; FRAME];
    ours.copy_out(0, &mut frame)?;
    let question = ours.question.load(Ordering::Relaxed);
    tell!("mapped it and sees the server's writes: {question}, \"{}\"", frame.escape_ascii());

    ours.answer.store(question.wrapping_add(1), Ordering::Relaxed);
    ours.number_in_client.store(fd.unsigned_abs(), Ordering::Relaxed);
    ours.copy_in(0, b"an answer by the client")?;
    tell!("wrote {} and an answer, and wakes the server", question.wrapping_add(1));

    // Release: pairs with the acquire in the server's `wait_while`, so it sees all that was written before.
    ours.turn.store(SERVER, Ordering::Release);
    futex::wake(&ours.turn, futex::Flags::empty(), 1)?;
    wait_while(&ours.turn, SERVER, &server)
}
// ANCHOR_END: client

// ANCHOR: wait_while
/// Sleeps while `word` is `value`; an error when the peer dies before it has changed it.
///
/// The futex is in shared memory, so it works between processes: the kernel finds the word by its page,
/// wherever each has mapped it. But a word cannot tell that its writer is dead. The socket can.
fn wait_while(word: &AtomicU32, value: u32, peer: &UnixStream) -> Result<()> {
    let patience = Duration::from_millis(50).try_into()?;
    // Acquire: pairs with the peer's release store of the turn.
    while word.load(Ordering::Acquire) == value {
        match futex::wait(word, futex::Flags::empty(), value, Some(&patience)) {
            Ok(()) | Err(Errno::AGAIN | Errno::INTR) => {}
            Err(Errno::TIMEDOUT) if hung_up(peer) && word.load(Ordering::Acquire) == value => {
                return Err("the other process ended in the middle".into());
            }
            Err(Errno::TIMEDOUT) => {}
            Err(other) => return Err(other.into()),
        }
    }
    Ok(())
}
// ANCHOR_END: wait_while

/// Whether the other end of the socket is closed.
fn hung_up(peer: &UnixStream) -> bool {
    let mut byte = [0; 1];
    match recv(peer, &mut byte, RecvFlags::PEEK | RecvFlags::DONTWAIT) {
        Ok((_, received)) => received == 0,
        Err(error) => error != Errno::AGAIN,
    }
}

// ANCHOR: show_evidence
/// Shows that the two descriptors are one open file, and the two mappings one memory.
fn show_evidence(region: &Region, client: u32, number_in_client: u32) -> Result<()> {
    let (server, ours) = (std::process::id(), region.as_fd().as_raw_fd());
    let theirs = i32::try_from(number_in_client)?;
    let same = same_open_file((server, ours), (client, theirs))?;
    tell!("asks the kernel (kcmp) whether its descriptor {ours} and the client's {theirs} are");
    tell!("one open file: {}", if same { "yes, under two numbers" } else { "no" });
    tell!("and looks where each process has mapped it: two addresses, one inode");
    for (role, pid) in [("server", server), ("client", client)] {
        let line = maps_line(pid)?.ok_or("the region is not mapped")?;
        tell!("{role}  {line}");
    }
    Ok(())
}
// ANCHOR_END: show_evidence

/// The line of a process's memory map that shows the region, with single spaces.
fn maps_line(pid: u32) -> Result<Option<String>> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let line = maps.lines().find(|line| line.ends_with("/memfd:frames (deleted)"));
    Ok(line.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")))
}

// ANCHOR: tour
/// Starts a server and a client as processes of their own, and looks for what they leave behind.
fn tour() -> Result<()> {
    println!("Two processes share memory by handing a descriptor over. To be both of them yourself, run");
    println!("`cargo run --example fd_shm -- server` and, in another terminal, `... -- client`.");
    println!();
    let mut stage = stage::Stage::new()?;
    let server = stage.enter("server")?;
    stage.show_until("is listening")?;
    // The server waits for a client now, and there is none yet: time to note which file it is.
    let inode = maps_line(server.pid())?.and_then(|line| line.split(' ').nth(4).map(str::to_owned));
    let inode = inode.ok_or("the server has mapped no region")?;
    let client = stage.enter("client")?;
    stage.show_rest()?;
    client.finish()?;
    server.finish()?;

    println!();
    println!("Both have ended, and neither removed anything. What is left of the region (inode {inode}):");
    let (mapped, held) = holders(&inode)?;
    println!("  processes that map it      {mapped}");
    println!("  descriptors open on it     {held}");
    println!("It went with its last holder, as it would have if both had been killed.");
    Ok(())
}
// ANCHOR_END: tour

/// How many processes map the memory file with this inode, and how many descriptors are open on it. Processes
/// that this user may not look into cannot be counted; they could not have got the descriptor from ours
/// either.
fn holders(inode: &str) -> Result<(usize, usize)> {
    let (mut mapped, mut held) = (0, 0);
    for process in std::fs::read_dir("/proc")?.flatten() {
        let maps = std::fs::read_to_string(process.path().join("maps")).unwrap_or_default();
        let is_it = |line: &str| line.contains("/memfd:") && line.split_whitespace().nth(4) == Some(inode);
        mapped += usize::from(maps.lines().any(is_it));
        let Ok(descriptors) = std::fs::read_dir(process.path().join("fd")) else { continue };
        held += descriptors.flatten().filter(|entry| opens_memfd(&entry.path(), inode)).count();
    }
    Ok((mapped, held))
}

/// Whether a `/proc/<pid>/fd/N` is the memory file with this inode.
fn opens_memfd(entry: &std::path::Path, inode: &str) -> bool {
    use std::os::unix::fs::MetadataExt;
    let memfd = std::fs::read_link(entry).is_ok_and(|link| link.to_string_lossy().starts_with("/memfd:"));
    memfd && std::fs::metadata(entry).is_ok_and(|found| found.ino().to_string() == inode)
}

/// The meeting place. Names are open to every user of the network namespace: a program that minds would ask
/// SO_PEERCRED who came. `FD_SHM_SOCKET` overrides it, so that several can run side by side.
fn address() -> Result<SocketAddr> {
    let name = std::env::var("FD_SHM_SOCKET").unwrap_or_else(|_| "fd-shm-tour".to_owned());
    Ok(SocketAddr::from_abstract_name(name)?)
}

/// Takes the socket's name, or says who has it.
fn listen() -> Result<UnixListener> {
    UnixListener::bind_addr(&address()?).map_err(|error| match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "another server is running already; stop it, or start a client".into()
        }
        _ => error.into(),
    })
}

/// Finds the server, or says how to start one.
fn connect() -> Result<UnixStream> {
    UnixStream::connect_addr(&address()?).map_err(|error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => {
            "no server is running; start one first: cargo run --example fd_shm -- server".into()
        }
        _ => error.into(),
    })
}

/// Whether the kernel answers kcmp here: a container's filter may forbid it.
fn kcmp_is_allowed() -> Result<()> {
    let null = File::open("/dev/null")?;
    let ourselves = (std::process::id(), null.as_raw_fd());
    same_open_file(ourselves, ourselves)?;
    Ok(())
}

fn main() -> ExitCode {
    let role = std::env::args().nth(1);
    if let (None, Err(refused)) = (&role, kcmp_is_allowed()) {
        println!("not shown here: {refused}");
        return ExitCode::from(77); // the book keeps the committed output then
    }
    let done = match role.as_deref() {
        None => tour(),
        Some("server") => server(),
        Some("client") => client(),
        Some(other) => Err(format!("no role {other}: say server, client, or nothing for both").into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fd_shm: {error}");
            ExitCode::FAILURE
        }
    }
}
