//! The answer of a service.

/// The answer of a service to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAnswer {
    /// The status.
    pub status: u16,
    /// The body.
    pub body: String,
}

impl ServiceAnswer {
    /// Returns an answer with the status 200.
    pub(crate) fn ok(body: String) -> Self {
        Self { status: 200, body }
    }
}
