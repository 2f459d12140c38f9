//! Is this OpenCode one that we can work with? Version, routes and event kinds that we rely on
//! (08 §5, §15.10, decision 20).

use std::collections::BTreeSet;

/// The version that the tests run against.
pub const TESTED_VERSION: &str = "1.18.33";

/// Routes that a host calls, as in the server's own document (08 §5, §13).
pub const ROUTES: [&str; 21] = [
    "GET /global/health",
    "GET /global/event",
    "POST /session",
    "GET /session",
    "GET /session/status",
    "GET /session/{sessionID}",
    "PATCH /session/{sessionID}",
    "DELETE /session/{sessionID}",
    "GET /session/{sessionID}/children",
    "GET /session/{sessionID}/todo",
    "GET /session/{sessionID}/message",
    "GET /session/{sessionID}/message/{messageID}",
    "POST /session/{sessionID}/prompt_async",
    "POST /session/{sessionID}/abort",
    "GET /permission",
    "POST /permission/{requestID}/reply",
    "GET /question",
    "POST /question/{requestID}/reply",
    "POST /question/{requestID}/reject",
    "GET /agent",
    "GET /config/providers",
];

/// Event kinds that make up a turn (08 §8).
pub const EVENT_KINDS: [&str; 15] = [
    "server.connected",
    "session.created",
    "session.updated",
    "session.status",
    "session.idle",
    "session.error",
    "message.updated",
    "message.part.updated",
    "message.part.delta",
    "message.part.removed",
    "permission.asked",
    "permission.replied",
    "question.asked",
    "question.replied",
    "todo.updated",
];

/// What a server shows of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// From `/global/health`.
    pub version: String,
    /// Routes of its document, as `GET /session/{sessionID}`.
    pub routes: BTreeSet<String>,
    /// Event kinds of its document; `None`: they were not read.
    pub event_kinds: Option<BTreeSet<String>>,
}

/// Result of the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What to do.
    pub level: VerdictLevel,
    /// Why, one sentence each; empty when all is well.
    pub reasons: Vec<String>,
}

/// Level of a [`Verdict`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VerdictLevel {
    /// As tested.
    Ok,
    /// Works, probably.
    Warn,
    /// Must not be used.
    Refuse,
}

/// Judges a server. `allow_untested` is the explicit switch for versions that are not 1.18.x (decision 20);
/// missing routes and events refuse in any case, because turns would hang or be lost.
#[must_use]
pub fn assess(observed: &Observed, allow_untested: bool) -> Verdict {
    let mut verdict = version(&observed.version, allow_untested);
    let missing = |needed: &[&str], found: &BTreeSet<String>| -> Vec<String> {
        needed
            .iter()
            .filter(|item| !found.contains(**item))
            .map(|item| (*item).to_owned())
            .collect()
    };
    let mut refuse = |what: &str, missing: Vec<String>| {
        if !missing.is_empty() {
            verdict.level = VerdictLevel::Refuse;
            verdict.reasons.push(format!(
                "This OpenCode lacks {what} that we need ({}); install version {TESTED_VERSION}.",
                missing.join(", ")
            ));
        }
    };
    refuse("routes", missing(&ROUTES, &observed.routes));
    if let Some(kinds) = &observed.event_kinds {
        refuse("events", missing(&EVENT_KINDS, kinds));
    }
    verdict
}

/// Judges the version alone, before anything else is asked.
#[must_use]
pub fn version(version: &str, allow_untested: bool) -> Verdict {
    let (level, reason) = match version {
        TESTED_VERSION => {
            return Verdict {
                level: VerdictLevel::Ok,
                reasons: Vec::new(),
            };
        }
        _ if is_tested_line(version) => (
            VerdictLevel::Warn,
            format!(
                "OpenCode {version} is close to the tested {TESTED_VERSION}, but not the same."
            ),
        ),
        _ if allow_untested => (
            VerdictLevel::Warn,
            format!("OpenCode {version} is untested; you allowed it. Tested is {TESTED_VERSION}."),
        ),
        _ => (
            VerdictLevel::Refuse,
            format!(
                "OpenCode {version:?} is untested; install {TESTED_VERSION} or allow untested versions in the settings."
            ),
        ),
    };
    Verdict {
        level,
        reasons: vec![reason],
    }
}

/// `1.18.<number>`, nothing behind it: a pre-release is another thing.
fn is_tested_line(version: &str) -> bool {
    let Some(patch) = version.strip_prefix("1.18.") else {
        return false;
    };
    !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complete(version: &str) -> Observed {
        Observed {
            version: version.to_owned(),
            routes: ROUTES.iter().map(|route| (*route).to_owned()).collect(),
            event_kinds: Some(EVENT_KINDS.iter().map(|kind| (*kind).to_owned()).collect()),
        }
    }

    #[test]
    fn the_tested_version_is_fine() {
        assert_eq!(
            assess(&complete("1.18.33"), false),
            Verdict {
                level: VerdictLevel::Ok,
                reasons: vec![]
            }
        );
    }

    #[test]
    fn a_neighbour_warns_and_a_stranger_needs_the_switch() {
        for (version, allow, level) in [
            ("1.18.1", false, VerdictLevel::Warn),
            ("1.18.34", true, VerdictLevel::Warn),
            ("1.19.0", false, VerdictLevel::Refuse),
            ("1.19.0", true, VerdictLevel::Warn),
            ("1.18.33-beta", false, VerdictLevel::Refuse),
            ("1.180.1", false, VerdictLevel::Refuse),
            ("1.18.", false, VerdictLevel::Refuse),
            ("", false, VerdictLevel::Refuse),
        ] {
            let verdict = assess(&complete(version), allow);
            assert_eq!(
                (verdict.level, verdict.reasons.len()),
                (level, 1),
                "{version}"
            );
        }
    }

    #[test]
    fn a_missing_route_or_event_refuses_whatever_the_switch() {
        let mut observed = complete(TESTED_VERSION);
        observed.routes.remove("GET /global/event");
        let verdict = assess(&observed, true);
        assert_eq!(verdict.level, VerdictLevel::Refuse);
        assert!(
            verdict.reasons[0].contains("GET /global/event"),
            "{:?}",
            verdict.reasons
        );

        let mut observed = complete(TESTED_VERSION);
        observed
            .event_kinds
            .as_mut()
            .unwrap()
            .remove("session.idle");
        assert_eq!(assess(&observed, true).level, VerdictLevel::Refuse);
    }

    /// The recorded document of the tested version has all that we rely on.
    #[test]
    fn the_recorded_document_has_every_route_and_event() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../fixtures/opencode-1.18.33/openapi.json"
        );
        let document: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let routes: BTreeSet<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, methods)| {
                methods
                    .as_object()
                    .unwrap()
                    .keys()
                    .map(move |method| format!("{} {path}", method.to_uppercase()))
            })
            .collect();
        let text = document["components"]["schemas"].to_string();
        let kinds = EVENT_KINDS
            .iter()
            .filter(|kind| text.contains(&format!("\"{kind}\"")))
            .map(|kind| (*kind).to_owned());
        let observed = Observed {
            version: TESTED_VERSION.into(),
            routes,
            event_kinds: Some(kinds.collect()),
        };
        assert_eq!(
            assess(&observed, false),
            Verdict {
                level: VerdictLevel::Ok,
                reasons: vec![]
            }
        );
    }
}
