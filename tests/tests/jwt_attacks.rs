//! Attacks on JWTs, by their number in the threat list, through Envoy. Each is refused for the engine's reason, where
//! the engine verifies in pure Rust. So Envoy's verifier and the pure Rust one agree.
//!
//! Payloads of published vectors are not claims, so only refusals are compared for them. The verdicts on signatures are
//! compared with valid claims: with every bit of the signature flipped, and in unusual encodings.

#[path = "../shared/jwt_attacks/mod.rs"]
mod attacks;

use std::fs;

use anyhow::{Result, bail, ensure};
use attacks::forge::{Attack, Forge, KeyPair, TOO_LARGE, ended, joined};
use attacks::signature::{self, mirrored};
use attacks::{claims, form, header, keys};
use keyswap_core::answer::CheckError;
use keyswap_core::base::{Moment, UnixTime};
use keyswap_core::host::{Capabilities, Environment, MemoryStore};
use keyswap_core::identity::jwt::{Algorithm, PureRust};
use keyswap_core::judge::{Request as Judged, Verdict};
use keyswap_core::policy::RolloutPolicy;
use keyswap_core::request::{Header, RequestHead};
use keyswap_core::worker::Worker;
use keyswap_tests::{
    Issuer, Request, Script, Scripted, SigningKey, Testbed, base64url, tools::project_root, unix_now, with,
};
use ring::signature::{RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RsaEncoding};
use serde_json::{Value, json};

const INVALID: &str = "401 token_invalid";

impl KeyPair for SigningKey {
    fn header(&self) -> Value {
        self.header()
    }

    fn jwk(&self) -> Value {
        self.jwk()
    }

    fn signature(&self, text: &str) -> Vec<u8> {
        self.signature(text).expect("the key signs")
    }
}

/// An issuer with its keys in the policy, an Envoy, and the engine with the same policy.
struct Judges {
    rsa: SigningKey,
    p256: SigningKey,
    stranger: SigningKey,
    bed: Testbed,
    worker: Worker,
}

struct OneKey;

impl Environment for OneKey {
    fn variable(&self, name: &str) -> Option<Vec<u8>> {
        (name == "OPENAI_API_KEY").then(|| b"sk-real".to_vec())
    }
}

