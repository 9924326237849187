//! The server's answers to data planes: records, changes, limits, errors.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use keyswap::registry::{NewToken, NewUser, RateLimit, Source, Status};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};

use crate::server::{CREDENTIAL, Server, command};
use crate::support::{Database, admin, create, new_token, run};

/// Runs tests on SQLite only: they concern the server, not the database.
macro_rules! on_sqlite {
    ($($name:ident),+ $(,)?) => {
        mod sqlite {
            $(#[test]
            fn $name() {
                crate::support::run(super::$name, &crate::support::Database::sqlite());
            })+
        }
    };
}

on_sqlite!(
    a_record_has_an_etag_and_is_sent_once,
    a_principal_is_found_by_address,
    introspection_tells_nothing_of_what_may_not_be_used,
    a_limit_is_taken_over_http,
    every_error_is_a_problem_with_a_code,
    only_data_planes_are_let_in,
    a_stop_answers_those_who_wait,
    whoever_sends_too_slowly_is_cut_off,
);

async fn problem(request: RequestBuilder, status: u16, code: &str) {
    let response = request.send().await.unwrap();
    let headers = response.headers().clone();
    assert_eq!(response.status(), status, "{response:?}");
    assert_eq!(headers["content-type"], "application/problem+json");
    let body: Value = json(response).await;
    assert_eq!((&body["code"], &body["status"]), (&json!(code), &json!(status)), "{body}");
    assert!(body["detail"].as_str().is_some_and(|detail| !detail.is_empty()));
    assert_eq!(headers.contains_key("www-authenticate"), status == 401);
}

async fn json(response: Response) -> Value {
    serde_json::from_str(&response.text().await.unwrap()).unwrap()
}

async fn a_record_has_an_etag_and_is_sent_once(database: &Database) {
    let registry = database.open().await;
    let (limit, team) = (RateLimit::new(100, 60).unwrap(), "research".to_owned());
    let new = NewToken { rate_limit: Some(limit), team: Some(team), ..new_token("alice-laptop") };
    let token = registry.create_token(Source::Mint, new, &admin()).await.unwrap().record;
    let hex = token.digest.to_hex();
    let server = Server::start(&database.url());
    let path = format!("/v1/tokens/{hex}");
    let response = server.get(&path).send().await.unwrap();
    assert_eq!(response.headers()["etag"], "\"1\"");
    assert_eq!(
        json(response).await,
        json!({
            "sha256": hex, "label": "alice-laptop", "owner": "alice@acme.example", "team": "research",
            "status": "active",
            "providers": ["openai"], "models": ["*"], "created_at": token.created_at.to_string(),
            "expires_at": null, "rate_limit": {"requests": 100, "per": "60s"}, "successor": null,
            "retires_at": null, "holder": hex, "version": 1
        })
    );
    for (tags, status) in
        [("\"1\"", 304), ("W/\"1\"", 304), ("\"0\", \"1\"", 304), ("*", 304), ("\"2\"", 200), ("1", 200)]
    {
        let response = server.get(&path).header("if-none-match", tags).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), &response.headers()["etag"]),
            (status, &"\"1\"".parse().unwrap()),
            "{tags}"
        );
        assert_eq!(response.text().await.unwrap().is_empty(), status == 304);
    }
    registry.set_token_status(&token.digest, Status::Disabled, &admin()).await.unwrap();
    let response = server.get(&path).header("if-none-match", "\"1\"").send().await.unwrap();
    assert_eq!(json(response).await["status"], "disabled");
    registry.delete_token(&token.digest, &admin()).await.unwrap();
    problem(server.get(&path), 404, "unknown_token").await;
}

async fn a_principal_is_found_by_address(database: &Database) {
    let registry = database.open().await;
    let providers = vec!["openai".to_owned()];
    let (email, team) = ("a+b@acme.example".to_owned(), Some("research".to_owned()));
    let user = NewUser { email, team, providers, ..NewUser::default() };
    registry.create_user(user, &admin()).await.unwrap();
    let server = Server::start(&database.url());
    for path in ["/v1/principals/a+b@acme.example", "/v1/principals/A%2Bb%40ACME.example"] {
        let response = server.get(path).send().await.unwrap();
        assert_eq!(response.headers()["etag"], "\"1\"");
        let record = json(response).await;
        assert_eq!((&record["email"], &record["status"]), (&json!("a+b@acme.example"), &json!("active")));
        assert_eq!(record["team"], "research");
    }
    problem(server.get("/v1/principals/b@acme.example"), 404, "unknown_user").await;
}

