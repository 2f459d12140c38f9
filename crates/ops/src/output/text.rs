//! The form for people: each finding with its place, the line, a caret and the way out; then a summary.

use super::excerpt::Line;
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
/// Nobody reads more at once.
const MOST: usize = 200;

/// The text of a report. With `colour`, ANSI styles.
pub fn render(reported: &Reported, report: &FindingReport, colour: bool) -> String {
    let mut out = String::new();
    let paint = Paint(colour);
    if reported.lists_checks {
        write_checks(&mut out, report, paint);
    }
    let mut lines = Lines::of(reported);
    for finding in report.findings.iter().take(MOST) {
        write_finding(&mut out, finding, &mut lines, paint);
    }
    if let Some(more @ 1..) = report.findings.len().checked_sub(MOST) {
        let _ = writeln!(out, "… and {more} more; --format json prints all");
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
fn write_finding(out: &mut String, finding: &Finding, lines: &mut Lines<'_>, paint: Paint) {
    let (word, style) = match finding.severity {
        Severity::Error => ("error", ERROR),
        Severity::Warning => ("warning", WARNING),
    };
    let head = paint.of(style, &format!("{word} [{}]", finding.code));
    let place = paint.of(PLACE, &place(finding));
    let _ = writeln!(out, "{head} {place}: {}", plain(&finding.message));
    if let Some((number, line)) = lines.of_finding(finding) {
        let shown = line.excerpt(finding.column.unwrap_or(1), |value| {
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

/// The lines of the texts. One that has many findings is split once.
struct Lines<'a> {
    texts: HashMap<&'a str, Vec<&'a str>>,
    split: HashMap<(&'a str, u32), Line>,
}

impl<'a> Lines<'a> {
    fn of(reported: &'a Reported) -> Self {
        let texts = reported.texts.iter();
        Lines {
            texts: texts
                .map(|(file, text)| (file.as_str(), text.lines().collect()))
                .collect(),
            split: HashMap::new(),
        }
    }

    /// The line that a finding is about, with its number; none if it is blank or isn't there.
    fn of_finding(&mut self, finding: &Finding) -> Option<(u32, &Line)> {
        let number = finding.line?;
        let (file, lines) = self.texts.get_key_value(finding.file.as_deref()?)?;
        let line = lines.get(number.checked_sub(1)? as usize)?;
        if line.trim().is_empty() {
            return None;
        }
        let split = self.split.entry((file, number));
        Some((number, split.or_insert_with(|| Line::new(line))))
    }
}

/// Whether the value that a finding is about may be printed: only where the schema says that it is one of a few
/// words, a number in a range, a version or a text of a certain form. Whatever may be free text stays hidden, and so
/// does what stands where secrets do, looks like one, or is an address, which may carry one.
fn may_show(finding: &Finding, value: &str) -> bool {
    let Some(pointer) = &finding.pointer else {
        return false;
    };
    let is_narrow = match finding.code.as_str() {
        "CONFIG_ENUM" | "CONFIG_RANGE" | "CONFIG_VERSION" => true,
        "CONFIG_PATTERN" => !value.contains("://") && !value.contains('@'),
        _ => false,
    };
    is_narrow
        && secret::place_of(pointer).is_none()
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
    if let Some(hidden @ 1..) = reported.findings.len().checked_sub(report.findings.len()) {
        found.push(format!("{} not shown (--only)", count(hidden, "finding")));
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
    fn free_text_is_hidden_and_a_word_of_a_list_is_shown() {
        let text = r#"{"a": "canary", "b": 4711}"#;
        let at = |code, pointer, column| placed(code, pointer, 1, column, "wrong");
        assert!(shown(vec![at("CONFIG_ENUM", "/gateway/mode", 7)], text, false).contains("canary"));
        for code in [
            "CONFIG_TYPE",
            "CONFIG_LENGTH",
            "CONFIG_SEMANTIC_URL",
            "CONFIG_UNKNOWN_KEY",
            "CONFIG_DUPLICATE",
            "CONFIG_PLACEHOLDER",
        ] {
            let shown = shown(
                vec![
                    at(code, "/branding/name", 7),
                    at(code, "/branding/name", 22),
                ],
                text,
                false,
            );
            assert!(
                !shown.contains("canary") && !shown.contains("4711"),
                "{shown}"
            );
        }
        let address = r#"{"a": "http://canary"}"#;
        let pattern = at("CONFIG_PATTERN", "/branding/legalUrl", 7);
        assert!(!shown(vec![pattern], address, false).contains("canary"));
    }

    #[test]
    fn only_the_first_findings_are_printed_and_all_are_counted() {
        let finding = placed("CONFIG_ENUM", "/a", 1, 1, "no");
        let text = shown(vec![finding; MOST + 3], "{}", false);
        assert_eq!(text.matches("[CONFIG_ENUM]").count(), MOST);
        assert!(text.contains("\n… and 3 more; --format json prints all\nfailed: "));
        assert!(text.ends_with("203 errors\n"), "{text}");
    }

    #[test]
    fn what_a_filter_hides_is_said() {
        let reported = Reported {
            command: "config:validate",
            findings: vec![placed("CONFIG_ENUM", "/a", 1, 1, "no")],
            looked_at: "1 file".into(),
            ..Reported::default()
        };
        let rules = Rules {
            only: vec!["HYGIENE_".into()],
            strict: false,
        };
        let text = render(&reported, &reported.judge(&rules).0, false);
        assert_eq!(
            text,
            "ok: config validate: 1 file; 1 finding not shown (--only)\n"
        );
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
