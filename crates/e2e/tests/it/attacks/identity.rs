//! Attacks on authorization: ended identities, tokens, guessed passwords.
//!
//! - [`streams`]: live streams end with the identity that opened them.
//! - [`tokens`]: tokens end with their parent and with the password, and never exceed their role.
//! - [`sign_in`]: attempts to sign in lock no user out, and take bounded memory and space.

mod sign_in;
mod streams;
mod tokens;
