//! The document of a data plane that fetches its policy: the source, and the keys that may sign it.

use std::time::Duration;

use serde_json::Value;

use super::document::Policy;
use super::error::PolicyErrors;
use super::gateway::read_url;
use super::keys::read_signers;
use super::plaintext::Plaintext;
use super::reader::{Errors, Node};
use super::rollout::RolloutPolicy;
use super::variable::{Variable, read_variable_source};
use crate::host::Capabilities;
use crate::identity::jwt::{JwkSet, Quorum};
use crate::policy::duration::duration_within;
use crate::syntax::{BaseUrl, json};

/// The version of the document.
const VERSION: &str = "keyswap-bundle/v1";

const DEFAULT_POLL: Duration = Duration::from_secs(5);
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);

/// A source of policies, and the keys whose signatures count.
#[derive(Clone, Debug)]
pub struct BundleSource {
    pub(crate) url: BaseUrl,
    /// The Envoy cluster of the registry; other hosts connect to the URL's authority.
    pub(crate) cluster: String,
    pub(crate) credential: Variable,
    /// The name of the policy, among all at the registry.
    pub(crate) name: String,
    /// The keys that sign, and the number of those that must have signed a policy.
    pub(crate) signers: Quorum,
    pub(crate) poll: Duration,
    pub(crate) timeout: Duration,
    /// The least revision that is ever taken.
    pub(crate) minimum_revision: u64,
    /// The policy that serves until the first bundle comes.
    pub(crate) initial: Option<RolloutPolicy>,
}

/// The configuration of a data plane: its policy, or the source of that.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one for each data plane")]
pub enum Configuration {
    /// The policy itself.
    Policy(RolloutPolicy),
    /// The source that the policy is fetched from.
    Bundle(BundleSource),
}

impl Configuration {
    /// Reads a configuration from JSON: a policy (`keyswap/v1`), a rollout (`keyswap-rollout/v1`), or a source of
    /// either (`keyswap-bundle/v1`).
    ///
    /// # Errors
    /// Every error of the document, each with its path; for JSON that does not parse, the line and column.
    pub fn from_json(document: &[u8]) -> Result<Self, PolicyErrors> {
        let document = json::parse(document).map_err(|error| PolicyErrors::not_json(&error))?;
        if document.get("version").and_then(Value::as_str) != Some(VERSION) {
            return RolloutPolicy::from_value(&document).map(Self::Policy);
        }
        let errors = Errors::default();
        let root = Node::root(&document, &errors);
        root.refuse_literal_secrets();
        let source = read(&root, &errors);
        match (source, errors.into_inner()) {
            (Some(source), errors) if errors.is_empty() => Ok(Self::Bundle(source)),
            (_, errors) => Err(PolicyErrors(errors)),
        }
    }
}

impl Configuration {
    /// Returns the policies in the configuration, each with its place in the document.
    pub fn policies(&self) -> Vec<(&'static str, &Policy)> {
        match self {
            Self::Policy(rollout) => rollout.policies(["", "stable", "candidate"]),
            Self::Bundle(source) => source.initial.as_ref().map_or_else(Vec::new, |rollout| {
                rollout.policies(["initial", "initial.stable", "initial.candidate"])
            }),
        }
    }
}

impl Configuration {
    /// Tells whether no request gets values for access logs. The policies of a bundle are not known yet, and may give them.
    pub fn leaves_values_out(&self) -> bool {
        match self {
            Self::Policy(rollout) => !rollout.stable.tells_access_log,
            Self::Bundle(_) => false,
        }
    }

    /// Checks that a host has the abilities that the configuration needs.
    ///
    /// # Errors
    /// Every ability that the host lacks, with its place in the document.
    pub fn fits(&self, host: Capabilities) -> Result<(), PolicyErrors> {
        for (place, policy) in self.policies() {
            policy.fits(host).map_err(|errors| errors.within(place))?;
        }
        match self {
            Self::Policy(rollout) => rollout.fits(host),
            Self::Bundle(source) => source
                .initial
                .as_ref()
                .map_or(Ok(()), |rollout| rollout.fits(host).map_err(|errors| errors.within("initial"))),
        }
    }
}

impl BundleSource {
    /// Returns the name of the policy.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the authority of the registry that has the policy.
    pub fn authority(&self) -> &str {
        &self.url.authority
    }

    /// Returns the policy that serves until the first bundle comes.
    pub fn initial(&self) -> Option<&RolloutPolicy> {
        self.initial.as_ref()
    }
}

fn read(root: &Node<'_>, errors: &Errors) -> Option<BundleSource> {
    let mut fields = root.fields()?;
    let _ = fields.required("version");
    let place = fields.required("url");
    let url = place.as_ref().and_then(read_url);
    let plaintext = Plaintext::read(&mut fields);
    let cluster = fields.optional("cluster").map(|node| node.cluster());
    let credential = fields.required("credential").and_then(|node| read_variable_source(&node));
    let name = fields.required("name").and_then(|node| node.name());
    let keys = fields.required("keys");
    let required = fields.optional("required");
    let signers = keys.and_then(|node| read_quorum(read_signers(&node)?, required.as_ref(), &node));
    let poll = fields.optional("poll").map(|node| {
        let range = Duration::from_secs(1)..=Duration::from_hours(1);
        duration_within(&node, range, "expected a duration from `1s` to `1h`")
    });
    let timeout = fields.optional("timeout").map(|node| {
        let range = Duration::from_millis(1)..=Duration::from_secs(30);
        duration_within(&node, range, "expected a duration up to `30s`")
    });
    let minimum_revision = fields.optional("minimum_revision").map(|node| node.number());
    let initial = fields.optional("initial").map(|node| {
        let policy = RolloutPolicy::from_value(node.value());
        policy.map_err(|found| errors.add_all(found.within(&node.path()))).ok()
    });
    fields.finish();
    let url = url?;
    plaintext.check(place.as_ref(), url.is_exposed());
    Some(BundleSource {
        cluster: cluster.unwrap_or_else(|| Some(url.host().to_owned()))?,
        url,
        credential: credential?,
        name: name?,
        signers: signers?,
        poll: poll.unwrap_or(Some(DEFAULT_POLL))?,
        timeout: timeout.unwrap_or(Some(DEFAULT_TIMEOUT))?,
        minimum_revision: minimum_revision.unwrap_or(Some(0))?,
        initial: initial.map_or(Some(None), |initial| initial.map(Some))?,
    })
}

/// Reads the number of keys that must have signed. It stands beside the keys, or among the members of their set, as in the
/// file that signers use.
fn read_quorum(keys: JwkSet, beside: Option<&Node<'_>>, place: &Node<'_>) -> Option<Quorum> {
    let inside = place.value().get("required");
    if let (Some(beside), Some(inside)) = (beside, inside)
        && beside.value() != inside
    {
        beside.fail("`keys` has another `required`");
        return None;
    }
    let most = Quorum::most(&keys);
    let number = match beside.map(Node::value).or(inside) {
        None => Some(1),
        Some(number) => number.as_u64().and_then(|number| usize::try_from(number).ok()),
    };
    let quorum = number.and_then(|number| Quorum::new(keys, number));
    let expected =
        format!("expected a whole number from 1 to {most}, the number of different keys in `keys`");
    beside.unwrap_or(place).check(quorum, &expected)
}
