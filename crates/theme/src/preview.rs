//! One page that shows a brand before anybody runs it: swatches, samples and every contrast, light beside dark.

use crate::action::action;
use crate::apply::Remark;
use crate::check::pairs;
use crate::color::Rgb;
use crate::palette::{Palette, Scheme, Theme};
use crate::structural;
use std::fmt::Write as _;

/// What is shown.
#[derive(Clone, Copy, Debug)]
pub struct Preview<'a> {
    /// The product's name.
    pub name: &'a str,
    /// One sentence about it; empty for none.
    pub description: &'a str,
    /// Its colours.
    pub theme: &'a Theme,
    /// What applying the brand's tokens had to say.
    pub remarks: &'a [Remark],
}

/// A self-contained HTML page: no script, nothing loaded, all words escaped.
pub fn html(preview: &Preview<'_>) -> String {
    let Preview {
        name,
        description,
        theme,
        remarks,
    } = preview;
    let name = escape(name);
    let mut page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"content-security-policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{name} · theme</title>\n<style>\n{structure}.light{{{light}}}\n.dark{{{dark}}}\n{STYLE}</style></head>\n<body>\n",
        structure = structural::css(),
        light = theme.light.css(),
        dark = theme.dark.css(),
    );
    for (palette, scheme) in [(&theme.light, Scheme::Light), (&theme.dark, Scheme::Dark)] {
        let _ = writeln!(page, "<section class=\"{scheme}\"><h2>{scheme}</h2>");
        sample(&mut page, &name, &escape(description), palette);
        swatches(&mut page, palette);
        contrasts(&mut page, palette);
        page.push_str("</section>\n");
    }
    page.push_str("<footer class=\"light\"><h2>Remarks</h2><ul>");
    if remarks.is_empty() {
        page.push_str("<li>Every text of this theme reaches WCAG AA.</li>");
    }
    for remark in *remarks {
        let _ = write!(page, "<li>{}</li>", escape(&remark.to_string()));
    }
    page.push_str("</ul></footer>\n</body></html>\n");
    page
}

const STYLE: &str = "\
body{margin:0;display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,480px),1fr));font:15px/24px var(--font-ui)}
section{display:grid;gap:var(--space-4);align-content:start;padding:var(--space-8) var(--space-6);background:var(--color-background);color:var(--color-text)}
footer{grid-column:1/-1;padding:var(--space-6);background:var(--color-surface);color:var(--color-text)}
h1,h2,p,ul{margin:0}h1{font-size:22px;line-height:32px}h2{font-size:var(--text-xs);color:var(--color-muted-text)}
.card{display:grid;gap:var(--space-2);padding:var(--space-4);border:1px solid var(--color-border);border-radius:var(--studio-radius);background:var(--color-surface)}
.second{color:var(--color-text-secondary)}.quiet{color:var(--color-muted-text);font-size:var(--text-sm)}.link{color:var(--accent-strong);text-decoration:underline}
.row{display:flex;flex-wrap:wrap;gap:var(--space-2)}
.button{padding:4px 12px;border:1px solid var(--color-border-strong);border-radius:var(--studio-radius);font-size:var(--text-sm)}
.primary{background:var(--accent);border-color:var(--accent);color:var(--accent-foreground);font-weight:600}
.focus{outline:2px solid var(--color-focus);outline-offset:2px}
.tone{padding:4px 12px;border:1px solid;border-radius:var(--studio-radius);font-size:var(--text-sm)}
.info{color:var(--color-info);background:var(--color-info-surface)}.ok{color:var(--color-ok);background:var(--color-ok-surface)}
.warn{color:var(--color-warn);background:var(--color-warn-surface)}.danger{color:var(--color-danger);background:var(--color-danger-surface)}
.swatches{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:var(--space-2);padding:0;list-style:none;font-size:var(--text-xs);line-height:var(--lh-xs)}
.swatches i{display:block;height:32px;border:1px solid var(--color-border-strong);border-radius:var(--studio-radius-inner)}
table{border-collapse:collapse;font-size:var(--text-xs);line-height:var(--lh-xs)}td,th{padding:2px 12px 2px 0;text-align:left;font-variant-numeric:tabular-nums}
.low{color:var(--color-danger);font-weight:600}
";

