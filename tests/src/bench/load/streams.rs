//! Event streams that are held open and read continuously.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tokio::{io::AsyncWriteExt as _, time};

use super::{client::Client, requests::Requests};
use crate::{Meter, bench::numbers::megabytes};

/// The streams to hold.
#[derive(Clone, Debug)]
pub(crate) struct Streams {
    pub(crate) address: SocketAddr,
    pub(crate) requests: Arc<Requests>,
    pub(crate) count: usize,
    /// The time before the measurement, and the time of the measurement.
    pub(crate) warm_up: Duration,
    pub(crate) window: Duration,
}

/// The measurements of held streams.
#[derive(Debug)]
pub(crate) struct Held {
    /// The bytes that arrived in the window.
    pub(crate) bytes: u64,
    /// The proxy's CPU time in the window.
    pub(crate) processor: Duration,
    /// The proxy's memory while the streams were open, in megabytes.
    pub(crate) memory: f64,
}

impl Streams {
    pub(crate) async fn run(self, meter: Meter) -> Result<Held> {
        let bytes = Arc::<AtomicU64>::default();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..self.count {
            let client = self.open().await?;
            tasks.spawn(read(client, Arc::clone(&bytes)));
        }
        time::sleep(self.warm_up).await;
        let (came, processor) = (bytes.load(Ordering::Relaxed), meter.processor_time()?);
        time::sleep(self.window).await;
        let held = Held {
            bytes: bytes.load(Ordering::Relaxed) - came,
            processor: meter.processor_time()?.saturating_sub(processor),
            memory: megabytes(meter.memory()?),
        };
        ensure!(tasks.try_join_next().is_none(), "a stream ended by itself");
        tasks.shutdown().await;
        Ok(held)
    }

    async fn open(&self) -> Result<Client> {
        let mut client = Client::open(self.address).await?;
        client.connection.stream.write_all(self.requests.next()).await?;
        let head = client.connection.head().await?.context("the proxy closed the connection")?;
        ensure!(head.status() == Some(200), "a stream was answered {:?}", head.status());
        Ok(client)
    }
}

async fn read(mut client: Client, bytes: Arc<AtomicU64>) -> std::io::Result<()> {
    loop {
        match client.connection.chunk().await? {
            0 => return Ok(()),
            size => bytes.fetch_add(u64::try_from(size).unwrap_or(0), Ordering::Relaxed),
        };
    }
}
