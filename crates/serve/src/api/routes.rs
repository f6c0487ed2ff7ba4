//! Every path with the role it requires. A test compares the list with `openapi.json`.

use super::{
    App, audit, boards, bounds, browsers, calls, config, docs, events, graph,
    guard::{self, RequiredRole},
    logs, measurements, openid, page, predictions,
    refusal::{Code, Refusal},
    requests, runtimes, session, stores, users, versions,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Request},
    handler::Handler,
    middleware::{self, Next},
    routing::{MethodFilter, MethodRouter, on},
};
use http::Method;
use krt_model::team::Role;

const BASE: &str = "/api/v1";

const PUBLIC: RequiredRole = RequiredRole::Nothing;
const VIEWER: RequiredRole = RequiredRole::Role(Role::Viewer);
const MANAGER: RequiredRole = RequiredRole::Role(Role::Manager);
const ADMIN: RequiredRole = RequiredRole::Role(Role::Admin);

/// The router of all paths.
pub fn router(app: App) -> Router {
    let mut routes = Routes { app, router: Router::new(), listed: Vec::new() };
    all(&mut routes);
    let Routes { app, router, .. } = routes;
    router
        .fallback(page::page)
        .method_not_allowed_fallback(async || Refusal::new(Code::MethodNotAllowed, "method not allowed"))
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn({
            let app = app.clone();
            move |request: Request, next: Next| browsers::check_browser(app.clone(), request, next)
        }))
        .layer(middleware::from_fn(bounds::enforce))
        .with_state(app)
}

/// Paths as they are added.
struct Routes {
    app: App,
    router: Router<App>,
    listed: Vec<(Method, &'static str, RequiredRole)>,
}

impl Routes {
    fn add<H: Handler<T, App>, T: 'static>(
        &mut self,
        method: Method,
        path: &'static str,
        need: RequiredRole,
        handler: H,
    ) {
        let filter = MethodFilter::try_from(method.clone()).expect("a method that axum knows");
        let app = self.app.clone();
        let guard = move |request: Request, next: Next| guard::guard(app.clone(), need, request, next);
        let route: MethodRouter<App> = on(filter, handler).layer(middleware::from_fn(guard));
        // OpenAPI parameters have no slashes; the last parameter of a file's path does.
        let served = format!("{BASE}{}", path.replace("{path}", "{*path}"));
        self.router = std::mem::take(&mut self.router).route(&served, route);
        self.listed.push((method, path, need));
    }
}

fn all(routes: &mut Routes) {
    people(routes);
    of_runtimes(routes);
    of_versions(routes);
    data(routes);
}

fn people(routes: &mut Routes) {
    routes.add(Method::GET, "/openapi.json", PUBLIC, page::openapi);
    routes.add(Method::GET, "/server", PUBLIC, page::server);
    routes.add(Method::GET, "/events", VIEWER, events::live);
    routes.add(Method::GET, "/session", VIEWER, session::me);
    routes.add(Method::POST, "/session", PUBLIC, session::sign_in);
    routes.add(Method::DELETE, "/session", VIEWER, session::sign_out);
    routes.add(Method::PUT, "/session/password", VIEWER, session::change_password);
    routes.add(Method::GET, "/session/openid", PUBLIC, openid::start);
    routes.add(Method::GET, "/session/openid/callback", PUBLIC, openid::finish);
    routes.add(Method::GET, "/sessions", VIEWER, session::list);
    routes.add(Method::DELETE, "/sessions/{id}", VIEWER, session::revoke);
    routes.add(Method::GET, "/users", ADMIN, users::list);
    routes.add(Method::POST, "/users", ADMIN, users::create);
    routes.add(Method::PATCH, "/users/{login}", ADMIN, users::change);
    routes.add(Method::DELETE, "/users/{login}", ADMIN, users::delete);
    routes.add(Method::GET, "/tokens", VIEWER, users::tokens);
    routes.add(Method::POST, "/tokens", VIEWER, users::create_token);
    routes.add(Method::DELETE, "/tokens/{id}", VIEWER, users::delete_token);
    routes.add(Method::GET, "/audit", ADMIN, audit::list);
}

fn of_runtimes(routes: &mut Routes) {
    routes.add(Method::GET, "/runtimes", VIEWER, runtimes::list);
    routes.add(Method::POST, "/runtimes", ADMIN, runtimes::create);
    routes.add(Method::GET, "/runtimes/{runtime}", VIEWER, runtimes::show);
    routes.add(Method::PATCH, "/runtimes/{runtime}", ADMIN, runtimes::change);
    routes.add(Method::DELETE, "/runtimes/{runtime}", ADMIN, runtimes::delete);
    routes.add(Method::GET, "/runtimes/{runtime}/stores", VIEWER, stores::list);
    routes.add(Method::POST, "/runtimes/{runtime}/rollback", MANAGER, versions::roll_back);
    routes.add(Method::GET, "/runtimes/{runtime}/versions", VIEWER, versions::list);
    routes.add(Method::POST, "/runtimes/{runtime}/versions", MANAGER, versions::create);
}

