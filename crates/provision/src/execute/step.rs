//! One step: a call, tried until it succeeds, fails for good, or time is up.

use std::{collections::BTreeMap, future::Future, time::Duration};

use tokio::time::{Instant, sleep};

use super::{Context, Event, Retry, Trouble};
use crate::{
    change::Change,
    cloud::{CloudError, ErrorKind, Ids, Observed, State, Wanted},
    diff::{changes, in_place},
    plan::{Act, Choice, Entry, deadline, expected},
    resource::{Key, Kind, Link, Ref},
};

/// How long something may be said to exist without being seen.
const UNSEEN: Duration = Duration::from_secs(60);

/// With everything put in that is known by now.
pub(super) fn wanted(entry: &Entry, ids: &BTreeMap<Key, Ids>) -> Result<Option<Wanted>, CloudError> {
    let Some(node) = &entry.wanted else { return Ok(None) };
    let mut fill = |link: Link| match link {
        Link::Known(id) => Ok(id),
        Link::To(Ref { key, attribute }) => {
            let known = ids.get(&key).and_then(|ids| ids.get(attribute)).map(str::to_owned);
            let missing = || CloudError::new(ErrorKind::Invalid, format!("nothing said what {key} is called"));
            known.ok_or_else(missing)
        }
    };
    let resource = node.resource.clone().try_map(&mut fill)?;
    Ok(Some(Wanted { key: node.key.clone(), tags: node.tags.clone(), resource }))
}

/// Takes one step. What something new is called is the answer.
pub(super) async fn take(
    context: &Context<'_>,
    entry: &Entry,
    act: Act,
    wanted: Result<Option<Wanted>, CloudError>,
) -> Result<Option<Ids>, Trouble> {
    let (key, kind, begun) = (entry.key.clone(), entry.kind, Instant::now());
    context.event(Event::Started { key: key.clone(), kind, act, expected: expected(kind).exists });
    let attempt = Attempt { context, entry };
    let result = match (act, wanted) {
        (Act::Delete, _) => attempt.delete().await.map(|()| None),
        (_, Err(error)) => Err(Trouble::Failed(error)),
        (Act::Create, Ok(Some(wanted))) => attempt.create(&wanted).await.map(Some),
        (Act::Update, Ok(Some(wanted))) => attempt.update(&wanted).await.map(|()| None),
        (_, Ok(None)) => unreachable!("what is created or changed is wanted"),
    };
    match &result {
        Ok(_) => context.event(Event::Done { key, kind, act, took: begun.elapsed() }),
        Err(Trouble::Failed(error)) => context.event(Event::Failed { key, kind, error: error.clone() }),
        Err(Trouble::Interrupted(_)) => {}
    }
    result
}

struct Attempt<'a> {
    context: &'a Context<'a>,
    entry: &'a Entry,
}

