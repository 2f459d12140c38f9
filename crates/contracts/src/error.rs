//! The error envelope of every HTTP answer (03 §2.1).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The body of a refused or failed request.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ErrorEnvelope {
    /// One sentence for people, without secrets.
    pub error: String,
    /// Additive: the policy code, for programs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// When to try again, milliseconds; only when known and above 0. The `Retry-After` header goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_ms: Option<u64>,
    /// The refusal, when a policy code exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
}

/// Why a policy refused.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// False in an error.
    pub allowed: bool,
    /// Same sentence as `error`.
    pub reason: String,
    /// The policy code.
    pub policy_code: String,
}

impl ErrorEnvelope {
    /// A failure without a policy code.
    pub fn new(error: impl Into<String>) -> Self {
        ErrorEnvelope {
            error: error.into(),
            ..Self::default()
        }
    }

    /// A refusal by policy: the verdict and the additive `code` follow from it.
    pub fn denied(error: impl Into<String>, policy_code: impl Into<String>) -> Self {
        let (error, policy_code) = (error.into(), policy_code.into());
        ErrorEnvelope {
            code: Some(policy_code.clone()),
            verdict: Some(Verdict {
                allowed: false,
                reason: error.clone(),
                policy_code,
            }),
            error,
            retry_after_ms: None,
        }
    }

    /// The body of an unexpected failure; its detail belongs in the log, keyed by request id.
    pub fn internal() -> Self {
        Self::new("Internal server error.")
    }

    /// The same with a time to wait; 0 leaves it out.
    #[must_use]
    pub fn retry_after(mut self, milliseconds: u64) -> Self {
        self.retry_after_ms = (milliseconds > 0).then_some(milliseconds);
        self
    }

    /// The value of the `Retry-After` header: whole seconds, at least 1.
    pub fn retry_after_seconds(&self) -> Option<u64> {
        self.retry_after_ms.map(|ms| ms.div_ceil(1000).max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_carries_its_code_and_verdict() {
        let body = ErrorEnvelope::denied(
            "Too many cloud requests. Try again later.",
            "rate_limit.http_exceeded",
        )
        .retry_after(1250);
        assert_eq!(body.retry_after_seconds(), Some(2));
        assert_eq!(
            serde_json::to_value(&body).unwrap(),
            serde_json::json!({
                "error": "Too many cloud requests. Try again later.",
                "code": "rate_limit.http_exceeded",
                "retryAfterMs": 1250,
                "verdict": {
                    "allowed": false,
                    "reason": "Too many cloud requests. Try again later.",
                    "policyCode": "rate_limit.http_exceeded"
                }
            })
        );
    }

    #[test]
    fn a_plain_failure_is_only_its_sentence() {
        let body = ErrorEnvelope::internal().retry_after(0);
        assert_eq!(
            serde_json::to_string(&body).unwrap(),
            r#"{"error":"Internal server error."}"#
        );
        assert_eq!(body.retry_after_seconds(), None);
    }
}
