//! The form for people: each finding with its place, the line, a caret and the way out; then a summary.

use super::excerpt::excerpt;
use super::{Reported, count};
use anstyle::{AnsiColor, Style};

use open_cowork_config::model::secret;
use open_cowork_contracts::finding::{CheckStatus, Finding, FindingReport, Severity};
use open_cowork_projection::sanitize::{Redaction, Redactor};
use std::collections::HashMap;
use std::fmt::Write as _;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
const FAINT: Style = Style::new().dimmed();
const PLACE: Style = Style::new().bold();

/// The text of a report. With `colour`, ANSI styles.
pub fn render(reported: &Reported, report: &FindingReport, colour: bool) -> String {
    let mut out = String::new();
    let paint = Paint(colour);
    let lines: HashMap<&str, Vec<&str>> = reported
        .texts
        .iter()
        .map(|(file, text)| (file.as_str(), text.lines().collect()))
        .collect();
    if reported.lists_checks {
        write_checks(&mut out, report, paint);
    }
    for finding in &report.findings {
        write_finding(&mut out, finding, &lines, paint);
    }
    for remark in &reported.remarks {
        let _ = writeln!(out, "{}", plain(remark));
    }
    out.push_str(&summary(reported, report, paint));
    out
}

/// One line per check, also per check that couldn't run.
fn write_checks(out: &mut String, report: &FindingReport, paint: Paint) {
    let run = report.checks.iter().map(|check| {
        let (word, style) = match check.status {
            CheckStatus::Pass => ("pass", GOOD),
            CheckStatus::Fail => ("fail", ERROR),
            CheckStatus::NotApplicable => ("n/a ", FAINT),
        };
        (
            word,
            style,
            &check.id,
            check.detail.as_deref().unwrap_or_default(),
        )
    });
    let skipped = report
        .skipped
        .iter()
        .map(|skipped| ("skip", WARNING, &skipped.id, skipped.reason.as_str()));
    let lines: Vec<_> = run.chain(skipped).collect();
    let width = lines
        .iter()
        .map(|(.., id, _)| id.chars().count())
        .max()
        .unwrap_or(0);
    for (word, style, id, detail) in lines {
        let line = format!("{}  {id:<width$}  {}", paint.of(style, word), plain(detail));
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// `[CODE] place: sentence`, the line with its caret, the way out (09 §1.2).
fn write_finding(
    out: &mut String,
    finding: &Finding,
    lines: &HashMap<&str, Vec<&str>>,
    paint: Paint,
) {
    let (word, style) = match finding.severity {
        Severity::Error => ("error", ERROR),
        Severity::Warning => ("warning", WARNING),
    };
    let head = paint.of(style, &format!("{word} [{}]", finding.code));
    let place = paint.of(PLACE, &place(finding));
    let _ = writeln!(out, "{head} {place}: {}", plain(&finding.message));
    if let Some((number, line)) = line_of(finding, lines) {
        let shown = excerpt(line, finding.column.unwrap_or(1), |value| {
            may_show(finding, value)
        });
        let margin = number.to_string();
        let blank = " ".repeat(margin.len());
        let bar = paint.of(FAINT, "|");
        let caret = paint.of(style, &"^".repeat(shown.width));
        let space = " ".repeat(shown.before);
        let _ = writeln!(out, "  {} {bar} {}", paint.of(FAINT, &margin), shown.line);
        let _ = writeln!(out, "  {blank} {bar} {space}{caret}");
    }
    if let Some(help) = &finding.help {
        let _ = writeln!(out, "  {} {}", paint.of(FAINT, "help:"), plain(help));
    }
}

/// `file:line:column` where known, else what the finding calls its path.
fn place(finding: &Finding) -> String {
    let Some(file) = &finding.file else {
        return plain(&finding.path);
    };
    let file = plain(file);
    match (finding.line, finding.column) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        _ => match &finding.pointer {
            Some(pointer) if !pointer.is_empty() => format!("{file}#{}", plain(pointer)),
            _ => file,
        },
    }
}

fn line_of<'a>(finding: &Finding, lines: &HashMap<&str, Vec<&'a str>>) -> Option<(u32, &'a str)> {
    let number = finding.line?;
    let lines = lines.get(finding.file.as_deref()?)?;
    let line = lines.get(number.checked_sub(1)? as usize)?;
    (!line.trim().is_empty()).then_some((number, line))
}

