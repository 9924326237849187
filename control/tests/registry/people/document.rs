//! The document of the API: each route with its schemas, which real answers fit.

use keyswap::server::{AdminRoute, admin_routes};
use serde_json::{Value, json};

use super::setup::Body;
use crate::server::Server;
use crate::support::{Database, run};

/// The `OpenAPI` document of a server.
pub(super) struct Document(Value);

impl Document {
    pub(super) async fn of(server: &Server) -> Self {
        let answer =
            server.client.get(format!("{}/admin/api/openapi.json", server.url)).send().await.unwrap();
        Self(serde_json::from_str(&answer.text().await.unwrap()).unwrap())
    }

    fn operation(&self, route: &AdminRoute) -> &Value {
        &self.0["paths"][route.path][route.method.as_str().to_lowercase()]
    }

    /// Returns the response for a status, and its media types.
    fn response(&self, route: &AdminRoute, status: u16) -> &Value {
        let responses = &self.operation(route)["responses"];
        let class = format!("{}XX", status / 100);
        let known = [status.to_string(), class].into_iter().find_map(|name| responses.get(name));
        known.unwrap_or(&responses["default"])
    }

    /// Returns how an answer does not fit its schema, or the body of a request that was carried out. Pages fit.
    pub(super) fn misfit(&self, route: &AdminRoute, body: &Body, status: u16, text: &str) -> Option<String> {
        if !route.path.starts_with("/admin/api/") {
            return None;
        }
        let told = |error: String| format!("{} {} {status}: {error}: {text}", route.method, route.path);
        if let (Body::Json(sent), 200..300) = (body, status) {
            let schema = &self.operation(route)["requestBody"]["content"]["application/json"]["schema"];
            if let Some(error) = self.error(schema, sent) {
                return Some(told(format!("the request: {error}")));
            }
        }
        let media_type = if status < 400 { "application/json" } else { "application/problem+json" };
        let response = self.response(route, status);
        let Some(content) = response.get("content") else {
            return (!text.is_empty()).then(|| told("expected no body".to_owned()));
        };
        let Some(content) = content.get(media_type) else {
            return content.get("text/csv; charset=utf-8").is_none().then(|| told("no schema".to_owned()));
        };
        let Ok(answer) = serde_json::from_str(text) else { return Some(told("no JSON".to_owned())) };
        self.error(&content["schema"], &answer).map(told)
    }

    /// Returns the first error of a value under a schema of the document.
    fn error(&self, schema: &Value, value: &Value) -> Option<String> {
        let mut root = schema.clone();
        root["components"] = self.0["components"].clone();
        let validator = jsonschema::draft202012::new(&root).unwrap();
        validator.iter_errors(value).next().map(|error| format!("{error} at `{}`", error.instance_path()))
    }
}

/// Calls `see` with each object in a value.
fn each_object(value: &Value, see: &mut impl FnMut(&serde_json::Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| each_object(item, see)),
        Value::Object(members) => {
            see(members);
            members.values().for_each(|member| each_object(member, see));
        }
        _ => {}
    }
}

#[test]
fn the_document_of_the_api_has_every_route_with_its_bodies_and_how_to_sign_in() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let document = Document::of(&server).await;
            for route in admin_routes().iter().filter(|route| route.path.starts_with("/admin/api/")) {
                let operation = document.operation(route);
                assert!(operation["summary"].is_string(), "{route:?}");
                assert_eq!(operation["security"], json!([{"api_key": []}, {"session": []}]), "{route:?}");
                for status in [401, 403, 418] {
                    let content = &document.response(route, status)["content"];
                    let problem = json!({"$ref": "#/components/schemas/ProblemBody"});
                    assert_eq!(content["application/problem+json"]["schema"], problem, "{route:?} {status}");
                }
                let responses = operation["responses"].as_object().unwrap();
                let success = responses.iter().find(|(status, _)| status.starts_with('2'));
                let (status, success) = success.unwrap_or_else(|| panic!("{route:?} has no success"));
                let bodies = success["content"].as_object();
                assert_eq!(bodies.is_some(), status != "204", "{route:?}");
                let bodies = bodies.into_iter().flat_map(|bodies| bodies.values());
                for body in bodies.chain(operation["requestBody"]["content"].get("application/json")) {
                    let schema = body["schema"].as_object().unwrap();
                    assert!(
                        ["$ref", "properties", "allOf", "type"].iter().any(|name| schema.contains_key(*name)),
                        "{route:?}: {schema:?}"
                    );
                    assert_ne!(body["schema"], json!({"type": "object"}), "{route:?}");
                }
            }
            each_object(&document.0, &mut |members| {
                if let Some(Value::String(at)) = members.get("$ref") {
                    assert!(document.0.pointer(&at[1..]).is_some(), "{at}");
                }
            });
            let schemes = &document.0["components"]["securitySchemes"];
            assert_eq!(
                (&schemes["api_key"]["scheme"], &schemes["session"]["in"]),
                (&json!("bearer"), &json!("cookie"))
            );
        },
        &Database::sqlite(),
    );
}

#[test]
fn the_schemas_tell_another_body_from_the_right_one() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let document = Document::of(&server).await;
            let cookie = server.sign_in().await;
            let new =
                json!({"label": "a", "providers": ["openai"], "rate_limit": {"requests": 1, "per": "1s"}});
            let made = server.admin(&cookie, reqwest::Method::POST, "/api/tokens").json(&new);
            let made: Value =
                serde_json::from_str(&made.send().await.unwrap().text().await.unwrap()).unwrap();
            let routes = admin_routes();
            let route = routes
                .iter()
                .find(|route| route.method == reqwest::Method::POST && route.path == "/admin/api/tokens")
                .unwrap();
            let misfit = |sent: &Value, answer: &Value| {
                document.misfit(route, &Body::Json(sent.clone()), 201, &answer.to_string())
            };
            assert_eq!(misfit(&new, &made), None);
            for (member, value) in [
                ("/record/sha256", json!(1)),
                ("/record/providers", json!("openai")),
                ("/record/status", json!("gone")),
                ("/record/rate_limit/per", Value::Null),
                ("/record", json!({})),
            ] {
                let mut other = made.clone();
                *other.pointer_mut(member).unwrap() = value;
                assert!(misfit(&new, &other).is_some(), "{member}");
            }
            for sent in [json!({"lable": "a"}), json!({"label": 1}), json!({"providers": [1]}), json!([])] {
                assert!(misfit(&sent, &made).is_some(), "{sent}");
            }
        },
        &Database::sqlite(),
    );
}
