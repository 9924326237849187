//! A slice of load: requests for some time, as fast as they are answered or at a fixed rate.
//!
//! At a fixed rate a request is *due* at its time, independent of other answers. It is sent on a free connection.
//! Without one it waits, and its latency counts from the time that it was due.

use std::{
    collections::VecDeque,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow, ensure};
use tokio::{sync::Semaphore, task::JoinSet, time};

use super::{client::Client, clock::Clock, requests::Requests};
use crate::Meter;

/// The time for outstanding answers after the last request was due.
const GRACE: Duration = Duration::from_secs(2);
const SHORTEST_TICK: Duration = Duration::from_micros(50);

/// The pace at which requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// A request follows the previous answer on its connection.
    Saturating,
    /// A fixed number of requests a second, independent of answers.
    PerSecond(f64),
}

/// A slice of load to send.
#[derive(Clone, Debug)]
pub(crate) struct Slice {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Requests>,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// The time before the measurement.
    pub(crate) warm_up: Duration,
    /// The time of the measurement.
    pub(crate) window: Duration,
}

/// The measurements of a slice.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The number of requests that were answered in the window.
    pub(crate) requests: u64,
    /// The number of all answered requests.
    pub(crate) all: u64,
    /// The actual length of the window.
    pub(crate) window: Duration,
    /// The proxy's CPU time in the window.
    pub(crate) processor: Duration,
    /// The latencies of requests that were due in the window, sorted. Empty while saturating.
    pub(crate) latencies: Vec<Duration>,
}

/// The state that the connections share.
struct Shared {
    requests: Arc<Requests>,
    is_over: AtomicBool,
    answered: AtomicU64,
    due: Mutex<VecDeque<Instant>>,
    /// A permit for each request that is due and not yet sent.
    permits: Semaphore,
    window: Mutex<Option<Instant>>,
    latencies: Mutex<Vec<Duration>>,
    failure: Mutex<Option<anyhow::Error>>,
}

impl Slice {
    pub(crate) async fn run(self, meter: Meter) -> Result<Taken> {
        let shared = Arc::new(Shared::new(Arc::clone(&self.requests)));
        let mut tasks = JoinSet::new();
        for _ in 0..self.connections {
            let client = Client::open(self.address).await?;
            tasks.spawn(Arc::clone(&shared).keep(client, self.pace));
        }
        match self.pace {
            Pace::Saturating => tasks.spawn(Arc::clone(&shared).stay_awake()),
            Pace::PerSecond(rate) => tasks.spawn(Arc::clone(&shared).make_due(rate)),
        };
        let mut taken = self.measure(&shared, meter).await?;
        shared.end().await;
        let all = async { while tasks.join_next().await.is_some() {} };
        ensure!(time::timeout(GRACE, all).await.is_ok(), "requests were not answered at all");
        if let Some(failure) = lock(&shared.failure).take() {
            return Err(failure);
        }
        taken.all = shared.answered();
        taken.latencies = std::mem::take(&mut *lock(&shared.latencies));
        taken.latencies.sort_unstable();
        Ok(taken)
    }

    async fn measure(&self, shared: &Shared, meter: Meter) -> Result<Taken> {
        time::sleep(self.warm_up).await;
        let (begin, processor, answered) = (Instant::now(), meter.processor_time()?, shared.answered());
        *lock(&shared.window) = Some(begin);
        time::sleep(self.window).await;
        Ok(Taken {
            requests: shared.answered() - answered,
            all: 0,
            processor: meter.processor_time()?.saturating_sub(processor),
            window: begin.elapsed(),
            latencies: Vec::new(),
        })
    }
}

impl Shared {
    fn new(requests: Arc<Requests>) -> Self {
        Self {
            requests,
            is_over: AtomicBool::default(),
            answered: AtomicU64::default(),
            due: Mutex::default(),
            permits: Semaphore::new(0),
            window: Mutex::default(),
            latencies: Mutex::default(),
            failure: Mutex::default(),
        }
    }

    fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Sends requests on one connection until the slice is over.
    async fn keep(self: Arc<Self>, mut client: Client, pace: Pace) {
        let done = match pace {
            Pace::Saturating => self.saturate(&mut client).await,
            Pace::PerSecond(_) => self.serve_due(&mut client).await,
        };
        if let Err(error) = done {
            lock(&self.failure).get_or_insert(error);
            self.is_over.store(true, Ordering::Relaxed);
            self.permits.close();
        }
    }

    async fn saturate(&self, client: &mut Client) -> Result<()> {
        while !self.is_over() {
            client.exchange(&self.requests).await?;
            self.answered.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Keeps the thread of the load from sleeping: what it takes to wake a client would be counted as the proxy's, and the
    /// more of it the slower the proxy is.
    async fn stay_awake(self: Arc<Self>) {
        while !self.is_over() {
            tokio::task::yield_now().await;
        }
    }

    async fn serve_due(&self, client: &mut Client) -> Result<()> {
        while let Ok(permit) = self.permits.acquire().await {
            permit.forget();
            let Some(due) = lock(&self.due).pop_front() else { continue };
            client.exchange(&self.requests).await?;
            self.answered.fetch_add(1, Ordering::Relaxed);
            self.note(due, due.elapsed());
        }
        Ok(())
    }

    /// Adds a permit for each request at its time.
    async fn make_due(self: Arc<Self>, rate: f64) {
        let period = Duration::from_secs_f64(1.0 / rate);
        let ticking = async {
            let clock = Clock::every(period.max(SHORTEST_TICK))?;
            let begin = Instant::now();
            let mut made = 0;
            while !self.is_over() {
                clock.tick().await?;
                let mut due = lock(&self.due);
                let before = due.len();
                while begin.elapsed() >= period * made {
                    due.push_back(begin + period * made);
                    made += 1;
                }
                self.permits.add_permits(due.len() - before);
            }
            Ok(())
        };
        if let Err(error) = ticking.await {
            lock(&self.failure).get_or_insert(error);
        }
    }

    fn note(&self, due: Instant, latency: Duration) {
        if lock(&self.window).is_some_and(|begin| due >= begin) {
            lock(&self.latencies).push(latency);
        }
    }

    /// Ends the slice. Requests that are due are still sent for [`GRACE`]; the latency of an unsent one is at least its
    /// wait.
    async fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
        let end = Instant::now();
        while !lock(&self.due).is_empty() && end.elapsed() < GRACE && !self.permits.is_closed() {
            time::sleep(Duration::from_millis(1)).await;
        }
        self.permits.close();
        for due in lock(&self.due).drain(..) {
            self.note(due, due.elapsed());
        }
    }
}

impl Taken {
    /// Returns the latency that `hundredths` percent of the requests did not exceed.
    pub(crate) fn percentile(&self, hundredths: f64) -> Result<Duration> {
        let count = self.latencies.len();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "a place in a list"
        )]
        let place = ((count as f64 * hundredths / 100.0).ceil() as usize).clamp(1, count.max(1)) - 1;
        self.latencies.get(place).copied().ok_or_else(|| anyhow!("no request was due"))
    }

    /// Returns the CPU time for each request, in microseconds.
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52")]
    pub(crate) fn processor_each(&self) -> f64 {
        self.processor.as_secs_f64() * 1e6 / self.requests.max(1) as f64
    }

    /// Returns the number of requests a second.
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52")]
    pub(crate) fn rate(&self) -> f64 {
        self.requests as f64 / self.window.as_secs_f64()
    }
}

