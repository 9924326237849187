//! A registry behind `keyswap serve`, through its administration API.
mod address;
mod client;
mod oauth;
mod operations;
mod response;

pub(super) use address::Address;
pub(super) use client::Remote;
pub(in crate::command) use oauth::OAuth;
