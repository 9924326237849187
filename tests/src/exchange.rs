//! Callers of exchanges: their JWTs, and the bodies of the calls in which these stand.

use std::collections::BTreeMap;

use anyhow::Result;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::{Call, SigningKey, unix_now};

/// The issuer of the callers' JWTs: a cluster.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";

/// Returns the JWT of a workload of the cluster.
///
/// # Errors
/// Fails if the key cannot sign.
pub fn jwt(key: &SigningKey, subject: &str) -> Result<String> {
    key.sign(&json!({
        "iss": ISSUER, "aud": ["keyswap"], "exp": unix_now() + 3600, "sub": subject,
        "kubernetes.io": {"namespace": "agents", "serviceaccount": {"name": "coder"}},
    }))
}

/// Returns the members of a form or of a JSON object.
pub fn members(call: &Call) -> BTreeMap<String, String> {
    let kind = call.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.as_str());
    match kind {
        Some("application/x-www-form-urlencoded") => {
            serde_urlencoded::from_bytes(&call.body).unwrap_or_default()
        }
        Some("application/json") => serde_json::from_slice(&call.body).unwrap_or_default(),
        _ => BTreeMap::new(),
    }
}

/// Returns the subject of a JWT, as a service reads it that verified it.
pub fn subject(jwt: &str) -> Option<String> {
    let claims = BASE64_URL_SAFE_NO_PAD.decode(jwt.split('.').nth(1)?).ok()?;
    Some(serde_json::from_slice::<Value>(&claims).ok()?.get("sub")?.as_str()?.to_owned())
}
