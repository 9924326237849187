//! The interfaces of a component, as its own types tell them.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result, bail};
use wit_parser::decoding::{DecodedWasm, decode};

/// The names of the interfaces of a component.
#[derive(Debug)]
pub struct Interfaces {
    /// Interfaces that its host must have.
    pub imports: BTreeSet<String>,
    /// Interfaces that it has.
    pub exports: BTreeSet<String>,
}

impl Interfaces {
    /// Reads the types of a component.
    pub fn of(wasm: &[u8]) -> Result<Self> {
        let DecodedWasm::Component(resolve, world) = decode(wasm)? else { bail!("this is no component") };
        let names = |items: &wit_parser::IndexMap<wit_parser::WorldKey, wit_parser::WorldItem>| {
            items.keys().map(|key| resolve.name_world_key(key)).collect()
        };
        let world = resolve.worlds.get(world).context("the component has no world")?;
        Ok(Self { imports: names(&world.imports), exports: names(&world.exports) })
    }
}