fn of_versions(routes: &mut Routes) {
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}", VIEWER, versions::show);
    routes.add(Method::DELETE, "/runtimes/{runtime}/versions/{version}", MANAGER, versions::delete);
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/package", MANAGER, versions::package);
    routes.add(Method::POST, "/runtimes/{runtime}/versions/{version}/start", MANAGER, versions::start);
    routes.add(Method::POST, "/runtimes/{runtime}/versions/{version}/stop", MANAGER, versions::stop);
    routes.add(Method::POST, "/runtimes/{runtime}/versions/{version}/publish", MANAGER, versions::publish);
    routes.add(
        Method::POST,
        "/runtimes/{runtime}/versions/{version}/unpublish",
        MANAGER,
        versions::unpublish,
    );
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/config", VIEWER, config::show);
    routes.add(Method::PUT, "/runtimes/{runtime}/versions/{version}/config", MANAGER, config::change);
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/graph", VIEWER, graph::show);
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/graph/live", VIEWER, graph::live);
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/docs", VIEWER, docs::show);
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/docs/files/{path}", VIEWER, docs::file);
    routes.add(Method::GET, "/runtimes/{runtime}/versions/{version}/methods", VIEWER, calls::methods);
    routes.add(Method::POST, "/runtimes/{runtime}/versions/{version}/call", MANAGER, calls::call);
    routes.add(Method::POST, "/runtimes/{runtime}/versions/{version}/call/live", MANAGER, calls::live);
}

fn data(routes: &mut Routes) {
    routes.add(Method::GET, "/runtimes/{runtime}/logs", VIEWER, logs::search);
    routes.add(Method::GET, "/runtimes/{runtime}/logs/tail", VIEWER, logs::tail);
    routes.add(Method::GET, "/runtimes/{runtime}/requests", VIEWER, requests::list);
    routes.add(Method::GET, "/runtimes/{runtime}/requests/{id}", VIEWER, requests::show);
    routes.add(Method::GET, "/runtimes/{runtime}/measurements", VIEWER, measurements::list);
    routes.add(
        Method::GET,
        "/runtimes/{runtime}/measurements/{measurement}/windows",
        VIEWER,
        measurements::windows,
    );
    routes.add(Method::GET, "/runtimes/{runtime}/boards", VIEWER, boards::list);
    routes.add(Method::POST, "/runtimes/{runtime}/boards", MANAGER, boards::create);
    routes.add(Method::GET, "/runtimes/{runtime}/boards/{id}", VIEWER, boards::show);
    routes.add(Method::PUT, "/runtimes/{runtime}/boards/{id}", MANAGER, boards::save);
    routes.add(Method::DELETE, "/runtimes/{runtime}/boards/{id}", MANAGER, boards::delete);
    routes.add(Method::GET, "/runtimes/{runtime}/predictions", VIEWER, predictions::list);
    routes.add(Method::GET, "/runtimes/{runtime}/predictions/summary", VIEWER, predictions::summary);
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{Backend, api::Public, team::tests::team};
    use krt_runtime::ingress::browsers::Hosts;
    use serde_json::Value;
    use tokio_util::sync::CancellationToken;

    /// Method, path and role of each operation in `openapi.json`.
    fn documented() -> Vec<(String, String, String)> {
        let document: Value = serde_json::from_slice(&crate::openapi::document()).unwrap();
        let mut operations = Vec::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (verb, operation) in item.as_object().unwrap().iter().filter(|(key, _)| *key != "parameters")
            {
                let role = operation["x-krt-role"].as_str().unwrap();
                operations.push((verb.to_uppercase(), path.clone(), role.to_owned()));
            }
        }
        operations.sort();
        operations
    }

    #[tokio::test]
    async fn served_and_documented_routes_are_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let public = Public {
            address: String::new(),
            tls: false,
            max_message: 0,
            dashboard: None,
            proxies: Vec::new(),
        };
        let app =
            App::new(Backend::Team(team(folder.path())), Hosts::Any, public, None, CancellationToken::new());
        let mut routes = Routes { app, router: Router::new(), listed: Vec::new() };
        all(&mut routes);
        let role = |need| match need {
            RequiredRole::Nothing => "none",
            RequiredRole::Role(role) => Role::as_str(role),
        };
        let served = routes
            .listed
            .iter()
            .map(|(method, path, need)| (method.to_string(), (*path).to_owned(), role(*need).to_owned()));
        let mut served: Vec<_> = served.collect();
        served.sort();
        assert_eq!(served, documented());
    }
}
