//! The standard `OTEL_*` variables for traces.
//!
//! OpenTelemetry's crates read the others: the headers, the limits, the resource.
//! <https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>

use krt_runtime::traces::Options;
use opentelemetry_sdk::trace::{BatchConfig, OTEL_BSP_EXPORT_TIMEOUT_DEFAULT, Sampler};
use std::{fmt, path::PathBuf, time::Duration};

/// The settings of the export.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) protocol: Protocol,
    pub(super) sampler: Sampler,
    /// The timeout of one batch.
    pub(super) within: Duration,
    /// The timeout of one request.
    pub(super) timeout: Duration,
    /// Whether the variables set a service name.
    pub(super) named: bool,
    pub(super) files: Files,
}

/// PEM files for TLS.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// The trusted authorities; `None` for the system's.
    pub(super) authorities: Option<PathBuf>,
    /// A client certificate and its private key.
    pub(super) identity: Option<(PathBuf, PathBuf)>,
}

/// The protocol of the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    Grpc,
    Http,
}

/// A variable with an invalid value, and the action instead. Omits the value, which may be a secret by
/// mistake.
#[derive(Debug, PartialEq, Eq, thiserror::Error, miette::Diagnostic)]
#[error("the variable {name} is not understood: {instead}")]
pub(super) struct InvalidSetting {
    name: &'static str,
    instead: &'static str,
    #[help]
    hint: &'static str,
}

/// A source of variables, with the invalid ones found so far.
pub(super) struct Variables<L> {
    lookup: L,
    pub(super) unclear: Vec<InvalidSetting>,
}

const TIMEOUT: Duration = Duration::from_secs(10);

impl<L: Fn(&str) -> Option<String>> Variables<L> {
    pub(super) fn new(lookup: L) -> Self {
        Self { lookup, unclear: Vec::new() }
    }

