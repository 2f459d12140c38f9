//! SARIF 2.1.0, the form that code scanning services read.

use crate::exit::Exit;
use open_cowork_contracts::finding::{Finding, FindingReport, Severity};
use serde_json::{Map, Value, json};
use std::path::Path;

/// Where rules are explained.
const BOOK: &str = concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs");

/// The log of one run: one result per finding, one rule per code, one notification per skipped check.
pub fn render(report: &FindingReport, exit: Exit) -> Value {
    let mut codes: Vec<&str> = Vec::new();
    for finding in &report.findings {
        if !codes.contains(&finding.code.as_str()) {
            codes.push(&finding.code);
        }
    }
    let rules: Vec<Value> = codes.iter().map(|code| rule(code)).collect();
    let results: Vec<Value> = report
        .findings
        .iter()
        .map(|finding| {
            let index = codes.iter().position(|code| *code == finding.code);
            result(finding, index)
        })
        .collect();
    let notifications: Vec<Value> = report
        .skipped
        .iter()
        .map(|skipped| {
            json!({
                "level": "warning",
                "descriptor": {"id": skipped.id},
                "message": {"text": format!("skipped: {}", skipped.reason)}
            })
        })
        .collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "open-cowork",
                "version": env!("CARGO_PKG_VERSION"),
                "informationUri": env!("CARGO_PKG_REPOSITORY"),
                "rules": rules
            }},
            "automationDetails": {"id": format!("{}/", report.command)},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                // Findings are no failure of the tool itself.
                "executionSuccessful": !matches!(exit, Exit::Missing | Exit::Internal),
                "exitCode": exit as u8,
                "toolExecutionNotifications": notifications
            }],
            "results": results
        }]
    })
}

fn rule(code: &str) -> Value {
    let page = if code.starts_with("CONFIG_") {
        format!("{BOOK}/configuration.md#{}", code.to_lowercase())
    } else {
        format!("{BOOK}/command.md")
    };
    json!({"id": code, "helpUri": page})
}

fn result(finding: &Finding, rule: Option<usize>) -> Value {
    let mut text = finding.message.clone();
    if let Some(help) = &finding.help {
        text.push_str(" — ");
        text.push_str(help);
    }
    let level = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let mut location = Map::new();
    if let Some(file) = &finding.file {
        let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
        if let Some(line) = finding.line {
            let mut region = json!({"startLine": line});
            if let Some(column) = finding.column {
                region["startColumn"] = json!(column);
            }
            physical["region"] = region;
        }
        location.insert("physicalLocation".into(), physical);
    }
    location.insert(
        "logicalLocations".into(),
        json!([{"fullyQualifiedName": finding.pointer.as_deref().unwrap_or(&finding.path)}]),
    );
    let mut result = json!({
        "ruleId": finding.code,
        "level": level,
        "message": {"text": text},
        "locations": [location]
    });
    if let Some(rule) = rule {
        result["ruleIndex"] = json!(rule);
    }
    result
}

/// A relative reference with slashes, or a `file:` URI; everything else than unreserved characters is encoded.
fn uri(file: &str) -> String {
    let mut out = String::new();
    if Path::new(file).is_absolute() {
        out.push_str("file://");
        if !file.starts_with('/') {
            out.push('/');
        }
    }
    for byte in file.bytes() {
        match byte {
            b'\\' if cfg!(windows) => out.push('/'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                out.push(char::from(byte));
            }
            // A colon in a first segment would read as a scheme.
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_contracts::finding::Skipped;

    #[test]
    fn each_finding_is_a_result_that_points_at_its_rule_and_place() {
        let mut placed = Finding::error("CONFIG_TYPE", "a b.json.x", "must be text");
        placed.file = Some("a b.json".into());
        (placed.line, placed.column) = (Some(3), Some(7));
        placed.pointer = Some("/x".into());
        let report = FindingReport {
            schema_version: 1,
            command: "config:validate".into(),
            ok: false,
            findings: vec![
                Finding::error("CONFIG_ENUM", "b.json", "no").with_help("write yes"),
                placed.into_warning(),
            ],
            checks: vec![],
            skipped: vec![Skipped {
                id: "helm".into(),
                reason: "tool-missing:helm".into(),
            }],
            redacted: true,
        };
        let sarif = render(&report, Exit::Failed);
        let run = &sarif["runs"][0];
        assert_eq!(sarif["version"], "2.1.0");
        assert_eq!(run["tool"]["driver"]["rules"][1]["id"], "CONFIG_TYPE");
        let result = &run["results"][1];
        assert_eq!(
            (&result["ruleIndex"], &result["level"]),
            (&json!(1), &json!("warning"))
        );
        let physical = &result["locations"][0]["physicalLocation"];
        assert_eq!(physical["artifactLocation"]["uri"], "a%20b.json");
        assert_eq!(
            physical["region"],
            json!({"startLine": 3, "startColumn": 7})
        );
        assert_eq!(
            result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"],
            "/x"
        );
        assert_eq!(run["results"][0]["message"]["text"], "no — write yes");
        assert_eq!(run["invocations"][0]["exitCode"], 1);
        assert_eq!(
            run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"],
            "skipped: tool-missing:helm"
        );
    }

    #[test]
    fn a_path_becomes_a_reference() {
        assert_eq!(uri("a/b%c.json"), "a/b%25c.json");
        assert_eq!(uri("c:x.json"), "c%3Ax.json");
        assert_eq!(uri("/tmp/ü"), "file:///tmp/%C3%BC");
    }
}
