//! The rights of containers: those that they need, and no more.

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

/// Ensures that a pod is not root and may not write, that its memory is limited, and that no secret stands in it.
pub(crate) fn ensure_least(name: &str, pod: &Value) -> Result<()> {
    ensure!(pod["securityContext"]["runAsNonRoot"] == true, "{name} may be root");
    ensure!(pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault", "{name}: seccomp");
    for container in pod["containers"].as_array().context("containers")? {
        let context = &container["securityContext"];
        ensure!(context["readOnlyRootFilesystem"] == true, "{name} may write");
        ensure!(context["allowPrivilegeEscalation"] == false, "{name} may escalate");
        ensure!(context["capabilities"]["drop"] == json!(["ALL"]), "{name} has capabilities");
        ensure!(container["resources"]["limits"]["memory"].is_string(), "{name} has no limit");
        // Istio's proxy brings its own probe, and a pod that ends by itself has none.
        let needs_no_probe = container["image"] == "auto" || pod["restartPolicy"] == "Never";
        ensure!(needs_no_probe || container["readinessProbe"].is_object(), "{name} has no probe");
        for variable in container["env"].as_array().into_iter().flatten() {
            let (key, value) = (variable["name"].as_str().unwrap_or_default(), variable["value"].as_str());
            let is_secret =
                key.split('_').any(|word| ["KEY", "TOKEN", "DATABASE", "PASSWORD"].contains(&word));
            // A path of a mounted Secret, or of a database without a password.
            let is_path = |value: &str| value.starts_with("/run/secrets/") || value.starts_with("sqlite:///");
            ensure!(!is_secret || value.is_none_or(is_path), "{key} is in the manifest");
        }
    }
    Ok(())
}
