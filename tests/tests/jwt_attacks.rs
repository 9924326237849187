//! Attacks on JWTs, by their number in the threat list, through Envoy: each is refused, and for the reason that the
//! engine gives where it computes signatures in pure Rust. So Envoy's own verifier and ours agree.
//!
//! Payloads of the vectors of others are no claims, so of those only refusals can be compared. What both verifiers make
//! of a signature is compared on claims of our own, with every bit of it flipped and in every odd encoding.

use std::fs;

use anyhow::{Result, anyhow, bail, ensure};
use keyswap_core::base::{Moment, UnixTime};
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::PureRust;
use keyswap_core::judge::{Engine, Step, Verdict};
use keyswap_core::policy::Policy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::services::Services;
use keyswap_tests::{
    Envoy, Issuer, Request, Response, Script, Scripted, SigningKey, Standin, base64url, tools::project_root,
    unix_now, with,
};
use ring::{hmac, signature};
use serde_json::{Value, json};

const INVALID: &str = "401 token_invalid";
const EXPIRED: &str = "401 token_expired";

/// An issuer with its keys in the policy, an Envoy, and the engine with the same policy.
struct Bed {
    rsa: SigningKey,
    p256: SigningKey,
    standin: Standin,
    envoy: Envoy,
    engine: Engine,
}

struct OneKey;

impl Environment for OneKey {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (name == "OPENAI_API_KEY").then(|| b"sk-real".to_vec())
    }
}

impl Bed {
    fn start() -> Result<Self> {
        let (rsa, p256) = (SigningKey::rsa(0, "rsa")?, SigningKey::p256("p256")?);
        let policy = json!({
            "version": "keyswap/v1",
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
            "issuers": [{
                "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
                "principals": "any", "algorithms": ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"],
                "jwks": {"inline": {"keys": [with(&rsa.jwk(), &json!({"alg": null})), p256.jwk()]}},
            }],
        });
        let standin = Standin::start()?;
        let envoy = Envoy::with(&policy).env("OPENAI_API_KEY", "sk-real").upstream(&standin).start()?;
        let policy = Policy::from_json(policy.to_string().as_bytes())?;
        let engine = Engine::new(policy, &OneKey, &Services::new(Box::new(PureRust), Capabilities::ENVOY))?;
        Ok(Self { rsa, p256, standin, envoy, engine })
    }

    /// What becomes of each token, which Envoy and the engine must agree on.
    fn judge(&self, tokens: &[String]) -> Result<Vec<String>> {
        let mut verdicts = Vec::new();
        for tokens in tokens.chunks(100) {
            let requests: Vec<Request> =
                tokens.iter().map(|token| Request::get("/v1/models").bearer(token)).collect();
            for (token, answer) in tokens.iter().zip(self.envoy.burst(&requests)?) {
                let (in_envoy, in_core) = (verdict(&answer), self.in_core(token)?);
                ensure!(in_envoy == in_core, "Envoy: {in_envoy}, core: {in_core}, for {token:.200}");
                verdicts.push(in_envoy);
            }
        }
        let (accepted, arrived) =
            (verdicts.iter().filter(|it| *it == "200").count(), self.standin.take().len());
        ensure!(accepted == arrived, "{accepted} were accepted, and {arrived} arrived");
        Ok(verdicts)
    }

    fn expect(&self, tokens: &[String], expected: &str) -> Result<()> {
        for (token, found) in tokens.iter().zip(self.judge(tokens)?) {
            ensure!(found == expected, "{found} instead of {expected} for {token:.300}");
        }
        Ok(())
    }

