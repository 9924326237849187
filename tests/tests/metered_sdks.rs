//! Unmodified SDKs whose usage is metered: they see the same answers as without, and the registry has what they took.

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Envoy, Registry, Request, Standin, TOKEN, Testbed,
    clients::{Call, Client, Mode, Sdk},
    until,
};
use serde_json::{Value, json};

/// The tokens of every answer of the stand-in.
const INPUT: u64 = 8;
const OUTPUT: u64 = 12;

fn modes(sdk: Sdk) -> &'static [Mode] {
    match sdk {
        Sdk::OpenAi => &[Mode::Chat, Mode::Stream, Mode::Responses, Mode::ResponsesStream],
        Sdk::Anthropic | Sdk::AnthropicXApiKey => &[Mode::Chat, Mode::Stream],
    }
}

fn metered(standin: &Standin, registry: &Registry) -> Result<Envoy> {
    let mut policy = Testbed::policy();
    policy["metering"] = json!({});
    policy["registry"] = Testbed::registry();
    let setup = Testbed::setup_with(&policy, standin);
    setup.env("KEYSWAP_REGISTRY_TOKEN", registry.registry_token()).registry(registry.address()).start()
}

fn asks_for_usage(standin: &Standin) -> bool {
    let requests = standin.take();
    requests.iter().any(|it| it.json().pointer("/stream_options/include_usage") == Some(&json!(true)))
}

#[test]
fn metered_sdks_see_the_same_answers_and_the_registry_has_what_they_took() -> Result<()> {
    let (standin, registry) = (Standin::start()?, Registry::start()?);
    let (metered, plain) = (metered(&standin, &registry)?, Testbed::setup(&standin).start()?);
    let (mut openai, mut anthropic) = (0_u64, 0_u64);
    for client in Client::ALL {
        for mode in modes(client.sdk) {
            let run = |envoy: &Envoy| {
                let call = Call { mode: *mode, base_url: &envoy.url(), token: TOKEN, headers: &[] };
                client.run(&call).with_context(|| format!("{client}, {mode:?}"))
            };
            let (with, without) = (run(&metered)?, run(&plain)?);
            ensure!(with == without, "{client}, {mode:?}: {with:?} instead of {without:?}");
            *(if client.sdk == Sdk::OpenAi { &mut openai } else { &mut anthropic }) += 1;
        }
    }
    let usage = || registry.admin("GET", "/usage?by=provider", &Value::Null);
    until("all is in the book", || Ok(usage()?["total"]["requests"] == openai + anthropic))?;
    let usage = usage()?;
    for (provider, requests) in [("openai", openai), ("anthropic", anthropic)] {
        let rows = usage["items"].as_array().into_iter().flatten();
        let row = rows.clone().find(|row| row["key"] == provider).with_context(|| usage.to_string())?;
        ensure!(row["requests"] == requests && row["unmetered"] == 0, "{row}");
        ensure!(row["input"] == INPUT * requests && row["output"] == OUTPUT * requests, "{row}");
    }
    Ok(())
}

#[test]
fn usage_that_a_caller_did_not_ask_for_is_asked_for_and_not_shown() -> Result<()> {
    let (standin, registry) = (Standin::start()?, Registry::start()?);
    let (metered, plain) = (metered(&standin, &registry)?, Testbed::setup(&standin).start()?);
    // A caller that says no is not overruled: its request is unmetered, and costs what was reserved.
    for (options, is_asked_for, is_shown) in [
        (Value::Null, true, false),
        (json!({}), true, false),
        (json!({"include_usage": false}), false, false),
        (json!({"include_usage": true}), true, true),
    ] {
        let mut body = json!({"model": "gpt-5", "stream": true, "messages": []});
        if !options.is_null() {
            body["stream_options"] = options.clone();
        }
        let request = Request::post("/v1/chat/completions", &body).bearer(TOKEN);
        let with = metered.send(&request)?;
        ensure!(asks_for_usage(&standin) == is_asked_for, "{options}");
        let without = plain.send(&request)?;
        ensure!(asks_for_usage(&standin) == is_shown, "{options}");
        ensure!(with.text() == without.text(), "{options}: {} instead of {}", with.text(), without.text());
        ensure!(with.text().contains("prompt_tokens") == is_shown, "{options}: {}", with.text());
    }
    until("all is in the book", || {
        let total = registry.admin("GET", "/usage", &Value::Null)?["total"].clone();
        let is_metered = total["input"] == 3 * INPUT && total["output"] == 3 * OUTPUT;
        Ok(total["requests"] == 4 && total["unmetered"] == 1 && is_metered)
    })?;
    Ok(())
}
