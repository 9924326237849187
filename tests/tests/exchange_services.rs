//! The contracts of the services that exchange callers' identities: the example makes the calls that their documents ask
//! for.

use std::fs;

use anyhow::{Context as _, Result, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use keyswap_tests::exchange::{jwt, members, subject};
use keyswap_tests::{Call, Envoy, Request, Script, Scripted, SigningKey, Standin, tools, unix_now};
use serde_json::{Value, json};

/// A secret that a form has to escape.
const CLIENT_SECRET: &str = "of+the&client=%25";

fn given(token: &str, seconds: u64) -> Script {
    let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": seconds});
    Script::answer(200, answer.to_string())
}

/// The contract of a service: the path, the parameters that it requires, and the one with the caller's JWT.
struct Contract {
    path: &'static str,
    content_type: &'static str,
    required: &'static [(&'static str, &'static str)],
    jwt: &'static str,
    token: &'static str,
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_TYPE: &str = "urn:ietf:params:oauth:token-type:jwt";
const FORM: &str = "application/x-www-form-urlencoded";

/// The contracts, by the documents of OpenAI, Anthropic, Google Cloud (STS), Microsoft Entra and AWS (STS).
const CONTRACTS: [Contract; 5] = [
    Contract {
        path: "/oauth/token",
        content_type: "application/json",
        required: &[
            ("grant_type", EXCHANGE),
            ("subject_token_type", JWT_TYPE),
            ("identity_provider_id", "idp_123"),
            ("service_account_id", "svcacct_123"),
        ],
        jwt: "subject_token",
        token: "openai-access",
    },
    Contract {
        path: "/v1/oauth/token",
        content_type: "application/json",
        required: &[
            ("grant_type", "urn:ietf:params:oauth:grant-type:jwt-bearer"),
            ("federation_rule_id", "fdrl_123"),
            ("organization_id", "00000000-0000-0000-0000-000000000000"),
            ("service_account_id", "svac_123"),
        ],
        jwt: "assertion",
        token: "sk-ant-oat01-access",
    },
    Contract {
        path: "/v1/token",
        content_type: FORM,
        required: &[
            ("grant_type", EXCHANGE),
            (
                "audience",
                "//iam.googleapis.com/projects/123/locations/global/workloadIdentityPools/agents/providers/cluster",
            ),
            ("scope", "https://www.googleapis.com/auth/cloud-platform"),
            ("requested_token_type", "urn:ietf:params:oauth:token-type:access_token"),
            ("subject_token_type", JWT_TYPE),
        ],
        jwt: "subject_token",
        token: "ya29.federated",
    },
    Contract {
        path: "/00000000-0000-0000-0000-000000000000/oauth2/v2.0/token",
        content_type: FORM,
        required: &[
            ("grant_type", "client_credentials"),
            ("client_id", "11111111-1111-1111-1111-111111111111"),
            ("scope", "https://cognitiveservices.azure.com/.default"),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ],
        jwt: "client_assertion",
        token: "entra-access",
    },
    Contract {
        path: "/",
        content_type: FORM,
        required: &[
            ("Action", "AssumeRoleWithWebIdentity"),
            ("Version", "2011-06-15"),
            ("RoleArn", "arn:aws:iam::123456789012:role/agents"),
            ("RoleSessionName", "coder"),
        ],
        jwt: "WebIdentityToken",
        token: "",
    },
];

/// The call by which a federated identity acts as a service account of Google's.
const IMPERSONATION: &str =
    "/v1/projects/-/serviceAccounts/agents@acme.iam.gserviceaccount.com:generateAccessToken";

/// Answers that call for the identity of [`CONTRACTS`].
fn impersonated(call: &Call) -> Script {
    let body: Value = serde_json::from_slice(&call.body).unwrap_or_default();
    let is_federated =
        call.headers.contains(&("authorization".to_owned(), "Bearer ya29.federated".to_owned()));
    let expect = json!({"scope": ["https://www.googleapis.com/auth/cloud-platform"], "lifetime": "3600s"});
    if call.method == "POST" && is_federated && body == expect {
        let answer = json!({"accessToken": "ya29.service-account", "expireTime": unix_now() + 3600});
        return Script::answer(200, answer.to_string());
    }
    Script::answer(401, "{}")
}

/// Returns the answer of AWS's STS, whose times are in seconds with an exponent.
fn assumed_role() -> Script {
    #[expect(clippy::cast_precision_loss, reason = "seconds of this century are exact")]
    let expiration = (unix_now() + 3600) as f64;
    let answer = json!({"AssumeRoleWithWebIdentityResponse": {"AssumeRoleWithWebIdentityResult": {
        "Audience": "keyswap", "SubjectFromWebIdentityToken": "system:serviceaccount:agents:coder",
        "Credentials": {
            "AccessKeyId": "ASIAEXAMPLE", "SecretAccessKey": "s", "SessionToken": "t+/=", "Expiration": expiration,
        },
    }}});
    Script::answer(200, answer.to_string())
}

/// Starts the key set of the cluster and all services, at one address. A service answers only what its contract takes.
fn services(key: &SigningKey) -> Result<Scripted> {
    let keys = json!({"keys": [key.jwk()]}).to_string();
    Scripted::start(move |call| {
        if call.target == "/openid/v1/jwks" {
            return Script::answer(200, keys.clone());
        }
        let members = members(call);
        if call.target == "/token" {
            let is_client = members.get("client_secret").is_some_and(|it| it == CLIENT_SECRET);
            return if is_client { given("of-the-client", 600) } else { Script::answer(401, "{}") };
        }
        if call.target == IMPERSONATION {
            return impersonated(call);
        }
        let contract = CONTRACTS.iter().find(|contract| contract.path == call.target);
        let holds = contract.filter(|contract| {
            let has = |(name, value): &(&str, &str)| members.get(*name).is_some_and(|it| it == value);
            let has_type =
                call.headers.contains(&("content-type".to_owned(), contract.content_type.to_owned()));
            let subject = members.get(contract.jwt).and_then(|jwt| subject(jwt));
            call.method == "POST"
                && has_type
                && contract.required.iter().all(has)
                && members.len() == contract.required.len() + 1
                && subject.as_deref() == Some("system:serviceaccount:agents:coder")
        });
        match holds {
            Some(Contract { path: "/", .. }) => assumed_role(),
            Some(contract) => given(contract.token, 600),
            None => Script::answer(400, r#"{"error":"invalid_grant"}"#),
        }
    })
}

#[test]
fn the_example_of_exchanges_calls_each_service_as_its_documents_say() -> Result<()> {
    let text = fs::read_to_string(tools::project_root().join("envoy/policy-exchange.yaml"))?;
    let mut policy: Value = serde_saphyr::from_str(&text)?;
    // Its API is at the same host, whose cluster here leads to the stand-in.
    policy["credentials"]["anthropic"][0]["http"]["cluster"] = json!("anthropic-tokens");
    let key = SigningKey::p256("k")?;
    let services = services(&key)?;
    let hosts = [
        "api.openai.com",
        "api.anthropic.com",
        "aiplatform.googleapis.com",
        "acme.openai.azure.com",
        "openrouter.ai",
        "bedrock-runtime.us-east-1.amazonaws.com",
    ];
    let standin = Standin::start_with(0, &hosts)?;
    let mut setup = Envoy::with(&policy).upstream_hosts(hosts).upstream(&standin);
    for name in [
        "kubernetes",
        "auth.openai.com",
        "anthropic-tokens",
        "sts.googleapis.com",
        "iamcredentials.googleapis.com",
        "sts.us-east-1.amazonaws.com",
        "login.microsoftonline.com",
        "auth.example.com",
    ] {
        setup = setup.cluster(name, services.address());
    }
    let envoy = setup.env("CLIENT_SECRET", CLIENT_SECRET).start()?;
    let bearer = format!("Bearer {}", jwt(&key, "system:serviceaccount:agents:coder")?);
    for (path, host, token) in [
        ("/openai/v1/models", "api.openai.com", "openai-access"),
        ("/anthropic/v1/models", "api.anthropic.com", "sk-ant-oat01-access"),
        (
            "/google-vertex-ai/v1/publishers/google/models/g",
            "aiplatform.googleapis.com",
            "ya29.service-account",
        ),
        ("/azure-openai/models", "acme.openai.azure.com", "entra-access"),
        ("/openrouter/v1/models", "openrouter.ai", "of-the-client"),
    ] {
        let response = envoy.send(&Request::get(path).header("authorization", &bearer))?;
        ensure!(response.status < 500, "{path}: {} {}", response.status, response.text());
        let received = standin.take();
        let [request] = received.as_slice() else { anyhow::bail!("{path}: {received:?}") };
        ensure!(request.sni == host, "{path}: {request:?}");
        ensure!(request.credentials() == [format!("authorization: Bearer {token}")], "{path}: {request:?}");
    }
    let converse = Request::post("/bedrock/model/m/converse", &json!({})).header("authorization", &bearer);
    let response = envoy.send(&converse)?;
    ensure!(response.status < 500, "{}: {}", response.status, response.text());
    let received = standin.take();
    let credentials: Vec<String> = received.iter().flat_map(keyswap_tests::Received::credentials).collect();
    let [credential] = credentials.as_slice() else { anyhow::bail!("{received:?}") };
    let key =
        credential.strip_prefix("authorization: Bearer bedrock-api-key-").context("no key of Bedrock")?;
    let url = String::from_utf8(BASE64_STANDARD.decode(key)?)?;
    ensure!(url.starts_with("bedrock.amazonaws.com/?Action=CallWithBearerToken&"), "{url}");
    ensure!(url.contains("&X-Amz-Credential=ASIAEXAMPLE%2F") && url.contains("&X-Amz-Signature="), "{url}");
    Ok(())
}
