//! Rate limits, sign-in back-off, and what of this domain can be forgotten.
//!
//! A bucket is kept as the time at which it will be full: taking tokens moves that time away, by the share of
//! the window that they stand for, and is refused when it would lie further away than the window.

use crate::dialect::Connection;
use open_cowork_providers::store::browser::{BackoffRule, RateClaim, RateVerdict};
use open_cowork_providers::time::Timestamp;

pub(crate) async fn take(
    connection: &mut Connection,
    claims: &[RateClaim],
    now: Timestamp,
) -> Result<Vec<RateVerdict>, sqlx::Error> {
    let now = now.as_microsecond();
    let mut order: Vec<usize> = (0..claims.len()).collect();
    // Everybody locks rows in the same order.
    order.sort_by(|a, b| claims[*a].bucket.cmp(&claims[*b].bucket));
    let mut verdicts = vec![None; claims.len()];
    for at in order {
        let claim = &claims[at];
        let insert =
            "INSERT INTO rate_buckets (bucket, full_at_us) VALUES ($1, $2) ON CONFLICT DO NOTHING";
        let made = connection.query(insert).bind(claim.bucket.as_str());
        made.bind(now).execute().await?;
        let select = "SELECT full_at_us FROM rate_buckets WHERE bucket = $1";
        let row = connection
            .select_for_update(select, "rate_buckets")
            .bind(claim.bucket.as_str());
        let full_at = row.fetch_one().await?.int(0)?;
        let (verdict, full_at) = judge(claim, full_at, now);
        if let Some(full_at) = full_at {
            let update = "UPDATE rate_buckets SET full_at_us = $2 WHERE bucket = $1";
            let update = connection.query(update).bind(claim.bucket.as_str());
            update.bind(full_at).execute().await?;
        }
        verdicts[at] = Some(verdict);
    }
    Ok(verdicts.into_iter().flatten().collect())
}

/// The verdict, and when the bucket is full then; `None`: nothing is taken.
fn judge(claim: &RateClaim, full_at: i64, now: i64) -> (RateVerdict, Option<i64>) {
    let window = i64::try_from(claim.window_ms.max(1))
        .unwrap_or(i64::MAX / 1_000_000)
        .saturating_mul(1000);
    let capacity = i64::from(claim.capacity.max(1));
    // Rounded up: whoever waits that long gets it.
    let share = |tokens: u32| {
        let share = i128::from(window) * i128::from(tokens);
        i64::try_from(
            share.div_euclid(i128::from(capacity)) + i128::from(share % i128::from(capacity) != 0),
        )
        .unwrap_or(i64::MAX / 4)
    };
    let before = full_at.max(now);
    let after = before.saturating_add(share(claim.cost));
    let allowed = claim.capacity > 0 && after - now <= window;
    let level = if allowed { after } else { before };
    let free = (window - (level - now)).max(0);
    let remaining = i128::from(free) * i128::from(capacity) / i128::from(window);
    let millis = |micros: i64| {
        u64::try_from(micros.max(0))
            .unwrap_or_default()
            .div_ceil(1000)
    };
    let verdict = RateVerdict {
        allowed,
        remaining: if claim.capacity == 0 {
            0
        } else {
            u32::try_from(remaining).unwrap_or(u32::MAX)
        },
        retry_after_ms: if allowed {
            0
        } else {
            millis(after - now - window).max(1)
        },
        reset_after_ms: millis(level - now),
    };
    (verdict, allowed.then_some(after))
}

pub(crate) async fn backoff(
    connection: &mut Connection,
    scopes: &[String],
    now: Timestamp,
) -> Result<u64, sqlx::Error> {
    let now = now.as_millisecond();
    let mut longest = 0;
    for scope in scopes {
        let select = "SELECT blocked_until_ms FROM sign_in_failures WHERE scope = $1";
        let row = connection.query(select).bind(scope.as_str());
        if let Some(row) = row.fetch_optional().await? {
            longest = longest.max(row.int(0)?.saturating_sub(now));
        }
    }
    Ok(u64::try_from(longest).unwrap_or_default())
}

