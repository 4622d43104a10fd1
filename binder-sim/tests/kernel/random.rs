//! Random scripts on both sides: the real driver, and a world that is like this kernel.
//!
//! They are compared line by line, and no line is forgiven. What a kernel leaves open by nature is told by
//! name in the lines themselves: `script::seen` has the list, each with its reason.

use crate::generator::generate;
use crate::guest::world_like;
use crate::stage;
use binder_sim::driver::Device;
use binder_sim::protocol::Ioctl;
use binder_sim::script::{Run, Script};
use binder_sim::world::{Caller, World};
use std::env;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

/// What every step saw.
type SeenBy = Vec<Vec<String>>;

/// How many differences are shown before it ends.
const MOST_DIFFERENCES: usize = 8;

/// Runs `CASES` scripts from `SEED` on; says whether both sides always saw the same.
pub(crate) fn run() -> bool {
    let number =
        |name: &str, default: u64| env::var(name).map_or(default, |text| text.parse().expect("a number"));
    let (cases, seed) = (number("CASES", 200), number("SEED", 1));
    let kernel = env::var("REAL_KERNEL").expect("who runs this says which kernel it is");
    let (mut differences, mut open, mut unasked) = (0, 0, 0);
    for seed in seed..seed + cases {
        // Before it runs: if the machine hangs or breaks, this is the last word.
        println!("random {seed}");
        let script = generate(seed);
        match compare(&script, &kernel) {
            Compared::Same => {}
            Compared::Open(there, here) => {
                println!("SEED={seed} is answered in more than one way, and ours is one of them:");
                show(&script, &there, &here);
                open += 1;
            }
            Compared::Unclear(there, here) => {
                println!(
                    "SEED={seed} is answered in more than one way on {kernel}, and ours is none of them:"
                );
                show(&script, &there, &here);
                differences += 1;
            }
            Compared::Unasked => {
                println!("SEED={seed} is not asked: the device would have a manager for ever");
                unasked += 1;
            }
            Compared::Different(there, here) => {
                println!("SEED={seed} differs on {kernel}:");
                // Whole: making it shorter can take a machine's patience with every try.
                show(&script, &there, &here);
                println!("SEED={seed}, made shorter:");
                let script = shrink(&script, &kernel);
                if let Compared::Different(there, here) = compare(&script, &kernel) {
                    show(&script, &there, &here);
                }
                differences += 1;
            }
        }
        if differences == MOST_DIFFERENCES {
            break;
        }
    }
    println!(
        "{kernel}: {cases} random scripts from seed {seed}: {differences} differences, {open} left open, \
         {unasked} not asked"
    );
    differences == 0
}

/// How long a script may take to be made shorter.
const SHRINKING: Duration = Duration::from_secs(300);

/// How often the real driver is asked again when it does not see what the simulated one sees.
const AGAIN: usize = 4;

/// What came of a script on both sides.
enum Compared {
    /// Both saw the same.
    Same,
    /// The real driver answers in more than one way, and one of them is the simulated driver's: threads
    /// that run at the same time can come to the same list in any order, and a kernel leaves open in which.
    Open(SeenBy, SeenBy),
    /// It was not asked of the real driver: opens that hold each other for ever, in messages that nobody can read
    /// any more, would leave the device with a manager, and the machine of no use for what comes next.
    Unasked,
    /// They saw different things, the real driver always the same.
    Different(SeenBy, SeenBy),
    /// The real driver answers in more than one way, and none of them is the simulated driver's.
    Unclear(SeenBy, SeenBy),
}

/// Runs a script on both sides.
fn compare(script: &Script, kernel: &str) -> Compared {
    let mut is_stuck = false;
    let check = |number, world: &mut World| {
        world.check().expect("every invariant holds");
        is_stuck |= number > script.steps.len() && has_manager(world);
    };
    let play = || Run::new(script, world_like(kernel)).play(check);
    // A broken invariant is a difference too; what is broken stands on standard error.
    let here = catch_unwind(AssertUnwindSafe(play));
    let here = here.unwrap_or_else(|_| vec![vec!["panicked".into()]; script.steps.len()]);
    if is_stuck {
        return Compared::Unasked;
    }
    let there = stage::run(script, kernel);
    if here == there {
        return Compared::Same;
    }
    let again: Vec<SeenBy> = (0..AGAIN).map(|_| stage::run(script, kernel)).collect();
    if again.contains(&here) {
        return Compared::Open(there, here);
    }
    match again.iter().find(|again| **again != there) {
        None => Compared::Different(there, here),
        Some(_) => Compared::Unclear(there, here),
    }
}

/// Whether a device has a manager, now that everybody has gone.
fn has_manager(world: &mut World) -> bool {
    let next = world.spawn("next");
    Device::ALL.into_iter().any(|device| {
        let fd = world.open_device_of(next, device).expect("a free number");
        world.ioctl(Caller { pid: next, tid: next.raw(), fd }, Ioctl::SetContextMgr).is_err()
    })
}

/// Shows a script with what was seen, and where the simulated driver saw something else, that too.
fn show(script: &Script, there: &SeenBy, here: &SeenBy) {
    script.actors.iter().for_each(|actor| println!("{actor}"));
    for (n, (there, here)) in there.iter().zip(here).enumerate() {
        println!("{}", script.text_of(n + 1));
        there.iter().for_each(|line| println!("      -> {line}"));
        if there != here {
            here.iter().for_each(|line| println!("      simulated: {line}"));
        }
    }
}

// ANCHOR: shrink
/// Leaves steps out, many at once and then one by one, for as long as the two sides differ. It stops when it has
/// had its time: a try in which the driver is waited for in vain takes as long as that is done.
fn shrink(script: &Script, kernel: &str) -> Script {
    let (mut script, begin) = (script.clone(), Instant::now());
    let mut size = script.steps.len() / 2;
    while size > 0 {
        let mut at = 0;
        while at < script.steps.len() && begin.elapsed() < SHRINKING {
            // A word for the watchdog.
            println!("  {} steps differ", script.steps.len());
            let mut shorter = script.clone();
            shorter.steps.drain(at..(at + size).min(script.steps.len()));
            if !shorter.steps.is_empty() && matches!(compare(&shorter, kernel), Compared::Different(..)) {
                script = shorter;
            } else {
                at += size;
            }
        }
        size /= 2;
    }
    script
}
// ANCHOR_END: shrink
