//! Tool input, output and attachments (01 §6.3, §6.4).

use super::redact::{Redaction, Redactor};
use super::walker::{MAX_ENTRIES, Treatment, Walker, head, is_file};
use crate::coerce;
use open_cowork_contracts::JsonObject;
use open_cowork_contracts::view::Attachment;
use serde_json::Value;

/// Budget of data URLs: of each, and of all of one call together, in bytes.
pub const ATTACHMENT_BUDGET_BYTES: usize = 4_194_304;
/// Longest file name, UTF-8 bytes.
const MAX_FILENAME_BYTES: usize = 128;
/// Only the end of a name or path is looked at, in UTF-16 units.
const MAX_FILENAME_UNITS: usize = 4096;

fn full<'a>(redactor: &'a Redactor, managed: &'a [&'a str]) -> Treatment<'a> {
    Treatment::Redact {
        redactor,
        redaction: Redaction::Full,
        managed,
    }
}

/// The sanitized record of any value: what is no object becomes `{}`.
pub fn sanitize_record(redactor: &Redactor, value: Option<&Value>) -> JsonObject {
    match coerce::record(value) {
        Some(object) if !object.is_empty() => Walker::new(full(redactor, &[])).record(object),
        _ => JsonObject::new(),
    }
}

/// The output of a tool; `None` means absent (01 §6.3). `null` and `""` stay.
pub fn sanitize_output(
    redactor: &Redactor,
    output: &Value,
    managed: Option<&Value>,
) -> Option<Value> {
    if output.as_object().is_some_and(is_file) {
        return None;
    }
    let hints: Vec<&str> = match managed {
        Some(Value::Array(paths)) => paths.iter().filter_map(Value::as_str).take(64).collect(),
        _ => Vec::new(),
    };
    let walked = Walker::new(full(redactor, &hints)).value(output)?;
    match &walked {
        Value::Array(items) if items.is_empty() => None,
        Value::Object(fields) if fields.is_empty() => None,
        _ => Some(walked),
    }
}

/// The attachments of a tool call that keep the limits of 01 §6.4; anything else is left out.
pub fn normalize_attachments(value: Option<&Value>) -> Vec<Attachment> {
    let Some(Value::Array(candidates)) = value else {
        return Vec::new();
    };
    let mut kept: Vec<Attachment> = Vec::new();
    let mut total = 0;
    for attachment in candidates.iter().take(MAX_ENTRIES).filter_map(attachment) {
        if kept.contains(&attachment) {
            continue;
        }
        total += attachment.url.len();
        if total > ATTACHMENT_BUDGET_BYTES {
            break; // later, smaller ones are not tried
        }
        kept.push(attachment);
    }
    kept
}

fn attachment(candidate: &Value) -> Option<Attachment> {
    let fields = candidate.as_object()?;
    let mime = coerce::text(fields.get("mime"))?.to_lowercase();
    let url = coerce::text(fields.get("url")).or_else(|| coerce::text(fields.get("uri")))?;
    if url.len() > ATTACHMENT_BUDGET_BYTES || data_url_type(url)? != mime {
        return None;
    }
    let name = coerce::text(fields.get("filename")).or_else(|| coerce::text(fields.get("name")));
    Some(Attachment {
        mime,
        url: url.to_owned(),
        filename: name.and_then(filename),
    })
}

/// The media type of `data:<type>/<subtype>;base64,<data>`, lower case; `None` for any other URL.
fn data_url_type(url: &str) -> Option<String> {
    let (head, data) = url.split_once(',')?;
    let scheme = head.get(..5)?;
    let tail = head.len().checked_sub(7)?;
    if tail < 5
        || !scheme.eq_ignore_ascii_case("data:")
        || !head.get(tail..)?.eq_ignore_ascii_case(";base64")
    {
        return None;
    }
    let media = head.get(5..tail)?.to_ascii_lowercase();
    let (kind, subtype) = media.split_once('/')?;
    if !is_media_name(kind, 64) || !is_media_name(subtype, 128) {
        return None;
    }
    is_base64(data).then_some(media)
}

fn is_media_name(name: &str, longest: usize) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= longest
        && bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b".+-".contains(b))
}

fn is_base64(data: &str) -> bool {
    let bytes = data.as_bytes();
    if bytes.is_empty() || !bytes.len().is_multiple_of(4) {
        return false;
    }
    let padding = bytes
        .iter()
        .rev()
        .take(2)
        .take_while(|&&b| b == b'=')
        .count();
    bytes[..bytes.len() - padding]
        .iter()
        .all(|b| b.is_ascii_alphanumeric() || b"+/".contains(b))
}

