//! Removing secrets and private paths from one string (01 §6.2).

use super::patterns::{
    AUTHORIZATION, EMAIL, FILE_URL, HOME, KEYED, POSIX_PATH, SEALED, SECRET_PARAMETER, SECRET_REF,
    SIGNATURE, TOKEN, URL_QUERY, USERINFO, WINDOWS_PATH,
};
use super::screen::{Suspicions, screen};
use memchr::{memchr2, memmem};
use regex::Regex;
use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

/// Longest string that is looked at, in UTF-16 units (step 1).
const MAX_UNITS: usize = 262_144;
/// Most hints of managed paths, and the longest of them in characters (step 8).
const MAX_MANAGED_PATHS: usize = 64;
const MAX_MANAGED_PATH_CHARS: usize = 4096;

/// Removes secrets. Holds the secret values of this process, which are handed in: this crate reads no
/// environment (decision 14). Clones share what they know.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// Longest first, each once.
    secrets: Arc<RwLock<Vec<Secret>>>,
}

/// A value that no debug output shows.
#[derive(PartialEq)]
struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[REDACTED_SECRET]")
    }
}

/// How much of a string goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redaction {
    /// Everything of 01 §6.2: secrets, e-mail addresses, queries, private paths.
    Full,
    /// The exact action that a person approves (decision 8): only secrets go, paths stay.
    ExactAction,
}

impl Redactor {
    /// The names of the environment values that the contract asks for (01 §6.2 step 2).
    pub const ENVIRONMENT: [&'static str; 4] = [
        "DATABRICKS_TOKEN",
        "GOOGLE_WORKSPACE_CLI_TOKEN",
        "OPENCODE_CONFIG_CONTENT",
        "OPENCODE_SERVER_PASSWORD",
    ];

    /// A redactor that also knows these secret values; blank ones are ignored, longer ones are looked for
    /// first.
    pub fn new<I>(secrets: I) -> Self
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let redactor = Redactor::default();
        redactor.learn(secrets);
        redactor
    }

    /// From now on these values are removed too: a key that is entered while the process runs is as secret as
    /// one that it started with. Nothing is ever forgotten, because a replaced key may still turn up.
    pub fn learn<I>(&self, secrets: I)
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        let mut known = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        for secret in secrets.into_iter().map(|secret| Secret(secret.into())) {
            if !crate::coerce::is_blank(&secret.0) && !known.contains(&secret) {
                known.push(secret);
            }
        }
        known.sort_by_key(|Secret(secret)| std::cmp::Reverse(secret.len()));
    }

    /// The string without secrets; borrowed when nothing had to go.
    pub fn redact<'a>(&self, text: &'a str, redaction: Redaction) -> Cow<'a, str> {
        self.redact_managed(text, redaction, &[])
    }

    /// The same, with paths that the runtime manages (step 8).
    pub(super) fn redact_managed<'a>(
        &self,
        text: &'a str,
        redaction: Redaction,
        managed: &[&str],
    ) -> Cow<'a, str> {
        let mut text = cut(text);
        let secrets = self.secrets.read().unwrap_or_else(PoisonError::into_inner);
        for Secret(secret) in secrets.iter() {
            replace_literal(&mut text, secret, "[REDACTED_SECRET]");
        }
        drop(secrets);
        let found = screen(&text);
        let has_query =
            redaction == Redaction::ExactAction && memchr2(b'?', b'&', text.as_bytes()).is_some();
        if found.is_empty() && managed.is_empty() && !has_query {
            return text;
        }
        let mut pass = Pass {
            text,
            found,
            rescan: screen,
        };
        pass.run(redaction, managed);
        pass.text
    }
}

/// A string on its way through the rules, with the rules that may still match.
struct Pass<'a> {
    text: Cow<'a, str>,
    found: Suspicions,
    rescan: fn(&str) -> Suspicions,
}

