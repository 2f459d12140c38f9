//! May this address be called as an MCP server? (05 §7.4)
//!
//! Three steps, so that no name is looked up here: [`check`] judges the text, the host resolves the name of
//! the [`Endpoint`], [`Endpoint::admit`] judges every address that came back.
//!
//! What this can't do: OpenCode resolves an `https` name once more when it connects, and follows redirects by
//! itself. Between our look-up and its own, a hostile name server can answer differently; the certificate
//! check of TLS is what stands against that. Clear-text `http` is rewritten to the address that was judged.

use crate::mcp::address::{Network, classify, classify_name};
use ::url::{Host, Url};
use std::net::IpAddr;

/// Longest address, in bytes (05 §7.2).
const MAX_BYTES: usize = 4096;

/// Why an address may not be called. No message repeats the address: it may hold a token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlRefusal {
    /// Not a web address at all.
    #[error("The server's address is not a web address; write https://host/path.")]
    Malformed,
    /// Neither `http` nor `https`.
    #[error("The server's address must start with https:// or http://.")]
    Scheme,
    /// A user name or password is in it.
    #[error("The server's address holds a user name or password; send credentials as a header.")]
    Credentials,
    /// It leads where no server may be.
    #[error("The server's host leads to {}; {}.", network.words(), way_out(*network))]
    Blocked {
        /// Where it leads.
        network: Network,
    },
    /// The name could not be resolved, or resolves to nothing.
    #[error("The server's host {host} can't be resolved; check its name and your network.")]
    Unresolved {
        /// Name of the host.
        host: String,
    },
}

fn way_out(network: Network) -> &'static str {
    match network {
        Network::CloudMetadata => "that is never permitted",
        _ => "set allowPrivateNetwork if this server is meant to be there",
    }
}

/// An address whose text is fine.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    url: Url,
    host: String,
    literal: Option<IpAddr>,
    allow_private: bool,
}

impl std::fmt::Debug for Endpoint {
    /// Shows no path and no query: tokens live there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint")
            .field("host", &self.host)
            .finish_non_exhaustive()
    }
}

/// An address that may be registered.
#[derive(Clone, PartialEq, Eq)]
pub struct Admitted {
    /// What OpenCode gets to call.
    pub url: String,
    /// Value of the `Host` header; set when a clear-text address was rewritten to an IP.
    pub host_header: Option<String>,
    /// Every address that was judged.
    pub addresses: Vec<IpAddr>,
    /// The host as the user wrote it, canonical.
    pub host: String,
}

impl std::fmt::Debug for Admitted {
    /// Shows no path and no query: tokens live there.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admitted")
            .field("host", &self.host)
            .field("addresses", &self.addresses)
            .finish_non_exhaustive()
    }
}

/// Judges the text of an address. Every spelling of a host (hexadecimal, octal, one number, full-width digits,
/// final dots, capital letters) is brought to one form first.
pub fn check(text: &str, allow_private: bool) -> Result<Endpoint, UrlRefusal> {
    if text.len() > MAX_BYTES {
        return Err(UrlRefusal::Malformed);
    }
    let mut url = Url::parse(text.trim()).map_err(|_| UrlRefusal::Malformed)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(UrlRefusal::Scheme);
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(UrlRefusal::Credentials);
    }
    url.set_fragment(None);
    let (host, literal) = match url.host().ok_or(UrlRefusal::Malformed)? {
        Host::Ipv4(address) => (address.to_string(), Some(IpAddr::V4(address))),
        Host::Ipv6(address) => (address.to_string(), Some(IpAddr::V6(address))),
        Host::Domain(name) => {
            let name = name.trim_end_matches('.').to_ascii_lowercase();
            // Without its final dots it may turn out to be a number after all.
            let literal = name.parse::<IpAddr>().ok();
            (name, literal)
        }
    };
    if host.is_empty() {
        return Err(UrlRefusal::Malformed);
    }
    let network = match literal {
        Some(address) => Some(classify(address)),
        None => classify_name(&host),
    };
    if let Some(network) = network {
        permitted(network, allow_private)?;
    }
    Ok(Endpoint {
        url,
        host,
        literal,
        allow_private,
    })
}

