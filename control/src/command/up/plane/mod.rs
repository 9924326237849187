//! The data plane: the host's program, its configuration, and the change from one policy to the next.

mod setup;

mod admin;
mod files;

mod envoy;
mod wasmtime;

mod data_plane;

pub(super) use data_plane::DataPlane;
pub(super) use setup::{Setup, Standin};
