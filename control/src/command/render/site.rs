//! The site of a server: scheme, host and port. The host is a name or an IP address.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Context as _, ensure};

/// The scheme and authority of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Site {
    /// The authority as in the URL: host and, if given, port.
    pub(super) authority: String,
    /// The host, without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
}

/// A site with its name in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) site: Site,
}

impl Site {
    /// Returns the full name of the host if it is a Kubernetes service, in a cluster with this domain. Meshes know services by
    /// these names only.
    pub(super) fn service(&self, domain: &str) -> Option<String> {
        let host = self.host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        let name = host.strip_suffix(domain).and_then(|rest| rest.strip_suffix('.')).unwrap_or(host);
        let parts: Vec<&str> = name.split('.').collect();
        let is_service = parts.len() >= 3 && parts.last() == Some(&"svc");
        is_service.then(|| format!("{name}.{domain}"))
    }

    /// Returns true if the host is an IP address.
    pub(super) fn is_address(&self) -> bool {
        self.host.parse::<IpAddr>().is_ok()
    }

    /// Returns the name of the site's objects in Kubernetes.
    pub(super) fn object_name(&self) -> String {
        let default = if self.is_tls { 443 } else { 80 };
        let host = self.host.replace([':', '_'], "-").to_ascii_lowercase();
        if self.port == default { host } else { format!("{host}-{}", self.port) }
    }
}

impl FromStr for Site {
    type Err = anyhow::Error;

    fn from_str(url: &str) -> anyhow::Result<Self> {
        let (is_tls, rest) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
            (Some(rest), _) => (true, rest),
            (_, Some(rest)) => (false, rest),
            _ => anyhow::bail!("expected a URL with `https://` or `http://`"),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => {
                (host, Some(port.parse().context("the port of a URL is a number up to 65535")?))
            }
            _ => (authority, None),
        };
        let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let is_host = match bare {
            Some(address) => address.parse::<IpAddr>().is_ok(),
            None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)),
        };
        ensure!(is_host && !host.is_empty(), "expected a URL with a host");
        let port = port.unwrap_or(if is_tls { 443 } else { 80 });
        Ok(Self { authority: authority.to_owned(), host: bare.unwrap_or(host).to_owned(), port, is_tls })
    }
}

impl fmt::Display for Site {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", if self.is_tls { "https" } else { "http" }, self.authority)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_has_its_full_name() {
        for (host, domain, expect) in [
            ("registry.keyswap.svc", "cluster.local", Some("registry.keyswap.svc.cluster.local")),
            (
                "registry.keyswap.svc.cluster.local",
                "cluster.local",
                Some("registry.keyswap.svc.cluster.local"),
            ),
            ("Registry.keyswap.SVC", "cluster.local", Some("registry.keyswap.svc.cluster.local")),
            ("registry.keyswap.svc.corp.example", "corp.example", Some("registry.keyswap.svc.corp.example")),
            ("pod.registry.keyswap.svc", "corp.example", Some("pod.registry.keyswap.svc.corp.example")),
            ("registry.keyswap.svc.cluster.local", "corp.example", None),
            ("registry.keyswap", "cluster.local", None),
            ("api.openai.com", "cluster.local", None),
            ("svc", "cluster.local", None),
            ("keyswap.svc", "cluster.local", None),
        ] {
            let site: Site = format!("http://{host}:7070").parse().unwrap();
            assert_eq!(site.service(domain).as_deref(), expect, "{host} in {domain}");
        }
    }

    #[test]
    fn a_url_tells_where_to_connect() {
        for (url, expect) in [
            ("https://api.openai.com/v1", Some(("api.openai.com", 443, true))),
            ("http://registry.internal:7070", Some(("registry.internal", 7070, false))),
            ("https://[::1]:8443/", Some(("::1", 8443, true))),
            ("http://[fe80::1]", Some(("fe80::1", 80, false))),
            ("ftp://host", None),
            ("https://", None),
            ("https://user@host", None),
            ("https://host:port", None),
            ("https://host\n- evil", None),
        ] {
            let site = url.parse::<Site>().ok();
            let found = site.as_ref().map(|site| (site.host.as_str(), site.port, site.is_tls));
            assert_eq!(found, expect, "{url}");
        }
    }
}
