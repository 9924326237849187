//! The parts that a host gives the engine: memory to share, named secrets, abilities.

mod capabilities;
mod environment;
mod shared_value;
mod store;

pub use self::capabilities::Capabilities;
pub use self::environment::Environment;
pub(crate) use self::shared_value::SharedValue;
pub(crate) use self::store::SlotKind;
pub use self::store::{EMPTY_SLOT, Forgetful, MemoryStore, Store, StoreError, Update, slot_keys};
