//! The book over HTTP: leases and reports of data planes, the admin API, the dashboard and metrics.

use std::collections::BTreeSet;

use keyswap::registry::{Payer, Role};
use keyswap_core::base::{Digest, UnixTime};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::server::Server;
use crate::support::{Database, admin, create, on_both_databases};

on_both_databases!(
    leases_have_the_form_that_data_planes_read,
    huge_and_wrong_numbers_do_no_harm,
    a_report_is_counted_once_and_seen_by_people,
    budgets_are_set_by_people,
    pages_show_usage_and_set_budgets,
    names_of_callers_do_no_harm_on_pages_and_in_files,
    metrics_have_bounded_labels_and_a_credential_of_their_own,
);

fn hour() -> String {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    UnixTime(i64::try_from(since.as_secs()).unwrap() / 3600 * 3600).to_string()
}

fn row(caller: &str, team: Option<&str>, model: &str, cost: u64) -> Value {
    json!({
        "hour": hour(), "sha256": Digest::of(caller.as_bytes()).to_hex(), "kind": "person", "label": caller,
        "owner": format!("{caller}@acme.example"), "team": team, "provider": "openai", "model": model, "requests": 2,
        "unmetered": 1, "unpriced": 0, "input": 12_000, "cached": 40, "cache_write": 0, "output": 10, "reasoning": 5,
        "audio": 0, "cost": cost,
    })
}

async fn status(request: RequestBuilder) -> u16 {
    request.send().await.unwrap().status().as_u16()
}

