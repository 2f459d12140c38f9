//! `DIST_IMAGES_PINNED`: no tag that moves; in the public tier a digest.

use super::folder::{Folder, YamlFile};
use super::{Verdict, at};
use crate::hygiene::image::{Pin, pin};
use open_cowork_contracts::finding::Finding;

const ID: &str = "DIST_IMAGES_PINNED";
const HELP: &str =
    "write the digest of the release: `sha256:` and 64 hex digits, or a placeholder for it";

/// Adds the public tier's rule to what the scanner found about tags.
pub(super) fn pinned(folder: &Folder, mut findings: Vec<Finding>) -> Verdict {
    let mut count = folder.builds.len();
    for file in folder.values.iter().chain(&folder.compose) {
        let Ok(leaves) = &file.leaves else {
            let (line, why) = match &file.leaves {
                Err((line, why)) => (*line, why.as_str()),
                Ok(_) => continue,
            };
            findings.push(at(
                ID,
                &file.name,
                Some(line),
                format!("this is no YAML that could be looked at: {why}."),
                "repair the file",
            ));
            continue;
        };
        let is_public = is_public_tier(file);
        for leaf in leaves {
            let key = leaf.path.rsplit('.').next().unwrap_or_default();
            if key == "image" && !leaf.value.is_empty() {
                count += 1;
                if is_public && !matches!(pin(&leaf.value), Pin::Digest | Pin::Placeholder) {
                    findings.push(at(
                        ID,
                        &file.name,
                        Some(leaf.line),
                        "the public tier runs an image without a digest.".into(),
                        HELP,
                    ));
                }
            }
            // Helm: `image: {repository, tag, digest}`.
            if key == "repository" && leaf.path.contains("mage") {
                count += 1;
                let parent = leaf.path.trim_end_matches(".repository");
                if is_public
                    && file
                        .value(&format!("{parent}.digest"))
                        .unwrap_or_default()
                        .trim()
                        .is_empty()
                {
                    findings.push(at(
                        ID,
                        &file.name,
                        Some(leaf.line),
                        "the public tier runs an image without a digest.".into(),
                        HELP,
                    ));
                }
            }
        }
    }
    if count == 0 && findings.is_empty() {
        return Verdict::NotApplicable("no image is named".into());
    }
    Verdict::Looked(format!("images: {count}"), findings)
}

/// Chart values and Compose files that say so, and gateway charts that the internet reaches (09 §4.4).
fn is_public_tier(file: &YamlFile) -> bool {
    let is = |path: &str, value: &str| file.value(path) == Some(value);
    let leaves = file.leaves.iter().flatten();
    let says_tier = leaves.clone().any(|leaf| {
        leaf.path.ends_with("OPEN_COWORK_CLOUD_DEPLOYMENT_TIER")
            && leaf.value.contains("public_production")
            || leaf
                .value
                .contains("OPEN_COWORK_CLOUD_DEPLOYMENT_TIER=public_production")
    });
    let is_gateway_chart = leaves.clone().any(|leaf| leaf.path.starts_with("gateway."));
    let is_reached = is("ingress.enabled", "true")
        || is("service.type", "LoadBalancer")
        || is("service.type", "NodePort");
    says_tier || is("cloud.deploymentTier", "public_production") || (is_gateway_chart && is_reached)
}