impl Pass<'_> {
    fn run(&mut self, redaction: Redaction, managed: &[&str]) {
        let full = redaction == Redaction::Full;
        self.replace(Suspicions::HEADER, &AUTHORIZATION, "${1}[REDACTED_TOKEN]");
        self.replace(Suspicions::HEADER, &SIGNATURE, "${1}[REDACTED_SIGNATURE]");
        self.replace(Suspicions::TOKEN, &TOKEN, "[REDACTED_TOKEN]");
        self.replace(Suspicions::KEYED, &KEYED, "${1}=[REDACTED_TOKEN]");
        self.replace(Suspicions::SEALED, &SEALED, "[REDACTED_SECRET]");
        self.replace(Suspicions::SEALED, &SECRET_REF, "[REDACTED_SECRET_REF]");
        if full {
            self.replace(Suspicions::URL, &URL_QUERY, "${1}?[REDACTED_QUERY]");
            self.replace(Suspicions::EMAIL, &EMAIL, "[REDACTED_EMAIL]");
            self.replace(Suspicions::HOME, &HOME, "${1}${2}/[REDACTED_HOME]");
            for path in managed.iter().take(MAX_MANAGED_PATHS) {
                if !crate::coerce::is_blank(path) && path.chars().count() <= MAX_MANAGED_PATH_CHARS
                {
                    replace_literal(&mut self.text, path, "[REDACTED_MANAGED_PATH]");
                }
            }
            if !managed.is_empty() {
                self.found = (self.rescan)(&self.text);
            }
        } else {
            self.replace_always(&SECRET_PARAMETER, "${1}[REDACTED_TOKEN]");
        }
        self.replace(Suspicions::URL, &USERINFO, "${1}[REDACTED_USERINFO]@");
        if full {
            self.replace(Suspicions::URL, &FILE_URL, "[REDACTED_LOCAL_FILE_URL]");
            self.replace(Suspicions::PATH, &WINDOWS_PATH, "${1}[REDACTED_LOCAL_PATH]");
            self.replace(Suspicions::PATH, &POSIX_PATH, "${1}[REDACTED_LOCAL_PATH]");
        }
    }

    fn replace(&mut self, when: Suspicions, pattern: &Regex, with: &str) {
        if self.found.has(when) {
            self.replace_always(pattern, with);
        }
    }

    fn replace_always(&mut self, pattern: &Regex, with: &str) {
        if let Cow::Owned(replaced) = pattern.replace_all(&self.text, with) {
            // What is left may touch in new ways, so look again.
            self.found = (self.rescan)(&replaced);
            self.text = Cow::Owned(replaced);
        }
    }
}

fn replace_literal(text: &mut Cow<'_, str>, needle: &str, with: &str) {
    if needle.is_empty() || memmem::find(text.as_bytes(), needle.as_bytes()).is_none() {
        return;
    }
    *text = Cow::Owned(text.replace(needle, with));
}

fn cut(text: &str) -> Cow<'_, str> {
    // A string never has more UTF-16 units than bytes.
    if text.len() <= MAX_UNITS {
        return Cow::Borrowed(text);
    }
    let mut units = 0;
    for (at, c) in text.char_indices() {
        units += c.len_utf16();
        if units > MAX_UNITS {
            return Cow::Owned(format!("{}…[truncated]", &text[..at]));
        }
    }
    Cow::Borrowed(text)
}

