//! The parts that a host gives the engine: memory to share, named secrets, abilities.

mod capabilities;
mod environment;
mod secret_file;
mod shared_value;
mod store;

pub use self::capabilities::Capabilities;
pub use self::environment::Environment;
pub use self::secret_file::{MAX_SECRET_FILE_BYTES, SecretFile, SecretFileError};
pub(crate) use self::shared_value::SharedValue;
pub use self::store::{EMPTY_SLOT, Forgetful, MemoryStore, Store, StoreError, Update, slot_keys};
pub(crate) use self::store::{SlotKey, SlotKind};
