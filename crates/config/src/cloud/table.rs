//! The cloud's variables and the places that they set (02 §6).

use crate::overrides::{Kind, Override};

const POSITIVE: Kind = Kind::Whole(1, u64::MAX);

pub(super) const OVERRIDES: &[Override] = &[
    (
        "ALLOWED_EMAIL_DOMAINS",
        "/cloud/auth/allowedEmailDomains",
        Kind::List,
    ),
    ("OIDC_ISSUER_URL", "/cloud/auth/issuerUrl", Kind::Text),
    ("OIDC_CLIENT_ID", "/cloud/auth/clientId", Kind::Text),
    ("OIDC_CALLBACK_PATH", "/cloud/auth/callbackPath", Kind::Text),
    (
        "HEADER_AUTH_ALLOW_UNSIGNED",
        "/cloud/auth/headerAllowUnsigned",
        Kind::Flag,
    ),
    (
        "HEADER_AUTH_MAX_SIGNATURE_AGE_MS",
        "/cloud/auth/headerMaxSignatureAgeMs",
        POSITIVE,
    ),
    (
        "API_TOKEN_DEFAULT_TTL_MS",
        "/cloud/auth/apiTokens/defaultTtlMs",
        POSITIVE,
    ),
    (
        "API_TOKEN_MAX_TTL_MS",
        "/cloud/auth/apiTokens/maxTtlMs",
        POSITIVE,
    ),
    (
        "API_TOKEN_ALLOWED_SCOPES",
        "/cloud/auth/apiTokens/allowedScopes",
        Kind::List,
    ),
    (
        "OBJECT_STORE_BUCKET",
        "/cloud/storage/objectStore/bucket",
        Kind::Text,
    ),
    (
        "OBJECT_STORE_REGION",
        "/cloud/storage/objectStore/region",
        Kind::Text,
    ),
    (
        "OBJECT_STORE_ENDPOINT",
        "/cloud/storage/objectStore/endpoint",
        Kind::Text,
    ),
    (
        "OBJECT_STORE_PREFIX",
        "/cloud/storage/objectStore/prefix",
        Kind::Text,
    ),
    ("ABUSE_ENABLED", "/cloud/abuse/enabled", Kind::Flag),
    (
        "HTTP_RATE_LIMIT_ENABLED",
        "/cloud/abuse/httpRateLimit/enabled",
        Kind::Flag,
    ),
    (
        "HTTP_RATE_LIMIT_WINDOW_MS",
        "/cloud/abuse/httpRateLimit/windowMs",
        POSITIVE,
    ),
    (
        "HTTP_RATE_LIMIT_MAX_REQUESTS",
        "/cloud/abuse/httpRateLimit/maxRequests",
        POSITIVE,
    ),
    (
        "AUTH_BACKOFF_ENABLED",
        "/cloud/abuse/authBackoff/enabled",
        Kind::Flag,
    ),
    (
        "AUTH_BACKOFF_WINDOW_MS",
        "/cloud/abuse/authBackoff/windowMs",
        POSITIVE,
    ),
    (
        "AUTH_BACKOFF_MAX_FAILURES",
        "/cloud/abuse/authBackoff/maxFailures",
        POSITIVE,
    ),
    (
        "AUTH_BACKOFF_MS",
        "/cloud/abuse/authBackoff/backoffMs",
        POSITIVE,
    ),
    ("BILLING_ENABLED", "/cloud/billing/enabled", Kind::Flag),
    (
        "BILLING_DEFAULT_PLAN",
        "/cloud/billing/defaultPlanKey",
        Kind::Text,
    ),
    (
        "STRIPE_API_KEY_REF",
        "/cloud/billing/stripe/apiKeyRef",
        Kind::Text,
    ),
    (
        "STRIPE_WEBHOOK_SECRET_REF",
        "/cloud/billing/stripe/webhookSecretRef",
        Kind::Text,
    ),
    (
        "STRIPE_PRICE_ID",
        "/cloud/billing/stripe/defaultPriceId",
        Kind::Text,
    ),
    (
        "STRIPE_SUCCESS_URL",
        "/cloud/billing/stripe/successUrl",
        Kind::Text,
    ),
    (
        "STRIPE_CANCEL_URL",
        "/cloud/billing/stripe/cancelUrl",
        Kind::Text,
    ),
    (
        "STRIPE_PORTAL_RETURN_URL",
        "/cloud/billing/stripe/portalReturnUrl",
        Kind::Text,
    ),
    (
        "ENTITLEMENTS_ENABLED",
        "/cloud/entitlements/enabled",
        Kind::Flag,
    ),
];

pub(super) const CHOICES: &[(&str, &str, &[&str])] = &[
    (
        "ROLE",
        "/cloud/role",
        &["all-in-one", "web", "worker", "scheduler"],
    ),
    ("AUTH_MODE", "/cloud/auth/mode", &["none", "header", "oidc"]),
    (
        "OBJECT_STORE_KIND",
        "/cloud/storage/objectStore/kind",
        &[
            "filesystem",
            "s3",
            "gcs",
            "azure-blob",
            "digitalocean-spaces",
            "minio",
        ],
    ),
    (
        "BILLING_PROVIDER",
        "/cloud/billing/provider",
        &["none", "stub", "stripe"],
    ),
    (
        "ENTITLEMENTS_PROVIDER",
        "/cloud/entitlements/provider",
        &["none", "stripe", "custom"],
    ),
];
