//! `prices`: a table in LiteLLM's format becomes the prices of a policy or the shipped table, and prices are shown with
//! their origin.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;

use keyswap_core::price::{Counts, Part, Table, Tier};
use serde_json::{Value, json};

use crate::support::{Folder, assert_only_text, keyswap};

/// Returns a table as LiteLLM writes it: documentation, models of several providers, and costs of other kinds.
fn litellm() -> Value {
    let model = |provider: &str, input: f64, output: f64| {
        json!({"litellm_provider": provider, "mode": "chat", "input_cost_per_token": input, "output_cost_per_token": output,
               "max_output_tokens": 1000, "supports_vision": true})
    };
    let with = |mut entry: Value, members: Value| {
        entry.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        entry
    };
    json!({
        "sample_spec": {"litellm_provider": "one of https://docs.litellm.ai/docs/providers", "input_cost_per_token": 0.0,
                        "deprecation_date": "date when the model becomes deprecated", "mode": "one of: chat, embedding"},
        "gpt-next": with(model("openai", 5e-6, 3e-5), json!({
            "cache_read_input_token_cost": 5e-7, "input_cost_per_token_above_272k_tokens": 1e-5,
            "output_cost_per_token_above_272k_tokens": 4.5e-5, "input_cost_per_token_priority": 1.25e-5,
            "input_cost_per_token_flex": 2.5e-6, "input_cost_per_token_batches": 2.5e-6, "input_cost_per_image": 0.01,
            "search_context_cost_per_query": {"search_context_size_low": 0.01}})),
        "gpt-next-2026-11-01": with(model("openai", 5e-6, 3e-5), json!({
            "cache_read_input_token_cost": 5e-7, "input_cost_per_token_above_272k_tokens": 1e-5,
            "output_cost_per_token_above_272k_tokens": 4.5e-5, "input_cost_per_token_priority": 1.25e-5,
            "input_cost_per_token_flex": 2.5e-6, "input_cost_per_token_batches": 2.5e-6})),
        "gpt-next-2026-01-01": model("openai", 7e-6, 3e-5),
        "gpt-latest": {"alias_of": "gpt-next-2026-01-01"},
        "azure/gpt-next": model("azure", 5e-6, 3e-5),
        "azure/eu/gpt-next": model("azure", 6e-6, 3e-5),
        "vertex_ai/claude-next@20261101": model("vertex_ai-anthropic_models", 3e-6, 1.5e-5),
        "claude-next": with(model("anthropic", 3e-6, 1.5e-5), json!({
            "cache_creation_input_token_cost": 3.75e-6, "cache_creation_input_token_cost_above_1hr": 6e-6})),
        "groq/maker/open-model": model("groq", 1.5e-7, 6e-7),
        "gpt-gone": with(model("openai", 1e-6, 1e-6), json!({"deprecation_date": "2026-10-01"})),
        "fireworks_ai/accounts/fireworks/models/one-of-hundreds": {
            "litellm_provider": "fireworks_ai", "mode": "chat", "input_cost_per_token": 2e-7, "output_cost_per_token": 2e-7},
        "low/1024-x-1024/painter": model("openai", 1e-6, 1e-6),
        "whisper": {"litellm_provider": "openai", "mode": "audio_transcription", "input_cost_per_second": 0.0001},
        "text-embedding-next": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-8},
        "dashscope/other": model("dashscope", 1e-6, 1e-6),
    })
}

const SHIPPED: &str = "2026-11-29
# anthropic
claude-next 1000 3,15,,3.75,6
# groq
maker/open-model 1000 .15,.6
# openai
gpt-latest 1000 7,30
gpt-next 1000 5,30,.5 >272:10,45 fb:2.5 p:12.5
gpt-next-2026-01-01 1000 7,30
text-embedding-next - .02,0
";

#[test]
fn the_shipped_table_has_the_rows_that_no_other_rule_finds() {
    let folder = Folder::new();
    let table = folder.file("prices.json", litellm().to_string());
    let path = folder.file("table.txt", "");
    let run = keyswap(&["prices", "update", &table, "--shipped", &path, "--dated", "2026-11-29"]);
    assert_eq!((run.code, run.stdout.as_str()), (0, ""), "{}", run.stderr);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, SHIPPED);
}