async fn introspection_tells_nothing_of_what_may_not_be_used(database: &Database) {
    let registry = database.open().await;
    let created = create(&registry, "a").await;
    let (token, record) = (created.token.unwrap(), created.record);
    let server = Server::start(&database.url());
    let ask = async |token: &str| {
        json(
            server
                .post("/introspect")
                .form(&[("token", token), ("token_type_hint", "x")])
                .send()
                .await
                .unwrap(),
        )
        .await
    };
    assert_eq!(
        ask(token.expose()).await,
        json!({
            "active": true, "token_type": "Bearer", "sub": record.id(), "username": "alice@acme.example",
            "iat": record.created_at.0, "label": "a", "providers": ["openai"], "models": ["*"]
        })
    );
    let bound = NewToken { certificate_sha256: Some("ab".repeat(32)), ..new_token("bound") };
    let bound = registry.create_token(Source::Mint, bound, &admin()).await.unwrap().token.unwrap();
    let certificate = "q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s";
    assert_eq!(ask(bound.expose()).await["cnf"], json!({"x5t#S256": certificate}));
    let inactive = json!({"active": false});
    assert_eq!(ask("unknown").await, inactive);
    registry.set_token_expiry(&record.digest, Some("2020-01-01T00:00:00Z"), &admin()).await.unwrap();
    assert_eq!(ask(token.expose()).await, inactive);
    registry.set_token_expiry(&record.digest, Some("2099-01-01T00:00:00Z"), &admin()).await.unwrap();
    assert_eq!(ask(token.expose()).await["exp"], json!(4_070_908_800_i64));
    registry.set_token_status(&record.digest, Status::Disabled, &admin()).await.unwrap();
    assert_eq!(ask(token.expose()).await, inactive);
}

async fn a_limit_is_taken_over_http(database: &Database) {
    let registry = database.open().await;
    let sha256 = create(&registry, "a").await.record.digest.to_hex();
    let server = Server::start(&database.url());
    let question = json!({"sha256": sha256, "requests": 2, "per": "1d"});
    let mut answers = Vec::new();
    for _ in 0..3 {
        let response = server.post("/v1/limits").json(&question).send().await.unwrap();
        assert_eq!(response.status(), 200);
        answers.push(json(response).await);
    }
    assert_eq!(
        answers[0],
        json!({"allowed": true, "limit": 2, "remaining": 1, "retry_after": 0, "reset": 43200, "window": 86400})
    );
    assert_eq!((&answers[1]["allowed"], &answers[1]["remaining"]), (&json!(true), &json!(0)));
    assert_eq!((&answers[2]["allowed"], &answers[2]["remaining"]), (&json!(false), &json!(0)));
    problem(server.post("/v1/limits").json(&json!({"sha256": sha256})), 422, "no_rate_limit").await;
}

