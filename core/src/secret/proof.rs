//! The proof that a secret may be opened.

/// A value that exists only behind the checks of a request.
///
/// The grant of a request is one; a key that a grant opened is the other. Neither has another constructor. The seal is
/// held by `core/tests/seal.rs`: by the compiler, and by a search for further implementations.
pub(crate) trait Proof {}
