//! Where the servers are, who we are there, and what the subject is called.

use super::NatsError;
use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret as _, SecretString};
use std::fmt;
use url::Url;

/// The servers of a deployment and our credentials, parsed from one text such as
/// `nats://user:password@one:4222,nats://two:4222`. Neither `Debug` nor `Display` shows a secret.
#[derive(Clone)]
pub struct NatsAddress {
    /// Without user and password: the client's log names them.
    servers: Vec<ServerAddr>,
    credentials: Credentials,
    tls: bool,
}

#[derive(Clone)]
enum Credentials {
    None,
    User(String, SecretString),
    Token(SecretString),
}

impl NatsAddress {
    /// Parses servers between commas, each `nats://` or (encrypted, with the roots of the machine) `tls://`, with
    /// `user:password@` or `token@` at one of them at least when they ask for it; both percent-encoded.
    ///
    /// # Errors
    /// [`NatsError::Address`].
    pub fn parse(text: &SecretString) -> Result<Self, NatsError> {
        let wrong = |problem| Err(NatsError::Address { problem });
        let mut servers = Vec::new();
        let mut credentials: Option<Credentials> = None;
        for entry in text.expose_secret().split(',').map(str::trim) {
            let Ok(url) = entry.parse::<Url>() else {
                return wrong("can't be read");
            };
            if !matches!(url.scheme(), "nats" | "tls") {
                return wrong("begins with neither nats:// nor tls://");
            }
            let bare = matches!(url.path(), "" | "/");
            if !bare || url.query().is_some() || url.fragment().is_some() {
                return wrong("says more than a host and a port");
            }
            let Some(host) = url.host_str().filter(|host| !host.is_empty()) else {
                return wrong("names no host");
            };
            if let Some(found) = Credentials::of(&url)? {
                match &credentials {
                    Some(known) if !known.equals(&found) => {
                        return wrong("holds two different users");
                    }
                    _ => credentials = Some(found),
                }
            }
            let port = url.port().unwrap_or(4222);
            let Ok(server) = format!("{}://{host}:{port}", url.scheme()).parse::<ServerAddr>()
            else {
                return wrong("can't be read");
            };
            servers.push(server);
        }
        let tls = servers.iter().any(ServerAddr::tls_required);
        if tls && !servers.iter().all(ServerAddr::tls_required) {
            return wrong("mixes nats:// and tls://");
        }
        Ok(NatsAddress {
            servers,
            credentials: credentials.unwrap_or(Credentials::None),
            tls,
        })
    }

    pub(super) fn servers(&self) -> &[ServerAddr] {
        &self.servers
    }

    /// What a connection is made with.
    pub(super) fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new()
            .require_tls(self.tls)
            // The list is the operator's; a server that nobody named doesn't get the password.
            .ignore_discovered_servers();
        match &self.credentials {
            Credentials::None => options,
            Credentials::User(user, password) => {
                options.user_and_password(user.clone(), password.expose_secret().to_owned())
            }
            Credentials::Token(token) => options.token(token.expose_secret().to_owned()),
        }
    }
}

impl Credentials {
    fn of(url: &Url) -> Result<Option<Self>, NatsError> {
        let decoded = |text: &str| {
            let text = percent_decode_str(text).decode_utf8();
            text.map(String::from).map_err(|_| NatsError::Address {
                problem: "has a user or password that is not UTF-8",
            })
        };
        let user = decoded(url.username())?;
        Ok(match url.password() {
            Some(password) => Some(Credentials::User(user, decoded(password)?.into())),
            None if user.is_empty() => None,
            None => Some(Credentials::Token(user.into())),
        })
    }

    fn equals(&self, other: &Self) -> bool {
        let parts = |credentials: &Self| match credentials {
            Credentials::None => None,
            Credentials::User(user, secret) => {
                Some((Some(user.clone()), secret.expose_secret().to_owned()))
            }
            Credentials::Token(secret) => Some((None, secret.expose_secret().to_owned())),
        };
        parts(self) == parts(other)
    }
}

/// The servers, without user and password.
impl fmt::Display for NatsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, server) in self.servers.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            write!(f, "{comma}{}", server.as_url_str())?;
        }
        Ok(())
    }
}

