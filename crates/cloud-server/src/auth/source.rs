//! The client's address behind trusted proxies (03 §5.4). Pure.
//!
//! Only a socket that belongs to a trusted proxy may say whose request it passes on. Its `Forwarded` and
//! `X-Forwarded-For` are each read from the right: what stands furthest right was written by the proxy nearest to
//! us, and everything left of the first untrusted hop was written by whoever that is.

use axum::http::HeaderMap;
use open_cowork_contracts::finding::Finding;
use std::net::{IpAddr, Ipv6Addr};

/// Longer chains are somebody's joke.
const MOST_HOPS: usize = 64;

/// Networks whose proxies are believed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies {
    networks: Vec<Network>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    prefix: u32,
}

impl TrustedProxies {
    /// Nobody is believed.
    #[must_use]
    pub fn none() -> Self {
        TrustedProxies::default()
    }

    /// Networks as `10.0.0.0/8` or single addresses; blank entries are passed over.
    ///
    /// # Errors
    /// Every entry that is none, at once.
    pub fn parse<S: AsRef<str>>(
        entries: impl IntoIterator<Item = S>,
    ) -> Result<Self, Vec<Finding>> {
        let mut networks = Vec::new();
        let mut findings = Vec::new();
        for entry in entries {
            let entry = entry.as_ref().trim();
            match Network::parse(entry) {
                Some(network) => networks.push(network),
                None if entry.is_empty() => {}
                None => findings.push(
                    Finding::error(
                        "CLOUD_TRUSTED_PROXY",
                        "OPEN_COWORK_CLOUD_TRUSTED_PROXY_CIDRS",
                        format!("`{entry}` is neither an address nor a network."),
                    )
                    .with_help("Write networks as 10.0.0.0/8 or fd00::/8, separated by commas."),
                ),
            }
        }
        match findings.is_empty() {
            true => Ok(TrustedProxies { networks }),
            false => Err(findings),
        }
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.networks
            .iter()
            .any(|network| network.contains(address))
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let written: IpAddr = address.parse().ok()?;
        let address = plain(written);
        let width = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => width,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                let prefix: u32 = digits.parse().ok()?;
                // ::ffff:10.0.0.0/104 is 10.0.0.0/8.
                match written.is_ipv6() && address.is_ipv4() {
                    true => prefix.checked_sub(96)?,
                    false => prefix,
                }
            }
            Some(_) => return None,
        };
        (prefix <= width).then_some(Network { address, prefix })
    }

    fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, plain(address)) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            _ => return false,
        };
        // Shifting by the whole width would overflow: prefix 0 is everything.
        self.prefix == 0 || (ours ^ theirs) >> (width - self.prefix) == 0
    }
}

/// An IPv4 address that was written as IPv6 is itself.
fn plain(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(v4) => IpAddr::V4(v4),
            None => IpAddr::V6(address),
        },
        v4 => v4,
    }
}

/// Whose request this is. `peer` is the other end of the socket.
#[must_use]
pub fn client_source(peer: IpAddr, headers: &HeaderMap, proxies: &TrustedProxies) -> IpAddr {
    let peer = plain(peer);
    if !proxies.trusts(peer) {
        return peer;
    }
    let forwarded = chain(headers, "forwarded", forwarded_hops);
    let x_forwarded_for = chain(headers, "x-forwarded-for", listed_hops);
    let source = |hops: &[IpAddr]| {
        let foreign = hops.iter().rev().find(|hop| !proxies.trusts(**hop));
        foreign.or_else(|| hops.first()).copied()
    };
    match (forwarded, x_forwarded_for) {
        (Chain::Absent, Chain::Absent) => peer,
        (Chain::Hops(hops), Chain::Absent) | (Chain::Absent, Chain::Hops(hops)) => {
            source(&hops).unwrap_or(peer)
        }
        (Chain::Hops(one), Chain::Hops(other)) => match (source(&one), source(&other)) {
            (Some(one), Some(other)) if one == other => one,
            _ => peer,
        },
        // One of them can't be read: nobody knows what it would have said.
        (Chain::Invalid, _) | (_, Chain::Invalid) => peer,
    }
}

