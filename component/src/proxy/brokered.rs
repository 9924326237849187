//! A brokered answer: read whole, and given to the caller with another body.

use keyswap_core::judge::Field;
use keyswap_core::request::OwnedHead;
use keyswap_core::worker::{Exchange, MintFault};
use wasip2::http::types::{IncomingResponse, ResponseOutparam};
use wasip2::io::streams::{InputStream, StreamError};

use super::host::{log, now};
use super::reply;

/// Answers a request that mints.
pub(super) fn answer(
    exchange: &Exchange,
    answer: &IncomingResponse,
    lines: &[Field<'_>],
    head: &OwnedHead,
    out: ResponseOutparam,
) {
    let status = answer.status();
    let instead = exchange.response().replaces(Some(status.to_string().as_bytes()));
    if let Some(instead) = instead {
        return reply::send(out, &instead, head);
    }
    match read(answer).and_then(|body| exchange.broker(status, &body, now())) {
        Ok(body) => reply::send_lines(out, status, exchange.response().fields(lines), &body, head),
        Err(fault) => {
            log([format!("an answer was not brokered, and is withheld: {fault}")]);
            reply::send(out, &exchange.withheld(), head);
        }
    }
}

/// Reads a body, as far as it may be long.
fn read(answer: &IncomingResponse) -> Result<Vec<u8>, MintFault> {
    let body = answer.consume().map_err(|()| MintFault::Incomplete)?;
    let stream = body.stream().map_err(|()| MintFault::Incomplete)?;
    let bytes = read_stream(&stream);
    // The stream goes before its body.
    drop(stream);
    bytes
}

fn read_stream(stream: &InputStream) -> Result<Vec<u8>, MintFault> {
    const SOME: u64 = 16 * 1024;
    let mut bytes = Vec::new();
    loop {
        match stream.blocking_read(SOME) {
            Ok(more) => bytes.extend(more),
            Err(StreamError::Closed) => return Ok(bytes),
            Err(StreamError::LastOperationFailed(_)) => return Err(MintFault::Incomplete),
        }
        if bytes.len() > Exchange::MAX_BROKERED_BYTES {
            return Err(MintFault::TooLong);
        }
    }
}
