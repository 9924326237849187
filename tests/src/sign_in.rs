//! An `OpenID` provider for sign-ins at a registry, and the browser of a person that signs in.
//!
//! The provider's authorization codes are the ID tokens themselves, so it keeps nothing.

use std::{
    fs,
    path::Path,
    sync::{Mutex, PoisonError},
};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use crate::{
    http::Request,
    issuer::{Issuer, SigningKey, unix_now},
    registry::{Registry, RegistrySetup},
    scripted::{Call, Script, Scripted},
};

const CLIENT: &str = "keyswap";
const ADDRESS: &str = "http://localhost";
const PERSON: &str = "alice@acme.example";

/// A running provider. It ends on drop.
pub struct SignIns {
    server: Scripted,
    key: Mutex<SigningKey>,
}

impl SignIns {
    /// Starts a provider that publishes a key and signs with it.
    pub fn start(key: &SigningKey) -> Result<Self> {
        let server = Scripted::start(|_| Script::Close)?;
        let provider = Self { server, key: Mutex::new(key.clone()) };
        provider.publish(&[key]);
        Ok(provider)
    }

    /// Replaces the key: the new one is published beside the old one, signs, and is then the only one. `pause` is called after each
    /// step.
    pub fn replace_key(
        &self,
        old: &SigningKey,
        new: &SigningKey,
        pause: impl Fn() -> Result<()>,
    ) -> Result<()> {
        self.publish(&[old, new]);
        pause()?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = new.clone();
        pause()?;
        self.publish(&[new]);
        pause()
    }

    fn publish(&self, keys: &[&SigningKey]) {
        let (url, keys) = (self.url(), Issuer::key_set(keys));
        let endpoint = |path: &str| format!("{url}{path}");
        let document = json!({
            "issuer": url,
            "authorization_endpoint": endpoint("/authorize"),
            "token_endpoint": endpoint("/token"),
            "jwks_uri": endpoint("/keys"),
        });
        let document = document.to_string();
        self.server.now(move |call| match call.target.as_str() {
            "/token" => exchange(call),
            "/keys" => Script::answer(200, keys.clone()),
            _ => Script::answer(200, document.clone()),
        });
    }

    /// Returns the set-up of a registry at which the person is an auditor. The rules are written to a file.
    pub fn setup(&self, rules: &Path) -> Result<RegistrySetup> {
        fs::write(rules, json!({"roles": [{"email": PERSON, "role": "auditor"}]}).to_string())?;
        Ok(Registry::setup().arguments(&[
            "--oidc-issuer",
            &self.url(),
            "--oidc-client-id",
            CLIENT,
            "--oidc-roles",
            &rules.to_string_lossy(),
            "--public-url",
            ADDRESS,
        ]))
    }

    /// Signs the person in at a registry, and ensures that it has its role there.
    pub fn sign_in(&self, registry: &Registry) -> Result<()> {
        let begun = registry.send(&Request::get("/admin/sign-in/provider"))?;
        let cookie = pair(begun.header("set-cookie"))?.to_owned();
        let location = begun.header("location").context("the way to the provider")?;
        let said = |name: &str| {
            let pairs = location.split(['?', '&']).filter_map(|pair| pair.split_once('='));
            pairs.into_iter().find(|(key, _)| *key == name).map(|(_, value)| value).context(name.to_owned())
        };
        let now = unix_now();
        let claims = json!({
            "iss": self.url(), "aud": CLIENT, "sub": "1", "iat": now, "exp": now + 300, "nonce": said("nonce")?,
            "email": PERSON, "email_verified": true,
        });
        let code = self.key.lock().unwrap_or_else(PoisonError::into_inner).sign(&claims)?;
        let back = format!("/admin/sign-in/provider/callback?code={code}&state={}", said("state")?);
        let answer = registry.send(&Request::get(back).header("cookie", cookie))?;
        ensure!(answer.status == 200, "{}: {}\n{}", answer.status, answer.text(), registry.log());
        let cookies = answer.headers.iter().filter(|(name, _)| name == "set-cookie");
        let cookies = cookies.filter_map(|(_, value)| std::str::from_utf8(value).ok());
        let session = pair(cookies.into_iter().find(|cookie| cookie.starts_with("keyswap_session=")))?;
        let me = registry.send(&Request::get("/admin/api/me").header("cookie", session))?.json()?;
        ensure!(me == json!({"name": PERSON, "role": "auditor"}), "{me}");
        Ok(())
    }

    fn url(&self) -> String {
        format!("http://{}", self.server.address())
    }
}

/// Answers an exchange with the code, which is the token.
fn exchange(call: &Call) -> Script {
    let form = String::from_utf8_lossy(&call.body).into_owned();
    let code = form.split('&').find_map(|pair| pair.strip_prefix("code="));
    Script::answer(200, json!({"id_token": code, "token_type": "Bearer"}).to_string())
}

fn pair(header: Option<&str>) -> Result<&str> {
    header.and_then(|cookie| cookie.split(';').next()).context("a cookie")
}