enum Chain {
    Absent,
    Invalid,
    Hops(Vec<IpAddr>),
}

fn chain(headers: &HeaderMap, name: &str, read: fn(&str, &mut Vec<IpAddr>) -> Option<()>) -> Chain {
    let mut hops = Vec::new();
    let mut present = false;
    for value in headers.get_all(name) {
        present = true;
        let read = value.to_str().ok().and_then(|text| read(text, &mut hops));
        if read.is_none() || hops.len() > MOST_HOPS {
            return Chain::Invalid;
        }
    }
    match (present, hops.is_empty()) {
        (false, _) => Chain::Absent,
        (true, true) => Chain::Invalid,
        (true, false) => Chain::Hops(hops),
    }
}

fn listed_hops(text: &str, hops: &mut Vec<IpAddr>) -> Option<()> {
    for entry in text.split(',') {
        hops.push(hop(entry.trim())?);
    }
    Some(())
}

/// `for=192.0.2.60;proto=http, for="[2001:db8::17]:4711"` (RFC 7239).
fn forwarded_hops(text: &str, hops: &mut Vec<IpAddr>) -> Option<()> {
    for element in text.split(',') {
        let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
        let (_, node) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
        let node = node.trim();
        let bare = match node.strip_prefix('"') {
            Some(quoted) => quoted.strip_suffix('"')?,
            None => node,
        };
        hops.push(hop(bare)?);
    }
    Some(())
}

/// An address with or without port, brackets and zone.
fn hop(text: &str) -> Option<IpAddr> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(plain(address));
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (address, tail) = rest.split_once(']')?;
        let port = tail.strip_prefix(':');
        if !tail.is_empty() && port.and_then(|port| port.parse::<u16>().ok()).is_none() {
            return None;
        }
        return v6(address);
    }
    match text.rsplit_once(':') {
        // IPv4 with a port; an IPv6 address with one has brackets.
        Some((address, port)) if !address.contains(':') => {
            port.parse::<u16>().ok()?;
            address.parse().ok().map(IpAddr::V4)
        }
        _ => v6(text),
    }
}

