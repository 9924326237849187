//! The answer to `GET /.well-known/keyswap/me`: what a caller may do, and what is left of its budgets.
//!
//! It holds nothing that the caller could not find out by asking: its own scope, and no other caller's.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::answer::{LocalReply, ResponseHeader, cors};
use crate::base::UnixTime;
use crate::identity::CallerRecord;
use crate::judge::body::subjects;
use crate::judge::progress::Context;
use crate::limit::{InForce, Standing, Unit, tokens_left};
use crate::policy::Policy;
use crate::price::Nano;
use crate::request::RequestHead;
use crate::services::registry::Registry;
use crate::syntax::RequestPath;

const PATH: &[u8] = b"/.well-known/keyswap/me";

/// Tells whether a caller asks about itself.
pub(crate) fn is_me_query(head: &RequestHead<'_>, path: &RequestPath<'_>) -> bool {
    matches!(head.method, b"GET" | b"HEAD") && path.path == PATH
}

/// Writes the answer, with the budgets that this data plane knows.
pub(crate) fn me_reply(
    policy: &Policy,
    registry: Option<&Rc<Registry>>,
    record: &CallerRecord,
    context: &Context<'_, '_>,
) -> LocalReply {
    let standings = subjects(policy, record).into_iter().filter_map(|(kind, subject)| {
        Some((kind, registry?.standing(&subject, context.now, context.store)?))
    });
    let standings: Vec<_> = standings.collect();
    let rule = policy.rate_limit;
    let InForce { requests, tokens } = InForce::of(record.rate_limit, rule.as_ref());
    let models = match record.models.lists() {
        [entries] => json!(entries),
        lists => json!(lists),
    };
    let body = json!({
        "id": record.id(),
        "label": record.label,
        "owner": record.owner,
        "team": record.team,
        "providers": record.scope.entries(),
        "models": models,
        "expires_at": record.expires_at.map(|at| at.to_string()),
        "rate_limit": requests.map(|limit| json!({"requests": limit.requests(), "per_seconds": limit.seconds()})),
        "token_limit": tokens.map(|limit| {
            let left = tokens_left(context.store, &record.digest, limit, context.now).ok();
            json!({
                "tokens": limit.tokens(),
                "per_seconds": limit.seconds(),
                "left": left.map(|left| left.remaining),
            })
        }),
        "budgets": standings.iter().map(|(of, standing)| budget(of, standing)).collect::<Vec<_>>(),
    });
    let mut headers: Vec<ResponseHeader> = vec![
        ("content-type", "application/json".into()),
        ("cache-control", "no-store".into()),
        ("vary", "origin".into()),
    ];
    headers.extend(cors::headers(&policy.origins, context.head));
    LocalReply { status: 200, headers, body: body.to_string() }
}

fn budget(of: &str, standing: &Standing) -> Value {
    let Standing { unit, limit, left, resets_at } = *standing;
    let amount = |amount: u64| match unit {
        Unit::Usd => json!(Nano(amount).to_string()),
        Unit::Tokens => json!(amount),
    };
    let resets_at = UnixTime(i64::try_from(resets_at).unwrap_or(i64::MAX));
    json!({
        "of": of,
        "unit": unit.name(),
        "limit": amount(limit),
        "left": amount(left),
        "resets_at": resets_at.to_string(),
    })
}