async fn every_error_is_a_problem_with_a_code(database: &Database) {
    let server = Server::start(&database.url());
    let hex = "0".repeat(64);
    let limits = |body: Value| server.post("/v1/limits").json(&body);
    problem(server.get("/v1/tokens/abc"), 400, "invalid_digest").await;
    problem(server.get(&format!("/v1/tokens/{}", "A".repeat(64))), 400, "invalid_digest").await;
    problem(server.get(&format!("/v1/tokens/{hex}")), 404, "unknown_token").await;
    problem(server.get("/v1/principals/%ff"), 400, "invalid_path").await;
    problem(server.get("/v1/nothing"), 404, "not_found").await;
    problem(server.post(&format!("/v1/tokens/{hex}")), 405, "method_not_allowed").await;
    for query in [
        "?since=",
        "?since=-1",
        "?since=x",
        "?since=0&wait=61",
        "?since=0&since=1",
        "?since=0&x=1",
        "?since=99999999999999999999",
    ] {
        problem(server.get(&format!("/v1/changes{query}")), 400, "invalid_parameter").await;
    }
    for body in ["", "{", "[1", "{\"sha256\": \"a\"} {}", "\u{feff}{}", "nul"] {
        let request = server.post("/v1/limits").header("content-type", "application/json").body(body);
        problem(request, 400, "malformed_json").await;
    }
    for body in [
        json!([]),
        json!([hex]),
        json!(null),
        json!({}),
        json!({"sha256": 1}),
        json!({"sha256": "abc"}),
        json!({"sha256": hex, "more": 1}),
        json!({"sha256": hex, "requests": -1, "per": "60s"}),
        json!({"sha256": hex, "requests": 1}),
        json!({"sha256": hex, "per": "60s"}),
        json!({"sha256": hex, "requests": 1.5, "per": "60s"}),
    ] {
        problem(limits(body), 422, "invalid_body").await;
    }
    for (requests, per) in [(0, "60s"), (1, "60"), (1, "500ms"), (2_000_000, "60s"), (1, "2d")] {
        problem(limits(json!({"sha256": hex, "requests": requests, "per": per})), 422, "invalid_field").await;
    }
    problem(limits(json!({"sha256": hex})), 404, "unknown_token").await;
    let deep = server.post("/v1/limits").header("content-type", "application/json").body("[".repeat(60_000));
    problem(deep, 400, "malformed_json").await;
    let large = server.post("/v1/limits").header("content-type", "application/json").body(" ".repeat(65_537));
    problem(large, 413, "body_too_large").await;
    problem(server.post("/v1/limits").body("{}"), 415, "unsupported_media_type").await;
    problem(server.post("/introspect").json(&json!({"token": "a"})), 415, "unsupported_media_type").await;
    let form = |body: &'static str| {
        server.post("/introspect").header("content-type", "application/x-www-form-urlencoded").body(body)
    };
    problem(form(""), 400, "invalid_request").await;
    problem(form("token=a&token=b"), 400, "invalid_request").await;
    let day = json!({"marks": [{"sha256": hex, "day": "2026-02-30"}]});
    problem(server.post("/v1/usage").json(&day), 422, "invalid_body").await;
    let array = json!({"marks": [[hex, "2026-01-01"]]});
    problem(server.post("/v1/usage").json(&array), 422, "invalid_body").await;
    let future = json!({"marks": [{"sha256": hex, "day": "9999-01-01"}]});
    problem(server.post("/v1/usage").json(&future), 422, "invalid_field").await;
    assert_eq!(server.get("/healthz").send().await.unwrap().status(), 200);
}

async fn only_data_planes_are_let_in(database: &Database) {
    let server = Server::start(&database.url());
    let url = format!("{}/v1/changes?since=0", server.url);
    let bare = || server.client.get(&url);
    problem(bare(), 401, "unauthorized").await;
    problem(bare().bearer_auth(&CREDENTIAL[1..]), 401, "unauthorized").await;
    problem(bare().bearer_auth(""), 401, "unauthorized").await;
    problem(bare().basic_auth("a", Some(CREDENTIAL)), 401, "unauthorized").await;
    problem(bare().bearer_auth(CREDENTIAL).bearer_auth(CREDENTIAL), 401, "unauthorized").await;
    for path in ["/v1/usage", "/v1/limits", "/introspect"] {
        problem(server.client.post(format!("{}{path}", server.url)), 401, "unauthorized").await;
    }
    let lower = bare().header("authorization", format!("bearer {CREDENTIAL}")).send().await.unwrap();
    assert_eq!(lower.status(), 200);
}

async fn a_stop_answers_those_who_wait(database: &Database) {
    let mut server = Server::start(&database.url());
    let address = server.url.strip_prefix("http://").unwrap();
    let mut waiting = TcpStream::connect(address).unwrap();
    let head = format!(
        "GET /v1/changes?since=0&wait=60 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CREDENTIAL}\r\n\r\n"
    );
    waiting.write_all(head.as_bytes()).unwrap();
    server.until_logged(&["request begins", "/v1/changes"]);
    server.terminate();
    waiting.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.contains("\r\n\r\n{\"sequence\":0,\"history\":\""), "{answer}");
    assert!(answer.ends_with("\",\"reset\":false,\"changes\":[]}"), "{answer}");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
}

