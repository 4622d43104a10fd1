//! Who has a segment attached, and how much of it. One test, so that no other of this process attaches a
//! segment with the same id in a namespace of its own.

mod support;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use support::Leashed;
use support::namespace::{private, skip};
use sysv_shm::{AttachedProcess, Key, Segment, SegmentId};

const PAGE: usize = 4096;
/// Set for the child: the id of the segment to attach.
const ID: &str = "SYSV_SHM_TEST_ATTACHED";

/// The other process: looks at the first page, says so, and waits.
fn reader(id: SegmentId) {
    let attachment = Segment::from(id).attach_read_only::<()>().unwrap();
    attachment.copy_out(0, &mut [0]).unwrap();
    println!("attached");
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

#[test]
fn each_process_with_its_mappings_and_its_share() {
    if let Ok(id) = std::env::var(ID) {
        return reader(SegmentId::new(id.parse().unwrap()));
    }
    private(|| {
        let segment = Segment::create(Key::PRIVATE, 4 * PAGE).unwrap().remove_on_drop();
        assert_eq!(segment.attached_by().unwrap().processes, []);
        let writer = segment.attach::<()>().unwrap();
        writer.copy_in(0, &[1]).unwrap();
        writer.copy_in(PAGE, &[1]).unwrap();

        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args(["each_process_with_its_mappings_and_its_share", "--exact", "--nocapture"]);
        child.env(ID, segment.id().to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = Leashed(child.spawn().unwrap());
        let output = BufReader::new(child.stdout.take().unwrap());
        assert!(output.lines().map(Result::unwrap).any(|line| line.ends_with("attached")));

        let seen = segment.attached_by().unwrap();
        let find =
            |pid| -> &AttachedProcess { seen.processes.iter().find(|process| process.pid == pid).unwrap() };
        let (us, other) = (find(std::process::id()), find(child.id()));
        assert_eq!((seen.processes.len(), seen.mappings, seen.unseen_mappings()), (2, 2, 0));
        assert_eq!((us.mappings.len(), us.can_write(), us.rss()), (1, true, 2 * PAGE as u64));
        assert_eq!((other.mappings.len(), other.can_write(), other.rss()), (1, false, PAGE as u64));
        // The first page is two processes': half of it each. The second is ours alone.
        assert_eq!((us.pss(), other.pss()), (PAGE as u64 * 3 / 2, PAGE as u64 / 2));
        assert!(!us.mappings[0].executable && us.mappings[0].address % PAGE as u64 == 0);
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert_eq!((us.command.as_str(), other.command.as_str()), (comm.trim_end(), comm.trim_end()));

        // Whoever may not look is told how many he missed.
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let nobody = rustix::process::Uid::from_raw(65534);
                if let Err(error) = rustix::thread::set_thread_res_uid(nobody, nobody, nobody) {
                    return skip("processes of others", &format!("this process cannot become one: {error}"));
                }
                let seen = segment.attached_by().unwrap();
                assert!(seen.processes.iter().all(|process| process.pid != child.id()), "{seen:?}");
                assert!(seen.unreadable >= 1 && seen.unseen_mappings() >= 1, "{seen:?}");
            });
        });

        // A second mapping in one process; and one that ends.
        let again = segment.attach_read_only::<()>().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = segment.attached_by().unwrap();
        let [us] = &seen.processes[..] else { panic!("{seen:?}") };
        assert_eq!((us.mappings.len(), us.can_write(), seen.mappings), (2, true, 2));
        drop((writer, again));

        // Nobody has it, and then it is not there.
        let gone = *segment;
        segment.remove().unwrap();
        assert!(gone.attached_by().unwrap_err().is_removed());
    });
}
