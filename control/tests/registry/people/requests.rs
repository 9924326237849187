//! A request for each route of the administration.

use keyswap::server::AdminRoute;
use serde_json::json;

use super::setup::{Body, Things, number};

/// The part of a request that names a thing.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Named {
    /// An existing thing in the path: a foreign one is unknown.
    Subject,
    /// A new thing in the body: a foreign one is refused.
    New,
    /// None, or one that need not exist.
    Nothing,
}

/// Returns a request for a route, about these things. A route without a row fails the test.
pub(super) fn request(route: &AdminRoute, things: &Things) -> (Named, String, Body) {
    let (method, path) = (route.method.as_str(), route.path);
    let (named, body) = match method {
        // An address has what is in reach of the role, which may be nothing.
        "GET"
            if path.contains('{')
                && !["/policies/", "/owners/", "/api-keys/"].iter().any(|part| path.contains(part)) =>
        {
            (Named::Subject, Body::None)
        }
        "GET" => (Named::Nothing, Body::None),
        _ if path.starts_with("/admin/api/") || path == "/admin/session" => to_api(method, path, things),
        _ => to_page(method, path, things),
    };
    let is_read = method == "GET" && (path.ends_with("{email}") || path.ends_with("/sessions"));
    let filled = path
        .replace("/objects/{sha256}", &format!("/objects/{}", things.object.digest.to_hex()))
        .replace("/tokens/{sha256}", &format!("/tokens/{}", things.token.digest.to_hex()))
        .replace("{sha256}", &"0".repeat(64))
        .replace("{sid}", &things.session)
        .replace("{email}", if is_read { things.email } else { &things.user })
        .replace("{subject}", &format!("token:{}", things.token.digest.to_hex()))
        .replace("{name}", "prod")
        .replace("{revision}", "1");
    let query = match path {
        "/admin/usage/find" => "?subject=team:red",
        "/admin/api/audit/export" => "?format=csv",
        "/admin/offboard" => "?email=bob%40acme.example",
        _ => "",
    };
    (named, format!("{filled}{query}"), body)
}

/// Returns the body for a route of the API that changes something.
fn to_api(method: &str, path: &str, things: &Things) -> (Named, Body) {
    let json = Body::Json;
    let subject = format!("token:{}", things.token.digest.to_hex());
    let (name, email) = (format!("n{}", number()), format!("n{}@acme.example", number()));
    match (method, path) {
        ("POST", "/admin/api/tokens") => {
            let new =
                json!({"label": name, "providers": ["openai"], "team": things.team, "owner": things.email});
            (Named::New, json(new))
        }
        ("POST", "/admin/api/tokens/import") => (Named::Nothing, json(json!({"tokens": []}))),
        ("PATCH", "/admin/api/tokens/{sha256}") => (Named::Subject, json(json!({"status": "disabled"}))),
        ("POST", "/admin/api/tokens/{sha256}/rotate") => (Named::Subject, json(json!({}))),
        (
            "DELETE",
            "/admin/api/tokens/{sha256}" | "/admin/api/users/{email}" | "/admin/api/sessions/{sid}",
        )
        | ("POST", "/admin/api/owners/{email}/offboard") => (Named::Subject, Body::None),
        ("POST", "/admin/api/users") => {
            (Named::New, json(json!({"email": email, "providers": ["openai"], "team": things.team})))
        }
        ("PATCH", "/admin/api/users/{email}") => (Named::Subject, json(json!({"label": name}))),
        ("PUT", "/admin/api/budgets/{subject}") => (Named::Subject, json(json!({"usd": "1", "per": "day"}))),
        ("DELETE", "/admin/api/budgets/{subject}" | "/admin/api/objects/{sha256}") => {
            (Named::Subject, Body::None)
        }
        ("POST", "/admin/api/objects/adopt") => {
            (Named::Nothing, json(json!({"provider": "openai", "ids": [name], "holder": subject})))
        }
        ("POST", "/admin/api/objects/transfer") => {
            (Named::Nothing, json(json!({"from": subject, "to": format!("person:{email}")})))
        }
        ("POST", "/admin/api/objects/{sha256}/transfer") => {
            (Named::Subject, json(json!({"to": format!("person:{email}")})))
        }
        ("POST", "/admin/api/credentials") => {
            (Named::Nothing, json(json!({"name": name, "role": "metrics"})))
        }
        ("POST", "/admin/api/api-keys") => (Named::Nothing, json(json!({"name": name, "role": "auditor"}))),
        ("DELETE", "/admin/api/credentials/{sha256}" | "/admin/api/api-keys/{sha256}" | "/admin/session") => {
            (Named::Nothing, Body::None)
        }
        ("POST", "/admin/api/policies" | "/admin/api/policies/{name}/proposal") => {
            (Named::Nothing, json(json!({"bundle": "x"})))
        }
        ("PUT", "/admin/api/policies/{name}/signers") => (Named::Nothing, json(json!({"request": "x"}))),
        (method, path) => panic!("{method} {path} is not in the matrix"),
    }
}

