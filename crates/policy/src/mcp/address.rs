//! What kind of network an IP address belongs to (05 §7.4).
//!
//! One address has many spellings, and IPv6 can carry an IPv4 address inside. [`classify`] takes the address
//! apart and answers with the strictest kind of whatever it can reach.

use serde::{Deserialize, Serialize};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Kind of network, in the order in which it is decided: the first one that fits wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// Hands out the machine's own credentials; never permitted.
    CloudMetadata,
    /// This machine.
    Loopback,
    /// This cable.
    LinkLocal,
    /// A private network.
    Private,
    /// Nothing that a server could have: reserved, multicast, documentation, retired tunnels.
    NonRoutable,
    /// The internet.
    Public,
}

impl Network {
    /// In words, for a sentence about an address.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::CloudMetadata => "a cloud's metadata service",
            Self::Loopback => "this machine",
            Self::LinkLocal => "the local link",
            Self::Private => "a private network",
            Self::NonRoutable => "a reserved range",
            Self::Public => "the internet",
        }
    }
}

/// Where clouds serve credentials to their machines: wire server (Azure), and the addresses of Alibaba, Oracle,
/// Tencent and Scaleway. The common ones are ranges, see [`RANGES_V4`].
const METADATA_V4: [[u8; 4]; 5] = [
    [168, 63, 129, 16],
    [100, 100, 100, 200],
    [192, 0, 0, 192],
    [169, 254, 0, 23],
    [169, 254, 42, 42],
];

