//! All hits of one text: the table's expressions, then the rules that read context, then what the text allows.

use super::lines::Lines;
use super::place::Place;
use super::rule::{CATALOG_COUNT, COMPILED, MUTABLE_TAG, Rule};
use super::verify::Found;
use super::{assignment, image};
use std::ops::Range;

/// One place where a rule matched. The value itself stays in the text.
#[derive(Clone, Debug)]
pub(super) struct Hit {
    pub(super) rule: &'static Rule,
    pub(super) value: Range<usize>,
}

/// What one text holds.
pub(super) struct Inspected {
    /// In the order of the text.
    pub(super) hits: Vec<Hit>,
    /// How many hits a comment allowed.
    pub(super) allowed: usize,
    /// Comments that allow without a reason, or something that isn't there: the byte, and what is wrong.
    pub(super) comments: Vec<(usize, CommentProblem)>,
}

/// What is wrong with a `hygiene:allow` comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CommentProblem {
    NoReason,
    Unused,
}

/// Looks at a text with every rule that covers its place.
pub(super) fn inspect(text: &str, place: &Place, lines: &Lines) -> Inspected {
    let mut hits: Vec<Hit> = Vec::new();
    for compiled in COMPILED.iter() {
        let rule = compiled.rule;
        if !rule.scope.covers(place) {
            continue;
        }
        for pattern in &compiled.patterns {
            for captures in pattern.captures_iter(text) {
                let Some(whole) = captures.get(0) else {
                    continue;
                };
                let value = captures.get(1).unwrap_or(whole);
                let found = Found {
                    text,
                    place,
                    whole: whole.range(),
                    value: value.range(),
                };
                let in_code = rule.code == CATALOG_COUNT.code && lines.is_code(whole.start());
                if (!rule.apart || found.stands_apart()) && (rule.accepts)(&found) && !in_code {
                    push(
                        &mut hits,
                        Hit {
                            rule,
                            value: value.range(),
                        },
                    );
                }
            }
        }
    }
    if MUTABLE_TAG.scope.covers(place) {
        for value in image::find(text, place, lines) {
            push(
                &mut hits,
                Hit {
                    rule: MUTABLE_TAG,
                    value,
                },
            );
        }
    }
    for (rule, value) in assignment::find(text, place, lines) {
        push(&mut hits, Hit { rule, value });
    }
    hits.sort_by_key(|hit| (hit.value.start, hit.rule.code));
    allow(text, lines, hits)
}

/// The first rule that claims some characters keeps them.
fn push(hits: &mut Vec<Hit>, hit: Hit) {
    let overlaps = |other: &Hit| {
        other.value.start < hit.value.end.max(hit.value.start + 1)
            && hit.value.start < other.value.end.max(other.value.start + 1)
    };
    // Two kinds of things may be wrong with the same characters, such as a name and a tag.
    if !hits
        .iter()
        .any(|other| overlaps(other) && is_same_concern(other.rule, hit.rule))
    {
        hits.push(hit);
    }
}

fn is_same_concern(one: &Rule, other: &Rule) -> bool {
    use super::rule::Class::{Identity, Provider, Secret};
    let sensitive = |rule: &Rule| matches!(rule.class, Secret | Identity | Provider);
    one.class == other.class || (sensitive(one) && sensitive(other))
}

const MARK: &str = "hygiene:allow";

/// A comment `hygiene:allow CODE reason` allows that code on its line; alone on a line, on the next one.
fn allow(text: &str, lines: &Lines, mut hits: Vec<Hit>) -> Inspected {
    let mut allowed = 0;
    let mut comments = Vec::new();
    for (at, _) in text.match_indices(MARK) {
        let index = lines.index(at);
        let line = lines.line(text, index);
        let Some((before, after)) = line.split_once(MARK) else {
            continue;
        };
        let mut words = after.split_whitespace();
        let code = words.next().unwrap_or_default();
        // Prose about the comment itself.
        if super::rule::rule(code).is_none() {
            continue;
        }
        let reason = words
            .filter(|word| word.chars().any(char::is_alphabetic))
            .count();
        if reason < 2 {
            comments.push((at, CommentProblem::NoReason));
            continue;
        }
        let is_alone = !before.chars().any(char::is_alphanumeric);
        let target = if is_alone { index + 1 } else { index };
        let before = hits.len();
        hits.retain(|hit| hit.rule.code != code || lines.index(hit.value.start) != target);
        allowed += before - hits.len();
        if before == hits.len() {
            comments.push((at, CommentProblem::Unused));
        }
    }
    Inspected {
        hits,
        allowed,
        comments,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(path: &str, text: &str) -> Vec<&'static str> {
        let place = Place::of(path);
        let found = inspect(text, &place, &Lines::of(text, &place));
        found.hits.iter().map(|hit| hit.rule.code).collect()
    }

    fn token() -> String {
        format!("ghp{}{}", "_", "k9f8e7d6c5b4a3928170")
    }

    #[test]
    fn the_specific_rule_reports_once() {
        assert_eq!(
            codes("a.env", &format!("GITHUB_TOKEN={}\n", token())),
            ["HYGIENE_GIT_HOST_TOKEN"]
        );
    }

    #[test]
    fn every_hit_of_a_text_is_reported_in_order() {
        let text = format!(
            "APP_IMAGE=r.example.com/a:latest\nA_TOKEN={0}\nB_TOKEN={0}\n",
            token()
        );
        assert_eq!(
            codes("a.env", &text),
            [
                "HYGIENE_MUTABLE_IMAGE_TAG",
                "HYGIENE_GIT_HOST_TOKEN",
                "HYGIENE_GIT_HOST_TOKEN"
            ]
        );
    }

    #[test]
    fn template_rules_leave_source_alone_but_secrets_count_everywhere() {
        let text = format!(
            "// mail jane@corp.io, id {} {}\n",
            "3f2b8c1d-9a7e-4c5b-8d6f-1e2a3b4c5d6e",
            token()
        );
        assert_eq!(codes("src/a.rs", &text), ["HYGIENE_GIT_HOST_TOKEN"]);
        assert_eq!(
            codes("docs/a.md", &text),
            ["HYGIENE_EMAIL", "HYGIENE_UUID", "HYGIENE_GIT_HOST_TOKEN"]
        );
    }

    #[test]
    fn an_allow_comment_needs_a_reason_and_a_target() {
        let comment = |rest: &str| format!("X_TOKEN={} # hygiene:{}\n", token(), rest);
        assert!(
            codes(
                "a.env",
                &comment("allow HYGIENE_GIT_HOST_TOKEN fake for a test")
            )
            .is_empty()
        );
        let place = Place::of("a.env");
        let problems = |text: &str| inspect(text, &place, &Lines::of(text, &place)).comments;
        assert_eq!(
            problems(&comment("allow HYGIENE_GIT_HOST_TOKEN"))[0].1,
            CommentProblem::NoReason
        );
        assert_eq!(
            problems(&comment("allow HYGIENE_JWT none of these here"))[0].1,
            CommentProblem::Unused
        );
        let above = format!(
            "# hygiene:{}\nX_TOKEN={}\n",
            "allow HYGIENE_GIT_HOST_TOKEN fake for a test",
            token()
        );
        assert!(codes("a.env", &above).is_empty());
    }
}
