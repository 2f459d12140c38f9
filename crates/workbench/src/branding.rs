//! Whose product the workbench is: its words, links and pictures (02 §4.2). Colours are in [`crate::theme`].
//!
//! Everything has a default, so that a brand says only what differs. All of it is text and bytes that the program
//! brought along: a page shows no picture of another host.

use crate::picture::Picture;
use std::fmt;

/// The brand of one workbench. In all its sentences `{{brand}}` stands for the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Branding {
    /// The product's name: window titles, the rail, pages before login.
    pub name: String,
    /// One sentence about the product, for the page's description.
    pub description: String,
    /// Picture of browser tabs; absent: the product's own.
    pub favicon: Option<Picture>,
    /// The top of the rail.
    pub top: Top,
    /// The foot of the rail.
    pub lower: Lower,
    /// Links of the rail's foot and of the pages before login.
    pub links: Links,
    /// The home page.
    pub home: Home,
    /// The page of a visitor who isn't let in yet.
    pub sign_in: SignIn,
}

impl Default for Branding {
    fn default() -> Self {
        Branding {
            name: "Open Cowork".to_owned(),
            description: String::new(),
            favicon: None,
            top: Top::default(),
            lower: Lower::default(),
            links: Links::default(),
            home: Home::default(),
            sign_in: SignIn::default(),
        }
    }
}

impl Branding {
    /// A sentence with the name in the place of `{{brand}}`.
    pub fn say(&self, sentence: &str) -> String {
        sentence.replace("{{brand}}", &self.name)
    }
}

/// The top of the rail (02 §4.2, `branding.sidebar.top`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Top {
    /// What is shown; what can't be rendered falls back to what can.
    pub variant: Option<Variant>,
    /// A few characters, such as an emoji.
    pub icon: Option<String>,
    /// The logo.
    pub logo: Option<Picture>,
    /// Its size in CSS pixels, 16..=96; absent: 28.
    pub size: Option<u8>,
    /// What its size bounds.
    pub fit: Fit,
    /// Where the whole stands; absent: in the middle without text, else at the start.
    pub align: Option<Align>,
    /// Instead of the name.
    pub title: Option<String>,
    /// Below it.
    pub subtitle: Option<String>,
    /// What a screen reader says for icon or logo when there is no text beside it.
    pub aria_label: Option<String>,
}

/// `branding.sidebar.top.variant` (02 §4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// The icon alone.
    Icon,
    /// The title alone.
    Text,
    /// Icon and title.
    IconText,
    /// The logo alone.
    Logo,
    /// Logo and title.
    LogoText,
}

/// What a logo's size bounds (02 §4.2, `mediaFit`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// Both sides.
    #[default]
    Bounded,
    /// The height; the width follows.
    Vertical,
    /// The width; the height follows.
    Horizontal,
}

/// Where the top of the rail stands (02 §4.2, `mediaAlign`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Align {
    /// Where lines begin.
    Start,
    /// In the middle.
    Center,
    /// Where lines end.
    End,
}

impl Top {
    /// What is rendered: what was asked for as far as it exists, else logo before icon before text.
    pub fn shown(&self) -> Variant {
        let (logo, icon, text) = (
            self.logo.is_some(),
            self.icon.is_some(),
            self.title.is_some(),
        );
        match self.variant {
            Some(Variant::Text) => Variant::Text,
            Some(Variant::Logo) if logo => Variant::Logo,
            Some(Variant::LogoText) if logo => Variant::LogoText,
            Some(Variant::Icon) if icon => Variant::Icon,
            Some(Variant::IconText) if icon => Variant::IconText,
            // The title was set, so it is shown beside; without one the picture says the name.
            _ if logo && text => Variant::LogoText,
            _ if logo => Variant::Logo,
            _ if icon && text => Variant::IconText,
            _ if icon => Variant::Icon,
            _ => Variant::Text,
        }
    }
}

/// The foot of the rail (02 §4.2, `branding.sidebar.lower`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lower {
    /// A line.
    pub text: Option<String>,
    /// A quieter line.
    pub secondary: Option<String>,
    /// Words and address of a link.
    pub link: Option<(String, Link)>,
}

