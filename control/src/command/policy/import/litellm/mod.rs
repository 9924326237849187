//! A LiteLLM proxy: its configuration, and the virtual keys of its database.

mod command;
mod deployment;
mod keys;
mod limits;
mod lists;
mod models;
mod owners;
mod reach;
mod settings;

pub(super) use self::command::Litellm;