impl Endpoint {
    /// The name to look up, and the port; `None`: the host is an IP address, or nothing is left to look up.
    #[must_use]
    pub fn to_resolve(&self) -> Option<(&str, u16)> {
        let port = self.url.port_or_known_default().unwrap_or(443);
        self.literal.is_none().then_some((self.host.as_str(), port))
    }

    /// The host, canonical; may be shown.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Judges what the name led to. No address at all is a refusal, with opt-in too; so is a single address
    /// that is not permitted.
    pub fn admit(&self, resolved: &[IpAddr]) -> Result<Admitted, UrlRefusal> {
        let addresses = self
            .literal
            .map_or_else(|| resolved.to_vec(), |address| vec![address]);
        let first = *addresses.first().ok_or_else(|| UrlRefusal::Unresolved {
            host: self.host.clone(),
        })?;
        for address in &addresses {
            permitted(classify(*address), self.allow_private)?;
        }
        let mut url = self.url.clone();
        let mut host_header = None;
        if url.scheme() == "http" && self.literal.is_none() {
            host_header = Some(match url.port() {
                Some(port) => format!("{}:{port}", self.host),
                None => self.host.clone(),
            });
            url.set_ip_host(first).map_err(|()| UrlRefusal::Malformed)?;
        }
        Ok(Admitted {
            url: url.into(),
            host_header,
            addresses,
            host: self.host.clone(),
        })
    }
}

