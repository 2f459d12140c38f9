//! Markdown to safe HTML, block by block.
//!
//! A message is the concatenation of its top-level blocks. A block is *closed* once a later block has begun on a
//! complete line: nothing that follows can change it, so a growing message sends it once, and each delta parses
//! and sends the open tail only. The one exception are link reference definitions (`[name]: url`), which reach
//! backwards; a message that holds one is rendered whole.
//!
//! Safety is layered: raw HTML is shown as text, images become links (no third-party request), code is escaped
//! here, and everything else passes an allow-list sanitizer.

use ammonia::{Builder, UrlRelative};
use maud::html;
use pulldown_cmark::{CodeBlockKind, CowStr, Event, Options, Parser, Tag, TagEnd};
use std::collections::{HashMap, HashSet};
use std::sync::LazyLock;

/// Nesting beyond this is flattened, so that hostile input costs linear time.
const MAX_DEPTH: usize = 24;

/// One top-level block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Block {
    /// Sanitized HTML.
    pub(crate) html: String,
    start: usize,
    end: usize,
}

/// A parsed text.
pub(crate) struct Blocks {
    pub(crate) blocks: Vec<Block>,
    has_definitions: bool,
}

/// The whole message as blocks.
pub(crate) fn render(text: &str) -> Vec<String> {
    parse(text)
        .blocks
        .into_iter()
        .map(|block| block.html)
        .collect()
}

/// How far a growing message was sent: everything before `stable` is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Growing {
    /// Byte offset of the open tail.
    pub(crate) stable: usize,
    /// Blocks before it.
    pub(crate) closed: usize,
}

/// New blocks from index `from` on, replacing all that were there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tail {
    pub(crate) from: usize,
    pub(crate) blocks: Vec<String>,
}

impl Growing {
    /// Renders the tail, `text[self.stable..]`, and moves on past its closed blocks. `None`: a definition
    /// appeared that may change closed blocks; call again with the default state and the whole text.
    pub(crate) fn advance(&mut self, tail: &str) -> Option<Tail> {
        let parsed = parse(tail);
        let from = self.closed;
        if parsed.has_definitions {
            if self.stable > 0 {
                *self = Growing::default();
                return None;
            }
        } else {
            let complete = tail.rfind('\n').unwrap_or(0);
            let closed = parsed
                .blocks
                .iter()
                .skip(1)
                .take_while(|next| next.start < complete)
                .count();
            if let Some([last, next]) = closed
                .checked_sub(1)
                .and_then(|index| parsed.blocks.get(index..index + 2))
            {
                self.stable += line_between(tail, last.end, next.start);
                self.closed += closed;
            }
        }
        Some(Tail {
            from,
            blocks: parsed.blocks.into_iter().map(|block| block.html).collect(),
        })
    }
}

/// Start of the first line at or after `end`, but never past the line of `next`: the tail must begin where the
/// parser is between lines, and a block's range may reach into the indentation of the next one.
fn line_between(text: &str, end: usize, next: usize) -> usize {
    let next_line = text
        .get(..next)
        .and_then(|before| before.rfind('\n'))
        .map_or(0, |found| found + 1);
    if end >= next_line {
        return next_line;
    }
    let rest = text
        .as_bytes()
        .get(end.saturating_sub(1)..next_line)
        .unwrap_or_default();
    rest.iter()
        .position(|b| *b == b'\n')
        .map_or(next_line, |found| end.saturating_sub(1) + found + 1)
}

