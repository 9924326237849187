//! Client certificates: the callers that they name, and the tokens that are bound to one.

use std::sync::Mutex;

use keyswap_core::base::Digest;
use keyswap_core::host::{Capabilities, MemoryStore};
use keyswap_core::judge::{Check, Decision, Verdict};
use keyswap_core::policy::Policy;
use keyswap_core::request::{CertificatePart, Header, RequestHead};
use serde_json::{Value, json};

use crate::support::worker::{
    Answer, Secrets, TOKEN, Worker, at, introspection, nobody_is_asked, registry_policy,
};
use crate::support::{Signer, b64u, claims, oidc, with};

const CODER: &str = "spiffe://example.org/ns/agents/sa/coder";

/// The client certificate of a connection, as a host shows it.
#[derive(Clone, Copy, Default)]
struct Shown {
    sha256: Option<&'static [u8]>,
    uri: Option<&'static str>,
    dns_name: Option<&'static str>,
    is_verified: Option<&'static str>,
}

impl Shown {
    fn of(uri: &'static str) -> Self {
        Self { uri: Some(uri), ..Self::default() }
    }

    /// Returns a certificate that is known by its bytes only.
    fn bytes(der: &'static [u8]) -> Self {
        Self { sha256: Some(der), ..Self::default() }
    }

    fn part(self, part: CertificatePart) -> Option<Vec<u8>> {
        match part {
            CertificatePart::Sha256 => self.sha256.map(|der| Digest::of(der).to_hex().into_bytes()),
            CertificatePart::Uri => self.uri.map(|text| text.as_bytes().to_vec()),
            CertificatePart::DnsName => self.dns_name.map(|text| text.as_bytes().to_vec()),
            CertificatePart::IsVerified => self.is_verified.map(|text| text.as_bytes().to_vec()),
        }
    }
}

/// A policy in a host that shows the certificates of connections.
struct Host {
    worker: Worker,
    store: MemoryStore,
}

impl Host {
    fn new(policy: &Value) -> Self {
        Self { worker: Worker::new(policy), store: MemoryStore::default() }
    }

    fn ask(&self, shown: Shown, path: &str, lines: &[(&str, &str)]) -> String {
        self.ask_with(shown, path, lines, &nobody_is_asked)
    }

    /// Returns the status of a request, and the reason of a refusal in the words of the log.
    fn ask_with(
        &self,
        shown: Shown,
        path: &str,
        lines: &[(&str, &str)],
        service: &dyn Fn(&str) -> Answer,
    ) -> String {
        self.decide(shown, path, lines, service, verdict)
    }

