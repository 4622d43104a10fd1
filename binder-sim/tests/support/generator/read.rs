//! How random scripts read, and into what memory.

use super::Generator;

impl Generator {
    /// How to read after writing.
    pub(super) fn read(&mut self) -> String {
        let read = match self.below(10) {
            0..6 => "; read now".into(),
            // What comes may need more room: then it stays in the thread's own list, or the process's.
            6..8 if self.chance(15) => format!("; read {}", self.below(140).max(4)),
            6..8 => "; read".into(),
            8 => String::new(),
            _ => format!("; read {} now", self.below(140).max(4)),
        };
        if read.is_empty() { read } else { read + &self.memory() }
    }

    /// What is wrong with the memory for what is read.
    pub(super) fn memory(&mut self) -> String {
        if !self.has_faults {
            return String::new();
        }
        let writable = [0, 3, 4, 8, 11, 12, 24, 40, 72, 76, 80];
        match self.below(6) {
            0 => format!(" writable {}", writable[self.below(writable.len())]),
            1 => format!(" consumed {}", self.pick(&["4", "4", "8", "40"])),
            2 if self.chance(30) => format!(" consumed 8 writable {}", 2 + self.below(90)),
            _ => String::new(),
        }
    }
}