    fn in_core(&self, token: &str) -> Result<String> {
        let value = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: value.trim().as_bytes() }];
        let head = RequestHead {
            method: b"GET",
            path: b"/v1/models",
            authority: b"",
            headers: &headers,
            peer: || None,
        };
        let now = Moment::from(UnixTime(i64::try_from(unix_now())?));
        let Step::Decide(decision) = self.engine.begin(&head, now, &MemoryStore::default()) else {
            bail!("nothing is to be fetched");
        };
        Ok(match decision.verdict {
            Verdict::Forward(_) => "200".to_owned(),
            Verdict::Reply(reason, _) => format!("{} {}", reason.status(), reason.code()),
            Verdict::Answer(_) | Verdict::Pass(_) => bail!("this is neither a preflight nor a rollout"),
        })
    }

    fn keys(&self) -> [&SigningKey; 2] {
        [&self.rsa, &self.p256]
    }

    /// A token of each key whose header, and one whose claims, are changed so.
    fn headers(&self, changes: &Value) -> Result<Vec<String>> {
        let sign =
            |key: &&SigningKey| key.sign_raw(&with(&key.header(), changes).to_string(), claims().to_string());
        self.keys().iter().map(sign).collect()
    }

    fn claims(&self, changes: &Value) -> Result<Vec<String>> {
        self.keys().iter().map(|key| key.sign(&with(&claims(), changes))).collect()
    }

    /// The same with a header and a payload that need not be JSON.
    fn raw(&self, header: &str, payload: impl AsRef<[u8]>) -> Result<Vec<String>> {
        self.keys().iter().map(|key| key.sign_raw(header, &payload)).collect()
    }
}

/// `200`, or the status and the reason.
fn verdict(response: &Response) -> String {
    match response.header("x-keyswap-reason") {
        Some(reason) => format!("{} {reason}", response.status),
        None => response.status.to_string(),
    }
}

fn claims() -> Value {
    json!({"iss": "https://id.example", "aud": "keyswap", "sub": "robot", "iat": unix_now(), "exp": unix_now() + 300})
}

/// Header and payload of a good token, and its signature.
fn signed(key: &SigningKey) -> Result<(String, Vec<u8>)> {
    let text = format!("{}.{}", base64url(key.header().to_string()), base64url(claims().to_string()));
    let signature = key.signature(&text)?;
    Ok((text, signature))
}

fn token(text: &str, signature: impl AsRef<[u8]>) -> String {
    format!("{text}.{}", base64url(signature))
}