async fn json_of(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let (is, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(is, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

async fn report(server: &Server, number: u32, rows: Vec<Value>) {
    let body = json!({"report": format!("{number:032x}"), "rows": rows});
    assert_eq!(status(server.post("/v1/usage").json(&body)).await, 204);
}

async fn leases_have_the_form_that_data_planes_read(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "a").await.record.digest.to_hex();
    let server = Server::start(&database.url());
    let budget = json!({"usd": "10", "per": "month", "timezone": "Europe/Berlin"});
    let body = json!({"node": "envoy-1", "leases": [
        {"subject": format!("token:{token}"), "id": null, "spent": 0, "need": 456, "budget": budget},
        {"subject": "owner:Alice@acme.example", "id": null, "spent": 0, "need": 1, "budget": null},
        {"subject": "team:research", "id": null, "nonce": "ab".repeat(16), "budget": {"tokens": 5, "per": "hour"}},
    ]});
    let answer = json_of(server.post("/v1/leases").json(&body), 200).await;
    let first = &answer["leases"][0];
    let (id, resets) = (first["id"].as_str().unwrap(), first["resets_at"].as_str().unwrap());
    assert!(id.len() == 32 && (resets.ends_with("T23:00:00Z") || resets.ends_with("T22:00:00Z")), "{first}");
    assert_eq!(
        *first,
        json!({
            "subject": format!("token:{token}"), "id": id, "unit": "usd", "limit": 10_000_000_000_u64,
            "granted": 1_250_000_000, "remaining": 10_000_000_000_u64, "resets_at": resets, "expires_in": 60,
        })
    );
    let none = json!({"subject": "owner:Alice@acme.example", "id": null, "unit": null, "expires_in": 60});
    assert_eq!(answer["leases"][1], none);
    let third = &answer["leases"][2];
    assert_eq!(
        (&third["unit"], &third["granted"], &third["remaining"]),
        (&json!("tokens"), &json!(0), &json!(5))
    );
    assert!(third["id"].is_string());

    let renewal = json!({"leases": [
        {"subject": format!("token:{token}"), "id": id, "spent": 1_000_000_000, "need": 0, "budget": budget},
    ]});
    for _ in 0..2 {
        let answer = json_of(server.post("/v1/leases").json(&renewal), 200).await;
        let lease = &answer["leases"][0];
        assert_eq!(
            (&lease["granted"], &lease["remaining"]),
            (&json!(2_125_000_000), &json!(9_000_000_000_u64))
        );
        assert_eq!(lease["id"], id);
    }
}

async fn huge_and_wrong_numbers_do_no_harm(database: &Database) {
    database.open().await;
    let server = Server::start(&database.url());
    let lease = |more: Value| {
        let mut lease = json!({
            "subject": "team:a", "id": null, "spent": 0, "need": 1, "budget": {"tokens": 80, "per": "day"},
        });
        lease.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({"leases": [lease]})
    };
    let huge =
        json_of(server.post("/v1/leases").json(&lease(json!({"need": u64::MAX, "spent": u64::MAX}))), 200);
    let huge = huge.await["leases"][0].clone();
    assert_eq!((&huge["granted"], &huge["remaining"]), (&json!(80), &json!(80)));
    let over = lease(json!({"id": huge["id"], "spent": u64::MAX, "need": u64::MAX}));
    for _ in 0..2 {
        let over = json_of(server.post("/v1/leases").json(&over), 200).await["leases"][0].clone();
        assert_eq!((&over["granted"], &over["remaining"]), (&json!(80), &json!(0)));
    }
    for more in [
        json!({"need": -1}),
        json!({"need": 1.5}),
        json!({"need": "1"}),
        json!({"spent": 1e30}),
        json!({"other": 1}),
        json!({"budget": {"usd": "1", "tokens": 1, "per": "day"}}),
        json!({"budget": {"per": "day"}}),
        json!({"budget": {"usd": "9000001", "per": "day"}}),
        json!({"budget": {"usd": "0.0000000001", "per": "day"}}),
        json!({"budget": {"tokens": 1, "per": "year"}}),
        json!({"budget": {"tokens": 1, "per": "day", "timezone": "Mars/Olympus"}}),
    ] {
        let problem = json_of(server.post("/v1/leases").json(&lease(more.clone())), 422).await;
        assert_eq!(problem["code"], "invalid_body", "{more}");
    }
    for nonce in ["", "ab", &"g".repeat(32)] {
        let body = lease(json!({"nonce": nonce}));
        assert_eq!(json_of(server.post("/v1/leases").json(&body), 422).await["code"], "invalid_field");
    }
    for subject in ["token:abc", "team:two words", "plan:a", ""] {
        let body = lease(json!({"subject": subject}));
        assert_eq!(json_of(server.post("/v1/leases").json(&body), 422).await["code"], "invalid_field");
    }
    for body in [json!({"leases": []}), json!({}), json!({"leases": [lease(json!({})), 1]})] {
        assert_eq!(status(server.post("/v1/leases").json(&body)).await, 422, "{body}");
    }
    // A number in place of a text is read as it is written.
    let budget = json!({"budget": {"usd": 0.25, "per": "week"}});
    let answer = json_of(server.post("/v1/leases").json(&lease(budget)), 200).await;
    assert_eq!(answer["leases"][0]["limit"], 250_000_000);
}

async fn a_report_is_counted_once_and_seen_by_people(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "a").await.record.digest.to_hex();
    let server = Server::start(&database.url());
    let today = hour()[..10].to_owned();
    let rows = [row("alice", Some("red"), "gpt-5", 1_500_000_000), row("bob", None, "other", u64::MAX)];
    let body = json!({
        "marks": [{"sha256": token, "day": today}], "report": "0".repeat(32), "rows": rows,
    });
    for _ in 0..2 {
        assert_eq!(status(server.post("/v1/usage").json(&body)).await, 204);
    }
    for body in [
        json!({"rows": [row("alice", None, "gpt-5", 1)]}),
        json!({"report": "x", "rows": []}),
        json!({"report": "1".repeat(32), "rows": vec![row("alice", None, "gpt-5", 1); 501]}),
        json!({"report": "1".repeat(32), "rows": [{"hour": "soon"}]}),
        json!({"more": 1}),
        json!({}),
    ] {
        assert_eq!(status(server.post("/v1/usage").json(&body)).await, 422);
    }
    // All of 500 rows fit into a body.
    let many: Vec<Value> =
        (0..500).map(|caller| row(&format!("{caller:->200}"), Some("t"), "m", 1)).collect();
    report(&server, 7, many).await;
    for body in [json!({"marks": []}), json!({"report": "2".repeat(32)})] {
        assert_eq!(status(server.post("/v1/usage").json(&body)).await, 204, "{body}");
    }

    let cookie = server.sign_in().await;
    let get = |path: &str| server.admin(&cookie, Method::GET, path);
    let answer = json_of(get("/api/usage?by=token&team=red&since=1d"), 200).await;
    let alice = Digest::of(b"alice").to_hex();
    let counts = json!({
        "requests": 2, "unmetered": 1, "unpriced": 0, "input": 12_000, "cached": 40, "cache_write": 0, "output": 10,
        "reasoning": 5, "audio": 0, "usd": "1.5",
    });
    let mut line = counts.clone();
    line["key"] = json!(alice);
    line["label"] = json!("alice");
    assert_eq!(answer, json!({"items": [line], "total": counts}));
    let answer = json_of(get("/api/usage?by=model&owner=BOB@acme.example"), 200).await;
    assert_eq!(answer["total"]["usd"], "9000000");
    let answer = json_of(get(&format!("/api/usage/details?token={alice}&limit=5")), 200).await;
    let detail = &answer["items"][0];
    assert_eq!(
        (&detail["day"], &detail["kind"], &detail["team"]),
        (&json!(today), &json!("person"), &json!("red"))
    );
    for query in ["by=year", "since=soon", "until=2026-13-01", "token=a", "limit=-1", "more=1"] {
        let code = status(get(&format!("/api/usage?{query}"))).await;
        assert!(code == 400 || code == 422, "{query}: {code}");
    }
    assert_eq!(status(server.get("/admin/api/usage")).await, 401);
}

async fn budgets_are_set_by_people(database: &Database) {
    let registry = database.open().await;
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let ask = |method: Method, path: &str| server.admin(&cookie, method, path);
    let path = "/api/budgets/owner:Alice%40acme.example";
    let budget = json!({"usd": "12.50", "per": "week", "timezone": "europe/berlin"});
    let set = json_of(ask(Method::PUT, path).json(&budget), 200).await;
    let state = &set["items"][0];
    assert_eq!(state["budget"], json!({"usd": "12.5", "per": "week", "timezone": "Europe/Berlin"}));
    assert_eq!(
        (&state["subject"], &state["set_by"], &state["limit"], &state["spent"]),
        (&json!("owner:alice@acme.example"), &json!("registry"), &json!(12_500_000_000_u64), &json!(0))
    );
    for (path, body, code) in [
        (path, json!({"usd": "1"}), 422),
        (path, json!({"usd": "-1", "per": "day"}), 422),
        ("/api/budgets/alice", budget.clone(), 422),
        ("/api/budgets/token:12", budget.clone(), 422),
    ] {
        assert_eq!(status(ask(Method::PUT, path).json(&body)).await, code, "{path} {body}");
    }
    // The budget of a policy is in the list while its window lasts.
    let lease = json!({"leases": [
        {"subject": "team:red", "need": 1, "budget": {"tokens": 80, "per": "month"}},
        {"subject": "owner:alice@acme.example", "need": 1},
    ]});
    let leased = json_of(server.post("/v1/leases").json(&lease), 200).await;
    assert_eq!(leased["leases"][1]["limit"], 12_500_000_000_u64);
    let list = json_of(ask(Method::GET, "/api/budgets"), 200).await;
    let names: Vec<(&Value, &Value, &Value)> = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|state| (&state["subject"], &state["set_by"], &state["leased"]))
        .collect();
    assert_eq!(
        names,
        [
            (&json!("owner:alice@acme.example"), &json!("registry"), &json!(1_562_500_000)),
            (&json!("team:red"), &json!("policy"), &json!(10))
        ]
    );
    assert_eq!(status(ask(Method::DELETE, path)).await, 204);
    assert_eq!(status(ask(Method::DELETE, path)).await, 404);
    let subject = Payer::parse("owner:alice@acme.example").unwrap();
    assert_eq!(registry.budget(&subject, UnixTime(0)).await.unwrap(), []);
    let audit = json_of(ask(Method::GET, "/api/audit?subject=owner:alice@acme.example"), 200).await;
    assert_eq!((&audit["total"], &audit["items"][1]["action"]), (&json!(2), &json!("budget.set")));
    assert_eq!(audit["items"][1]["actor"], "admin");
}

