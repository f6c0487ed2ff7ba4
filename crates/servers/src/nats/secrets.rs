//! User keys, and the JWTs of decentralized authorization: an operator signs accounts, an account signs
//! users. Each function writes a client's files and returns the server's configuration.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use nkeys::KeyPair;
use serde_json::{Value, json};
use std::{fs, path::Path, time::SystemTime};

/// One user, identified by an nkey, whose seed is written to `file`.
pub(super) fn nkey(file: &Path) -> String {
    let user = KeyPair::new_user();
    fs::write(file, user.seed().unwrap()).unwrap();
    format!("authorization {{ users: [ {{ nkey: {} }} ] }}\n", user.public_key())
}

/// One user of one account, whose credentials are written to `file`. The server needs the system account as
/// well, or it has no JetStream.
pub(super) fn credentials(file: &Path) -> String {
    let operator = KeyPair::new_operator();
    let (account, system, user) = (KeyPair::new_account(), KeyPair::new_account(), KeyPair::new_user());
    let limits = json!({"subs": -1, "data": -1, "payload": -1});
    let token = jwt(&account, &user, "user", &limits);
    fs::write(file, credentials_of(&token, &user.seed().unwrap())).unwrap();

    let account_limits = json!({"limits": {
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1, "mem_storage": -1, "disk_storage": -1, "streams": -1, "consumer": -1,
    }});
    // The system account may not have streams.
    let system_limits = json!({"limits": {
        "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
        "conn": -1, "leaf": -1,
    }});
    format!(
        "operator: {}\nsystem_account: {system}\nresolver: MEMORY\nresolver_preload {{\n  {account}: {}\n  {system}: {}\n}}\n",
        jwt(&operator, &operator, "operator", &json!({})),
        jwt(&operator, &account, "account", &account_limits),
        jwt(&operator, &system, "account", &system_limits),
        account = account.public_key(),
        system = system.public_key(),
    )
}

/// A JWT with the claims of `issuer` about `subject`, in version 2 of the format.
fn jwt(issuer: &KeyPair, subject: &KeyPair, kind: &str, claims: &Value) -> String {
    let mut nats = claims.clone();
    nats["type"] = kind.into();
    nats["version"] = 2.into();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let subject = subject.public_key();
    let body = json!({
        "jti": format!("{kind}-{subject}"), "iat": now, "iss": issuer.public_key(), "name": kind,
        "sub": subject, "nats": nats,
    });
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&json!({"typ": "JWT", "alg": "ed25519-nkey"})), part(&body));
    let signature = URL_SAFE_NO_PAD.encode(issuer.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

fn credentials_of(token: &str, seed: &str) -> String {
    format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    )
}
