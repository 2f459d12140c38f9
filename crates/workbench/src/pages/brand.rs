//! What a brand puts on a page: the top and the foot of the rail, and the head of pages before login.

use crate::app::App;
use crate::branding::{Align, Link, Variant};
use maud::{Markup, html};

/// Logo or icon and name, as `branding.sidebar.top` wants it (02 §4.2).
pub(crate) fn top(app: &App) -> Markup {
    let brand = &app.options.branding;
    let top = &brand.top;
    let shown = top.shown();
    let name = top.title.as_deref().unwrap_or(&brand.name);
    let label = top.aria_label.as_deref().unwrap_or(name);
    let (picture, words) = match shown {
        Variant::Text => (None, true),
        Variant::Icon => (Some(false), false),
        Variant::IconText => (Some(false), true),
        Variant::Logo => (Some(true), false),
        Variant::LogoText => (Some(true), true),
    };
    let align = match (top.align, words) {
        (Some(Align::Start), _) | (None, true) => "start",
        (Some(Align::Center), _) | (None, false) => "center",
        (Some(Align::End), _) => "end",
    };
    // Beside the name a picture says nothing more.
    let alt = if words { "" } else { label };
    html! {
        div class={ "brand " (align) } {
            @match picture {
                Some(true) => @if let Some(logo) = &app.assets.logo {
                    img.logo src=(logo.href(&app.options.base)) alt=(alt);
                },
                Some(false) => span.mark role=[(!words).then_some("img")] aria-label=[(!words).then_some(alt)] aria-hidden=[words.then_some("true")] {
                    (top.icon.as_deref().unwrap_or_default())
                },
                None => {},
            }
            @if words {
                span.brand-words {
                    strong { (name) }
                    @if let Some(subtitle) = &top.subtitle { span.hint { (brand.say(subtitle)) } }
                }
            }
        }
    }
}

/// The brand's own lines and links.
pub(crate) fn foot(app: &App) -> Markup {
    let brand = &app.options.branding;
    let lower = &brand.lower;
    html! {
        @if lower.text.is_some() || lower.secondary.is_some() || lower.link.is_some() {
            div.brand-foot {
                @if let Some(text) = &lower.text { span { (brand.say(text)) } }
                @if let Some(text) = &lower.secondary { span.hint { (brand.say(text)) } }
                @if let Some((words, link)) = &lower.link { (outside(words, link)) }
            }
        }
        @if brand.links.shown().next().is_some() {
            p.brand-links { @for (words, link) in brand.links.shown() { (outside(words, link)) } }
        }
    }
}

/// A link that leaves the workbench: in a tab of its own, so that nothing here is left behind.
fn outside(words: &str, link: &Link) -> Markup {
    html! { a href=(link.as_str()) target="_blank" rel="noopener noreferrer" { (words) } }
}