impl fmt::Debug for NatsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NatsAddress({self})")
    }
}

/// The first words of the subject, of which each deployment on a server has its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubjectPrefix(String);

impl SubjectPrefix {
    /// What holds where nobody says anything else.
    pub const DEFAULT: &'static str = "open-cowork";

    /// Parses words of letters, digits, `-` and `_` with dots between them, at most 128 characters.
    ///
    /// # Errors
    /// [`NatsError::Prefix`].
    pub fn parse(text: &str) -> Result<Self, NatsError> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let is_word = |word: &str| !word.is_empty() && word.bytes().all(plain);
        if text.len() > 128 || !text.split('.').all(is_word) {
            return Err(NatsError::Prefix);
        }
        Ok(SubjectPrefix(text.to_owned()))
    }

    /// The subject of wake-ups.
    #[must_use]
    pub fn wake_ups(&self) -> String {
        format!("{}.wake-ups", self.0)
    }
}

impl Default for SubjectPrefix {
    fn default() -> Self {
        SubjectPrefix(Self::DEFAULT.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(text: &str) -> Result<NatsAddress, NatsError> {
        NatsAddress::parse(&SecretString::from(text))
    }

    #[test]
    fn an_address_shows_servers_and_no_secret() {
        for (text, shown) in [
            ("nats://127.0.0.1", "nats://127.0.0.1:4222"),
            (
                "nats://me:canary@one:1,nats://two:2/",
                "nats://one:1,nats://two:2",
            ),
            (
                "tls://canary@[::1]:7 , tls://two",
                "tls://[::1]:7,tls://two:4222",
            ),
            ("nats://me:c%40nary%2C@one", "nats://one:4222"),
        ] {
            let address = parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(format!("{address:?}"), format!("NatsAddress({shown})"));
        }
    }

    #[test]
    fn user_password_and_token_are_decoded() {
        let address = parse("nats://m%65:c%40nary%2C@one,nats://two").unwrap();
        let Credentials::User(user, password) = &address.credentials else {
            panic!("no user");
        };
        assert_eq!((user.as_str(), password.expose_secret()), ("me", "c@nary,"));
        let address = parse("nats://s3cret@one").unwrap();
        assert!(
            matches!(&address.credentials, Credentials::Token(token) if token.expose_secret() == "s3cret")
        );
        let same = "nats://me:a@one,nats://me:a@two";
        assert!(matches!(
            parse(same).unwrap().credentials,
            Credentials::User(..)
        ));
    }

    #[test]
    fn what_is_no_address_is_said_without_repeating_it() {
        for text in [
            "",
            "canary",
            "http://canary@host",
            "nats://",
            "nats://me:canary@one/path",
            "nats://me:canary@one?x=canary",
            "nats://me:canary@one,nats://me:other-canary@two",
            "nats://me:canary@one,tls://two",
            "nats://me:can,ary@one",
            "nats://me:canary@one:70000",
            "nats://%ff:canary@one",
            "ws://me:canary@one",
        ] {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("ary"), "{text}: {error}");
            assert!(!format!("{error:?}").contains("ary"), "{text}: {error:?}");
        }
    }

    #[test]
    fn a_prefix_is_words_with_dots() {
        assert_eq!(SubjectPrefix::default().wake_ups(), "open-cowork.wake-ups");
        assert_eq!(
            SubjectPrefix::parse("acme.cowork_2").unwrap().wake_ups(),
            "acme.cowork_2.wake-ups"
        );
        for text in [
            "", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "$SYS", "a\r\nPUB",
        ] {
            assert_eq!(SubjectPrefix::parse(text), Err(NatsError::Prefix), "{text}");
        }
        assert!(SubjectPrefix::parse(&"a".repeat(129)).is_err());
    }

    proptest! {
        #[test]
        fn no_text_panics_and_no_secret_shows(text in "\\PC{0,40}", secret in "[a-z]{12}") {
            let _ = parse(&text);
            for text in [format!("nats://u:{secret}@{text}"), format!("nats://{secret}@h{text}")] {
                match parse(&text) {
                    Ok(address) => prop_assert!(!address.to_string().contains(&secret)),
                    Err(error) => prop_assert!(!error.to_string().contains(&secret)),
                }
            }
        }
    }
}
