//! A killed server loses no acknowledged write and leaves no partial one.

use std::collections::BTreeMap;
use std::time::Duration;

use keyswap::registry::{AuditQuery, Day, Listing, Payer, UsageBy, UsageQuery};
use keyswap_core::base::{Digest, UnixTime};
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::Server;
use crate::support::{Database, create, on_both_databases, run};

on_both_databases!(
    every_acknowledged_write_survives_a_kill,
    every_acknowledged_token_survives_a_kill,
    no_lease_and_no_report_is_lost_or_counted_twice_after_a_kill,
);

const WRITES: i64 = 1000;
const WRITERS: i64 = 8;
const PAIRS: usize = 16;

/// Runs concurrent writers and kills the server meanwhile. Returns the acknowledged writes.
async fn killed_while_writing<T: Send + 'static, W: Future<Output = Option<T>> + Send>(
    mut server: Server,
    request: impl Fn(&Server) -> RequestBuilder,
    write: impl Fn(RequestBuilder, i64) -> W + Clone + Send + 'static,
) -> Vec<T> {
    let answered = watch::Sender::new(0);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (request, write, answered) = (request(&server), write.clone(), answered.clone());
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for number in (writer..WRITES).step_by(usize::try_from(WRITERS).unwrap()) {
                let Some(written) = write(request.try_clone().unwrap(), number).await else { break };
                acknowledged.push(written);
                answered.send_modify(|count| *count += 1);
            }
            acknowledged
        });
    }
    answered.subscribe().wait_for(|count| *count >= 300).await.unwrap();
    server.kill();
    let acknowledged: Vec<T> = writers.join_all().await.into_iter().flatten().collect();
    assert!(!server.wait().0.success());
    assert!(i64::try_from(acknowledged.len()).unwrap() < WRITES, "it was killed too late");
    acknowledged
}

/// Returns the answer, which must have this status. Returns `None` if the server was killed.
async fn answer(request: RequestBuilder, status: u16) -> Option<Response> {
    let response = request.send().await.ok()?;
    assert_eq!(response.status(), status, "{response:?}");
    Some(response)
}

async fn every_acknowledged_write_survives_a_kill(database: &Database) {
    let registry = database.open().await;
    let mut pairs = Vec::new();
    for pair in 0..PAIRS {
        let one = create(&registry, &format!("{pair} one")).await.record.digest;
        let other = create(&registry, &format!("{pair} other")).await.record.digest;
        pairs.push((one, other));
    }
    let written = pairs.clone();
    let acknowledged = killed_while_writing(
        Server::start(&database.url()),
        |server| server.post("/v1/usage"),
        move |request, write| {
            let (one, other) = written[usize::try_from(write).unwrap() % PAIRS];
            let day = Day(1 + write).to_string();
            let marks = json!({"marks": [
                {"sha256": one.to_hex(), "day": day},
                {"sha256": other.to_hex(), "day": day},
            ]});
            async move { answer(request.json(&marks), 204).await.map(|_| (one, Day(1 + write))) }
        },
    )
    .await;
    let mut newest: BTreeMap<Digest, Day> = BTreeMap::new();
    for (digest, day) in acknowledged {
        newest.entry(digest).and_modify(|known| *known = day.max(*known)).or_insert(day);
    }

    let again = Server::start(&database.url());
    assert_eq!(again.get("/readyz").send().await.unwrap().status(), 200);
    for (one, other) in pairs {
        let (one, other) = (registry.token(&one).await.unwrap(), registry.token(&other).await.unwrap());
        assert_eq!(one.last_used, other.last_used, "half a write");
        assert!(one.last_used >= newest.get(&one.digest).copied(), "an acknowledged write is gone");
    }
    assert_eq!(registry.tokens(&Listing::default()).await.unwrap().total, 2 * i64::try_from(PAIRS).unwrap());
}