    fn decide<T>(
        &self,
        shown: Shown,
        path: &str,
        lines: &[(&str, &str)],
        service: &dyn Fn(&str) -> Answer,
        show: impl FnOnce(&Decision<'_>) -> T,
    ) -> T {
        let headers: Vec<Header<'_>> = lines
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let certificate = |part| shown.part(part);
        let head = RequestHead {
            authority: b"llm.example",
            certificate: &certificate,
            ..RequestHead::new(b"GET", path.as_bytes(), &headers)
        };
        self.worker.decide(&self.store, &head, at(0), service, show)
    }
}

fn verdict(decision: &Decision<'_>) -> String {
    match &decision.verdict {
        Verdict::Reply(reason, reply) => {
            let last = decision.facts.checks.last();
            let error = last.map(ToString::to_string).unwrap_or_default();
            format!("{} {reason}: {error}", reply.status)
        }
        _ => "200".to_owned(),
    }
}

/// Returns a policy with these client certificates.
fn policy(entries: &Value, more: &Value) -> Value {
    with(&registry_policy(&json!({"registry": null, "client_certificates": entries})), more)
}

fn mesh(more: &Value) -> Value {
    with(&json!({"name": "mesh", "trust_domain": "example.org", "providers": ["openai"]}), more)
}

/// The answers of a service.
type Service<'s> = &'s dyn Fn(&str) -> Answer;

#[test]
fn a_caller_without_a_token_is_the_workload_that_its_certificate_names() {
    let lab = json!({"name": "lab", "dns_names": ["*.lab.example"], "providers": ["gemini"]});
    let host = Host::new(&policy(&json!([mesh(&json!({})), lab]), &json!({})));
    let dns = |name| Shown { dns_name: Some(name), ..Shown::default() };
    let (openai, gemini) = ("/openai/v1/models", "/google-ai-studio/v1beta/models");
    for (shown, path, expect) in [
        (Shown::of(CODER), openai, "200"),
        (Shown { is_verified: Some("true"), ..Shown::of(CODER) }, openai, "200"),
        (
            Shown { is_verified: Some("false"), ..Shown::of(CODER) },
            openai,
            "401 credential_missing: the host did not verify",
        ),
        (Shown::of(CODER), gemini, "403 provider_not_allowed"),
        (dns("Runner.lab.example"), gemini, "200"),
        (dns("runner.lab.example"), openai, "403 provider_not_allowed"),
        (
            dns("runner.example"),
            gemini,
            "401 credential_missing: no auth slot holds a credential, and no entry",
        ),
        (
            Shown::of("spiffe://example.com/ns/agents/sa/coder"),
            openai,
            "401 credential_missing: no auth slot",
        ),
        (Shown::of("spiffe://example.org"), openai, "401 credential_missing: no auth slot"),
        (Shown::of("spiffe://example.org/a/../b"), openai, "401 credential_missing: no auth slot"),
        (Shown::of("https://example.org/ns/agents/sa/coder"), openai, "401 credential_missing: no auth slot"),
        (Shown::of(""), openai, "401 credential_missing: no auth slot holds a credential"),
        (Shown::default(), openai, "401 credential_missing: no auth slot holds a credential"),
        (Shown::bytes(b"der"), openai, "401 credential_missing: no auth slot holds a credential"),
    ] {
        let found = host.ask(shown, path, &[]);
        assert!(found.starts_with(expect), "{:?} {:?} {path}: {found}", shown.uri, shown.dns_name);
    }
}

#[test]
fn a_token_counts_before_the_certificate_and_a_refused_one_never_falls_back_to_it() {
    let tokens = json!([
        {"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["gemini"]},
        {"sha256": Digest::of(b"disabled-token-0123456789").to_hex(), "label": "d", "providers": ["openai"], "status": "disabled"},
    ]);
    let issuer = with(
        &oidc(&json!([Signer::new(1, "k").jwk()])),
        &json!({"principals": "any", "slots": ["header:x-id"]}),
    );
    let more = json!({"tokens": tokens, "issuers": [issuer]});
    let host = Host::new(&policy(&json!([mesh(&json!({}))]), &more));
    let label = |lines: &[(&str, &str)]| {
        host.decide(
            Shown::of(CODER),
            "/google-ai-studio/v1beta/models",
            lines,
            &nobody_is_asked,
            |decision| {
                let principal = decision.facts.principal.as_ref();
                (verdict(decision), principal.map_or_else(String::new, |it| it.label().to_owned()))
            },
        )
    };
    let bearer = format!("Bearer {TOKEN}");
    assert_eq!(label(&[("authorization", &bearer)]), ("200".to_owned(), "t".to_owned()));
    assert_eq!(label(&[("x-goog-api-key", TOKEN)]).1, "t");
    for (line, expect) in [
        (("authorization", "Bearer unknown-token-0123456789"), "401 token_invalid: no token has this digest"),
        (("authorization", "Bearer disabled-token-0123456789"), "401 token_invalid: the token is disabled"),
        (("x-goog-api-key", "unused"), "401 token_invalid"),
        (("authorization", "Bearer a, Bearer b"), "400 credential_ambiguous"),
        (("authorization", "Bearer eyJh.eyJh.a"), "401 token_invalid"),
        (("x-id", "eyJh.eyJh.a"), "401 token_invalid"),
    ] {
        let (found, label) = label(&[line]);
        assert!(found.starts_with(expect) && matches!(&*label, "" | "d"), "{line:?}: {found} {label}");
    }
    // An SDK that must send some key says that it has none; this text is no secret, and goes nowhere.
    let path = "/openai/v1/models?key=client-certificate";
    for lines in
        [&[("authorization", "Bearer client-certificate")][..], &[("x-api-key", "client-certificate")], &[]]
    {
        assert_eq!(host.ask(Shown::of(CODER), path, lines), "200", "{lines:?}");
    }
    let found = host.ask(Shown::default(), path, &[]);
    assert!(found.starts_with("401 credential_missing"), "{found}");
    let other = Host::new(&policy(&json!([]), &json!({"tokens": tokens})));
    let found = other.ask(Shown::of(CODER), path, &[]);
    assert!(found.starts_with("401 token_invalid"), "without the list it is a token: {found}");
}

#[test]
fn a_header_that_names_a_certificate_is_never_read() {
    let host = Host::new(&policy(&json!([mesh(&json!({}))]), &json!({})));
    let xfcc = format!("By=spiffe://example.org/keyswap;Hash={};URI={CODER}", Digest::of(b"der").to_hex());
    for name in [
        "x-forwarded-client-cert",
        "X-Forwarded-Client-Cert",
        "client-cert",
        "x-client-cert",
        "ssl-client-cert",
    ] {
        for shown in [Shown::default(), Shown::of("spiffe://evil.example/ns/agents/sa/coder")] {
            let found = host.ask(shown, "/openai/v1/models", &[(name, &xfcc)]);
            assert!(found.starts_with("401 credential_missing"), "{name}: {found}");
        }
    }
}

#[test]
fn rules_give_rights_by_the_names_in_a_certificate() {
    let rules = json!({"providers": null, "rules": [
        {
            "when": {"namespace": ["agents"], "service_account": ["coder*"]}, "providers": ["openai"], "models": ["gpt-5*"],
            "rate_limit": {"requests": 1, "per": "60s"}, "team": {"claim": "namespace"}, "label": {"claim": "service_account"},
        },
        {"when": {"sub": ["spiffe://example.org/batch/*"]}, "providers": ["gemini"], "team": "batch"},
    ]});
    let host = Host::new(&policy(&json!([mesh(&rules)]), &json!({})));
    let ask = |uri, path: &str| {
        host.decide(Shown::of(uri), path, &[], &nobody_is_asked, |decision| {
            let principal = decision.facts.principal.as_ref();
            let principal =
                principal.map_or_else(String::new, |it| format!("{} of {:?}", it.label(), it.team()));
            let rules =
                decision.facts.checks.iter().filter(|check| matches!(check, Check::RuleMissed { .. }));
            (verdict(decision), principal, rules.count())
        })
    };
    let (openai, gemini) = ("/openai/v1/models", "/google-ai-studio/v1beta/models");
    for (uri, path, status, principal, missed) in [
        (CODER, openai, "200", "coder of Some(\"agents\")", 0),
        (CODER, openai, "429 rate_limited", "coder of Some(\"agents\")", 0),
        ("spiffe://example.org/ns/agents/sa/coder-2", openai, "200", "coder-2 of Some(\"agents\")", 0),
        (CODER, gemini, "403 provider_not_allowed", "coder of Some(\"agents\")", 0),
        (
            "spiffe://example.org/batch/night",
            gemini,
            "200",
            "spiffe://example.org/batch/night of Some(\"batch\")",
            1,
        ),
        (
            "spiffe://example.org/ns/web/sa/coder",
            openai,
            "403 principal_unknown: no rule of the issuer `mesh`",
            "",
            2,
        ),
        ("spiffe://example.org/x/ns/agents/sa/coder", openai, "403 principal_unknown", "", 2),
    ] {
        let (found, who, of_rules) = ask(uri, path);
        assert!(found.starts_with(status), "{uri} {path}: {found}");
        assert_eq!((who.as_str(), of_rules), (principal, missed), "{uri} {path}");
    }
}

#[test]
fn a_page_of_another_site_does_not_use_the_certificate_that_a_browser_sends_by_itself() {
    let listed = json!({"cors": {"allow_origins": ["https://app.example"]}});
    let host = Host::new(&policy(&json!([mesh(&json!({}))]), &listed));
    for (origin, expect) in [
        ("https://app.example", "200"),
        ("https://llm.example", "200"),
        ("https://evil.example", "403 origin_not_allowed"),
        ("null", "403 origin_not_allowed"),
    ] {
        for lines in [&[("origin", origin)][..], &[("origin", origin), ("x-api-key", "client-certificate")]] {
            let found = host.ask(Shown::of(CODER), "/openai/v1/models", lines);
            assert!(found.starts_with(expect), "{lines:?}: {found}");
        }
    }
}

#[test]
fn a_bound_token_is_good_for_the_connection_with_its_certificate_only() {
    let token = |more: &Value| {
        let token =
            json!({"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"]});
        json!({"registry": null, "tokens": [with(&token, more)]})
    };
    let own = Digest::of(b"own").to_hex();
    let in_policy = registry_policy(&token(&json!({"certificate_sha256": own})));
    let record = |_: &str| {
        let record = json!({
            "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["openai"], "version": 1,
            "certificate_sha256": Digest::of(b"own").to_hex(),
        });
        Answer(200, record.to_string())
    };
    let introspected =
        |_: &str| Answer(200, json!({"active": true, "cnf": {"x5t#S256": thumbprint(b"own")}}).to_string());
    let line = format!("Bearer {TOKEN}");
    let line = [("authorization", line.as_str())];
    let kinds: [(&str, &Value, Service<'_>); 3] = [
        ("policy", &in_policy, &nobody_is_asked),
        ("registry", &registry_policy(&json!({})), &record),
        ("introspection", &introspection(), &introspected),
    ];
    for (kind, policy, service) in kinds {
        let host = Host::new(policy);
        // The second round takes the record from memory.
        for _ in 0..2 {
            for (shown, expect) in [
                (Shown::bytes(b"own"), "200"),
                (Shown { is_verified: Some("false"), ..Shown::bytes(b"own") }, "200"),
                (
                    Shown::bytes(b"other"),
                    "401 token_invalid: the token is bound to another client certificate",
                ),
                (
                    Shown::default(),
                    "401 token_invalid: the token is bound to a client certificate, and the connection has none",
                ),
            ] {
                let found = host.ask_with(shown, "/v1/models", &line, service);
                assert!(found.starts_with(expect), "{kind}: {found}");
            }
            let xfcc = ("x-forwarded-client-cert", &*format!("Hash={own}"));
            let found = host.ask_with(Shown::default(), "/v1/models", &[line[0], xfcc], service);
            assert!(found.starts_with("401 token_invalid"), "{kind}: {found}");
        }
    }
    // Another worker finds the record in the memory that they share.
    let host = Host::new(&registry_policy(&json!({})));
    assert_eq!(host.ask_with(Shown::bytes(b"own"), "/v1/models", &line, &record), "200");
    let other = Host { worker: Worker::new(&registry_policy(&json!({}))), store: host.store };
    let found = other.ask(Shown::bytes(b"other"), "/v1/models", &line);
    assert!(found.starts_with("401 token_invalid"), "{found}");
}

fn thumbprint(der: &[u8]) -> String {
    b64u(hex_bytes(&Digest::of(der).to_hex()))
}

fn hex_bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_jwt_is_good_for_the_certificate_in_its_cnf_and_an_unknown_cnf_is_refused() {
    let signer = Signer::new(1, "k1");
    let issuer = with(&oidc(&json!([signer.jwk()])), &json!({"principals": "any", "providers": ["openai"]}));
    let host = Host::new(&registry_policy(&json!({"registry": null, "issuers": [issuer]})));
    let ask = |shown, cnf: &Value, more: &Value| {
        let token = signer.sign(&with(&with(&claims(), &json!({"cnf": cnf})), more));
        host.ask(shown, "/openai/v1/models", &[("authorization", &format!("Bearer {token}"))])
    };
    let (bound, whole) = (json!({"x5t#S256": thumbprint(b"own")}), json!({}));
    // A verified JWT is cached, and its binding is judged for each connection.
    for _ in 0..2 {
        assert_eq!(ask(Shown::bytes(b"own"), &bound, &whole), "200");
        for shown in [Shown::bytes(b"other"), Shown::default()] {
            let found = ask(shown, &bound, &whole);
            assert!(found.starts_with("401 token_invalid: the token is bound to a"), "{found}");
        }
    }
    for cnf in [
        json!({"jkt": "a"}),
        json!({"jwk": {"kty": "EC"}}),
        json!({"kid": "k"}),
        json!({"x5t#S256": thumbprint(b"own"), "jkt": "a"}),
        json!({"x5t#S256": Digest::of(b"own").to_hex()}),
        json!({}),
        json!(true),
    ] {
        let found = ask(Shown::bytes(b"own"), &cnf, &whole);
        assert!(found.starts_with("401 token_invalid: `cnf` binds the token"), "{cnf}: {found}");
        // Only a token that is otherwise valid learns that it has expired.
        let found = ask(Shown::bytes(b"own"), &cnf, &json!({"exp": 1}));
        assert!(found.starts_with("401 token_invalid: `cnf`"), "{cnf}: {found}");
    }
}

#[test]
fn the_host_is_asked_for_the_parts_that_a_policy_needs_and_for_no_others() {
    let asked = |policy: &Value, lines: &[(&str, &str)]| {
        let asked = Mutex::new(Vec::new());
        let certificate = |part: CertificatePart| {
            asked.lock().unwrap().push(format!("{part:?}"));
            Shown::of(CODER).part(part)
        };
        let lines: Vec<Header<'_>> = lines
            .iter()
            .map(|(name, value)| Header { name: name.as_bytes(), value: value.as_bytes() })
            .collect();
        let head =
            RequestHead { certificate: &certificate, ..RequestHead::new(b"GET", b"/v1/models", &lines) };
        Worker::new(policy).decide(&MemoryStore::default(), &head, at(0), &nobody_is_asked, |_| ());
        asked.into_inner().unwrap().join(" ")
    };
    let token =
        json!({"sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"]});
    let bound = with(&token, &json!({"certificate_sha256": "0".repeat(64)}));
    let bearer = format!("Bearer {TOKEN}");
    let bearer = [("authorization", bearer.as_str())];
    let of = |tokens: &Value| json!({"tokens": tokens, "registry": null});
    let certificates = policy(&json!([mesh(&json!({}))]), &json!({"tokens": [token]}));
    let lab = json!({"name": "lab", "dns_names": ["a.example"], "providers": ["openai"]});
    assert_eq!(asked(&registry_policy(&of(&json!([token]))), &bearer), "");
    assert_eq!(asked(&registry_policy(&of(&json!([token]))), &[]), "");
    assert_eq!(asked(&registry_policy(&of(&json!([bound]))), &bearer), "Sha256");
    assert_eq!(asked(&certificates, &bearer), "");
    assert_eq!(asked(&certificates, &[]), "Uri IsVerified");
    assert_eq!(asked(&policy(&json!([lab]), &json!({})), &[]), "DnsName");
    assert_eq!(asked(&policy(&json!([lab, mesh(&json!({}))]), &json!({})), &[]), "Uri DnsName IsVerified");
}

#[test]
fn a_host_that_shows_no_certificates_takes_no_policy_that_needs_them_and_no_bound_token() {
    let token = json!({
        "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "t", "providers": ["openai"],
        "certificate_sha256": "0".repeat(64),
    });
    let document = policy(&json!([mesh(&json!({}))]), &json!({"tokens": [token]}));
    let policy = Policy::from_json(document.to_string().as_bytes()).unwrap();
    let places = |host| -> Vec<String> {
        policy.fits(host).err().into_iter().flat_map(|errors| errors.0).map(|error| error.path).collect()
    };
    assert!(places(Capabilities::ENVOY).is_empty() && places(Capabilities::MODULE).is_empty());
    assert_eq!(places(Capabilities::COMPONENT), ["tokens[0].certificate_sha256", "client_certificates"]);

    // A registry may know bound tokens all the same.
    let host = Capabilities { shared_memory: true, ..Capabilities::COMPONENT };
    let worker = Worker::on(&registry_policy(&json!({})), Secrets, host);
    let record = json!({
        "sha256": Digest::of(TOKEN.as_bytes()).to_hex(), "label": "l", "providers": ["openai"],
        "certificate_sha256": "0".repeat(64),
    });
    let service = |_: &str| Answer(200, record.to_string());
    assert_eq!(worker.ask(&MemoryStore::default(), TOKEN, at(0), &service), 401);
}

#[test]
fn a_stream_of_a_workload_ends_once_the_policy_has_no_rule_for_it() {
    let streams = |entries: &Value| policy(entries, &json!({"revoke": "streams"}));
    let rule = |namespace: &str| {
        json!([mesh(&json!({"providers": null, "rules": [
            {"when": {"namespace": [namespace]}, "providers": ["openai"]},
        ]}))])
    };
    for (after, expect) in [
        (rule("agents"), None),
        (rule("others"), Some("principal_unknown")),
        (json!([mesh(&json!({"name": "other"}))]), Some("token_invalid")),
    ] {
        let store = MemoryStore::default();
        let certificate = |part| Shown::of(CODER).part(part);
        let head = RequestHead { certificate: &certificate, ..RequestHead::new(b"GET", b"/v1/models", &[]) };
        let ((), exchange) =
            Worker::new(&streams(&rule("agents"))).send(&store, &head, at(0), &nobody_is_asked, |_| ());
        let ended = Worker::new(&streams(&after)).look_again(&store, &exchange, at(1), &nobody_is_asked);
        assert_eq!(ended.is_some(), expect.is_some(), "{after}: {ended:?}");
        assert!(ended.is_none_or(|metric| metric.contains(expect.unwrap_or_default())), "{after}");
    }
}

#[test]
fn an_entry_that_cannot_be_meant_is_an_error_with_its_place() {
    let errors = |entries: &Value| {
        let issuer = with(&oidc(&json!([Signer::new(1, "k").jwk()])), &json!({"principals": "any"}));
        let document = policy(entries, &json!({"issuers": [issuer]}));
        let errors = Policy::from_json(document.to_string().as_bytes()).err().into_iter().flat_map(|it| it.0);
        errors.map(|error| format!("{}: {}", error.path, error.message)).collect::<Vec<_>>().join("\n")
    };
    let entry = |more: &Value| json!([mesh(more)]);
    assert_eq!(errors(&entry(&json!({}))), "");
    for (entries, expect) in [
        (
            entry(&json!({"trust_domain": null})),
            "client_certificates[0]: expected either `trust_domain` or `dns_names`",
        ),
        (
            entry(&json!({"dns_names": ["a.b"]})),
            "client_certificates[0]: expected either `trust_domain` or `dns_names`",
        ),
        (
            entry(&json!({"trust_domain": "spiffe://example.org"})),
            "client_certificates[0].trust_domain: expected the name",
        ),
        (
            entry(&json!({"trust_domain": null, "dns_names": []})),
            "client_certificates[0].dns_names: expected at least one",
        ),
        (
            entry(&json!({"trust_domain": null, "dns_names": ["*"]})),
            "client_certificates[0].dns_names: expected DNS names",
        ),
        (
            entry(&json!({"trust_domain": null, "dns_names": ["a.*"]})),
            "client_certificates[0].dns_names: expected DNS names",
        ),
        (
            entry(&json!({"trust_domain": null, "dns_names": ["A.b"]})),
            "client_certificates[0].dns_names: expected DNS names",
        ),
        (
            entry(&json!({"trust_domain": null, "dns_names": ["a..b"]})),
            "client_certificates[0].dns_names: expected DNS names",
        ),
        (entry(&json!({"name": "id"})), "client_certificates[0].name: an issuer is named `id`, too"),
        (
            entry(&json!({"name": "person"})),
            "client_certificates[0].name: `person` is the name of known people",
        ),
        (
            entry(&json!({"rules": [{"when": {"email": ["a"]}}]})),
            "client_certificates[0]: a certificate has the claims",
        ),
        (entry(&json!({"team": {"claim": "group"}})), "client_certificates[0]: a certificate has the claims"),
        (
            entry(&json!({"providers": ["openai:mint"]})),
            "client_certificates[0].providers[0]: `mint` is for proxy tokens",
        ),
        (entry(&json!({"slots": []})), "client_certificates[0].slots: "),
        (
            json!([mesh(&json!({})), mesh(&json!({}))]),
            "client_certificates[1]: another entry is named `mesh`, too",
        ),
    ] {
        let found = errors(&entries);
        assert!(found.contains(expect), "{entries}: {found}");
    }
}
