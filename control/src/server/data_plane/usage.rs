//! `POST /v1/usage`: the days on which tokens were used, and the usage of callers by hour and model, in batches.
//!
//! A data plane sends a report with the same id until it is answered. A report that was counted counts nothing again.

use axum::extract::State as Extract;
use axum::http::StatusCode;
use keyswap_core::base::{Digest, UnixTime};
use serde::{Deserialize, Deserializer};

use super::leases::number;
use super::refused::{BodyRefused, Misfit, Refused};
use crate::registry::{CallerKind, Counts, Day, Mark, UsageReport, UsageRow};
use crate::server::digest::read_digest;
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::state::State;
use crate::text::object::Object;

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Usage {
    /// The uses of tokens, at most 500
    #[schema(value_type = Option<Vec<Use>>, max_items = 500)]
    marks: Option<Vec<Object<Use>>>,
    /// The unique id of the rows; required with them
    #[schema(pattern = "^[0-9a-f]{32}$")]
    report: Option<String>,
    /// The usage of callers, at most 500
    #[serde(default)]
    #[schema(value_type = Vec<Row>, max_items = 500)]
    rows: Vec<Object<Row>>,
}

#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Use {
    /// The SHA-256 of the token
    #[serde(deserialize_with = "read_digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Digest,
    /// The day in UTC, at the latest tomorrow
    #[schema(value_type = String, format = Date)]
    day: Day,
}

/// The usage of a caller at a provider's model in an hour.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The hour: any time in it, of the last 7 days
    #[serde(deserialize_with = "time")]
    #[schema(value_type = String, format = DateTime)]
    hour: UnixTime,
    /// The SHA-256 of the principal
    #[serde(deserialize_with = "read_digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    sha256: Digest,
    /// The kind of the caller
    kind: CallerKind,
    /// The label of the caller
    label: String,
    /// The email address of the owner
    owner: Option<String>,
    /// The team
    team: Option<String>,
    /// The provider
    provider: String,
    /// The model, or `other`
    model: String,
    /// The requests
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    requests: i64,
    /// The requests whose usage is not known
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    unmetered: i64,
    /// The requests whose model has no price
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    unpriced: i64,
    /// All input tokens
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    input: i64,
    /// The input tokens that were read from a cache
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    cached: i64,
    /// The input tokens that were written to a cache
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    cache_write: i64,
    /// All output tokens
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    output: i64,
    /// The output tokens of reasoning
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    reasoning: i64,
    /// The tokens of audio, in and out
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    audio: i64,
    /// The cost in nano-dollars
    #[serde(default, deserialize_with = "number")]
    #[schema(value_type = u64, format = "uint64")]
    cost: i64,
}

/// Report the days on which tokens were used, and the usage of callers
#[utoipa::path(
    post,
    path = "/v1/usage",
    tag = "reports",
    request_body = Usage,
    security(("registry_token" = [])),
    responses(
        (status = 204, description = "Stored, now or before; unknown tokens are ignored"),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn usage(
    Extract(state): Extract<State>,
    Json(usage): Json<Usage>,
) -> Result<StatusCode, Problem> {
    let Usage { marks, report, rows } = usage;
    let report = match report {
        None if rows.is_empty() && marks.is_some() => None,
        None => {
            let detail = "expected `marks`, or `rows` with a `report`, the id by which they are counted once";
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_body", detail));
        }
        Some(id) => Some(UsageReport { id, rows: rows.into_iter().map(|Object(row)| row.read()).collect() }),
    };
    if let Some(marks) = marks {
        let mark = |Object(used): Object<Use>| Mark { digest: used.sha256, day: used.day };
        state.registry().mark_used(marks.into_iter().map(mark).collect()).await?;
    }
    if let Some(report) = report {
        state.registry().report_usage(report).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}

impl Row {
    fn read(self) -> UsageRow {
        let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        UsageRow {
            hour: self.hour,
            principal: self.sha256,
            kind: self.kind,
            label: self.label,
            owner: some(self.owner),
            team: some(self.team),
            provider: self.provider,
            model: self.model,
            counts: Counts {
                requests: self.requests,
                unmetered: self.unmetered,
                unpriced: self.unpriced,
                input: self.input,
                cached: self.cached,
                cache_write: self.cache_write,
                output: self.output,
                reasoning: self.reasoning,
                audio: self.audio,
                cost: self.cost,
            },
        }
    }
}

fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixTime, D::Error> {
    let text = String::deserialize(deserializer)?;
    UnixTime::from_rfc3339(&text).ok_or_else(|| serde::de::Error::custom("expected a time with an offset"))
}
