//! Which keys leave, by view: the allow-lists that the views are copied by.
//!
//! A pattern is an RFC 6901 pointer in which `*` stands for any name or index. Only a text, number,
//! switch or null at the end of a pattern is copied, never a whole object.

use super::View;
use serde_json::{Map, Value};

/// Everything that a view may take from the resolved document. Diagnostics has no list: it is the whole
/// document, redacted.
pub fn keys(view: View) -> &'static [&'static str] {
    match view {
        View::Web => WEB,
        View::Desktop => DESKTOP,
        View::Gateway => GATEWAY,
        View::Diagnostics => &[],
    }
}

const WEB: &[&str] = &[
    "/cloud/role",
    "/cloud/defaultProfile",
    "/cloud/profiles/*/features/*",
    "/cloud/profiles/*/agents/*",
    "/cloud/profiles/*/tools/*",
    "/cloud/profiles/*/mcps/*",
    "/cloud/publicBranding/productName",
    "/cloud/publicBranding/shortName",
    "/cloud/publicBranding/description",
    "/cloud/publicBranding/logoUrl",
    "/cloud/publicBranding/faviconUrl",
    "/cloud/publicBranding/ogImageUrl",
    "/cloud/publicBranding/supportUrl",
    "/cloud/publicBranding/privacyUrl",
    "/cloud/publicBranding/securityUrl",
    "/cloud/publicBranding/legalUrl",
    "/cloud/publicBranding/theme/*",
    "/cloud/publicBranding/dashboard/*",
    "/cloud/publicBranding/managedOrgConnectionLabels/*",
];

const DESKTOP: &[&str] = &[
    "/branding/name",
    "/branding/shortName",
    "/branding/appId",
    "/branding/dataDirName",
    "/branding/helpUrl",
    "/branding/docsBaseUrl",
    "/branding/appIcon",
    "/branding/supportUrl",
    "/branding/privacyUrl",
    "/branding/securityUrl",
    "/branding/legalUrl",
    "/branding/projectNamespace",
    "/branding/defaultTheme",
    "/branding/themes/*/id",
    "/branding/themes/*/label",
    "/branding/themes/*/description",
    "/branding/themes/*/swatches/*",
    "/branding/themes/*/dark/*",
    "/branding/themes/*/light/*",
    "/branding/sidebar/top/variant",
    "/branding/sidebar/top/icon",
    "/branding/sidebar/top/logoAsset",
    "/branding/sidebar/top/mediaSize",
    "/branding/sidebar/top/mediaFit",
    "/branding/sidebar/top/mediaAlign",
    "/branding/sidebar/top/title",
    "/branding/sidebar/top/subtitle",
    "/branding/sidebar/top/ariaLabel",
    "/branding/sidebar/lower/text",
    "/branding/sidebar/lower/secondaryText",
    "/branding/sidebar/lower/linkLabel",
    "/branding/sidebar/lower/linkUrl",
    "/branding/home/greeting",
    "/branding/home/subtitle",
    "/branding/home/composerPlaceholder",
    "/branding/home/suggestionLabel",
    "/branding/home/statusReadyLabel",
    "/auth/mode",
    "/providers/available/*",
    "/providers/defaultProvider",
    "/providers/defaultModel",
    "/providers/descriptors/*/name",
    "/providers/descriptors/*/description",
    "/providers/descriptors/*/defaultModel",
    "/providers/descriptors/*/smallModel",
    "/providers/descriptors/*/models/*/id",
    "/providers/descriptors/*/models/*/name",
    "/providers/descriptors/*/models/*/description",
    "/providers/descriptors/*/models/*/featured",
    "/providers/descriptors/*/models/*/contextLength",
    "/providers/descriptors/*/models/*/limit/*",
    "/providers/descriptors/*/models/*/cost/*",
    "/providers/descriptors/*/credentials/*/key",
    "/providers/descriptors/*/credentials/*/label",
    "/providers/descriptors/*/credentials/*/description",
    "/providers/descriptors/*/credentials/*/runtimeKey",
    "/providers/descriptors/*/credentials/*/placeholder",
    "/providers/descriptors/*/credentials/*/secret",
    "/providers/descriptors/*/credentials/*/required",
    "/providers/descriptors/*/credentials/*/env",
    "/providers/descriptors/*/credentials/*/type",
    "/providers/descriptors/*/credentials/*/options/*/label",
    "/providers/descriptors/*/credentials/*/options/*/value",
    "/providers/descriptors/*/credentials/*/options/*/hint",
    "/providers/descriptors/*/credentials/*/when/key",
    "/providers/descriptors/*/credentials/*/when/op",
    "/providers/descriptors/*/credentials/*/when/value",
    "/providers/custom/*/name",
    "/providers/custom/*/description",
    "/providers/custom/*/defaultModel",
    "/providers/custom/*/smallModel",
    "/providers/custom/*/models/*/name",
    "/providers/custom/*/models/*/limit/*",
    "/providers/custom/*/models/*/cost/*",
    "/providers/custom/*/credentials/*/key",
    "/providers/custom/*/credentials/*/label",
    "/providers/custom/*/credentials/*/description",
    "/providers/custom/*/credentials/*/runtimeKey",
    "/providers/custom/*/credentials/*/placeholder",
    "/providers/custom/*/credentials/*/secret",
    "/providers/custom/*/credentials/*/required",
    "/providers/custom/*/credentials/*/env",
    "/providers/custom/*/credentials/*/type",
    "/providers/custom/*/credentials/*/options/*/label",
    "/providers/custom/*/credentials/*/options/*/value",
    "/providers/custom/*/credentials/*/options/*/hint",
    "/providers/custom/*/credentials/*/when/key",
    "/providers/custom/*/credentials/*/when/op",
    "/providers/custom/*/credentials/*/when/value",
    "/permissions/bash",
    "/permissions/fileWrite",
    "/permissions/task",
    "/permissions/web",
    "/permissions/webSearch",
    "/agentStarterTemplates/*/id",
    "/agentStarterTemplates/*/label",
    "/agentStarterTemplates/*/description",
    "/agentStarterTemplates/*/color",
    "/agentStarterTemplates/*/instructions",
    "/agentStarterTemplates/*/mode",
    "/agentStarterTemplates/*/temperature",
    "/agentStarterTemplates/*/steps",
    "/agentStarterTemplates/*/toolIds/*",
    "/agentStarterTemplates/*/skillNames/*",
    "/toolTrace/*/*/id",
    "/toolTrace/*/*/label",
    "/toolTrace/*/*/pluralLabel",
    "/toolTrace/*/*/match/*/exact/*",
    "/toolTrace/*/*/match/*/prefixes/*",
    "/toolTrace/*/*/match/*/contains/*",
    "/i18n/locale",
    "/i18n/strings/*",
    "/features/*",
];

