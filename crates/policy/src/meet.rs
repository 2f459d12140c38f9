//! The stricter of two permission objects, exactly (05 §9 ceilings, §6.8 strict mode).
//!
//! OpenCode takes the last rule that matches. Of two such lists the stricter one is their product: every pair
//! of rules whose patterns overlap, in lexicographic order. For a tool, the last pair that matches is the pair
//! of the two last matches, so each tool gets the smaller of its two actions. Where the overlap of two globs
//! has no glob of its own, the whole left pattern gets the strictest action of everything it may touch.

use crate::permission::{PermissionObject, Rule};
use crate::{Action, pattern};
use indexmap::IndexMap;

/// What two patterns have in common.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Overlap {
    /// Nothing.
    None,
    /// Exactly this pattern.
    Is(String),
    /// Perhaps something, which no single pattern describes.
    Unclear,
}

/// What two globs have in common. OpenCode lets `git *` match `git` too, so that counts as overlap.
pub(crate) fn overlap(a: &str, b: &str) -> Overlap {
    let head = |pattern: &str| {
        pattern
            .find(['*', '?'])
            .map(|end| pattern[..end].to_owned())
    };
    let only_prefix =
        |pattern: &str, head: &str| pattern.len() == head.len() + 1 && pattern.ends_with('*');
    if a == b {
        return Overlap::Is(a.to_owned());
    }
    let either = |hit: bool, text: &str| match hit {
        true => Overlap::Is(text.to_owned()),
        false => Overlap::None,
    };
    match (head(a), head(b)) {
        (None, _) => either(pattern::matches(b, a), a),
        (_, None) => either(pattern::matches(a, b), b),
        (Some(head_a), Some(head_b)) => {
            if only_prefix(a, &head_a) && head_b.starts_with(&head_a) {
                Overlap::Is(b.to_owned())
            } else if only_prefix(b, &head_b) && head_a.starts_with(&head_b) {
                Overlap::Is(a.to_owned())
            } else if head_a.starts_with(&head_b) || head_b.starts_with(&head_a) {
                Overlap::Unclear
            } else {
                Overlap::None
            }
        }
    }
}

impl PermissionObject {
    /// For every tool and subject the stricter of the two. A tool that `ceiling` has no rule for is free there;
    /// a tool that `self` has no rule for stays without one.
    #[must_use]
    pub fn meet(&self, ceiling: &PermissionObject) -> PermissionObject {
        let free = Rule::from(Action::Allow);
        let bounds: Vec<(&str, &Rule)> = std::iter::once(("*", &free))
            .chain(ceiling.iter())
            .collect();
        let mut met = PermissionObject::default();
        for (index, (key, rule)) in self.iter().enumerate() {
            let earlier = self.iter().take(index);
            let rule = total(rule, strictest(key, earlier).unwrap_or(Action::Allow));
            let mut written: Vec<(String, Rule)> = Vec::new();
            for (bound_key, bound) in &bounds {
                let (key, stricter) = match overlap(key, bound_key) {
                    Overlap::None => continue,
                    Overlap::Is(common) => {
                        (common, meet_rules(&rule, &total(bound, Action::Allow)))
                    }
                    Overlap::Unclear => {
                        let all = bounds.iter().copied();
                        let bound = strictest(key, all).unwrap_or(Action::Allow);
                        (key.to_owned(), meet_rules(&rule, &bound.into()))
                    }
                };
                // What is said already needs no rule of its own.
                let mut said = written
                    .iter()
                    .filter(|(other, _)| overlap(&key, other) != Overlap::None)
                    .peekable();
                if said.peek().is_some() && said.all(|(_, rule)| *rule == stricter) {
                    continue;
                }
                met.append(&key, stricter.clone());
                written.push((key, stricter));
            }
        }
        met
    }
}

/// The strictest action of all rules that may concern a tool pattern; `None`: no rule does.
fn strictest<'a>(key: &str, rules: impl Iterator<Item = (&'a str, &'a Rule)>) -> Option<Action> {
    rules
        .filter(|(other, _)| overlap(key, other) != Overlap::None)
        .map(|(_, rule)| match rule {
            Rule::Action(action) => *action,
            Rule::Patterns(patterns) => patterns.values().copied().min().unwrap_or_default(),
        })
        .min()
}

