//! Where work comes from: the W3C trace context that travels with a request, with the commands that it stores
//! and into the events that these make, across processes (04 §12).
//!
//! A context is data, not ambient magic: who starts a piece of work makes a [`Trace::child`], opens a span that
//! carries it ([`span!`](crate::trace_span)) and runs the work inside [`with`]. Who stores a command stores
//! [`current`] beside it; the worker, in another process, goes on from there.

use std::fmt;
use std::num::{NonZeroU64, NonZeroU128};

pub use crate::trace_span as span;

tokio::task_local! {
    static CURRENT: Trace;
}

/// One span's place in a trace (W3C Trace Context, level 1).
///
/// `Display` is the `traceparent` header of whatever this span calls.
///
/// ```
/// use open_cowork_providers::trace::Trace;
/// let caller = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// let here = Trace::incoming(Some(caller));
/// assert!(here.to_string().starts_with("00-4bf92f3577b34da6a3ce929d0e0e4736-"));
/// assert_eq!(here.parent_id().as_deref(), Some("00f067aa0ba902b7"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    trace: NonZeroU128,
    span: NonZeroU64,
    parent: Option<NonZeroU64>,
    sampled: bool,
}

impl Trace {
    /// A trace that begins here.
    #[must_use]
    pub fn root() -> Self {
        Trace {
            trace: NonZeroU128::new(u128::from(random()) << 64 | u128::from(random()))
                .unwrap_or(NonZeroU128::MIN),
            span: span_id(),
            parent: None,
            sampled: true,
        }
    }

    /// A span below the caller's, or a new trace when the header is absent or no `traceparent`.
    #[must_use]
    pub fn incoming(traceparent: Option<&str>) -> Self {
        traceparent
            .and_then(Self::parse)
            .map_or_else(Self::root, Self::child)
    }

    /// A span below this one.
    #[must_use]
    pub fn child(self) -> Self {
        Trace {
            span: span_id(),
            parent: Some(self.span),
            ..self
        }
    }

    /// The span that a `traceparent` names. A version above 00 may have more fields, which are ignored.
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let mut hex = |digits: usize| {
            parts.next().filter(|part| {
                let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
                part.len() == digits && part.bytes().all(hexadecimal)
            })
        };
        let (version, trace, span, flags) = (hex(2)?, hex(32)?, hex(16)?, hex(2)?);
        if version == "ff" || (version == "00" && parts.next().is_some()) {
            return None;
        }
        Some(Trace {
            trace: NonZeroU128::new(u128::from_str_radix(trace, 16).ok()?)?,
            span: NonZeroU64::new(u64::from_str_radix(span, 16).ok()?)?,
            parent: None,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        })
    }

    /// 32 hexadecimal digits.
    #[must_use]
    pub fn trace_id(&self) -> String {
        format!("{:032x}", self.trace)
    }

    /// 16 hexadecimal digits.
    #[must_use]
    pub fn span_id(&self) -> String {
        format!("{:016x}", self.span)
    }

    /// 16 hexadecimal digits; `None` at the root.
    #[must_use]
    pub fn parent_id(&self) -> Option<String> {
        self.parent.map(|parent| format!("{parent:016x}"))
    }

    /// Whether the caller wants it recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = u8::from(self.sampled);
        write!(f, "00-{:032x}-{:016x}-{flags:02x}", self.trace, self.span)
    }
}

/// Runs work inside a context.
pub async fn with<F: Future>(trace: Trace, work: F) -> F::Output {
    CURRENT.scope(trace, work).await
}

/// The context that this task runs in. A task that it spawns has none of its own.
#[must_use]
pub fn current() -> Option<Trace> {
    CURRENT.try_with(|trace| *trace).ok()
}

/// Opens a span of the target `open_cowork::trace` that an exporter takes up, at debug level: without an exporter it
/// costs a comparison. The name is one of the contract's, such as `cloud.http.request` (04 §12).
#[macro_export]
macro_rules! trace_span {
    ($trace:expr, $name:literal $(, $($fields:tt)*)?) => {
        $crate::trace::tracing::debug_span!(
            target: "open_cowork::trace",
            $name,
            traceparent = %$trace,
            parent_id = $trace.parent_id().unwrap_or_default(),
            $($($fields)*)?
        )
    };
}

#[doc(hidden)]
pub use tracing;

/// Without randomness the ids repeat: traces get worse, nothing else does.
fn random() -> u64 {
    getrandom::u64().unwrap_or(1)
}

fn span_id() -> NonZeroU64 {
    NonZeroU64::new(random()).unwrap_or(NonZeroU64::MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_span_stays_in_the_caller_s_trace() {
        let here = Trace::incoming(Some(CALLER));
        assert_eq!(here.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(here.parent_id().unwrap(), "00f067aa0ba902b7");
        assert_ne!(here.span_id(), "00f067aa0ba902b7");
        let below = Trace::incoming(Some(&here.to_string()));
        assert_eq!(below.trace_id(), here.trace_id());
        assert_eq!(below.parent_id(), Some(here.span_id()));
        let unsampled = Trace::incoming(Some(&CALLER.replace("-01", "-00")));
        assert!(!unsampled.is_sampled() && unsampled.to_string().ends_with("-00"));
    }

    #[test]
    fn what_is_no_context_begins_a_trace_of_its_own() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(Trace::incoming(Some(text)).parent_id(), None, "{text}");
        }
        let later = Trace::incoming(Some(&format!("01{}-more", &CALLER[2..])));
        assert_eq!(later.trace_id(), "4bf92f3577b34da6a3ce929d0e0e4736");
    }

    #[tokio::test]
    async fn work_knows_its_context_and_only_its_own() {
        assert_eq!(current(), None);
        let trace = Trace::root();
        with(trace, async {
            assert_eq!(current(), Some(trace));
            let inner = trace.child();
            assert_eq!(with(inner, async { current() }).await, Some(inner));
            assert_eq!(current(), Some(trace));
        })
        .await;
        assert_eq!(current(), None);
    }
}
