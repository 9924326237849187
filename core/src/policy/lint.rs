//! Findings: valid but risky settings. Each kind has a stable code, its place, and a remedy.
//!
//! A policy with findings decides as it says. A setting that is wrong whatever was meant is an error instead, for which
//! the policy is refused. Examples are a literal secret, a credential that is never used, and a scope with a provider
//! that has no key.

/// A kind of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lint {
    /// A token never expires.
    TokenWithoutExpiry,
    /// A token has expired.
    TokenExpired,
    /// A token has no owner.
    TokenWithoutOwner,
    /// A scope has an endpoint where the body chooses the provider that gets the key.
    ScopeWide,
    /// A person is in the policy, and no issuer lets that person call any provider.
    PersonWithoutScope,
    /// An issuer admits known people, and no person is known.
    IssuerWithoutPeople,
    /// An issuer admits all its subjects, to every provider.
    IssuerOpen,
    /// An issuer names known people by addresses that are not marked as verified.
    EmailUnverified,
    /// An issuer admits all its subjects, and the policy does not say whose they are.
    CustomersUnnamed,
    /// An issuer's tokens are judged by another entry.
    IssuerShadowed,
    /// Tokens count that were issued for another service.
    AudienceOpen,
    /// A registry, an agent or a key set is asked without TLS.
    PlaintextChannel,
    /// A source repeats one before it, so that it is never asked.
    SourceRepeated,
    /// No slot in which a provider's SDKs send their key is judged.
    SlotLeftOut,
    /// A provider's name leads to another.
    ProviderShadowed,
    /// The status is for tokens, and no token may ask.
    StatusForNobody,
    /// Every path of a provider is forwarded, whatever it does there.
    EndpointsAny,
    /// Callers of several teams or owners reach the objects of one account.
    ObjectsShared,
    /// A scope opens endpoints that keep objects, whose holders are not known.
    ObjectsUnkept,
    /// A binding is of no caller.
    BindingUnmatched,
    /// A budget of money lets requests pass whose cost is not known.
    UnpricedAllowed,
    /// A budget lets requests pass that cannot be counted.
    BudgetFailsOpen,
    /// A scope under budgets opens endpoints whose usage is not metered.
    ClassUnmetered,
}

/// A valid but risky setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The kind of the finding.
    pub lint: Lint,
    /// The place in the document: `tokens[1].expires_at`.
    pub path: String,
    /// The finding, in a sentence.
    pub message: String,
}

impl Finding {
    /// Returns the finding of a policy that stands in another document at `place`.
    #[must_use]
    pub fn within(mut self, place: &str) -> Self {
        if !place.is_empty() {
            self.path = format!("{place}.{}", self.path);
        }
        self
    }
}

impl Lint {
    /// Every kind.
    pub const ALL: [Self; 23] = [
        Self::TokenWithoutExpiry,
        Self::TokenExpired,
        Self::TokenWithoutOwner,
        Self::ScopeWide,
        Self::PersonWithoutScope,
        Self::IssuerWithoutPeople,
        Self::IssuerOpen,
        Self::EmailUnverified,
        Self::CustomersUnnamed,
        Self::IssuerShadowed,
        Self::AudienceOpen,
        Self::PlaintextChannel,
        Self::SourceRepeated,
        Self::SlotLeftOut,
        Self::ProviderShadowed,
        Self::StatusForNobody,
        Self::EndpointsAny,
        Self::ObjectsShared,
        Self::ObjectsUnkept,
        Self::BindingUnmatched,
        Self::UnpricedAllowed,
        Self::BudgetFailsOpen,
        Self::ClassUnmetered,
    ];

