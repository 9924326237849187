//! The host's calls, as the stages of a stream need them.

use std::fmt;
use std::net::IpAddr;

use keyswap_core::answer::LocalReply;
use keyswap_core::base::Moment;
use keyswap_core::host::Store;
use keyswap_core::request::CertificatePart;
use keyswap_core::services::FetchRequest;

use crate::lines::{Lines, Malformed};
use crate::metric::{GAUGES, Metric};

/// The answer to a callback of the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// The stream goes on.
    Continue,
    /// The stream waits, or has ended.
    Pause,
}

/// The header maps of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Map {
    /// The head of the request.
    RequestHeaders,
    /// The trailers of the request.
    RequestTrailers,
    /// The head of the answer.
    ResponseHeaders,
    /// The trailers of the answer.
    ResponseTrailers,
}

/// The bodies of a stream.
#[derive(Clone, Copy, Debug)]
pub enum Body {
    /// The request's.
    Request,
    /// The answer's.
    Response,
}

/// The time at which [`work`](crate::work) is needed next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// At once: a call is to be made.
    Now,
    /// Soon: calls wait for others to end.
    Soon,
    /// Within a second or so.
    Later,
}

/// An error of a host call.
#[derive(Clone, Copy, Debug)]
pub enum HostError {
    /// The host refused the call, with this status of the ABI.
    Status(&'static str, u32),
    /// A header map does not have the form that the ABI gives it.
    Malformed,
    /// The stream came before a configuration was accepted.
    NotConfigured,
    /// The state that the stream needs is in use by another.
    Busy,
    /// A fault of this program interrupted the work.
    Interrupted,
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(call, status) => write!(f, "`{call}` answered status {status}"),
            Self::Malformed => f.write_str("a header map cannot be read to its end"),
            Self::NotConfigured => f.write_str("there is no configuration"),
            Self::Busy => f.write_str("its state is in use"),
            Self::Interrupted => f.write_str("a fault of Keyswap interrupted it"),
        }
    }
}

impl From<Malformed> for HostError {
    fn from(Malformed: Malformed) -> Self {
        Self::Malformed
    }
}

/// A host of streams.
///
/// Functions without `self` concern the stream that the host called last, or that was made the effective one. They may be
/// called only while such a stream is there. Methods concern the worker.
pub trait Host: Sized + 'static {
    /// The name of a stream, by which it can be woken.
    type Name;
    /// The lines of a header map.
    type Lines: Lines;

    /// Returns the time of day.
    fn now() -> Result<Moment, HostError>;

    /// Reads a header map of `count` lines, as the host announced it.
    fn lines(map: Map, count: usize) -> Result<Self::Lines, HostError>;

    /// Returns the value of a header; `None` where it is absent, or cannot be read.
    fn get(map: Map, name: &[u8]) -> Option<Vec<u8>>;

    /// Sets a header, in place of all its lines.
    fn set(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError>;

    /// Adds a line of a header to those that are there.
    fn add(map: Map, name: &[u8], value: &[u8]) -> Result<(), HostError>;

    /// Removes all lines of a header.
    fn remove(map: Map, name: &[u8]) -> Result<(), HostError>;

    /// Returns the part of a body that is on its way now, in a callback that announced `size` bytes. The host shows each part
    /// of a request once, and each part of an answer that went on or was [taken out](Self::take_out).
    fn slice(body: Body, size: usize) -> Result<Vec<u8>, HostError>;

    /// Puts other bytes in place of that part.
    fn replace(body: Body, bytes: &[u8]) -> Result<(), HostError>;

    /// Returns the part of a request's body that came while its head waited, where the host does not show it again. A host
    /// that shows all of a body once the head goes on returns none.
    fn kept() -> Result<Vec<u8>, HostError>;

    /// Puts other bytes in place of all of a body that is held or on its way.
    fn replace_all(body: Body, bytes: &[u8]) -> Result<(), HostError>;

    /// Takes the part of a body that is on its way out of the host's buffers, for the engine holds what waits. Returns false
    /// where the host keeps it as well, and slows the sender down when it has enough.
    fn take_out(body: Body) -> Result<bool, HostError>;

    /// Returns the address of the connection's other end, where it has one.
    fn peer() -> Option<IpAddr>;

    /// Returns a part of the client certificate of the connection; `None` where it has none, or the part is not known.
    fn certificate(part: CertificatePart) -> Option<Vec<u8>>;

    /// Returns whether the answer of the stream is its upstream's, and not one of the host's own or of another filter.
    fn is_answered_by_upstream() -> bool;

    /// Sets a value for access logs. It serves nothing else, so failing is not an error.
    fn tell(name: &str, value: &[u8]);

    /// Makes the host choose the route again. A request must not go on without: its route was chosen by the client's
    /// authority.
    fn clear_route_cache() -> Result<(), HostError>;

    /// Ends the stream with a reply.
    fn reply(reply: &LocalReply) -> Result<(), HostError>;

    /// Resets the stream at both ends.
    fn reset() -> Result<(), HostError>;

    /// Lets a paused request go on.
    fn proceed() -> Result<(), HostError>;

    /// Lets a paused answer go on.
    fn proceed_answer() -> Result<(), HostError>;

    /// Returns the memory that the workers share.
    fn store(&self) -> &dyn Store;

    /// Adds to a counter, about once a second for each. A host that cannot count is not a reason to refuse a request.
    fn count(&self, metric: &Metric<'_>, by: u64);

    /// Sets all gauges of an issuer, in the order of [`GAUGES`](crate::GAUGES).
    fn set_gauges(&self, issuer: &str, values: [u64; GAUGES.len()]);

    /// Prepares the stream of the present callback for being woken.
    fn prepare(name: &Self::Name);

    /// Wakes a stream that waits. Returns true where it is the effective one now, and false where the host calls
    /// [`Stream::go_on`](crate::Stream::go_on) for it soon.
    fn wake(name: &Self::Name) -> bool;

    /// Makes calls that follow concern the worker again, after streams were woken.
    fn come_back(&self);

    /// Makes a call, and returns its number. The answer goes to [`answered`](crate::answered).
    fn call(&self, request: FetchRequest) -> Result<u64, HostError>;

    /// Has [`work`](crate::work) called when it is needed next.
    fn schedule(&self, need: Need);
}