pub(crate) async fn fail(
    connection: &mut Connection,
    scopes: &[String],
    rule: BackoffRule,
    now: Timestamp,
) -> Result<(), sqlx::Error> {
    let now = now.as_millisecond();
    let millis = |value: u64| i64::try_from(value).unwrap_or(i64::MAX / 4);
    let (window, backoff) = (millis(rule.window_ms.max(1)), millis(rule.backoff_ms));
    let mut scopes: Vec<&String> = scopes.iter().collect();
    scopes.sort_unstable();
    scopes.dedup();
    for scope in scopes {
        let insert = "INSERT INTO sign_in_failures (scope, window_ms, failures, blocked_until_ms, forget_ms) \
                      VALUES ($1, $2, 0, 0, $2) ON CONFLICT DO NOTHING";
        let made = connection.query(insert).bind(scope.as_str());
        made.bind(now).execute().await?;
        let select =
            "SELECT window_ms, failures, blocked_until_ms FROM sign_in_failures WHERE scope = $1";
        let row = connection
            .select_for_update(select, "sign_in_failures")
            .bind(scope.as_str())
            .fetch_one()
            .await?;
        let (mut start, mut failures, mut blocked) = (row.int(0)?, row.int(1)?, row.int(2)?);
        if now >= start.saturating_add(window) {
            (start, failures) = (now, 0);
        }
        failures += 1;
        if failures >= i64::from(rule.max_failures.max(1)) {
            blocked = blocked.max(now.saturating_add(backoff));
        }
        let update = "UPDATE sign_in_failures SET window_ms = $2, failures = $3, blocked_until_ms = $4, \
                      forget_ms = $5 WHERE scope = $1";
        connection
            .query(update)
            .bind(scope.as_str())
            .bind(start)
            .bind(failures)
            .bind(blocked)
            .bind(blocked.max(start.saturating_add(window)))
            .execute()
            .await?;
    }
    Ok(())
}

pub(crate) async fn prune(
    connection: &mut Connection,
    now: Timestamp,
    limit: u32,
) -> Result<u64, sqlx::Error> {
    let millis = now.as_millisecond();
    let mut deleted = 0;
    for (delete, now) in [
        (
            "DELETE FROM browser_sessions WHERE session_hash IN (SELECT session_hash FROM browser_sessions \
             WHERE expires_ms <= $1 ORDER BY expires_ms LIMIT $2)",
            millis,
        ),
        (
            "DELETE FROM idempotency_keys WHERE (tenant_no, principal, route, client_key) IN (SELECT tenant_no, \
             principal, route, client_key FROM idempotency_keys WHERE expires_ms <= $1 \
             ORDER BY expires_ms LIMIT $2)",
            millis,
        ),
        (
            "DELETE FROM rate_buckets WHERE bucket IN (SELECT bucket FROM rate_buckets WHERE full_at_us <= $1 \
             ORDER BY full_at_us LIMIT $2)",
            now.as_microsecond(),
        ),
        (
            "DELETE FROM sign_in_failures WHERE scope IN (SELECT scope FROM sign_in_failures \
             WHERE forget_ms <= $1 ORDER BY forget_ms LIMIT $2)",
            millis,
        ),
    ] {
        let delete = connection.query(delete).bind(now);
        deleted += delete.bind(i64::from(limit)).execute().await?;
    }
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use open_cowork_providers::store::browser::RateClaim;

    fn claim(cost: u32) -> RateClaim {
        RateClaim {
            bucket: "ip:x".into(),
            capacity: 3,
            window_ms: 60_000,
            cost,
        }
    }

    #[test]
    fn a_full_bucket_gives_its_capacity_and_then_refills_evenly() {
        let mut full_at = 0;
        for left in [2, 1, 0] {
            let (verdict, next) = judge(&claim(1), full_at, 0);
            assert_eq!((verdict.allowed, verdict.remaining), (true, left));
            full_at = next.unwrap();
        }
        let (verdict, next) = judge(&claim(1), full_at, 0);
        assert_eq!(
            (verdict.allowed, verdict.retry_after_ms, next),
            (false, 20_000, None)
        );
        let (verdict, _) = judge(&claim(1), full_at, 20_000_000);
        assert!(verdict.allowed);
    }

    #[test]
    fn whoever_waits_as_told_gets_it() {
        let odd = RateClaim {
            capacity: 7,
            window_ms: 1000,
            cost: 3,
            ..claim(0)
        };
        let (_, full_at) = judge(&odd, 0, 0);
        let (_, full_at) = judge(&odd, full_at.unwrap(), 0);
        let (verdict, _) = judge(&odd, full_at.unwrap(), 0);
        assert!(!verdict.allowed);
        let later = i64::try_from(verdict.retry_after_ms).unwrap() * 1000;
        assert!(judge(&odd, full_at.unwrap(), later).0.allowed);
    }

    #[test]
    fn a_capacity_of_none_gives_nothing() {
        let none = RateClaim {
            capacity: 0,
            ..claim(1)
        };
        assert!(!judge(&none, 0, 0).0.allowed);
    }
}
