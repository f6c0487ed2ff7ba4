//! Signing in at an OpenID provider, by OpenID Connect's authorization code flow with PKCE.
//!
//! - `pending`: sign-ins that were begun.
//! - `claims`: what an ID token says of a user.
//! - `discovery`: what the provider says of itself.
//! - `http`: how the provider is asked.

mod claims;
mod discovery;
mod http;
mod pending;

pub use pending::SIGN_IN_TIMEOUT;

use claims::{Claims, ExtraClaims};
use discovery::Discovery;
use http::Http;
use krt_model::{certificate, hint, team::Role};
use krt_registry::VerifiedUser;
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
use pending::{Pending, PendingSignIn};
use std::{error::Error as StdError, fmt, net::IpAddr, time::Instant};

/// Where the provider sends browsers back to, below the dashboard's address.
pub const CALLBACK: &str = "/api/v1/session/openid/callback";

type Fields = IdTokenFields<
    ExtraClaims,
    EmptyExtraTokenFields,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJwsSigningAlgorithm,
>;
/// The library's client, once the provider's endpoints are known.
type Endpoints = Client<
    ExtraClaims,
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

/// The settings of a provider.
#[derive(Clone)]
pub struct Settings {
    /// The provider's address, the prefix of its discovery document.
    pub issuer: String,
    /// This server's client id at the provider.
    pub client: String,
    /// The client's secret; public clients have none.
    pub secret: Option<String>,
    /// Where browsers reach the dashboard, without a path: `https://krt.example.com`.
    pub dashboard: String,
    /// The provider's name on the sign-in page.
    pub name: String,
    /// The scopes requested beside `openid`.
    pub scopes: Vec<String>,
    /// The claim with a user's groups.
    pub groups: String,
    /// The role of each group. When empty, roles are set in krt.
    pub roles: Vec<(Role, String)>,
    /// The role of a user in none of these groups, or of a new user; `None` refuses them.
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

/// Why a sign-in at the provider fails.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub enum Error {
    /// The provider cannot be reached, or its answer is not valid.
    #[error("the OpenID provider {issuer} cannot be asked: {reason}")]
    Provider {
        /// Its address.
        issuer: String,
        /// What is wrong.
        reason: String,
        /// What to do, where it is about a certificate.
        #[help]
        hint: Option<String>,
    },
    /// The provider refused.
    #[error("the OpenID provider did not let you in")]
    Refused,
    /// This browser did not begin a sign-in, or began it too long ago.
    #[error("this sign-in was not begun in this browser, or too long ago")]
    #[diagnostic(help("sign in again"))]
    Unknown,
    /// The provider's proof is not valid.
    #[error("the OpenID provider's ID token is not valid: {reason}")]
    Untrusted {
        /// What is wrong.
        reason: String,
    },
    /// A claim is missing.
    #[error("the OpenID provider says no {0} of you, which this server needs")]
    Missing(&'static str),
    /// The user is in none of the groups that have a role.
    #[error("none of your groups may sign in here")]
    #[diagnostic(help("ask who runs this server"))]
    NoRole,
}

/// The OpenID provider of a team's server.
#[derive(Debug)]
pub struct Provider {
    settings: Settings,
    issuer: IssuerUrl,
    redirect: RedirectUrl,
    http: Http,
    pending: Pending,
    discovery: Discovery,
}

/// A redirect to the provider.
#[derive(Debug)]
pub struct Redirect {
    /// The provider's page.
    pub url: String,
    /// The value of the cookie that binds the sign-in to the browser.
    pub binding: String,
}

/// A user who signed in, and where to go next.
#[derive(Debug)]
pub struct SignedIn {
    /// The verified user.
    pub verified: VerifiedUser,
    /// The page that the user wanted.
    pub next: String,
}

/// A browser that returned from the provider.
#[derive(Debug)]
pub struct Callback<'a> {
    provider: &'a Provider,
    begun: PendingSignIn,
}

impl Callback<'_> {
    /// Exchanges the browser's code for the user's identity at the provider.
    pub async fn finish(self, code: String) -> Result<SignedIn, Error> {
        self.provider.finish(self.begun, code).await
    }
}

impl Provider {
    /// Prepares a client for a provider; sends nothing yet.
    ///
    /// # Errors
    ///
    /// When an address is invalid, or the system's certificates cannot be read.
    pub fn new(settings: Settings) -> Result<Self, Box<dyn StdError + Send + Sync>> {
        let issuer = IssuerUrl::new(settings.issuer.clone())?;
        let redirect = RedirectUrl::new(format!("{}{CALLBACK}", settings.dashboard))?;
        Ok(Self {
            settings,
            issuer,
            redirect,
            http: Http::new()?,
            pending: Pending::default(),
            discovery: Discovery::default(),
        })
    }

    /// The provider's name on the sign-in page.
    pub fn name(&self) -> &str {
        &self.settings.name
    }

    /// Fetches the provider's endpoints and keys, unless they are cached.
    pub async fn discover(&self) -> Result<(), Error> {
        self.endpoints().await.map(|_| ())
    }

    /// Starts a sign-in.
    pub async fn start(&self, from: IpAddr, next: String) -> Result<Redirect, Error> {
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
        let begun =
            PendingSignIn { binding: binding.clone(), nonce, verifier, from, next, at: Instant::now() };
        self.pending.insert(state.into_secret(), begun);
        Ok(Redirect { url: url.into(), binding })
    }

    /// Takes back a browser that was sent to the provider: once, and before anything else in its request
    /// counts.
    pub fn take_back(&self, state: &str, binding: &str) -> Result<Callback<'_>, Error> {
        let begun = self.pending.take(state, binding, Instant::now()).ok_or(Error::Unknown)?;
        Ok(Callback { provider: self, begun })
    }

    async fn finish(&self, begun: PendingSignIn, code: String) -> Result<SignedIn, Error> {
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
            .map_err(|error| Error::Untrusted { reason: hint::messages(&error) })?;
        let verified = Claims(claims).verified(&self.settings)?;
        Ok(SignedIn { verified, next: begun.next })
    }

    async fn endpoints(&self) -> Result<Endpoints, Error> {
        self.discovery.get(self.fetch_endpoints()).await.map_err(|reason| self.failed(reason))
    }

    /// Fetches the metadata of the provider.
    async fn fetch_endpoints(&self) -> Result<Endpoints, String> {
        let metadata = CoreProviderMetadata::discover_async(self.issuer.clone(), &self.http)
            .await
            .map_err(|error| hint::messages(&error))?;
        let (client, secret) = (self.settings.client.clone(), self.settings.secret.clone());
        Ok(Endpoints::from_provider_metadata(metadata, ClientId::new(client), secret.map(ClientSecret::new))
            .set_redirect_uri(self.redirect.clone()))
    }

    fn wrong(&self, error: &dyn StdError) -> Error {
        self.failed(hint::messages(error))
    }

    fn failed(&self, reason: String) -> Error {
        let hint = certificate::hint(&reason, krt_remote::AUTHORITY_HINT);
        Error::Provider { issuer: self.settings.issuer.clone(), reason, hint }
    }
}
