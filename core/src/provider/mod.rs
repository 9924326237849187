//! Providers as data, and the provider of a request.

mod bindings;
mod broker;
mod class;
mod endpoints;
pub(crate) mod facts;
pub(crate) mod form;
mod keeping;
mod kept;
pub(crate) mod limits;
pub(crate) mod metadata;
pub(crate) mod model;
pub(crate) mod objects;
pub(crate) mod pages;
mod paths;
mod pattern;
mod route;
pub(crate) mod table;

pub use self::bindings::BindingKind;
pub(crate) use self::bindings::Bindings;
pub(crate) use self::broker::{Expiry, Mint, MintedSecret};
pub(crate) use self::class::{Endpoints, OwnRow};
pub(crate) use self::facts::tells_usage_if_asked;
pub use self::facts::{is_of_gateway, own_host};
pub(crate) use self::keeping::{keeps_any, objects_of};
pub(crate) use self::metadata::{CLAIMS, Claim, MAX_MEMBERS};
pub(crate) use self::paths::{PathMapping, QueryKey, RealtimePath, decode_slashes};
pub(crate) use self::pattern::{METHOD_NAMES, Methods, POST, read_row};
pub use self::route::RoutedBy;
pub(crate) use self::route::{Route, Segments};
pub use self::table::Dialect;
pub(crate) use self::table::{AuthStyle, EndpointKind, KeyPolicy, KeyPool, OPENAI, Provider};
