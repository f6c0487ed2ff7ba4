//! The server's side of SCRAM-SHA-256 ([RFC 7677](https://www.rfc-editor.org/rfc/rfc7677)), for a single
//! user. Its password is random ASCII, so SASLprep has no effect.

use crate::secret::Secret;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pbkdf2::{
    hmac::{Hmac, KeyInit as _, Mac as _},
    pbkdf2_hmac_array,
    sha2::{Digest as _, Sha256},
};
use std::io;
use subtle::ConstantTimeEq as _;

pub(super) const MECHANISM: &str = "SCRAM-SHA-256";
/// The user's name.
pub(super) const USER: &str = "krt";
/// The fewest iterations that drivers accept. More would only protect a human password.
const ITERATIONS: u32 = 4096;

type Key = [u8; 32];

/// The keys that verify proofs.
#[derive(Debug)]
pub(super) struct Credentials {
    salt: String,
    stored_key: Key,
    server_key: Key,
}

/// A sign-in after its first message.
#[derive(Debug)]
pub(super) struct Conversation {
    /// Both nonces.
    nonce: String,
    /// The messages so far, which the proof covers.
    auth_message: String,
    /// The client's header, which it must repeat.
    header: String,
}

impl Credentials {
    pub(super) fn new(password: &Secret) -> io::Result<Self> {
        let mut salt = [0; 16];
        getrandom::fill(&mut salt).map_err(io::Error::other)?;
        Ok(Self::derive(password.reveal(), &salt, ITERATIONS))
    }

    fn derive(password: &str, salt: &[u8], rounds: u32) -> Self {
        let salted = pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, rounds);
        let stored_key = Sha256::digest(hmac(&salted, b"Client Key")).into();
        Self { salt: STANDARD.encode(salt), stored_key, server_key: hmac(&salted, b"Server Key") }
    }

    /// Reads the client's first message and returns the answer; `None` if it is not from the user.
    pub(super) fn start(&self, first: &str) -> io::Result<Option<(Conversation, String)>> {
        let mut nonce = [0; 18];
        getrandom::fill(&mut nonce).map_err(io::Error::other)?;
        Ok(self.answer(first, &STANDARD.encode(nonce), ITERATIONS))
    }

    fn answer(&self, first: &str, nonce: &str, rounds: u32) -> Option<(Conversation, String)> {
        // `n,,` or `y,,`: no channel binding, and no authorization identity.
        let bare = first.strip_prefix("n,,").or_else(|| first.strip_prefix("y,,"))?;
        let (user, client_nonce) = bare.strip_prefix("n=")?.split_once(",r=")?;
        if user != USER || client_nonce.is_empty() || client_nonce.contains(',') {
            return None;
        }
        let nonce = format!("{client_nonce}{nonce}");
        let answer = format!("r={nonce},s={},i={rounds}", self.salt);
        let auth_message = format!("{bare},{answer}");
        let header = STANDARD.encode(&first[..first.len() - bare.len()]);
        Some((Conversation { nonce, auth_message, header }, answer))
    }

    /// Reads the client's last message and returns the server's own proof; `None` if the client's is wrong.
    pub(super) fn finish(&self, conversation: &Conversation, last: &str) -> Option<String> {
        let (without_proof, proof) = last.rsplit_once(",p=")?;
        let expected = format!("c={},r={}", conversation.header, conversation.nonce);
        let proof: Key = STANDARD.decode(proof).ok()?.try_into().ok()?;
        let auth_message = format!("{},{without_proof}", conversation.auth_message);
        let signature = hmac(&self.stored_key, auth_message.as_bytes());
        let client_key: Vec<u8> = proof.iter().zip(signature).map(|(one, other)| one ^ other).collect();
        let matches = bool::from(Sha256::digest(client_key).as_slice().ct_eq(&self.stored_key));
        let server = || format!("v={}", STANDARD.encode(hmac(&self.server_key, auth_message.as_bytes())));
        (matches && without_proof == expected).then(server)
    }
}

fn hmac(key: &Key, text: &[u8]) -> Key {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any key fits");
    mac.update(text);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

    /// The example of RFC 7677, section 3, with our user's name.
    fn begun() -> (Credentials, Conversation, String) {
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").unwrap();
        let credentials = Credentials::derive("pencil", &salt, 4096);
        let (conversation, answer) =
            credentials.answer("n,,n=krt,r=rOprNGfwEbeRWgbNEkqO", NONCE, 4096).unwrap();
        (credentials, conversation, answer)
    }

    #[test]
    fn the_example_of_the_specification() {
        let (credentials, _, answer) = begun();
        assert_eq!(answer, format!("r=rOprNGfwEbeRWgbNEkqO{NONCE},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"));
        let conversation = Conversation {
            nonce: format!("rOprNGfwEbeRWgbNEkqO{NONCE}"),
            auth_message: format!("n=user,r=rOprNGfwEbeRWgbNEkqO,{answer}"),
            header: "biws".to_owned(),
        };
        let last =
            format!("c=biws,r=rOprNGfwEbeRWgbNEkqO{NONCE},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
        let proof = credentials.finish(&conversation, &last).unwrap();
        assert_eq!(proof, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn rejected_users() {
        let (credentials, conversation, _) = begun();
        for first in ["", "n,,", "p=tls-unique,,n=krt,r=a", "n,,n=admin,r=a", "n,,n=krt,r=", "n,,n=krt,r=a,b"]
        {
            assert!(credentials.answer(first, NONCE, 4096).is_none(), "{first}");
        }
        let nonce = format!("rOprNGfwEbeRWgbNEkqO{NONCE}");
        for last in [
            String::new(),
            format!("c=biws,r={nonce}"),
            format!("c=biws,r={nonce},p="),
            format!("c=biws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
            format!("c=eSws,r={nonce},p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        ] {
            assert!(credentials.finish(&conversation, &last).is_none(), "{last}");
        }
    }
}
