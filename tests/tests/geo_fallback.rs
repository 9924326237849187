//! `envoy/geo-fallback.yaml`: a request that OpenAI refuses because of the region is retried through another region.

use std::{fs, io};

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{
    Envoy, Request, Standin, TOKEN, Testbed,
    clients::{
        Call, Event, Mode,
        matrix::{Provider, WS},
    },
};
use serde_json::{Value, json};

/// The limit that the file sets.
const LIMIT: usize = 4_194_304;

/// `OpenAI` in a region that it does not serve, and through an egress in another region.
struct World {
    blocked: Standin,
    egress: Standin,
    envoy: Envoy,
}

impl World {
    fn start() -> Result<Self> {
        let (blocked, egress) = (Standin::start()?, Standin::start()?);
        blocked.refuse(403, geo_block());
        let folder = tempfile::tempdir()?;
        let authorities = folder.path().join("ca.pem");
        let pem = [&blocked, &egress].map(|standin| fs::read(standin.ca_file()));
        fs::write(&authorities, pem.into_iter().collect::<io::Result<Vec<_>>>()?.concat())?;
        let envoy = Testbed::setup(&blocked)
            .overlay("geo-fallback.yaml")
            .tweak(|bootstrap| place(bootstrap, [&blocked, &egress], &json!(authorities)))
            .start()?;
        Ok(Self { blocked, egress, envoy })
    }

    fn models(&self) -> Result<(u16, Value)> {
        let response = self.envoy.send(&Request::get("/v1/models").bearer(TOKEN))?;
        ensure!(response.header("x-keyswap-geo-blocked").is_none(), "the mark reached the caller");
        Ok((response.status, response.json()?))
    }

    /// Returns the number of requests at each, after checking that they have the real key and not the token.
    fn arrived(&self) -> Result<[usize; 2]> {
        let mut counts = [0; 2];
        for (count, standin) in counts.iter_mut().zip([&self.blocked, &self.egress]) {
            let received = standin.take();
            ensure!(!received.iter().any(|request| request.contains(TOKEN)), "the token reached OpenAI");
            received.iter().try_for_each(|request| Provider::OpenAi.check(request))?;
            *count = received.len();
        }
        Ok(counts)
    }
}

fn geo_block() -> Value {
    json!({"error": {
        "code": "unsupported_country_region_territory",
        "message": "Country, region, or territory not supported",
        "param": null,
        "type": "request_forbidden",
    }})
}

/// Replaces `OpenAI` and the relay in the file with the stand-ins.
fn place(bootstrap: &mut Value, standins: [&Standin; 2], authorities: &Value) {
    let clusters = bootstrap.pointer_mut("/static_resources/clusters").and_then(Value::as_array_mut);
    let cluster = clusters.into_iter().flatten().find(|cluster| cluster["name"] == "openai");
    let cluster = cluster.expect("the bootstrap has the cluster `openai`");
    for (priority, standin) in standins.into_iter().enumerate() {
        let endpoint = &mut cluster["load_assignment"]["endpoints"][priority]["lb_endpoints"][0]["endpoint"];
        let address = standin.address();
        endpoint["address"]["socket_address"] =
            json!({"address": address.ip().to_string(), "port_value": address.port()});
    }
    let tls = &mut cluster["transport_socket"]["typed_config"]["common_tls_context"];
    tls["validation_context"]["trusted_ca"]["filename"] = authorities.clone();
}

fn chat(stream: bool) -> Request {
    let messages = json!([{"role": "user", "content": "Say hello."}]);
    let body = json!({"model": "gpt-5.5", "stream": stream, "messages": messages});
    Request::post("/v1/chat/completions", &body).bearer(TOKEN)
}

#[test]
fn a_geo_block_is_answered_through_the_egress() -> Result<()> {
    let world = World::start()?;
    let response = world.envoy.send(&chat(false).header("accept-encoding", "gzip"))?;
    ensure!(response.status == 200, "{}: {}", response.status, response.text());
    let [blocked, egress] = [&world.blocked, &world.egress].map(Standin::received);
    ensure!(!blocked[0].body.is_empty() && blocked[0].body == egress[0].body, "{blocked:?}\n{egress:?}");
    ensure!(blocked[0].header("accept-encoding").is_none(), "a compressed reason could not be read");
    ensure!(world.arrived()? == [1, 1]);
    Ok(())
}

