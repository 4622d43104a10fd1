//! The server: the next free port when one is taken, and the pages on it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::{fs, process, thread};

use book::serve;

#[test]
fn a_taken_port_is_passed_over() {
    let first = serve::listen(3000).expect("a free port");
    let taken = first.local_addr().expect("its address").port();
    let second = serve::listen(taken).expect("another free port");
    assert!(second.local_addr().expect("its address").port() > taken);
}

#[test]
fn pages_are_served_and_missing_ones_are_not_found() {
    let folder = std::env::temp_dir().join(format!("book-serve-{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder of its own");
    fs::write(folder.join("index.html"), "<p>the book</p>").expect("a page");
    fs::write(folder.join("404.html"), "<p>no such page</p>").expect("a page");
    let listener = serve::listen(serve::FIRST_PORT).expect("a free port");
    let address = listener.local_addr().expect("its address");
    // Serves until the test's process ends.
    let pages = folder.clone();
    thread::spawn(move || serve::serve(listener, &pages));

    let (index, missing) = (get(address, "/"), get(address, "/absent.html"));
    fs::remove_dir_all(&folder).expect("the folder goes");
    assert!(index.starts_with("HTTP/1.1 200") && index.ends_with("<p>the book</p>"), "{index}");
    assert!(missing.starts_with("HTTP/1.1 404") && missing.ends_with("<p>no such page</p>"), "{missing}");
}

fn get(address: SocketAddr, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("the server listens");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("a request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    answer
}
