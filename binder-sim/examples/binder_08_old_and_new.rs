//! The article's code path and today's, side by side: what is still true of it.
//!
//! Run it: `cargo run --example binder_08_old_and_new`
//!
//! The article follows the driver's code: fget in the sender, a free number in the target's table
//! (task_get_unused_fd_flags with O_CLOEXEC), the file put there (task_fd_install), the number written into the
//! message. And: all descriptors refer to one struct file.
//!
//! What to look for: in the classic scheme every word of it holds. In the deferred one the first step and the last
//! sentence do; whose call it is, whose table is searched by whom, and when, have changed.

use std::error::Error;

use binder_sim::driver::Translation;
use binder_sim::story::{SENDER_FD, one_descriptor};
use binder_sim::trace::Trace;
use binder_sim::world::World;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: path
/// The steps of a descriptor's way: in whose call, and which function.
fn path(trace: &Trace) -> Vec<String> {
    let functions = [
        "fget",
        "unused_fd_flags",
        "fd_install",
        "target_fd",
        "list_add_tail",
        "copy_to_buffer",
        "thread_read",
    ];
    let until_read = trace.rows.iter().take_while(|row| !row.text.contains("BC_REPLY"));
    let rows = until_read.filter(|row| functions.iter().any(|function| row.function.ends_with(function)));
    rows.map(|row| format!("{:8}  {}", row.in_call_of, row.function)).collect()
}

/// Whether a step stands in the way, in a call of `who`.
fn has(trace: &Trace, who: &str, function: &str) -> bool {
    trace.rows.iter().any(|row| row.in_call_of == who && row.function == function)
}
// ANCHOR_END: path

// ANCHOR: claims
/// The article's sentences, each as a question to a run.
fn claims(world: &World, trace: &Trace) -> Result<[(&'static str, bool); 6]> {
    let row = trace.translations.first().ok_or("one descriptor arrived")?;
    let file = |name: &str, fd| world.pid(name).and_then(|pid| world.file(pid, fd)).ok_or("it is open");
    let (sent, arrived) = (file("sender", SENDER_FD)?, file("receiver", row.receiver_fd)?);
    let read = trace.rows.iter().position(|row| row.function == "binder_thread_read").ok_or("it was read")?;
    let before_the_read = trace.replay(read).translations.len() == 1;
    let flag = trace.after("receiver").iter().any(|open| open.fd == row.receiver_fd && open.close_on_exec);
    Ok([
        ("the sender's number is looked up with fget", has(trace, "sender", "fget")),
        (
            "the sender's call takes a number of the target's",
            has(trace, "sender", "task_get_unused_fd_flags"),
        ),
        ("the sender's call installs the file over there", has(trace, "sender", "task_fd_install")),
        ("the target has the number before it reads", before_the_read),
        ("the number is close-on-exec", flag),
        ("both numbers refer to one struct file", sent.is_same(arrived)),
    ])
}
// ANCHOR_END: claims

// ANCHOR: main
fn main() -> Result<()> {
    let [(old, classic), (new, deferred)] =
        [one_descriptor(Translation::Classic)?, one_descriptor(Translation::Deferred)?];
    println!("In whose call, and which function:\n");
    println!("  {:42}  deferred", "classic");
    let (left, right) = (path(&classic), path(&deferred));
    for n in 0..left.len().max(right.len()) {
        let cell = |column: &[String]| column.get(n).cloned().unwrap_or_default();
        println!("  {:42}  {}", cell(&left), cell(&right).trim_end());
    }
    println!("\n{:52}  classic  deferred", "What the article says of it:");
    let word = |holds| if holds { "yes" } else { "no" };
    for ((claim, then), (_, now)) in claims(&old, &classic)?.into_iter().zip(claims(&new, &deferred)?) {
        println!("  {claim:50}  {:7}  {}", word(then), word(now));
    }
    Ok(())
}
// ANCHOR_END: main
