//! Sign-in: who asks, how a browser logs in, who is let in (03 §5.2, §5.4, §6; 04 §1.4, §1.5).
//!
//! | module | holds |
//! |---|---|
//! | [`sign_in`] | [`SignIn`]: the resolver chain, cookie → API token → mode |
//! | `login` | the routes below `/auth` and the callback |
//! | `browser` | cookie sessions, kept by the server; CSRF |
//! | `cookie` | cookies: reading, setting, signing |
//! | `proxy_headers` | headers that a proxy signs, v1 and v2 |
//! | `standing` | membership, the gates of admission, first use |
//! | `remembered` | what was verified a moment ago, forgotten when a credential changes |
//! | `back_off` | failed attempts |
//! | `redirect` | where a browser may be sent |
//! | [`source`] | the client's address behind trusted proxies |
//! | [`options`] | how a deployment signs people in |
//!
//! **Invariants.** Whatever is compared with a secret is compared in constant time; no secret stands in `Debug`,
//! an error or a log. Nothing is written before a request is allowed, but accounting. A credential that was revoked
//! counts no longer than [`options::AuthOptions::trust`], and not at all where wake-ups arrive.

mod back_off;
mod browser;
mod cookie;
mod login;
pub mod options;
mod proxy_headers;
mod redirect;
mod remembered;
pub mod sign_in;
pub mod source;
mod standing;

pub use options::{AuthOptions, CookieOptions, HeaderOptions, Mode};
pub use sign_in::{SignIn, SignInParts};
pub use source::TrustedProxies;