/// A rule that answers for every subject: what it leaves open gets `rest`. Otherwise the order of keys would
/// decide about what is left open, and this module changes that order.
fn total(rule: &Rule, rest: Action) -> Rule {
    match rule {
        Rule::Patterns(patterns) if !patterns.contains_key("*") => Rule::patterns(
            rest,
            patterns.iter().map(|(key, action)| (key.as_str(), *action)),
        ),
        rule => rule.clone(),
    }
}

/// The stricter of two total rules, for every subject.
fn meet_rules(rule: &Rule, bound: &Rule) -> Rule {
    match (rule, bound) {
        (rule, Rule::Action(by)) => rule.clamp_to(*by),
        (Rule::Action(action), bound) => bound.clamp_to(*action),
        (Rule::Patterns(patterns), Rule::Patterns(bounds)) => {
            let mut met: IndexMap<String, Action> = IndexMap::new();
            for (key, action) in patterns {
                for (bound_key, by) in bounds {
                    let (common, by) = match overlap(key, bound_key) {
                        Overlap::None => continue,
                        Overlap::Is(common) => (common, *by),
                        Overlap::Unclear => {
                            let touched = bounds
                                .iter()
                                .filter(|(other, _)| overlap(key, other) != Overlap::None);
                            let by = touched.map(|(_, by)| *by).min().unwrap_or_default();
                            (key.clone(), by)
                        }
                    };
                    met.shift_remove(&common);
                    met.insert(common, action.clamp_to(by));
                }
            }
            Rule::Patterns(met)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Action::{Allow, Ask, Deny};

    fn object(json: &str) -> PermissionObject {
        serde_json::from_str(json).unwrap()
    }

    fn text(object: &PermissionObject) -> String {
        serde_json::to_string(object).unwrap()
    }

    #[test]
    fn overlaps_are_exact_where_a_glob_can_say_them() {
        for (a, b, expected) in [
            ("bash", "*", "bash"),
            ("*", "bash", "bash"),
            ("wiki_*", "*", "wiki_*"),
            ("wiki_*", "wiki_s*", "wiki_s*"),
            ("git *", "git", "git"),
            ("*", "a?c", "a?c"),
            ("a*", "ab*c", "ab*c"),
        ] {
            assert_eq!(overlap(a, b), Overlap::Is(expected.into()), "{a} and {b}");
            assert_eq!(overlap(b, a), Overlap::Is(expected.into()), "{b} and {a}");
        }
        assert_eq!(overlap("bash", "b?sh2"), Overlap::None);
        assert_eq!(overlap("a*", "b*c"), Overlap::None);
        assert_eq!(overlap("a*c", "ab*"), Overlap::Unclear);
    }

    #[test]
    fn a_narrow_bound_inside_a_broad_grant_stays() {
        let met = object(r#"{"wiki_*":"allow"}"#).meet(&object(
            r#"{"*":"allow","wiki_*":"allow","wiki_save":"ask"}"#,
        ));
        assert_eq!(text(&met), r#"{"wiki_*":"allow","wiki_save":"ask"}"#);
    }

    #[test]
    fn the_order_of_the_bound_cannot_be_used_against_it() {
        // Bound: the last word on `wiki_save` is deny, although `wiki_*` was allowed.
        let bound = object(r#"{"wiki_save":"allow","wiki_*":"deny"}"#);
        let met = object(r#"{"*":"deny","wiki_save":"allow"}"#).meet(&bound);
        assert_eq!(met.action_for("wiki_save", "x"), Some(Deny));
    }

    #[test]
    fn an_unclear_overlap_gets_the_strictest_action() {
        let met = object(r#"{"w*b":"allow"}"#).meet(&object(r#"{"wa*":"ask","z":"deny"}"#));
        assert_eq!(met.action_for("wab", "x"), Some(Ask));
        assert_eq!(met.action_for("wxb", "x"), Some(Ask));
    }

    #[test]
    fn subjects_are_met_like_tools() {
        let met = object(r#"{"bash":{"*":"ask","git *":"allow"}}"#)
            .meet(&object(r#"{"bash":{"*":"allow","git push *":"deny"}}"#));
        for (command, expected) in [
            ("ls", Ask),
            ("git status", Allow),
            ("git push origin", Deny),
        ] {
            assert_eq!(met.action_for("bash", command), Some(expected), "{command}");
        }
    }

    #[test]
    fn what_a_rule_leaves_open_is_what_stood_before_it() {
        let met = object(r#"{"*":"deny","bash":{"git *":"allow"}}"#).meet(&object("{}"));
        assert_eq!(met.action_for("bash", "rm"), Some(Deny));
        assert_eq!(met.action_for("bash", "git log"), Some(Allow));
    }
}