#[test]
fn any_other_answer_is_not_asked_for_again() -> Result<()> {
    let world = World::start()?;
    for (status, body) in [
        (403, json!({"error": {"code": "model_not_found", "message": "no access to the model"}})),
        (401, geo_block()),
        (429, geo_block()),
        (500, geo_block()),
        (200, geo_block()),
    ] {
        world.blocked.refuse(status, body.clone());
        let answer = world.models()?;
        ensure!(answer == (status, body), "{status}: {answer:?}");
        ensure!(world.arrived()? == [1, 0], "{status}");
    }
    Ok(())
}

#[test]
fn a_403_too_long_to_be_read_is_an_error_and_not_asked_for_again() -> Result<()> {
    let world = World::start()?;
    world.blocked.refuse(403, json!({"error": {"message": "x".repeat(4 << 20)}}));
    let response = world.envoy.send(&Request::get("/v1/models").bearer(TOKEN))?;
    ensure!(response.status == 500, "{}", response.status);
    ensure!(world.arrived()? == [1, 0]);
    Ok(())
}

#[test]
fn a_request_is_sent_once_more_and_no_more() -> Result<()> {
    let world = World::start()?;
    world.egress.refuse(403, geo_block());
    let answer = world.models()?;
    ensure!(answer == (403, geo_block()), "{answer:?}");
    ensure!(world.arrived()? == [1, 1]);
    Ok(())
}

#[test]
fn without_the_relay_a_block_is_a_502_and_without_openai_the_relay_answers() -> Result<()> {
    let World { blocked, egress, envoy } = World::start()?;
    drop(egress);
    let response = envoy.send(&Request::get("/v1/models").bearer(TOKEN))?;
    ensure!((response.status, &response.json()?["error"]["code"]) == (502, &json!("upstream_unreachable")));

    let World { blocked: gone, egress, envoy } = World::start()?;
    drop((blocked, gone));
    ensure!(envoy.send(&Request::get("/v1/models").bearer(TOKEN))?.status == 200);
    ensure!(egress.take().len() == 1);
    Ok(())
}

#[test]
fn a_body_up_to_the_limit_survives_and_a_longer_one_gets_the_refusal() -> Result<()> {
    let world = World::start()?;
    for (length, status, arrived) in [(LIMIT - 65_536, 200, [1, 1]), (LIMIT + 65_536, 403, [1, 0])] {
        let body: Vec<u8> = (b'a'..=b'z').cycle().take(length).collect();
        let request = Request::new("POST", "/v1/audio/transcriptions").bearer(TOKEN).body(body.clone());
        let response = world.envoy.send(&request)?;
        ensure!(response.status == status, "{length} bytes: {}: {}", response.status, response.text());
        if status == 403 {
            ensure!(response.json()? == geo_block(), "{length} bytes: {}", response.text());
        } else {
            let received = world.egress.received().pop().context("nothing came through the egress")?;
            ensure!(received.body == body, "{length} bytes: the body was changed");
        }
        ensure!(world.arrived()? == arrived, "{length} bytes");
    }
    Ok(())
}

#[test]
fn a_stream_through_the_egress_still_streams() -> Result<()> {
    let world = World::start()?;
    let held = world.egress.hold();
    let mut answer = world.envoy.open(&chat(true))?;
    ensure!(answer.next_event()?.is_some_and(|event| event.contains("assistant")));
    held.release();
    let rest = answer.finish()?.text();
    ensure!(rest.contains("[DONE]"), "{rest}");
    ensure!(world.arrived()? == [1, 1]);
    Ok(())
}

#[test]
fn a_blocked_websocket_is_opened_through_the_egress() -> Result<()> {
    let world = World::start()?;
    let url = format!("ws://{}/v1/realtime?model=gpt-realtime", world.envoy.address());
    let events = WS.run(&Call { mode: Mode::Subprotocol, base_url: &url, token: TOKEN, headers: &[] })?;
    ensure!(events.first() == Some(&Event::Open { protocol: "realtime".to_owned() }), "{events:?}");
    ensure!(world.arrived()? == [1, 1]);
    Ok(())
}

#[test]
fn other_providers_are_not_asked_again() -> Result<()> {
    let world = World::start()?;
    let response = world.envoy.send(&Request::get("/v1beta/models").header("x-goog-api-key", TOKEN))?;
    ensure!((response.status, response.json()?) == (403, geo_block()), "{}", response.text());
    ensure!((world.blocked.take().len(), world.egress.take().len()) == (1, 0));
    Ok(())
}
