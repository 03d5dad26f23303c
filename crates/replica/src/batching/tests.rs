use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proptest::{collection::vec, prelude::*};
use telemetry::SIZES;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::*;
use crate::exchange::Turn;

/// An item: who asks, of what kind, and how much.
type Item = (usize, u8, Size);

/// Answers each item with its own number, after `takes`, and notes the batches.
#[derive(Default)]
struct Echo {
    takes: Duration,
    at_once: usize,
    batches: Mutex<Vec<usize>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

#[async_trait::async_trait]
impl TakesBatches for Echo {
    type Item = Item;
    type Answer = usize;

    async fn work(self: Arc<Self>, items: Vec<Item>) -> Vec<usize> {
        assert!(items.iter().all(|item| item.1 == items[0].1), "all of a kind");
        self.batches.lock().unwrap().push(items.len());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        items.into_iter().map(|(number, ..)| number).collect()
    }

    fn batches_at_once(&self) -> usize {
        self.at_once
    }

    fn size(item: &Item) -> Size {
        item.2
    }

    fn fit(one: &Item, other: &Item) -> bool {
        one.1 == other.1
    }
}

const ONE: Size = Size { rows: 1, bytes: 1 };

struct Ground {
    echo: Arc<Echo>,
    gathering: Gathering<Echo>,
    sizes: Arc<Histogram>,
}

fn batching(takes: u64, at_once: usize, most: u32, interval: u32) -> Arc<Ground> {
    let echo = Arc::new(Echo { takes: Duration::from_millis(takes), at_once, ..Echo::default() });
    let settings = ServerSideBatching { max_batch_size: most, batch_interval_millis: interval };
    let sizes = Arc::new(Histogram::new(&SIZES));
    let gathering = Gathering::new(Arc::clone(&echo), settings, Arc::clone(&sizes));
    Arc::new(Ground { echo, gathering, sizes })
}

impl Ground {
    fn batches(&self) -> Vec<usize> {
        self.echo.batches.lock().unwrap().clone()
    }

    /// Asks with a number; the number that came back, and after how many milliseconds.
    async fn ask(self: Arc<Self>, number: usize) -> (usize, u128) {
        self.ask_of(number, 0, ONE).await
    }

