//! A benchmark of the registry's server: lookups a second on one core, and the latency of the change feed.
//!
//! Run it with `cargo bench -p keyswap`. The server has a core of its own and SQLite with 100,000 tokens; the load
//! comes from the other cores. The benchmark prints a table and checks nothing: the figures depend on the machine.

#![forbid(unsafe_code)]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use keyswap::registry::{Actor, KnownToken, NewToken, Registry, Status};
use keyswap_core::base::Digest;
#[cfg(target_os = "linux")]
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

const TOKENS: usize = 100_000;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURE: Duration = Duration::from_secs(5);
const CONNECTIONS: [usize; 4] = [1, 4, 16, 64];
const WAKES: usize = 200;
const CREDENTIAL: &str = "the-credential-of-a-benchmark";

fn main() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("registry.db");
    let runtime = tokio::runtime::Runtime::new()?;
    let url = format!("sqlite://{}", database.display()).parse()?;
    println!("making {TOKENS} tokens …");
    let registry = runtime.block_on(async {
        let registry = Registry::open(&url).await?;
        registry.import_tokens((0..TOKENS).map(known).collect(), &Actor::new("benchmark")).await?;
        anyhow::Ok(registry)
    })?;

    let server = Server::start(&database)?;
    println!("\nserver on core {}, load on {}\n", server.core, server.others);
    println!("{:<28}{:>12}{:>12}{:>12}{:>12}", "lookups, connections", "per second", "p50", "p99", "worst");
    for connections in CONNECTIONS {
        let load = load(&server.address, connections, "")?;
        println!("{}", row(&connections.to_string(), Some(load.rate), &load.times));
    }
    let unchanged = load(&server.address, 16, "If-None-Match: *\r\n")?;
    println!("{}", row("16, unchanged (304)", Some(unchanged.rate), &unchanged.times));

    println!(
        "\n{:<28}{:>12}{:>12}{:>12}{:>12}",
        "change feed, change made by", "changes", "p50", "p99", "worst"
    );
    let actor = Actor::new("benchmark");
    let by_another = wakes(&server.address, |n| {
        let status = if n % 2 == 0 { Status::Disabled } else { Status::Active };
        runtime.block_on(registry.set_token_status(&digest(0), status, &actor))?;
        Ok(())
    })?;
    println!("{}", row("another process", None, &by_another));
    let cookie = server.sign_in()?;
    let mut administration = Connection::open(&server.address)?;
    let by_server = wakes(&server.address, |n| {
        let status = if n % 2 == 0 { "disabled" } else { "active" };
        let body = format!("{{\"status\":\"{status}\"}}");
        let hex = digest(1).to_hex();
        let request = format!(
            "PATCH /admin/api/tokens/{hex} HTTP/1.1\r\nHost: a\r\nCookie: {cookie}\r\nx-keyswap-client: benchmark\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        administration.ask(request.as_bytes(), 200)
    })?;
    println!("{}", row("this server", None, &by_server));
    Ok(())
}

fn known(number: usize) -> KnownToken {
    let new = NewToken {
        label: format!("token {number}"),
        owner: Some("alice@acme.example".to_owned()),
        providers: vec!["openai".to_owned(), "anthropic".to_owned()],
        ..NewToken::default()
    };
    KnownToken { digest: digest(number), new, status: Status::Active }
}

fn digest(number: usize) -> Digest {
    Digest::of(format!("token {number}").as_bytes())
}

/// `keyswap serve` on one core. This process is pinned to the other cores.
struct Server {
    process: Child,
    address: String,
    password: String,
    core: usize,
    others: String,
}

impl Server {
    fn start(database: &Path) -> Result<Self> {
        let cores = cores()?;
        let (core, others) = cores.split_first().context("there is no core")?;
        // A child process inherits the cores of the thread that starts it.
        keep_to(&[*core])?;
        let process = Command::new(env!("CARGO_BIN_EXE_keyswap"))
            .args(["serve", "--listen", "127.0.0.1:0", "--log", "warn", "--database"])
            .arg(format!("sqlite://{}", database.display()))
            .env_clear()
            .env("KEYSWAP_REGISTRY_TOKEN", CREDENTIAL)
            .stdout(Stdio::piped())
            .spawn()?;
        // On a machine with one core both share it, and the table shows that.
        let others = if others.is_empty() { std::slice::from_ref(core) } else { others };
        keep_to(others)?;
        let mut server = Self {
            process,
            address: String::new(),
            password: String::new(),
            core: *core,
            others: others.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let stdout = server.process.stdout.take().context("its output is piped")?;
        let mut said = BufReader::new(stdout).lines();
        let mut after = |start: &str| -> Result<String> {
            let line = said.next().context("the server did not start")??;
            let rest = line.strip_prefix(start).with_context(|| format!("no `{start}` in `{line}`"))?;
            Ok(rest.split(' ').next().unwrap_or_default().to_owned())
        };
        server.address = after("listening on http://")?;
        server.password = after("first password: ")?;
        Ok(server)
    }

    fn sign_in(&self) -> Result<String> {
        let mut connection = TcpStream::connect(&self.address)?;
        let body = format!("{{\"password\":\"{}\"}}", self.password);
        let head =
            "POST /admin/session HTTP/1.1\r\nHost: a\r\nConnection: close\r\nx-keyswap-client: benchmark\r\n";
        write!(
            connection,
            "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        connection.read_to_string(&mut answer)?;
        let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")?.split(';').next());
        Ok(cookie.context("the server gave no session")?.to_owned())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Returns the cores that this process may run on.
#[cfg(target_os = "linux")]
fn cores() -> Result<Vec<usize>> {
    let set = sched_getaffinity(None)?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| set.is_set(*core)).collect())
}

/// Pins this thread, and threads that it starts, to some cores.
#[cfg(target_os = "linux")]
fn keep_to(cores: &[usize]) -> Result<()> {
    let mut set = CpuSet::new();
    for core in cores {
        set.set(*core);
    }
    Ok(sched_setaffinity(None, &set)?)
}

/// Does nothing: other systems cannot pin threads, and the table shows core 0.
#[cfg(not(target_os = "linux"))]
fn cores() -> Result<Vec<usize>> {
    Ok(vec![0])
}

#[cfg(not(target_os = "linux"))]
fn keep_to(_: &[usize]) -> Result<()> {
    Ok(())
}

/// The results of a load.
struct Load {
    rate: f64,
    times: Vec<Duration>,
}

/// Looks up tokens on several connections, on each one after the other.
fn load(address: &str, connections: usize, header: &str) -> Result<Load> {
    let status = if header.is_empty() { 200 } else { 304 };
    let results: Vec<Result<Vec<Duration>>> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|worker| scope.spawn(move || look_up(address, worker, connections, header, status)))
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap_or_else(|_| Ok(Vec::new()))).collect()
    });
    let mut times = Vec::new();
    for result in results {
        times.extend(result?);
    }
    ensure!(!times.is_empty(), "nothing was measured");
    #[expect(clippy::cast_precision_loss, reason = "the number is small")]
    let rate = times.len() as f64 / MEASURE.as_secs_f64();
    Ok(Load { rate, times })
}

