//! The audit log: its filters, its pages and its export.

use keyswap::registry::{Actor, AuditQuery};
use keyswap_core::base::UnixTime;
use reqwest::Method;

use crate::server::Server;
use crate::support::{Database, on_both_databases};

on_both_databases!(entries_are_filtered, an_export_has_every_entry_and_no_formula);

async fn entries_are_filtered(database: &Database) {
    let registry = database.open().await;
    for (actor, action, subject) in [
        ("a@acme.example", "token.create", "1"),
        ("a@acme.example", "tokens.odd", "1"),
        ("b", "token_create", "2"),
        ("", "admin.sign_in_failed", "127.0.0.1"),
    ] {
        registry.note(&Actor::new(actor), action, subject).await.unwrap();
    }
    let some = |text: &str| Some(text.to_owned());
    let actions = async |query: AuditQuery| {
        let page = registry.audit(&query).await.unwrap();
        assert_eq!(usize::try_from(page.total).unwrap(), page.items.len());
        page.items.into_iter().map(|entry| entry.action).collect::<Vec<_>>()
    };
    let any = AuditQuery::default;
    for (query, expect) in [
        (AuditQuery { subject: some("1"), ..any() }, vec!["tokens.odd", "token.create"]),
        (AuditQuery { actor: some("b"), ..any() }, vec!["token_create"]),
        (AuditQuery { actor: some("unknown"), ..any() }, vec!["admin.sign_in_failed"]),
        (AuditQuery { action: some("token"), ..any() }, vec!["token.create"]),
        (AuditQuery { action: some("token.create"), subject: some("1"), ..any() }, vec!["token.create"]),
        (AuditQuery { action: some("%"), ..any() }, vec![]),
        (AuditQuery { actor: some("' OR ''='"), ..any() }, vec![]),
        (AuditQuery { until: Some(UnixTime(1)), ..any() }, vec![]),
        (AuditQuery { since: Some(UnixTime(i64::MAX)), ..any() }, vec![]),
        (AuditQuery { since: Some(UnixTime(1)), subject: some("2"), ..any() }, vec!["token_create"]),
    ] {
        assert_eq!(actions(query.clone()).await, expect, "{query:?}");
    }
    let second = AuditQuery { skip: 3, ..any() };
    assert_eq!(registry.audit(&second).await.unwrap().items[0].action, "token.create");
}

async fn an_export_has_every_entry_and_no_formula(database: &Database) {
    let registry = database.open().await;
    for number in 0..1003 {
        registry.note(&Actor::new("=cmd|' /C calc'!A0"), "test.note", &format!("@{number}")).await.unwrap();
    }
    let server = Server::start(&database.url());
    let cookie = server.sign_in().await;
    let get = async |path: &str| server.admin(&cookie, Method::GET, path).send().await.unwrap();
    let csv = get("/api/audit/export?format=csv&action=test").await;
    assert_eq!(csv.headers()["content-disposition"], "attachment; filename=\"audit.csv\"");
    assert_eq!(csv.headers()["cache-control"], "no-store");
    let csv = csv.text().await.unwrap();
    assert_eq!(csv.lines().count(), 1004, "the names of the columns stand once");
    assert!(csv.starts_with("id,at,actor,action,subject,detail\n"));
    assert!(csv.contains("\"'=cmd|' /C calc'!A0\",test.note,\"'@1002\",{}\n"), "{}", &csv[..200]);
    let lines = get("/api/audit/export?format=ndjson&action=test").await.text().await.unwrap();
    let subjects: Vec<String> = lines
        .lines()
        .map(|line| {
            serde_json::from_str::<serde_json::Value>(line).unwrap()["subject"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!((subjects.len(), subjects[0].as_str(), subjects[1002].as_str()), (1003, "@1002", "@0"));
    let noted = AuditQuery { action: Some("audit.export".to_owned()), ..AuditQuery::default() };
    assert_eq!(registry.audit(&noted).await.unwrap().total, 2, "exports stand in the log");
    for (path, status) in [
        ("/api/audit/export", 422),
        ("/api/audit/export?format=xml", 422),
        ("/api/audit/export?format=csv&since=soon", 422),
        ("/api/audit/export?format=csv&more=1", 400),
    ] {
        assert_eq!(get(path).await.status(), status, "{path}");
    }
    let none = get("/api/audit/export?format=ndjson&subject=none").await;
    assert_eq!((none.status().as_u16(), none.text().await.unwrap().as_str()), (200, ""));
    let stranger = server.admin("a=b", Method::GET, "/api/audit/export?format=csv").send().await.unwrap();
    assert_eq!(stranger.status(), 401);
}
