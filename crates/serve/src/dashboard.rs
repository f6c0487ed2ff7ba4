//! The built files of the dashboard, embedded at build time from a list that `build.rs` writes. The binary
//! builds without Node.js and without another dependency.

use http::HeaderValue;
use krt_compression::Codec;
use std::borrow::Cow;

/// A file: its name below `dashboard/dist`, whether its content is compressed with gzip, and the content.
type File = (&'static str, bool, &'static [u8]);

/// Empty where the dashboard was not built.
const FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/dashboard.rs"));

/// The page where the dashboard was not built.
const PLACEHOLDER: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<title>krt</title>
<body style=\"font-family: system-ui; max-width: 40em; margin: 4em auto; padding: 0 1em\">
<h1>krt</h1>
<p>This krt was built without its dashboard. The API is at <a href=\"/api/v1/openapi.json\">/api/v1</a>.</p>
<p>To build it, Node.js is needed: run <code>make dashboard</code>, then build krt again.</p>
";

/// The page of a failed sign-in, with what to do about it.
pub fn denied(why: &str, hints: &[String]) -> String {
    let paragraph =
        |text: &str| format!("<p>{}</p>\n", sentence(text).replace('&', "&amp;").replace('<', "&lt;"));
    let shown: String = std::iter::once(why).chain(hints.iter().map(String::as_str)).map(paragraph).collect();
    format!(
        "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>Not signed in</title>
<body style=\"font: 16px/1.5 system-ui, sans-serif; max-width: 40em; margin: 4em auto; padding: 0 1em; color-scheme: light dark\">
<main>
<h1>Not signed in</h1>
{shown}<p><a href=\"/sign-in\">Back to the sign-in page</a></p>
</main>
"
    )
}

/// A message's fragment as a sentence.
fn sentence(fragment: &str) -> String {
    let mut rest = fragment.chars();
    let first = rest.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", rest.as_str().trim_end_matches('.'))
}

/// A file for a browser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asset {
    content: &'static [u8],
    /// Whether the content is compressed with gzip.
    pub compressed: bool,
    /// Its media type.
    pub kind: &'static str,
    /// Whether its name changes with its content, so that browsers may cache it for ever.
    pub lasting: bool,
}

impl Asset {
    /// The bytes for a browser that reads gzip.
    pub fn content(&self) -> &'static [u8] {
        self.content
    }

    /// The bytes for everyone else.
    pub fn plain(&self) -> Cow<'static, [u8]> {
        if !self.compressed {
            return Cow::Borrowed(self.content);
        }
        Codec::Gzip.decompress(self.content, usize::MAX).expect("the build compressed it").into()
    }
}

/// The policy of pages: no content from other origins, and no framing.
pub const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'self'; img-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; font-src 'self' data:; \
     worker-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
);

/// Whether the dashboard was built before this binary.
pub fn is_included() -> bool {
    !FILES.is_empty()
}

/// The file at a path; for other paths, the page, which does its own routing.
pub fn find(path: &str) -> Option<Asset> {
    let name = path.trim_start_matches('/');
    match FILES.iter().find(|(file, ..)| *file == name) {
        Some(file) => Some(asset(file)),
        // A missing asset must not become the page: a browser may look for an old file.
        None if name.starts_with("assets/") => None,
        None => Some(page()),
    }
}

fn page() -> Asset {
    match FILES.iter().find(|(file, ..)| *file == "index.html") {
        Some(file) => asset(file),
        None => asset(&("index.html", false, PLACEHOLDER.as_bytes())),
    }
}

fn asset(&(name, compressed, content): &File) -> Asset {
    Asset { content, compressed, kind: kind(name), lasting: name.starts_with("assets/") }
}

fn kind(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, ending)| ending) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn denials_are_escaped_sentences() {
        let page = denied("you are <none>&amp;", &["ask ada".to_owned()]);
        assert!(page.contains("<p>You are &lt;none>&amp;amp;.</p>\n<p>Ask ada.</p>"), "{page}");
    }

    #[test]
    fn compressed_files_have_a_plain_form() {
        let packed: &[u8] = Codec::Gzip.compress(b"let a = 1;").unwrap().leak();
        let script = asset(&("assets/a.js", true, packed));
        assert_eq!((script.content(), &*script.plain()), (packed, &b"let a = 1;"[..]));
        let plain = asset(&("assets/a.js", false, b"x"));
        assert_eq!((plain.content(), &*plain.plain()), (&b"x"[..], &b"x"[..]));
        assert!(FILES.iter().map(asset).all(|file| !file.plain().is_empty()));
    }

    #[test]
    fn paths_of_the_page_serve_it_and_missing_files_do_not() {
        let page = find("/runtimes/shop").unwrap();
        assert_eq!((page.kind, page.lasting), ("text/html; charset=utf-8", false));
        assert_eq!(find("/"), Some(page));
        assert_eq!(find("/assets/old-123.js"), None);
    }
}
