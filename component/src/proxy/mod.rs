//! The proxy: `wasi:http/incoming-handler`.
//!
//! Hosts let an instance serve one request after another, or each request have its own. Nothing here counts on either:
//! what is remembered saves calls and is never needed for a right answer.

mod call;
mod configuration;
mod exchange;
mod instance;
mod pump;
mod reached;
mod reply;
mod request;
mod transfer;
mod upload;

use keyswap_core::answer::LocalReply;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use self::instance::Instance;

struct Proxy;

wasip2::http::proxy::export!(Proxy);

impl Guest for Proxy {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        Instance::with(|instance| {
            let head = request::head(&request);
            match instance {
                Some(instance) => instance.serve(&request, &head, out),
                None => reply::send(out, &LocalReply::host_failure(), &head),
            }
        });
    }
}

/// The time of day.
fn now() -> keyswap_core::base::Moment {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    keyswap_core::base::Moment(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

/// Lines for operators. Where nobody listens, nothing is lost that is needed here.
fn tell(lines: impl IntoIterator<Item = String>) {
    use std::io::Write as _;
    for line in lines {
        let _ = writeln!(std::io::stderr(), "{line}");
    }
}
