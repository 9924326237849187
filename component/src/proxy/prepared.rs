//! A policy that was read when the component was prepared, so that no instance reads it.
//!
//! Wizer, which comes with Wasmtime, calls `wizer-initialize` once, and makes a component of the memory that the function leaves.
//! The document comes on standard input. A policy names secrets and holds none, so no secret is in a prepared component.
//!
//! An instance has nothing else of that run. Neither the environment nor a file is read here: the standard library would keep
//! what it read, and every instance would have it.

use std::cell::Cell;

use keyswap_core::host::Capabilities;
use keyswap_core::policy::Configuration;
use wasip2::cli::{exit::exit, stdin::get_stdin};
use wasip2::io::streams::StreamError;

use super::host::{lines_of, log};

#[allow(clippy::all, clippy::pedantic, unreachable_pub, unused_qualifications, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({
        inline: "
            package keyswap:preparing;

            world preparing {
                /// Reads a policy for all instances.
                export wizer-initialize: func();
            }
        ",
        world: "preparing",
        pub_export_macro: true,
        export_macro_name: "export_preparing",
    });

    use super::Preparing;
    export_preparing!(Preparing with_types_in self);
}

struct Preparing;

/// The most bytes that are read at once.
const SLICE: u64 = 65536;

thread_local! {
    static PREPARED: Cell<Option<Configuration>> = const { Cell::new(None) };
}

impl bindings::Guest for Preparing {
    fn wizer_initialize() {
        match read() {
            Ok(configuration) => PREPARED.set(Some(configuration)),
            Err(lines) => {
                log(lines);
                // Nothing is made of a run that failed.
                exit(Err(()));
            }
        }
    }
}

/// Returns the configuration of a prepared component.
pub(super) fn take() -> Option<Configuration> {
    PREPARED.take()
}

fn read() -> Result<Configuration, Vec<String>> {
    let stdin = get_stdin();
    let mut document = Vec::new();
    loop {
        match stdin.blocking_read(SLICE) {
            Ok(slice) => document.extend(slice),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(vec!["the policy on standard input cannot be read".to_owned()]);
            }
        }
    }
    let configuration = Configuration::from_json(&document).map_err(lines_of)?;
    configuration.fits(Capabilities::COMPONENT).map_err(lines_of)?;
    Ok(configuration)
}
