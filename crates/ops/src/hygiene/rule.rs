//! What a hygiene rule is, and the one table of them (09 §14.2, §14.3).

use super::place::Place;
use super::verify::{self, Found};
use open_cowork_contracts::finding::Severity;
use regex::Regex;
use std::sync::LazyLock;

/// What kind of thing a rule looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// Something that opens a door: keys, tokens, passwords, private keys.
    Secret,
    /// Something that names a real account, tenant, customer or person.
    Identity,
    /// A host or path of one cloud provider.
    Provider,
    /// An amount of money.
    Price,
    /// A container image that may change under its name.
    Image,
    /// A name or claim that the public naming rules forbid.
    Name,
    /// The state of the file itself.
    File,
}

impl Class {
    /// The word that a finding prints.
    pub fn word(self) -> &'static str {
        match self {
            Class::Secret => "secret",
            Class::Identity => "identity",
            Class::Provider => "provider",
            Class::Price => "price",
            Class::Image => "image",
            Class::Name => "name",
            Class::File => "file",
        }
    }
}

/// In which files a rule looks (09 §14.3, "Where").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// In every text file, program source and tests included.
    Everywhere,
    /// In what a reader copies or deploys: templates, documents, examples.
    Templates,
    /// In prose, outside code blocks.
    Prose,
}

impl Scope {
    pub(super) fn covers(self, place: &Place) -> bool {
        match self {
            Scope::Everywhere => true,
            Scope::Templates => place.is_template,
            Scope::Prose => place.is_template && place.is_prose(),
        }
    }
}

/// One row of the table.
#[derive(Debug)]
pub struct Rule {
    /// Stable code of its findings.
    pub code: &'static str,
    /// What kind of thing it looks for.
    pub class: Class,
    /// Where it looks.
    pub scope: Scope,
    /// How bad a finding is.
    pub severity: Severity,
    /// What was found, as a noun phrase; it never quotes the value.
    pub what: &'static str,
    /// Why that is a problem.
    pub why: &'static str,
    /// What to write instead.
    pub help: &'static str,
    /// Its regular expressions; group 1, where there is one, is the value.
    pub(super) patterns: &'static [&'static str],
    /// Whether the match must not touch other letters or digits.
    pub(super) apart: bool,
    /// Decides about a match; `true` is a finding.
    pub(super) accepts: fn(&Found<'_>) -> bool,
}

/// The rules that the table's regular expressions can't hold: they read lines in context.
pub(super) const ASSIGNMENT: &Rule = &Rule {
    code: "HYGIENE_SECRET_ASSIGNMENT",
    class: Class::Secret,
    scope: Scope::Everywhere,
    severity: Severity::Error,
    what: "a value in a place that holds a secret",
    why: "a secret in a file is a secret in every copy and in the history of that file",
    help: "write a reference (`env:NAME`, `{env:NAME}`, `${NAME}`) or a whole placeholder such as `REPLACE_WITH_TOKEN`",
    patterns: &[],
    apart: false,
    accepts: verify::always,
};

pub(super) const ENTROPY: &Rule = &Rule {
    code: "HYGIENE_HIGH_ENTROPY",
    what: "a long random value beside a key-like name",
    ..Rule {
        patterns: &[],
        ..*ASSIGNMENT
    }
};

pub(super) const MUTABLE_TAG: &Rule = &Rule {
    code: "HYGIENE_MUTABLE_IMAGE_TAG",
    class: Class::Image,
    scope: Scope::Templates,
    severity: Severity::Error,
    what: "an image whose tag can change",
    why: "what was tested is not what runs next week",
    help: "name a release tag, better a digest: `name@sha256:…`",
    patterns: &[],
    apart: false,
    accepts: verify::always,
};

pub(super) const CATALOG_COUNT: &Rule = &Rule {
    code: "CLAIM_CATALOG_COUNT",
    class: Class::Name,
    scope: Scope::Prose,
    severity: Severity::Error,
    what: "a fixed number of built-in tools, skills or MCP servers",
    why: "the catalog changes with every release, the sentence doesn't",
    help: "leave the number out, or link to the list",
    patterns: &[
        r"(?i)\b((?:\d{1,3}|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve|fifteen|twenty|thirty|fifty|a hundred)\+? (?:built[- ]in|bundled|native|included) (?:tools?|skills?|mcp servers?|mcps))\b",
    ],
    apart: false,
    accepts: verify::always,
};

