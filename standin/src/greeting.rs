//! The greeting of the stand-in, which names the credentials that reached it.

use super::received::Received;

/// Returns the assistant's text in the answer to a request.
pub(super) fn greeting(request: &Received) -> String {
    let credentials = request.credentials();
    if credentials.is_empty() {
        return "Hello from the stand-in gateway. No credential reached me.".to_owned();
    }
    let noun = if credentials.len() == 1 { "credential" } else { "credentials" };
    format!("Hello from the stand-in gateway. The {noun} that reached me: {}", credentials.join(", "))
}
