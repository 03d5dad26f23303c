//! How many copies of each version there should be at this moment of an update.
//!
//! Old copies go only as new ones get ready, so an API never has fewer than `wanted - unavailable` ready copies if it
//! had them before, nor more than `wanted + surge` at all (unless it already had more). A version that never gets ready
//! therefore never takes anything away from the one that serves.

/// The copies of one version that are not draining.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Copies {
    pub total: u32,
    pub ready: u32,
}

/// What an update may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub wanted: u32,
    pub surge: u32,
    pub unavailable: u32,
}

/// Targets for the new version, and for each of the old ones in the order given.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Targets {
    pub new: u32,
    pub old: Vec<u32>,
}

pub(super) fn plan(bounds: Bounds, new: Copies, old: &[Copies]) -> Targets {
    let Bounds { wanted, surge, unavailable } = bounds;
    let old_total: u32 = old.iter().map(|copies| copies.total).sum();
    let room = (wanted + surge).saturating_sub(old_total);
    // Copies that exist are never stopped for lack of room: the old ones make the room.
    let new_target = room.max(new.total).min(wanted);

    let mut keep = (wanted.saturating_sub(unavailable)).saturating_sub(new.ready);
    // The versions with most ready copies carry the traffic; an abandoned update with none goes first.
    let mut order: Vec<usize> = (0..old.len()).collect();
    order.sort_by_key(|&index| std::cmp::Reverse(old[index].ready));
    let mut targets = vec![0; old.len()];
    for index in order {
        targets[index] = old[index].ready.min(keep);
        keep -= targets[index];
    }
    Targets { new: new_target, old: targets }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bounds(wanted: u32, surge: u32, unavailable: u32) -> Bounds {
        Bounds { wanted, surge, unavailable }
    }

    fn copies(total: u32, ready: u32) -> Copies {
        Copies { total, ready }
    }

    #[test]
    fn a_first_deploy_starts_everything() {
        assert_eq!(plan(bounds(4, 1, 1), copies(0, 0), &[]), Targets { new: 4, old: vec![] });
    }

    #[test]
    fn a_single_copy_is_replaced_only_when_the_new_one_is_ready() {
        let one = bounds(1, 1, 0);
        assert_eq!(plan(one, copies(0, 0), &[copies(1, 1)]), Targets { new: 1, old: vec![1] });
        assert_eq!(plan(one, copies(1, 0), &[copies(1, 1)]), Targets { new: 1, old: vec![1] });
        assert_eq!(plan(one, copies(1, 1), &[copies(1, 1)]), Targets { new: 1, old: vec![0] });
    }

    #[test]
    fn without_surge_an_old_copy_makes_room() {
        let two = bounds(2, 0, 1);
        assert_eq!(plan(two, copies(0, 0), &[copies(2, 2)]), Targets { new: 0, old: vec![1] });
        assert_eq!(plan(two, copies(0, 0), &[copies(1, 1)]), Targets { new: 1, old: vec![1] });
        assert_eq!(plan(two, copies(1, 1), &[copies(1, 1)]), Targets { new: 1, old: vec![0] });
    }

    #[test]
    fn fewer_copies_wanted_are_fewer_copies() {
        assert_eq!(plan(bounds(2, 1, 0), copies(5, 5), &[]), Targets { new: 2, old: vec![] });
    }

    #[test]
    fn an_abandoned_update_goes_before_the_version_that_serves() {
        let targets = plan(bounds(2, 1, 0), copies(0, 0), &[copies(1, 0), copies(2, 2)]);
        assert_eq!(targets, Targets { new: 0, old: vec![0, 2] });
    }

    /// Plays updates to their end under every small combination and checks the two promises at each step.
    #[test]
    fn every_update_ends_and_keeps_its_promises() {
        for wanted in 1..=5 {
            for surge in 0..=3 {
                for unavailable in 0..=wanted {
                    for before in 0..=6 {
                        if surge == 0 && unavailable == 0 {
                            continue;
                        }
                        play(bounds(wanted, surge, unavailable), before);
                    }
                }
            }
        }
    }

    fn play(bounds: Bounds, before: u32) {
        let (mut new, mut old) = (copies(0, 0), copies(before, before));
        for _ in 0..100 {
            let floor = (bounds.wanted - bounds.unavailable).min(new.ready + old.ready);
            let targets = plan(bounds, new, &[old]);
            let (new_target, old_target) = (targets.new, targets.old[0]);
            assert!(new_target + old.total <= (bounds.wanted + bounds.surge).max(old.total + new.total));
            old = copies(old_target, old_target.min(old.ready));
            assert!(new.ready + old.ready >= floor, "{bounds:?} from {before}: too few ready");
            // Each round one more copy gets ready.
            let ready = new.ready.min(new_target);
            new = copies(new_target, (ready + 1).min(new_target));
            if old.total == 0 && new == copies(bounds.wanted, bounds.wanted) {
                return;
            }
        }
        panic!("{bounds:?} from {before} copies never ends: {new:?} {old:?}");
    }
}
