//! The endpoints of the APIs whose objects are not known (`tests/endpoints.yaml`), where an object belongs to its caller.

use anyhow::Result;
use serde_json::{Value, json};

use super::{
    endpoints::{Api, OPENED, Place, suite, table},
    providers::rows,
};

/// The APIs whose objects are known, and gateways, which keep none.
const KEPT: [&str; 12] = [
    "openai",
    "anthropic",
    "gemini",
    "google-vertex-ai",
    "azure-openai",
    "groq",
    "grok",
    "mistral",
    "compat",
    "universal",
    "cloudflare-rest",
    "vercel",
];

/// Returns the document of a suite in which an object belongs to its caller: what an API keeps whose objects are not known is
/// refused, also to a scope that has it.
pub(super) fn unkept_suite() -> Result<Value> {
    let (table, rows) = (table()?, rows()?);
    let apis: Vec<&Api> = table.apis.iter().filter(|api| !KEPT.contains(&&*api.provider)).collect();
    let mut suite = suite(&apis, &rows)?;
    suite["policy"]["objects"] = "own".into();
    suite["policy"]["registry"] = json!({"url": "https://registry.test", "credential": {"env": "KEY"}});
    let mut cases = Vec::new();
    for api in apis {
        let place = Place::of(api, &rows)?;
        for class in OPENED {
            for row in api.classes.get(class).into_iter().flatten() {
                let endpoints = api.endpoints(row)?;
                cases.extend(endpoints.iter().map(|it| it.refuse(class, "objects_unkept", &place)));
            }
        }
    }
    suite["cases"] = cases.into();
    Ok(suite)
}