impl Judges {
    fn start() -> Result<Self> {
        let (rsa, p256) = (SigningKey::rsa(0, "r1")?, SigningKey::p256("k1")?);
        let policy = json!({
            "version": "keyswap/v1",
            "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
            "issuers": [{
                "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"],
                "principals": "any", "algorithms": Algorithm::ALL.map(Algorithm::name),
                "jwks": {"inline": {"keys": [with(&rsa.jwk(), &json!({"alg": null})), p256.jwk()]}},
            }],
        });
        let bed = Testbed::trusting(Vec::new(), &policy, |setup| setup)?;
        let policy = RolloutPolicy::from_json(policy.to_string().as_bytes())?;
        let worker = Worker::of(policy, Box::new(OneKey), Box::new(PureRust), Capabilities::ENVOY)?;
        Ok(Self { rsa, p256, stranger: SigningKey::p256("k1")?, bed, worker })
    }

    /// Returns the verdict on each token, on which Envoy and the engine must agree.
    fn judge(&self, tokens: &[String]) -> Result<Vec<String>> {
        let mut verdicts = Vec::new();
        for tokens in tokens.chunks(100) {
            let requests: Vec<Request> = tokens.iter().map(|token| models(token)).collect();
            for (token, answer) in tokens.iter().zip(self.bed.host.burst(&requests)?) {
                let (in_envoy, in_core) = (answer.verdict(), self.in_core(token)?);
                ensure!(in_envoy == in_core, "Envoy: {in_envoy}, core: {in_core}, for {token:.200}");
                verdicts.push(in_envoy);
            }
        }
        let (accepted, arrived) =
            (verdicts.iter().filter(|it| *it == "200").count(), self.bed.standin.take().len());
        ensure!(accepted == arrived, "{accepted} were accepted, and {arrived} arrived");
        Ok(verdicts)
    }

    fn expect(&self, tokens: &[String], expected: &str) -> Result<()> {
        for (token, found) in tokens.iter().zip(self.judge(tokens)?) {
            ensure!(found == expected, "{found} instead of {expected} for {token:.300}");
        }
        Ok(())
    }

    /// Ensures that each attack on each key is refused for its expected reason, or by Envoy itself.
    fn refuse(&self, attacks: fn(&Forge<'_>) -> Vec<Attack>) -> Result<()> {
        self.keys().into_iter().try_for_each(|key| self.refuse_all(attacks(&self.forge(key))))
    }

    fn refuse_all(&self, attacks: Vec<Attack>) -> Result<()> {
        let (too_large, attacks): (Vec<_>, Vec<_>) =
            attacks.into_iter().partition(|attack| attack.answer == Some(TOO_LARGE));
        for attack in too_large {
            // Envoy refuses the request before the filter.
            self.bed.expect("more than fits", &models(&attack.token), TOO_LARGE)?;
            ensure!(self.in_core(&attack.token)? == told(&attack), "{:.300}", attack.token);
        }
        let tokens: Vec<String> = attacks.iter().map(|attack| attack.token.clone()).collect();
        for (attack, found) in attacks.iter().zip(self.judge(&tokens)?) {
            let expected = attack.answer.map_or_else(|| told(attack), str::to_owned);
            ensure!(found == expected, "{found} instead of {expected} for {:.300}", attack.token);
        }
        Ok(())
    }

    fn in_core(&self, token: &str) -> Result<String> {
        let value = format!("Bearer {token}");
        let headers = [Header { name: b"authorization", value: value.trim().as_bytes() }];
        let head = RequestHead::new(b"GET", b"/v1/models", &headers);
        let now = Moment::from(UnixTime(i64::try_from(unix_now())?));
        let store = MemoryStore::default();
        let in_force = self.worker.in_force(&store);
        let request = Judged { head: &head, now, store: &store };
        let (decision, _) = in_force.decide(&request, &mut |_| panic!("nothing is to be fetched"));
        Ok(match decision.verdict {
            Verdict::Forward(_) => "200".to_owned(),
            Verdict::Reply(reason, _) => format!("{} {}", reason.status(), reason.code()),
            Verdict::Answer(_) | Verdict::Pass(_) => bail!("this is neither a preflight nor a rollout"),
        })
    }

    fn keys(&self) -> [&SigningKey; 2] {
        [&self.rsa, &self.p256]
    }

    fn forge<'k>(&'k self, key: &'k SigningKey) -> Forge<'k> {
        let now = i64::try_from(unix_now()).unwrap_or_default();
        let lure = "https://evil.example".to_owned();
        Forge { key, stranger: &self.stranger, claims: good_claims(), now, lure }
    }
}

/// Returns the status and the code of the attack's error.
fn told(attack: &Attack) -> String {
    let reason = CheckError::Jwt(attack.fault).reason();
    format!("{} {}", reason.status(), reason.code())
}

fn models(token: &str) -> Request {
    Request::get("/v1/models").bearer(token)
}

fn good_claims() -> Value {
    json!({"iss": "https://id.example", "aud": "keyswap", "sub": "robot", "iat": unix_now(), "exp": unix_now() + 300})
}

