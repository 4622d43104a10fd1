//! What an IPC namespace has, what it may have, what nobody needs any more, and how that is cleared.

mod support;

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use rustix::process::Uid;
use support::Leashed;
use support::namespace::{private, skip};
use sysv_shm::{
    Key, Operation, Reap, Segment, SegmentLimits, SegmentOptions, SegmentStat, SegmentUsage, SemaphoreLimits,
    SemaphoreSet, SemaphoreUsage, orphans, reap, segments, semaphore_sets,
};

const KEY: Key = Key::new(0x0001_2345);

/// Set for a child: make a segment, and then what its value says.
const ROLE: &str = "SYSV_SHM_TEST_SEEING";

#[test]
fn maker() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let segment = Segment::create_new(Key::PRIVATE, 4096).unwrap();
    let attachment = segment.attach::<()>().unwrap();
    attachment.copy_in(0, b"left behind").unwrap();
    println!("made {}", segment.id());
    if role == "wait" {
        std::io::stdin().read_line(&mut String::new()).unwrap();
    }
    std::process::exit(0); // the harness would go on to print, and nobody reads any more
}

/// A process that has made a segment, and the segment.
fn maker_that(role: &str) -> (Leashed, Segment) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["maker", "--exact", "--nocapture"]).env(ROLE, role);
    let mut child: Child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let output = std::io::BufReader::new(child.stdout.take().unwrap());
    let line = std::io::BufRead::lines(output).map(Result::unwrap).find_map(|line| {
        line.split_once("made ").and_then(|(_, id)| id.trim().parse().ok()).map(sysv_shm::SegmentId::new)
    });
    (Leashed(child), Segment::from_id(line.unwrap()).unwrap())
}

fn ids(found: &[SegmentStat]) -> Vec<sysv_shm::SegmentId> {
    found.iter().map(|stat| stat.id).collect()
}

#[test]
fn the_list_has_everything_and_needs_no_permission() {
    private(|| {
        assert_eq!((segments().unwrap(), semaphore_sets().unwrap()), (vec![], vec![]));
        let one = SegmentOptions::new().mode(0).create_new(KEY, 5000).unwrap().remove_on_drop();
        let hole = Segment::create(Key::PRIVATE, 1).unwrap();
        let two = Segment::create(Key::PRIVATE, 1).unwrap().remove_on_drop();
        hole.remove().unwrap(); // leaves an index unused
        let _attachment = two.attach::<()>().unwrap();
        Segment::from(two.id()).remove().unwrap();
        let set = SemaphoreSet::create_new(KEY, 3).unwrap().remove_on_drop();
        let mut sets = rustix::thread::capabilities(None).unwrap();
        sets.effective.remove(rustix::thread::CapabilitySet::IPC_OWNER);
        rustix::thread::set_capabilities(None, sets).unwrap();

        let listed = segments().unwrap();
        assert_eq!(ids(&listed), [one.id(), two.id()]);
        assert_eq!((listed[0].key, listed[0].size, listed[0].mode), (KEY, 5000, 0));
        assert!(one.stat().unwrap_err().is_permission_denied(), "asked by its id, it tells nothing");
        assert!(listed[1].removed && listed[1].attached == 1);
        assert_eq!(listed[1], two.stat().unwrap(), "the same that IPC_STAT says");
        assert_eq!(semaphore_sets().unwrap(), [set.stat().unwrap()]);
    });
}

#[test]
fn the_columns_of_the_kernels_own_list_say_the_same() {
    private(|| {
        let segment = SegmentOptions::new().mode(0o640).create_new(KEY, 5000).unwrap().remove_on_drop();
        let _attachment = segment.attach::<()>().unwrap();
        let text = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        let columns: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(columns.len(), 16);
        let stat = segments().unwrap()[0];
        let numbers = [
            stat.key.number().to_string(),
            stat.id.to_string(),
            format!("{:o}", stat.mode),
            stat.size.to_string(),
            stat.creator_pid.to_string(),
            stat.last_pid.unwrap().to_string(),
            stat.attached.to_string(),
            stat.uid.to_string(),
            stat.gid.to_string(),
            stat.creator_uid.to_string(),
            stat.creator_gid.to_string(),
            seconds(stat.attached_at),
            seconds(stat.detached_at),
            seconds(Some(stat.changed_at)),
        ];
        assert_eq!(columns[..14], numbers);
    });
}