/// Writes tokens, each of which takes several rows: the record, its change and its entry in the audit log.
async fn every_acknowledged_token_survives_a_kill(database: &Database) {
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let acknowledged = killed_while_writing(
        server,
        |server| server.admin(&cookie, Method::POST, "/api/tokens"),
        |request, write| async move {
            let new = json!({"label": format!("token {write}"), "providers": ["openai"]});
            // The answer may be cut off after its head; then the write is not acknowledged.
            let body = answer(request.json(&new), 201).await?.text().await.ok()?;
            let created: Value = serde_json::from_str(&body).unwrap();
            Some(created["record"]["sha256"].as_str().unwrap().to_owned())
        },
    )
    .await;

    let again = Server::start(&database.url());
    assert_eq!(again.get("/readyz").send().await.unwrap().status(), 200);
    let registry = database.open().await;
    for hex in &acknowledged {
        let digest = Digest::from_hex(hex).unwrap();
        assert!(registry.token(&digest).await.is_ok(), "an acknowledged token is gone");
    }
    // Every token has its change and its entry in the audit log, and there are no others.
    let tokens = registry.tokens(&Listing::default()).await.unwrap().total;
    let feed = registry.changes(0, None, Duration::ZERO).await.unwrap();
    let audit =
        async |after| registry.audit(&AuditQuery { after, limit: Some(200), ..AuditQuery::default() }).await;
    let (mut lines, mut after) = (0, None);
    loop {
        let page = audit(after).await.unwrap();
        lines += page.items.iter().filter(|entry| entry.action == "token.create").count();
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(i64::try_from(feed.changes.len()).unwrap(), tokens, "half a token");
    assert_eq!((i64::try_from(lines).unwrap(), feed.sequence), (tokens, tokens), "half a token");
}

/// Takes leases and reports usage. What was granted stays granted, and a report that is sent again counts once.
async fn no_lease_and_no_report_is_lost_or_counted_twice_after_a_kill(database: &Database) {
    const TEAMS: i64 = 16;
    const LIMIT: i64 = 20_000;
    let registry = database.open().await;
    let acknowledged = killed_while_writing(
        Server::start(&database.url()),
        |server| server.post("/v1/leases"),
        |request, write| {
            let team = write % TEAMS;
            let body = json!({"leases": [{
                "subject": format!("team:t{team}"), "need": 100, "budget": {"tokens": LIMIT, "per": "month"},
            }]});
            async move {
                let text = answer(request.json(&body), 200).await?.text().await.ok()?;
                let body: Value = serde_json::from_str(&text).unwrap();
                Some((team, body["leases"][0]["granted"].as_i64().unwrap()))
            }
        },
    )
    .await;
    let now = UnixTime(unix_time());
    for team in 0..TEAMS {
        let granted: i64 =
            acknowledged.iter().filter(|(of, _)| *of == team).map(|(_, granted)| granted).sum();
        let subject = Payer::parse(&format!("team:t{team}")).unwrap();
        let state = registry.budget(&subject, now).await.unwrap().remove(0);
        assert!(granted <= state.leased && state.leased <= LIMIT, "{granted} of {state:?}");
    }

    let report = move |number: i64| {
        json!({"report": format!("{number:032x}"), "rows": [{
            "hour": now.to_string(), "sha256": "ab".repeat(32), "kind": "token", "label": "a", "owner": null, "team": "t",
            "provider": "openai", "model": "gpt-5", "requests": 1, "cost": 7,
        }]})
    };
    killed_while_writing(
        Server::start(&database.url()),
        |server| server.post("/v1/usage"),
        move |request, write| async move { answer(request.json(&report(write)), 204).await.map(drop) },
    )
    .await;
    // Data planes send what was not answered again. Here they send all.
    let again = Server::start(&database.url());
    for number in 0..WRITES {
        answer(again.post("/v1/usage").json(&report(number)), 204).await.unwrap();
    }
    let query = UsageQuery::between(UnixTime(0), UnixTime(now.0 + 1));
    let usage = registry.usage(&query, UsageBy::Team, 9).await.unwrap();
    assert_eq!((usage.total.requests, usage.total.cost), (WRITES, 7 * WRITES));
    assert_eq!(registry.usage_totals().await.unwrap()[0].counts.requests, WRITES);
}

fn unix_time() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    i64::try_from(since.as_secs()).unwrap()
}

#[test]
fn a_server_that_ends_leaves_all_of_an_sqlite_database_in_its_file() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let cookie = server.sign_in().await;
            let user = json!({"email": "alice@acme.example", "providers": ["openai"]});
            let created = server.admin(&cookie, Method::POST, "/api/users").json(&user).send().await.unwrap();
            assert_eq!(created.status(), 201);
            server.terminate();
            assert!(server.wait().0.success());
            let path = database.url().replace("sqlite://", "");
            let log = std::fs::metadata(format!("{path}-wal")).map_or(0, |log| log.len());
            assert_eq!(log, 0, "a copy of the file alone lacks what stands in its log");
        },
        &Database::sqlite(),
    );
}
