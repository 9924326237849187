//! `budget …` and `usage` on a registry.

use keyswap::registry::{CallerKind, Counts, Registry, UsageReport, UsageRow};
use keyswap_core::base::{Digest, UnixTime};
use serde_json::json;

use crate::tokens::Home;

#[test]
fn a_budget_is_set_shown_listed_and_deleted() {
    let home = Home::new();
    let token = home.json(&["token", "create", "--label", "ci", "--provider", "openai"])["sha256"].clone();
    let token = token.as_str().unwrap();
    let set = |subject: &str, more: &[&str]| home.json(&[&["budget", "set", subject], more].concat());
    let first = set("token:ci", &["--tokens", "1000000", "--per", "day"]);
    let state = &first["items"][0];
    assert_eq!(state["subject"], json!(format!("token:{token}")));
    assert_eq!(state["budget"], json!({"tokens": 1_000_000, "per": "day", "timezone": "UTC"}));
    set("owner:Alice@acme.example", &["--usd", "0.5", "--per", "hour"]);
    let usual = ["--usd", "500", "--per", "month", "--timezone", "Europe/Berlin"];
    let team = set("team:research", &usual);
    assert_eq!(home.json(&["budget", "show", "team:research"]), team);
    // A principal that the registry does not know, by all digits.
    set(&format!("token:{}", "A".repeat(64)), &usual);
    let list = home.run(&["budget", "list"]);
    let lines: Vec<&str> = list.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{}", list.stdout);
    assert!(lines[1].starts_with("owner:alice@acme.example  $0.5000 per hour (UTC)"), "{}", list.stdout);
    assert!(list.stdout.contains("$500.00 per month (Europe/Berlin)"), "{}", list.stdout);
    assert_eq!(home.json(&["budget", "delete", "team:research"]), json!({"deleted": "team:research"}));
    assert_eq!(home.run(&["budget", "show", "team:research"]).stdout, "no budget\n");
    for (args, words) in [
        (&["delete", "team:research"][..], "no such budget"),
        (&["set", "team:a"], "required"),
        (&["set", "team:a", "--usd", "1", "--tokens", "1", "--per", "day"], "cannot be used with"),
        (&["set", "team:a", "--usd", "-1", "--per", "day"], "unexpected argument"),
        (&["set", "team:a", "--usd=-1", "--per", "day"], "invalid usd"),
        (&["set", "team:a", "--usd", "9000001", "--per", "day"], "invalid usd"),
        (&["set", "team:a", "--tokens", "0", "--per", "day"], "invalid tokens"),
        (&["set", "team:a", "--usd", "1", "--per", "year"], "invalid value"),
        (&["set", "team:a", "--usd", "1", "--per", "day", "--timezone", "Mars"], "invalid timezone"),
        (&["set", "team:a b", "--usd", "1", "--per", "day"], "invalid subject"),
        (&["set", "research", "--usd", "1", "--per", "day"], "invalid subject"),
        (&["set", "token:nobody", "--usd", "1", "--per", "day"], "no such token"),
        (&["show", "token:ptk_secret"], "pass the token on standard input"),
    ] {
        let run = home.run(&[&["budget"], args].concat());
        assert!(run.code == 1 && run.stderr.contains(words), "{args:?}: {}", run.stderr);
    }
}

#[test]
fn usage_is_shown_as_a_table_json_csv_and_focus() {
    let home = Home::new();
    home.json(&["token", "create", "--label", "ci", "--provider", "openai"]);
    let none = home.run(&["usage"]);
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (0, "", "no usage\n"));
    report(home.url());
    let table = home.run(&["usage", "--by", "team"]).stdout;
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with("TEAM   COST"), "{table}");
    assert!(lines[1].starts_with("red    $1,234.57  3"), "{table}");
    assert!(lines[2].starts_with("-      $0.00") && lines[3].starts_with("total  $1,234.57"), "{table}");
    let all = home.json(&["usage", "--by", "token", "--since", "1d"]);
    assert_eq!((&all["by"], &all["items"][0]["label"]), (&json!("token"), &json!("alice")));
    assert_eq!((&all["items"][0]["usd"], &all["total"]["requests"]), (&json!("1234.567"), &json!(4)));
    for (filter, requests) in [
        (&["--team", "red"][..], 3),
        (&["--owner", "ALICE@acme.example"], 3),
        (&["--provider", "openai", "--model", "other"], 1),
        (&["--token", "ci"], 0),
        (&["--until", "2026-01-01", "--since", "2025-01-01"], 0),
    ] {
        let answer = home.json(&[&["usage"], filter].concat());
        assert_eq!(answer["total"]["requests"], json!(requests), "{filter:?}");
    }
    let csv = home.run(&["usage", "--by", "model", "--format", "csv"]).stdout;
    let expect = "model,label,requests,unmetered,unpriced,input,cached,cache_write,output,reasoning,audio,usd\n\
                  gpt-5,,3,0,0,1000,0,0,234,0,0,1234.567\n\
                  other,,1,1,0,0,0,0,0,0,0,0\n";
    assert_eq!(csv, expect);
    let focus = home.run(&["usage", "--output", "focus"]).stdout;
    assert_eq!(focus.lines().count(), 3);
    assert!(
        focus.starts_with("BilledCost,BillingAccountId,") && focus.contains("\n1234.567,keyswap,"),
        "{focus}"
    );
    for (args, words) in [
        (&["--since", "soon"][..], "invalid `--since`"),
        (&["--until", "2026-02-30"], "invalid `--until`"),
        (&["--since", "1d", "--until", "7d"], "`--since` must be before `--until`"),
        (&["--since", "2026-11-02", "--until", "2026-11-02"], "`--since` must be before `--until`"),
        (&["--since", "2999-01-01"], "`--since` must be before `--until`"),
        (&["--by", "year"], "invalid value"),
        (&["--token", "nobody"], "no such token"),
        (&["--format", "xml"], "invalid value"),
    ] {
        let run = home.run(&[&["usage"], args].concat());
        assert!(run.code == 1 && run.stderr.contains(words), "{args:?}: {}", run.stderr);
    }
}

fn report(url: &str) {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let row = |caller: &str, team: Option<&str>, model: &str, counts| UsageRow {
        hour: UnixTime(i64::try_from(since.as_secs()).unwrap()),
        principal: Digest::of(caller.as_bytes()),
        kind: CallerKind::Token,
        label: caller.to_owned(),
        owner: Some(format!("{caller}@acme.example")),
        team: team.map(str::to_owned),
        provider: "openai".to_owned(),
        model: model.to_owned(),
        counts,
    };
    let dear = Counts { requests: 3, input: 1000, output: 234, cost: 1_234_567_000_000, ..Counts::default() };
    let rows = vec![
        row("alice", Some("red"), "gpt-5", dear),
        row("bob", None, "other", Counts { requests: 1, unmetered: 1, ..Counts::default() }),
    ];
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let registry = Registry::open(&url.parse().unwrap()).await.unwrap();
        registry.report_usage(UsageReport { id: "0".repeat(32), rows }).await.unwrap();
    });
}
