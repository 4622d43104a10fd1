//! Random scripts, sensible and senseless: a seed makes one, the same everywhere.
//!
//! A script is a handful of episodes (a call and its reply, a death and its notice, a freeze, garbage...),
//! each a few steps in their order, shuffled into one another. So much of what happens is what a program
//! would do, and it happens while something else is under way.

mod devices;
mod payload;
mod rare;
mod read;

use binder_sim::script::Script;

/// The actors; a script has two to four of them.
const NAMES: [&str; 4] = ["ann", "bob", "cid", "dot"];

/// Makes one script.
pub(crate) fn generate(seed: u64) -> Script {
    let state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let (has_devices, has_faults, has_polls) = (seed.is_multiple_of(4), seed % 4 == 1, seed % 4 == 2);
    let mut generator = Generator { state, actors: 2, has_devices, has_faults, has_polls };
    for _ in 0..4 {
        generator.next();
    }
    let text = generator.text();
    let mut script: Script = text.parse().unwrap_or_else(|error| panic!("{error} in\n{text}"));
    script.name = format!("random {seed}");
    script
}

/// A script in the making.
struct Generator {
    /// Where the random numbers are.
    state: u64,
    /// How many actors there are.
    actors: usize,
    /// Whether actors have the device open more than once, and send their opens to each other.
    has_devices: bool,
    /// Whether memory for what is read ends early, or is said to have been used already.
    has_faults: bool,
    /// Whether threads poll, so that a release waits at them, and processes end while they serve.
    has_polls: bool,
}