const SECRET: Rule = Rule {
    code: "",
    class: Class::Secret,
    scope: Scope::Everywhere,
    severity: Severity::Error,
    what: "",
    why: "whoever reads this file can act as its owner",
    help: "revoke it, remove it from the history, and refer to a secret store or the environment instead",
    patterns: &[],
    apart: true,
    accepts: verify::always,
};

const IDENTITY: Rule = Rule {
    class: Class::Identity,
    scope: Scope::Templates,
    why: "a public template must not name a real account, tenant, customer or person",
    help: "write a placeholder: `ACCOUNT_ID`, `PROJECT`, `<tenant id>`, `name@example.com`",
    ..SECRET
};

const PROVIDER: Rule = Rule {
    class: Class::Provider,
    why: "it ties the template to one provider's account or region",
    help: "write `https://….example.com`, or placeholders: `ACCOUNT_ID`, `REGION`, `PROJECT`",
    apart: false,
    ..IDENTITY
};

const NAME: Rule = Rule {
    class: Class::Name,
    scope: Scope::Everywhere,
    why: "it is not a public name of this product (09 §14.1)",
    apart: false,
    ..SECRET
};

/// All rules that a regular expression finds, the specific before the general: where two match the same
/// characters, the first one reports.
pub(super) const TABLE: &[Rule] = &[
    Rule {
        code: "HYGIENE_PRIVATE_KEY",
        what: "a private key in PEM or age form",
        patterns: &[
            r"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----",
            r"AGE-SECRET-KEY-1[0-9A-Z]{50,}",
            r"PuTTY-User-Key-File-[23]:",
        ],
        ..SECRET
    },
    Rule {
        code: "HYGIENE_AWS_KEY_ID",
        what: "an AWS access key id",
        patterns: &[r"(?:AKIA|ASIA)[0-9A-Z]{16}"],
        ..SECRET
    },
    Rule {
        code: "HYGIENE_GIT_HOST_TOKEN",
        what: "a token of GitHub or GitLab",
        patterns: &[
            r"gh[pousr]_[A-Za-z0-9]{20,}",
            r"github_pat_[A-Za-z0-9_]{20,}",
            r"gl(?:pat|ptt|dt|rt|cbt|soat|ft|imt|agent)-[A-Za-z0-9_=.-]{20,}",
            r"ATATT3[A-Za-z0-9_=-]{40,}",
        ],
        ..SECRET
    },
    Rule {
        code: "HYGIENE_PROVIDER_KEY",
        what: "a key of a model provider",
        patterns: &[
            r"sk-[A-Za-z0-9][A-Za-z0-9_-]{19,}",
            r"(?:csk-|gsk_|xai-|pplx-|nvapi-|fw_|tvly-|tgp_v1_)[A-Za-z0-9_-]{24,}",
            r"hf_[A-Za-z0-9]{20,}",
            r"r8_[A-Za-z0-9]{30,}",
            r"lsv2_[a-z]{2}_[a-f0-9]{32}[A-Za-z0-9_]*",
            r"dapi[a-f0-9]{32}",
        ],
        accepts: verify::is_random_tail,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_PAYMENT_KEY",
        what: "a key of a payment service",
        patterns: &[
            r"(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{10,}",
            r"whsec_[A-Za-z0-9+/=]{20,}",
            r"sq0(?:atp|csp)-[A-Za-z0-9_-]{22,}",
            r"shp(?:at|ca|pa|ss)_[a-fA-F0-9]{32}",
        ],
        ..SECRET
    },
    Rule {
        code: "HYGIENE_SLACK_TOKEN",
        what: "a token or webhook of a chat service",
        patterns: &[
            r"xox[abeprs]-[A-Za-z0-9-]{10,}",
            r"xapp-[0-9]-[A-Za-z0-9-]{10,}",
            r"hooks\.slack\.com/(?:services|workflows)/[A-Za-z0-9/_-]{20,}",
            r"discord(?:app)?\.com/api/webhooks/[0-9]{15,}/[A-Za-z0-9_-]{30,}",
            r"[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,}",
        ],
        accepts: verify::is_random_tail,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_TELEGRAM_TOKEN",
        what: "a Telegram bot token",
        patterns: &[
            r"[0-9]{8,10}:[A-Za-z0-9_-]{30,}",
            r"bot([0-9]{6,12}:[A-Za-z0-9_-]{30,})",
        ],
        accepts: verify::is_random_tail,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_GOOGLE_KEY",
        what: "a key or token of Google",
        patterns: &[
            r"AIza[A-Za-z0-9_-]{20,}",
            r"GOCSPX-[A-Za-z0-9_-]{10,}",
            r"ya29\.[A-Za-z0-9._-]{16,}",
            r"1//0[A-Za-z0-9_-]{30,}",
        ],
        ..SECRET
    },
    Rule {
        code: "HYGIENE_AZURE_KEY",
        what: "a key of Azure",
        patterns: &[
            r"(?i)(?:AccountKey|SharedAccessKey)=([A-Za-z0-9+/=]{20,})",
            r"[A-Za-z0-9_~.]{3}[78]Q~[A-Za-z0-9_~.-]{31,34}",
        ],
        accepts: verify::is_random_tail,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_SERVICE_TOKEN",
        what: "a token of a hosting, registry or mail service",
        patterns: &[
            r"npm_[A-Za-z0-9]{36}",
            r"pypi-[A-Za-z0-9_-]{50,}",
            r"dckr_(?:pat|oat)_[A-Za-z0-9_-]{20,}",
            r"do[opr]_v1_[a-f0-9]{64}",
            r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}",
            r"key-[0-9a-f]{32}",
            r"(?:SK|AC)[0-9a-f]{32}",
            r"hv[sb]\.[A-Za-z0-9_-]{24,}",
            r"[A-Za-z0-9]{14}\.atlasv1\.[A-Za-z0-9_-]{60,}",
            r"gl(?:sa|c)_[A-Za-z0-9+/=_-]{30,}",
            r"NRAK-[A-Z0-9]{27}",
            r"sntry[su]_[A-Za-z0-9+/=_-]{30,}",
            r"sb(?:p|_secret)_[A-Za-z0-9_-]{20,}",
            r"pscale_(?:tkn|pw|oauth)_[A-Za-z0-9_.=-]{30,}",
            r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
            r"dp\.(?:pt|st|ct|sa|scim|audit)\.[A-Za-z0-9._-]{30,}",
            r"lin_(?:api|oauth)_[A-Za-z0-9]{32,}",
            r"ntn_[A-Za-z0-9]{40,}",
            r"figd_[A-Za-z0-9_-]{20,}",
            r"FlyV1 fm[12]_[A-Za-z0-9+/=_-]{30,}",
        ],
        accepts: verify::is_random_tail,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_OWN_TOKEN",
        what: "a token that this product issued",
        patterns: &[
            r"(?:occ|ocgw|ocw)_[A-Za-z0-9_-]{20,}",
            r"(?:enc|plain):v1:[A-Za-z0-9+/=_-]{12,}",
        ],
        accepts: verify::is_random_tail,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_JWT",
        what: "a JSON web token",
        patterns: &[r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{6,}"],
        ..SECRET
    },
    Rule {
        code: "HYGIENE_URL_PASSWORD",
        what: "a password inside a URL",
        help: "take the whole URL from the environment or a secret store",
        patterns: &[
            r#"(?i)[a-z][a-z0-9+.-]{1,30}://[^\s:/@"'`<>]{0,128}:([^\s@"'`<>/]{1,256}|[^\s"'`]{0,64}\$\{[^}\s]{1,256}\}[^\s@"'`]{0,64})@[^\s/"'`@:?#]{1,253}"#,
        ],
        apart: false,
        accepts: verify::is_url_password,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_SIGNED_URL",
        what: "a signed URL",
        why: "whoever has the URL has what it opens",
        help: "link to the page that makes such URLs, or write `<signed URL>`",
        patterns: &[
            r#"(?i)[?&](?:AWSAccessKeyId|sig|signature)=([^\s&"'`<>)\\]{8,})[^\s"'`<>)\\]*"#,
            r#"[?&](?i:X-Amz-[A-Za-z-]+|X-Goog-[A-Za-z-]+)=([^\s"'`<>)\\]+)"#,
        ],
        apart: false,
        accepts: verify::is_no_placeholder,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_BEARER",
        what: "the value of an authorization header",
        patterns: &[
            r#"(?i)\bauthorization["']?[ \t]*[:=,][ \t]*["']?bearer[ \t]+([A-Za-z0-9_]{16,})"#,
            r"(?i)\bbearer[ \t]+([A-Za-z0-9._~+/=-]{16,})",
            r#"(?i)\bauthorization["']?[ \t]*[:=][ \t]*["']?basic[ \t]+([A-Za-z0-9+/=]{8,})"#,
        ],
        apart: false,
        accepts: verify::is_credential,
        ..SECRET
    },
    Rule {
        code: "HYGIENE_AWS_ARN",
        what: "an ARN of an account or a bucket",
        patterns: &[
            r"arn:aws[a-z-]*:[a-z0-9-]+:[a-z0-9-]*:([0-9]{12}):",
            r"arn:aws[a-z-]*:s3:::([a-z0-9.-]+)",
        ],
        apart: false,
        accepts: verify::is_arn_of_somebody,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_CLOUD_ACCOUNT",
        what: "a 12-digit number beside a word that names an account",
        patterns: &[
            r"(?i)(?:account|project|subscription|\baws\b|\barn\b|owner)[^\n0-9]{0,40}([0-9]{12})",
            r"([0-9]{12})[^\n0-9]{0,24}(?i:account|project|subscription)",
        ],
        accepts: verify::is_account,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_GCP_SECRET_PATH",
        what: "a Google secret path with a project",
        patterns: &[
            r"projects/([A-Za-z0-9_.:-]+)/secrets/",
            r"gcp-sm://(?:projects/)?([A-Za-z0-9_.:-]+)",
        ],
        apart: false,
        accepts: verify::is_no_placeholder,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_AZURE_VAULT",
        what: "the name of an Azure vault",
        patterns: &[
            r"(?i)https?://([a-z0-9-]+)\.vault\.azure\.net",
            r"azure-kv://([A-Za-z0-9-]+)",
        ],
        apart: false,
        accepts: verify::is_no_placeholder,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_PROVIDER_HOST",
        what: "a host of a cloud provider",
        patterns: &[
            r"(?i)((?:[a-z0-9_-]+\.)+(?:amazonaws\.com(?:\.cn)?|cloudfront\.net|azurewebsites\.net|azurecontainerapps\.io|azure-api\.net|(?:blob|file|queue|table|dfs|database|servicebus|search|redis\.cache)\.(?:core\.)?windows\.net|vault\.azure\.net|azurecr\.io|openai\.azure\.com|ondigitalocean\.app|digitaloceanspaces\.com|run\.app|cloudfunctions\.net|appspot\.com|firebaseio\.com|herokuapp\.com|fly\.dev|vercel\.app|netlify\.app|onrender\.com|up\.railway\.app|supabase\.co|r2\.cloudflarestorage\.com|workers\.dev|neon\.tech|ngrok(?:-free)?\.app|ngrok\.io))",
            r"(?i)((?:[a-z0-9-]+-docker\.pkg\.dev|(?:[a-z]+\.)?gcr\.io|storage\.googleapis\.com|storage\.cloud\.google\.com|registry\.digitalocean\.com|public\.ecr\.aws)/[a-z0-9_.-]+)",
        ],
        accepts: verify::is_provider_host,
        ..PROVIDER
    },
    Rule {
        code: "HYGIENE_BILLING_ID",
        what: "an id of a payment service",
        patterns: &[r"(?:price|prod|acct|cus|sub|prctbl|plink)_[A-Za-z0-9]{8,}"],
        accepts: verify::is_billing_id,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_UUID",
        what: "a UUID that is neither nil nor a documented sample",
        patterns: &[r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"],
        accepts: verify::is_private_uuid,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_IDENTITY_LABEL",
        what: "a customer or private domain by name",
        patterns: &[
            r#"(?i)\b(?:customer[ _-]?(?:name|e-?mail|domain)|private[ _-]?domain)["'*`]*\s*[:=]\s*["'*`]*([^\s"'*`,;]+)"#,
        ],
        apart: false,
        accepts: verify::is_label_value,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_EMAIL",
        what: "an e-mail address outside the example domains",
        patterns: &[r"[A-Za-z0-9._%+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}"],
        accepts: verify::is_private_email,
        ..IDENTITY
    },
    Rule {
        code: "HYGIENE_PRICE",
        class: Class::Price,
        what: "an amount of money",
        why: "prices belong into the operator's private records, and a copied one is soon wrong",
        help: "name the plan, and let the operator's billing adapter hold the amount",
        patterns: &[
            r"(?i)([$€£]\s?\d[\d,.]*)\s?(?:/|per\b|an?\b|each\b)\s?(?:user|seat|member|month|mo\b|year|yr\b|annum|day|hour|org|workspace|token|session)",
            r"(?i)\b(?:price|costs?|fee|plan|subscription)\b[^\n$]{0,24}(\$\d{2,}[\d,.]*)",
            r"(\$\d{1,3}(?:,\d{3})*\.\d{2})\b",
            r"([€£]\s?\d[\d,.]*)",
            r"(?:\b(?:USD|EUR|GBP|CHF)\s?(\d[\d,]*(?:\.\d+)?))",
            r"(\b\d[\d,]*(?:\.\d+)?\s?(?:USD|EUR|GBP|CHF))\b",
            r#"(?i)\b(?:unit_?amount(?:_?decimal)?|(?:amount|price)_?(?:in_?)?cents|(?:monthly|yearly|annual|list|seat)_?price|price_?per_?[a-z]+)["']?\s*[:=]\s*["']?([1-9]\d*(?:\.\d+)?)"#,
        ],
        apart: false,
        ..IDENTITY
    },
    Rule {
        code: "NAME_LEGACY_PRODUCT",
        what: "the name of the product before this one",
        help: "write \"Open Cowork Gateway\"; only migration notes may use the old name",
        patterns: &[r"(?i)\bopencode[ -]gateway\b"],
        accepts: verify::is_outside_migration,
        ..NAME
    },
    Rule {
        code: "NAME_UNHYPHENATED",
        what: "the product's name as one word",
        help: "write \"Open Cowork\" in text and `open-cowork` in names of files, images and commands",
        patterns: &[r"(?i)open[c]owork"],
        apart: true,
        accepts: verify::is_unhyphenated_name,
        ..NAME
    },
    Rule {
        code: "NAME_RESERVED_ARTIFACT",
        what: "an artefact or a claim for a reserved product name",
        why: "Open Cowork Mobile and Open Cowork Teams are reserved names; nothing exists under them",
        help: "leave it out until the product exists",
        patterns: &[
            r"(?i)[a-z0-9.-]+/[a-z0-9._/-]*open-cowork-(?:mobile|teams)\b",
            r"(?i)open cowork (?:mobile|teams)[^\n.]{0,60}\b(?:available|download|install|released|shipp|app store)",
            r"(?i)\b(?:download|install|get) open cowork (?:mobile|teams)\b",
        ],
        accepts: verify::is_claim,
        ..NAME
    },
    Rule {
        code: "DOC_CONFLICT_MARKER",
        class: Class::File,
        what: "a conflict marker of a merge",
        why: "the file is half of one version and half of another",
        help: "finish the merge",
        patterns: &[r"(?m)^(?:<{7}|>{7}) \S"],
        ..NAME
    },
];

/// What a rule of this code means, for whoever prints findings or documents them.
pub fn rule(code: &str) -> Option<&'static Rule> {
    all().find(|rule| rule.code == code)
}