#[test]
fn what_the_attacks_start_from_is_accepted() -> Result<()> {
    let bed = Bed::start()?;
    bed.expect(&bed.claims(&json!({}))?, "200")?;
    bed.expect(&bed.headers(&json!({"typ": "at+jwt"}))?, "200")?;
    // Each algorithm of one RSA key that does not say which it is for.
    let mut tokens = Vec::new();
    let encodings: [(&str, &'static dyn signature::RsaEncoding); 4] = [
        ("RS256", &signature::RSA_PKCS1_SHA256),
        ("RS384", &signature::RSA_PKCS1_SHA384),
        ("RS512", &signature::RSA_PKCS1_SHA512),
        ("PS256", &signature::RSA_PSS_SHA256),
    ];
    for (name, encoding) in encodings {
        let header = json!({"alg": name, "kid": "rsa"}).to_string();
        let text = format!("{}.{}", base64url(header), base64url(claims().to_string()));
        tokens.push(token(&text, bed.rsa.signature_in(encoding, &text)?));
    }
    bed.expect(&tokens, "200")
}

#[test]
fn every_vector_of_wycheproof_is_judged_in_envoy_as_in_core_and_none_is_accepted() -> Result<()> {
    let bed = Bed::start()?;
    let file = project_root().join("tests/vectors/wycheproof/json_web_signature_test.json");
    let vectors: Value = serde_json::from_slice(&fs::read(file)?)?;
    let groups = vectors["testGroups"].as_array().into_iter().flatten();
    let cases = groups.flat_map(|group| group["tests"].as_array().into_iter().flatten());
    let text = |case: &Value| case["jws"].as_str().map_or_else(|| case["jws"].to_string(), str::to_owned);
    let tokens: Vec<String> = cases.map(text).collect();
    ensure!(tokens.len() == 401, "{} vectors", tokens.len());
    let verdicts = bed.judge(&tokens)?;
    ensure!(verdicts.iter().all(|it| it.starts_with("40")), "one was accepted: {verdicts:?}");
    Ok(())
}

#[test]
fn one_bit_flipped_anywhere_in_a_signature_and_it_holds_nowhere() -> Result<()> {
    let bed = Bed::start()?;
    for key in bed.keys() {
        let (text, good) = signed(key)?;
        bed.expect(&[token(&text, &good)], "200")?;
        let flipped = (0..good.len() * 8).map(|bit| {
            let mut signature = good.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            token(&text, signature)
        });
        bed.expect(&flipped.collect::<Vec<_>>(), INVALID)?;
        // And in what was signed: most of it is no JSON then.
        let signature = base64url(&good);
        let flipped = (0..text.len()).filter(|at| text.as_bytes()[*at] != b'.').map(|at| {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            format!("{}{other}{}.{signature}", &text[..at], &text[at + 1..])
        });
        bed.expect(&flipped.collect::<Vec<_>>(), INVALID)?;
    }
    Ok(())
}

#[test]
fn j1_no_spelling_of_none_is_an_algorithm() -> Result<()> {
    let bed = Bed::start()?;
    for name in [
        json!("none"),
        json!("None"),
        json!("nOnE"),
        json!(""),
        json!("rs256"),
        json!(null),
        json!(["RS256"]),
    ] {
        bed.expect(&bed.headers(&json!({"alg": name}))?, INVALID)?;
        let text =
            format!("{}.{}", base64url(json!({"alg": name}).to_string()), base64url(claims().to_string()));
        bed.expect(&[format!("{text}."), format!("{text}.AA"), text], INVALID)?;
    }
    Ok(())
}

#[test]
fn j2_no_public_key_is_the_secret_of_an_hmac_and_no_key_is_for_anothers_algorithm() -> Result<()> {
    let bed = Bed::start()?;
    let jwk = bed.rsa.jwk();
    for secret in [Vec::new(), jwk.to_string().into_bytes(), jwk["n"].to_string().into_bytes()] {
        for kid in ["rsa", "p256"] {
            let header = base64url(json!({"alg": "HS256", "kid": kid}).to_string());
            let text = format!("{header}.{}", base64url(claims().to_string()));
            let key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
            bed.expect(&[token(&text, hmac::sign(&key, text.as_bytes()))], INVALID)?;
        }
    }
    for name in ["RS384", "RS512", "PS256", "ES384", "EdDSA", "HS256", "ES512", "PS384"] {
        bed.expect(&bed.headers(&json!({"alg": name}))?, INVALID)?;
    }
    bed.expect(&[bed.rsa.sign_raw(r#"{"alg":"ES256","kid":"p256"}"#, claims().to_string())?], INVALID)?;
    bed.expect(&[bed.p256.sign_raw(r#"{"alg":"RS256","kid":"rsa"}"#, claims().to_string())?], INVALID)
}

#[test]
fn j3_a_key_that_the_token_brings_is_ignored_and_nothing_is_fetched() -> Result<()> {
    let bed = Bed::start()?;
    let attacker = SigningKey::p256("p256")?;
    let place = Scripted::start(|_| Script::answer(200, "{}"))?;
    let url = format!("http://{}/keys", place.address());
    for kid in ["p256", "attacker"] {
        let header = json!({
            "alg": "ES256", "kid": kid, "jwk": attacker.jwk(), "jku": url, "x5u": url, "x5c": ["MIIB"],
        });
        bed.expect(&[attacker.sign_raw(&header.to_string(), claims().to_string())?], INVALID)?;
    }
    ensure!(place.calls().is_empty());
    Ok(())
}

#[test]
fn j4_an_unknown_kid_is_never_the_last_key_and_an_odd_one_is_no_kid() -> Result<()> {
    let bed = Bed::start()?;
    let (long, longer) = ("k".repeat(257), "k".repeat(9000));
    for kid in [
        json!("k2"),
        json!("RSA"),
        json!("../../dev/null"),
        json!("rsa' OR '1'='1"),
        json!("rsa "),
        json!(""),
        json!(1),
        json!(["rsa"]),
        json!({"k": 1}),
        json!("rsa\r\nx: y"),
        json!("rsa\u{0}"),
        json!(long),
        json!(longer),
    ] {
        bed.expect(&bed.headers(&json!({"kid": kid}))?, INVALID)?;
    }
    let huge = bed.headers(&json!({"kid": "k".repeat(64 * 1024)}))?;
    let status = bed.envoy.send(&Request::get("/v1/models").bearer(&huge[0]))?.status;
    ensure!(status == 431, "{status}");
    Ok(())
}

#[test]
fn j5_and_j14_keys_that_are_shared_or_unsafe_verify_nothing() -> Result<()> {
    let (rsa, good) = (SigningKey::rsa(0, "rsa")?, SigningKey::p256("good")?);
    let issuer = Issuer::start("https://id.example", &[])?;
    let modulus = |bits: usize| base64url(vec![0xff; bits / 8]);
    let unsafe_key = |kid: &str, change: Value| with(&rsa.jwk(), &with(&json!({"kid": kid}), &change));
    let keys = json!([
        unsafe_key("exponent-1", json!({"e": base64url([1])})), unsafe_key("exponent-2", json!({"e": base64url([2])})),
        unsafe_key("exponent-huge", json!({"e": base64url([0xff; 256])})),
        unsafe_key("bits-1024", json!({"n": modulus(1024)})), unsafe_key("bits-8192", json!({"n": modulus(8192)})),
        unsafe_key("shared", json!({})), unsafe_key("shared", json!({})),
        {"kty": "oct", "kid": "secret", "alg": "HS256", "k": base64url("secret")},
        good.jwk(),
    ]);
    issuer.publish_raw(json!({"keys": keys}).to_string());
    let policy = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"], "principals": "any",
        }],
    });
    let standin = Standin::start()?;
    let envoy = Envoy::with(&policy)
        .env("OPENAI_API_KEY", "sk-real")
        .upstream(&standin)
        .cluster("id.example", issuer.server().address())
        .start()?;
    let ask =
        |token: &str| envoy.send(&Request::get("/v1/models").bearer(token)).map(|answer| verdict(&answer));
    for kid in ["exponent-1", "exponent-2", "exponent-huge", "bits-1024", "bits-8192", "shared", "secret"] {
        let header = json!({"alg": "RS256", "kid": kid}).to_string();
        let text = format!("{}.{}", base64url(&header), base64url(claims().to_string()));
        // With an exponent of 1 the padded digest would be its own signature.
        let forged = ["1", "secret"].map(|secret| {
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), text.as_bytes())
                .as_ref()
                .to_vec()
        });
        for token in
            [rsa.sign_raw(&header, claims().to_string())?, token(&text, &forged[0]), token(&text, &forged[1])]
        {
            let found = ask(&token)?;
            ensure!(found == INVALID, "{kid}: {found}");
        }
    }
    let found = ask(&good.sign(&claims())?)?;
    ensure!(found == "200" && standin.take().len() == 1, "the good key: {found}");
    Ok(())
}

#[test]
fn j6_j7_and_j8_other_forms_are_refused_unread() -> Result<()> {
    let bed = Bed::start()?;
    for changes in [
        json!({"crit": ["b64"], "b64": false}),
        json!({"crit": []}),
        json!({"crit": ["exp"]}),
        json!({"b64": true}),
        json!({"b64": false}),
        json!({"zip": "DEF"}),
    ] {
        bed.expect(&bed.headers(&changes)?, INVALID)?;
    }
    let encrypted = base64url(r#"{"alg":"PBES2-HS256+A128KW","p2c":2147483647,"enc":"A128GCM","zip":"DEF"}"#);
    let good = bed.p256.sign(&claims())?;
    let odd = [
        format!("{encrypted}.AA.AA.AA.AA"),
        format!("{good}."),
        format!("{good}.AA"),
        good.replacen('.', "..", 1),
        good.replace('.', ".."),
        good.replacen('.', "", 1),
        format!("eyJ{}", ".".repeat(8000)),
        format!("eyJ{}", ".".repeat(30_000)),
        "eyJ..".to_owned(),
    ];
    bed.expect(&odd, INVALID)?;
    let status = bed.envoy.send(&Request::get("/v1/models").bearer(&".".repeat(1024 * 1024)))?.status;
    ensure!(status == 431, "{status}");
    Ok(())
}

#[test]
fn j9_a_date_is_a_whole_number_of_seconds_and_is_kept_to() -> Result<()> {
    let bed = Bed::start()?;
    for name in ["exp", "nbf", "iat"] {
        for value in [
            "\"1900000000\"",
            "null",
            "true",
            "[]",
            "-1",
            "1.5",
            "1900000000.0",
            "9223372036854775808",
            "1e30",
            "1e400",
        ] {
            let mut payload = with(&claims(), &json!({name: null})).to_string();
            payload.truncate(payload.len() - 1);
            let payload = format!(r#"{payload},"{name}":{value}}}"#);
            for key in bed.keys() {
                bed.expect(&[key.sign_raw(&key.header().to_string(), &payload)?], INVALID)?;
            }
        }
    }
    bed.expect(&bed.claims(&json!({"exp": null}))?, INVALID)?;
    bed.expect(&bed.claims(&json!({"exp": unix_now() - 70}))?, EXPIRED)?;
    bed.expect(&bed.claims(&json!({"exp": unix_now() - 40}))?, "200")?;
    bed.expect(&bed.claims(&json!({"nbf": unix_now() + 80}))?, INVALID)?;
    bed.expect(&bed.claims(&json!({"iat": unix_now() + 80}))?, INVALID)
}

#[test]
fn j10_audience_and_issuer_are_compared_whole() -> Result<()> {
    let bed = Bed::start()?;
    for aud in [
        json!(null),
        json!([]),
        json!(""),
        json!("keyswa"),
        json!("keyswap2"),
        json!("Keyswap"),
        json!("keyswap,x"),
        json!(["keyswap", 7]),
        json!([["keyswap"]]),
        json!({"keyswap": true}),
    ] {
        bed.expect(&bed.claims(&json!({"aud": aud}))?, INVALID)?;
    }
    for iss in [
        json!(null),
        json!(""),
        json!("https://id.example/"),
        json!("https://id.exampl"),
        json!("https://id.example.evil"),
        json!(["https://id.example"]),
    ] {
        bed.expect(&bed.claims(&json!({"iss": iss}))?, INVALID)?;
    }
    bed.expect(&bed.claims(&json!({"aud": ["x", "keyswap"]}))?, "200")
}

#[test]
fn j11_a_member_that_stands_twice_and_anything_around_the_json_is_refused() -> Result<()> {
    let bed = Bed::start()?;
    let payload = claims().to_string();
    for odd in [
        r#"{"alg":"none","alg":"ES256","kid":"p256"}"#,
        r#"{"alg":"ES256","kid":"x","\u006bid":"p256"}"#,
        r#"{"alg":"ES256","kid":"p256"} "x""#,
        "\u{feff}{\"alg\":\"ES256\",\"kid\":\"p256\"}",
        r#"["ES256"]"#,
        r#"{"alg":"ES256","kid":"p256",}"#,
    ] {
        bed.expect(&bed.raw(odd, &payload)?, INVALID)?;
    }
    let header = bed.p256.header().to_string();
    for odd in [
        payload.replacen('{', r#"{"aud":"x","#, 1),
        payload.replacen('{', r#"{"x":{"a":1,"a":2},"#, 1),
        format!("{payload}{payload}"),
        format!("\u{feff}{payload}"),
        format!("[{payload}]"),
        payload.replacen('{', r#"{"x":"\ud800","#, 1),
        format!("{}{}", "[".repeat(3000), "]".repeat(3000)),
    ] {
        bed.expect(&bed.raw(&header, odd)?, INVALID)?;
    }
    let (text, signature) = signed(&bed.p256)?;
    let (protected, payload) = text.split_once('.').unwrap_or_default();
    let document = json!({"protected": protected, "payload": payload, "signature": base64url(signature)});
    // Its commas alone make it no credential.
    bed.expect(&[document.to_string()], "400 credential_ambiguous")
}

#[test]
fn j12_each_part_has_one_spelling() -> Result<()> {
    let bed = Bed::start()?;
    for key in bed.keys() {
        // One that has a character of the URL-safe alphabet alone.
        let mut number = 0;
        let good = loop {
            let token = key.sign(&with(&claims(), &json!({"jti": number.to_string()})))?;
            if token.contains(['-', '_']) {
                break token;
            }
            number += 1;
        };
        let (kept, last) = good.split_at(good.len() - 1);
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let loose = alphabet.find(last).and_then(|at| alphabet.get(at + 1..at + 2)).unwrap_or("_");
        let odd = [
            format!("{good}="),
            format!("{good}=="),
            format!("{kept}{loose}"),
            good.replacen('.', "=.", 1),
            good.replace(['-', '_'], "+"),
            format!("{good}%3D"),
        ];
        bed.expect(&odd, INVALID)?;
        let spaced = bed.judge(&[good.replacen('.', ". ", 1), good.replacen('.', ".\t", 1)])?;
        ensure!(spaced.iter().all(|it| it == "400 credential_ambiguous"), "{spaced:?}");
    }
    Ok(())
}

#[test]
fn j13_odd_signatures_are_judged_alike_by_envoy_and_in_pure_rust() -> Result<()> {
    let bed = Bed::start()?;
    let order = hex::decode("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let order = order.map_err(|error| anyhow!("{error}"))?;
    let (text, good) = signed(&bed.p256)?;
    let (r, s) = good.split_at(32);
    let one = [&[0; 31][..], &[1]].concat();
    let odd = [
        [&[0; 32][..], &[0; 32]].concat(),
        [r, &[0; 32]].concat(),
        [&[0; 32], s].concat(),
        [r, &order].concat(),
        [&order, s].concat(),
        [&order[..], &order].concat(),
        [&[0xff; 32], s].concat(),
        [&one[..], &one].concat(),
        [s, r].concat(),
        [&good[..], &[0]].concat(),
        [&[0], &good[..]].concat(),
        good[..63].to_vec(),
        [r, r, s, s].concat(),
        der(r, s),
        vec![0],
        vec![1; 64],
    ];
    bed.expect(&odd.map(|signature| token(&text, signature)), INVALID)?;
    // (r, n - s) is as good as (r, s): the standard allows both.
    bed.expect(&[token(&text, [r, &difference(&order, s)].concat())], "200")?;

    let (text, good) = signed(&bed.rsa)?;
    let in_other = |encoding: &'static dyn signature::RsaEncoding| bed.rsa.signature_in(encoding, &text);
    let odd = [
        vec![0; 256],
        [&[0; 255][..], &[1]].concat(),
        vec![0xff; 256],
        vec![0; 255],
        good[1..].to_vec(),
        good[..255].to_vec(),
        [&[0], &good[..]].concat(),
        [&good[..], &[0]].concat(),
        [&good[..], &good].concat(),
        in_other(&signature::RSA_PSS_SHA256)?,
        in_other(&signature::RSA_PKCS1_SHA384)?,
        in_other(&signature::RSA_PKCS1_SHA512)?,
        SigningKey::rsa(1, "rsa")?.signature(&text)?,
    ];
    bed.expect(&odd.map(|signature| token(&text, signature)), INVALID)
}

/// `Ecdsa-Sig-Value`, as most libraries make it, and no JWS has it.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |bytes: &[u8]| {
        let positive = [&[0][..], bytes].concat();
        [vec![2, u8::try_from(positive.len()).unwrap_or_default()], positive].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap_or_default()], body].concat()
}

/// Of two numbers of one length, the greater first.
fn difference(from: &[u8], take: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut digits: Vec<u8> = from
        .iter()
        .zip(take)
        .rev()
        .map(|(from, take)| {
            let digit = i16::from(*from) - i16::from(*take) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap_or_default()
        })
        .collect();
    digits.reverse();
    digits
}

#[test]
fn j15_a_token_for_another_purpose_is_refused_by_its_type() -> Result<()> {
    let bed = Bed::start()?;
    for typ in
        [json!("JWE"), json!("dpop+jwt"), json!("logout+jwt"), json!("secevent+jwt"), json!(1), json!("")]
    {
        bed.expect(&bed.headers(&json!({"typ": typ}))?, INVALID)?;
    }
    Ok(())
}

#[test]
fn j16_a_verdict_that_is_remembered_is_no_other_tokens() -> Result<()> {
    let bed = Bed::start()?;
    for key in bed.keys() {
        let (text, good) = signed(key)?;
        let tokens: Vec<String> = vec![token(&text, &good); 3];
        bed.expect(&tokens, "200")?;
        let (header, _) = text.split_once('.').unwrap_or_default();
        let another =
            format!("{header}.{}", base64url(with(&claims(), &json!({"sub": "admin"})).to_string()));
        let mut other = good.clone();
        other.reverse();
        bed.expect(&[token(&another, &good), token(&text, &other), token(&another, &good)], INVALID)?;
        bed.expect(&[token(&text, &good)], "200")?;
    }
    Ok(())
}