    /// Returns the stable code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::TokenWithoutExpiry => "token-without-expiry",
            Self::TokenExpired => "token-expired",
            Self::TokenWithoutOwner => "token-without-owner",
            Self::ScopeWide => "scope-wide",
            Self::PersonWithoutScope => "person-without-scope",
            Self::IssuerWithoutPeople => "issuer-without-people",
            Self::IssuerOpen => "issuer-open",
            Self::EmailUnverified => "email-unverified",
            Self::CustomersUnnamed => "customers-unnamed",
            Self::IssuerShadowed => "issuer-shadowed",
            Self::AudienceOpen => "audience-open",
            Self::PlaintextChannel => "plaintext-channel",
            Self::SourceRepeated => "source-repeated",
            Self::SlotLeftOut => "slot-left-out",
            Self::ProviderShadowed => "provider-shadowed",
            Self::StatusForNobody => "status-for-nobody",
            Self::EndpointsAny => "endpoints-any",
            Self::ObjectsShared => "objects-shared",
            Self::ObjectsUnkept => "objects-unkept",
            Self::BindingUnmatched => "binding-unmatched",
            Self::UnpricedAllowed => "unpriced-allowed",
            Self::BudgetFailsOpen => "budget-fails-open",
            Self::ClassUnmetered => "class-unmetered",
        }
    }

    /// Describes the problem.
    pub const fn about(self) -> &'static str {
        match self {
            Self::TokenWithoutExpiry => "a token never expires: one that leaks works until it is revoked",
            Self::TokenExpired => "a token has expired: it is refused, and only takes room",
            Self::TokenWithoutOwner => "a token has no owner to ask about it",
            Self::ScopeWide => {
                "a scope has an endpoint whose requests name the provider in the body, and our keys go there with them"
            }
            Self::PersonWithoutScope => "no issuer lets this person call any of their providers",
            Self::IssuerWithoutPeople => "an issuer admits known people, and no person is known",
            Self::IssuerOpen => "every subject of the issuer may call every provider",
            Self::EmailUnverified => {
                "an address names a person without the issuer's word that it is theirs: a guest may have chosen it"
            }
            Self::CustomersUnnamed => {
                "every workload or account of the provider may call, and none of these claims says whose"
            }
            Self::IssuerShadowed => "another entry for the same issuer and audience is judged first",
            Self::AudienceOpen => "tokens count that were issued for another service",
            Self::PlaintextChannel => {
                "a server is asked without TLS: whoever is on its network can read and replace what is sent"
            }
            Self::SourceRepeated => "a source stands twice in a chain: the second is never asked",
            Self::SlotLeftOut => "no slot in which a provider's SDKs send their key is judged",
            Self::ProviderShadowed => "the segment that is a provider's name leads to another provider",
            Self::StatusForNobody => {
                "the status is for tokens, and none has `keyswap-status` among its providers"
            }
            Self::EndpointsAny => {
                "every path of the provider is forwarded with its key, be it one that administers the account"
            }
            Self::ObjectsShared => {
                "callers of several teams or owners read and delete what the others keep at the provider, since they have one credential"
            }
            Self::ObjectsUnkept => {
                "a scope opens endpoints that keep objects, and they are refused, since it is not known whose the objects are"
            }
            Self::BindingUnmatched => "no caller that may use the provider has this binding",
            Self::UnpricedAllowed => "requests for models without a price pass every budget of money",
            Self::ClassUnmetered => {
                "a scope opens endpoints that compute, and whose usage no budget and no limit in tokens counts"
            }
            Self::BudgetFailsOpen => {
                "while the registry cannot be asked, requests pass without being counted"
            }
        }
    }

    /// Returns the remedy.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::TokenWithoutExpiry => "set `expires_at`",
            Self::TokenExpired => "remove it, or mint a new one",
            Self::TokenWithoutOwner => "set `owner`",
            Self::ScopeWide => "name providers in the scope, or use `mode: byok` or `unified_billing`",
            Self::PersonWithoutScope => {
                "widen `providers` of the person or of the issuer, or remove the person"
            }
            Self::IssuerWithoutPeople => "add people to `principals`, add a `registry`, or remove the issuer",
            Self::IssuerOpen => "list `providers` at the issuer, or admit `known` people only",
            Self::EmailUnverified => {
                "have the issuer send `email_verified`, and remove `unverified_email`; or let no guests into the tenant"
            }
            Self::CustomersUnnamed => {
                "name those who may call by one of the claims, in `claims` or in each rule"
            }
            Self::IssuerShadowed => "give each entry its own audiences, or put the narrower one first",
            Self::AudienceOpen => "list `audiences` that are this proxy's own",
            Self::PlaintextChannel => {
                "use `https://`, and remove `plaintext`; where a mesh encrypts the network, allow it"
            }
            Self::SourceRepeated => "remove the second",
            Self::SlotLeftOut => "add one of its slots to `slots`",
            Self::ProviderShadowed => "give one of them another name or `slug`",
            Self::StatusForNobody => {
                "add `keyswap-status` to the `providers` of a token, or allow `loopback` only"
            }
            Self::EndpointsAny => "list its `endpoints` with their classes, or leave the field out",
            Self::ObjectsShared => {
                "set `objects: own` or `team`, give each its own credential by `bindings`, or close the classes in their scopes"
            }
            Self::ObjectsUnkept => "add a `registry` that keeps objects, or set `objects: shared`",
            Self::BindingUnmatched => {
                "correct the name, open the provider in the caller's scope, or remove the binding"
            }
            Self::UnpricedAllowed => "add the models to `prices`, and remove `unpriced`",
            Self::BudgetFailsOpen => "remove `failure_mode_allow`",
            Self::ClassUnmetered => "close the classes in the scope, or limit them at the provider",
        }
    }
}