fn filename(name: &str) -> Option<String> {
    let mut units = 0;
    let start = name.char_indices().rev().take_while(|(_, c)| {
        units += c.len_utf16();
        units <= MAX_FILENAME_UNITS
    });
    let start = start.last().map_or(name.len(), |(at, _)| at);
    let base = name[start..].rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = base
        .chars()
        .filter(|c| !matches!(c, '\0'..='\x1f' | '\x7f'..='\u{9f}'))
        .collect();
    let short = coerce::js_trim(head(&clean, MAX_FILENAME_BYTES));
    (!matches!(short, "" | "." | "..")).then(|| short.to_owned())
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use serde_json::json;

    const PIXEL: &str = "data:image/png;base64,AAAA";

    fn attach(candidates: Value) -> Vec<Attachment> {
        normalize_attachments(Some(&candidates))
    }

    #[test]
    fn outputs_that_are_files_or_empty_lists_are_absent() {
        let redactor = Redactor::default();
        let output = |value: Value| sanitize_output(&redactor, &value, None);
        assert_eq!(output(json!({"type": "file", "url": "x"})), None);
        assert_eq!(output(json!([])), None);
        assert_eq!(output(json!({})), None);
        assert_eq!(output(json!([{"type": "file"}])), None);
        assert_eq!(output(json!(null)), Some(json!(null)));
        assert_eq!(output(json!("")), Some(json!("")));
        assert_eq!(
            output(json!({"a": [{"type": "file"}, 1]})),
            Some(json!({"a": [1]}))
        );
    }

    #[test]
    fn output_paths_are_hints_for_redaction() {
        let redactor = Redactor::default();
        let output = sanitize_output(
            &redactor,
            &json!("wrote:/odd/x.txt"),
            Some(&json!(["/odd/x.txt", 5])),
        );
        assert_eq!(output, Some(json!("wrote:[REDACTED_MANAGED_PATH]")));
    }

    #[test]
    fn an_attachment_is_a_base64_data_url_of_its_own_type() {
        let kept = attach(json!([{"mime": "Image/PNG", "uri": PIXEL, "name": "a/b\\c\u{7}.png "}]));
        assert_eq!(kept.len(), 1);
        assert_eq!(
            (kept[0].mime.as_str(), kept[0].filename.as_deref()),
            ("image/png", Some("c.png"))
        );
        for bad in [
            json!({"mime": "image/gif", "url": PIXEL}),
            json!({"mime": "image/png", "url": "https://x.org/a.png"}),
            json!({"mime": "image/png", "url": "data:image/png;charset=x;base64,AAAA"}),
            json!({"mime": "image/png", "url": "data:image/png;base64,AAA"}),
            json!({"mime": "image/png", "url": "data:image/png;base64,"}),
            json!({"mime": "image/png", "url": "data:image/png;base64,A!AA"}),
            json!({"url": PIXEL}),
            json!("x"),
        ] {
            assert!(attach(json!([bad])).is_empty(), "{bad}");
        }
        assert_eq!(
            attach(json!([{"mime": "image/png", "url": "DATA:image/PNG;BASE64,AAAA"}])).len(),
            1
        );
    }

    #[test]
    fn names_that_mean_a_folder_are_no_names() {
        for name in ["..", ".", "a/", " ", "\u{1}"] {
            let kept = attach(json!([{"mime": "image/png", "url": PIXEL, "filename": name}]));
            assert_eq!(kept[0].filename, None, "{name:?}");
        }
        let long =
            attach(json!([{"mime": "image/png", "url": PIXEL, "filename": "é".repeat(100)}]));
        assert_eq!(long[0].filename.as_deref().map(str::len), Some(128));
    }

    #[test]
    fn duplicates_are_skipped_and_the_budget_stops_the_list() {
        let two = attach(
            json!([{"mime": "image/png", "url": PIXEL}, {"mime": "image/png", "url": PIXEL}]),
        );
        assert_eq!(two.len(), 1);
        let big = format!("data:image/png;base64,{}", "A".repeat(3_000_000));
        let other = format!("data:image/png;base64,{}", "B".repeat(3_000_000));
        let kept = attach(json!([
            {"mime": "image/png", "url": big}, {"mime": "image/png", "url": other}, {"mime": "image/png", "url": PIXEL}
        ]));
        assert_eq!(kept.len(), 1);
    }
}
