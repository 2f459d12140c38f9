//! From the configuration to the cloud's look: `cloud.publicBranding` gives name, links, sign-in texts and colours
//! over `branding` (02 §4.12, §8).

use open_cowork_config::cloud::CloudSettings;
use open_cowork_config::load::Loaded;
use open_cowork_theme::look::look;
use open_cowork_workbench::Theme;
use open_cowork_workbench::branding::{Branding, Link, Links, SignIn};
use serde_json::Value;

/// Name, words and colours.
#[derive(Clone, Debug, Default)]
pub struct Look {
    /// Name, words and links.
    pub branding: Branding,
    /// Colours.
    pub theme: Theme,
    /// One sentence each; none keeps the program from starting.
    pub remarks: Vec<String>,
}

impl Look {
    /// What configuration and environment ask for.
    #[must_use]
    pub fn of(loaded: &Loaded, settings: &CloudSettings) -> Self {
        let public = settings.bootstrap_branding();
        let text = |key: &str| {
            let text = public.pointer(key).and_then(Value::as_str)?.trim();
            (!text.is_empty()).then(|| text.to_owned())
        };
        let link = |key: &str| text(key).as_deref().and_then(Link::parse);
        let product = &loaded.config().branding;
        let home = product.home.clone().unwrap_or_default();
        let mut branding = Branding::default();
        branding.name = text("/productName").unwrap_or(branding.name);
        branding.description = text("/description").unwrap_or_default();
        branding.links = Links {
            support: link("/supportUrl"),
            privacy: link("/privacyUrl"),
            security: link("/securityUrl"),
            legal: link("/legalUrl"),
            ..Links::default()
        };
        branding.home.greeting = home.greeting.unwrap_or(branding.home.greeting);
        branding.home.subtitle = home.subtitle;
        branding.home.placeholder = home
            .composer_placeholder
            .unwrap_or(branding.home.placeholder);
        branding.home.ready = home.status_ready_label.unwrap_or(branding.home.ready);
        branding.sign_in = SignIn {
            title: text("/dashboard/signInTitle"),
            body: text("/dashboard/signInBody"),
        };
        // Only tokens that somebody wrote are over the theme.
        let written = loaded.written().pointer("/cloud/publicBranding/theme");
        let (theme, remarks) = look(
            &loaded.value()["branding"],
            written.and_then(Value::as_object),
        );
        Look {
            branding,
            theme,
            remarks: remarks.iter().map(ToString::to_string).collect(),
        }
    }
}