/// Returns the form for a page that changes something.
fn to_page(method: &str, path: &str, things: &Things) -> (Named, Body) {
    let form = |fields: &[(&'static str, &str)]| {
        Body::Form(fields.iter().map(|(name, value)| (*name, (*value).to_owned())).collect())
    };
    let subject = format!("token:{}", things.token.digest.to_hex());
    let (name, email) = (format!("n{}", number()), format!("n{}@acme.example", number()));
    match (method, path) {
        ("POST", "/admin/tokens") => {
            let fields = [
                ("label", name.as_str()),
                ("provider", "openai"),
                ("team", things.team),
                ("owner", things.email),
            ];
            (Named::New, form(&fields))
        }
        ("POST", "/admin/tokens/{sha256}/status" | "/admin/users/{email}/status") => {
            (Named::Subject, form(&[("status", "disabled")]))
        }
        ("POST", "/admin/tokens/{sha256}") => {
            let fields = [("label", name.as_str()), ("provider", "openai"), ("team", things.team)];
            (Named::Subject, form(&fields))
        }
        ("POST", "/admin/tokens/{sha256}/undo") => {
            (Named::Subject, form(&[("entry", &things.entries[0].to_string())]))
        }
        ("POST", "/admin/users/{email}/undo") => {
            (Named::Subject, form(&[("entry", &things.entries[1].to_string())]))
        }
        ("POST", "/admin/offboard") => (Named::Subject, form(&[("email", things.email)])),
        ("POST", "/admin/tokens/{sha256}/expiry" | "/admin/tokens/{sha256}/rate-limit") => {
            (Named::Subject, form(&[("clear", "yes")]))
        }
        ("POST", "/admin/tokens/{sha256}/rotate") => (Named::Subject, form(&[("grace", "1h")])),
        (
            "POST",
            "/admin/tokens/{sha256}/delete"
            | "/admin/tokens/{sha256}/new"
            | "/admin/users/{email}/delete"
            | "/admin/sessions/{sid}/end"
            | "/admin/objects/{sha256}/forget",
        ) => (Named::Subject, form(&[])),
        ("POST", "/admin/users") => {
            (Named::New, form(&[("email", &email), ("provider", "openai"), ("team", things.team)]))
        }
        ("POST", "/admin/users/{email}") => {
            (Named::Subject, form(&[("provider", "openai"), ("team", things.team)]))
        }
        ("POST", "/admin/usage/{subject}/budget") => {
            let fields = [("amount", "1"), ("unit", "usd"), ("per", "day"), ("timezone", "UTC")];
            (Named::Subject, form(&fields))
        }
        ("POST", "/admin/objects") => {
            (Named::Nothing, form(&[("provider", "openai"), ("ids", &name), ("holder", &subject)]))
        }
        ("POST", "/admin/objects/transfer") => {
            (Named::Nothing, form(&[("from", &subject), ("to", &format!("person:{email}")), ("sure", "yes")]))
        }
        ("POST", "/admin/objects/{sha256}/transfer") => {
            (Named::Subject, form(&[("to", &format!("person:{email}"))]))
        }
        ("POST", "/admin/api-keys") => (Named::Nothing, form(&[("name", &name), ("role", "auditor")])),
        ("POST", "/admin/sessions") => (Named::Nothing, form(&[("code", "BCDF-GHJK")])),
        ("POST", "/admin/sessions/device") => {
            (Named::Nothing, form(&[("code", "BCDF-GHJK"), ("decision", "refuse")]))
        }
        ("POST", "/admin/api-keys/{sha256}/new" | "/admin/api-keys/{sha256}/revoke" | "/admin/sign-out") => {
            (Named::Nothing, form(&[]))
        }
        (method, path) => panic!("{method} {path} is not in the matrix"),
    }
}
