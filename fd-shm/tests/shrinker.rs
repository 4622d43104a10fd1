//! The shrinker: one order through many regions, what it says, and being told that memory is short.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, io};

use fd_shm::Region;
use fd_shm::ashmem::{PinStatus, Pinning, PressureTrigger, Prot, Shrinker};

#[path = "support/alone.rs"]
mod alone;

const PAGE: usize = 4096;

/// A region of touched pages.
fn full(name: &str, pages: usize) -> Region {
    let region = Region::create_with(name, pages * PAGE, Pinning::Kept).expect("a region");
    region.map::<()>().expect("mapped").copy_in(0, &vec![7; pages * PAGE]).expect("it fits");
    region
}

/// A shrinker for these.
fn shrinker(regions: &[&Region]) -> Shrinker {
    let mut shrinker = Shrinker::new();
    for (number, region) in regions.iter().enumerate() {
        assert_eq!(shrinker.add(region).expect("a descriptor"), number);
    }
    shrinker
}

#[test]
fn one_order_goes_through_all_regions() {
    let [one, two, three] = ["one", "two", "three"].map(|name| full(name, 8));
    // By age: two 4-5, one 0, three 7, one 2-4, two 0.
    for (region, first, len) in [(&two, 4, 2), (&one, 0, 1), (&three, 7, 1), (&one, 2, 3), (&two, 0, 1)] {
        region.unpin(first * PAGE, len * PAGE).expect("in the region");
    }
    let mut shrinker = shrinker(&[&one, &two, &three]);
    assert_eq!(shrinker.purgeable_pages(), 8);

    let mut order = Vec::new();
    for wanted in [1, 2, 1, 1] {
        let freed = shrinker.shrink(wanted);
        assert!(freed.refused.is_empty() && freed.pages() >= wanted);
        assert_eq!(freed.bytes(), (freed.pages() * PAGE) as u64, "every page had been touched");
        order.extend(freed.purged.iter().map(|purged| (purged.region, purged.range.first, purged.range.end)));
    }
    assert_eq!(order, [(1, 4, 6), (0, 0, 1), (2, 7, 8), (0, 2, 5), (1, 0, 1)]);
    assert_eq!((shrinker.purgeable_pages(), shrinker.purge_all().pages()), (0, 0));
    assert!(one.pin(0, 0).expect("all").was_purged());
}

#[test]
fn what_was_never_touched_frees_nothing_and_is_purged_all_the_same() {
    let region = Region::create_with("untouched", 4 * PAGE, Pinning::Kept).expect("a region");
    region.map::<()>().expect("mapped").copy_in(PAGE, &[7]).expect("one page");
    region.unpin(0, 0).expect("all");
    let freed = shrinker(&[&region]).purge_all();
    assert_eq!((freed.pages(), freed.bytes()), (4, PAGE as u64));
}

#[test]
fn a_region_that_refuses_stands_in_nobodys_way() {
    let [sealed, damaged, good] = ["sealed", "damaged", "good"].map(|name| full(name, 2));
    for region in [&sealed, &damaged, &good] {
        region.unpin(0, PAGE).expect("a page");
    }
    let mut shrinker = shrinker(&[&sealed, &damaged, &good]);
    sealed.set_prot_mask(Prot::READ).expect("for good");
    rustix::io::pwrite(&damaged, &[0xff; 64], 2 * PAGE as u64 + 4).expect("nonsense over the pins");
    let freed = shrinker.purge_all();
    assert_eq!((freed.pages(), freed.purged[0].region), (1, 2));
    assert!(
        matches!(&freed.refused[..], [(0, one), (1, two)] if one.is_sealed() && two.is_damaged()),
        "{freed:?}"
    );

    let plain = Region::create("plain", PAGE).expect("a region");
    assert!(shrinker.add(&plain).is_err_and(|refused| refused.is_invalid_input()));
}

#[test]
fn it_purges_when_it_is_told_and_not_before() {
    let region = full("pressed", 4);
    region.unpin(0, 0).expect("all");
    let mut shrinker = shrinker(&[&region]);
    let (trigger, mut fire) = io::pipe().expect("a pipe, in the place of the kernel's trigger");
    let quiet = shrinker.shrink_under_pressure(&trigger, Duration::ZERO, 1).expect("polled");
    assert!(quiet.is_none());
    assert_eq!(shrinker.purgeable_pages(), 4);
    io::Write::write_all(&mut fire, &[1]).expect("memory is short");
    let freed = shrinker.shrink_under_pressure(&trigger, Duration::from_secs(60), 1).expect("polled");
    assert_eq!(freed.expect("it fired").bytes(), 4 * PAGE as u64);
    let mut byte = [0; 1];
    io::Read::read_exact(&mut &trigger, &mut byte).expect("what it said");
    drop(fire);
    let gone = shrinker.shrink_under_pressure(&trigger, Duration::from_secs(60), 1);
    assert!(gone.is_err_and(|refused| refused.is_gone()));
}

#[test]
fn a_trigger_is_set_where_the_kernel_measures_pressure() {
    let second = Duration::from_secs(1);
    match PressureTrigger::open(second / 10, 2 * second) {
        Ok(trigger) => {
            let fired = Shrinker::new().shrink_under_pressure(&trigger, Duration::ZERO, 1).expect("polled");
            assert!(fired.is_none(), "a trigger that was just set has seen nothing yet");
            let refused = PressureTrigger::open(2 * second, second).expect_err("more than the window has");
            assert!(refused.is_invalid_input() || refused.is_permission_denied(), "{refused}");
        }
        Err(refused) => eprintln!("skipped: no trigger on this machine: {refused}"),
    }
}

/// Set in a second process.
const ROLE: &str = "SHRINKER_ROLE";

#[test]
fn a_service_purges_what_its_clients_lend() {
    let name = "a_service_purges_what_its_clients_lend";
    if env::var_os(ROLE).is_some() {
        let descriptor = io::stdin().as_fd().try_clone_to_owned().expect("the region, as standard input");
        let lent = Region::from_fd(descriptor).expect("a region");
        return lent.unpin(0, 2 * PAGE).expect("two pages");
    }
    alone::alone(name, || {
        let [lent, ours] = ["lent", "ours"].map(|name| full(name, 4));
        let mut shrinker = shrinker(&[&ours, &lent]);
        let descriptor: OwnedFd = lent.as_fd().try_clone_to_owned().expect("dup");
        let mut client = Command::new(env::current_exe().expect("this program has a path"));
        client.args([name, "--exact", "--nocapture"]).env(ROLE, "lends").stdin(descriptor);
        assert!(client.stdout(Stdio::null()).status().expect("a process").success());
        ours.unpin(0, PAGE).expect("a page");
        // The client is gone, what it lent is not, and is older than ours.
        let freed = shrinker.shrink(1);
        assert_eq!((freed.purged[0].region, freed.pages()), (1, 2));
        assert_eq!(ours.pin_status(0, PAGE).expect("ours"), PinStatus::Unpinned);
        assert!(!ours.pin(0, 0).expect("ours").was_purged());
    });
}
