//! Which variables may a server be given? None that changes which code runs, or whom that code trusts (05 §7.3).
//!
//! Allowed on purpose: variables that **add** a certificate authority (`NODE_EXTRA_CA_CERTS`, `SSL_CERT_FILE`,
//! `SSL_CERT_DIR`, `REQUESTS_CA_BUNDLE`, `DENO_CERT`), since companies that inspect TLS can't work without them,
//! and proxies. What turns the check of certificates off is refused.

use super::stdio::{MAX_COUNT, StdioRefusal};

/// Longest name of a variable, in bytes (05 §7.2).
const NAME_BYTES: usize = 256;

/// Refused names. Go's are listed one by one: `GOOGLE_API_KEY` starts with `GO` too.
const NAMES: &[&str] = &[
    // Where programs, homes and settings are.
    "PATH PATHEXT COMSPEC HOME USERPROFILE APPDATA LOCALAPPDATA SHELL ZDOTDIR IFS ENV BASH_ENV SHELLOPTS BASHOPTS",
    "PROMPT_COMMAND SSH_ASKPASS GCONV_PATH SSLKEYLOGFILE",
    // JavaScript.
    "NODE_OPTIONS NODE_PATH NODE_REPL_EXTERNAL_MODULE NODE_COMPILE_CACHE NODE_TLS_REJECT_UNAUTHORIZED",
    "DENO_DIR DENO_INSTALL_ROOT DENO_V8_FLAGS JSR_URL",
    // Python.
    "VIRTUAL_ENV CONDA_PREFIX",
    // Ruby, Perl, PHP, Java.
    "RUBYOPT RUBYLIB RUBYPATH RUBYSHELL PERL5OPT PERL5LIB PERL5DB PHPRC PHP_INI_SCAN_DIR",
    "CLASSPATH JAVA_HOME JAVA_TOOL_OPTIONS JDK_JAVA_OPTIONS _JAVA_OPTIONS",
    // Go and the compilers that it starts.
    "GOAUTH GOBIN GOCACHE GOCACHEPROG GODEBUG GOENV GOEXPERIMENT GOFLAGS GOINSECURE GOMODCACHE GONOPROXY",
    "GONOSUMCHECK GONOSUMDB GOPATH GOPRIVATE GOPROXY GOROOT GOSUMDB GOTMPDIR GOTOOLCHAIN GOTOOLDIR GOVCS GOWORK",
    "GCCGO AR CC CXX FC PKG_CONFIG",
];

const PREFIXES: &str = "\
    LD_ DYLD_ PYTHON NPM_CONFIG_ PNPM_ COREPACK_ BUN_ UV_ PIP_ GEM_ BUNDLE_ CGO_ OPENSSL_ DOTNET_ CORECLR_ LUA_ \
    GIT_ XDG_ OPENCODE_";

/// Exceptions from the prefixes: output and names of environments change no code, and servers need them.
const HARMLESS: &str = "\
    PYTHONUNBUFFERED PYTHONIOENCODING PYTHONUTF8 PYTHONDONTWRITEBYTECODE DOTNET_ENVIRONMENT \
    DOTNET_CLI_TELEMETRY_OPTOUT";

/// Judges the names of a server's variables. Capital letters or small ones: Windows does not tell them apart, and
/// npm reads both.
pub fn check_environment<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), StdioRefusal> {
    for (index, name) in names.into_iter().enumerate() {
        if index == MAX_COUNT || name.len() > NAME_BYTES {
            return Err(StdioRefusal::TooLong {
                place: "The server's environment".into(),
                limit: format!("{MAX_COUNT} variables with names of {NAME_BYTES} bytes"),
            });
        }
        if !is_name(name) || changes_code(&name.to_ascii_uppercase()) {
            return Err(StdioRefusal::Environment {
                name: name.escape_debug().to_string(),
            });
        }
    }
    Ok(())
}

fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

fn changes_code(upper: &str) -> bool {
    let mut names = NAMES.iter().flat_map(|line| line.split_ascii_whitespace());
    let mut prefixes = PREFIXES.split_ascii_whitespace();
    let mut harmless = HARMLESS.split_ascii_whitespace();
    names.any(|name| name == upper)
        || (prefixes.any(|prefix| upper.starts_with(prefix)) && !harmless.any(|name| name == upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_change_the_code_are_refused() {
        for name in [
            "LD_PRELOAD",
            "NODE_OPTIONS",
            "node_options",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PATH",
            "BASH_ENV",
            "RUBYOPT",
            "JAVA_TOOL_OPTIONS",
            "OPENCODE_SERVER_PASSWORD",
            "GOCACHEPROG",
            "GOAUTH",
            "CC",
            "CXX",
            "CGO_CFLAGS",
            "PKG_CONFIG",
            "DOTNET_STARTUP_HOOKS",
            "CORECLR_PROFILER_PATH",
            "LUA_INIT",
            "LUA_INIT_5_4",
            "PERL5DB",
            "RUBYSHELL",
            "SSH_ASKPASS",
            "OPENSSL_MODULES",
            "OPENSSL_ENGINES",
            "OPENSSL_CONF",
            "NODE_COMPILE_CACHE",
            "A=B",
            "",
            "1A",
        ] {
            assert!(check_environment([name]).is_err(), "{name}");
        }
    }

    #[test]
    fn variables_that_move_settings_or_registries_are_refused() {
        for name in [
            "npm_config_registry",
            "UV_INDEX_URL",
            "GOENV",
            "GOSUMDB",
            "GOPROXY",
            "XDG_CONFIG_HOME",
            "APPDATA",
            "USERPROFILE",
            "JSR_URL",
            "COREPACK_NPM_REGISTRY",
            "BUN_CONFIG_REGISTRY",
            "BUN_INSTALL",
            "BUNDLE_GEMFILE",
            "GEM_HOME",
            "GEM_PATH",
            "JAVA_HOME",
            "VIRTUAL_ENV",
            "CONDA_PREFIX",
            "ZDOTDIR",
            "PHPRC",
        ] {
            assert!(check_environment([name]).is_err(), "{name}");
        }
    }

    #[test]
    fn certificates_may_be_added_but_not_ignored() {
        assert!(check_environment(["NODE_TLS_REJECT_UNAUTHORIZED"]).is_err());
        assert!(check_environment(["GIT_SSL_NO_VERIFY"]).is_err());
        for name in [
            "NODE_EXTRA_CA_CERTS",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "REQUESTS_CA_BUNDLE",
            "DENO_CERT",
            "HTTPS_PROXY",
        ] {
            assert!(check_environment([name]).is_ok(), "{name}");
        }
    }

    #[test]
    fn what_servers_ask_for_is_no_code() {
        for name in [
            "API_TOKEN",
            "GITHUB_PERSONAL_ACCESS_TOKEN",
            "GOOGLE_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOMAXPROCS",
            "GITLAB_TOKEN",
            "BUNNY_API_KEY",
            "GEMINI_API_KEY",
            "NODE_ENV",
            "CCXT_KEY",
            "PYTHONUNBUFFERED",
            "PYTHONDONTWRITEBYTECODE",
            "DOTNET_ENVIRONMENT",
            "TZ",
            "LANG",
        ] {
            assert!(check_environment([name]).is_ok(), "{name}");
        }
    }
}