#[test]
fn a_row_costs_what_the_table_that_it_came_from_says() {
    let table = Table::read(SHIPPED);
    let dollars = |provider: &str, model: &str, part: Part, tier: Option<Tier>, input: u64| {
        let price = table.find(provider, model).unwrap().price;
        let counts = match part {
            Part::Output => Counts { input, output: 1000, ..Counts::default() },
            Part::CacheWrite1h => {
                Counts { input, cache_write: input, cache_write_1h: input, ..Counts::default() }
            }
            _ => Counts { input, ..Counts::default() },
        };
        price.cost(&counts, tier).to_string()
    };
    for (provider, model, part, tier, input, expect) in [
        ("openai", "gpt-next", Part::Input, None, 1000, "0.005"),
        ("openai", "gpt-next-2026-11-01", Part::Input, Some(Tier::Priority), 1000, "0.0125"),
        ("azure-openai", "gpt-next", Part::Output, Some(Tier::Flex), 1000, "0.0325"),
        ("openai", "gpt-next", Part::Output, Some(Tier::Batch), 300_000, "3.045"),
        ("openai", "gpt-next-2026-01-01", Part::Input, None, 1000, "0.007"),
        ("google-vertex-ai", "claude-next@20261101", Part::CacheWrite1h, None, 1000, "0.006"),
        ("openai", "text-embedding-next", Part::Input, None, 1000, "0.00002"),
    ] {
        assert_eq!(dollars(provider, model, part, tier, input), expect, "{provider} {model} {part:?}");
    }
    assert!(["whisper", "gpt-gone", "painter"].iter().all(|model| table.find("openai", model).is_none()));
}

const POLICY: &str = "version: keyswap/v1
credentials: {openai: [{env: A}]}   # the only one

prices: # negotiated
  mine: {input: 1, output: 2}
  openai/gpt-next: {input: 9, output: 9}

# last
slots: [authorization]
";

#[test]
fn a_policy_gets_the_prices_of_its_providers_and_stays_as_it_is_otherwise() {
    let folder = Folder::new();
    let table = folder.file("prices.json", litellm().to_string());
    let policy = folder.file("policy.yaml", POLICY);
    let run = keyswap(&["prices", "update", &table, "--policy", &policy]);
    assert_eq!(run.code, 0, "{}", run.all());
    let text = std::fs::read_to_string(&policy).unwrap();
    let (before, rest) = text.split_once("prices:\n").unwrap();
    let (prices, after) = rest.split_once("\n\n").unwrap();
    assert_eq!(before, "version: keyswap/v1\ncredentials: {openai: [{env: A}]}   # the only one\n\n");
    assert_eq!(after, "# last\nslots: [authorization]\n");
    assert!(prices.contains("  \"mine\": {input: 1, output: 2}\n"), "{prices}");
    assert!(prices.contains("  \"openai/gpt-next\": {input: 5, output: 30, cached: 0.5,"), "{prices}");
    assert!(!prices.contains("claude") && !prices.contains("groq"), "{prices}");
    let again = keyswap(&["prices", "update", &table, "--policy", &policy]);
    assert_eq!((again.code, std::fs::read_to_string(&policy).unwrap()), (0, text));
    let show = keyswap(&[
        "prices",
        "show",
        "openai/gpt-next-2026-11-01",
        "mine",
        "--policy",
        &policy,
        "--format",
        "json",
    ]);
    assert_eq!(show.code, 0, "{}", show.all());
    let shown = show.json();
    assert_eq!((&shown[0]["from"], &shown[0]["price"]["flex"]["input"]), (&json!("policy"), &json!("2.5")));
    assert_eq!((&shown[1]["provider"], &shown[1]["price"]["output"]), (&Value::Null, &json!("2")));
}

