//! Taking out of an example's output what differs from run to run.
//!
//! Examples print real values. The committed text must be the same on every machine, so process ids become roles, and
//! addresses, inodes and identifiers become words in angle brackets. Nothing else is touched.

use std::collections::BTreeMap;

use regex::{Captures, Regex};

/// Replaces what differs from run to run.
///
/// | printed | becomes |
/// | --- | --- |
/// | `pid 1234`, `/proc/1234/` | `pid <server>`, `/proc/<server>/`: the role is the first word of the first line that names the pid |
/// | a line of `/proc/<pid>/maps` | `<address> rw-s 00000000 <dev> <inode> /path`, single-spaced |
/// | `id 98304` | `id <id>` |
/// | `inode 4026` | `inode <inode>` |
/// | `device 00:1b` | `device <device>` |
/// | `0x7f3a12345000` (nine digits or more) | `<address>` |
pub fn normalise(printed: &str) -> String {
    let rules = Rules::new();
    let roles = rules.roles(printed);
    let mut text = String::with_capacity(printed.len());
    for line in printed.lines() {
        text.push_str(rules.line(line, &roles).trim_end());
        text.push('\n');
    }
    text
}

/// The patterns, compiled once.
#[derive(Debug)]
struct Rules {
    /// A line that opens with a role and names a pid.
    role: Regex,
    /// A pid, by either of its two spellings.
    pid: Regex,
    /// The fields of a maps line.
    maps: Regex,
    /// `id` or `inode` and its number.
    id: Regex,
    /// `device` and its two numbers.
    device: Regex,
    /// A user-space address.
    address: Regex,
}

impl Rules {
    fn new() -> Self {
        // A pattern that does not compile is a mistake in this file, found by any test.
        let regex = |pattern| Regex::new(pattern).expect("a pattern of this file");
        Self {
            role: regex(r"^\W*([a-z]+)\b.*?\bpid (\d+)\b"),
            pid: regex(r"\bpid (\d+)\b|/proc/(\d+)\b"),
            maps: regex(
                r"[0-9a-f]{8,16}-[0-9a-f]{8,16} ([rwxps-]{4}) ([0-9a-f]{8,16}) [0-9a-f]{2,}:[0-9a-f]{2,} \d+ +(/|$)",
            ),
            id: regex(r"\b(id|inode) +\d+\b"),
            device: regex(r"\bdevice [0-9a-f]{2,}:[0-9a-f]{2,}\b"),
            address: regex(r"\b0x[0-9a-f]{9,16}\b"),
        }
    }

    /// Which role each pid plays. A role belongs to the first pid that is introduced by it.
    fn roles(&self, printed: &str) -> BTreeMap<String, String> {
        let mut roles = BTreeMap::new();
        for line in printed.lines() {
            if let Some(found) = self.role.captures(line) {
                let (role, pid) = (found[1].to_owned(), found[2].to_owned());
                if !roles.values().any(|taken| *taken == role) {
                    roles.entry(pid).or_insert(role);
                }
            }
        }
        roles
    }

    fn line(&self, line: &str, roles: &BTreeMap<String, String>) -> String {
        let role = |pid: &str| roles.get(pid).map_or("pid", String::as_str).to_owned();
        let line = self.maps.replace_all(line, "<address> $1 $2 <dev> <inode> $3");
        let line = self.pid.replace_all(&line, |found: &Captures<'_>| match found.get(1) {
            Some(pid) => format!("pid <{}>", role(pid.as_str())),
            None => format!("/proc/<{}>", role(&found[2])),
        });
        let line = self.id.replace_all(&line, "$1 <$1>");
        let line = self.device.replace_all(&line, "device <device>");
        self.address.replace_all(&line, "<address>").into_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::normalise;

    #[track_caller]
    fn check(printed: &str, expected: &str) {
        assert_eq!(normalise(printed), expected);
    }

    #[test]
    fn a_pid_becomes_the_role_that_introduced_it() {
        check(
            "server  pid 40, waits\nclient  pid 41, joins the server, pid 40\n        pid 41 maps it\n",
            "server  pid <server>, waits\nclient  pid <client>, joins the server, pid <server>\n        pid <client> maps it\n",
        );
        check("the stranger has pid 7\n", "the stranger has pid <the>\n");
        check("server  pid 40\nserver  pid 41\n", "server  pid <server>\nserver  pid <pid>\n");
        check("server  pid 40 reads /proc/40/maps\n", "server  pid <server> reads /proc/<server>/maps\n");
    }

    #[test]
    fn a_maps_line_keeps_what_every_machine_shows() {
        check(
            "  7f16e7d6a000-7f16e7d6b000 rw-s 00000000 00:01 32769                      /SYSV53484d31 (deleted)\n",
            "  <address> rw-s 00000000 <dev> <inode> /SYSV53484d31 (deleted)\n",
        );
    }

    #[test]
    fn identifiers_and_addresses_go_and_other_numbers_stay() {
        check("segment id 32769, inode 32769, 4096 bytes\n", "segment id <id>, inode <inode>, 4096 bytes\n");
        check("inode 7, device 00:1b\n", "inode <inode>, device <device>\n");
        check(
            "attached at 0x7f16e7d6a000 under key 0x53484d31\n",
            "attached at <address> under key 0x53484d31\n",
        );
        check("a valid 12 and a hidden 13   \n", "a valid 12 and a hidden 13\n");
    }
}
