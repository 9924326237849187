//! The judgement of a configuration as a host of a kind reads it.

use keyswap_core::host::Capabilities;
use keyswap_core::policy::{Configuration, Policy, PolicyError, PolicyErrors};

/// Reads a configuration from JSON for a host with these abilities. Returns all of its errors. Secrets are not read.
pub(in crate::command) fn judge(json: &[u8], host: Capabilities) -> Result<Configuration, PolicyErrors> {
    let configuration = Configuration::from_json(json)?;
    configuration.fits(host)?;
    for (place, policy) in configuration.policies() {
        check_timezones(policy).map_err(|errors| errors.within(place))?;
    }
    Ok(configuration)
}

/// Checks that the time zones of budgets are known.
fn check_timezones(policy: &Policy) -> Result<(), PolicyErrors> {
    let is_unknown = |(_, name): &(String, &str)| jiff::tz::TimeZone::get(name).is_err();
    let error = |(path, _)| PolicyError {
        path,
        message: "no such time zone: expected an IANA name such as `Europe/Berlin`".to_owned(),
    };
    let errors: Vec<PolicyError> = policy.timezones().into_iter().filter(is_unknown).map(error).collect();
    if errors.is_empty() { Ok(()) } else { Err(PolicyErrors(errors)) }
}
