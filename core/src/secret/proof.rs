//! The proof that a secret may be opened.

/// A value that exists only behind the checks of a request.
///
/// The grant of a request is one; a key that a grant opened is the other. Neither has another constructor, and a test
/// (`tests/tests/leaks.rs`) finds any further one.
///
/// With a proof, a key opens:
///
/// ```standalone_crate
/// # include!("../../tests/seal/floors.rs");
/// struct Admitted;
/// impl secret::Proof for Admitted {}
///
/// # fn main() {
/// let key = secret::Key::new(secret::Secret::new(b"sk-1".to_vec()).unwrap());
/// assert_eq!(key.reveal(secret::Form::Plain, &Admitted), b"sk-1");
///
/// let key = std::rc::Rc::new(key);
/// let open = secret::OpenKey::new(&key, secret::Form::Bearer, &Admitted);
/// assert_eq!(open.bytes(), b"Bearer sk-1");
/// # }
/// ```
///
/// Without one it does not:
///
/// ```compile_fail,E0277
/// # include!("../../tests/seal/floors.rs");
/// # fn main() {
/// let key = secret::Key::new(secret::Secret::new(b"sk-1".to_vec()).unwrap());
/// key.reveal(secret::Form::Plain, &());
/// # }
/// ```
///
/// An open key takes one too:
///
/// ```compile_fail,E0451
/// # include!("../../tests/seal/floors.rs");
/// # fn main() {
/// let key = secret::Key::new(secret::Secret::new(b"sk-1".to_vec()).unwrap());
/// let open = secret::OpenKey { key: std::rc::Rc::new(key), form: secret::Form::Plain };
/// # }
/// ```
///
/// The bytes of a secret are reached from its own floor only:
///
/// ```compile_fail,E0616
/// # include!("../../tests/seal/floors.rs");
/// # fn main() {
/// let bytes = secret::Secret::new(b"sk-1".to_vec()).unwrap().0;
/// # }
/// ```
///
/// ```compile_fail,E0624
/// # include!("../../tests/seal/floors.rs");
/// struct Admitted;
/// impl secret::Proof for Admitted {}
///
/// # fn main() {
/// let secret = secret::Secret::new(b"sk-1".to_vec()).unwrap();
/// secret.reveal(&Admitted);
/// # }
/// ```
///
/// No secret becomes the credential of a service, which opens without a proof:
///
/// ```compile_fail,E0277
/// # include!("../../tests/seal/floors.rs");
/// # fn main() {
/// let secret = secret::Secret::new(b"sk-1".to_vec()).unwrap();
/// let service: secret::ServiceSecret = secret.into();
/// # }
/// ```
///
/// And no other crate has a proof to write:
///
/// ```compile_fail,E0603
/// use keyswap_core::secret::Proof;
/// ```
pub(crate) trait Proof {}