/// The same over IPv6: Google, Oracle, OpenStack, Scaleway. For AWS see [`RANGES_V6`].
const METADATA_V6: [[u16; 8]; 4] = [
    [0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254],
    [0xfd00, 0x00c1, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
    [0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe],
    [0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042],
];

/// IPv4 ranges that are not the internet, in the order of decision.
const RANGES_V4: [([u8; 4], u32, Network); 18] = [
    // The metadata address of most clouds, and the time and name servers beside it (AWS).
    ([169, 254, 169, 0], 24, Network::CloudMetadata),
    // Credentials of containers (AWS).
    ([169, 254, 170, 0], 23, Network::CloudMetadata),
    ([127, 0, 0, 0], 8, Network::Loopback),
    ([169, 254, 0, 0], 16, Network::LinkLocal),
    ([10, 0, 0, 0], 8, Network::Private),
    ([172, 16, 0, 0], 12, Network::Private),
    ([192, 168, 0, 0], 16, Network::Private),
    ([0, 0, 0, 0], 8, Network::NonRoutable),
    ([100, 64, 0, 0], 10, Network::NonRoutable),
    ([192, 0, 0, 0], 24, Network::NonRoutable),
    ([192, 0, 2, 0], 24, Network::NonRoutable),
    // Anycast of the retired 6to4 relays.
    ([192, 88, 99, 0], 24, Network::NonRoutable),
    ([198, 18, 0, 0], 15, Network::NonRoutable),
    ([198, 51, 100, 0], 24, Network::NonRoutable),
    ([203, 0, 113, 0], 24, Network::NonRoutable),
    ([224, 0, 0, 0], 4, Network::NonRoutable),
    ([240, 0, 0, 0], 4, Network::NonRoutable),
    ([255, 255, 255, 255], 32, Network::NonRoutable),
];

/// IPv6 ranges that are not the internet. Outside of 2000::/3 nothing is assigned, see [`classify`].
const RANGES_V6: [([u16; 8], u32, Network); 10] = [
    // Everything that AWS serves to its machines: metadata, credentials, time, names.
    (
        [0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0],
        32,
        Network::CloudMetadata,
    ),
    ([0, 0, 0, 0, 0, 0, 0, 1], 128, Network::Loopback),
    ([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10, Network::LinkLocal),
    ([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7, Network::Private),
    // The old site-local range.
    ([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10, Network::Private),
    ([0xff00, 0, 0, 0, 0, 0, 0, 0], 8, Network::NonRoutable),
    ([0x2001, 0x0db8, 0, 0, 0, 0, 0, 0], 32, Network::NonRoutable),
    // Assigned for protocols: Teredo (unwrapped before), benchmarking, ORCHID.
    ([0x2001, 0, 0, 0, 0, 0, 0, 0], 23, Network::NonRoutable),
    ([0x2002, 0, 0, 0, 0, 0, 0, 0], 16, Network::NonRoutable),
    ([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20, Network::NonRoutable),
];

/// The kind of an address.
///
/// An IPv4 address inside an IPv6 one (mapped, translated, NAT64, 6to4, Teredo, ISATAP) counts as itself; the
/// stricter of wrapping and content wins. Retired tunnels (6to4, Teredo, ISATAP) to a public address are not
/// routable.
#[must_use]
pub fn classify(address: IpAddr) -> Network {
    match address {
        IpAddr::V4(address) => classify_v4(address),
        IpAddr::V6(address) => classify_v6(address),
    }
}

fn classify_v4(address: Ipv4Addr) -> Network {
    if METADATA_V4.contains(&address.octets()) {
        return Network::CloudMetadata;
    }
    let bits = address.to_bits();
    RANGES_V4
        .iter()
        .find(|(start, length, _)| {
            let shift = 32 - length;
            bits >> shift == u32::from_be_bytes(*start) >> shift
        })
        .map_or(Network::Public, |(_, _, network)| *network)
}

fn classify_v6(address: Ipv6Addr) -> Network {
    let segments = address.segments();
    if METADATA_V6.contains(&segments) {
        return Network::CloudMetadata;
    }
    if let Some(inner) = plain_embedding(segments) {
        return classify_v4(inner);
    }
    let bits = address.to_bits();
    let own = RANGES_V6
        .iter()
        .find(|(start, length, _)| {
            let shift = 128 - length;
            bits >> shift == Ipv6Addr::from(*start).to_bits() >> shift
        })
        .map(|(_, _, network)| *network);
    // Only 2000::/3 is given out; whatever else has no range above is reserved.
    let global = bits >> 125 == 0b001;
    let own = own.unwrap_or(if global {
        Network::Public
    } else {
        Network::NonRoutable
    });
    tunnels(segments)
        .into_iter()
        .flatten()
        .map(classify_v4)
        .chain([own])
        .min()
        .unwrap_or(own)
}

/// The IPv4 address that this IPv6 address merely spells: mapped, translated, NAT64's well-known prefix.
/// `::` and `::1` are addresses of their own.
fn plain_embedding(segments: [u16; 8]) -> Option<Ipv4Addr> {
    let last = v4(segments[6], segments[7]);
    match segments {
        [0, 0, 0, 0, 0, 0xffff, ..]
        | [0, 0, 0, 0, 0xffff, 0, ..]
        | [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last),
        _ => None,
    }
}

/// IPv4 addresses that a wrapped address may reach besides its own: 6to4, both ends of Teredo, a local NAT64
/// (`64:ff9b:1::/48`, where the address sits depends on the site), the old compatible form, ISATAP.
fn tunnels(segments: [u16; 8]) -> [Option<Ipv4Addr>; 3] {
    let last = v4(segments[6], segments[7]);
    match segments {
        [0x2002, high, low, ..] => [Some(v4(high, low)), None, None],
        [0x2001, 0, high, low, _, _, client_high, client_low] => [
            Some(v4(high, low)),
            Some(v4(!client_high, !client_low)),
            None,
        ],
        [0x64, 0xff9b, 1, a, b, c, ..] => {
            // RFC 6052: behind a /48 the address is split around the byte that is always zero.
            let split = v4(a, (b & 0xff) << 8 | c >> 8);
            // Behind a /64 it stands in bits 72 to 103.
            let late = v4(
                (segments[4] & 0xff) << 8 | segments[5] >> 8,
                (segments[5] & 0xff) << 8 | segments[6] >> 8,
            );
            [Some(last), Some(split), Some(late)]
        }
        [0, 0, 0, 0, 0, 0, high, _] if high != 0 => [Some(last), None, None],
        [_, _, _, _, 0 | 0x0200, 0x5efe, ..] => [Some(last), None, None],
        _ => [None, None, None],
    }
}

fn v4(high: u16, low: u16) -> Ipv4Addr {
    Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low))
}

/// Names that mean an address without saying it: this machine, and metadata services of clouds. `None`: the
/// name must be looked up. `name` is lower-case and without a final dot.
#[must_use]
pub fn classify_name(name: &str) -> Option<Network> {
    const METADATA: [&str; 12] = [
        "metadata",
        "metadata.internal",
        "metadata.google.internal",
        "metadata.goog",
        "metadata.azure.internal",
        "metadata.azure.com",
        "metadata.tencentyun.com",
        "metadata.packet.net",
        "metadata.platformequinix.com",
        "metadata.oraclecloud.com",
        "instance-data",
        "instance-data.ec2.internal",
    ];
    if METADATA.contains(&name) {
        return Some(Network::CloudMetadata);
    }
    // The last ones are what containers call the machine that they run on.
    const LOOPBACK: [&str; 11] = [
        "localhost",
        "localhost6",
        "localhost.localdomain",
        "localhost6.localdomain6",
        "ip6-localhost",
        "ip6-loopback",
        "host.docker.internal",
        "gateway.docker.internal",
        "kubernetes.docker.internal",
        "host.containers.internal",
        "host.lima.internal",
    ];
    if LOOPBACK.contains(&name) || name.ends_with(".localhost") {
        return Some(Network::Loopback);
    }
    [
        "ip6-localnet",
        "ip6-mcastprefix",
        "ip6-allnodes",
        "ip6-allrouters",
    ]
    .contains(&name)
    .then_some(Network::NonRoutable)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Network::*;
    use proptest::prelude::*;

    #[test]
    fn each_range_has_its_kind() {
        for (address, expected) in [
            ("169.254.169.254", CloudMetadata),
            ("fd00:ec2::254", CloudMetadata),
            ("168.63.129.16", CloudMetadata),
            ("100.100.100.200", CloudMetadata),
            ("192.0.0.192", CloudMetadata),
            ("169.254.170.2", CloudMetadata),
            ("fd20:ce::254", CloudMetadata),
            ("169.254.169.123", CloudMetadata),
            ("169.254.169.253", CloudMetadata),
            ("169.254.170.3", CloudMetadata),
            ("169.254.171.255", CloudMetadata),
            ("fd00:ec2::253", CloudMetadata),
            ("fd00:ec2::123", CloudMetadata),
            ("169.254.168.255", LinkLocal),
            ("169.254.172.0", LinkLocal),
            ("fd00:ec3::253", Private),
            ("127.0.0.1", Loopback),
            ("127.255.255.255", Loopback),
            ("::1", Loopback),
            ("169.254.1.1", LinkLocal),
            ("fe80::1", LinkLocal),
            ("febf::1", LinkLocal),
            ("10.0.0.1", Private),
            ("172.16.0.1", Private),
            ("172.31.255.255", Private),
            ("192.168.1.1", Private),
            ("fc00::1", Private),
            ("fdff::1", Private),
            ("fec0::1", Private),
            ("0.0.0.0", NonRoutable),
            ("0.1.2.3", NonRoutable),
            ("100.64.0.1", NonRoutable),
            ("100.127.255.255", NonRoutable),
            ("192.0.0.1", NonRoutable),
            ("192.0.2.1", NonRoutable),
            ("198.18.0.1", NonRoutable),
            ("198.19.255.255", NonRoutable),
            ("198.51.100.1", NonRoutable),
            ("203.0.113.1", NonRoutable),
            ("224.0.0.1", NonRoutable),
            ("255.255.255.255", NonRoutable),
            ("::", NonRoutable),
            ("2001:db8::1", NonRoutable),
            ("ff02::1", NonRoutable),
            ("100::1", NonRoutable),
            ("3fff::1", NonRoutable),
            ("5f00::1", NonRoutable),
            ("8.8.8.8", Public),
            ("172.32.0.1", Public),
            ("100.128.0.1", Public),
            ("192.169.0.1", Public),
            ("2606:4700::1111", Public),
        ] {
            assert_eq!(classify(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn an_address_inside_an_address_is_found() {
        for (address, expected) in [
            ("::ffff:127.0.0.1", Loopback),
            ("::ffff:7f00:1", Loopback),
            ("::ffff:0:127.0.0.1", Loopback),
            ("::127.0.0.1", Loopback),
            ("64:ff9b::10.0.0.1", Private),
            ("64:ff9b::a9fe:a9fe", CloudMetadata),
            ("64:ff9b::8.8.8.8", Public),
            ("64:ff9b:1::a9fe:a9fe", CloudMetadata),
            ("64:ff9b:1:a9fe:a9:fe00::", CloudMetadata),
            ("64:ff9b:1:0:a9:fea9:fe00:0", CloudMetadata),
            ("64:ff9b:1::8.8.8.8", NonRoutable),
            ("2002:7f00:1::", Loopback),
            ("2002:a9fe:a9fe::1", CloudMetadata),
            ("2002:808:808::1", NonRoutable),
            // Teredo: the client is written inverted, the server plain.
            ("2001:0:4136:e378:8000:63bf:80ff:fffe", Loopback),
            ("2001:0:a9fe:a9fe:8000:63bf:3fff:fdd2", CloudMetadata),
            ("2001:0:808:808:8000:63bf:f7f7:f7f7", NonRoutable),
            ("fe80::5efe:10.0.0.1", LinkLocal),
            ("2606:4700::5efe:10.0.0.1", Private),
            ("2606:4700::200:5efe:169.254.169.254", CloudMetadata),
        ] {
            assert_eq!(classify(address.parse().unwrap()), expected, "{address}");
        }
    }

    #[test]
    fn names_that_need_no_look_up() {
        for (name, expected) in [
            ("localhost", Some(Loopback)),
            ("app.localhost", Some(Loopback)),
            ("ip6-loopback", Some(Loopback)),
            ("localhost6", Some(Loopback)),
            ("host.docker.internal", Some(Loopback)),
            ("gateway.docker.internal", Some(Loopback)),
            ("ip6-localnet", Some(NonRoutable)),
            ("metadata.internal", Some(CloudMetadata)),
            ("mcp.corp.internal", None),
            ("metadata.google.internal", Some(CloudMetadata)),
            ("instance-data", Some(CloudMetadata)),
            ("example.test", None),
            ("notlocalhost", None),
        ] {
            assert_eq!(classify_name(name), expected, "{name}");
        }
    }

    proptest! {
        /// Wrapping never opens: an IPv4 address is at least as closed inside any IPv6 form as it is alone.
        #[test]
        fn a_wrapped_address_is_never_freer(bits: u32, tail: u32) {
            let alone = classify(IpAddr::V4(Ipv4Addr::from_bits(bits)));
            let (high, low) = ((bits >> 16) as u16, bits as u16);
            let (tail_high, tail_low) = ((tail >> 16) as u16, tail as u16);
            for segments in [
                [0, 0, 0, 0, 0, 0xffff, high, low],
                [0, 0, 0, 0, 0xffff, 0, high, low],
                [0x64, 0xff9b, 0, 0, 0, 0, high, low],
                [0x64, 0xff9b, 1, 0, 0, 0, high, low],
                [0x2002, high, low, 0, tail_high, tail_low, 0, 1],
                [0x2001, 0, high, low, 0x8000, 0, tail_high, tail_low],
                [0x2001, 0, tail_high, tail_low, 0x8000, 0, !high, !low],
                [0x2606, 0x4700, tail_high, tail_low, 0, 0x5efe, high, low],
            ] {
                prop_assert!(classify(IpAddr::V6(segments.into())) <= alone, "{segments:x?}");
            }
        }

        #[test]
        fn what_the_standard_library_calls_special_is_not_public(bits: u32) {
            let address = Ipv4Addr::from_bits(bits);
            let special = address.is_loopback() || address.is_private() || address.is_link_local()
                || address.is_multicast() || address.is_broadcast() || address.is_documentation()
                || address.is_unspecified();
            prop_assert!(!special || classify(IpAddr::V4(address)) != Public);
        }
    }
}
