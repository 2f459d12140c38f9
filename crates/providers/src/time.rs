//! Times as the contract writes them. The caller owns the clock: methods take `now`.

pub use jiff::Timestamp;

/// ISO-8601, UTC, always three digits of milliseconds: `2026-01-02T03:04:05.678Z`.
#[must_use]
pub fn iso(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Reads what [`iso`] writes, and any other RFC 3339 time.
#[must_use]
pub fn parse_iso(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_of_milliseconds() {
        let at = parse_iso("2026-01-02T03:04:05Z").unwrap();
        assert_eq!(iso(at), "2026-01-02T03:04:05.000Z");
    }
}
