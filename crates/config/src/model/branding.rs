//! The identity of the desktop: name, links, sidebar, home screen, themes (02 §4.2).

use crate::model::number::Whole;
use crate::model::text_enum::text_enum;
use serde::{Deserialize, Serialize};

/// The identity of the desktop (02 §4.2).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Branding {
    /// The brand in the interface, in prompts and on sign-in pages.
    pub name: String,
    /// A compact mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub short_name: Option<String>,
    /// Id of the application bundle.
    pub app_id: String,
    /// Name of the folder of user and managed configuration, and prefix of log files.
    pub data_dir_name: String,
    /// Where help leads; a GitHub address is the default update feed too. Empty: no link.
    pub help_url: String,
    /// Where the links to documentation begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docs_base_url: Option<String>,
    /// An image below the branding folder for window and dock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_icon: Option<String>,
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
    /// Names the folder `.<namespace>/` of project overlays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_namespace: Option<String>,
    /// Id of the theme to begin with; ignored when there is none of that id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_theme: Option<String>,
    /// Themes of this distribution.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub themes: Option<Vec<Theme>>,
    /// The sidebar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidebar: Option<Sidebar>,
    /// The home screen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub home: Option<Home>,
}

/// Texts of the home screen; `{{brand}}` stands for the name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Home {
    /// The greeting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub greeting: Option<String>,
    /// The line below it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// What the empty prompt field says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub composer_placeholder: Option<String>,
    /// Heading of the suggestions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suggestion_label: Option<String>,
    /// What the status says when all is ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status_ready_label: Option<String>,
}

/// The sidebar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Sidebar {
    /// Its top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top: Option<SidebarTop>,
    /// Its foot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower: Option<SidebarLower>,
}

/// The foot of the sidebar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidebarLower {
    /// The first line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The second line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary_text: Option<String>,
    /// Text of the link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_label: Option<String>,
    /// Where the link leads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link_url: Option<String>,
}

/// The top of the sidebar.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SidebarTop {
    /// What is shown there; what can be rendered decides when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<SidebarVariant>,
    /// A sign or emoji.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub icon: Option<String>,
    /// A logo below the branding folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logo_asset: Option<String>,
    /// Size of icon or logo in pixels; 28 when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_size: Option<Whole>,
    /// How the logo fits; `bounded` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_fit: Option<MediaFit>,
    /// Where it stands; in the middle when it stands alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_align: Option<MediaAlign>,
    /// The title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// A line below the title.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subtitle: Option<String>,
    /// What a screen reader says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aria_label: Option<String>,
}

/// A desktop theme that is offered beside the presets, or in place of one of the same id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Theme {
    /// Its id: lower-case letters, digits and -.
    pub id: String,
    /// Its name in the menu.
    pub label: String,
    /// One sentence about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Colours that picture it in the menu.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub swatches: Option<Vec<String>>,
    /// Tokens of the dark scheme.
    pub dark: ThemeTokens,
    /// Tokens of the light scheme; the dark ones when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light: Option<ThemeTokens>,
}

/// The tokens of one scheme of a desktop theme: any CSS text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ThemeTokens {
    /// Page background.
    pub base: String,
    /// Background of panels.
    pub surface: String,
    /// Panel under the pointer.
    pub surface_hover: String,
    /// Panel that is selected.
    pub surface_active: String,
    /// Background of menus and dialogs.
    pub elevated: String,
    /// Lines.
    pub border: String,
    /// Lines that hardly show.
    pub border_subtle: String,
    /// Text.
    pub text: String,
    /// Text of second rank.
    pub text_secondary: String,
    /// Text of least weight.
    pub text_muted: String,
    /// The accent colour.
    pub accent: String,
    /// The accent under the pointer.
    pub accent_hover: String,
    /// Success.
    pub green: String,
    /// Warning.
    pub amber: String,
    /// Danger.
    pub red: String,
    /// Information.
    pub info: String,
    /// Text on the accent.
    pub accent_foreground: String,
    /// Shadow of cards.
    pub shadow_card: String,
    /// Shadow of menus and dialogs.
    pub shadow_elevated: String,
    /// Background image, or `none`.
    pub bg_image: String,
    /// Lines that stand out; the ordinary line when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub border_strong: Option<String>,
}

text_enum! {
    /// What stands at the top of the sidebar.
    pub enum SidebarVariant {
        /// The icon.
        Icon = "icon",
        /// The title.
        Text = "text",
        /// Icon and title.
        IconText = "icon-text",
        /// The logo.
        Logo = "logo",
        /// Logo and title.
        LogoText = "logo-text",
    }
}

text_enum! {
    /// How a logo fits its place.
    pub enum MediaFit {
        /// Within a square.
        Bounded = "bounded",
        /// By its height.
        Vertical = "vertical",
        /// By its width.
        Horizontal = "horizontal",
    }
}

text_enum! {
    /// Where a logo stands in its line.
    pub enum MediaAlign {
        /// At the start.
        Start = "start",
        /// In the middle.
        Center = "center",
        /// At the end.
        End = "end",
    }
}
