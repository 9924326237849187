//! `POST /v1/objects/find`, `/v1/objects/claim` and `/v1/objects/remove`: the objects that callers keep at providers, and
//! the principals that hold them.
//!
//! A claim is answered after it is stored. The first claim of an object wins, and the answer names the holder: a data plane
//! that sent a claim again reads its own principal there, another one reads the other. Data planes that pin the registry's keys
//! get both answers signed, for exactly the objects that they asked for.

use axum::Json as Answer;
use axum::extract::State as Extract;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use keyswap_core::base::{Digest, UnixTime};
use keyswap_core::services::objects_name;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::json;

use super::refused::{BodyRefused, Misfit, Refused};
use super::signed::Signer;
use crate::registry::{KeptObject, ObjectClaim, ObjectKey, RegistryError};
use crate::server::digest::read_digest;
use crate::server::extract::Json;
use crate::server::problem::Problem;
use crate::server::state::State;
use crate::text::object::Object;

/// The largest time that is stored: in the year 9999.
const MAX_TIME: i64 = 253_402_300_799;

/// Objects to find.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Find {
    /// The SHA-256 of each object, at most 200
    #[serde(deserialize_with = "digests")]
    #[schema(value_type = Vec<String>, max_items = 200)]
    sha256: Vec<Digest>,
}

/// Objects to remove.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Remove {
    /// The SHA-256 of each object, at most 50
    #[serde(deserialize_with = "digests")]
    #[schema(value_type = Vec<String>, max_items = 50)]
    sha256: Vec<Digest>,
}

/// Objects to claim.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Claims {
    /// The objects, at most 50
    #[schema(value_type = Vec<Claim>, max_items = 50)]
    objects: Vec<Object<Claim>>,
}

/// An object that a provider has made for a principal.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
struct Claim {
    /// The provider, by its id in policies
    #[schema(pattern = "^[A-Za-z0-9_-]{1,64}$")]
    provider: String,
    /// The kind, such as `file`
    #[schema(pattern = "^[a-z0-9_-]{1,64}$")]
    kind: String,
    /// The id at the provider, 1 to 512 bytes without control characters
    #[schema(min_length = 1, max_length = 512)]
    id: String,
    /// The principal that made the object: `holder` of its token's record, or the SHA-256 of another principal
    #[serde(deserialize_with = "read_digest")]
    #[schema(value_type = String, pattern = "^[0-9a-f]{64}$")]
    principal: Digest,
    /// The owner of the principal's record
    owner: Option<String>,
    /// The team of the principal's record
    team: Option<String>,
    /// The time at which the provider deletes the object, in seconds since 1970; before 1970 and after 9999 counts the nearest
    expires_at: Option<i64>,
}

/// The objects that are known, in no order.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct Objects {
    /// The objects
    objects: Vec<Held>,
}

/// An object and its holder.
#[derive(Serialize, utoipa::ToSchema)]
struct Held {
    /// The SHA-256 of `object`, the provider and the id, with a NUL between them
    sha256: String,
    /// The kind
    kind: String,
    /// The principal that holds the object
    principal: String,
    /// The owner when the principal got the object
    owner: Option<String>,
    /// The team when the principal got the object
    team: Option<String>,
    /// The sequence number of the newest change that the record has
    version: i64,
    /// The time at which the provider deletes the object, in seconds since 1970; from then on the record must not be used
    expires_at: Option<i64>,
}

/// Find the holders of objects
#[utoipa::path(
    post,
    path = "/v1/objects/find",
    tag = "objects",
    request_body = Find,
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The objects that are known; signed where the client accepts `application/jose` and the registry has a key for records", content((Objects = "application/json"), (String = "application/jose"))),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn find(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(Find { sha256 }): Json<Find>,
) -> Result<Response, Problem> {
    let found = state.registry().find_objects(&sha256).await;
    answer(&state, &headers, &sha256, found)
}

/// Claim new objects for the principals that made them
#[utoipa::path(
    post,
    path = "/v1/objects/claim",
    tag = "objects",
    request_body = Claims,
    security(("registry_token" = [])),
    responses(
        (status = 200, description = "The objects with their holders: the first claim of each; signed like an answer of `find`", content((Objects = "application/json"), (String = "application/jose"))),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn claim(
    Extract(state): Extract<State>,
    headers: HeaderMap,
    Json(Claims { objects }): Json<Claims>,
) -> Result<Response, Problem> {
    let claims =
        objects.into_iter().map(|Object(claim)| claim.read()).collect::<Result<Vec<_>, Problem>>()?;
    let digests: Vec<Digest> = claims.iter().map(|claim| claim.key.digest()).collect();
    let claimed = state.registry().claim_objects(claims).await;
    answer(&state, &headers, &digests, claimed)
}

/// Remove objects that a provider has deleted
#[utoipa::path(
    post,
    path = "/v1/objects/remove",
    tag = "objects",
    request_body = Remove,
    security(("registry_token" = [])),
    responses(
        (status = 204, description = "Removed, now or before"),
        Refused,
        BodyRefused,
        Misfit,
    )
)]
pub(super) async fn remove(
    Extract(state): Extract<State>,
    Json(Remove { sha256 }): Json<Remove>,
) -> Result<StatusCode, Problem> {
    state.registry().remove_objects(&sha256).await?;
    Ok(StatusCode::NO_CONTENT)
}

impl Claim {
    fn read(self) -> Result<ObjectClaim, Problem> {
        let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        Ok(ObjectClaim {
            key: ObjectKey::new(&self.provider, &self.id)?,
            kind: self.kind,
            principal: self.principal,
            owner: some(self.owner),
            team: some(self.team),
            expires_at: self.expires_at.map(|at| UnixTime(at.clamp(0, MAX_TIME))),
        })
    }
}

/// Returns the answer about these objects, signed where the client asks for that.
fn answer(
    state: &State,
    headers: &HeaderMap,
    asked: &[Digest],
    found: Result<Vec<KeptObject>, RegistryError>,
) -> Result<Response, Problem> {
    let held = |object: KeptObject| Held {
        sha256: object.digest.to_hex(),
        kind: object.kind,
        principal: object.principal.to_hex(),
        owner: object.owner,
        team: object.team,
        version: object.version,
        expires_at: object.expires_at.map(|at| at.0),
    };
    let objects = Objects { objects: found?.into_iter().map(held).collect() };
    match Signer::for_request(state, headers) {
        Some(signer) => signer.answer(&objects_name(asked), Ok(json!(objects))),
        None => Ok(Answer(objects).into_response()),
    }
}

/// Reads a list of digests.
fn digests<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Digest>, D::Error> {
    #[derive(Deserialize)]
    struct One(#[serde(deserialize_with = "read_digest")] Digest);
    let all = Vec::<One>::deserialize(deserializer)?;
    Ok(all.into_iter().map(|One(digest)| digest).collect())
}