/// Locks a mutex. No holder panics, so a poisoned lock is usable.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::OnceLock;

    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::bench::{cores::Cores, load::loader::Loader, wire::Connection};

    const RATE: f64 = 1000.0;
    const STALL: Duration = Duration::from_millis(200);

    /// Starts a server that answers with this status, except during a stall that begins `before_stall` after the first
    /// request.
    fn server(loader: &Loader, status: u16, before_stall: Duration) -> Result<SocketAddr> {
        let began = Arc::<OnceLock<Instant>>::default();
        loader.serve(move |stream| {
            let began = Arc::clone(&began);
            async move {
                let mut connection = Connection::new(stream)?;
                while connection.head().await?.is_some() {
                    let stall = *began.get_or_init(Instant::now) + before_stall;
                    if (stall..stall + STALL).contains(&Instant::now()) {
                        time::sleep_until((stall + STALL).into()).await;
                    }
                    let answer = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n");
                    connection.stream.write_all(answer.as_bytes()).await?;
                }
                Ok(())
            }
        })
    }

    fn slice(address: SocketAddr, pace: Pace, window: Duration) -> Slice {
        let requests = Requests::new(["GET / HTTP/1.1\r\nhost: a\r\n\r\n".to_owned()], 200);
        Slice { address, requests, connections: 4, pace, warm_up: Duration::from_millis(10), window }
    }

    #[test]
    fn what_is_due_while_nobody_answers_has_waited_since_it_was_due() -> Result<()> {
        let loader = Loader::start(&Cores::of_this_machine()?)?;
        let address = server(&loader, 200, Duration::from_millis(100))?;
        let slice = slice(address, Pace::PerSecond(RATE), Duration::from_millis(600));
        let taken = loader.run(slice.run(Meter::own()))?;
        // Of the two hundred requests that are due in the stall, those of its first half wait a hundred milliseconds or
        // more. A client that waits for its four answers before sending more would see four slow requests.
        let slow = taken.latencies.iter().filter(|latency| **latency >= STALL / 2).count();
        assert!(slow >= 80, "{slow} of {}", taken.latencies.len());
        assert!(taken.latencies.len() >= 550, "{} were due", taken.latencies.len());
        Ok(())
    }

    #[test]
    fn what_was_never_sent_counts_with_the_time_that_it_has_waited() -> Result<()> {
        let loader = Loader::start(&Cores::of_this_machine()?)?;
        let slow = loader.serve(|stream| async move {
            let mut connection = Connection::new(stream)?;
            while connection.head().await?.is_some() {
                time::sleep(Duration::from_millis(500)).await;
                connection.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await?;
            }
            Ok(())
        })?;
        let slice = slice(slow, Pace::PerSecond(RATE), Duration::from_millis(100));
        let taken = loader.run(slice.run(Meter::own()))?;
        // Four connections send about twenty of the hundred requests until the grace is over.
        let unsent = taken.latencies.iter().filter(|latency| **latency >= GRACE).count();
        assert!(unsent >= 60, "{unsent} of {}", taken.latencies.len());
        Ok(())
    }

    #[test]
    fn an_answer_that_should_not_be_fails_the_slice() -> Result<()> {
        let loader = Loader::start(&Cores::of_this_machine()?)?;
        let address = server(&loader, 503, Duration::from_hours(1))?;
        for pace in [Pace::Saturating, Pace::PerSecond(RATE)] {
            let slice = slice(address, pace, Duration::from_millis(50));
            let error = loader.run(slice.run(Meter::own())).map(drop).unwrap_err().to_string();
            assert!(error.contains("503") && error.contains("not 200"), "{error}");
        }
        Ok(())
    }

    #[test]
    fn percentiles_are_those_of_the_slowest_that_they_hold() -> Result<()> {
        let latencies = (1..=100).map(Duration::from_micros).collect();
        let (window, processor) = (Duration::from_secs(2), Duration::from_millis(10));
        let taken = Taken { requests: 1000, all: 1000, window, processor, latencies };
        for (hundredths, micros) in [(50.0, 50), (99.0, 99), (99.9, 100), (0.0, 1)] {
            assert_eq!(taken.percentile(hundredths)?, Duration::from_micros(micros));
        }
        assert_eq!(format!("{} {}", taken.processor_each(), taken.rate()), "10 500");
        Ok(())
    }
}