async fn whoever_sends_too_slowly_is_cut_off(database: &Database) {
    let server = Server::start_with(&database.url(), &["--client-timeout", "1s"]);
    let address = server.url.strip_prefix("http://").unwrap();
    let json = "Content-Type: application/json\r\nx-keyswap-client: test\r\nContent-Length: 100\r\n";
    let heads = [
        (String::new(), ""),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n".to_owned(), ""),
        (format!("POST /admin/session HTTP/1.1\r\nHost: a\r\n{json}\r\n{{\"password\""), "body_too_slow"),
        (
            format!("POST /v1/usage HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {CREDENTIAL}\r\n{json}\r\n"),
            "body_too_slow",
        ),
    ];
    for (sent, code) in heads {
        let mut slow = TcpStream::connect(address).unwrap();
        slow.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        slow.write_all(sent.as_bytes()).unwrap();
        // A byte now and then does not extend the time limit.
        let mut trickle = slow.try_clone().unwrap();
        std::thread::spawn(move || {
            while trickle.write_all(b"a").is_ok() {
                std::thread::sleep(Duration::from_millis(100));
            }
        });
        let mut answer = Vec::new();
        // The connection may end with a reset, since the server leaves bytes unread.
        let _ = slow.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        assert_eq!(answer.starts_with("HTTP/1.1 408"), !code.is_empty(), "{sent}: {answer}");
        assert!(answer.contains(code), "{answer}");
    }
    // The wait of a long poll is not counted as slowness of the client.
    let waiting = server.get("/v1/changes?since=0&wait=3").send().await.unwrap();
    assert_eq!(waiting.status(), 200);
}

#[test]
fn a_long_poll_over_http_is_woken_by_another_process() {
    run(
        async |database| {
            let server = Server::start(&database.url());
            let waiting = tokio::spawn(server.get("/v1/changes?since=0&wait=60").send());
            let registry = database.open().await;
            let digest = create(&registry, "a").await.record.digest;
            let feed = json(waiting.await.unwrap().unwrap()).await;
            let change = json!({"kind": "token", "key": digest.to_hex(), "sequence": 1});
            let history = feed["history"].as_str().unwrap();
            assert_eq!(history.len(), 16);
            let expect = json!({"sequence": 1, "history": history, "reset": false, "changes": [change]});
            assert_eq!(feed, expect);
            // Without a number: the number to start from.
            let newest = json(server.get("/v1/changes").send().await.unwrap()).await;
            let expect = json!({"sequence": 1, "history": history, "reset": false, "changes": []});
            assert_eq!(newest, expect);
            // With the history of another database the wait is over at once.
            let other = server.get("/v1/changes?since=1&history=0123456789abcdef&wait=60").send();
            assert_eq!(json(other.await.unwrap()).await["reset"], true);
        },
        &Database::sqlite(),
    );
}

#[test]
fn secrets_that_cannot_be_used_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).unwrap();
        folder.path().join(name).to_str().unwrap().to_owned()
    };
    let (good, bad) = (file("good", "SENTINEL-0123456789\n"), file("bad", "SENTINEL-\n0123456789"));
    let token = "KEYSWAP_REGISTRY_TOKEN";
    let in_file = "KEYSWAP_REGISTRY_TOKEN_FILE";
    for (environment, expect) in [
        (vec![], "set `KEYSWAP_REGISTRY_TOKEN`, or set `KEYSWAP_REGISTRY_TOKEN_FILE`"),
        (vec![(token, "SENTINEL")], "`KEYSWAP_REGISTRY_TOKEN` is too short: it needs at least 16 characters"),
        (vec![(token, "SENTINEL\t0123456789")], "`KEYSWAP_REGISTRY_TOKEN` contains a control character"),
        (vec![(in_file, bad.as_str())], "`KEYSWAP_REGISTRY_TOKEN_FILE` contains a control character"),
        (vec![(in_file, "/nowhere")], "cannot read `/nowhere`"),
        (vec![(token, "SENTINEL-0123456789"), (in_file, good.as_str())], "both"),
        (
            vec![(in_file, good.as_str()), ("KEYSWAP_ADMIN_PASSWORD", "SENTINEL")],
            "`KEYSWAP_ADMIN_PASSWORD` is too short: it needs at least 12 characters",
        ),
        (
            vec![(in_file, good.as_str()), ("KEYSWAP_DATABASE", "mysql://SENTINEL")],
            "expected `sqlite://FILE`",
        ),
    ] {
        let output = command().arg("serve").envs(environment).current_dir(folder.path()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expect), "{said}");
        assert!(!said.contains("SENTINEL"), "{said}");
        assert_eq!(output.status.code(), Some(1));
    }
}
