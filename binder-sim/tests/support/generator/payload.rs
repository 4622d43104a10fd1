//! What calls and replies of random scripts carry.

use super::Generator;

impl Generator {
    /// A handle: the manager, one that may be held, one that is not.
    pub(super) fn handle(&mut self) -> &'static str {
        self.pick(&["0", "0", "0", "0", "1", "1", "1", "2", "3", "9"])
    }

    /// A node of the speaker's.
    pub(super) fn node(&mut self) -> String {
        let ptr = self.pick(&["0x10", "0x10", "0x20", "0x30"]);
        let cookie = self.maybe(8, " cookie 0x5");
        format!("{ptr}{cookie}")
    }

    /// What a call or a reply carries.
    pub(super) fn sent(&mut self) -> String {
        if self.chance(6) {
            return self.nest();
        }
        let mut items = Vec::new();
        for _ in 0..self.below(4) {
            items.push(self.item());
        }
        let mut room = 0;
        if self.chance(12) {
            let (mut first, bad) = (4 + self.below(3), self.maybe(15, " 77"));
            if self.has_devices && self.chance(15) {
                first = 3;
            }
            items.insert(0, "zeros 8".into());
            items.insert(1, format!("ptr ints {first} 5 6 4{bad}"));
            room += 24;
            if self.chance(70) {
                let (count, at) = (self.below(4), self.pick(&["0", "0", "0", "4", "8"]));
                items.insert(2, format!("fda {count} parent 0 at {at}"));
            }
            if self.chance(30) {
                items.push("ptr bytes 0a0b0c parent 0 at 8".into());
                room += 8;
            }
        }
        let items = if items.is_empty() { String::new() } else { format!(" {{{}}}", items.join(", ")) };
        let wrong = if self.chance(8) { self.wrong(room > 0) } else { String::new() };
        let room = if room > 0 || self.chance(3) { format!(" room {room}") } else { String::new() };
        format!("{items}{wrong}{room}")
    }

    /// A piece of a payload.
    fn item(&mut self) -> String {
        if self.has_devices && self.chance(15) {
            return format!("fd {}", self.device());
        }
        let weak = self.maybe(25, "weak_");
        match self.below(12) {
            0..3 => format!("fd {}", self.pick(&["4", "5", "6", "4", "5", "6", "77", "4294967295"])),
            3..6 => {
                let node = self.node();
                let flags = self.pick(&["", " flags 0x100", " flags 0x100", " flags 0x1100"]);
                format!("{weak}binder {node}{flags}")
            }
            6..8 => format!("{weak}handle {}", self.handle()),
            8 => format!("zeros {}", self.pick(&["4", "40", "1000", "2000", "3900", "40000", "64000"])),
            9 => format!("bytes {}", self.pick(&["01020304", "0102", "0102030405060708", "852a6466"])),
            10 => "type 0x1234, zeros 20".into(),
            _ => format!("zeros {}", self.below(16)),
        }
    }

    /// Buffers that stand in buffers, and arrays in them, mostly as a driver wants it.
    fn nest(&mut self) -> String {
        let mut items = vec![self.maybe(85, "zeros 8")];
        let mut room = 0;
        for index in 0..2 + self.below(4) {
            let parent = if self.chance(85) { index.max(1) - 1 } else { self.below(index + 1) };
            let parent = if self.chance(60) { parent } else { 0 };
            let at = self.pick(&["0", "0", "8", "8", "16", "4", "24", "6"]);
            items.push(if index > 0 && self.chance(30) {
                format!("fda {} parent {parent} at {at}", self.below(4))
            } else {
                room += 24;
                let bytes =
                    self.pick(&["ints 4 5 6 4 5 6", "zeros 24", "ints 4 5", "bytes 0a0b0c", "zeros 0"]);
                let length = self.maybe(5, " length 24");
                let place = format!(" parent {parent} at {at}");
                format!(
                    "ptr {bytes}{length}{}",
                    if index > 0 && self.chance(70) { place } else { String::new() }
                )
            });
            if self.chance(15) {
                items.push(self.item());
            }
        }
        items.retain(|item| !item.is_empty());
        let room = if self.chance(10) { self.below(room + 1) } else { room };
        format!(" {{{}}} room {room}", items.join(", "))
    }

    /// What is wrong with it. A buffer's object that is not listed would be delivered as it is, with an
    /// address of the sender's memory in it: then the offsets stay as they are.
    fn wrong(&mut self, has_buffers: bool) -> String {
        let offset = self.below(60);
        let all = [0, 1, 2, 4, 3, 5, 6];
        match all[if has_buffers { 4 + self.below(3) } else { self.below(all.len()) }] {
            0 => format!(" offsets {offset}"),
            1 => " offsets none".into(),
            2 => format!(" offsets 0 {offset}"),
            3 => format!(" data_size {offset}"),
            4 => format!(" offsets_size {}", self.pick(&["8", "4", "16", "12", "18446744073709551608"])),
            5 => " data_nowhere".into(),
            _ => " offsets_nowhere".into(),
        }
    }
}
