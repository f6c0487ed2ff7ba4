//! Filters the engine's environment variables for its child processes.
//!
//! Variables of `krt` itself stay hidden: passwords, tokens, addresses of stores. Otherwise a user's shell
//! environment is passed whole, as usual for a command; a server's is not, since it serves its operator
//! rather than users' code.

/// The origin of the engine's environment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Inherited {
    /// A user's shell.
    #[default]
    Shell,
    /// A server.
    Server,
}

/// The process that receives variables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A node's process.
    Worker,
    /// An installer or a compiler.
    Installer,
}

/// The prefix of `krt`'s own variables.
const OWN_PREFIX: &str = "KRT_";

/// Names passed from a server to users' code.
const WORKER_VARIABLES: [&str; 47] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "HOSTNAME",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TMPDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "PYTHONDONTWRITEBYTECODE",
    "PYTHONFAULTHANDLER",
    "PYTHONHASHSEED",
    "PYTHONIOENCODING",
    "PYTHONMALLOC",
    "PYTHONOPTIMIZE",
    "PYTHONTRACEMALLOC",
    "PYTHONUNBUFFERED",
    "PYTHONUTF8",
    "PYTHONWARNINGS",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "GOTRACEBACK",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "LD_LIBRARY_PATH",
    "CUDA_HOME",
    "CUDA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
    "NVIDIA_VISIBLE_DEVICES",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
];

/// Prefixes of further names.
const WORKER_PREFIXES: [&str; 2] = ["LC_", "MALLOC_"];

/// Further names for installers and compilers.
const INSTALLER_VARIABLES: [&str; 17] = [
    "AR",
    "CC",
    "CXX",
    "CFLAGS",
    "CPPFLAGS",
    "CXXFLAGS",
    "LDFLAGS",
    "LD",
    "CONDA_PREFIX",
    "VIRTUAL_ENV",
    "NETRC",
    "RUSTC",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "SOURCE_DATE_EPOCH",
    "SSH_AUTH_SOCK",
    "GCC_EXEC_PREFIX",
];

/// Prefixes of further names.
const INSTALLER_PREFIXES: [&str; 11] =
    ["CARGO_", "CGO_", "GIT_", "GO", "PIP_", "PKG_CONFIG_", "PYENV_", "RUSTUP_", "UV_", "XDG_", "POETRY_"];

/// Whether a variable stays with the engine.
pub fn is_own(name: &str, value: &str) -> bool {
    let of_traces = name.starts_with("OTEL_");
    let is_secret = name.contains("HEADERS") || name.contains("CLIENT_KEY");
    // An address with a user's name and password.
    let is_signed = name.contains("ENDPOINT") && value.contains('@');
    name.starts_with(OWN_PREFIX) || of_traces && (is_secret || is_signed)
}

/// Whether a server passes a variable to users' code without a request for it.
pub(crate) fn is_offered(name: &str, reader: Reader) -> bool {
    let is_in = |names: &[&str], begin: &[&str]| {
        names.contains(&name) || begin.iter().any(|begin| name.starts_with(begin))
    };
    let of_installers = reader == Reader::Installer && is_in(&INSTALLER_VARIABLES, &INSTALLER_PREFIXES);
    of_installers || is_in(&WORKER_VARIABLES, &WORKER_PREFIXES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_the_engine() {
        for (name, value, expected) in [
            ("KRT_ADMIN_PASSWORD", "", true),
            ("KRT_MONGO_URI", "", true),
            ("KRT_NEW_AND_UNKNOWN", "", true),
            ("OTEL_EXPORTER_OTLP_HEADERS", "", true),
            ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "", true),
            ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "", true),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:p@h:4318", true),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4318", false),
            ("OTEL_SERVICE_NAME", "shop", false),
            ("PATH", "/bin", false),
            ("AWS_SECRET_ACCESS_KEY", "", false),
        ] {
            assert_eq!(is_own(name, value), expected, "{name}={value}");
        }
    }

    #[test]
    fn variables_inherited_from_a_server() {
        for (name, worker, installer) in [
            ("PATH", true, true),
            ("LC_ALL", true, true),
            ("https_proxy", true, true),
            ("PIP_INDEX_URL", false, true),
            ("GOPROXY", false, true),
            ("CARGO_HOME", false, true),
            ("PYTHONPATH", false, false),
            ("PYTHONSTARTUP", false, false),
            ("LD_PRELOAD", false, false),
            ("AWS_SECRET_ACCESS_KEY", false, false),
            ("DATABASE_URL", false, false),
            ("OTEL_SERVICE_NAME", false, false),
        ] {
            let offered = [Reader::Worker, Reader::Installer].map(|reader| is_offered(name, reader));
            assert_eq!(offered, [worker, installer], "{name}");
        }
    }
}
