//! One request: its head to the engine, the decision back to Envoy.

use std::rc::Rc;

use keyswap_core::{Header, LocalReply, RequestHead, Rewrite, Verdict};
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::host::{self, HeaderMap, HostError, Map};
use crate::metrics;
use crate::plugin::Shared;

/// The context of a stream.
pub(crate) struct Stream {
    pub(crate) shared: Option<Rc<Shared>>,
}

impl Context for Stream {}

impl HttpContext for Stream {
    fn on_http_request_headers(&mut self, count: usize, _end_of_stream: bool) -> Action {
        self.judge(count).unwrap_or_else(|error| {
            log::error!("a request could not be judged: {error}");
            reply(&LocalReply::host_failure())
        })
    }

    /// Trailers are no place for a credential: none is read from there, and none is let through.
    fn on_http_request_trailers(&mut self, count: usize) -> Action {
        let Some(shared) = &self.shared else { return Action::Pause };
        let Ok(trailers) = HeaderMap::read(Map::RequestTrailers, count) else { return Action::Pause };
        for (name, _) in trailers.iter().filter(|(name, _)| shared.engine.is_slot(name)) {
            if host::remove(Map::RequestTrailers, name).is_err() {
                return Action::Pause;
            }
        }
        Action::Continue
    }
}

impl Stream {
    fn judge(&self, count: usize) -> Result<Action, HostError> {
        let shared = self.shared.as_ref().ok_or(HostError::NoPolicy)?;
        let map = HeaderMap::read(Map::RequestHeaders, count)?;
        let mut headers = Vec::with_capacity(map.len());
        let mut head = RequestHead { method: b"", path: b"", headers: &[] };
        for (name, value) in map.iter() {
            match name {
                b":method" => head.method = value,
                b":path" => head.path = value,
                [b':', ..] => {}
                _ => headers.push(Header { name, value }),
            }
        }
        head.headers = &headers;

        let mut decision = shared.engine.decide(&head, host::now()?);
        if let Verdict::Forward(rewrite) = &decision.verdict
            && let Err(error) = apply(rewrite)
        {
            log::error!("a rewrite could not be carried out: {error}");
            decision = decision.failed();
        }
        shared.metrics.count(&decision);
        metrics::publish(&decision);
        if let Some(line) = decision.log_line(&head) {
            log::info!("{line}");
        }
        Ok(match &decision.verdict {
            Verdict::Forward(_) => Action::Continue,
            Verdict::Reply(_, local_reply) => reply(local_reply),
        })
    }
}

/// Rewrites the head in place. The route was chosen from the client's authority, so it is chosen anew.
fn apply(rewrite: &Rewrite<'_>) -> Result<(), HostError> {
    for name in &rewrite.remove {
        host::remove(Map::RequestHeaders, name)?;
    }
    for (name, value) in &rewrite.set {
        host::set(Map::RequestHeaders, name.as_bytes(), value)?;
    }
    host::set(Map::RequestHeaders, b":authority", rewrite.authority.as_bytes())?;
    host::set(Map::RequestHeaders, b":path", &rewrite.path)?;
    host::clear_route_cache()
}

/// Ends the stream here. Where even that fails, the stream stays paused: it is never forwarded.
fn reply(reply: &LocalReply) -> Action {
    if let Err(error) = host::send_local_reply(reply) {
        log::error!("a reply could not be sent: {error}");
    }
    Action::Pause
}
