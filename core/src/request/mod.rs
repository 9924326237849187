//! The head of a request, and the credentials that it carries.

mod certificate;
pub(crate) mod credential;
mod head;
mod hop;
mod identity_slot;
mod names;
mod pseudo;
mod request_id;
mod slot;
mod sought;

pub use self::certificate::{AskCertificate, CertificatePart};
pub(crate) use self::credential::Credential;
pub use self::head::{Header, OwnedHead, RequestHead};
pub(crate) use self::hop::{HOP_BY_HOP, OF_PROXIES};
pub use self::identity_slot::{IdentityCredential, IdentitySlot, find_identity};
pub(crate) use self::names::HeaderNames;
pub use self::pseudo::{HeadFields, MisplacedPseudoHeader};
pub(crate) use self::request_id::request_id;
pub use self::slot::Slot;
pub(crate) use self::slot::Slots;
pub(crate) use self::sought::stands_in;