impl Generator {
    /// The next number: xorshift64*.
    fn next(&mut self) -> u64 {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).expect("small")
    }

    /// Yes, in so many cases of a hundred.
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.below(of.len())]
    }

    /// `text` in so many cases of a hundred.
    fn maybe(&mut self, percent: usize, text: &str) -> String {
        if self.chance(percent) { text.into() } else { String::new() }
    }

    /// The whole script.
    fn text(&mut self) -> String {
        self.actors = 2 + self.below(3);
        let mut text = String::new();
        let mut steps = Vec::new();
        for name in &NAMES[..self.actors] {
            let uid = self.maybe(15, " uid 1000");
            let kind = self.pick(&["pipe", "memfd"]);
            text += &format!("actor {name}{uid} limit 40 files 4 {name}-4, 5 {kind} {name}-5, 6 {name}-6\n");
            let size = self.pick(&["4096", "8192", "131072", "5000"]);
            steps.push(format!("{name}: open binder"));
            if self.chance(97) {
                steps.push(format!("{name}: mmap {size}"));
            }
            if self.chance(20) {
                let most = self.below(3);
                steps.push(format!("{name}: set_max_threads {most}"));
            }
        }
        let manager =
            self.pick(&["ext 0x100", "ext 0x100", "ext 0x100", "ext 0x0", "ext 0x17f", "ext 0x1100"]);
        let manager =
            if self.chance(5) { "set_context_mgr".into() } else { format!("set_context_mgr_{manager}") };
        steps.push(format!("ann: {manager}"));
        for name in &NAMES[..self.actors] {
            for thread in ["", ".1"] {
                let looper = self.pick(&["nothing", "nothing", "enter_looper", "register_looper"]);
                steps.push(format!("{name}{thread}: {looper}"));
                if self.has_polls && self.chance(40) {
                    steps.push(format!("{name}{thread}: poll"));
                }
            }
        }
        if self.has_devices {
            steps.extend(self.second_opens());
        }
        let mut episodes: Vec<Vec<String>> = (0..2 + self.below(6)).map(|_| self.episode()).collect();
        while !episodes.is_empty() {
            let place = self.below(episodes.len());
            if episodes[place].is_empty() {
                episodes.swap_remove(place);
            } else {
                steps.push(episodes[place].remove(0));
            }
        }
        for name in &NAMES[..self.actors] {
            steps.push(format!("{name}: read now"));
            steps.push(format!("{name}.2: table"));
        }
        text + "\n" + &steps.join("\n")
    }

    /// An actor.
    fn actor(&mut self) -> &'static str {
        NAMES[self.below(self.actors)]
    }

    /// One of its threads.
    fn thread_of(&mut self, actor: &str) -> String {
        let thread = self.pick(&["", "", "", ".1", ".1", ".2"]);
        let device = if self.has_devices {
            self.pick(&["", "", "", "", "", "", "@7", "@7", "@7", "@8", "@8", "@9", "@3"])
        } else {
            ""
        };
        format!("{actor}{thread}{device}")
    }

    /// Any thread of any actor.
    fn thread(&mut self) -> String {
        let actor = self.actor();
        self.thread_of(actor)
    }

    /// A few steps that belong together.
    fn episode(&mut self) -> Vec<String> {
        if self.has_devices && self.chance(40) {
            return self.hand_over();
        }
        if self.has_polls && self.chance(25) {
            return self.abandon();
        }
        match self.below(22) {
            0..5 => self.call(),
            5..8 => self.one_way(),
            20 => self.holes(),
            21 => self.succession(),
            8 => self.nested(),
            9 | 10 => self.references(),
            11 | 12 => self.death(),
            13 | 14 => self.freeze(),
            15 => self.files(),
            16 | 17 => self.ioctls(),
            18 => self.garbage(),
            _ if self.chance(30) => self.signal(),
            _ => self.end(),
        }
    }

    /// A call and its reply.
    fn call(&mut self) -> Vec<String> {
        let (caller, server) = (self.thread(), self.thread());
        let (target, sent, read) = (self.handle(), self.sent(), self.read());
        let flags = self.pick(&["", "", " flags 0x10", " flags 0x10", " flags 0x20", " flags 0x18"]);
        let mut steps = Vec::new();
        if self.chance(25) {
            steps.push(format!("{server}: read"));
        }
        steps.push(format!("{caller}: transaction {target}{flags}{sent}{read}"));
        let memory = self.memory();
        steps.push(format!("{server}: read now{memory}"));
        if self.chance(30) {
            steps.push(format!("{caller}: get_extended_error"));
        }
        let keep = self.keep();
        let free = self.maybe(75, "free_buffer last; ");
        let (sent, read) = (self.sent(), self.read());
        if self.chance(85) {
            let flags = self.pick(&["", "", "", " flags 0x8", " flags 0x20"]);
            steps.push(format!("{server}: {keep}{free}reply{flags}{sent}{read}"));
        }
        let memory = self.memory();
        steps.push(format!("{caller}: read now{memory}"));
        if self.chance(60) {
            let keep = self.keep();
            steps.push(format!("{caller}: {keep}free_buffer last"));
        }
        steps
    }

    /// Words that keep received handles, and acknowledge what the owner was told.
    fn keep(&mut self) -> String {
        let mut keep = self.maybe(40, "acquire 1; ");
        keep += &self.maybe(15, "increfs 1; ");
        keep += &self.maybe(10, "acquire 2; ");
        keep += &self.maybe(35, "increfs_done 0x10; acquire_done 0x10; ");
        keep
    }

    /// A one-way call.
    fn one_way(&mut self) -> Vec<String> {
        let (sender, receiver) = (self.thread(), self.thread());
        let mut steps = Vec::new();
        if self.chance(15) {
            steps.push(format!("{sender}: enable_oneway_spam_detection 1"));
        }
        for _ in 0..1 + self.below(3) {
            let (target, sent, read) = (self.handle(), self.sent(), self.read());
            let flags = self.pick(&["0x1", "0x1", "0x1", "0x11", "0x41", "0x21"]);
            steps.push(format!("{sender}: transaction {target} code 7 flags {flags}{sent}{read}"));
        }
        let memory = self.memory();
        steps.push(format!("{receiver}: read now{memory}"));
        if self.chance(70) {
            let keep = self.keep();
            steps.push(format!("{receiver}: {keep}free_buffer last; read now"));
        }
        steps
    }

    /// A call that is answered by a call back.
    fn nested(&mut self) -> Vec<String> {
        let (caller, server) = (self.thread(), self.thread());
        let (one, two, three) = (self.sent(), self.sent(), self.sent());
        vec![
            format!("{caller}: transaction 0 {{binder 0x10 flags 0x100}}; read"),
            format!("{server}: read now"),
            format!("{server}: transaction 1{one}; read"),
            format!("{caller}: increfs_done 0x10; acquire_done 0x10; free_buffer last; reply{two}; read"),
            format!("{server}: free_buffer last; free_buffer last; reply{three}; read now"),
            format!("{caller}: read now"),
        ]
    }

    /// Counts of references.
    fn references(&mut self) -> Vec<String> {
        let mut steps = Vec::new();
        for _ in 0..1 + self.below(4) {
            let thread = self.thread();
            let mut words = Vec::new();
            for _ in 0..1 + self.below(3) {
                let word = self.pick(&["increfs", "acquire", "release", "decrefs"]);
                let (handle, node) = (self.handle(), self.node());
                words.push(if self.chance(70) {
                    format!("{word} {handle}")
                } else {
                    let word = self.pick(&["increfs_done", "acquire_done"]);
                    format!("{word} {node}")
                });
            }
            let read = self.read();
            steps.push(format!("{thread}: {}{read}", words.join("; ")));
        }
        steps
    }

    /// A wish to be told of a death, and perhaps the death.
    fn death(&mut self) -> Vec<String> {
        let (thread, handle) = (self.thread(), self.handle());
        let cookie = self.pick(&["0xd1", "0xd2"]);
        let mut steps =
            vec![format!("{thread}: increfs {handle}; request_death {handle} cookie {cookie}; read now")];
        if self.chance(40) {
            let victim = self.actor();
            steps.push(format!("{victim}: exit"));
        }
        if self.chance(50) {
            let cookie = self.pick(&["0xd1", "0xd2"]);
            steps.push(format!("{thread}: clear_death {handle} cookie {cookie}; read now"));
        }
        let memory = self.memory();
        steps.push(format!("{thread}: read now{memory}"));
        if self.chance(60) {
            steps.push(format!("{thread}: dead_binder_done {cookie}; read now"));
        }
        if self.chance(30) {
            steps.push(format!("{thread}: decrefs {handle}; read now"));
        }
        steps
    }

    /// Freezing, thawing, and those who want to know of it.
    fn freeze(&mut self) -> Vec<String> {
        let (thread, victim, handle) = (self.thread(), self.actor(), self.handle());
        let mut steps = Vec::new();
        let notice = self.chance(40);
        if notice {
            steps.push(format!("{thread}: increfs {handle}; request_freeze {handle} cookie 0xf1; read now"));
        }
        let timeout = self.maybe(10, " timeout 100000000");
        steps.push(format!("{thread}: freeze {victim}{timeout}"));
        if self.chance(50) {
            steps.push(format!("{thread}: get_frozen_info {victim}"));
        }
        if notice {
            steps.push(format!("{thread}: freeze_done 0xf1; read now"));
        }
        if self.chance(70) {
            steps.push(format!("{thread}: thaw {victim}"));
        }
        steps.push(format!("{thread}: get_frozen_info {victim}"));
        if notice && self.chance(50) {
            steps.push(format!("{thread}: clear_freeze {handle} cookie 0xf1; read now"));
            steps.push(format!("{thread}: freeze_done 0xf1; read now"));
        }
        steps
    }

    /// Tables and limits.
    fn files(&mut self) -> Vec<String> {
        let mut steps = Vec::new();
        for _ in 0..1 + self.below(3) {
            let thread = self.thread();
            let (fd, limit) = (4 + self.below(6), 4 + self.below(8));
            if self.has_devices && self.chance(50) {
                let step = self.device_step();
                steps.push(format!("{}.2{step}", self.actor()));
                continue;
            }
            steps.push(match self.below(4) {
                0 => format!("{thread}: close {fd}"),
                1 => format!("{thread}: dup {}", 4 + fd % 3),
                2 => format!("{thread}: limit {limit}"),
                _ => format!("{thread}: open pipe new-{}", self.next() % 100_000),
            });
        }
        steps
    }

    /// Ioctls other than writing and reading.
    fn ioctls(&mut self) -> Vec<String> {
        let mut steps = Vec::new();
        for _ in 0..1 + self.below(3) {
            let (thread, handle) = (self.thread(), self.handle());
            steps.push(match self.below(9) {
                0 => format!("{thread}: poll"),
                1 => format!("{thread}: thread_exit"),
                2 => format!("{thread}: get_node_debug_info {:#x}", self.below(4) * 0x10),
                3 => format!("ann: get_node_info_for_ref {handle}"),
                4 => format!("{thread}: get_extended_error"),
                5 => format!("{thread}: set_max_threads {}", self.below(3)),
                6 => format!("{thread}: {}", self.pick(&["enter_looper", "register_looper", "exit_looper"])),
                7 => format!("{thread}: {}", self.pick(&["version", "ioctl 0x6242", "set_context_mgr"])),
                _ => format!("{thread}: read {} now", 4 + self.below(100)),
            });
        }
        steps
    }

    /// Bytes that are no commands, or not all of one.
    fn garbage(&mut self) -> Vec<String> {
        let thread = self.thread();
        let word = self.pick(&[
            "00634040", "01634040", "03630840", "04630440", "09631040", "0b630000", "0e630c40", "10630840",
            "11634840", "13630c40", "02630440", "0a630840", "ffffffff", "0763",
        ]);
        let behind: String = (0..self.below(20)).map(|_| format!("{:02x}", self.below(4))).collect();
        let before = self.maybe(50, "increfs 0; ");
        let consumed = if self.has_faults {
            self.pick(&["", "consumed 8; ", "consumed 4; ", "consumed 40; "])
        } else {
            ""
        };
        vec![format!("{thread}: {before}{consumed}raw {word}{behind}; read now")]
    }

    /// Somebody goes.
    fn end(&mut self) -> Vec<String> {
        let actor = self.actor();
        if self.has_devices && self.chance(50) {
            let device = self.device();
            return vec![format!("{actor}.2: close {device}"), format!("{actor}.2@{device}: munmap")];
        }
        match self.below(4) {
            0 | 1 => vec![format!("{actor}: exit")],
            2 => vec![format!("{actor}.2: {}", self.pick(&["munmap", "munmap behind 4096"]))],
            _ => vec![format!("{actor}.2: close 3"), format!("{actor}.2: munmap")],
        }
    }

    /// A signal, which whoever waits comes back with.
    fn signal(&mut self) -> Vec<String> {
        let actor = self.actor();
        vec![format!("{actor}{}: signal", self.pick(&["", "", ".1"]))]
    }
}
