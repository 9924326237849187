//! A registry behind `keyswap serve`, by way of its administration's API.
mod address;
mod answer;
mod client;
mod operations;

pub(super) use address::Address;
pub(super) use client::Remote;
