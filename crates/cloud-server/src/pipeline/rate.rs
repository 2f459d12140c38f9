//! Token buckets per address, organisation and token (03 §5.1, §12 #20): a bucket refills evenly, so that no
//! edge of a window allows twice the limit.

use crate::cloud::RequestRate;
use crate::error::ApiError;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a bucket belongs to.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Scope<'a> {
    Address(std::net::IpAddr),
    Organisation(&'a str),
    Token(&'a str),
}

const SHARDS: usize = 16;
/// Buckets of a shard. When it is full, buckets that have refilled are forgotten; when none has, the shard starts
/// anew: an attacker with that many addresses gains one burst.
const BUCKETS: usize = 8192;

/// All buckets of a process, keyed by a hash with a secret seed.
pub(crate) struct Buckets {
    rate: Option<RequestRate>,
    seed: RandomState,
    shards: Vec<Mutex<HashMap<u64, Bucket>>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

/// What is left after a request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Left {
    limit: u32,
    remaining: u32,
    reset: Duration,
}

impl Buckets {
    pub(crate) fn new(rate: Option<RequestRate>) -> Self {
        Buckets {
            rate,
            seed: RandomState::new(),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
        }
    }

    /// Takes one token; `None`: there is no limit.
    pub(crate) fn take(&self, scope: Scope<'_>, now: Instant) -> Result<Option<Left>, ApiError> {
        let Some(rate) = self.rate else {
            return Ok(None);
        };
        let max = f64::from(rate.max.max(1));
        let per_second = max / rate.window.as_secs_f64().max(0.001);
        let key = self.seed.hash_one(scope);
        let mut shard = self.shards[key as usize % SHARDS]
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= BUCKETS && !shard.contains_key(&key) {
            shard.retain(|_, bucket| {
                let filled = now.duration_since(bucket.at).as_secs_f64() * per_second;
                bucket.tokens + filled < max
            });
            if shard.len() >= BUCKETS {
                shard.clear();
            }
        }
        let bucket = shard.entry(key).or_insert(Bucket {
            tokens: max,
            at: now,
        });
        let filled = now.saturating_duration_since(bucket.at).as_secs_f64() * per_second;
        bucket.tokens = (bucket.tokens + filled).min(max);
        bucket.at = now;
        let until = |tokens: f64| Duration::from_secs_f64((tokens / per_second).max(0.0));
        if bucket.tokens < 1.0 {
            let wait = until(1.0 - bucket.tokens).max(Duration::from_millis(1));
            return Err(ApiError::too_many(
                "rate_limit.http_exceeded",
                "Too many cloud requests. Try again later.",
                wait,
            ));
        }
        bucket.tokens -= 1.0;
        Ok(Some(Left {
            limit: rate.max,
            remaining: bucket.tokens as u32,
            reset: until(max - bucket.tokens),
        }))
    }
}

impl Left {
    /// The tighter of two.
    pub(crate) fn tighter(self, other: Option<Left>) -> Left {
        match other {
            Some(other) if other.remaining < self.remaining => other,
            _ => self,
        }
    }

    /// `RateLimit-*`: the limit, what is left, and the seconds until the bucket is full.
    pub(crate) fn apply(self, headers: &mut HeaderMap) {
        let mut put = |name: &'static str, value: u64| {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        };
        put("ratelimit-limit", self.limit.into());
        put("ratelimit-remaining", self.remaining.into());
        put("ratelimit-reset", self.reset.as_secs_f64().ceil() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn buckets(max: u32) -> Buckets {
        Buckets::new(Some(RequestRate {
            max,
            window: Duration::from_secs(60),
        }))
    }

    #[test]
    fn no_edge_of_a_window_allows_a_double_burst() {
        let buckets = buckets(60);
        let start = Instant::now();
        let mut passed = 0;
        // A burst at the end of a window, another right after its edge.
        for at in [59, 61] {
            for _ in 0..60 {
                let now = start + Duration::from_secs(at);
                passed += u32::from(buckets.take(Scope::Organisation("o"), now).is_ok());
            }
        }
        assert_eq!(passed, 62);
    }

    #[test]
    fn a_refusal_says_when_to_come_back_and_that_is_true() {
        let buckets = buckets(60);
        let now = Instant::now();
        let scope = Scope::Token("t");
        for _ in 0..60 {
            buckets.take(scope, now).unwrap();
        }
        let wait = buckets.take(scope, now).unwrap_err().retry_after.unwrap();
        assert!(wait <= Duration::from_secs(1), "{wait:?}");
        assert!(buckets.take(scope, now + wait).is_ok());
        // Others are not concerned.
        assert!(buckets.take(Scope::Token("u"), now).is_ok());
    }

    #[test]
    fn many_addresses_do_not_grow_the_memory() {
        let buckets = buckets(1);
        let now = Instant::now();
        for n in 0..300_000u32 {
            let address = std::net::IpAddr::from(n.to_be_bytes());
            let _ = buckets.take(Scope::Address(address), now);
        }
        let held: usize = buckets.shards.iter().map(|s| s.lock().unwrap().len()).sum();
        assert!(held <= SHARDS * BUCKETS, "{held}");
    }

    #[test]
    fn without_a_rate_everything_passes() {
        let buckets = Buckets::new(None);
        assert_eq!(buckets.take(Scope::Token("t"), Instant::now()), Ok(None));
    }
}
