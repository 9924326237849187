//! The handler that the host calls.

use keyswap_core::answer::LocalReply;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, ResponseOutparam};

use super::instance::Instance;
use super::{reply, request};

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
