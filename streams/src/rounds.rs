//! The work of a worker that no stream does: what is due, the calls, and their answers.

use std::rc::Rc;
use std::time::Duration;

use keyswap_core::base::Moment;
use keyswap_core::services::{Fetch, FetchAnswer, FetchKey, Resolution};

use crate::fetcher::{Call, Fetcher};
use crate::host::Host;
use crate::metric::Metric;
use crate::request::{Request, Turn};
use crate::shared::Shared;
use crate::stream;

/// The least time between two questions to the engine for what is due.
const ROUND_INTERVAL: Duration = Duration::from_millis(900);

/// Makes the calls that are due, and ends the requests whose callers have lost the right to them.
pub fn work<H: Host>(shared: &Shared<H>) {
    let Ok(now) = H::now() else { return };
    if !now.is_within(ROUND_INTERVAL, shared.last_round.get()) {
        shared.last_round.set(now);
        let due = shared.worker.due(now, shared.store());
        due.notes.iter().for_each(|note| log::warn!("{note}"));
        shared.observe(&due.counters);
        for fetch in due.fetches {
            shared.start(fetch, now);
        }
        end_revoked(shared, now);
    }
    while let Some(fetch) = shared.with_fetcher(|fetcher| fetcher.overdue(now)) {
        shared.worker.abandon(&fetch.key, now);
        resolve(shared, &fetch.key, &Resolution::Unavailable);
    }
    while let Some(fetch) = shared.with_fetcher(Fetcher::next) {
        if shared.worker.may_call(&fetch.key, now) {
            call(shared, fetch);
        } else {
            resolve(shared, &fetch.key, &Resolution::Unavailable);
        }
    }
    shared.hand_over();
    shared.schedule();
}

/// Takes the answer to the call of this number, and does the work that follows.
pub fn answered<H: Host>(shared: &Shared<H>, number: u64, answer: &FetchAnswer<'_>) {
    let Some(call) = shared.with_fetcher(|fetcher| fetcher.answered(number)) else { return };
    settle(shared, &call, answer);
    work(shared);
}

/// Fails every request that waits, after a fault of the worker. What was due for them does not judge them again.
pub fn abandon<H: Host>(shared: &Shared<H>) {
    wake(shared, shared.abandon(), || Turn::Fail);
    shared.hand_over();
}

/// Does for a worker what is left where [`work`] must not be called any more: requests that wait fail, and those end whose
/// callers may lose the right to them, since nothing would tell. All others go on.
pub fn give_up<H: Host>(shared: &Shared<H>) {
    wake(shared, shared.may_end(), || Turn::End);
    abandon(shared);
}

fn end_revoked<H: Host>(shared: &Shared<H>, now: Moment) {
    wake(shared, shared.look_again(now), || Turn::End);
}

fn wake<H: Host>(shared: &Shared<H>, requests: Vec<Rc<Request<H>>>, turn: impl Fn() -> Turn) {
    if requests.is_empty() {
        return;
    }
    for request in requests {
        stream::wake(shared, &request, turn());
    }
    shared.host.come_back();
}

/// Makes a call. A call that cannot even be made has failed.
fn call<H: Host>(shared: &Shared<H>, fetch: Fetch) {
    let call = Call { key: fetch.key, as_of: fetch.as_of };
    let cluster = fetch.request.cluster.clone();
    match shared.host.call(fetch.request) {
        Ok(number) => shared.with_fetcher(|fetcher| fetcher.called(number, call)),
        Err(error) => {
            log::error!("cannot call the cluster `{cluster}`: {error}");
            settle(shared, &call, &FetchAnswer::Failed);
        }
    }
}

fn settle<H: Host>(shared: &Shared<H>, call: &Call, answer: &FetchAnswer<'_>) {
    let Ok(now) = H::now() else { return resolve(shared, &call.key, &Resolution::Unavailable) };
    let accepted = shared.worker.accept(&call.key, call.as_of, answer, now, shared.store());
    shared.add(&Metric::fetch(call.key.kind(), accepted.outcome.name()), 1);
    if let Some(set) = shared.worker.key_set(&call.key) {
        let fetched_at = set.fetched_at.and_then(|at| u64::try_from(at.0).ok()).unwrap_or_default();
        shared.host.set_gauges(&set.issuer, [fetched_at, set.failures.into()]);
    }
    let (resolution, lines) = accepted.into_parts(&call.key);
    lines.for_each(|line| log::warn!("{line}"));
    resolve(shared, &call.key, &resolution);
}

/// Wakes every request that waits for this key.
fn resolve<H: Host>(shared: &Shared<H>, key: &FetchKey, resolution: &Resolution) {
    let waiters = shared.with_fetcher(|fetcher| fetcher.release(key));
    if waiters.is_empty() {
        return;
    }
    for waiter in waiters {
        stream::resume(shared, waiter, resolution.clone());
    }
    shared.host.come_back();
}
