//! Signing in at an OpenID provider, by OpenID Connect's authorization code flow with PKCE.
//!
//! - `pending`: sign-ins that were begun.
//! - `claims`: what an ID token says of a user.
//! - `http`: how the provider is asked.

mod claims;
mod http;
mod pending;

pub use pending::PATIENCE;

use claims::{Claims, More};
use http::Http;
use krt_registry::{Role, Vouched};
use openidconnect::{
    AuthenticationFlow, AuthorizationCode, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields,
    EndpointMaybeSet, EndpointNotSet, EndpointSet, IdTokenFields, IssuerUrl, Nonce, PkceCodeChallenge,
    RedirectUrl, Scope, StandardErrorResponse, StandardTokenResponse, TokenResponse as _,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreProviderMetadata, CoreResponseType,
        CoreRevocableToken, CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use pending::{Begun, Pending};
use std::{
    error::Error as StdError,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// How long what the provider says of itself is believed: its keys change, and are told before.
const BELIEVED: Duration = Duration::from_secs(300);
/// Where the provider sends browsers back to, below the dashboard's address.
pub const CALLBACK: &str = "/api/v1/session/openid/callback";

type Fields = IdTokenFields<
    More,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
/// The library's client, as it is when the provider has told its endpoints.
type Endpoints = Client<
    More,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    StandardTokenResponse<Fields, CoreTokenType>,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// How users are known by a provider.
#[derive(Clone)]
pub struct Settings {
    /// The provider's address: what its discovery document is below of.
    pub issuer: String,
    /// As whom this server is known there.
    pub client: String,
    /// What proves it; public clients have none.
    pub secret: Option<String>,
    /// Where browsers reach the dashboard, without a path: `https://krt.example.com`.
    pub dashboard: String,
    /// What the provider is called on the sign-in page.
    pub name: String,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with a user's groups.
    pub groups: String,
    /// Which group makes which role. Empty: roles are given here.
    pub roles: Vec<(Role, String)>,
    /// The role of who is in none of these groups, or of a newcomer; `None`: is not let in.
    pub otherwise: Option<Role>,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("issuer", &self.issuer)
            .field("client", &self.client)
            .finish_non_exhaustive()
    }
}

/// Why somebody is not let in by the provider.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be asked, or says what nobody understands.
    #[error("the OpenID provider {issuer} cannot be asked: {reason}")]
    Provider {
        /// Its address.
        issuer: String,
        /// What is wrong.
        reason: String,
    },
    /// It refused.
    #[error("the OpenID provider did not let you in: {0}")]
    Refused(String),
    /// This browser did not begin to sign in, or long ago.
    #[error("this sign-in was not begun in this browser, or too long ago\nhint: sign in again")]
    Unknown,
    /// What it vouches with is not right.
    #[error("what the OpenID provider says of you cannot be trusted: {0}")]
    Untrusted(String),
    /// It says too little.
    #[error("the OpenID provider says no {0} of you, which this server needs")]
    Missing(&'static str),
    /// Who is in none of the groups that have a role.
    #[error("you are in none of the groups that are let in here\nhint: ask who runs this server")]
    NoRole,
}

/// The provider of a team's server.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: Http,
    pending: Pending,
    known: Mutex<Option<(Instant, Endpoints)>>,
}

/// Where a browser is sent to sign in.
#[derive(Debug)]
pub struct Sent {
    /// The provider's page.
    pub url: String,
    /// What the browser keeps meanwhile, as a cookie.
    pub binding: String,
}

/// Who comes back, and to where.
#[derive(Debug)]
pub struct Returned {
    /// Who it is.
    pub vouched: Vouched,
    /// The page that the user wanted to see.
    pub next: String,
}

impl Provider {
    /// Prepares to ask a provider; nothing is asked yet.
    ///
    /// # Errors
    ///
    /// When an address is none, or the system's certificates cannot be read.
    pub fn new(settings: Settings) -> Result<Self, Box<dyn StdError + Send + Sync>> {
        let issuer = IssuerUrl::new(settings.issuer.clone())?;
        let redirect = RedirectUrl::new(format!("{}{CALLBACK}", settings.dashboard))?;
        Ok(Self {
            settings,
            issuer,
            redirect,
            http: Http::new()?,
            pending: Pending::default(),
            known: Mutex::default(),
        })
    }

    /// What it is called on the sign-in page.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Asks the provider for its endpoints and keys, unless they are known.
    pub async fn discover(&self) -> Result<(), Error> {
        self.endpoints().await.map(|_| ())
    }

    /// Sends a browser to the provider.
    pub async fn begin(&self, next: String) -> Result<Sent, Error> {
        let endpoints = self.endpoints().await?;
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let flow = AuthenticationFlow::<CoreResponseType>::AuthorizationCode;
        let mut asked = endpoints
            .authorize_url(flow, CsrfToken::new_random, Nonce::new_random)
            .set_pkce_challenge(challenge);
        for scope in &self.settings.scopes {
            asked = asked.add_scope(Scope::new(scope.clone()));
        }
        let (url, state, nonce) = asked.url();
        let binding = CsrfToken::new_random().into_secret();
        let begun = Begun { binding: binding.clone(), nonce, verifier, next, at: Instant::now() };
        self.pending.begin(state.into_secret(), begun);
        Ok(Sent { url: url.into(), binding })
    }

    /// Takes a browser back from the provider, with the code that it brings.
    pub async fn finish(&self, state: &str, code: String, binding: &str) -> Result<Returned, Error> {
        let begun = self.pending.take(state, binding, Instant::now()).ok_or(Error::Unknown)?;
        let endpoints = self.endpoints().await?;
        let exchange = endpoints
            .exchange_code(AuthorizationCode::new(code))
            .map_err(|error| self.wrong(&error))?
            .set_pkce_verifier(begun.verifier);
        let answer = exchange.request_async(&self.http).await.map_err(|error| self.wrong(&error))?;
        let token = answer.id_token().ok_or(Error::Missing("ID token"))?;
        let verifier = endpoints.id_token_verifier();
        let claims = token
            .claims(&verifier, &begun.nonce)
            .map_err(|error| Error::Untrusted(krt_runtime::errors::chain(&error)))?;
        let vouched = Claims(claims).vouched(&self.settings)?;
        Ok(Returned { vouched, next: begun.next })
    }

    async fn endpoints(&self) -> Result<Endpoints, Error> {
        if let Some((since, endpoints)) = &*self.known.lock().unwrap_or_else(PoisonError::into_inner)
            && since.elapsed() < BELIEVED
        {
            return Ok(endpoints.clone());
        }
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http)
            .await
            .map_err(|error| self.wrong(&error))?;
        let (client, secret) = (self.settings.client.clone(), self.settings.secret.clone());
        let endpoints =
            Endpoints::from_provider_metadata(metadata, ClientId::new(client), secret.map(ClientSecret::new))
                .set_redirect_uri(self.redirect.clone());
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), endpoints.clone()));
        Ok(endpoints)
    }

    fn wrong(&self, error: &dyn StdError) -> Error {
        Error::Provider { issuer: self.settings.issuer.clone(), reason: krt_runtime::errors::chain(error) }
    }
}
