//! Maps modules to packages, and lists the packages of KRT v1's images.

use std::collections::BTreeSet;

/// Packages whose names differ from their modules: module, package, and alternative packages.
const PACKAGES: &[(&str, &[&str])] = &[
    ("Crypto", &["pycryptodome", "pycrypto"]),
    ("Cryptodome", &["pycryptodomex"]),
    ("Levenshtein", &["Levenshtein", "python-Levenshtein"]),
    ("MySQLdb", &["mysqlclient"]),
    ("OpenSSL", &["pyOpenSSL"]),
    ("PIL", &["Pillow", "pillow-simd"]),
    ("absl", &["absl-py"]),
    ("apiclient", &["google-api-python-client"]),
    ("attr", &["attrs"]),
    ("azure.identity", &["azure-identity"]),
    ("azure.storage.blob", &["azure-storage-blob"]),
    ("bs4", &["beautifulsoup4"]),
    ("bson", &["pymongo"]),
    ("cassandra", &["cassandra-driver"]),
    ("confluent_kafka", &["confluent-kafka"]),
    (
        "cv2",
        &[
            "opencv-python",
            "opencv-python-headless",
            "opencv-contrib-python",
            "opencv-contrib-python-headless",
        ],
    ),
    ("dateutil", &["python-dateutil"]),
    ("discord", &["discord.py"]),
    ("dns", &["dnspython"]),
    ("docx", &["python-docx"]),
    ("dotenv", &["python-dotenv"]),
    ("elasticsearch_dsl", &["elasticsearch-dsl"]),
    ("en_core_web_sm", &["en-core-web-sm"]),
    ("faiss", &["faiss-cpu", "faiss-gpu"]),
    ("fitz", &["PyMuPDF"]),
    ("flask_cors", &["Flask-Cors"]),
    ("git", &["GitPython"]),
    ("google.api", &["googleapis-common-protos"]),
    ("google.auth", &["google-auth"]),
    ("google.oauth2", &["google-auth"]),
    ("google.protobuf", &["protobuf"]),
    ("google.rpc", &["googleapis-common-protos"]),
    ("google.type", &["googleapis-common-protos"]),
    ("googleapiclient", &["google-api-python-client"]),
    ("gridfs", &["pymongo"]),
    ("grpc", &["grpcio"]),
    ("grpc_health", &["grpcio-health-checking"]),
    ("grpc_reflection", &["grpcio-reflection"]),
    ("grpc_status", &["grpcio-status"]),
    ("grpc_tools", &["grpcio-tools"]),
    ("haystack", &["farm-haystack", "haystack-ai"]),
    ("igraph", &["igraph", "python-igraph"]),
    ("imblearn", &["imbalanced-learn"]),
    ("influxdb_client", &["influxdb-client"]),
    ("jose", &["python-jose"]),
    ("jwt", &["PyJWT"]),
    ("kafka", &["kafka-python", "kafka-python-ng"]),
    ("ldap", &["python-ldap"]),
    ("magic", &["python-magic"]),
    ("markdown", &["Markdown"]),
    ("mpl_toolkits", &["matplotlib"]),
    ("msgpack", &["msgpack", "msgpack-python"]),
    ("multipart", &["python-multipart"]),
    ("mysql", &["mysql-connector-python"]),
    ("nacl", &["PyNaCl"]),
    ("nats", &["nats-py", "asyncio-nats-client"]),
    ("osgeo", &["GDAL"]),
    ("past", &["future"]),
    ("pkg_resources", &["setuptools"]),
    ("pptx", &["python-pptx"]),
    ("psycopg2", &["psycopg2-binary", "psycopg2"]),
    ("pylab", &["matplotlib"]),
    ("pythoncom", &["pywin32"]),
    ("pytorch_lightning", &["pytorch-lightning"]),
    ("requests_toolbelt", &["requests-toolbelt"]),
    ("rest_framework", &["djangorestframework"]),
    ("ruamel.yaml", &["ruamel.yaml"]),
    ("rx", &["Rx"]),
    ("sentence_transformers", &["sentence-transformers"]),
    ("serial", &["pyserial"]),
    ("skimage", &["scikit-image"]),
    ("sklearn", &["scikit-learn", "scikit-learn-intelex", "sklearn"]),
    ("skopt", &["scikit-optimize"]),
    ("slugify", &["python-slugify"]),
    ("smart_open", &["smart-open"]),
    ("socks", &["PySocks"]),
    ("speech_recognition", &["SpeechRecognition"]),
    ("surprise", &["scikit-surprise"]),
    ("telegram", &["python-telegram-bot"]),
    ("tensorflow", &["tensorflow", "tensorflow-cpu", "tensorflow-gpu", "tf-nightly", "intel-tensorflow"]),
    ("tflite_runtime", &["tflite-runtime"]),
    ("umap", &["umap-learn"]),
    ("usb", &["pyusb"]),
    ("websocket", &["websocket-client"]),
    ("win32api", &["pywin32"]),
    ("xgboost", &["xgboost", "xgboost-cpu"]),
    ("yaml", &["PyYAML"]),
    ("zmq", &["pyzmq"]),
];

/// Namespaces shared by several packages, each with a part below it.
const NAMESPACES: &[&str] = &[
    "google",
    "google.cloud",
    "azure",
    "azure.ai",
    "azure.cognitiveservices",
    "azure.mgmt",
    "azure.storage",
    "backports",
    "jaraco",
    "opentelemetry",
    "opentelemetry.exporter",
    "opentelemetry.instrumentation",
    "ruamel",
    "sphinxcontrib",
    "zope",
];