/// Links of a product.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Help.
    pub help: Option<Link>,
    /// Documentation.
    pub docs: Option<Link>,
    /// Support; may be an email address.
    pub support: Option<Link>,
    /// Privacy.
    pub privacy: Option<Link>,
    /// Security.
    pub security: Option<Link>,
    /// Terms, imprint.
    pub legal: Option<Link>,
}

impl Links {
    /// Those that are set, with their words.
    pub(crate) fn shown(&self) -> impl Iterator<Item = (&'static str, &Link)> {
        [
            ("Help", &self.help),
            ("Docs", &self.docs),
            ("Support", &self.support),
            ("Privacy", &self.privacy),
            ("Security", &self.security),
            ("Legal", &self.legal),
        ]
        .into_iter()
        .filter_map(|(words, link)| Some((words, link.as_ref()?)))
    }
}

/// An address that a page may link to: `https` on a named host, or `mailto`.
#[derive(Clone, PartialEq, Eq)]
pub struct Link(String);

impl Link {
    /// Longest address, bytes.
    const LONGEST: usize = 2048;

    /// Takes `https://host…` or `mailto:name@host`; `None` for any other scheme, for a user name or password in the
    /// address, and for anything with white space or control characters.
    pub fn parse(address: &str) -> Option<Link> {
        let plain =
            |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '\\' | '"' | '<' | '>');
        if address.len() > Self::LONGEST || !address.chars().all(plain) {
            return None;
        }
        let good = if let Some(rest) = address.strip_prefix("https://") {
            let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
            !host.is_empty() && !host.contains('@') && !host.starts_with([':', '.'])
        } else {
            let mail = address.strip_prefix("mailto:")?;
            let mailbox = mail.split('?').next().unwrap_or_default();
            matches!(mailbox.split_once('@'), Some((name, host))
                if !name.is_empty() && host.contains('.') && !host.contains('@'))
        };
        good.then(|| Link(address.to_owned()))
    }

    /// The address.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Texts of the home page (02 §4.2, `branding.home`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    /// The first line.
    pub greeting: String,
    /// Below it.
    pub subtitle: Option<String>,
    /// In the empty composer.
    pub placeholder: String,
    /// Of the connection when everything is well.
    pub ready: String,
}

impl Default for Home {
    fn default() -> Self {
        Home {
            greeting: "What should be done?".to_owned(),
            subtitle: None,
            placeholder: "Describe the work…".to_owned(),
            ready: "Ready".to_owned(),
        }
    }
}

/// Texts of the page before login (02 §4.12, `dashboard.signInTitle` and `signInBody`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SignIn {
    /// The title; absent: what the visitor has to do.
    pub title: Option<String>,
    /// A sentence above the instruction.
    pub body: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_https_and_mail_become_links() {
        for good in [
            "https://acme.example",
            "https://acme.example:8443/help?a=b#c",
            "mailto:help@acme.example",
            "mailto:help@acme.example?subject=Hi",
        ] {
            assert_eq!(Link::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "http://acme.example",
            "javascript:alert(1)",
            "data:text/html,x",
            "//acme.example",
            "/help",
            "https://",
            "https:///x",
            "https://user:pass@acme.example/",
            "https://acme.example/ x",
            "https://acme.example/\nx",
            "https://acme.example\\@evil.example",
            "mailto:help",
            "mailto:@acme.example",
            "HTTPS://ACME.EXAMPLE",
        ] {
            assert_eq!(Link::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_top_of_the_rail_shows_what_it_has() {
        let icon = Top {
            icon: Some("★".to_owned()),
            ..Top::default()
        };
        assert_eq!(Top::default().shown(), Variant::Text);
        assert_eq!(icon.shown(), Variant::Icon);
        let titled = Top {
            title: Some("Acme".to_owned()),
            ..icon.clone()
        };
        assert_eq!(titled.shown(), Variant::IconText);
        let no_logo = Top {
            variant: Some(Variant::LogoText),
            ..titled
        };
        assert_eq!(no_logo.shown(), Variant::IconText, "there is no logo");
        let asked = Top {
            variant: Some(Variant::Text),
            ..icon
        };
        assert_eq!(asked.shown(), Variant::Text);
    }

    #[test]
    fn the_name_stands_where_a_sentence_says_brand() {
        let branding = Branding {
            name: "Acme".to_owned(),
            ..Branding::default()
        };
        assert_eq!(branding.say("Ask {{brand}}, {{brand}}!"), "Ask Acme, Acme!");
    }
}
