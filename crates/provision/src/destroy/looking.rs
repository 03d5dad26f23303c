//! What there is, what has changed of it, and what stands in the way of what.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::{Name, Progress, Try};
use crate::{
    cloud::{ErrorKind, Observed, State},
    plan::blockers,
    resource::Kind,
};

impl Progress<'_> {
    /// Looks at what may have changed: kinds of which something is going or can go. What becomes free by that is looked
    /// at too, before it is touched. The others wait, and are looked at every so often.
    pub(super) async fn look(&mut self, full: bool) {
        let mut looked: BTreeSet<Kind> = BTreeSet::new();
        loop {
            let now: Vec<Kind> = self.kinds.iter().filter(|kind| !looked.contains(kind)).copied().collect();
            let now: Vec<Kind> = now.into_iter().filter(|kind| full || self.moving(*kind)).collect();
            if now.is_empty() {
                break;
            }
            looked.extend(&now);
            self.see(&now).await;
        }
        self.unreachable();
    }

    /// Whether it may be different from what was last seen.
    fn moving(&self, kind: Kind) -> bool {
        let going = || self.tries.keys().any(|name| name.0 == kind);
        let free = || self.of(kind).any(|(name, _)| self.before(name).next().is_none());
        self.unseen.contains_key(&kind) || going() || free()
    }

    async fn see(&mut self, kinds: &[Kind]) {
        let here = self.here;
        let looks: FuturesUnordered<_> =
            kinds.iter().map(|kind| async move { (*kind, here.look_at(*kind).await) }).collect();
        let looks: Vec<_> = looks.collect().await;
        for (kind, result) in looks {
            let found = match result {
                Ok(found) => found,
                Err(error) => {
                    if error.kind == ErrorKind::CredentialsExpired {
                        self.stopped = Some(error.clone());
                    }
                    // As it was when last seen.
                    self.unseen.insert(kind, error);
                    continue;
                }
            };
            self.unseen.remove(&kind);
            let found: BTreeMap<Name, Observed> = found.into_iter().map(|f| ((kind, f.ids.id.clone()), f)).collect();
            let before: Vec<Name> = self.of(kind).map(|(name, _)| name.clone()).collect();
            for name in before.into_iter().filter(|name| !found.contains_key(name)) {
                self.seen.remove(&name);
                self.gone(name);
            }
            // Somebody else's deletion gets no longer than ours.
            for (name, found) in found.iter().filter(|(_, found)| found.state == State::Deleting) {
                let new = || Try::new(here.settings, found.key.clone(), kind);
                self.tries.entry(name.clone()).or_insert_with(new);
            }
            self.seen.extend(found);
        }
    }

    /// What has to go before it.
    pub(super) fn before<'s>(&'s self, name: &'s Name) -> impl Iterator<Item = &'s Name> {
        let found = self.seen.get(name);
        let alike = self.of(name.0).filter(move |(other, by)| {
            let mentions = |what: &Observed| by.actual.as_ref().is_some_and(|by| by.any_link(|link| what.ids.is(link)));
            *other != name && found.is_some_and(mentions)
        });
        blockers(name.0).iter().flat_map(|kind| self.of(*kind)).chain(alike).map(|(other, _)| other)
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = (&Name, &Observed)> {
        self.seen.range((kind, String::new())..).take_while(move |(name, _)| name.0 == kind)
    }
}