fn look_up(address: &str, first: usize, step: usize, header: &str, status: u16) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(address)?;
    let begin = Instant::now() + WARM_UP;
    let mut times = Vec::new();
    // The order spreads over the whole table, to defeat caches.
    for number in (first..).step_by(step).map(|number| number.wrapping_mul(7919) % TOKENS) {
        let request = format!(
            "GET /v1/tokens/{} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CREDENTIAL}\r\n{header}\r\n",
            digest(number).to_hex()
        );
        let asked = Instant::now();
        connection.ask(request.as_bytes(), status)?;
        if asked >= begin + MEASURE {
            break;
        }
        if asked >= begin {
            times.push(asked.elapsed());
        }
    }
    Ok(times)
}

/// Returns the times from a change to the answer of the long poll that waits for it.
fn wakes(address: &str, mut change: impl FnMut(usize) -> Result<()>) -> Result<Vec<Duration>> {
    let mut connection = Connection::open(address)?;
    let mut since = connection.changes(0, 0)?.0;
    // One answer does not hold the whole feed.
    loop {
        let (next, _) = connection.changes(since, 0)?;
        if next == since {
            break;
        }
        since = next;
    }
    let (asked, ask) = mpsc::channel();
    let (answer, answered) = mpsc::channel();
    let waiter = std::thread::spawn(move || -> Result<()> {
        while let Ok(since) = ask.recv() {
            answer.send(connection.changes(since, 30)?)?;
        }
        Ok(())
    });
    let mut times = Vec::new();
    for number in 0..WAKES {
        asked.send(since)?;
        // The poll must be waiting before the change. The time that it has waited varies.
        std::thread::sleep(Duration::from_millis(20 + u64::try_from(number % 25)?));
        change(number)?;
        let made = Instant::now();
        let (next, at) = answered.recv()?;
        ensure!(next > since, "the poll ended without a change");
        times.push(at.saturating_duration_since(made));
        since = next;
    }
    drop(asked);
    waiter.join().map_err(|_| anyhow::anyhow!("the waiter failed"))??;
    Ok(times)
}

/// A keep-alive connection.
struct Connection(BufReader<TcpStream>);

impl Connection {
    fn open(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Sends a request. An answer with another status is an error.
    fn ask(&mut self, request: &[u8], status: u16) -> Result<()> {
        self.exchange(request, status).map(drop)
    }

    fn exchange(&mut self, request: &[u8], status: u16) -> Result<Vec<u8>> {
        self.0.get_mut().write_all(request)?;
        let mut line = String::new();
        self.0.read_line(&mut line)?;
        ensure!(line.starts_with(&format!("HTTP/1.1 {status}")), "expected {status}, not {line}");
        let mut length = 0;
        while line != "\r\n" {
            line.clear();
            ensure!(self.0.read_line(&mut line)? > 0, "the answer was cut off");
            if let Some(value) = line.strip_prefix("content-length: ") {
                length = value.trim().parse()?;
            }
        }
        let mut body = vec![0; length];
        self.0.read_exact(&mut body)?;
        Ok(body)
    }

    /// Fetches the changes after a number. Returns the new number and the time of the answer.
    fn changes(&mut self, since: i64, wait: u32) -> Result<(i64, Instant)> {
        let request = format!(
            "GET /v1/changes?since={since}&wait={wait} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CREDENTIAL}\r\n\r\n"
        );
        let body = self.exchange(request.as_bytes(), 200)?;
        let at = Instant::now();
        let feed: serde_json::Value = serde_json::from_slice(&body)?;
        Ok((feed["sequence"].as_i64().context("a feed has a sequence")?, at))
    }
}

fn row(name: &str, rate: Option<f64>, times: &[Duration]) -> String {
    let mut times = times.to_vec();
    times.sort_unstable();
    let at = |hundredth: usize| times.get((times.len() * hundredth / 100).min(times.len() - 1)).copied();
    let shown = |time: Option<Duration>| format!("{:.2} ms", time.unwrap_or_default().as_secs_f64() * 1000.0);
    let count = rate.map_or_else(|| times.len().to_string(), |rate| format!("{rate:.0}"));
    format!(
        "{name:<28}{count:>12}{:>12}{:>12}{:>12}",
        shown(at(50)),
        shown(at(99)),
        shown(times.last().copied())
    )
}
