//! The compared set-ups: each is a proxy in front of the same upstream, with its requests.
//!
//! A set-up has a proof that it works as described; without the proof it is not measured. A host other than Envoy
//! implements [`Host`](host::Host) and has its own baseline.

mod authorization;
mod component;
mod gateways;
mod host;
mod keyswap;
mod native;
mod parts;
mod proof;
mod running;
mod set_up;

pub use component::COMPONENT_SET_UPS;
pub use gateways::GATEWAY_SET_UPS;
pub(super) use keyswap::{keyswap, keyswap_with};
pub use running::Running;
pub use set_up::{BARE, SetUp};

/// The set-ups whose policy has rules on bodies.
pub(super) const RULED_SET_UPS: [SetUp; 2] = [
    SetUp {
        name: "keyswap-models",
        title: "**Keyswap**, a rule on models",
        baseline: BARE,
        start: keyswap::models,
    },
    SetUp {
        name: "keyswap-metered",
        title: "**Keyswap**, a rule on models, usage metered",
        baseline: BARE,
        start: keyswap::metered,
    },
];

/// The filter of a former release, which a run may be given.
pub const FORMER: SetUp = SetUp {
    name: "former-token",
    title: "Keyswap, a former release, a proxy token",
    baseline: BARE,
    start: keyswap::former_token,
};

/// The set-ups on Envoy, in the order of the table. The first is the baseline.
pub const SET_UPS: [SetUp; 18] = [
    SetUp { name: BARE, title: "Envoy alone", baseline: BARE, start: native::bare },
    SetUp {
        name: "empty-filter",
        title: "an empty Wasm filter",
        baseline: BARE,
        start: native::empty_filter,
    },
    SetUp {
        name: "keyswap-token",
        title: "**Keyswap**, a proxy token",
        baseline: BARE,
        start: keyswap::token,
    },
    SetUp {
        name: "keyswap-objects",
        title: "**Keyswap**, a proxy token, `objects: own`",
        baseline: BARE,
        start: keyswap::objects,
    },
    SetUp { name: "keyswap-jwt", title: "**Keyswap**, a JWT", baseline: BARE, start: keyswap::jwt },
    SetUp {
        name: "keyswap-jwt-cold",
        title: "**Keyswap**, a new JWT each time",
        baseline: BARE,
        start: keyswap::jwt_cold,
    },
    SetUp {
        name: "module-token",
        title: "**Keyswap as a module**, a proxy token",
        baseline: BARE,
        start: keyswap::module_token,
    },
    SetUp {
        name: "module-jwt",
        title: "**Keyswap as a module**, a JWT",
        baseline: BARE,
        start: keyswap::module_jwt,
    },
    SetUp {
        name: "module-jwt-cold",
        title: "**Keyswap as a module**, a new JWT each time",
        baseline: BARE,
        start: keyswap::module_jwt_cold,
    },
    SetUp {
        name: "refusing",
        title: "Envoy alone, refusing every request",
        baseline: BARE,
        start: native::refusing,
    },
    SetUp {
        name: "keyswap-refused-unknown",
        title: "**Keyswap**, refusing an unknown token",
        baseline: BARE,
        start: keyswap::refused_unknown,
    },
    SetUp {
        name: "keyswap-refused-malformed",
        title: "**Keyswap**, refusing what is no token",
        baseline: BARE,
        start: keyswap::refused_malformed,
    },
    SetUp {
        name: "jwt-authn",
        title: "`jwt_authn` with its cache, `local_ratelimit`, `header_mutation`",
        baseline: BARE,
        start: native::jwt_authn,
    },
    SetUp {
        name: "jwt-authn-cold",
        title: "the same without its cache, a new JWT each time",
        baseline: BARE,
        start: native::jwt_authn_cold,
    },
    SetUp {
        name: "api-key-auth",
        title: "`api_key_auth`, `local_ratelimit`, `header_mutation`",
        baseline: BARE,
        start: native::api_key_auth,
    },
    SetUp { name: "lua", title: "`lua`", baseline: BARE, start: native::lua },
    SetUp {
        name: "ext-authz-grpc",
        title: "`ext_authz`, a server by gRPC",
        baseline: BARE,
        start: authorization::grpc,
    },
    SetUp {
        name: "ext-authz-http",
        title: "`ext_authz`, a server by HTTP",
        baseline: BARE,
        start: authorization::http,
    },
];
