//! How we know: a script is played as two kernels, and then held against what real ones answered.
//!
//! Run it: `cargo run --example binder_16_ask_the_kernel`
//!
//! What to look for: the script says what is done, and not what comes of it; two kernels answer
//! differently. A record is a script with the answers of real kernels in it, so nobody has to be believed.
//! And a rule that is wrong, in the record or in the driver, is shown by the steps on which they disagree.

use std::error::Error;

use binder_sim::driver::Profile;
use binder_sim::script::{Disagreement, Recorded, Script};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

// ANCHOR: script
/// Who there is, and what they do. The server is frozen when it is called, and thawed before it reads.
const SCRIPT: &str = "
actor server
actor client

server: open binder
server: mmap 4096
server: set_context_mgr
client: open binder
client: mmap 4096
client: nothing
client: freeze server
client: transaction 0 code 1 flags 0x1; read now
client: transaction 0 code 2; read now
client: thaw server
server: read now
server: read now
";
// ANCHOR_END: script

// ANCHOR: records
/// What real kernels answered: what one sees of a process that closes the device and keeps it mapped.
const CLOSED: &str = include_str!("../scripts/death_close_is_a_death.txt");

/// The same of commands that end too early.
const CUT: &str = include_str!("../scripts/malformed_word_cut_of_a_newer_kernel.txt");
// ANCHOR_END: records

// ANCHOR: two
/// Plays the script as two kernels, and prints each step with what came of it; where they differ, with both.
fn two_kernels(kernels: [Profile; 2]) -> Result<()> {
    let script: Script = SCRIPT.parse()?;
    let [one, other] = kernels.map(|kernel| script.play_as(kernel));
    for (n, (first, second)) in one.iter().zip(&other).enumerate() {
        println!("{}", script.text_of(n + 1));
        if first == second {
            println!("            {}", first.join("; "));
        } else {
            println!("      {:5} {}", kernels[0].name, first.join("; "));
            println!("      {:5} {}", kernels[1].name, second.join("; "));
        }
    }
    println!("\n  {} of {} steps differ", script.compare(&one, &other).len(), script.steps.len());
    Ok(())
}
// ANCHOR_END: two

// ANCHOR: compare
/// Plays a recorded script, and says on how many steps the result is what the real kernel answered.
fn compare(record: &Recorded, kernel: &str, as_if: Profile) -> Vec<Disagreement> {
    let seen = record.script.play_as(as_if);
    let disagreements = record.compare(kernel, &seen);
    println!("  Linux {kernel:4}  {} of {} steps agree", seen.len() - disagreements.len(), seen.len());
    disagreements
}
// ANCHOR_END: compare

// ANCHOR: main
fn main() -> Result<()> {
    println!("A script, played by the simulated driver as two kernels:\n");
    two_kernels([Profile::V5_10, Profile::V6_12])?;

    println!("\nA device is closed that is still mapped. Held against what the real kernels answered:\n");
    let record: Recorded = CLOSED.parse()?;
    for kernel in Profile::ALL {
        compare(&record, kernel.name, kernel);
    }

    println!("\nThe same record with one answer changed, as if the close alone were the death:\n");
    let record: Recorded = CLOSED.replace("EAGAIN", "NOOP, DEAD_BINDER 0xd1").parse()?;
    for disagreement in compare(&record, "6.1", Profile::V6_1) {
        println!("{disagreement}");
    }

    println!("\nCommands that are cut short, and a driver with one rule wrong, a 6.1 with freeze notices:\n");
    let record: Recorded = CUT.parse()?;
    let wrong = Profile { freeze_notification: true, ..Profile::V6_1 };
    for disagreement in compare(&record, "6.1", wrong) {
        println!("{disagreement}");
    }
    Ok(())
}
// ANCHOR_END: main
