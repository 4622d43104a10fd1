//! One descriptor through the Binder driver: each step, both tables, and who chooses the number.
//!
//! Run it: `cargo run --example binder_sim`. There is no second process and no kernel involved: the driver, both
//! processes and their tables are values in this one.
//!
//! What to look for: the steps are the same up to `fget`. Then the classic scheme takes a number of the
//! receiver's while the *sender* is in its call; the deferred one queues the file, and the *receiver* takes a
//! number when it reads. The receiver's own `open("log")` in between shows it: whoever chooses first gets 4.

use binder_sim::driver::Translation;
use binder_sim::story::one_descriptor;
use binder_sim::trace::{Trace, side_by_side};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!(
        "The sender has a shared memory under 7. It calls the receiver (handle 0) with one object of type"
    );
    println!(
        "BINDER_TYPE_FD that says 7. The number means nothing to the receiver: the driver has to change it."
    );
    println!("Before it reads the call, the receiver opens a file of its own, \"log\".");
    let mut traces = Vec::new();
    for translation in Translation::ALL {
        let (world, trace) = one_descriptor(translation)?;
        world.check()?;
        println!();
        println!("== {translation}: {}", meaning(translation));
        println!();
        show(&trace);
        traces.push(trace);
    }
    println!();
    println!("== the one difference");
    println!();
    difference(&traces);
    Ok(())
}

// ANCHOR: meaning
/// Who chooses the number, and when.
fn meaning(translation: Translation) -> &'static str {
    match translation {
        Translation::Classic => "the number is chosen in the sender's call, while it sends",
        Translation::Deferred => "the number is chosen in the receiver's call, while it reads",
    }
}
// ANCHOR_END: meaning

// ANCHOR: show
/// Prints the tables before, every step, the tables after, and the fd translation table.
fn show(trace: &Trace) {
    println!("What each process has open before:");
    println!();
    let [sender, receiver] = ["sender", "receiver"];
    print!("{}", indent(&side_by_side(&[(sender, &trace.before[0]), (receiver, &trace.before[1])])));
    println!();
    println!("Each step: its number, in whose call it runs, the call or kernel function, what happens:");
    println!();
    print!("{trace}");
    println!();
    println!("What each process has open after; the sender's number is still there, and still its own:");
    println!();
    let after = (trace.after(sender), trace.after(receiver));
    print!("{}", indent(&side_by_side(&[(sender, &after.0), (receiver, &after.1)])));
    println!();
    println!("The fd translation table: two numbers, one open file:");
    println!();
    print!("{}", indent(&trace.translation_table()));
}
// ANCHOR_END: show

// ANCHOR: difference
/// Prints, scheme by scheme, who chose the number at which step, and what the receiver's own file got.
fn difference(traces: &[Trace]) {
    println!(
        "  {:<10} {:<24} {:<26} {:>13} {:>6}",
        "scheme", "chosen in a call of", "with", "shared memory", "log"
    );
    for trace in traces {
        let Some(row) = trace.translations.first() else { continue };
        let with =
            trace.rows.iter().find(|step| step.step == row.chosen_at_step).map_or("", |step| &step.function);
        let log = trace.after("receiver").iter().find(|open| open.file == "log").map_or(0, |open| open.fd);
        let who = format!("the {}, step {}", row.chosen_in_call_of, row.chosen_at_step);
        println!("  {:<10} {who:<24} {with:<26} {:>13} {log:>6}", trace.translation, row.receiver_fd);
    }
}
// ANCHOR_END: difference

/// `text` with each line two columns in.
fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}
