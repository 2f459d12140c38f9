//! JSON Web Keys (RFC 7517, 7518, 8037): which algorithms a key may serve, and the check itself.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature;
use serde::Deserialize;
use serde_json::Value;

/// Keys of a set beyond this many are not looked at.
const MOST_KEYS: usize = 64;

/// Signature algorithms that count. `none` and the symmetric ones don't exist here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Ps256,
    Ps384,
    Ps512,
    Es256,
    Es384,
    EdDsa,
}

impl Algorithm {
    /// By its registered name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "RS256" => Self::Rs256,
            "RS384" => Self::Rs384,
            "RS512" => Self::Rs512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "EdDSA" | "Ed25519" => Self::EdDsa,
            _ => return None,
        })
    }
}

#[derive(Debug)]
enum Material {
    /// Modulus and exponent, big endian. The verifier refuses fewer than 2048 bits.
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    /// Uncompressed points.
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// One public key.
#[derive(Debug)]
pub(super) struct Key {
    kid: Option<String>,
    /// When the set says it: the only algorithm.
    alg: Option<Algorithm>,
    material: Material,
}

#[derive(Deserialize)]
struct Jwk {
    kty: String,
    kid: Option<String>,
    #[serde(rename = "use")]
    usage: Option<String>,
    key_ops: Option<Vec<String>>,
    alg: Option<String>,
    crv: Option<String>,
    n: Option<String>,
    e: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

/// The usable signature keys of a set; others are passed over. `None`: it is no set.
pub(super) fn parse_set(document: &Value) -> Option<Vec<Key>> {
    let entries = document.get("keys")?.as_array()?;
    Some(entries.iter().take(MOST_KEYS).filter_map(parse).collect())
}

fn parse(entry: &Value) -> Option<Key> {
    let jwk = Jwk::deserialize(entry).ok()?;
    if jwk.usage.as_deref().is_some_and(|usage| usage != "sig") {
        return None;
    }
    if jwk
        .key_ops
        .as_ref()
        .is_some_and(|ops| !ops.iter().any(|op| op == "verify"))
    {
        return None;
    }
    let alg = match &jwk.alg {
        // A key for an algorithm that doesn't count is no key.
        Some(name) => Some(Algorithm::parse(name)?),
        None => None,
    };
    let bytes = |text: &Option<String>| URL_SAFE_NO_PAD.decode(text.as_deref()?).ok();
    let point = |length: usize| {
        let (x, y) = (bytes(&jwk.x)?, bytes(&jwk.y)?);
        (x.len() == length && y.len() == length).then(|| [&[4], x.as_slice(), &y].concat())
    };
    let material = match (jwk.kty.as_str(), jwk.crv.as_deref()) {
        ("RSA", _) => Material::Rsa {
            n: without_leading_zeros(&bytes(&jwk.n)?),
            e: without_leading_zeros(&bytes(&jwk.e)?),
        },
        ("EC", Some("P-256")) => Material::P256(point(32)?),
        ("EC", Some("P-384")) => Material::P384(point(48)?),
        ("OKP", Some("Ed25519")) => Material::Ed25519(bytes(&jwk.x)?),
        _ => return None,
    };
    Some(Key {
        kid: jwk.kid,
        alg,
        material,
    })
}

fn without_leading_zeros(bytes: &[u8]) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes[zeros..].to_vec()
}

impl Key {
    /// Whether the set calls it so.
    pub(super) fn is_called(&self, kid: &str) -> bool {
        self.kid.as_deref() == Some(kid)
    }

    /// Whether this key made the signature, by this algorithm. A key of another kind didn't.
    pub(super) fn verifies(&self, algorithm: Algorithm, message: &[u8], signed: &[u8]) -> bool {
        if self.alg.is_some_and(|only| only != algorithm) {
            return false;
        }
        match (&self.material, algorithm) {
            (Material::Rsa { n, e }, _) => rsa(algorithm).is_some_and(|parameters| {
                signature::RsaPublicKeyComponents { n, e }
                    .verify(parameters, message, signed)
                    .is_ok()
            }),
            (Material::P256(point), Algorithm::Es256) => {
                plain(&signature::ECDSA_P256_SHA256_FIXED, point, message, signed)
            }
            (Material::P384(point), Algorithm::Es384) => {
                plain(&signature::ECDSA_P384_SHA384_FIXED, point, message, signed)
            }
            (Material::Ed25519(key), Algorithm::EdDsa) => {
                plain(&signature::ED25519, key, message, signed)
            }
            _ => false,
        }
    }
}

fn rsa(algorithm: Algorithm) -> Option<&'static signature::RsaParameters> {
    Some(match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::EdDsa => return None,
    })
}

fn plain(
    algorithm: &'static dyn signature::VerificationAlgorithm,
    key: &[u8],
    message: &[u8],
    signed: &[u8],
) -> bool {
    signature::UnparsedPublicKey::new(algorithm, key)
        .verify(message, signed)
        .is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn keys_that_cannot_verify_signatures_are_passed_over() {
        let set = json!({"keys": [
            {"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "use": "enc"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "alg": "RSA-OAEP"},
            {"kty": "RSA", "n": "AQAB", "e": "AQAB", "key_ops": ["encrypt"]},
            {"kty": "EC", "crv": "P-256", "x": "AQAB", "y": "AQAB"},
            {"kty": "EC", "crv": "secp256k1", "x": "AQAB", "y": "AQAB"},
            {"kty": "OKP", "crv": "X25519", "x": "AQAB"},
            "text", null, {"n": 1}
        ]});
        assert!(parse_set(&set).unwrap().is_empty());
        assert!(parse_set(&json!([])).is_none());
        assert!(parse_set(&json!({"keys": {}})).is_none());
    }

    #[test]
    fn a_set_is_read_up_to_its_bound() {
        let key = json!({"kty": "OKP", "crv": "Ed25519", "x": "AQAB"});
        let set = json!({ "keys": vec![key; 1000] });
        assert_eq!(parse_set(&set).unwrap().len(), MOST_KEYS);
    }

    #[test]
    fn a_short_rsa_key_verifies_nothing() {
        let set = json!({"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB"}]});
        let keys = parse_set(&set).unwrap();
        assert!(!keys[0].verifies(Algorithm::Rs256, b"message", &[0; 256]));
    }
}
