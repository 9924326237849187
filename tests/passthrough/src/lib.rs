//! A minimal component that forwards each request to the authority in `UPSTREAM`: its cost is the minimum of a proxy on
//! a host of `wasi:http`. It judges nothing, copies one body after the other, and is for measurements only.

#![cfg(all(target_os = "wasi", target_env = "p2"))]
#![allow(missing_docs, reason = "nobody links to a component")]

use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam,
    Scheme,
};

struct Passthrough;

wasip2::http::proxy::export!(Passthrough);

impl Guest for Passthrough {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let upstream = std::env::var("UPSTREAM").expect("UPSTREAM is set");
        let mut fields = request.headers().entries();
        fields.retain(|(name, _)| name != "host");
        let has_body = fields.iter().any(|(name, value)| name == "content-length" && value != b"0");
        let outgoing = OutgoingRequest::new(Fields::from_list(&fields).expect("fields that came are fields"));
        outgoing.set_method(&request.method()).expect("a method that came");
        outgoing.set_scheme(Some(&Scheme::Http)).expect("http");
        outgoing.set_authority(Some(&upstream)).expect("an authority");
        outgoing.set_path_with_query(request.path_with_query().as_deref()).expect("a path that came");
        let body = has_body.then(|| outgoing.body().expect("a body"));
        let answer = outgoing_handler::handle(outgoing, None).expect("it is sent");
        if let Some(body) = body {
            splice(&request.consume().expect("a body"), &body);
            OutgoingBody::finish(body, None).expect("it is whole");
        }
        answer.subscribe().block();
        let answer = answer.get().expect("it is ready").expect("once").expect("an answer");
        let response = OutgoingResponse::new(Fields::from_list(&answer.headers().entries()).expect("fields"));
        response.set_status_code(answer.status()).expect("a status");
        let body = response.body().expect("a body");
        ResponseOutparam::set(out, Ok(response));
        splice(&answer.consume().expect("a body"), &body);
        OutgoingBody::finish(body, None).expect("it is whole");
    }
}

fn splice(from: &IncomingBody, to: &OutgoingBody) {
    let (source, sink) = (from.stream().expect("once"), to.write().expect("once"));
    while sink.blocking_splice(&source, 1 << 20).is_ok() {}
}
