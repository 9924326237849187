//! The kinds of findings in Envoy configurations and manifests, each with its code, its sentence and its remedy.

/// A kind of finding.
#[derive(Clone, Copy)]
pub(super) enum EnvoyLint {
    FailOpen,
    LiteralVariable,
    VariableMissing,
    CodeUnpinned,
    Precompiled,
    PolicyDiffers,
    PolicyUnfit,
    ValuesAbsent,
    RoutesOpen,
    GatewayUnscoped,
    QueryLogged,
    Waypoint,
    CertificatesUnverified,
}

impl EnvoyLint {
    pub(super) const ALL: [Self; 13] = [
        Self::FailOpen,
        Self::LiteralVariable,
        Self::VariableMissing,
        Self::CodeUnpinned,
        Self::Precompiled,
        Self::PolicyDiffers,
        Self::PolicyUnfit,
        Self::ValuesAbsent,
        Self::RoutesOpen,
        Self::GatewayUnscoped,
        Self::QueryLogged,
        Self::Waypoint,
        Self::CertificatesUnverified,
    ];

    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::FailOpen => "envoy-fail-open",
            Self::LiteralVariable => "envoy-literal-variable",
            Self::VariableMissing => "envoy-variable-missing",
            Self::CodeUnpinned => "envoy-code-unpinned",
            Self::Precompiled => "envoy-precompiled",
            Self::PolicyDiffers => "envoy-policy-differs",
            Self::PolicyUnfit => "envoy-policy-unfit",
            Self::ValuesAbsent => "envoy-values-absent",
            Self::RoutesOpen => "envoy-routes-open",
            Self::GatewayUnscoped => "envoy-gateway-unscoped",
            Self::QueryLogged => "envoy-query-logged",
            Self::Waypoint => "envoy-waypoint",
            Self::CertificatesUnverified => "envoy-certificates-unverified",
        }
    }

    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::FailOpen => "requests pass unchecked while the filter cannot run",
            Self::LiteralVariable => {
                "the configuration contains a secret's value, which `/config_dump` shows"
            }
            Self::VariableMissing => "a variable that the policy names is not passed to the filter",
            Self::CodeUnpinned => "the filter's code is fetched without a check of its digest",
            Self::Precompiled => {
                "precompiled machine code in the module is run without a check of its origin"
            }
            Self::PolicyDiffers => "the configuration contains another policy",
            Self::PolicyUnfit => "the policy needs an ability that the filter or the module lacks",
            Self::ValuesAbsent => {
                "the configuration reads values of requests that the policy leaves out, with `access_log: none`"
            }
            Self::RoutesOpen => {
                "other namespaces may add routes to the gateway, which get requests after the real key was written into them"
            }
            Self::GatewayUnscoped => {
                "a Gateway of another namespace may select the pods of this one, and bring its routes"
            }
            Self::QueryLogged => {
                "a log or a trace holds the query, where refused tokens and Google's real key may stand"
            }
            Self::Waypoint => {
                "a waypoint sends a request to the service that its caller named, with the real key of the provider that the filter chose"
            }
            Self::CertificatesUnverified => {
                "a listener does not verify each client certificate, and the policy takes them as identities"
            }
        }
    }

    pub(super) const fn remedy(self) -> &'static str {
        match self {
            Self::FailOpen => {
                "set `failure_policy`, or Istio's `failStrategy`, to `FAIL_RELOAD`, and remove `failOpen`"
            }
            Self::LiteralVariable => {
                "pass it from the host's environment: `host_env_keys`, `valueFrom: HOST`, `hostKeys`"
            }
            Self::VariableMissing => "add it to `host_env_keys`, `vmConfig.env` or `hostKeys`",
            Self::CodeUnpinned => "set `sha256`, or name an image by its digest",
            Self::Precompiled => "remove `allow_precompiled`",
            Self::PolicyDiffers => "update the configuration, or lint the policy that it contains",
            Self::PolicyUnfit => {
                "change the policy as the error says, or run the module in place of the filter"
            }
            Self::ValuesAbsent => "remove `access_log` from the policy, or whatever reads `wasm.keyswap_…`",
            Self::RoutesOpen => "write `./` before each host, or `from: Same`",
            Self::GatewayUnscoped => {
                "set `PILOT_SCOPE_GATEWAY_TO_NAMESPACE=true` in istiod, and pass its Deployment, too, or allow the finding"
            }
            Self::QueryLogged => {
                "log `REQ_WITHOUT_QUERY(:PATH)`; in Istio turn the mesh's own log and traces off for these pods, by a `Telemetry`"
            }
            Self::Waypoint => "attach the filter to a gateway of its own, which callers name",
            Self::CertificatesUnverified => {
                "name the authority in `trusted_ca`, remove `ACCEPT_UNTRUSTED`, and disable both forms of session resumption"
            }
        }
    }
}