fn parse(text: &str) -> Blocks {
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut parser = Parser::new_ext(text, options).into_offset_iter();
    let mut blocks = Vec::new();
    let mut events = Vec::new();
    let mut depth = 0_usize;
    let mut start = 0;
    for (event, range) in parser.by_ref() {
        if depth == 0 {
            start = range.start;
        }
        match event {
            Event::Start(_) => depth += 1,
            Event::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
        events.push(event);
        if depth == 0 {
            let html = block_html(std::mem::take(&mut events));
            blocks.push(Block {
                html,
                start,
                end: range.end,
            });
        }
    }
    let has_definitions = parser.reference_definitions().iter().next().is_some();
    Blocks {
        blocks,
        has_definitions,
    }
}

fn block_html(events: Vec<Event<'_>>) -> String {
    if let Some(Event::Start(Tag::CodeBlock(kind))) = events.first() {
        let language = match kind {
            CodeBlockKind::Fenced(info) => info
                .split([' ', ',', '{'])
                .next()
                .unwrap_or_default()
                .to_owned(),
            CodeBlockKind::Indented => String::new(),
        };
        let code: String = events
            .iter()
            .filter_map(|event| match event {
                Event::Text(text) | Event::Html(text) | Event::Code(text) => Some(text.as_ref()),
                _ => None,
            })
            .collect();
        return code_block(&language, &code);
    }
    let table = matches!(events.first(), Some(Event::Start(Tag::Table(_))));
    let mut unsafe_html = String::new();
    pulldown_cmark::html::push_html(&mut unsafe_html, tame(events).into_iter());
    let clean = SANITIZER.clean(&unsafe_html).to_string();
    if table {
        format!("<div class=\"scroll\" tabindex=\"0\">{clean}</div>")
    } else {
        clean
    }
}

/// A code block with its language and a copy button (shown by the script only).
fn code_block(language: &str, code: &str) -> String {
    html! {
        div.code {
            div.code-head { span { (language) } button.copy type="button" { "Copy" } }
            pre tabindex="0" { code { (code) } }
        }
    }
    .into_string()
}

/// Raw HTML becomes text, images become links, headings move below the page's own, deep nesting is flattened.
fn tame(events: Vec<Event<'_>>) -> Vec<Event<'_>> {
    let mut out = Vec::with_capacity(events.len());
    let mut depth = 0_usize;
    let mut links = 0_usize;
    for event in events {
        match event {
            Event::Start(tag) => {
                depth += 1;
                let tag = match tag {
                    Tag::HtmlBlock => Tag::Paragraph,
                    Tag::Heading {
                        level,
                        id,
                        classes,
                        attrs,
                    } => Tag::Heading {
                        level: lower(level),
                        id,
                        classes,
                        attrs,
                    },
                    Tag::Image {
                        link_type,
                        dest_url,
                        title,
                        id,
                    } => Tag::Link {
                        link_type,
                        dest_url,
                        title,
                        id,
                    },
                    tag => tag,
                };
                if let Tag::Link { .. } = tag {
                    links += 1;
                    if links > 1 {
                        continue;
                    }
                }
                if depth <= MAX_DEPTH {
                    out.push(Event::Start(tag));
                }
            }
            Event::End(tag) => {
                let inside = depth <= MAX_DEPTH;
                depth = depth.saturating_sub(1);
                let tag = match tag {
                    TagEnd::HtmlBlock => TagEnd::Paragraph,
                    TagEnd::Heading(level) => TagEnd::Heading(lower(level)),
                    TagEnd::Image => TagEnd::Link,
                    tag => tag,
                };
                if tag == TagEnd::Link {
                    links = links.saturating_sub(1);
                    if links > 0 {
                        continue;
                    }
                }
                if inside {
                    out.push(Event::End(tag));
                }
            }
            Event::Html(text) | Event::InlineHtml(text) => out.push(Event::Text(text)),
            Event::TaskListMarker(done) => {
                out.push(Event::Text(CowStr::Borrowed(if done {
                    "☑ "
                } else {
                    "☐ "
                })));
            }
            event => out.push(event),
        }
    }
    out
}

fn lower(level: pulldown_cmark::HeadingLevel) -> pulldown_cmark::HeadingLevel {
    use pulldown_cmark::HeadingLevel::{H3, H4, H5, H6};
    match level as usize {
        1 => H3,
        2 => H4,
        3 => H5,
        _ => H6,
    }
}

static SANITIZER: LazyLock<Builder<'static>> = LazyLock::new(|| {
    let mut builder = Builder::empty();
    builder
        .tags(HashSet::from([
            "p",
            "h3",
            "h4",
            "h5",
            "h6",
            "ul",
            "ol",
            "li",
            "code",
            "pre",
            "em",
            "strong",
            "del",
            "a",
            "blockquote",
            "hr",
            "br",
            "table",
            "thead",
            "tbody",
            "tr",
            "th",
            "td",
        ]))
        .tag_attributes(HashMap::from([
            ("a", HashSet::from(["href", "title"])),
            ("ol", HashSet::from(["start"])),
        ]))
        .clean_content_tags(HashSet::from(["script", "style"]))
        .url_schemes(HashSet::from(["http", "https", "mailto"]))
        .url_relative(UrlRelative::Deny)
        .link_rel(Some("noopener noreferrer nofollow"))
        .set_tag_attribute_value("a", "target", "_blank");
    builder
});

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(text: &str) -> String {
        render(text).concat()
    }

    #[test]
    fn nothing_active_survives() {
        for hostile in [
            "<script>alert(1)</script>",
            "a <img src=x onerror=alert(1)> b",
            "[x](javascript:alert(1))",
            "[x](JaVaScRiPt:alert(1))",
            "[x](data:text/html,<script>alert(1)</script>)",
            "![x](javascript:alert(1))",
            "<a href=\"javascript:alert(1)\">x</a>",
            "```\"onload=\"x\n</code></pre><script>alert(1)</script>\n```",
            "<svg/onload=alert(1)>",
            "[x]: javascript:alert(1)\n\n[x]",
            "<iframe srcdoc=\"<script>alert(1)</script>\">",
            "| <b onclick=x> |\n|-|\n| <style>*{}</style> |",
        ] {
            let html = whole(hostile).to_ascii_lowercase();
            for bad in [
                "<script",
                "<img",
                "<svg",
                "<iframe",
                "<style",
                "<a href=\"javascript",
                "<a href=\"data",
                "<b ",
            ] {
                assert!(!html.contains(bad), "{hostile} gave {html}");
            }
        }
    }

    #[test]
    fn images_become_links_and_raw_html_is_shown() {
        let html = whole("![a chart](https://example.org/c.png) and <b>bold</b>");
        assert!(
            html.contains("href=\"https://example.org/c.png\""),
            "{html}"
        );
        assert!(html.contains("&lt;b&gt;bold&lt;/b&gt;"), "{html}");
        let badge = whole("[![alt](https://a.example/i.png)](https://b.example/)");
        assert_eq!(badge.matches("<a ").count(), 1, "{badge}");
        assert!(badge.contains("https://b.example/"), "{badge}");
    }

    #[test]
    fn deep_nesting_is_flattened() {
        let html = whole(&format!("{}x", "> ".repeat(5_000)));
        assert!(html.matches("<blockquote>").count() <= MAX_DEPTH);
        assert!(html.contains('x'));
    }

    #[test]
    fn a_closed_block_is_sent_once() {
        let mut growing = Growing::default();
        let text = "# Title\n\nFirst paragraph.\n\nSecond ";
        growing.advance(&text[growing.stable..]).unwrap();
        assert_eq!(
            growing.closed, 1,
            "the last line is not complete, so the paragraph before it stays open"
        );
        let text = "# Title\n\nFirst paragraph.\n\nSecond one\ngoes on";
        let tail = growing.advance(&text[growing.stable..]).unwrap();
        assert_eq!((tail.from, growing.closed), (1, 2));
        assert!(text[growing.stable..].trim_start().starts_with("Second"));
    }

    #[test]
    fn a_definition_renders_the_message_whole() {
        let text = "see [docs]\n\nmore\n\nand\n";
        let mut growing = Growing::default();
        growing.advance(text).unwrap();
        assert!(growing.closed > 0);
        let text = format!("{text}\n[docs]: https://example.org/\n");
        assert_eq!(growing.advance(&text[growing.stable..]), None);
        let tail = growing.advance(&text).unwrap();
        assert_eq!(tail.from, 0);
        assert!(tail.blocks[0].contains("https://example.org/"));
    }

    fn piece() -> impl Strategy<Value = String> {
        prop::sample::select(vec![
            "word ",
            "two words",
            "\n",
            "\n\n",
            "# ",
            "## head\n",
            "- ",
            "- item\n",
            "  - inner\n",
            "1. ",
            "2. two\n",
            "```rust\n",
            "```\n",
            "``",
            "`",
            "let x;\n",
            "    code\n",
            "> ",
            "> quote\n",
            "***",
            "**",
            "*",
            "_",
            "---\n",
            "===\n",
            "-",
            "| a | b |\n",
            "|---|---|\n",
            "| 1 | 2 |\n",
            "<div>\n",
            "</div>\n",
            "<!-- ",
            "-->\n",
            "[x](",
            "https://e.org)",
            "[ref]",
            "[ref]: /url\n",
            "\"title",
            "~~",
            "\t",
            "é",
            "\\",
            "&amp;",
            "- [ ] do\n",
            "#",
            "+",
            "1",
            ".",
            " ",
            "\r\n",
        ])
        .prop_map(str::to_owned)
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
        #[test]
        fn a_message_that_grew_equals_one_rendered_whole(pieces in prop::collection::vec(piece(), 1..40)) {
            let mut text = String::new();
            let mut growing = Growing::default();
            let mut page: Vec<String> = Vec::new();
            for piece in &pieces {
                text.push_str(piece);
                let tail = match growing.advance(&text[growing.stable..]) {
                    Some(tail) => tail,
                    None => growing.advance(&text).unwrap(),
                };
                page.truncate(tail.from);
                page.extend(tail.blocks);
                prop_assert_eq!(&page, &render(&text), "after {:?}", text);
            }
        }
    }
}
