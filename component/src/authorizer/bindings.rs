//! The interface, generated from `component/wit`.

#![allow(
    clippy::all,
    clippy::pedantic,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    reason = "generated"
)]

wit_bindgen::generate!({
    world: "embedded",
    path: "wit",
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_authorizer",
});