/// Whether the value that a finding is about may be printed: not where secrets stand, not if it looks like one,
/// and not where nobody knows what it is: in text that couldn't be parsed, at a key that doesn't exist.
fn may_show(finding: &Finding, value: &str) -> bool {
    let Some(pointer) = &finding.pointer else {
        return false;
    };
    !matches!(
        finding.code.as_str(),
        "CONFIG_SYNTAX" | "CONFIG_UNKNOWN_KEY"
    ) && secret::place_of(pointer).is_none()
        && Redactor::default().redact(value, Redaction::Full) == value
}

fn summary(reported: &Reported, report: &FindingReport, paint: Paint) -> String {
    let number = |severity| {
        report
            .findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    };
    let (errors, warnings) = (number(Severity::Error), number(Severity::Warning));
    let mut found = Vec::new();
    if errors > 0 {
        found.push(count(errors, "error"));
    }
    if warnings > 0 {
        found.push(count(warnings, "warning"));
    }
    if !report.skipped.is_empty() {
        found.push(format!("{} skipped", report.skipped.len()));
    }
    let verdict = if report.ok {
        paint.of(GOOD, "ok")
    } else {
        paint.of(ERROR, "failed")
    };
    let found = if found.is_empty() {
        String::new()
    } else {
        format!("; {}", found.join(", "))
    };
    let command = report.command.replace(':', " ");
    format!("{verdict}: {command}: {}{found}\n", reported.looked_at)
}

/// Control characters of a document would act on the terminal; a sentence is one line.
fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    fn of(self, style: Style, text: &str) -> String {
        if self.0 {
            format!("{style}{text}{style:#}")
        } else {
            text.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::Rules;

    fn placed(code: &str, pointer: &str, line: u32, column: u32, message: &str) -> Finding {
        let mut finding = Finding::error(code, "a.json", message);
        finding.file = Some("a.json".into());
        (finding.line, finding.column) = (Some(line), Some(column));
        finding.pointer = Some(pointer.into());
        finding
    }

    fn shown(findings: Vec<Finding>, text: &str, colour: bool) -> String {
        let reported = Reported {
            command: "config:validate",
            findings,
            texts: HashMap::from([("a.json".to_owned(), text.to_owned())]),
            looked_at: "1 file".into(),
            ..Reported::default()
        };
        let (report, _) = reported.judge(&Rules::default());
        render(&reported, &report, colour)
    }

    #[test]
    fn a_finding_has_its_place_its_line_a_caret_and_the_way_out() {
        let finding = placed("CONFIG_ENUM", "/a", 2, 8, "must be one of: ask, deny");
        let text = "{\n  \"a\": \"maybe\"\n}";
        assert_eq!(
            shown(vec![finding.with_help("write \"ask\"")], text, false),
            concat!(
                "error [CONFIG_ENUM] a.json:2:8: must be one of: ask, deny\n",
                "  2 |   \"a\": \"maybe\"\n",
                "    |        ^^^^^^^\n",
                "  help: write \"ask\"\n",
                "failed: config validate: 1 file; 1 error\n"
            )
        );
    }

    #[test]
    fn a_value_is_hidden_where_secrets_stand_or_if_it_looks_like_one() {
        let at_secret = placed(
            "CONFIG_LENGTH",
            "/gateway/server/adminToken",
            1,
            16,
            "too long",
        );
        assert!(!shown(vec![at_secret], r#"{"adminToken": "sesame"}"#, false).contains("sesame"));
        let key = format!("sk-{}", "a1B2".repeat(12));
        let like_one = placed("CONFIG_LENGTH", "/branding/shortName", 1, 15, "too long");
        let text = format!(r#"{{"shortName": "{key}"}}"#);
        assert!(!shown(vec![like_one], &text, false).contains("a1B2"));
        let unparsed = placed("CONFIG_SYNTAX", "", 1, 16, "no JSON");
        assert!(!shown(vec![unparsed], r#"{"adminToken": "sesame"#, false).contains("sesame"));
    }

    #[test]
    fn a_place_that_is_not_in_the_text_shows_no_line() {
        let far = placed("CONFIG_SYNTAX", "", 9, 1, "ends too early");
        let text = shown(vec![far.into_warning()], "{", false);
        assert!(text.starts_with("warning [CONFIG_SYNTAX] a.json:9:1: ends too early\nok: "));
        assert!(text.ends_with("1 file; 1 warning\n"));
    }

    #[test]
    fn colours_are_only_there_when_asked_for() {
        let finding = placed("CONFIG_ENUM", "/a", 1, 1, "no\u{1b}[2J");
        assert!(shown(vec![finding.clone()], "{", true).contains("\u{1b}[1m"));
        assert!(!shown(vec![finding], "{", false).contains('\u{1b}'));
    }
}