/// As the kernel's lists have it.
fn seconds(time: Option<SystemTime>) -> String {
    let since = time.map_or(0, |time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    since.to_string()
}

#[test]
fn the_columns_of_the_list_of_sets_say_the_same() {
    private(|| {
        let set = SemaphoreSet::create_new(KEY, 3).unwrap().remove_on_drop();
        set.operate(&[Operation::add(0)]).unwrap();
        let text = fs::read_to_string("/proc/sysvipc/sem").unwrap();
        let columns: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        let stat = set.stat().unwrap();
        let numbers = [
            stat.key.number().to_string(),
            stat.id.to_string(),
            format!("{:o}", stat.mode),
            stat.count.to_string(),
            stat.uid.to_string(),
            stat.gid.to_string(),
            stat.creator_uid.to_string(),
            stat.creator_gid.to_string(),
            seconds(stat.operated_at),
            seconds(Some(stat.changed_at)),
        ];
        assert_eq!(columns, numbers);
        assert!(stat.operated_at.is_some());
    });
}

#[test]
fn limits_and_usage_are_the_namespaces_own() {
    private(|| {
        let most = u64::MAX - (1 << 24);
        let limits = SegmentLimits::now().unwrap();
        assert_eq!((limits.max_size, limits.max_segments, limits.max_pages), (most, 4096, most));
        let semaphores = SemaphoreLimits::now().unwrap();
        assert_eq!((semaphores.max_in_set, semaphores.max_semaphores), (32000, 1_024_000_000));
        assert_eq!(
            (semaphores.max_operations, semaphores.max_sets, semaphores.max_value),
            (500, 32000, 32767)
        );

        let segment = Segment::create(Key::PRIVATE, 5000).unwrap().remove_on_drop();
        let usage =
            || SegmentUsage::now().map(|usage| (usage.segments, usage.pages, usage.resident_pages)).unwrap();
        assert_eq!(usage(), (1, 2, 0));
        segment.attach::<()>().unwrap().copy_in(0, &[1]).unwrap();
        assert_eq!(usage(), (1, 2, 1), "a page takes memory when it is touched");
        assert_eq!(SegmentUsage::now().unwrap().swapped_pages, 0);
        let _sets = (
            SemaphoreSet::create(Key::PRIVATE, 3).unwrap().remove_on_drop(),
            SemaphoreSet::create(Key::PRIVATE, 4).unwrap().remove_on_drop(),
        );
        let usage = SemaphoreUsage::now().unwrap();
        assert_eq!((usage.sets, usage.semaphores), (2, 7));
    });
}

#[test]
fn limits_can_be_set_and_are_not_inherited() {
    private(|| {
        if let Err(error) = fs::write("/proc/sys/kernel/shmmni", "1") {
            return skip("kernel.shmmni", &format!("it cannot be set in this namespace: {error}"));
        }
        assert_eq!(SegmentLimits::now().unwrap().max_segments, 1);
        let _only = Segment::create(Key::PRIVATE, 1).unwrap().remove_on_drop();
        let error = Segment::create(KEY, 1).unwrap_err();
        assert_eq!(
            error.to_string(),
            "shmget(0x00012345, 1, IPC_CREAT | 0600): ENOSPC, this IPC namespace has 1 segments, and its \
             limit is kernel.shmmni = 1"
        );
        let too_many = fs::write("/proc/sys/kernel/shmmni", "16777217").unwrap_err();
        assert_eq!(too_many.raw_os_error(), Some(libc::EINVAL), "no kernel has that many indexes");
        std::thread::scope(|scope| {
            scope.spawn(|| private(|| assert_eq!(SegmentLimits::now().unwrap().max_segments, 4096)));
        });
    });
}

#[test]
fn an_orphan_is_one_whose_maker_is_gone_and_that_nobody_has_attached() {
    private(|| {
        let (mut killed, orphan) = maker_that("wait");
        let (mut living, of_living) = maker_that("wait");
        let (mut ended, attached) = maker_that("end");
        let mine = Segment::create(Key::PRIVATE, 1).unwrap().remove_on_drop();
        let attachment = attached.attach::<()>().unwrap();
        assert!(ended.wait().unwrap().success());

        killed.kill().unwrap();
        // A process that has ended stays as a zombie until its parent has asked for it.
        killed.wait().unwrap();
        assert_eq!(ids(&orphans().unwrap()), [orphan.id()], "not {mine:?}, {of_living:?}, {attached:?}");
        let dry = reap(Reap::default()).unwrap();
        assert_eq!((ids(&dry.segments), dry.refused), (vec![orphan.id()], vec![]));
        let mut bytes = [0; 11];
        orphan.attach_read_only::<()>().unwrap().copy_out(0, &mut bytes).unwrap();
        assert_eq!(&bytes, b"left behind", "a dry run removes nothing");

        drop(attachment);
        let both = [orphan.id(), attached.id()];
        assert_eq!(ids(&orphans().unwrap()), both);
        assert_eq!(ids(&reap(Reap::Remove).unwrap().segments), both);
        assert!(orphan.stat().unwrap_err().is_removed());
        assert_eq!(reap(Reap::Remove).unwrap().segments, []);
        assert!(mine.stat().is_ok() && of_living.stat().is_ok());

        living.kill().unwrap();
        living.wait().unwrap();
        assert_eq!(ids(&reap(Reap::Remove).unwrap().segments), [of_living.id()]);
    });
}

#[test]
fn another_users_orphan_is_named_and_stays() {
    private(|| {
        let (mut maker, segment) = maker_that("end");
        assert!(maker.wait().unwrap().success());
        let orphan = segment.remove_on_drop();
        let (id, owner) = (orphan.id(), rustix::process::geteuid().as_raw());
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let nobody = Uid::from_raw(65534);
                if let Err(error) = rustix::thread::set_thread_res_uid(nobody, nobody, nobody) {
                    return skip(
                        "another user's orphan",
                        &format!("this process cannot become one: {error}"),
                    );
                }
                let reaped = reap(Reap::Remove).unwrap();
                assert_eq!(reaped.segments, []);
                let [(stat, error)] = &reaped.refused[..] else { panic!("{reaped:?}") };
                assert_eq!(stat.id, id);
                assert_eq!(
                    error.to_string(),
                    format!(
                        "shmctl({id}, IPC_RMID): EPERM, only its owner and its creator may, or \
                         CAP_SYS_ADMIN: id {id} has mode 0600 and belongs to uid {owner}"
                    )
                );
            });
        });
        assert!(orphan.stat().is_ok());
    });
}
