//! Finds methods by name.

use krt_package::{open_inference::SERVICE, suggest};
use prost_reflect::{MethodDescriptor, ServiceDescriptor};

/// The most methods that a hint lists.
const MAX_LISTED: usize = 8;

/// The methods of a server.
#[derive(Debug)]
pub(crate) struct Methods(Vec<MethodDescriptor>);

/// The reason a name does not identify one callable method.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
pub(crate) enum Error {
    #[error("there is no method `{name}`")]
    Unknown {
        name: String,
        #[help]
        hint: String,
    },
    #[error("`{name}` may be {}", list(candidates))]
    #[diagnostic(help("say which, with its service"))]
    Ambiguous { name: String, candidates: Vec<String> },
    #[error("`{name}` takes a stream of requests: only methods with one request can be called")]
    TakesStream { name: String },
}

crate::error::from! { hinted: Error }

/// `package.Service/Method`
pub(crate) fn title(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().full_name(), method.name())
}

impl Methods {
    pub(super) fn new(services: Vec<ServiceDescriptor>) -> Self {
        let methods = |service: ServiceDescriptor| service.methods().collect::<Vec<_>>();
        Self(services.into_iter().flat_map(methods).collect())
    }

    /// The methods of the server's own services, without the common ones.
    pub(crate) fn own(&self) -> impl Iterator<Item = &MethodDescriptor> {
        self.0.iter().filter(|method| !is_common(method))
    }

    /// Finds the method for `Method`, `Service/Method`, `package.Service/Method`, or the same with a dot as
    /// separator.
    pub(crate) fn find(&self, name: &str) -> Result<&MethodDescriptor, Error> {
        let wanted = MethodName::parse(name);
        let exact = self.0.iter().find(|method| wanted.is_exactly(method));
        let found = match exact {
            Some(method) => method,
            None => self.only(name, self.0.iter().filter(|method| wanted.may_be(method)).collect())?,
        };
        if found.is_client_streaming() {
            return Err(Error::TakesStream { name: title(found) });
        }
        Ok(found)
    }

