//! Keys and tokens: 256 random bits with a prefix that tells people and secret scanners what they are, and a checksum
//! that tells a mistyped key from a revoked one without a look-up.
//!
//! Form: `<prefix>_<43 base-62 digits><6 base-62 digits of checksum>`. Only the SHA-256 of a key is stored for checking:
//! with 256 random bits there is nothing a slow hash could add.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Secret;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// 62^43 > 2^256.
const RANDOM_DIGITS: usize = 43;
/// 62^6 > 2^32.
const CHECK_DIGITS: usize = 6;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// For clients of deployed APIs.
    Api,
    /// For the operator of a local cluster.
    LocalAdmin,
}

impl KeyKind {
    const fn prefix(self) -> &'static str {
        match self {
            Self::Api => "ctxapi_",
            Self::LocalAdmin => "ctxadm_",
        }
    }

    /// Makes a key from 32 random bytes.
    pub fn key(self, random: [u8; 32]) -> Secret {
        let body = format!("{}{}", self.prefix(), base62(&random, RANDOM_DIGITS));
        let check = checksum(&body);
        Secret::new(body + &check)
    }

    /// A new random key.
    pub fn generate(self) -> Secret {
        self.key(rand::random())
    }

    /// Whether the text has the form and the checksum of such a key. Says nothing of whether it is a valid one.
    pub fn is_well_formed(self, text: &str) -> bool {
        let body_length = self.prefix().len() + RANDOM_DIGITS;
        text.is_ascii()
            && text.len() == body_length + CHECK_DIGITS
            && text.starts_with(self.prefix())
            && checksum(&text[..body_length]) == text[body_length..]
    }
}

/// What keys are compared by.
pub fn sha256(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Lower-case hex SHA-256: the stored form of a key.
pub fn sha256_hex(text: &str) -> String {
    hex::encode(sha256(text))
}

/// Whether `presented` hashes to `stored_sha256`, in a time that does not depend on where they differ.
pub fn verify_hash(presented: &str, stored_sha256: &str) -> bool {
    sha256_hex(presented).as_bytes().ct_eq(stored_sha256.as_bytes()).into()
}

fn checksum(body: &str) -> String {
    base62(&Sha256::digest(body.as_bytes())[..4], CHECK_DIGITS)
}

/// The bytes as one big-endian number in base 62, padded to `width` digits.
fn base62(bytes: &[u8], width: usize) -> String {
    let mut number = bytes.to_vec();
    let mut digits = vec![DIGITS[0]; width];
    for slot in digits.iter_mut().rev() {
        let mut remainder = 0u32;
        for byte in &mut number {
            let value = (remainder << 8) | u32::from(*byte);
            *byte = u8::try_from(value / 62).expect("the dividend is below 62 * 256");
            remainder = value % 62;
        }
        *slot = DIGITS[remainder as usize];
    }
    String::from_utf8(digits).expect("the digits are ASCII")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_recognised_and_a_mistyped_one_is_not() {
        let key = KeyKind::Api.generate();
        assert!(KeyKind::Api.is_well_formed(key.expose()));
        assert!(!KeyKind::LocalAdmin.is_well_formed(key.expose()));
        for position in [0, 10, key.expose().len() - 1] {
            let mut typo = key.expose().as_bytes().to_vec();
            typo[position] = if typo[position] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(typo).expect("still ASCII");
            assert!(!KeyKind::Api.is_well_formed(&typo), "a change at {position} went unnoticed");
        }
        assert!(!KeyKind::Api.is_well_formed(""));
        assert!(!KeyKind::Api.is_well_formed(&"ü".repeat(30)));
    }

    #[test]
    fn every_random_bit_reaches_the_key() {
        let zero = KeyKind::Api.key([0; 32]);
        for bit in 0..256 {
            let mut random = [0; 32];
            random[bit / 8] = 1 << (bit % 8);
            assert_ne!(KeyKind::Api.key(random), zero, "bit {bit} is lost");
        }
        assert!(zero.expose().starts_with(&format!("ctxapi_{}", "0".repeat(RANDOM_DIGITS))));
        let full = KeyKind::Api.key([0xff; 32]);
        assert!(KeyKind::Api.is_well_formed(full.expose()));
    }

    #[test]
    fn a_hash_verifies_its_own_key_only() {
        let key = KeyKind::LocalAdmin.generate();
        assert!(verify_hash(key.expose(), &sha256_hex(key.expose())));
        assert!(!verify_hash(key.expose(), &sha256_hex("another")));
        assert!(!verify_hash(key.expose(), ""));
    }

    #[test]
    fn a_secret_never_prints_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "[secret] [secret] Some([secret])");
    }
}