async fn pages_show_usage_and_set_budgets(database: &Database) {
    let registry = database.open().await;
    let token = create(&registry, "alice-laptop").await.record.digest;
    let server = Server::start(&database.url());
    let mut of_token = row("alice", Some("red"), "gpt-5", 2_500_000_000);
    of_token["sha256"] = json!(token.to_hex());
    report(&server, 1, vec![of_token, row("bob", Some("blue"), "o9", 1_000_000_000)]).await;
    let cookie = server.sign_in().await;
    let get = async |path: &str| {
        let response = server.admin(&cookie, Method::GET, path).send().await.unwrap();
        (response.status().as_u16(), response.text().await.unwrap())
    };
    let (code, overview) = get("/usage?days=7").await;
    assert_eq!(code, 200, "{overview}");
    for expect in
        ["$3.50", "gpt-5", "team%3Ared", "Cost by day", "role=\"img\"", "No budgets.", "by=day", "form=focus"]
    {
        assert!(overview.contains(expect), "{expect}: {overview}");
    }
    assert!(!overview.contains("style=") && !overview.contains("<script>"), "{overview}");

    for (subject, shown, hidden) in [
        (format!("token%3A{}", token.to_hex()), "Usage of alice-laptop", "o9"),
        ("owner%3Abob%40acme.example".to_owned(), "Usage of bob@acme.example", "gpt-5"),
        ("team%3Ablue".to_owned(), "Usage of team blue", "gpt-5"),
    ] {
        let path = format!("/usage/{subject}");
        let (code, page) = get(&path).await;
        assert!(code == 200 && page.contains(shown) && !page.contains(hidden), "{page}");
        let post = async |form: &[(&str, &str)]| {
            let request = server.admin(&cookie, Method::POST, &format!("{path}/budget"));
            let response = request.form(form).send().await.unwrap();
            (response.status().as_u16(), response.text().await.unwrap())
        };
        let form = [("amount", "500"), ("unit", "usd"), ("per", "week"), ("timezone", "Europe/Berlin")];
        let (code, page) = post(&form).await;
        assert!(code == 200 && page.contains("$500.00 per week (Europe/Berlin)"), "{page}");
        assert!(page.contains("<strong>$500.00</strong>"), "{page}");
        for (name, wrong, said) in [
            ("amount", "much", "invalid usd"),
            ("unit", "euro", "invalid unit"),
            ("per", "year", "invalid period"),
            ("timezone", "Mars", "invalid timezone"),
        ] {
            let form = form.map(|(field, value)| (field, if field == name { wrong } else { value }));
            let (code, page) = post(&form).await;
            assert!(code == 422 && page.contains(said), "{name}: {page}");
        }
        let tokens = [("amount", "1000000"), ("unit", "tokens"), ("per", "day"), ("timezone", "UTC")];
        assert!(post(&tokens).await.1.contains("1,000,000 tokens per day (UTC)"));
        let (code, page) = post(&[("clear", "yes")]).await;
        assert!(code == 200 && page.contains("No budget is set here"), "{page}");
    }
    assert_eq!(get("/usage/nonsense").await.0, 422);
    assert!(get("/usage/find?subject=red").await.1.contains("Usage of team red"));
    assert!(get("/usage/find?subject=Bob%40acme.example").await.1.contains("Usage of bob@acme.example"));
    let record = get(&format!("/tokens/{}", token.to_hex())).await.1;
    assert!(record.contains(&format!("/admin/usage/token%3A{}", token.to_hex())), "{record}");
}

