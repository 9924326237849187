//! Roles in the administration: each role on each route, with things of its own and with foreign ones.

mod setup;

mod document;
mod requests;

mod leavers;
mod matrix;
mod own_tokens;
mod pages;
mod rights;
mod takeover;
