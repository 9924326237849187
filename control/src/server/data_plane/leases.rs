//! `POST /v1/leases`: slices of budgets, which a data plane spends without asking for each request.
//!
//! A request has one entry for each subject of a caller: its token or person, its owner, its team. The registry's own
//! budget of a subject goes before the policy's, which the request carries.

use axum::Json as Answer;
use axum::extract::State as Extract;
use serde::{Deserialize, Deserializer, Serialize};

use super::refused::{BodyRefused, Misfit, Refused};
use crate::registry::{Budget, BudgetText, LeaseRequest, Leased, Payer, Unit, amount, now};
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::state::State;
use crate::text::object::Object;

/// The longest name of a data plane that is kept.
const MAX_NODE_CHARS: usize = 64;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Leases {
    /// The subjects, each once
    #[schema(value_type = Vec<LeaseOf>, min_items = 1, max_items = 3)]
    leases: Vec<Object<LeaseOf>>,
    /// The name of the data plane, for people
    #[serde(default)]
    node: String,
}

/// The lease of one subject.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct LeaseOf {
    /// The subject: `token:` with the SHA-256 of the principal, `owner:` with an email address, or `team:` with a name
    #[schema(pattern = "^(token:[0-9a-f]{64}|owner:.+@.+|team:[A-Za-z0-9_-]+)$")]
    subject: String,
    /// The lease that the data plane holds
    id: Option<String>,
    /// A value by which workers that ask for a first lease at the same time get the same one
    #[schema(pattern = "^[0-9a-f]{32}$")]
    nonce: Option<String>,
    /// All that was spent from the lease since it began, in nano-dollars or tokens
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    spent: i64,
    /// All that was granted to the lease and given back since it began, in the same unit
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    returned: i64,
    /// The amount that is needed on top of what was granted; with 0 the registry grants what is usual, or nothing to a lease
    /// that gives back
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    need: i64,
    /// The policy's budget for the subject
    #[serde(default)]
    #[schema(value_type = Option<BudgetText>)]
    budget: Option<Budget>,
}

#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct LeasesAnswer {
    /// The leases, in the order of the request
    leases: Vec<Lease>,
}

/// The state of a lease. Numbers are nano-dollars or tokens.
#[derive(Serialize, utoipa::ToSchema)]
struct Lease {
    /// The subject, as the request had it
    subject: String,
    /// The lease, `null` for a subject without a budget
    id: Option<String>,
    /// The unit of the numbers, `null` for a subject without a budget
    unit: Option<Unit>,
    /// The budget's amount
    #[serde(skip_serializing_if = "Option::is_none")]
    limit: Option<i64>,
    /// All that was granted to this lease since it began
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<i64>,
    /// The part of the window that is neither spent nor leased to others: this lease's rest is in it
    #[serde(skip_serializing_if = "Option::is_none")]
    remaining: Option<i64>,
    /// The end of the window, at which a new lease begins
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    resets_at: Option<String>,
    /// Seconds until the lease gives back its rest; it has to be renewed before
    expires_in: i64,
}

/// Renew or begin the leases of budgets
#[utoipa::path(
    post,
    path = "/v1/leases",
    tag = "budgets",
    request_body = Leases,
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The state of each lease", body = LeasesAnswer),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn leases(
    Extract(state): Extract<State>,
    Json(asked): Json<Leases>,
) -> Result<Answer<LeasesAnswer>, Problem> {
    let node: String = asked.node.chars().filter(|char| !char.is_control()).take(MAX_NODE_CHARS).collect();
    let mut names = Vec::new();
    let mut requests = Vec::new();
    for Object(LeaseOf { subject, id, nonce, spent, returned, need, budget }) in asked.leases {
        requests.push(LeaseRequest {
            subject: Payer::parse(&subject)?,
            id,
            nonce,
            spent,
            returned,
            need,
            budget,
        });
        names.push(subject);
    }
    let leases = state.registry().lease(&node, &requests, now).await?;
    let lacks = |(request, lease): &(&LeaseRequest, &Leased)| {
        request.need > 0 && lease.state.as_ref().is_some_and(|state| state.remaining < request.need)
    };
    let refused = requests.iter().zip(&leases).filter(lacks).count();
    state.counters().refused_leases.add(refused as u64);
    // A data plane finds its subjects as it spelled them.
    let answer = |(subject, lease): (String, Leased)| {
        let Leased { id, unit, state, expires_in } = lease;
        let limit = state.as_ref().map(|state| state.limit);
        let granted = state.as_ref().map(|state| state.granted);
        let remaining = state.as_ref().map(|state| state.remaining);
        let resets_at = state.map(|state| state.resets_at.to_string());
        Lease { subject, id, unit, limit, granted, remaining, resets_at, expires_in }
    };
    Ok(Answer(LeasesAnswer { leases: names.into_iter().zip(leases).map(answer).collect() }))
}

/// Reads a number from 0. Larger ones than the registry keeps count as the largest.
pub(super) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<i64, D::Error> {
    u64::deserialize(deserializer).map(amount::saturated)
}