fn v6(text: &str) -> Option<IpAddr> {
    let (address, _zone) = text.split_once('%').unwrap_or((text, ""));
    let address: Ipv6Addr = address.parse().ok()?;
    Some(plain(IpAddr::V6(address)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn proxies() -> TrustedProxies {
        TrustedProxies::parse(["10.0.0.0/8", " fd00::/8 ", ""]).unwrap()
    }

    #[track_caller]
    fn comes_from(peer: &str, pairs: &[(&'static str, &str)], source: &str) {
        let found = client_source(ip(peer), &headers(pairs), &proxies());
        assert_eq!(found, ip(source), "{pairs:?}");
    }

    #[test]
    fn a_stranger_cannot_say_who_they_are() {
        comes_from(
            "192.0.2.1",
            &[("x-forwarded-for", "198.51.100.7")],
            "192.0.2.1",
        );
        comes_from(
            "192.0.2.1",
            &[("forwarded", "for=198.51.100.7")],
            "192.0.2.1",
        );
    }

    #[test]
    fn trusted_hops_are_passed_over_from_the_right() {
        let chain = "203.0.113.9, 198.51.100.7, 10.1.1.1";
        comes_from("10.0.0.1", &[("x-forwarded-for", chain)], "198.51.100.7");
        comes_from("fd00::1", &[("x-forwarded-for", chain)], "198.51.100.7");
        comes_from(
            "::ffff:10.0.0.1",
            &[("x-forwarded-for", chain)],
            "198.51.100.7",
        );
        let all_ours = "10.3.3.3, 10.2.2.2";
        comes_from("10.0.0.1", &[("x-forwarded-for", all_ours)], "10.3.3.3");
        comes_from("10.0.0.1", &[], "10.0.0.1");
    }

    #[test]
    fn addresses_come_in_many_spellings() {
        for spelling in [
            "198.51.100.7",
            "198.51.100.7:4711",
            "::ffff:198.51.100.7",
            "[::ffff:198.51.100.7]:80",
        ] {
            comes_from("10.0.0.1", &[("x-forwarded-for", spelling)], "198.51.100.7");
        }
        for spelling in [
            "2001:db8::17",
            "[2001:db8::17]",
            "[2001:db8::17]:4711",
            "2001:db8::17%eth0",
        ] {
            comes_from("10.0.0.1", &[("x-forwarded-for", spelling)], "2001:db8::17");
        }
        let rich = r#"For="[2001:db8::17]:4711";proto=https;by=10.0.0.1, for=10.9.9.9"#;
        comes_from("10.0.0.1", &[("forwarded", rich)], "2001:db8::17");
    }

    #[test]
    fn what_cannot_be_read_counts_for_nothing() {
        for broken in [
            "unknown",
            "_hidden",
            "198.51.100.7, ",
            "1.2.3",
            "[::1",
            "[::1]x",
            "1.2.3.4:x",
            "",
        ] {
            comes_from("10.0.0.1", &[("x-forwarded-for", broken)], "10.0.0.1");
            // Not even when the other header is fine.
            let both = [
                ("x-forwarded-for", broken),
                ("forwarded", "for=198.51.100.7"),
            ];
            comes_from("10.0.0.1", &both, "10.0.0.1");
        }
        comes_from("10.0.0.1", &[("forwarded", "proto=https")], "10.0.0.1");
        comes_from(
            "10.0.0.1",
            &[("forwarded", "for=\"198.51.100.7")],
            "10.0.0.1",
        );
    }

    #[test]
    fn two_headers_must_agree() {
        let agree = [
            ("x-forwarded-for", "198.51.100.7"),
            ("forwarded", "for=198.51.100.7, for=10.1.1.1"),
        ];
        comes_from("10.0.0.1", &agree, "198.51.100.7");
        let differ = [
            ("x-forwarded-for", "198.51.100.7"),
            ("forwarded", "for=203.0.113.9"),
        ];
        comes_from("10.0.0.1", &differ, "10.0.0.1");
    }

    #[test]
    fn every_wrong_network_is_named_at_once() {
        let findings =
            TrustedProxies::parse(["10.0.0.0/33", "10.0.0.0/8", "x", "::/129", "1.2.3.4/+8"]);
        assert_eq!(findings.unwrap_err().len(), 4);
        let all = TrustedProxies::parse(["0.0.0.0/0", "::/0"]).unwrap();
        assert!(all.trusts(ip("203.0.113.9")) && all.trusts(ip("2001:db8::1")));
        let mapped = TrustedProxies::parse(["::ffff:10.0.0.0/104"]).unwrap();
        assert!(mapped.trusts(ip("10.200.1.1")) && !mapped.trusts(ip("11.0.0.1")));
    }

    proptest! {
        #[test]
        fn whatever_a_client_writes_the_hop_that_our_proxy_saw_wins(
            forged in "[ -~]{0,60}",
            seen in any::<u32>().prop_map(|bits| IpAddr::V4(bits.into())),
            peer in any::<[u8; 3]>(),
        ) {
            let proxies = proxies();
            prop_assume!(!proxies.trusts(seen));
            let peer = IpAddr::from([10, peer[0], peer[1], peer[2]]);
            let line = format!("{forged}, {seen}");
            let found = client_source(peer, &headers(&[("x-forwarded-for", &line)]), &proxies);
            // Either the hop that the proxy added, or, if the forged part can't be read, the proxy itself.
            prop_assert!(found == seen || found == peer);
        }

        #[test]
        fn nothing_panics_and_strangers_never_matter(
            one in "\\PC{0,80}", other in "\\PC{0,80}", peer in any::<u128>(),
        ) {
            let peer = IpAddr::V6(peer.into());
            let mut map = HeaderMap::new();
            if let (Ok(one), Ok(other)) = (one.parse(), other.parse()) {
                map.append("x-forwarded-for", one);
                map.append("forwarded", other);
            }
            let found = client_source(peer, &map, &TrustedProxies::none());
            prop_assert_eq!(found, plain(peer));
            let _ = client_source(IpAddr::from([10, 0, 0, 1]), &map, &proxies());
        }
    }
}
