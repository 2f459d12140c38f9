//! The identity of the web surfaces (02 §4.12, §8.2).

use serde::{Deserialize, Serialize};

/// The identity of the web surfaces: `cloud.publicBranding` and `gateway.branding` (02 §4.12). All
/// of it is public.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicBranding {
    /// Name of the product.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    /// A compact mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_name: Option<String>,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The logo.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_url: Option<String>,
    /// The icon of the browser's tab.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub favicon_url: Option<String>,
    /// The picture of a shared link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub og_image_url: Option<String>,
    /// Where support is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub support_url: Option<String>,
    /// The privacy notice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub privacy_url: Option<String>,
    /// The security page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_url: Option<String>,
    /// The terms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_url: Option<String>,
    /// The colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub theme: Option<PublicTheme>,
    /// Texts of dashboard and sign-in page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dashboard: Option<Dashboard>,
    /// Labels of a managed connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed_org_connection_labels: Option<ConnectionLabels>,
}

/// Labels of a managed connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ConnectionLabels {
    /// Token of the desktop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desktop_token: Option<String>,
    /// Token of the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_token: Option<String>,
    /// Token of the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_token: Option<String>,
    /// Address of the cloud.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_url: Option<String>,
}

/// Texts of the dashboard and the sign-in page.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Dashboard {
    /// Title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Line below the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// Title of the sign-in page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_title: Option<String>,
    /// Text of the sign-in page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sign_in_body: Option<String>,
    /// About own provider keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byok_description: Option<String>,
    /// About connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections_description: Option<String>,
    /// About the gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_description: Option<String>,
    /// About billing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub billing_description: Option<String>,
    /// About usage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage_description: Option<String>,
}

/// The colours of the web surfaces, in canonical order (02 §8.2). What is absent is derived or
/// inherited.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicTheme {
    /// Page background.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background: Option<String>,
    /// Background of panels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface: Option<String>,
    /// Background of second rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_surface: Option<String>,
    /// Lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border: Option<String>,
    /// Text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Text of least weight.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub muted_text: Option<String>,
    /// The accent colour.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent: Option<String>,
    /// Second stop of the accent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent2: Option<String>,
    /// The accent as a tint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_soft: Option<String>,
    /// The accent as a line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_line: Option<String>,
    /// The accent where it must stand out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_strong: Option<String>,
    /// Ring of the focus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub focus: Option<String>,
    /// Warning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warn: Option<String>,
    /// Danger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub danger: Option<String>,
    /// Success.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok: Option<String>,
    /// Panel under the pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface_hover: Option<String>,
    /// Panel that is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surface_active: Option<String>,
    /// Lines that hardly show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border_subtle: Option<String>,
    /// Lines that stand out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border_strong: Option<String>,
    /// Background of menus and dialogs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub elevated: Option<String>,
    /// Text of second rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text_secondary: Option<String>,
    /// The accent under the pointer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_hover: Option<String>,
    /// Text on the accent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accent_foreground: Option<String>,
    /// Green of charts and badges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub green: Option<String>,
    /// Amber of charts and badges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amber: Option<String>,
    /// Red of charts and badges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub red: Option<String>,
    /// Information.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub info: Option<String>,
    /// Shadow of cards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_card: Option<String>,
    /// Shadow of menus and dialogs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_elevated: Option<String>,
    /// Background image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bg_image: Option<String>,
}