async fn names_of_callers_do_no_harm_on_pages_and_in_files(database: &Database) {
    database.open().await;
    let server = Server::start(&database.url());
    let hostile = "<b>=1+1</b>\u{1b}[2J\n";
    let mut caller = row("x", None, hostile, 1);
    caller["label"] = json!("=HYPERLINK(\"https://evil.example\")");
    caller["team"] = json!("a,\"b\"");
    report(&server, 1, vec![caller]).await;
    let cookie = server.sign_in().await;
    let page = server.admin(&cookie, Method::GET, "/usage").send().await.unwrap().text().await.unwrap();
    assert!(page.contains("&lt;b&gt;=1+1&lt;/b&gt;[2J") && !page.contains("<b>"), "{page}");
    for (query, expect) in [
        ("by=token", "\"'=HYPERLINK(\"\"https://evil.example\"\")\",2,1,0,12000,40,0,10,5,0,0.000000001"),
        ("by=team", "\"a,\"\"b\"\"\",,2,1"),
        ("by=day", ",,2,1,0,12000"),
        ("form=focus", "AI and Machine Learning,openai,Generative AI"),
    ] {
        let response =
            server.admin(&cookie, Method::GET, &format!("/usage.csv?{query}")).send().await.unwrap();
        assert_eq!(response.headers()["content-type"], "text/csv; charset=utf-8");
        assert!(response.headers()["content-disposition"].to_str().unwrap().starts_with("attachment"));
        let text = response.text().await.unwrap();
        assert!(text.lines().count() == 2 && text.contains(expect), "{query}: {text}");
    }
    assert_eq!(status(server.admin(&cookie, Method::GET, "/usage.csv?by=year")).await, 400);
}