    /// Picks the only match; the server's own methods take precedence over the common ones.
    fn only<'a>(&self, name: &str, found: Vec<&'a MethodDescriptor>) -> Result<&'a MethodDescriptor, Error> {
        let own: Vec<_> = found.iter().copied().filter(|method| !is_common(method)).collect();
        let found = if own.is_empty() { found } else { own };
        match found.as_slice() {
            [only] => Ok(only),
            [] => Err(Error::Unknown { name: name.to_owned(), hint: self.hint(name) }),
            several => {
                let candidates = several.iter().map(|method| title(method)).collect();
                Err(Error::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }

    fn hint(&self, name: &str) -> String {
        if let Some(near) = self.nearest(&MethodName::parse(name)) {
            return format!("did you mean `{near}`?");
        }
        let own: Vec<_> = self.own().map(title).collect();
        match own.len() {
            0 => "the server has no methods of its own".to_owned(),
            few if few <= MAX_LISTED => format!("there is {}", list(&own)),
            _ => "`krt call --list` shows what there is".to_owned(),
        }
    }

    /// The method with the most similar name, spelled in the form of the wanted name.
    fn nearest(&self, wanted: &MethodName<'_>) -> Option<String> {
        let spellings: Vec<_> = self.own().flat_map(|method| wanted.spellings(method)).collect();
        suggest::nearest(&wanted.written(), spellings.iter().map(String::as_str)).map(str::to_owned)
    }
}

/// Whether the method's service is not the package's: part of gRPC itself, such as health, or of the Open Inference
/// Protocol.
fn is_common(method: &MethodDescriptor) -> bool {
    let service = method.parent_service();
    service.full_name().starts_with("grpc.") || service.full_name() == SERVICE
}

/// Formats "`a`, `b` or `c`".
fn list(names: &[String]) -> String {
    let quoted: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// A name as the user typed it.
struct MethodName<'a> {
    service: Option<&'a str>,
    method: &'a str,
}

impl<'a> MethodName<'a> {
    fn parse(name: &'a str) -> Self {
        let name = name.trim_start_matches('/');
        match name.rsplit_once('/').or_else(|| name.rsplit_once('.')) {
            Some((service, method)) => Self { service: Some(service), method },
            None => Self { service: None, method: name },
        }
    }

    fn is_exactly(&self, method: &MethodDescriptor) -> bool {
        method.name() == self.method && self.service == Some(method.parent_service().full_name())
    }

    fn may_be(&self, method: &MethodDescriptor) -> bool {
        let service = method.parent_service();
        let ends = |wanted: &str| {
            let before = service.full_name().strip_suffix(wanted);
            before.is_some_and(|before| before.is_empty() || before.ends_with('.'))
        };
        method.name() == self.method && self.service.is_none_or(ends)
    }

    fn written(&self) -> String {
        match self.service {
            Some(service) => format!("{service}/{}", self.method),
            None => self.method.to_owned(),
        }
    }

    /// The spellings of a method in the form of the wanted name.
    fn spellings(&self, method: &MethodDescriptor) -> Vec<String> {
        match self.service {
            Some(_) => {
                vec![title(method), format!("{}/{}", method.parent_service().name(), method.name())]
            }
            None => vec![method.name().to_owned()],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use krt_model::hint;
    use prost_reflect::DescriptorPool;

    fn methods() -> Methods {
        let shop = "syntax = 'proto3'; package shop.v1;
            import 'google/protobuf/empty.proto';
            service Entrypoint {
                rpc Price(google.protobuf.Empty) returns (google.protobuf.Empty);
                rpc Watch(google.protobuf.Empty) returns (stream google.protobuf.Empty);
                rpc Send(stream google.protobuf.Empty) returns (google.protobuf.Empty);
            }
            service Admin {
                rpc Price(google.protobuf.Empty) returns (google.protobuf.Empty);
                rpc Check(google.protobuf.Empty) returns (google.protobuf.Empty);
            }";
        let health = "syntax = 'proto3'; package grpc.health.v1;
            import 'google/protobuf/empty.proto';
            service Health {
                rpc Check(google.protobuf.Empty) returns (google.protobuf.Empty);
                rpc Beat(google.protobuf.Empty) returns (google.protobuf.Empty);
            }";
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in [("shop.proto", shop), ("health.proto", health)] {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let files = protox::compile(["shop.proto", "health.proto"], [folder.path()]).unwrap();
        let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
        Methods::new(pool.services().collect())
    }

    #[test]
    fn known_names() {
        let methods = methods();
        for (name, expected) in [
            ("shop.v1.Entrypoint/Price", "shop.v1.Entrypoint/Price"),
            ("/shop.v1.Entrypoint/Price", "shop.v1.Entrypoint/Price"),
            ("shop.v1.Entrypoint.Price", "shop.v1.Entrypoint/Price"),
            ("v1.Entrypoint/Price", "shop.v1.Entrypoint/Price"),
            ("Entrypoint/Price", "shop.v1.Entrypoint/Price"),
            ("Admin.Price", "shop.v1.Admin/Price"),
            ("Check", "shop.v1.Admin/Check"),
            ("Health/Check", "grpc.health.v1.Health/Check"),
            ("Beat", "grpc.health.v1.Health/Beat"),
            ("Watch", "shop.v1.Entrypoint/Watch"),
        ] {
            assert_eq!(title(methods.find(name).unwrap()), expected, "{name}");
        }
    }

    #[test]
    fn unknown_names() {
        let methods = methods();
        let own = "`shop.v1.Entrypoint/Price`, `shop.v1.Entrypoint/Watch`, `shop.v1.Entrypoint/Send`, `shop.v1.Admin/Price` \
                   or `shop.v1.Admin/Check`";
        for (name, expected) in [
            ("price", "there is no method `price`; hint: did you mean `Price`?".to_owned()),
            (
                "entrypoint/price",
                "there is no method `entrypoint/price`; hint: did you mean `Entrypoint/Price`?".to_owned(),
            ),
            (
                "shop.v1.Admn.Chek",
                "there is no method `shop.v1.Admn.Chek`; hint: did you mean `shop.v1.Admin/Check`?"
                    .to_owned(),
            ),
            ("Zebra", format!("there is no method `Zebra`; hint: there is {own}")),
            ("", format!("there is no method ``; hint: there is {own}")),
            ("Entrypint/Price", "there is no method `Entrypint/Price`; hint: did you mean `Entrypoint/Price`?".to_owned()),
            (
                "Price",
                "`Price` may be `shop.v1.Entrypoint/Price` or `shop.v1.Admin/Price`; \
                 hint: say which, with its service"
                    .to_owned(),
            ),
            (
                "Send",
                "`shop.v1.Entrypoint/Send` takes a stream of requests: only methods with one request can be called"
                    .to_owned(),
            ),
        ] {
            assert_eq!(hint::line(&methods.find(name).unwrap_err()), expected, "{name}");
        }
    }
}
