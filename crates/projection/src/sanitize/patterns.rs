//! The redaction rules as linear-time regular expressions (01 §6.2).
//!
//! Case-insensitive means ASCII here, as in JavaScript without its `u` flag: `(?-u:…)`.

use regex::Regex;
use std::sync::LazyLock;

/// First folders that mark a POSIX path as local (step 9).
pub(super) const POSIX_ROOTS: [&str; 17] = [
    "Users",
    "home",
    "Volumes",
    "Library",
    "usr",
    "tmp",
    "private",
    "var",
    "opt",
    "etc",
    "workspaces",
    "workspace",
    "root",
    "mnt",
    "srv",
    "app",
    "data",
];

/// White space of JavaScript, as a class item.
macro_rules! space {
    () => {
        r"\t\n\x0b\x0c\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}"
    };
}

macro_rules! patterns {
    ($($(#[$doc:meta])* $name:ident = $pattern:expr;)*) => {$(
        $(#[$doc])*
        pub(super) static $name: LazyLock<Regex> = LazyLock::new(|| compiled($pattern));
    )*
    #[cfg(test)]
    pub(super) fn all() -> Vec<&'static Regex> { vec![$(&*$name,)*] }
    };
}

#[allow(clippy::expect_used)] // a constant pattern; `every_pattern_compiles` proves it
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a constant pattern compiles")
}

patterns! {
    /// Step 3: keeps `authorization:`, drops scheme and value.
    AUTHORIZATION = concat!(
        r#"((?i-u:authorization)["']?[", space!(), r"]*[:=][", space!(), r#"]*["']?)(?i-u:bearer|basic)["#,
        space!(), r"]+[^", space!(), r#""'`]+"#
    );
    /// Step 3: keeps the header's name.
    SIGNATURE = concat!(
        r"((?-u:\b)(?i-u:(?:x-open-cowork-gateway-webhook-|x-open-cowork-|x-slack-|stripe-)?signature)",
        r#"["']?["#, space!(), r"]*[:=][", space!(), r#"]*["']?)[^"#, space!(), r#""'`]{8,}"#
    );
    /// Step 4.
    TOKEN = concat!(
        r"ya29\.[A-Za-z0-9._-]+",
        r"|AIza[A-Za-z0-9_-]{35}",
        r"|(?-u:\b)xox[baprs]-[A-Za-z0-9-]{10,}",
        r"|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+",
        r"|gh[pousr]_[A-Za-z0-9_]{20,}",
        r"|github_pat_[A-Za-z0-9_]{20,}",
        r"|(?-u:\b)sk-[A-Za-z0-9_-]{20,}",
        r"|dapi[a-f0-9]{32}",
        r"|(?-u:\b)hf_[A-Za-z0-9]{20,}",
        r"|(?-u:\b)(?:occ|ocgw|ocw)_[A-Za-z0-9_-]{20,}",
        r"|(?:(?-u:\b)|bot)[0-9]{5,}:[A-Za-z0-9_-]{20,}",
        r"|GOCSPX-[A-Za-z0-9_-]+",
        r"|(?:AKIA|ASIA)[0-9A-Z]{16}",
        r"|(?-u:\b)(?:gsk|r8|npm|whsec|glsa|dckr_(?:pat|oat)|do[opr]_v1|(?:sk|rk)_(?:live|test))_[A-Za-z0-9_]{20,}",
        r"|(?-u:\b)(?:glpat|xai|tvly|nvapi|pplx|xapp|pypi)-[A-Za-z0-9_-]{20,}",
        r"|(?-u:\b)(?:SG|hvs)\.[A-Za-z0-9_-]{16,}(?:\.[A-Za-z0-9_-]{16,})?",
        r"|hooks\.slack\.com/services/[A-Za-z0-9/_-]{20,}|discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[A-Za-z0-9_-]{30,}",
        r"|(?:(?i-u:DefaultEndpointsProtocol|AccountName|(?:Blob|Queue|Table|File)?Endpoint|EndpointSuffix|",
        r"SharedAccessKeyName)=[^;", space!(), r#""'`]*;)*(?i-u:AccountKey|SharedAccessKey)=[^;"#, space!(),
        r#""'`]+(?:;[A-Za-z]+=[^;"#, space!(), r#""'`]*)*"#
    );
    /// Step 5: keeps the key.
    KEYED = concat!(
        r"([A-Za-z0-9_.-]*(?i-u:api[_ -]?key|access[_ -]?key|token|secret|password)[A-Za-z0-9_.-]*)",
        r#"["']?["#, space!(), r"]*[:=][", space!(), r#"]*(?:"[A-Za-z0-9+/=_-]{32,}"|'[A-Za-z0-9+/=_-]{32,}'|["']?[A-Za-z0-9+/=_-]{32,})"#
    );
    /// Step 6: values that our own secret store sealed.
    SEALED = concat!(r"(?-u:\b)(?:enc|plain):v1:[^", space!(), r#""'`,;]+"#);
    /// Step 6: references to secrets.
    SECRET_REF = concat!(
        r"(?i-u:(?:gcp-sm|aws-sm|azure-kv)://|https://[A-Za-z0-9-]+\.vault\.azure\.net/secrets/)[^",
        space!(), r#""'`]+"#
    );
    /// Step 6: keeps the URL up to its query.
    URL_QUERY = concat!(
        r"((?i-u:https?)://[^", space!(), r##""'`<>?#]+)\?[^"##, space!(), r##""'`<>#]+"##
    );
    /// Step 6.
    EMAIL = r"[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}";
    /// Step 7: keeps the prefix.
    HOME = concat!(
        r"(/Users|/home)/[^", space!(), r#""'`:]+|([A-Za-z]:\\{1,2}(?i-u:Users))\\{1,2}[^"#, space!(), r#""'`:]+"#
    );
    /// Step 8: keeps the scheme.
    USERINFO = concat!(r"([A-Za-z][A-Za-z0-9+.-]*://)[^", space!(), r##"/"'`?#]+@"##);
    /// Step 8.
    FILE_URL = concat!(r"(?i-u:file)://[^", space!(), r#""'`]+"#);
    /// Step 9, Windows and UNC: keeps the character before.
    WINDOWS_PATH = concat!(
        r#"(^|["#, space!(), r#"("'`=])(?:[A-Za-z]:[\\/]|\\\\[^"#, space!(), r#"\\"'`]+\\)[^"#, space!(), r#""'`)]*"#
    );
    /// Step 9, POSIX: keeps the character before.
    POSIX_PATH = concat!(
        r#"(^|["#, space!(), r#"("'`=])/(?:Users|home|Volumes|Library|usr|tmp|private|var|opt|etc|workspaces|workspace|root|mnt|srv|app|data)(?:/[^"#,
        space!(), r#""'`):]*)?"#
    );
    /// Exact mode: a secret-like query parameter keeps its name.
    SECRET_PARAMETER = concat!(
        r"([?&][A-Za-z0-9_.%-]*(?i-u:token|secret|password|passwd|api[_-]?key|access[_-]?key|credential|signature|(?-u:\b)sig|(?-u:\b)auth|(?-u:\b)key|(?-u:\b)code)=)[^",
        space!(), r##""'`&#]+"##
    );
}