/// Every rule that looks at text, in the order of their precedence.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    TABLE
        .iter()
        .chain([CATALOG_COUNT, MUTABLE_TAG, ASSIGNMENT, ENTROPY])
}

/// A rule with its compiled expressions.
pub(super) struct Compiled {
    pub(super) rule: &'static Rule,
    pub(super) patterns: Vec<Regex>,
}

/// The table, compiled once.
pub(super) static COMPILED: LazyLock<Vec<Compiled>> = LazyLock::new(|| {
    let table = TABLE.iter().chain([CATALOG_COUNT]);
    table
        .map(|rule| Compiled {
            rule,
            patterns: rule.patterns.iter().map(|text| compile(text)).collect(),
        })
        .collect()
});

/// A constant pattern; `every_pattern_compiles` proves it. Words and digits are ASCII, which is many times
/// faster and what tokens and ids are made of.
#[allow(clippy::expect_used)]
pub(super) fn compile(pattern: &str) -> Regex {
    let ascii = pattern.replace(r"\b", r"(?-u:\b)").replace(r"\d", "[0-9]");
    Regex::new(&ascii).expect("a constant pattern compiles")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(COMPILED.len(), TABLE.len() + 1);
    }

    #[test]
    fn codes_are_unique_and_every_rule_says_what_why_and_what_to_do() {
        let codes: BTreeSet<_> = all().map(|rule| rule.code).collect();
        assert_eq!(codes.len(), all().count());
        for rule in all() {
            assert!(
                !rule.code.is_empty() && !rule.what.is_empty(),
                "{}",
                rule.code
            );
            assert!(
                !rule.why.is_empty() && !rule.help.is_empty(),
                "{}",
                rule.code
            );
        }
    }
}
