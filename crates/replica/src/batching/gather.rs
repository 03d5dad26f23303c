//! What waits to be worked on together, and when it goes.
//!
//! Adaptive by load: with nothing in flight an item goes at once, alone. While batches are in flight items gather, and the
//! next batch goes when it is full, when its oldest item has waited for the interval, or when nothing is in flight any
//! more; but never more batches than can be worked on. So batching costs an idle replica no latency, and batches grow
//! with the load, up to their limit.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use spec::realtime::ServerSideBatching;
use telemetry::Histogram;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{Size, TakesBatches};
use crate::exchange::Turn;

/// Most bytes of one batch, unless a single item has more.
const MAX_BYTES: usize = 256 << 20;

/// Where items are handed in.
pub(crate) struct Gathering<W: TakesBatches> {
    inbox: mpsc::UnboundedSender<Waiting<W>>,
    waiting: Arc<AtomicUsize>,
}

struct Waiting<W: TakesBatches> {
    item: W::Item,
    size: Size,
    since: Instant,
    turn: Turn,
    answer: oneshot::Sender<W::Answer>,
    _counted: Counted,
}

/// One that waits.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<W: TakesBatches> Gathering<W> {
    /// Within a Tokio runtime. `sizes` counts the items of each batch.
    pub(crate) fn new(worker: Arc<W>, settings: ServerSideBatching, sizes: Arc<Histogram>) -> Self {
        let (inbox, items) = mpsc::unbounded_channel();
        let gather = Gather {
            worker,
            sizes,
            most: settings.max_batch_size as usize,
            interval: Duration::from_millis(settings.batch_interval_millis.into()),
            groups: Vec::new(),
            in_flight: JoinSet::new(),
        };
        tokio::spawn(gather.run(items));
        Self { inbox, waiting: Arc::default() }
    }

    /// How many items wait to be worked on.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// The answer to one item, whose `turn` comes with its batch; `None` if whoever worked on it broke down.
    pub(crate) async fn ask(&self, item: W::Item, turn: Turn) -> Option<W::Answer> {
        let (answer, answered) = oneshot::channel();
        let size = W::size(&item);
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _counted = Counted(Arc::clone(&self.waiting));
        self.inbox.send(Waiting { item, size, since: Instant::now(), turn, answer, _counted }).ok()?;
        answered.await.ok()
    }
}

struct Gather<W: TakesBatches> {
    worker: Arc<W>,
    sizes: Arc<Histogram>,
    most: usize,
    interval: Duration,
    /// None of them empty.
    groups: Vec<Group<W>>,
    in_flight: JoinSet<()>,
}

/// Items that can be worked on together, the oldest first.
struct Group<W: TakesBatches> {
    waiting: VecDeque<Waiting<W>>,
    /// Of all of them.
    size: Size,
}

impl<W: TakesBatches> Gather<W> {
    async fn run(mut self, mut items: mpsc::UnboundedReceiver<Waiting<W>>) {
        loop {
            let room = self.in_flight.len() < self.worker.batches_at_once().max(1);
            let due = self.groups.iter().filter_map(Group::since).min().map(|oldest| oldest + self.interval);
            tokio::select! {
                item = items.recv() => {
                    let Some(item) = item else { break };
                    self.add(item);
                    // All that came with it.
                    while let Ok(item) = items.try_recv() {
                        self.add(item);
                    }
                }
                Some(ended) = self.in_flight.join_next() => {
                    if let Err(panic) = ended {
                        tracing::error!("panic in the predictor: {panic}");
                    }
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if room && due.is_some() => {}
            }
            while let Some(index) = self.due() {
                self.send(index);
            }
        }
        while self.in_flight.join_next().await.is_some() {}
    }

    fn add(&mut self, waiting: Waiting<W>) {
        let fits = |group: &Group<W>| group.waiting.front().is_some_and(|first| W::fit(&first.item, &waiting.item));
        let index = self.groups.iter().position(fits).unwrap_or(self.groups.len());
        if index == self.groups.len() {
            self.groups.push(Group { waiting: VecDeque::new(), size: Size::default() });
        }
        self.groups[index].add(waiting);
    }

    /// The group that has waited longest among those of which a batch is to go now.
    fn due(&self) -> Option<usize> {
        let in_flight = self.in_flight.len();
        if in_flight >= self.worker.batches_at_once().max(1) {
            return None;
        }
        let due = |group: &Group<W>, since: Instant| {
            let full = group.size.rows >= self.most || group.size.bytes >= MAX_BYTES;
            in_flight == 0 || full || since.elapsed() >= self.interval
        };
        let groups = self.groups.iter().enumerate().filter_map(|(index, group)| Some((index, group, group.since()?)));
        let due = groups.filter(|(_, group, since)| due(group, *since)).min_by_key(|(_, _, since)| *since);
        due.map(|(index, _, _)| index)
    }

    fn send(&mut self, index: usize) {
        let batch = self.groups[index].take(self.most);
        if self.groups[index].waiting.is_empty() {
            self.groups.swap_remove(index);
        }
        if batch.is_empty() {
            return;
        }
        self.sizes.count(batch.len() as u64);
        let begin = |waiting: Waiting<W>| {
            waiting.turn.comes();
            (waiting.item, waiting.answer)
        };
        let (items, answers): (Vec<_>, Vec<_>) = batch.into_iter().map(begin).unzip();
        let worker = Arc::clone(&self.worker);
        self.in_flight.spawn(async move {
            let given = worker.work(items).await;
            // A worker that gives too few has broken its word; dropping the rest says so to those callers.
            for (answer, given) in answers.into_iter().zip(given) {
                let _ = answer.send(given);
            }
        });
    }
}

impl<W: TakesBatches> Group<W> {
    fn since(&self) -> Option<Instant> {
        self.waiting.front().map(|first| first.since)
    }

    fn add(&mut self, waiting: Waiting<W>) {
        self.size = self.size.with(waiting.size);
        self.waiting.push_back(waiting);
    }

    /// The oldest that make up a batch: at least one, whatever its size. Whoever has gone needs no answer and takes no
    /// place. Empty if all have gone.
    fn take(&mut self, most: usize) -> Vec<Waiting<W>> {
        let (mut batch, mut size) = (Vec::new(), Size::default());
        while let Some(next) = self.waiting.front() {
            let with = size.with(next.size);
            let gone = next.answer.is_closed();
            if !gone && !batch.is_empty() && (with.rows > most || with.bytes > MAX_BYTES) {
                break;
            }
            let Some(next) = self.waiting.pop_front() else { break };
            self.size = self.size.without(next.size);
            if !gone {
                size = with;
                batch.push(next);
            }
        }
        batch
    }
}