    /// The settings, or `None` if traces are not exported.
    pub(super) fn settings(&mut self) -> Option<Settings> {
        let endpoint = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        self.first(&endpoint)?;
        if self.is_off() {
            return None;
        }
        let within = self.millis(&["OTEL_BSP_EXPORT_TIMEOUT"], OTEL_BSP_EXPORT_TIMEOUT_DEFAULT);
        let timeout =
            self.millis(&["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"], TIMEOUT);
        let attributes = self.text("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
        let names = |attribute: &str| attribute.trim_start().starts_with("service.name=");
        let named = self.text("OTEL_SERVICE_NAME").is_some() || attributes.split(',').any(names);
        let (protocol, sampler, files) = (self.protocol(), self.sampler(), self.files());
        Some(Settings { protocol, sampler, within, timeout, named, files })
    }

    fn files(&mut self) -> Files {
        let authorities = ["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"];
        let certificate =
            ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE"];
        let key = ["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];
        let identity = match (self.first(&certificate), self.first(&key)) {
            (Some((_, certificate)), Some((_, key))) => Some((certificate.into(), key.into())),
            (None, None) => None,
            (Some((name, _)), None) | (None, Some((name, _))) => {
                self.report_invalid(name, "no certificate is shown", "a certificate and its key go together");
                None
            }
        };
        Files { authorities: self.first(&authorities).map(|(_, path)| path.into()), identity }
    }

    fn is_off(&mut self) -> bool {
        let disabled = self.text("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let exporter = self.text("OTEL_TRACES_EXPORTER");
        let off = match exporter.as_deref() {
            None | Some("otlp") => false,
            Some("none") => true,
            Some(_) => {
                self.report_invalid("OTEL_TRACES_EXPORTER", "traces are not exported", "otlp or none");
                true
            }
        };
        disabled || off
    }

    fn protocol(&mut self) -> Protocol {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
        match self.first(&names) {
            None => Protocol::Http,
            Some((_, text)) if text == "grpc" => Protocol::Grpc,
            Some((_, text)) if text == "http/protobuf" => Protocol::Http,
            Some((name, _)) => {
                self.report_invalid(name, "http/protobuf is spoken", "grpc or http/protobuf");
                Protocol::Http
            }
        }
    }

    fn sampler(&mut self) -> Sampler {
        let parent_based = |root| Sampler::ParentBased(Box::new(root));
        let Some(name) = self.text("OTEL_TRACES_SAMPLER") else { return parent_based(Sampler::AlwaysOn) };
        match name.as_str() {
            "always_on" => Sampler::AlwaysOn,
            "always_off" => Sampler::AlwaysOff,
            "traceidratio" => Sampler::TraceIdRatioBased(self.ratio()),
            "parentbased_always_on" => parent_based(Sampler::AlwaysOn),
            "parentbased_always_off" => parent_based(Sampler::AlwaysOff),
            "parentbased_traceidratio" => parent_based(Sampler::TraceIdRatioBased(self.ratio())),
            _ => {
                let hint = "always_on, always_off, traceidratio, or one of these after `parentbased_`";
                self.report_invalid("OTEL_TRACES_SAMPLER", "it is taken for parentbased_always_on", hint);
                parent_based(Sampler::AlwaysOn)
            }
        }
    }

    fn ratio(&mut self) -> f64 {
        let Some(text) = self.text("OTEL_TRACES_SAMPLER_ARG") else { return 1.0 };
        text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio)).unwrap_or_else(|| {
            self.report_invalid("OTEL_TRACES_SAMPLER_ARG", "it is taken for 1", "a number from 0 to 1");
            1.0
        })
    }

    /// Parses a duration in milliseconds.
    fn millis(&mut self, names: &[&'static str], default: Duration) -> Duration {
        let Some((name, text)) = self.first(names) else { return default };
        match text.parse() {
            Ok(millis) => Duration::from_millis(millis),
            Err(_) => {
                self.report_invalid(name, "it is left out", "a number of milliseconds");
                default
            }
        }
    }

    /// The first of several variables that is set.
    fn first(&self, names: &[&'static str]) -> Option<(&'static str, String)> {
        names.iter().find_map(|&name| Some((name, self.text(name)?)))
    }

    /// A variable's text. An empty one counts as unset.
    fn text(&self, name: &str) -> Option<String> {
        (self.lookup)(name).filter(|text| !text.is_empty())
    }

    fn report_invalid(&mut self, name: &'static str, instead: &'static str, hint: &'static str) {
        self.unclear.push(InvalidSetting { name, instead, hint });
    }
}

impl Settings {
    pub(super) fn options(&self) -> Options {
        Options { sampler: self.sampler.clone(), batches: BatchConfig::default(), within: self.within }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://localhost:4317");

    fn read(variables: &[(&str, &str)]) -> (Option<Settings>, Vec<&'static str>) {
        let find = |name: &str| variables.iter().find(|(known, _)| *known == name);
        let mut variables = Variables::new(|name: &str| find(name).map(|(_, value)| (*value).to_owned()));
        let settings = variables.settings();
        (settings, variables.unclear.iter().map(|unclear| unclear.name).collect())
    }

    #[test]
    fn conditions_for_exporting_traces() {
        let rows: [(&[_], bool, &[_]); 9] = [
            (&[], false, &[]),
            (&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], false, &[]),
            (&[ENDPOINT], true, &[]),
            (&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://x")], true, &[]),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "True")], false, &[]),
            (&[ENDPOINT, ("OTEL_SDK_DISABLED", "no")], true, &[]),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "otlp")], true, &[]),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")], false, &[]),
            (&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "zipkin")], false, &["OTEL_TRACES_EXPORTER"]),
        ];
        for (variables, expected, unclear) in rows {
            let (settings, invalid) = read(variables);
            assert_eq!((settings.is_some(), &*invalid), (expected, unclear), "{variables:?}");
        }
    }

    #[test]
    fn export_protocols() {
        let rows: [(&[_], _, &[_]); 6] = [
            (&[], Protocol::Http, &[]),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], Protocol::Grpc, &[]),
            (&[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")], Protocol::Http, &[]),
            (
                &[
                    ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"),
                    ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
                ],
                Protocol::Grpc,
                &[],
            ),
            (
                &[("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json")],
                Protocol::Http,
                &["OTEL_EXPORTER_OTLP_PROTOCOL"],
            ),
            (
                &[("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"), ("OTEL_BSP_EXPORT_TIMEOUT", "-1")],
                Protocol::Http,
                &["OTEL_BSP_EXPORT_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"],
            ),
        ];
        for (variables, protocol, unclear) in rows {
            let (settings, invalid) = read(&[&[ENDPOINT], variables].concat());
            assert_eq!((settings.unwrap().protocol, &*invalid), (protocol, unclear), "{variables:?}");
        }
    }

    #[test]
    fn samplers_by_name() {
        let on = "ParentBased(AlwaysOn)";
        let rows = [
            (None, None, on, None),
            (Some("always_on"), None, "AlwaysOn", None),
            (Some("always_off"), None, "AlwaysOff", None),
            (Some("traceidratio"), Some("0.5"), "TraceIdRatioBased(0.5)", None),
            (Some("traceidratio"), None, "TraceIdRatioBased(1.0)", None),
            (Some("traceidratio"), Some("2"), "TraceIdRatioBased(1.0)", Some("OTEL_TRACES_SAMPLER_ARG")),
            (Some("parentbased_always_on"), None, on, None),
            (Some("parentbased_always_off"), None, "ParentBased(AlwaysOff)", None),
            (Some("parentbased_traceidratio"), Some("0"), "ParentBased(TraceIdRatioBased(0.0))", None),
            (Some("xray"), None, on, Some("OTEL_TRACES_SAMPLER")),
        ];
        for (sampler, argument, expected, unclear) in rows {
            let sampler = ("OTEL_TRACES_SAMPLER", sampler.unwrap_or_default());
            let argument = ("OTEL_TRACES_SAMPLER_ARG", argument.unwrap_or_default());
            let (settings, invalid) = read(&[ENDPOINT, sampler, argument]);
            assert_eq!(format!("{:?}", settings.unwrap().sampler), expected, "{sampler:?}");
            assert_eq!(invalid.first().copied(), unclear, "{sampler:?} {argument:?}");
        }
    }

    #[test]
    fn tls_settings() {
        let (authorities, certificate, key) = (
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", "ca.pem"),
            ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "me.pem"),
            ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "me.key"),
        );
        let identity = Some(("me.pem".into(), "me.key".into()));
        let rows: [(&[_], _, _, &[_]); 4] = [
            (&[], None, None, &[]),
            (&[authorities], Some("ca.pem".into()), None, &[]),
            (&[certificate, key], None, identity, &[]),
            (&[key], None, None, &["OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"]),
        ];
        for (variables, authorities, identity, unclear) in rows {
            let (settings, invalid) = read(&[&[ENDPOINT], variables].concat());
            let files = Files { authorities, identity };
            assert_eq!((settings.unwrap().files, &*invalid), (files, unclear), "{variables:?}");
        }
    }

    #[test]
    fn service_names() {
        let rows = [
            (("OTEL_SERVICE_NAME", "shop"), true),
            (("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=shop"), true),
            (("OTEL_RESOURCE_ATTRIBUTES", "service.namespace=shop"), false),
        ];
        for (variable, expected) in rows {
            assert_eq!(read(&[ENDPOINT, variable]).0.unwrap().named, expected, "{variable:?}");
        }
    }
}
