use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};
use tokio::time::sleep;

use super::*;
use crate::exchange::ReplyBody;

/// Answers each request with its own body, after `takes`, and notes the batches.
#[derive(Default)]
struct Echo {
    takes: Duration,
    at_once: usize,
    batches: Mutex<Vec<usize>>,
    running: AtomicUsize,
    most_running: AtomicUsize,
}

#[async_trait::async_trait]
impl Predictor for Echo {
    async fn predict(&self, _: Request) -> Outcome {
        unreachable!("it is asked in batches")
    }

    fn concurrency(&self) -> Option<usize> {
        Some(1)
    }

    fn describe(&self) -> Map<String, Value> {
        Map::new()
    }
}

#[async_trait::async_trait]
impl PredictsBatches for Echo {
    async fn predict_batch(&self, requests: Vec<Request>) -> Vec<Outcome> {
        self.batches.lock().unwrap().push(requests.len());
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_running.fetch_max(running, Ordering::SeqCst);
        sleep(self.takes).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        requests.into_iter().map(|request| Ok(Reply::json(request.body))).collect()
    }

    fn batches_at_once(&self) -> usize {
        self.at_once
    }
}

fn batching(takes: u64, at_once: usize, most: u32, interval: u32) -> Arc<Batching<Echo>> {
    let echo = Echo { takes: Duration::from_millis(takes), at_once, ..Echo::default() };
    let settings = ServerSideBatching { max_batch_size: most, batch_interval_millis: interval };
    Arc::new(Batching::new(echo, settings))
}

impl Batching<Echo> {
    fn batches(&self) -> Vec<usize> {
        self.predictor.batches.lock().unwrap().clone()
    }

    /// Asks with a number; the number that came back, and after how many milliseconds.
    async fn ask(self: Arc<Self>, number: usize) -> (usize, u128) {
        let (head, ()) = http::Request::post("/").body(()).unwrap().into_parts();
        let begun = Instant::now();
        let request = Request { id: number.to_string(), head, body: Bytes::from(number.to_string()) };
        let ReplyBody::Whole(body) = self.predict(request).await.unwrap().body else { panic!("a stream") };
        (std::str::from_utf8(&body).unwrap().parse().unwrap(), begun.elapsed().as_millis())
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever comes when: everybody gets the answer to what he asked, once, in batches that are within the limits.
    #[test]
    fn everybody_gets_his_own_answer(
        pauses in vec(0_u64..20, 1..60), takes in 0_u64..30, at_once in 1_usize..4, most in 2_u32..9, interval in 1_u32..40,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let batching = batching(takes, at_once, most, interval);
            let mut all = JoinSet::new();
            for (number, pause) in pauses.iter().enumerate() {
                let asked = Arc::clone(&batching).ask(number);
                all.spawn(async move { (number, asked.await.0) });
                sleep(Duration::from_millis(*pause)).await;
            }
            for (asked, answered) in all.join_all().await {
                prop_assert_eq!(asked, answered);
            }
            let batches = batching.batches();
            prop_assert_eq!(batches.iter().sum::<usize>(), pauses.len());
            prop_assert!(batches.iter().all(|size| *size <= most as usize), "{batches:?}");
            prop_assert!(batching.predictor.most_running.load(Ordering::SeqCst) <= at_once);
            Ok(())
        })?;
    }
}