/// The packages of upstream's Python images (`kre-py`: `runners/kre-py/Pipfile` until 2020, its
/// `requirements.txt` until runners 2.1), by module, with the versions that code of that time works with
/// where they have wheels. Later versions have changed what such code uses (`np.float`, `DataFrame.append`,
/// `Image.ANTIALIAS`, `torch.load` of a whole model).
const UPSTREAM_PACKAGES: &[UpstreamPackage] = &[
    upstream("PIL", "Pillow", "Pillow<10; python_version < '3.12'"),
    upstream("bson", "pymongo", "pymongo<5"),
    upstream("certifi", "certifi", ""),
    upstream("chardet", "chardet", ""),
    upstream("click", "click", ""),
    upstream("cv2", "opencv-python", "opencv-python<5"),
    upstream("dateutil", "python-dateutil", ""),
    upstream("future", "future", ""),
    upstream("gensim", "gensim", "gensim<4; python_version < '3.9'"),
    upstream("gridfs", "pymongo", "pymongo<5"),
    upstream("html2text", "html2text", ""),
    upstream("idna", "idna", ""),
    upstream("influxdb_client", "influxdb-client", "influxdb-client<2"),
    upstream("joblib", "joblib", ""),
    upstream("nats", "nats-py", ""),
    upstream("nltk", "nltk", "nltk<3.8.2"),
    upstream("numpy", "numpy", "numpy<1.24; python_version < '3.12'"),
    upstream("pandas", "pandas", "pandas<2; python_version < '3.12'"),
    upstream("past", "future", ""),
    upstream("pkg_resources", "setuptools", "setuptools<81"),
    upstream("pymongo", "pymongo", "pymongo<5"),
    upstream("pytz", "pytz", ""),
    upstream("regex", "regex", ""),
    upstream("requests", "requests", ""),
    upstream("rx", "Rx", "Rx<4"),
    upstream("scipy", "scipy", "scipy<1.11; python_version < '3.12'"),
    upstream("setuptools", "setuptools", "setuptools<81"),
    upstream("six", "six", ""),
    upstream("sklearn", "scikit-learn", "scikit-learn<1.3; python_version < '3.12'"),
    upstream("smart_open", "smart-open", ""),
    upstream("threadpoolctl", "threadpoolctl", ""),
    upstream("torch", "torch", "torch<2.6; python_version < '3.13'"),
    upstream("torchvision", "torchvision", "torchvision<0.21; python_version < '3.13'"),
    upstream("tqdm", "tqdm", ""),
    upstream("urllib3", "urllib3", "urllib3<2"),
];

/// A package of KRT v1's images.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UpstreamPackage {
    module: &'static str,
    /// Its name at an index.
    pub(crate) package: &'static str,
    /// The constraint to versions that code of KRT v1's time works with; empty for all.
    constraint: &'static str,
}

const fn upstream(module: &'static str, package: &'static str, constraint: &'static str) -> UpstreamPackage {
    UpstreamPackage { module, package, constraint }
}

/// The image's package for a module.
pub(crate) fn upstream_package(module: &str) -> Option<&'static UpstreamPackage> {
    let top = module.split('.').next().unwrap_or(module);
    UPSTREAM_PACKAGES.iter().find(|upstream| upstream.module == top)
}

/// The constraints to versions that code of KRT v1's time works with.
pub(crate) fn constraints() -> Vec<String> {
    let constraints: BTreeSet<&str> = UPSTREAM_PACKAGES.iter().map(|upstream| upstream.constraint).collect();
    constraints.into_iter().filter(|text| !text.is_empty()).map(str::to_owned).collect()
}

/// The part of a dotted name that identifies the package: usually the first word.
pub(crate) fn significant(dotted: &str) -> &str {
    let mut ends = dotted.match_indices('.').map(|(index, _)| index).chain([dotted.len()]);
    let end = ends.find(|end| !NAMESPACES.contains(&&dotted[..*end]));
    end.map_or(dotted, |end| &dotted[..end])
}

/// Whether several packages share a name.
pub(crate) fn is_shared(dotted: &str) -> bool {
    NAMESPACES.contains(&dotted)
}

/// The packages that provide a module, the one to suggest first.
pub(crate) fn packages(module: &str) -> Vec<String> {
    let known = PACKAGES.iter().find(|(name, _)| *name == module);
    let known = known.into_iter().flat_map(|(_, packages)| packages.iter().map(|name| (*name).to_owned()));
    let same = module.replace(['_', '.'], "-");
    let mut packages: Vec<String> = known.collect();
    if !packages.contains(&same) {
        packages.push(same);
    }
    packages
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_and_packages() {
        for (dotted, module, package) in [
            ("sklearn.linear_model", "sklearn", "scikit-learn"),
            ("cv2", "cv2", "opencv-python"),
            ("yaml", "yaml", "PyYAML"),
            ("PIL.Image", "PIL", "Pillow"),
            ("google.protobuf.json_format", "google.protobuf", "protobuf"),
            ("google.cloud.storage.blob", "google.cloud.storage", "google-cloud-storage"),
            ("google.cloud", "google.cloud", "google-cloud"),
            ("dateutil.parser", "dateutil", "python-dateutil"),
            ("my_package", "my_package", "my-package"),
            ("numpy", "numpy", "numpy"),
        ] {
            assert_eq!(significant(dotted), module, "{dotted}");
            assert_eq!(packages(module)[0], package, "{dotted}");
        }
        assert_eq!(upstream_package("sklearn.svm").map(|upstream| upstream.package), Some("scikit-learn"));
        assert_eq!(upstream_package("fastapi"), None);
    }

    #[test]
    fn the_lists_are_sorted() {
        assert!(PACKAGES.is_sorted_by_key(|(module, _)| module));
        assert!(UPSTREAM_PACKAGES.is_sorted_by_key(|upstream| upstream.module));
    }
}