fn sample(page: &mut String, name: &str, description: &str, palette: &Palette) {
    let gradient = action(palette.accent, palette.accent_strong).map_or_else(
        || "none: its two stops have no common ink".to_owned(),
        |action| {
            let ink = if action.ink == Rgb::WHITE {
                "white"
            } else {
                "black"
            };
            format!("{ink}, overlay {} %", action.overlay_percent)
        },
    );
    let _ = writeln!(
        page,
        "<div class=\"card\"><h1>{name}</h1><p>{description}</p>\
         <p class=\"second\">Secondary text beside a <span class=\"link\">link</span>.</p>\
         <p class=\"quiet\">3 minutes ago</p>\
         <p class=\"row\"><span class=\"button primary\">Start</span><span class=\"button\">Cancel</span>\
         <span class=\"button focus\">Focused</span></p>\
         <p class=\"row\"><span class=\"tone info\">Running</span><span class=\"tone ok\">Done</span>\
         <span class=\"tone warn\">Waiting for you</span><span class=\"tone danger\">Failed</span></p>\
         <p class=\"quiet\">Ink on a gradient of accent and link colour: {gradient}.</p></div>"
    );
}

fn swatches(page: &mut String, palette: &Palette) {
    page.push_str("<ul class=\"swatches\">");
    for (key, property) in Palette::NAMES {
        let value = palette.get(key).unwrap_or(Rgb::BLACK);
        let _ = write!(
            page,
            "<li><i style=\"background:var({property})\"></i>{key}<br>{value}</li>"
        );
    }
    page.push_str("</ul>\n");
}

fn contrasts(page: &mut String, palette: &Palette) {
    page.push_str("<table><tr><th>Colour</th><th>on</th><th>contrast</th><th>needed</th></tr>\n");
    for pair in pairs() {
        let (Some(ink), Some(ground)) = (palette.get(pair.token), palette.get(pair.against)) else {
            continue;
        };
        let ratio = ink.contrast(ground);
        let (class, sign) = match ratio >= pair.needed {
            true => ("", "✓"),
            false => (" class=\"low\"", "✕ too low"),
        };
        let shown = (ratio * 100.0).floor() / 100.0;
        let _ = writeln!(
            page,
            "<tr{class}><td>{}</td><td>{}</td><td>{shown:.2} {sign}</td><td>{}</td></tr>",
            pair.token, pair.against, pair.needed
        );
    }
    page.push_str("</table>\n");
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{self, Warning};

    #[test]
    fn the_page_shows_both_schemes_and_loads_nothing() {
        let theme = Theme::preset("teal").unwrap();
        let page = html(&Preview {
            name: "Acme <b>Desk</b>",
            description: "Agents & people",
            theme: &theme,
            remarks: &[],
        });
        assert!(page.contains("<title>Acme &lt;b&gt;Desk&lt;/b&gt; · theme</title>"));
        assert!(page.contains("Agents &amp; people"));
        assert_eq!(page.matches("<td>accentForeground</td>").count(), 2);
        assert!(page.contains("#3f9a8f"));
        for word in ["http://", "https://", "url(", "<script", "@import", "src="] {
            assert!(!page.contains(word), "{word}");
        }
    }

    #[test]
    fn a_pair_that_is_too_low_is_marked_and_told() {
        let mut theme = Theme::default();
        theme.light.muted_text = theme.light.border;
        let warnings = check::palette(&theme.light, Scheme::Light);
        let remarks: Vec<Remark> = warnings.into_iter().map(Remark::Contrast).collect();
        let page = html(&Preview {
            name: "x",
            description: "",
            theme: &theme,
            remarks: &remarks,
        });
        assert_eq!(page.matches("✕ too low").count(), remarks.len());
        assert!(page.contains("<li>mutedText on background has a contrast of 1.25:1"));
        assert!(matches!(
            remarks[0],
            Remark::Contrast(Warning { used: true, .. })
        ));
    }
}