impl Attempt<'_> {
    /// Once a call may have had an effect nobody was told of, looks before it calls again.
    async fn create(&self, wanted: &Wanted) -> Result<Ids, Trouble> {
        let Context { cloud, plan, .. } = self.context;
        let mut retry = self.retry();
        let mut unseen: Option<Instant> = None;
        loop {
            let error = match self.call(cloud.create(&plan.cluster, wanted)).await {
                Ok(ids) => return Ok(ids),
                Err(error) => error,
            };
            self.rest(&mut retry, &error).await?;
            if !matches!(error.kind, ErrorKind::AlreadyExists | ErrorKind::Unavailable) {
                continue;
            }
            match self.find(wanted).await {
                Ok(Found::Here(found)) => return self.adopt(wanted, *found).await,
                // The old one of that name: it will make room.
                Ok(Found::Leaving) => unseen = None,
                Ok(Found::Nothing) if error.kind == ErrorKind::AlreadyExists => {
                    if unseen.get_or_insert_with(Instant::now).elapsed() > UNSEEN {
                        return Err(Trouble::Failed(error));
                    }
                }
                Ok(Found::Nothing) => {}
                Err(error) => self.rest(&mut retry, &error).await?,
            }
        }
    }

    async fn find(&self, wanted: &Wanted) -> Result<Found, CloudError> {
        let seen = self.context.look.at(self.entry.kind).await?;
        let ours = seen.iter().filter(|found| found.key == wanted.key && found.kind == self.entry.kind);
        let (leaving, here): (Vec<_>, Vec<_>) =
            ours.partition(|found| found.state == State::Deleting || self.context.goes(found));
        let differs = |found: &&&Observed| {
            changes(&wanted.resource, &wanted.tags, found).map_or(usize::MAX, |changes| changes.len())
        };
        Ok(match here.iter().min_by_key(differs) {
            Some(found) => Found::Here(Box::new((*found).clone())),
            None if leaving.is_empty() => Found::Nothing,
            None => Found::Leaving,
        })
    }

    /// Takes what an earlier attempt has made for what was to be made, and finishes it.
    async fn adopt(&self, wanted: &Wanted, found: Observed) -> Result<Ids, Trouble> {
        let changes = changes(&wanted.resource, &wanted.tags, &found).unwrap_or_default();
        if !in_place(&found, &changes) {
            let message = format!("{} exists, but not as planned; plan again", found.ids.id);
            return Err(Trouble::Failed(CloudError::new(ErrorKind::Invalid, message)));
        }
        if !changes.is_empty() {
            self.change(wanted, &found, &changes).await?;
        }
        Ok(found.ids)
    }

    async fn update(&self, wanted: &Wanted) -> Result<(), Trouble> {
        let (Choice::Update { changes: planned }, Some(current)) = (&self.entry.choice, &self.entry.current) else {
            unreachable!("only what exists is changed")
        };
        // The plan could not yet know what new resources are called; whatever it names is done even if it comes out equal.
        let mut all = changes(&wanted.resource, &wanted.tags, current).unwrap_or_default();
        for change in planned {
            if !all.iter().any(|known| known.field == change.field) {
                all.push(change.clone());
            }
        }
        self.change(wanted, current, &all).await
    }

    async fn change(&self, wanted: &Wanted, current: &Observed, changes: &[Change]) -> Result<(), Trouble> {
        let Context { cloud, plan, .. } = self.context;
        let mut retry = self.retry();
        loop {
            match self.call(cloud.update(&plan.cluster, current, wanted, changes)).await {
                Ok(()) => return Ok(()),
                Err(error) => self.rest(&mut retry, &error).await?,
            }
        }
    }

    async fn delete(&self) -> Result<(), Trouble> {
        let Context { cloud, plan, .. } = self.context;
        let current = self.entry.current.as_ref().expect("only what exists is deleted");
        let mut retry = self.retry();
        loop {
            match self.call(cloud.delete(&plan.cluster, current)).await {
                Ok(()) => return Ok(()),
                Err(error) => self.rest(&mut retry, &error).await?,
            }
        }
    }

    fn retry(&self) -> Retry {
        Retry::new(self.context.settings, &self.entry.key, self.entry.kind)
    }

    async fn call<T>(&self, call: impl Future<Output = Result<T, CloudError>>) -> Result<T, CloudError> {
        let (pace, service) = (self.context.pace, self.entry.kind.service());
        let turn = pace.enter(service).await;
        // Nothing is begun once it is over; what is begun is waited for.
        if self.context.halt.is_cancelled() {
            return Err(CloudError::new(ErrorKind::Unavailable, "not begun: cancelled"));
        }
        let result = call.await;
        drop(turn);
        pace.note(service, &result);
        result
    }

    /// Waits for the next attempt, if there is to be one.
    async fn rest(&self, retry: &mut Retry, error: &CloudError) -> Result<(), Trouble> {
        let halt = self.context.halt;
        if halt.is_cancelled() {
            return Err(Trouble::Interrupted(Some(error.clone())));
        }
        let Some(pause) = retry.pause(error) else { return Err(Trouble::Failed(error.clone())) };
        self.context.event(Event::Retrying { key: self.entry.key.clone(), error: error.clone(), pause });
        tokio::select! {
            () = sleep(pause) => Ok(()),
            () = halt.cancelled() => Err(Trouble::Interrupted(Some(error.clone()))),
        }
    }
}

enum Found {
    Here(Box<Observed>),
    /// What exists will be gone.
    Leaving,
    Nothing,
}

/// Until it is seen and available.
pub(super) async fn watch(context: &Context<'_>, key: &Key, kind: Kind, ids: &Ids) -> Result<(), Trouble> {
    let begun = Instant::now();
    let ready = expected(kind).ready;
    if !ready.is_zero() {
        context.event(Event::Waiting { key: key.clone(), kind, expected: ready });
    }
    let mut last = CloudError::new(ErrorKind::Unavailable, "never seen");
    let mut retry = Retry::new(context.settings, key, kind);
    loop {
        if begun.elapsed() > deadline(kind) {
            return Err(Trouble::Failed(last));
        }
        let seen = tokio::select! {
            seen = context.look.at(kind) => seen,
            () = context.halt.cancelled() => return Err(Trouble::Interrupted(Some(last))),
        };
        match seen {
            Ok(seen) => {
                retry.answered();
                match seen.iter().find(|found| found.ids.id == ids.id).map(|found| &found.state) {
                    Some(State::Available) => break,
                    Some(State::Failed(why)) => {
                        let error = CloudError::new(ErrorKind::Invalid, why.clone());
                        context.event(Event::Failed { key: key.clone(), kind, error: error.clone() });
                        return Err(Trouble::Failed(error));
                    }
                    Some(State::Pending) => last.message = "still being made".to_owned(),
                    Some(State::Deleting) => last.message = "somebody is deleting it".to_owned(),
                    None => {}
                }
            }
            Err(error) if retry.pause(&error).is_none() => return Err(Trouble::Failed(error)),
            Err(error) => last = error,
        }
    }
    if !ready.is_zero() {
        context.event(Event::Ready { key: key.clone(), kind, took: begun.elapsed() });
    }
    Ok(())
}
