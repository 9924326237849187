//! A server that is killed loses nothing that it acknowledged, and leaves nothing half done.

use std::collections::BTreeMap;

use keyswap::registry::{Day, Listing};
use keyswap_core::TokenDigest;
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::server::Server;
use crate::support::{Database, create, on_both_databases};

on_both_databases!(every_acknowledged_write_survives_a_kill);

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
    let mut newest: BTreeMap<TokenDigest, Day> = BTreeMap::new();
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
