//! Opens of the device that are more than one, and opens that travel.

use super::{Generator, NAMES};

impl Generator {
    /// The same device once more, or another one, under the lowest free number; and perhaps a mapping, a manager.
    pub(super) fn second_opens(&mut self) -> Vec<String> {
        let mut steps = Vec::new();
        for name in &NAMES[..self.actors] {
            if self.chance(60) {
                let device = self.pick(&["binder", "binder", "hwbinder", "vndbinder"]);
                steps.push(format!("{name}: open {device}"));
                if self.chance(85) {
                    steps.push(format!("{name}@7: mmap 8192"));
                }
                if self.chance(40) {
                    steps.push(format!("{name}@7: set_context_mgr_ext 0x100"));
                }
            }
            if self.chance(10) {
                steps.push(format!("{name}: dup {}", self.pick(&["3", "7"])));
            }
        }
        steps
    }

    /// The number of an open, of one's own or one that was sent; not always one that is there.
    pub(super) fn device(&mut self) -> &'static str {
        self.pick(&["3", "3", "7", "7", "8", "9"])
    }

    /// What is done with a device's number, or through it: what stands behind the name of a thread.
    pub(super) fn device_step(&mut self) -> String {
        let device = self.device();
        match self.below(12) {
            0..3 => format!(": close {device}"),
            3 => format!(": dup {device}"),
            4 => ": open binder".into(),
            5 => format!("@{device}: mmap 4096"),
            6 => format!("@{device}: munmap"),
            7 => format!("@{device}: poll"),
            8 => format!("@{device}: {}", self.pick(&["enter_looper", "thread_exit", "set_context_mgr"])),
            9 | 10 => {
                let (handle, sent, read) = (self.handle(), self.sent(), self.read());
                let flags = self.pick(&["", "", " flags 0x1", " flags 0x10"]);
                format!("@{device}: transaction {handle}{flags}{sent}{read}")
            }
            _ => format!("@{device}: {}", self.pick(&["read now", "free_buffer last; reply", "read"])),
        }
    }

    /// Somebody sends an open to somebody, who uses it, while its owner may end.
    pub(super) fn hand_over(&mut self) -> Vec<String> {
        let (sender, receiver) = (self.actor(), if self.chance(70) { "ann" } else { self.actor() });
        let (target, device) = (self.pick(&["0", "0", "0", "1"]), self.pick(&["3", "3", "7"]));
        let flags = self.pick(&["", " flags 0x1", " flags 0x1", " flags 0x10"]);
        let more = self.maybe(30, ", fd 5");
        let mut steps =
            vec![format!("{sender}: transaction {target}{flags} {{fd {device}{more}}}; read now")];
        if self.chance(15) {
            steps.push(format!("{sender}: exit"));
        }
        if self.chance(85) {
            steps.push(format!("{receiver}: read now"));
        }
        for _ in 0..self.below(5) {
            let step = self.device_step();
            let thread = self.pick(&["", "", ".1", ".2"]);
            steps.push(format!("{receiver}{thread}{step}"));
        }
        if self.chance(40) {
            // Back where it came from, in the reply.
            steps.push(format!("{receiver}: free_buffer last; reply {{fd {}}}; read now", self.device()));
        }
        if self.chance(25) {
            steps.push(format!("{sender}.2: close {device}"));
            steps.push(format!("{sender}.2: munmap"));
        }
        steps.push(format!("{sender}: read now"));
        steps
    }
}
