//! A server that is killed loses nothing that it acknowledged, and leaves nothing half done.

use std::collections::BTreeMap;
use std::time::Duration;

use keyswap::registry::{Day, Listing};
use keyswap_core::base::Digest;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::Server;
use crate::support::{Database, create, on_both_databases};

on_both_databases!(every_acknowledged_write_survives_a_kill, every_acknowledged_token_survives_a_kill);

const WRITES: i64 = 1000;
const WRITERS: i64 = 8;
const PAIRS: usize = 16;

async fn every_acknowledged_write_survives_a_kill(database: &Database) {
    let registry = database.open().await;
    let mut pairs = Vec::new();
    for pair in 0..PAIRS {
        let one = create(&registry, &format!("{pair} one")).await.record.digest;
        let other = create(&registry, &format!("{pair} other")).await.record.digest;
        pairs.push((one, other));
    }
    let mut server = Server::start(&database.url());
    let answered = watch::Sender::new(0);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let request = server.post("/v1/usage");
        let (pairs, answered) = (pairs.clone(), answered.clone());
        writers.spawn(async move {
            let mut acknowledged = BTreeMap::new();
            for write in (writer..WRITES).step_by(usize::try_from(WRITERS).unwrap()) {
                let (one, other) = pairs[usize::try_from(write).unwrap() % PAIRS];
                let day = Day(1 + write).to_string();
                let marks = json!({"marks": [
                    {"sha256": one.to_hex(), "day": day},
                    {"sha256": other.to_hex(), "day": day},
                ]});
                match request.try_clone().unwrap().json(&marks).send().await {
                    Ok(response) if response.status() == 204 => {
                        acknowledged.insert(one, Day(1 + write));
                        answered.send_modify(|count| *count += 1);
                    }
                    Ok(response) => panic!("{response:?}"),
                    // It is gone, in the middle of this or another write.
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    answered.subscribe().wait_for(|count| *count >= 300).await.unwrap();
    server.kill();
    let mut newest: BTreeMap<Digest, Day> = BTreeMap::new();
    for (digest, day) in writers.join_all().await.into_iter().flatten() {
        newest.entry(digest).and_modify(|known| *known = day.max(*known)).or_insert(day);
    }
    let (status, _) = server.wait();
    assert!(!status.success());
    assert!(*answered.borrow() < WRITES, "it was killed too late");

    let again = Server::start(&database.url());
    assert_eq!(again.get("/readyz").send().await.unwrap().status(), 200);
    for (one, other) in pairs {
        let (one, other) = (registry.token(&one).await.unwrap(), registry.token(&other).await.unwrap());
        assert_eq!(one.last_used, other.last_used, "half a write");
        assert!(one.last_used >= newest.get(&one.digest).copied(), "an acknowledged write is gone");
    }
    assert_eq!(registry.tokens(&Listing::default()).await.unwrap().total, 2 * i64::try_from(PAIRS).unwrap());
}

/// Through the administration: a token is several rows, its change and its line in the audit log among them.
async fn every_acknowledged_token_survives_a_kill(database: &Database) {
    let mut server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let answered = watch::Sender::new(0);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let request = server.admin(&cookie, Method::POST, "/api/tokens");
        let answered = answered.clone();
        writers.spawn(async move {
            let mut acknowledged = Vec::new();
            for write in (writer..WRITES).step_by(usize::try_from(WRITERS).unwrap()) {
                let new = json!({"label": format!("token {write}"), "providers": ["openai"]});
                match request.try_clone().unwrap().json(&new).send().await {
                    Ok(response) if response.status() == 201 => {
                        // The answer may be cut off after its head; then nothing was promised.
                        let Ok(body) = response.text().await else { break };
                        let created: Value = serde_json::from_str(&body).unwrap();
                        acknowledged.push(created["record"]["sha256"].as_str().unwrap().to_owned());
                        answered.send_modify(|count| *count += 1);
                    }
                    Ok(response) => panic!("{response:?}"),
                    Err(_) => break,
                }
            }
            acknowledged
        });
    }
    answered.subscribe().wait_for(|count| *count >= 300).await.unwrap();
    server.kill();
    let acknowledged: Vec<String> = writers.join_all().await.into_iter().flatten().collect();
    assert!(!server.wait().0.success());
    assert!(i64::try_from(acknowledged.len()).unwrap() < WRITES, "it was killed too late");

    let again = Server::start(&database.url());
    assert_eq!(again.get("/readyz").send().await.unwrap().status(), 200);
    let registry = database.open().await;
    for hex in &acknowledged {
        let digest = Digest::from_hex(hex).unwrap();
        assert!(registry.token(&digest).await.is_ok(), "an acknowledged token is gone");
    }
    // Every token has its change and its line in the audit log, and neither is there without a token.
    let tokens = registry.tokens(&Listing::default()).await.unwrap().total;
    let feed = registry.changes(0, Duration::ZERO).await.unwrap();
    let audit =
        async |after| registry.audit(&Listing { after, limit: Some(200), ..Listing::default() }).await;
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