#[test]
fn a_policy_keeps_its_mode_and_its_links_and_no_other_file_is_written() {
    let folder = Folder::new();
    let table = folder.file("prices.json", litellm().to_string());
    let policy = folder.file("policy.yaml", POLICY);
    let other = folder.file("policy.yaml.new", "of the user");
    let link = folder.path("link.yaml");
    std::os::unix::fs::symlink("policy.yaml", &link).unwrap();
    std::fs::set_permissions(&policy, Permissions::from_mode(0o640)).unwrap();
    let run = keyswap(&["prices", "update", &table, "--policy", link.to_str().unwrap()]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
    assert!(std::fs::read_to_string(&policy).unwrap().contains("\"openai/gpt-next\""));
    assert_eq!(std::fs::metadata(&policy).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(std::fs::read_to_string(&other).unwrap(), "of the user");
    assert_eq!(std::fs::read_dir(folder.path("")).unwrap().count(), 4);
}

#[test]
fn a_policy_in_json_and_one_in_standard_output_have_the_same_prices() {
    let folder = Folder::new();
    let table = folder.file("prices.json", litellm().to_string());
    let policy = folder.file(
        "policy.json",
        json!({"version": "keyswap/v1", "credentials": {"openai": [{"env": "A"}]}}).to_string(),
    );
    assert_eq!(keyswap(&["prices", "update", &table, "--policy", &policy]).code, 0);
    let written: Value = serde_json::from_str(&std::fs::read_to_string(&policy).unwrap()).unwrap();
    let printed = keyswap(&["prices", "update", &table]);
    assert_only_text(&printed);
    let whole = format!("version: keyswap/v1\ncredentials: {{openai: [{{env: A}}]}}\n{}", printed.stdout);
    let checked = folder.file("printed.yaml", &whole);
    assert_eq!(keyswap(&["policy", "check", &checked]).code, 0, "{whole}");
    assert!(printed.stdout.contains("\"fireworks/one-of-hundreds\""), "{}", printed.stdout);
    assert_eq!(written["prices"]["openai/gpt-latest"]["input"], "7");
    assert!(
        printed.stdout.contains("\"groq/maker/open-model\"")
            && written["prices"].get("groq/maker/open-model").is_none()
    );
}

#[test]
fn what_is_no_table_or_no_policy_is_an_error_that_names_the_entry_and_writes_nothing() {
    let folder = Folder::new();
    let mut bad = litellm();
    bad["gpt-next"]["input_cost_per_token_flex"] = json!("free");
    bad["groq/x"] = json!({"litellm_provider": "groq", "input_cost_per_token": -1});
    bad["li\u{7}st"] = json!([1]);
    let policy = folder.file("policy.yaml", POLICY);
    for (table, expect) in [
        (bad.to_string(), "`gpt-next`: `input_cost_per_token_flex` is no price"),
        (bad.to_string(), "`groq/x`: `input_cost_per_token` is no price"),
        (bad.to_string(), "`li\\u{7}st`: expected an object"),
        ("[]".to_owned(), "not an object of models in JSON, at line 1"),
        ("{".to_owned(), "not an object of models in JSON, at line 1"),
        ("{}".to_owned(), "no entry has a price of tokens"),
    ] {
        let table = folder.file("prices.json", table);
        let run = keyswap(&["prices", "update", &table, "--policy", &policy]);
        assert_eq!((run.code, run.stdout.as_str()), (1, ""), "{expect}");
        assert!(run.stderr.contains(expect), "{expect}: {}", run.stderr);
        assert_only_text(&run);
    }
    let table = folder.file("prices.json", litellm().to_string());
    let broken = folder.file("broken.yaml", "version: keyswap/v1\n");
    for args in [&["update", &table][..], &["show", "gpt-5"]] {
        let run = keyswap(&[&["prices"], args, &["--policy", &broken]].concat());
        assert_eq!((run.code, run.stdout.as_str()), (3, ""), "{args:?}");
        assert!(
            run.stderr.starts_with("error: the field `credentials` is missing\n")
                && run.stderr.ends_with("broken.yaml: 1 error\n"),
            "{args:?}: {}",
            run.stderr
        );
    }
    assert_eq!(std::fs::read_to_string(&policy).unwrap(), POLICY);
}

#[test]
fn a_model_is_shown_for_each_provider_that_has_it_and_one_without_a_price_ends_with_an_error() {
    let run = keyswap(&["prices", "show", "anthropic/claude-sonnet-4-5", "azure-openai/gpt-4o"]);
    assert_eq!(run.code, 0, "{}", run.all());
    assert!(
        run.stdout.contains("`anthropic/claude-sonnet-4-5`") && run.stdout.contains("`openai/gpt-4o`"),
        "{}",
        run.stdout
    );
    let run = keyswap(&["prices", "show", "gpt-4o", "no-such-model"]);
    assert_eq!((run.code, run.stdout.lines().count()), (1, 3), "{}", run.all());
    assert!(run.stderr.contains("`no-such-model` has no price"), "{}", run.stderr);
}
