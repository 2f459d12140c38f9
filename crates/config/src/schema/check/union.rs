//! Unions: `anyOf` and `oneOf`. What is said about them is about the branch that was meant (02 §12.7).

use super::{Schema, Walk, description};
use crate::pointer;
use crate::schema::sentence::{self, Kind};
use open_cowork_contracts::finding::Finding;
use serde_json::Value;

impl Walk<'_> {
    /// One of several forms, such as an https address or a mailto: link, or null.
    pub(super) fn any_of(
        &self,
        branches: &[Schema],
        about: Option<&'static str>,
        value: &Value,
        at: &str,
        out: &mut Vec<Finding>,
    ) {
        let mut tried = Vec::new();
        for branch in branches {
            let violations = self.violations(branch, value, at);
            if violations.is_empty() {
                return;
            }
            tried.push(violations);
        }
        // Branches for another kind of value weren't meant.
        tried.retain(|violations| !self.is_of_other_kind(violations, at));
        match tried.len() {
            0 => out.push(self.of_no_branch(branches, value, at)),
            1 => out.extend(tried.remove(0)),
            _ => {
                let message = format!("{} has none of the forms it may have.", self.path(at));
                let help = sentence::expected(about.unwrap_or("one of the forms of the schema."));
                out.push(self.finding("CONFIG_UNION", at, message).with_help(help));
            }
        }
    }

    /// Exactly one of several forms, told apart by the member `kind` (02 §12.7).
    pub(super) fn one_of(
        &self,
        branches: &[Schema],
        value: &Value,
        at: &str,
        out: &mut Vec<Finding>,
    ) {
        let Value::Object(members) = value else {
            let fits = branches
                .iter()
                .any(|branch| self.violations(branch, value, at).is_empty());
            if !fits {
                out.push(self.of_no_branch(branches, value, at));
            }
            return;
        };
        let tagged: Vec<(&str, Schema)> = branches
            .iter()
            .filter_map(|branch| Some((tag(branch)?, *branch)))
            .collect();
        let tags: Vec<&str> = tagged.iter().map(|(tag, _)| *tag).collect();
        if let Some(kind) = members.get("kind") {
            match tagged.iter().find(|(tag, _)| kind.as_str() == Some(tag)) {
                Some((_, branch)) => self.value(branch, description(branch), value, at, out),
                None => out.push(self.none_of(&tags, kind, &pointer::child(at, "kind"))),
            }
            return;
        }
        let mut tried: Vec<(Schema, Vec<Finding>)> = tagged
            .iter()
            .map(|(_, branch)| (*branch, self.violations(branch, value, at)))
            .collect();
        let fitting = tried.iter().filter(|(_, found)| found.is_empty()).count();
        if fitting == 1 {
            return;
        }
        let path = self.path(at);
        let help = format!("Add \"kind\", one of: {}.", tags.join(", "));
        if fitting > 1 {
            let message = format!("{path} may be of more than one kind.");
            out.push(self.finding("CONFIG_UNION", at, message).with_help(help));
            return;
        }
        if tagged.iter().all(|(_, branch)| requires_kind(branch)) {
            let at = pointer::child(at, "kind");
            let message = format!("{} is required.", self.path(&at));
            out.push(
                self.finding("CONFIG_REQUIRED", &at, message)
                    .with_help(help),
            );
            return;
        }
        // A layer may leave the kind out: then the branch that fits best was meant, if there is one.
        tried.sort_by_key(|(_, found)| found.len());
        match tried.as_slice() {
            [(_, best), (_, second), ..] if best.len() < second.len() => {
                out.extend(best.iter().cloned());
            }
            _ => {
                let message = format!("{path} is of no kind that is known.");
                out.push(self.finding("CONFIG_UNION", at, message).with_help(help));
            }
        }
    }

    /// The branches of a union, with their definitions looked up.
    pub(super) fn branches(&self, schema: Schema, keyword: &str) -> Option<Vec<Schema>> {
        let branches = schema.get(keyword)?.as_array()?;
        Some(
            branches
                .iter()
                .filter_map(Value::as_object)
                .map(|branch| self.target(branch).unwrap_or(branch))
                .collect(),
        )
    }

    /// For a value that no branch of a union takes because of its kind.
    fn of_no_branch(&self, branches: &[Schema], value: &Value, at: &str) -> Finding {
        let mut kinds: Vec<Kind> = Vec::new();
        for branch in branches {
            for kind in branch.get("type").map(Kind::of_types).unwrap_or_default() {
                if !kinds.contains(&kind) {
                    kinds.push(kind);
                }
            }
        }
        self.of_other_kind(&kinds, value, at)
    }

    fn is_of_other_kind(&self, violations: &[Finding], at: &str) -> bool {
        violations
            .iter()
            .any(|finding| finding.code == "CONFIG_TYPE" && finding.pointer.as_deref() == Some(at))
    }
}

fn tag(branch: Schema) -> Option<&'static str> {
    branch
        .get("properties")?
        .get("kind")?
        .get("const")?
        .as_str()
}

fn requires_kind(branch: Schema) -> bool {
    branch
        .get("required")
        .and_then(Value::as_array)
        .is_some_and(|required| required.iter().any(|name| name == "kind"))
}