#[test]
fn what_the_attacks_start_from_is_accepted() -> Result<()> {
    let judges = Judges::start()?;
    for key in judges.keys() {
        let forge = judges.forge(key);
        let changed = |changes: Value| key.sign(&with(&forge.claims, &changes));
        let another_type = with(&key.header(), &json!({"typ": "at+jwt"})).to_string();
        let good = [
            forge.good(),
            changed(json!({"exp": unix_now() - 40}))?,
            changed(json!({"aud": ["x", "keyswap"]}))?,
            forge.raw(&another_type, forge.claims.to_string()),
        ];
        judges.expect(&good, "200")?;
    }
    // Each algorithm with an RSA key that names none.
    let mut tokens = Vec::new();
    let encodings: [(&str, &'static dyn RsaEncoding); 4] = [
        ("RS256", &RSA_PKCS1_SHA256),
        ("RS384", &RSA_PKCS1_SHA384),
        ("RS512", &RSA_PKCS1_SHA512),
        ("PS256", &RSA_PSS_SHA256),
    ];
    for (name, encoding) in encodings {
        let text = joined(&json!({"alg": name, "kid": "r1"}).to_string(), good_claims().to_string());
        tokens.push(ended(&text, judges.rsa.signature_in(encoding, &text)?));
    }
    judges.expect(&tokens, "200")
}

#[test]
fn every_vector_of_wycheproof_is_judged_in_envoy_as_in_core_and_none_is_accepted() -> Result<()> {
    let judges = Judges::start()?;
    let file = project_root().join("tests/vectors/wycheproof/json_web_signature_test.json");
    let vectors: Value = serde_json::from_slice(&fs::read(file)?)?;
    let groups = vectors["testGroups"].as_array().into_iter().flatten();
    let cases = groups.flat_map(|group| group["tests"].as_array().into_iter().flatten());
    let text = |case: &Value| case["jws"].as_str().map_or_else(|| case["jws"].to_string(), str::to_owned);
    let tokens: Vec<String> = cases.map(text).collect();
    ensure!(tokens.len() == 401, "{} vectors", tokens.len());
    let verdicts = judges.judge(&tokens)?;
    ensure!(verdicts.iter().all(|it| it.starts_with("40")), "one was accepted: {verdicts:?}");
    Ok(())
}

#[test]
fn one_bit_flipped_anywhere_in_a_signature_and_it_holds_nowhere() -> Result<()> {
    let judges = Judges::start()?;
    for key in judges.keys() {
        let (text, good) = judges.forge(key).signed();
        judges.expect(&[ended(&text, &good)], "200")?;
        let flipped = (0..good.len() * 8).map(|bit| {
            let mut signature = good.clone();
            signature[bit / 8] ^= 1 << (bit % 8);
            ended(&text, signature)
        });
        judges.expect(&flipped.collect::<Vec<_>>(), INVALID)?;
        // Flipped bits in the signed text: most results are not valid JSON.
        let signature = base64url(&good);
        let flipped = (0..text.len()).filter(|at| text.as_bytes()[*at] != b'.').map(|at| {
            let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
            format!("{}{other}{}.{signature}", &text[..at], &text[at + 1..])
        });
        judges.expect(&flipped.collect::<Vec<_>>(), INVALID)?;
    }
    Ok(())
}

#[test]
fn j1_no_spelling_of_none_is_an_algorithm() -> Result<()> {
    Judges::start()?.refuse(header::j1)
}

#[test]
fn j2_no_public_key_is_the_secret_of_an_hmac_and_no_key_is_for_anothers_algorithm() -> Result<()> {
    let judges = Judges::start()?;
    judges.refuse(header::j2)?;
    // The signature of one key under the `kid` of another, whose algorithm it has.
    let [rsa, p256] = judges.keys().map(|key| key.header().to_string());
    let claims = good_claims().to_string();
    judges.expect(&[judges.rsa.sign_raw(&p256, &claims)?, judges.p256.sign_raw(&rsa, &claims)?], INVALID)
}

#[test]
fn j3_a_key_that_the_token_brings_is_ignored_and_nothing_is_fetched() -> Result<()> {
    let judges = Judges::start()?;
    let place = Scripted::start(|_| Script::answer(200, "{}"))?;
    for key in judges.keys() {
        let lure = format!("http://{}", place.address());
        judges.refuse_all(header::j3(&Forge { lure, ..judges.forge(key) }))?;
    }
    ensure!(place.calls().is_empty());
    Ok(())
}

#[test]
fn j4_an_unknown_kid_is_never_the_last_key_and_an_odd_one_is_no_kid() -> Result<()> {
    Judges::start()?.refuse(header::j4)
}

#[test]
fn j5_and_j14_keys_that_are_shared_or_unsafe_verify_nothing() -> Result<()> {
    let (rsa, good) = (SigningKey::rsa(0, "rsa")?, SigningKey::p256("good")?);
    let unusable = [keys::j5(&good.jwk()), keys::j14(&rsa.jwk())].concat();
    let mut published: Vec<Value> = unusable.into_iter().map(|(key, _)| key).collect();
    published
        .extend([with(&rsa.jwk(), &json!({"kid": "shared"})), with(&rsa.jwk(), &json!({"kid": "shared"}))]);
    let kids: Vec<String> =
        published.iter().filter_map(|key| key["kid"].as_str()).map(str::to_owned).collect();
    ensure!(kids.len() > 25, "{kids:?}");
    let last = published.len();
    published.push(good.jwk());
    let issuer = Issuer::start("https://id.example", &[])?;
    issuer.publish_raw(json!({"keys": published}).to_string());
    let policy = json!({
        "version": "keyswap/v1",
        "credentials": {"openai": [{"env": "OPENAI_API_KEY"}]},
        "issuers": [{
            "name": "id", "preset": "oidc", "issuer": "https://id.example", "audiences": ["keyswap"], "principals": "any",
        }],
    });
    let bed = Testbed::trusting(vec![issuer], &policy, |setup| setup)?;
    for kid in &kids {
        for token in of_no_key(kid, &rsa, &good)? {
            bed.expect(kid, &models(&token), INVALID)?;
        }
    }
    bed.expect("the good key", &models(&good.sign(&good_claims())?), "200")?;
    let log = bed.host.log();
    // The two keys with the same `kid` are valid; their `kid` is only ambiguous.
    for place in 0..last - 2 {
        ensure!(log.contains(&format!("key {place} is left out: ")), "key {place} is not in the log:\n{log}");
    }
    Ok(())
}

/// Forges tokens for an unusable key: valid signatures of either type, and HMACs with public values.
fn of_no_key(kid: &str, rsa: &SigningKey, p256: &SigningKey) -> Result<[String; 4]> {
    let claims = good_claims().to_string();
    let header = |alg: &str| json!({"alg": alg, "kid": kid}).to_string();
    let text = joined(&header("RS256"), &claims);
    let forged = ["1", "secret"].map(|secret| ended(&text, header::hmac(secret.as_bytes(), &text)));
    let [one, secret] = forged;
    Ok([rsa.sign_raw(&header("RS256"), &claims)?, p256.sign_raw(&header("ES256"), &claims)?, one, secret])
}

#[test]
fn j6_j7_and_j8_other_forms_are_refused_unread() -> Result<()> {
    let judges = Judges::start()?;
    judges.refuse(header::j6)?;
    judges.refuse(form::j7)?;
    judges.refuse(form::j8)
}

#[test]
fn j9_a_date_is_a_whole_number_of_seconds_and_is_kept_to() -> Result<()> {
    Judges::start()?.refuse(claims::j9)
}

#[test]
fn j10_audience_and_issuer_are_compared_whole() -> Result<()> {
    let judges = Judges::start()?;
    judges.refuse(claims::j10_audience)?;
    judges.refuse(claims::j10_issuer)
}

#[test]
fn j11_a_member_that_stands_twice_and_anything_around_the_json_is_refused() -> Result<()> {
    Judges::start()?.refuse(claims::j11)
}

#[test]
fn j12_each_part_has_one_spelling() -> Result<()> {
    Judges::start()?.refuse(form::j12)
}

#[test]
fn j13_odd_signatures_are_judged_alike_by_envoy_and_in_pure_rust() -> Result<()> {
    let judges = Judges::start()?;
    let forge = judges.forge(&judges.p256);
    judges.refuse_all(signature::j13(&forge))?;
    // (r, n - s) is as valid as (r, s): the standard permits both.
    let (text, good) = forge.signed();
    judges.expect(&[ended(&text, mirrored(&good))], "200")?;

    let (text, good) = judges.forge(&judges.rsa).signed();
    let in_other = |encoding: &'static dyn RsaEncoding| judges.rsa.signature_in(encoding, &text);
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
        in_other(&RSA_PSS_SHA256)?,
        in_other(&RSA_PKCS1_SHA384)?,
        in_other(&RSA_PKCS1_SHA512)?,
        SigningKey::rsa(1, "rsa")?.signature(&text)?,
    ];
    judges.expect(&odd.map(|signature| ended(&text, signature)), INVALID)
}

#[test]
fn j15_a_token_for_another_purpose_is_refused_by_its_type() -> Result<()> {
    Judges::start()?.refuse(header::j15)
}

#[test]
fn j16_a_verdict_that_is_remembered_is_no_other_tokens() -> Result<()> {
    let judges = Judges::start()?;
    for key in judges.keys() {
        let forge = judges.forge(key);
        let (text, signature) = forge.signed();
        let good = ended(&text, &signature);
        judges.expect(&vec![good.clone(); 3], "200")?;
        judges.refuse_all(claims::j16(&forge, &text, &signature))?;
        judges.expect(&[good], "200")?;
    }
    Ok(())
}
