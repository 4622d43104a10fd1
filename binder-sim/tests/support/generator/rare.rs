//! What programs seldom do, and what the other episodes would hardly come upon.

use super::Generator;

impl Generator {
    /// Many calls of few sizes at once, whose buffers are given back in no order; and more of them for the holes.
    pub(super) fn holes(&mut self) -> Vec<String> {
        let (caller, server) = (self.actor(), self.pick(&["ann", "ann", "ann", "bob"]));
        let sizes = ["64", "64", "96", "40", "128"];
        let (mut steps, calls) = (Vec::new(), 4 + self.below(4));
        for thread in 3..3 + calls {
            steps.push(format!("{caller}.{thread}: transaction 0 {{zeros {}}}; read now", self.pick(&sizes)));
            steps.push(format!("{server}.{thread}: read now"));
            if thread > 5 && self.chance(60) {
                let from = self.pick(&["0", "40", "60", "80", "a0", "c0", "100", "140", "160"]);
                steps.push(format!("{server}.{}: free_buffer at 0x{from}", thread - 1));
            }
        }
        steps
    }

    /// The manager goes, and somebody comes in its place.
    pub(super) fn succession(&mut self) -> Vec<String> {
        let (next, holder, sent) = (self.actor(), self.thread(), self.sent());
        vec![
            format!("{holder}: acquire 0; request_death 0 cookie 0xd3; read now"),
            "ann: exit".into(),
            format!("{next}: set_context_mgr_ext 0x100"),
            format!("{holder}: acquire 0; increfs 0; transaction 0 flags 0x1{sent}; read now"),
            format!("{holder}: request_death 1 cookie 0xd4; request_death 0 cookie 0xd5; read now"),
            format!("{next}: read now"),
        ]
    }

    /// Somebody ends who has read calls, with nodes in them, and has not answered.
    pub(super) fn abandon(&mut self) -> Vec<String> {
        let server = self.actor();
        let mut steps = Vec::new();
        for _ in 0..1 + self.below(3) {
            let (caller, thread) = (self.thread(), self.pick(&["", "", ".1", ".2"]));
            let (target, node) = (self.handle(), self.node());
            steps.push(format!("{caller}: transaction {target} {{binder {node} flags 0x100}}; read"));
            steps.push(format!("{server}{thread}: enter_looper; read now"));
            if self.chance(30) {
                steps.push(format!("{server}{thread}: acquire 1"));
            }
            if self.chance(30) {
                steps.push(format!("{server}{thread}: poll"));
            }
        }
        steps.push(format!("{server}: exit"));
        let other = self.thread();
        steps.push(format!("{other}: increfs_done 0x10; acquire_done 0x10; read now"));
        steps
    }
}