    async fn ask_of(self: Arc<Self>, number: usize, kind: u8, size: Size) -> (usize, u128) {
        let begun = Instant::now();
        let answer = self.gathering.ask((number, kind, size), Turn::default()).await.unwrap();
        (answer, begun.elapsed().as_millis())
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_predictor_is_asked_at_once() {
    let batching = batching(10, 1, 8, 1000);
    assert_eq!(Arc::clone(&batching).ask(1).await, (1, 10));
    assert_eq!(Arc::clone(&batching).ask(2).await, (2, 10));
    assert_eq!(batching.batches(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_comes_while_it_is_busy_goes_together() {
    let batching = batching(10, 1, 4, 1000);
    let mut all = JoinSet::new();
    for number in 0..8 {
        all.spawn(Arc::clone(&batching).ask(number));
        sleep(Duration::from_millis(1)).await;
    }
    let mut answers = all.join_all().await;
    answers.sort_unstable();
    assert_eq!(answers.iter().map(|(number, _)| *number).collect::<Vec<_>>(), (0..8).collect::<Vec<_>>());
    assert_eq!(batching.batches(), [1, 4, 3]);
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_longer_than_the_interval_for_others() {
    let batching = batching(100, 2, 8, 5);
    let first = tokio::spawn(Arc::clone(&batching).ask(1));
    sleep(Duration::from_millis(1)).await;
    let second = tokio::spawn(Arc::clone(&batching).ask(2));
    assert_eq!((first.await.unwrap(), second.await.unwrap()), ((1, 100), (2, 105)));
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_does_not_wait() {
    let batching = batching(100, 2, 2, 1000);
    let first = tokio::spawn(Arc::clone(&batching).ask(1));
    sleep(Duration::from_millis(1)).await;
    let (second, third) = (tokio::spawn(Arc::clone(&batching).ask(2)), tokio::spawn(Arc::clone(&batching).ask(3)));
    assert_eq!((second.await.unwrap(), third.await.unwrap()), ((2, 100), (3, 100)));
    assert_eq!(first.await.unwrap(), (1, 100));
}

#[tokio::test(start_paused = true)]
async fn who_has_gone_takes_no_place() {
    let batching = batching(10, 1, 8, 1000);
    let first = tokio::spawn(Arc::clone(&batching).ask(1));
    sleep(Duration::from_millis(1)).await;
    let gone = tokio::spawn(Arc::clone(&batching).ask(2));
    let third = tokio::spawn(Arc::clone(&batching).ask(3));
    sleep(Duration::from_millis(1)).await;
    gone.abort();
    assert_eq!((first.await.unwrap().0, third.await.unwrap().0), (1, 3));
    assert_eq!(batching.batches(), [1, 1]);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_fit_goes_by_itself_and_a_full_batch_passes_one_that_waits() {
    let batching = batching(100, 2, 2, 1000);
    let ask = |number, kind| tokio::spawn(Arc::clone(&batching).ask_of(number, kind, ONE));
    let first = ask(1, 0);
    sleep(Duration::from_millis(1)).await;
    let odd = ask(2, 1);
    sleep(Duration::from_millis(1)).await;
    let (one, other) = (ask(3, 2), ask(4, 2));
    assert_eq!((one.await.unwrap(), other.await.unwrap()), ((3, 100), (4, 100)));
    assert_eq!(first.await.unwrap(), (1, 100));
    // Until nothing was in flight any more.
    assert_eq!(odd.await.unwrap(), (2, 201));
    assert_eq!(batching.batches(), [1, 2, 1]);
}

#[tokio::test(start_paused = true)]
async fn batches_are_bounded_by_rows_and_bytes_but_one_always_goes() {
    let sized = |rows, bytes| Size { rows, bytes };
    for (sizes, want) in [
        ([sized(3, 1), sized(1, 1), sized(2, 1)], vec![1, 2, 1]),
        ([sized(9, 1), sized(1, 1), sized(3, 1)], vec![1, 1, 2]),
        ([sized(1, 200 << 20), sized(1, 100 << 20), sized(1, 1)], vec![1, 1, 2]),
    ] {
        let batching = batching(10, 1, 4, 1000);
        let mut all = JoinSet::new();
        all.spawn(Arc::clone(&batching).ask(0));
        sleep(Duration::from_millis(1)).await;
        for size in sizes {
            all.spawn(Arc::clone(&batching).ask_of(1, 0, size));
            sleep(Duration::from_millis(1)).await;
        }
        all.join_all().await;
        assert_eq!(batching.batches(), want, "{sizes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn every_batch_is_counted_with_its_size() {
    let batching = batching(10, 1, 4, 1000);
    let mut all = JoinSet::new();
    for number in 0..5 {
        all.spawn(Arc::clone(&batching).ask(number));
        sleep(Duration::from_millis(1)).await;
    }
    all.join_all().await;
    let mut page = Page::default();
    page.family(&telemetry::catalogue::replica::BATCH).histogram(&[], &batching.sizes);
    let samples = telemetry::Samples::parse(&page.text()).unwrap();
    assert_eq!(samples.sum("cortex_replica_batch_size_count", &[]), 2.0);
    assert_eq!(samples.sum("cortex_replica_batch_size_sum", &[]), 5.0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes when: everybody gets the answer to what he asked, once, in batches that are within the limits.
    #[test]
    fn everybody_gets_his_own_answer(
        pauses in vec((0_u64..20, 0_u8..3), 1..60), takes in 0_u64..30, at_once in 1_usize..4, most in 2_u32..9, interval in 1_u32..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let batching = batching(takes, at_once, most, interval);
            let mut all = JoinSet::new();
            for (number, (pause, kind)) in pauses.iter().enumerate() {
                let asked = Arc::clone(&batching).ask_of(number, *kind, ONE);
                all.spawn(async move { (number, asked.await.0) });
                sleep(Duration::from_millis(*pause)).await;
            }
            for (asked, answered) in all.join_all().await {
                prop_assert_eq!(asked, answered);
            }
            let batches = batching.batches();
            prop_assert_eq!(batches.iter().sum::<usize>(), pauses.len());
            prop_assert!(batches.iter().all(|size| *size <= most as usize), "{batches:?}");
            prop_assert!(batching.echo.most_running.load(Ordering::SeqCst) <= at_once);
            Ok(())
        })?;
    }
}