/// The beginnings of the names of metrics.
const METRICS: [&str; 2] = ["keyswap_registry_", "gen_ai_client_"];

async fn metrics_have_bounded_labels_and_a_credential_of_their_own(database: &Database) {
    let registry = database.open().await;
    let credential =
        registry.create_credential("prometheus", Role::Metrics, &admin()).await.unwrap().credential;
    let introspection =
        registry.create_credential("x", Role::Introspection, &admin()).await.unwrap().credential;
    let server = Server::start(&database.url());
    report(&server, 1, vec![row("alice", Some("re\"d"), "gpt-5", 1_500_000_000)]).await;
    let lease = json!({"leases": [
        {"subject": "team:red", "need": 1, "budget": {"usd": "80", "per": "month"}},
        {"subject": format!("token:{}", "ab".repeat(32)), "need": 1, "budget": {"tokens": 80, "per": "month"}},
        {"subject": "owner:bob@acme.example", "need": 81, "budget": {"tokens": 80, "per": "month"}},
    ]});
    json_of(server.post("/v1/leases").json(&lease), 200).await;
    let with = |path: &str, credential: &str| {
        server.client.get(format!("{}{path}", server.url)).bearer_auth(credential.to_owned())
    };
    let response = with("/metrics", credential.expose()).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let text = response.text().await.unwrap();
    for line in [
        r#"keyswap_registry_cost_dollars_total{team="re\"d",provider="openai",model="gpt-5"} 1.5"#,
        r#"keyswap_registry_requests_total{team="re\"d",provider="openai",model="gpt-5"} 2"#,
        r#"keyswap_registry_unmetered_requests_total{team="re\"d",provider="openai",model="gpt-5"} 1"#,
        r#"keyswap_registry_tokens_total{team="re\"d",provider="openai",model="gpt-5",type="input"} 12000"#,
        r#"keyswap_registry_budget_limit{subject="team:red",unit="usd",per="month"} 80"#,
        r#"keyswap_registry_budget_leased{subject="team:red",unit="usd",per="month"} 10"#,
        r#"keyswap_registry_budget_remaining{subject="team:red",unit="usd",per="month"} 80"#,
        "# TYPE keyswap_registry_tokens_total counter",
        r#"gen_ai_client_token_usage_bucket{gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",team="re\"d",gen_ai_token_type="input",le="+Inf"} 1"#,
        r#"gen_ai_client_token_usage_sum{gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",team="re\"d",gen_ai_token_type="input"} 12000"#,
        r#"gen_ai_client_token_usage_count{gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",team="re\"d",gen_ai_token_type="output"} 1"#,
        r#"gen_ai_client_inference_usage_cache_read_input_tokens_total{gen_ai_provider_name="openai",gen_ai_request_model="gpt-5",team="re\"d",gen_ai_token_modality="unknown"} 40"#,
        "# TYPE gen_ai_client_token_usage histogram",
        "keyswap_registry_leases 3",
        "keyswap_registry_lease_refusals_total 1",
        "keyswap_registry_database_errors_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
    let document = std::fs::read_to_string("../docs/operate/metrics.md").unwrap();
    let documented: BTreeSet<&str> =
        document.split('`').filter(|word| METRICS.iter().any(|begin| word.starts_with(begin))).collect();
    let answered: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
    // This registry follows no Secrets.
    let of_secrets = |name: &&&str| name.starts_with("keyswap_registry_secret");
    assert_eq!(documented.iter().filter(of_secrets).count(), 6);
    assert_eq!(documented.into_iter().filter(|name| !of_secrets(&name)).collect::<BTreeSet<_>>(), answered);
    // Tokens are too many for labels, unless an administrator set their budget.
    assert!(!text.contains("token:"), "{text}");
    for (path, credential, expect) in [
        ("/metrics", "krc_unknown", 401),
        ("/metrics", introspection.expose(), 403),
        ("/v1/changes", credential.expose(), 403),
        ("/v1/leases", credential.expose(), 405),
    ] {
        assert_eq!(status(with(path, credential)).await, expect, "{path}");
    }
    assert_eq!(status(server.get("/metrics")).await, 200);
    assert_eq!(status(server.client.get(format!("{}/metrics", server.url))).await, 401);
}
