//! A registry behind `keyswap serve`, by way of its administration's API.
mod address;
mod client;
mod operations;
mod response;

pub(super) use address::Address;
pub(super) use client::Remote;
