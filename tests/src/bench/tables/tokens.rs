//! The effect of the number of tokens in the registry or the policy, with ten of them in use and with all in use.

use anyhow::Result;
use serde_json::json;

use super::compared::{KEYSWAP, set_up};
use crate::{
    bench::{
        kind::Kind,
        load::Requests,
        plan::Plan,
        set_ups::{BARE, keyswap, keyswap_with},
        stage::{Stage, numbered_token, records},
        turns::{Entry, take_turns},
        watch::Watch,
    },
    figures::Table,
};

const IN_USE: usize = 10;

pub(super) fn measure(stage: &Stage, plan: &Plan, watch: &mut Watch<'_>) -> Result<Table> {
    let counts = [10, plan.scale(1000, 20), plan.scale(100_000, 30)];
    let tokens = || (0..IN_USE).map(numbered_token);
    let bare = set_up(BARE)?;
    let mut entries = vec![Entry::new(bare, "", bare.start(stage, 1)?)];
    // Registries must outlive the proxies that call them.
    let mut registries = Vec::new();
    for count in counts {
        watch.at(&format!("tokens: a registry with {count}"), 0.0)?;
        registries.push(stage.registry_of(count)?);
    }
    let keyswap_set_up = set_up(KEYSWAP)?;
    for ((registry, _), count) in registries.iter().zip(counts) {
        let running = keyswap(stage, 1, registry, &Stage::policy(registry)?, tokens())?;
        running.prove(stage)?;
        entries.push(Entry::new(keyswap_set_up, format!("{count} in the registry"), running));
    }
    let (registry, _) = stage.registry()?;
    for count in counts {
        watch.at(&format!("tokens: a policy with {count}"), 0.0)?;
        let mut policy = Stage::policy(registry)?;
        policy["tokens"] = json!(records(0..count));
        let running = keyswap(stage, 1, registry, &policy, tokens())?;
        running.prove(stage)?;
        entries.push(Entry::new(keyswap_set_up, format!("{count} in the policy"), running));
        if Some(&count) == counts.last() {
            let requests = (0..count).map(|number| Stage::request(&numbered_token(number)));
            let running = keyswap_with(stage, 1, registry, &policy, Requests::new(requests, 200))?;
            entries.push(Entry::new(keyswap_set_up, format!("{count} in the policy, all in use"), running));
        }
    }
    let rows = take_turns("tokens", plan, watch, &entries, |entry| entry.saturated(stage, plan.slice))?;
    Ok(Kind::Tokens.table(rows))
}
