//! The same over HTTP/2, on both sides.

use anyhow::{Context as _, Result, ensure};
use keyswap_tests::{Request, Slices, Standin};

use super::{TOKEN, body, setup};

/// The bytes of a body, and those of a DATA frame.
const SIZES: [(usize, usize); 7] = [
    (100, 1),
    (100, 1000),
    (10_000, 7),
    (300_000, 4096),
    (3_000_000, 65_536),
    (20_000_000, 1_000_000),
    (20_000_000, 16_384),
];

#[test]
fn over_http2_a_refused_model_leaves_the_upstream_without_a_request_whatever_the_slices() -> Result<()> {
    for is_http2_upstream in [false, true] {
        let standin = Standin::start()?;
        let setup = setup(&standin);
        let envoy = if is_http2_upstream { setup.http2_upstreams() } else { setup }.start()?;
        for (size, slice) in SIZES {
            for says_length in [false, true] {
                let context = || {
                    format!(
                        "{size} bytes in slices of {slice}, length: {says_length}, upstream: {is_http2_upstream}"
                    )
                };
                let send = |model: &str| {
                    let body = body(model, size);
                    let mut request = Request::new("POST", "/v1/chat/completions").bearer(TOKEN);
                    if says_length {
                        request = request.header("content-length", body.len().to_string());
                    }
                    let slices = Slices { size: slice, trailers: &[] };
                    envoy.send_http2(&request.body(body), slices).with_context(context)
                };
                let allowed = send("gpt-5-mini")?;
                ensure!(allowed.status == 200, "{}: {allowed:?}", context());
                let received = standin.take();
                let [request] = received.as_slice() else {
                    anyhow::bail!("{}: {}", context(), received.len())
                };
                ensure!(
                    request.body == body("gpt-5-mini", size).into_bytes(),
                    "{}: it was changed",
                    context()
                );
                let refused = send("gpt-5")?;
                ensure!(refused.verdict() == "403 model_not_allowed", "{}: {refused:?}", context());
                ensure!(refused.text().contains("gpt-5-mini"), "{refused:?}");
                ensure!(standin.take().is_empty(), "{}: a request arrived", context());
            }
        }
    }
    Ok(())
}

#[test]
fn trailers_that_can_carry_a_credential_end_at_a_body_that_is_judged_and_others_pass() -> Result<()> {
    let standin = Standin::start()?;
    let envoy = setup(&standin).http2_upstreams().start()?;
    let request = Request::new("POST", "/v1/chat/completions").bearer(TOKEN).body(body("gpt-5-mini", 1000));
    let trailers = &[("authorization", TOKEN), ("x-api-key", "of-a-trailer"), ("x-checksum", "7")];
    let answer = envoy.send_http2(&request, Slices { size: 100, trailers })?;
    ensure!(answer.status == 200, "{answer:?}");
    let received = standin.take();
    let [request] = received.as_slice() else { anyhow::bail!("{} arrived", received.len()) };
    let names: Vec<&str> = request.trailers.iter().map(|(name, _)| name.as_str()).collect();
    ensure!(names == ["x-checksum"], "{names:?}");
    Ok(())
}