const GATEWAY: &[&str] = &[
    "/gateway/branding/productName",
    "/gateway/branding/shortName",
    "/gateway/branding/description",
    "/gateway/branding/logoUrl",
    "/gateway/branding/faviconUrl",
    "/gateway/branding/ogImageUrl",
    "/gateway/branding/supportUrl",
    "/gateway/branding/privacyUrl",
    "/gateway/branding/securityUrl",
    "/gateway/branding/legalUrl",
    "/gateway/branding/theme/*",
    "/gateway/branding/dashboard/*",
    "/gateway/branding/managedOrgConnectionLabels/*",
    "/gateway/productMode",
    "/gateway/mode",
    "/gateway/server/host",
    "/gateway/server/port",
    "/gateway/server/publicBaseUrl",
    "/gateway/server/allowLoopbackOperatorBypass",
    "/gateway/server/maxRequestBodyBytes",
    "/gateway/server/trustProxyHeaders",
    "/gateway/server/trustedProxyCidrs/*",
    "/gateway/logging/level",
    "/gateway/metrics/enabled",
    "/gateway/diagnostics/enabled",
    "/gateway/timeouts/webhookDeliveryMs",
    "/gateway/timeouts/smtpMs",
    "/gateway/timeouts/shutdownDrainMs",
    "/gateway/providers/*/id",
    "/gateway/providers/*/kind",
    "/gateway/providers/*/enabled",
    "/gateway/providers/*/channelBindingId",
    "/gateway/providers/*/externalWorkspaceId",
    "/gateway/providers/*/defaultAgent",
    "/gateway/providers/*/settings/mode",
    "/gateway/providers/*/settings/publicBaseUrl",
    "/gateway/providers/*/settings/respondInGroups",
    "/gateway/providers/*/settings/smtpHost",
    "/gateway/providers/*/settings/smtpPort",
    "/gateway/providers/*/settings/smtpSecure",
    "/gateway/providers/*/settings/maxAttachmentBytes",
    "/gateway/providers/*/settings/apiBaseUrl",
];

/// The part of a document that the patterns name.
pub(crate) fn copy(document: &Value, patterns: &[&str]) -> Value {
    let patterns: Vec<Vec<&str>> = patterns
        .iter()
        .map(|pattern| pattern.split('/').skip(1).collect())
        .collect();
    let patterns: Vec<&[&str]> = patterns.iter().map(Vec::as_slice).collect();
    copy_at(document, &patterns).unwrap_or_else(|| Value::Object(Map::new()))
}

fn copy_at(value: &Value, patterns: &[&[&str]]) -> Option<Value> {
    let below = |name: Option<&str>| -> Vec<&[&str]> {
        patterns
            .iter()
            .filter_map(|pattern| pattern.split_first())
            .filter(|(step, _)| **step == "*" || Some(**step) == name)
            .map(|(_, rest)| rest)
            .collect()
    };
    match value {
        Value::Object(map) => {
            if patterns.iter().all(|pattern| pattern.is_empty()) {
                return None;
            }
            let members = map.iter().filter_map(|(name, inner)| {
                let patterns = below(Some(name));
                Some((name.clone(), copy_at(inner, &patterns)?))
            });
            Some(Value::Object(members.collect()))
        }
        Value::Array(items) => {
            let patterns = below(None);
            if patterns.is_empty() {
                return None;
            }
            Some(Value::Array(
                items
                    .iter()
                    .filter_map(|item| copy_at(item, &patterns))
                    .collect(),
            ))
        }
        scalar => patterns
            .iter()
            .any(|pattern| pattern.is_empty())
            .then(|| scalar.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_listed_is_copied_and_never_a_whole_object() {
        let document = json!({"a": {"x": 1, "y": {"deep": 2}, "z": 3}, "list": [{"k": "v", "s": "secret"}, "text"], "b": null});
        let patterns = ["/a/x", "/a/y", "/list/*/k", "/b"];
        assert_eq!(
            copy(&document, &patterns),
            json!({"a": {"x": 1}, "list": [{"k": "v"}], "b": null})
        );
    }

    #[test]
    fn every_listed_key_is_in_the_schema() {
        for view in View::ALL {
            for pattern in keys(view) {
                let pointer = pattern
                    .replace("/toolTrace/*", "/toolTrace/rules")
                    .replace('*', "0");
                // A star stands for names of a closed object too.
                let known = crate::key::parse(&pointer, &Value::Null).is_ok()
                    || pattern.strip_suffix("/*").is_some_and(|all| {
                        crate::key::parse(&all.replace('*', "0"), &Value::Null).is_ok()
                    });
                assert!(known, "{pattern}");
            }
        }
    }
}