fn permitted(network: Network, allow_private: bool) -> Result<(), UrlRefusal> {
    match network {
        Network::Public => Ok(()),
        Network::CloudMetadata => Err(UrlRefusal::Blocked { network }),
        _ if allow_private => Ok(()),
        _ => Err(UrlRefusal::Blocked { network }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn blocked(text: &str) -> Option<Network> {
        match check(text, false) {
            Err(UrlRefusal::Blocked { network }) => Some(network),
            _ => None,
        }
    }

    /// One address, written in every way that a URL parser or a C library understands.
    #[test]
    fn every_spelling_of_a_forbidden_host_is_refused() {
        for text in [
            "http://127.0.0.1",
            "http://127.1/",
            "http://127.0.1:80/x",
            "http://0x7f000001",
            "http://0x7f.0.0.1",
            "http://017700000001",
            "http://0177.0.0.1",
            "http://2130706433/",
            "https://127.0.0.1.",
            "http://127.0.0.1../",
            "http://\u{ff11}\u{ff12}\u{ff17}.0.0.1/",
            "http://127\u{3002}0\u{3002}0\u{3002}1/",
            "http://%31%32%37.0.0.1/",
            "HTTP://127.0.0.1/",
            "http:127.0.0.1",
            "http:\\\\127.0.0.1\\x",
            "http://[::1]/",
            "http://[0:0:0:0:0:0:0:1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://[2002:7f00:1::]/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://localhost.localdomain",
            " http://127.0.0.1 ",
            "http://127.0.0.1\t/",
        ] {
            assert_eq!(blocked(text), Some(Network::Loopback), "{text}");
        }
        for text in [
            "http://169.254.169.254/latest",
            "http://2852039166/",
            "http://0xa9fea9fe/",
            "http://[::ffff:a9fe:a9fe]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fd00:ec2::254]/",
            "http://metadata.google.internal./",
            "http://METADATA.goog",
        ] {
            assert_eq!(blocked(text), Some(Network::CloudMetadata), "{text}");
            assert!(check(text, true).is_err(), "also with opt-in: {text}");
        }
    }

    #[test]
    fn only_web_addresses_without_credentials() {
        for (text, expected) in [
            ("", UrlRefusal::Malformed),
            ("example.test", UrlRefusal::Malformed),
            ("https://", UrlRefusal::Malformed),
            ("https://./", UrlRefusal::Malformed),
            ("http://1.2.3.4.5/", UrlRefusal::Malformed),
            ("http://[fe80::1%25eth0]/", UrlRefusal::Malformed),
            ("file:///etc/passwd", UrlRefusal::Scheme),
            ("data:text/plain,x", UrlRefusal::Scheme),
            ("ws://a.test", UrlRefusal::Scheme),
            ("https://u:hunter2@a.test/", UrlRefusal::Credentials),
            ("https://127.0.0.1@a.test/", UrlRefusal::Credentials),
        ] {
            let refusal = check(text, true).unwrap_err();
            assert!(!refusal.to_string().contains("hunter2"));
            assert_eq!(refusal, expected, "{text}");
        }
    }

    #[test]
    fn a_name_that_leads_inside_is_refused() {
        let endpoint = check("https://mcp.example.test/sse", false).unwrap();
        assert_eq!(endpoint.to_resolve(), Some(("mcp.example.test", 443)));
        let public = "93.184.216.34".parse().unwrap();
        let inside = "10.0.0.7".parse().unwrap();
        assert_eq!(endpoint.admit(&[public]).unwrap().addresses, [public]);
        assert_eq!(
            endpoint.admit(&[public, inside]),
            Err(UrlRefusal::Blocked {
                network: Network::Private
            })
        );
        assert!(matches!(
            endpoint.admit(&[]),
            Err(UrlRefusal::Unresolved { .. })
        ));
    }

    #[test]
    fn opting_in_opens_private_networks_but_no_metadata() {
        let endpoint = check("https://mcp.corp.test", true).unwrap();
        assert!(endpoint.admit(&["10.0.0.7".parse().unwrap()]).is_ok());
        assert!(
            endpoint
                .admit(&["169.254.169.254".parse().unwrap()])
                .is_err()
        );
        assert!(endpoint.admit(&[]).is_err(), "an empty answer stays one");
        assert!(check("http://127.0.0.1:8080/mcp", true).is_ok());
    }

    #[test]
    fn clear_text_goes_to_the_address_that_was_judged() {
        let admitted = |text: &str, address: &str| {
            let endpoint = check(text, false).unwrap();
            endpoint.admit(&[address.parse().unwrap()]).unwrap()
        };
        let plain = admitted("http://mcp.example.test:8080/a?b=1#c", "93.184.216.34");
        assert_eq!(plain.url, "http://93.184.216.34:8080/a?b=1");
        assert_eq!(plain.host_header.as_deref(), Some("mcp.example.test:8080"));
        let six = admitted("http://mcp.example.test/", "2606:4700::1111");
        assert_eq!(six.url, "http://[2606:4700::1111]/");
        let tls = admitted("https://mcp.example.test/sse", "93.184.216.34");
        assert_eq!(tls.url, "https://mcp.example.test/sse");
        assert_eq!(tls.host_header, None);
    }

    #[test]
    fn debug_shows_no_path() {
        let endpoint = check("https://mcp.example.test/token-abc?key=def", false).unwrap();
        let admitted = endpoint.admit(&["93.184.216.34".parse().unwrap()]).unwrap();
        let shown = format!("{admitted:?} {endpoint:?}");
        assert!(!shown.contains("token-abc") && !shown.contains("def"));
    }

    proptest! {
        /// Whatever an IPv4 address is written as, the verdict is the same.
        #[test]
        fn spellings_of_one_address_are_judged_alike(bits: u32, opt_in: bool) {
            let [a, b, c, d] = bits.to_be_bytes();
            let verdict = check(&format!("http://{}/", Ipv4Addr::from_bits(bits)), opt_in).is_ok();
            for host in [
                format!("{bits}"), format!("{bits:#x}"), format!("0{bits:o}"),
                format!("{a}.{}", u32::from(b) << 16 | u32::from(c) << 8 | u32::from(d)),
                format!("{a:#x}.{b:#x}.{c:#x}.{d:#x}"), format!("{a}.{b}.{c}.{d}."),
                format!("[::ffff:{a}.{b}.{c}.{d}]"),
            ] {
                prop_assert_eq!(check(&format!("http://{host}/"), opt_in).is_ok(), verdict, "{}", host);
            }
        }

        #[test]
        fn no_text_panics(text in "\\PC*", opt_in: bool) {
            let _ = check(&text, opt_in);
            let _ = check(&format!("http://{text}"), opt_in);
        }
    }
}