#[cfg(test)]
#[allow(clippy::needless_pass_by_value)] // JSON literals read better without a borrow
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn full(text: &str) -> String {
        Redactor::default()
            .redact(text, Redaction::Full)
            .into_owned()
    }

    fn exact(text: &str) -> String {
        Redactor::default()
            .redact(text, Redaction::ExactAction)
            .into_owned()
    }

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(super::super::patterns::all().len(), 14);
    }

    #[test]
    fn ordinary_text_is_not_copied() {
        for text in [
            "cargo test -p app: 12 passed; 0 failed (in 0.3 s)",
            "fn main() { println!(\"{:?}\", a.b()); } // see src/main.rs",
            "max = 5, min: 3, half_done - task-list disk-usage",
            "",
        ] {
            let redactor = Redactor::default();
            assert!(
                matches!(redactor.redact(text, Redaction::Full), Cow::Borrowed(_)),
                "{text}"
            );
            assert_eq!(full(text), text);
        }
    }

    #[test]
    fn the_secret_values_of_this_process_go_first() {
        let redactor = Redactor::new(["hunter2", " ", "hunter2-long"]);
        assert_eq!(
            redactor.redact("a hunter2-long b hunter2", Redaction::ExactAction),
            "a [REDACTED_SECRET] b [REDACTED_SECRET]"
        );
        assert!(!format!("{redactor:?}").contains("hunter2"));
    }

    #[test]
    fn a_secret_that_is_learned_later_goes_too_and_in_every_clone() {
        let redactor = Redactor::new(["first-value"]);
        let clone = redactor.clone();
        redactor.learn(["first-value-and-more", "", "first-value"]);
        assert_eq!(
            clone.redact("first-value-and-more first-value", Redaction::Full),
            "[REDACTED_SECRET] [REDACTED_SECRET]"
        );
        assert!(!format!("{clone:?}").contains("first"));
    }

    #[test]
    fn authorization_and_signatures_keep_their_name() {
        assert_eq!(
            full("Authorization: Bearer abc.def"),
            "Authorization: [REDACTED_TOKEN]"
        );
        assert_eq!(
            full(r#"{"authorization":"Basic dTpw"}"#),
            r#"{"authorization":"[REDACTED_TOKEN]"}"#
        );
        assert_eq!(
            full("X-Slack-Signature: v0=0123456789"),
            "X-Slack-Signature: [REDACTED_SIGNATURE]"
        );
        assert_eq!(full("signature: short"), "signature: short");
    }

    #[test]
    fn well_known_tokens_go() {
        let twenty = "a1b2c3d4e5f6a7b8c9d0";
        for token in [
            "ya29.abc-DEF".to_owned(),
            format!("AIza{twenty}{}", &twenty[..15]),
            "xoxb-1234567890".to_owned(),
            "eyJhbGciOi.eyJzdWIi.c2ln".to_owned(),
            format!("ghp_{twenty}"),
            format!("github_pat_{twenty}"),
            format!("sk-or-v1-{twenty}"),
            format!("sk-ant-{twenty}"),
            format!("sk-{twenty}"),
            format!("dapi{}", "0123456789abcdef".repeat(2)),
            format!("hf_{twenty}"),
            format!("occ_{twenty}"),
            format!("ocgw_{twenty}"),
            format!("ocw_{twenty}"),
            format!("12345:{twenty}"),
            "GOCSPX-abc".to_owned(),
            "AKIAABCDEFGHIJKLMNOP".to_owned(),
            format!("ASIA{}", "ABCDEFGHIJKLMNOP"),
            format!("gsk_{twenty}"),
            format!("r8_{twenty}"),
            format!("npm_{twenty}"),
            format!("sk_{}_{twenty}", "live"),
            format!("rk_{}_{twenty}", "test"),
            format!("whsec_{twenty}"),
            format!("dckr_pat_{twenty}"),
            format!("dop_v1_{twenty}"),
            format!("glsa_{twenty}"),
            format!("glpat-{twenty}"),
            format!("xai-{twenty}"),
            format!("tvly-{twenty}"),
            format!("nvapi-{twenty}"),
            format!("pplx-{twenty}"),
            format!("xapp-1-{twenty}"),
            format!("pypi-{twenty}"),
            format!("SG.{twenty}.{twenty}"),
            format!("hvs.{twenty}"),
            format!("hooks.slack.com/services/T0/B0/{twenty}"),
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=abc==;EndpointSuffix=core.windows.net".to_owned(),
        ] {
            assert_eq!(full(&format!("use {token} now")), "use [REDACTED_TOKEN] now", "{token}");
            assert_eq!(exact(&format!("use {token} now")), "use [REDACTED_TOKEN] now", "{token}");
        }
    }

    #[test]
    fn a_long_value_behind_a_secret_like_key_goes() {
        let value = "0123456789abcdef0123456789abcdef";
        assert_eq!(
            full(&format!("MY_API_KEY = {value}")),
            "MY_API_KEY=[REDACTED_TOKEN]"
        );
        assert_eq!(
            full(&format!(r#"{{"clientSecret":"{value}"}}"#)),
            r#"{"clientSecret=[REDACTED_TOKEN]}"#
        );
        assert_eq!(
            full(&format!("digest: {value}")),
            format!("digest: {value}")
        );
        assert_eq!(full("token: short"), "token: short");
    }

    #[test]
    fn sealed_values_references_queries_and_addresses_go() {
        assert_eq!(full("x enc:v1:AbC== y"), "x [REDACTED_SECRET] y");
        assert_eq!(full("plain:v1:pw"), "[REDACTED_SECRET]");
        assert_eq!(full("gcp-sm://p/s/1"), "[REDACTED_SECRET_REF]");
        assert_eq!(
            full("https://v.vault.azure.net/secrets/x/1"),
            "[REDACTED_SECRET_REF]"
        );
        assert_eq!(
            full("see https://x.org/a?b=c#d"),
            "see https://x.org/a?[REDACTED_QUERY]#d"
        );
        assert_eq!(
            full("mail a.b@example.org now"),
            "mail [REDACTED_EMAIL] now"
        );
    }

    #[test]
    fn private_paths_go() {
        assert_eq!(
            full("open /home/me/x.txt now"),
            "open [REDACTED_LOCAL_PATH] now"
        );
        assert_eq!(full("(/usr/bin)"), "([REDACTED_LOCAL_PATH])");
        assert_eq!(full(r"at C:\Users\me\x"), "at [REDACTED_LOCAL_PATH]");
        assert_eq!(full(r"\\server\share\x"), "[REDACTED_LOCAL_PATH]");
        assert_eq!(full("at:/home/me/x:12"), "at:/home/[REDACTED_HOME]:12");
        assert_eq!(full("file:///srv/x"), "[REDACTED_LOCAL_FILE_URL]");
        assert_eq!(full("src/main.rs and /other/x"), "src/main.rs and /other/x");
        assert_eq!(
            full("postgres://u:p@db/x"),
            "postgres://[REDACTED_USERINFO]@db/x"
        );
    }

    #[test]
    fn an_exact_action_keeps_its_paths_and_loses_its_secrets() {
        assert_eq!(
            exact("rm -rf /home/me/build a@b.org"),
            "rm -rf /home/me/build a@b.org"
        );
        assert_eq!(
            exact("curl https://u:pw@x.org/?q=rust"),
            "curl https://[REDACTED_USERINFO]@x.org/?q=rust"
        );
        assert_eq!(
            exact("curl https://x.org/?q=a&token=abc&n=1"),
            "curl https://x.org/?q=a&token=[REDACTED_TOKEN]&n=1"
        );
        assert_eq!(
            exact("curl -H 'Authorization: Bearer x'"),
            "curl -H 'Authorization: [REDACTED_TOKEN]'"
        );
    }

    #[test]
    fn managed_paths_go_wherever_they_stand() {
        let redactor = Redactor::default();
        assert_eq!(
            redactor.redact_managed("at:/odd/place/x", Redaction::Full, &["/odd/place", " "]),
            "at:[REDACTED_MANAGED_PATH]/x"
        );
    }

    #[test]
    fn a_huge_string_is_cut_first() {
        let text = "é".repeat(MAX_UNITS + 1);
        let cut = full(&text);
        assert!(cut.ends_with("…[truncated]"));
        assert_eq!(
            cut.chars().count(),
            MAX_UNITS + "…[truncated]".chars().count()
        );
    }

    #[test]
    fn hostile_text_costs_linear_time() {
        let unit = [
            "@a.",
            "a:",
            "/usr",
            "token=",
            "https://x?",
            "\\\\",
            "\u{3000}",
            "sk-",
            "eyJa.",
        ];
        let started = std::time::Instant::now();
        for piece in unit {
            full(&piece.repeat(200_000 / piece.len()));
        }
        // A quadratic rule needs minutes for these; the limit is far from both.
        assert!(started.elapsed().as_secs() < 30);
    }

    fn fragments() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "authorization",
            "Signature",
            ":",
            "=",
            " ",
            "\"",
            "'",
            "Bearer ",
            "basic ",
            "ya29.",
            "AIza",
            "xoxb-",
            "eyJ",
            ".",
            "ghp_",
            "github_pat_",
            "sk-",
            "dapi",
            "hf_",
            "occ_",
            "12345",
            "GOCSPX-",
            "AKIA",
            "ASIA",
            "gsk_",
            "r8_",
            "npm_",
            "whsec_",
            "glsa_",
            "dckr_pat_",
            "dop_v1_",
            "rk_live_",
            "sk_test_",
            "glpat-",
            "xai-",
            "tvly-",
            "nvapi-",
            "pplx-",
            "xapp-",
            "pypi-",
            "SG.",
            "hvs.",
            "hooks.slack.com/services/",
            "discord.com/api/webhooks/",
            "a1b2c3d4e5f6a7b8c9d0",
            "AccountKey",
            "api_key",
            "token",
            "password",
            "enc:v1:",
            "gcp-sm://",
            "https://",
            "x.vault.azure.net",
            "/secrets/",
            "?",
            "&",
            "a@b.org",
            "@",
            "/Users/",
            "/home/",
            "C:\\Users\\",
            "c:/",
            "\\\\",
            "\\",
            "file://",
            "/usr",
            "/app",
            "x",
            "\u{3000}",
            "é",
            "`",
            "(",
            "0123456789abcdef0123456789abcdef",
            "ABCDEFGHIJKLMNOP",
            "abcdefghijklmnopqrst",
            "\u{85}",
            "\n",
            "%",
            "#",
            ";",
        ]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(ProptestConfig::default().cases.max(2000)))]

        #[test]
        fn the_screen_never_hides_a_match(text in fragments()) {
            for redaction in [Redaction::Full, Redaction::ExactAction] {
                let mut pass = Pass {
                    text: Cow::Borrowed(text.as_str()),
                    found: Suspicions::ALL,
                    rescan: |_| Suspicions::ALL,
                };
                pass.run(redaction, &[]);
                prop_assert_eq!(&Redactor::default().redact(&text, redaction), &pass.text);
            }
        }

        #[test]
        fn no_private_path_survives_at_the_start_of_a_word(name in "[a-z]{1,8}") {
            let text = format!("cat /home/{name}/x");
            prop_assert_eq!(full(&text), "cat [REDACTED_LOCAL_PATH]");
        }
    }
}
