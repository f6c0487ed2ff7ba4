//! Renders a package's documentation from markdown to safe HTML.
//!
//! Drops raw HTML, images from other hosts, and unsafe links; relative links lead to files of `docs/`.

use krt_api::docs::Docs;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};
use std::path::{Component, Path, PathBuf};

const IN_PATH: &AsciiSet =
    &CONTROLS.add(b' ').add(b'"').add(b'#').add(b'<').add(b'>').add(b'?').add(b'%').add(b'`');

/// Renders markdown; `files` is the address of the files of `docs/`, without a trailing slash.
pub fn render(markdown: &str, files: &str) -> Docs {
    let options = Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH | Options::ENABLE_TASKLISTS;
    let mut title = Title::default();
    let mut images = Vec::new();
    let events = Parser::new_ext(markdown, options).filter_map(|event| {
        title.see(&event);
        safe(event, files, &mut images)
    });
    let mut html = String::new();
    html::push_html(&mut html, events);
    Docs { html, title: title.text.filter(|text| !text.is_empty()) }
}

/// Collects the text of the first heading.
#[derive(Default)]
struct Title {
    text: Option<String>,
    open: bool,
}

impl Title {
    fn see(&mut self, event: &Event<'_>) {
        match event {
            Event::Start(Tag::Heading { .. }) if self.text.is_none() => {
                self.open = true;
                self.text = Some(String::new());
            }
            Event::End(TagEnd::Heading(_)) => self.open = false,
            Event::Text(part) | Event::Code(part) if self.open => {
                self.text.get_or_insert_default().push_str(part);
            }
            _ => {}
        }
    }
}

/// Makes an event and its addresses safe, or drops it; `images` has whether each open image is shown.
fn safe<'a>(event: Event<'a>, files: &str, images: &mut Vec<bool>) -> Option<Event<'a>> {
    match event {
        Event::Html(_) | Event::InlineHtml(_) => None,
        Event::Start(Tag::HtmlBlock) | Event::End(TagEnd::HtmlBlock) => None,
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            let dest_url = link(&dest_url, files).into();
            Some(Event::Start(Tag::Link { link_type, dest_url, title, id }))
        }
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            let address = relative(&dest_url, files);
            images.push(address.is_some());
            // The alternative text replaces the image.
            let dest_url = CowStr::from(address?);
            Some(Event::Start(Tag::Image { link_type, dest_url, title, id }))
        }
        Event::End(TagEnd::Image) => images.pop().unwrap_or(true).then_some(event),
        event => Some(event),
    }
}

/// The address of a link; `#` when it is not safe.
fn link(address: &str, files: &str) -> String {
    let lower = address.trim().to_ascii_lowercase();
    if ["http://", "https://", "mailto:", "#"].iter().any(|start| lower.starts_with(start)) {
        return address.trim().to_owned();
    }
    relative(address, files).unwrap_or_else(|| "#".to_owned())
}

/// The address of a file of `docs/`, if the link is relative.
fn relative(address: &str, files: &str) -> Option<String> {
    let address = address.trim();
    let path = address.split(['#', '?']).next().unwrap_or_default();
    if path.is_empty() || path.contains([':', '\\']) || path.starts_with('/') {
        return None;
    }
    let decoded = percent_decode_str(path).decode_utf8().ok()?;
    let path = inside(&decoded)?;
    Some(format!("{files}/{}", utf8_percent_encode(path.to_str()?, IN_PATH)))
}

/// A relative path without dots, which stays below its start.
pub fn inside(path: &str) -> Option<PathBuf> {
    let mut clean = PathBuf::new();
    for part in Path::new(path).components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    (!clean.as_os_str().is_empty()).then_some(clean)
}

/// The media type of an image, by its name; other files are not served.
pub fn image(path: &Path) -> Option<&'static str> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match &*ending {
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "svg" => "image/svg+xml",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rendered_pages() {
        let rows = [
            ("# The *title*", "<h1>The <em>title</em></h1>\n"),
            ("a <script>alert(1)</script> b", "<p>a alert(1) b</p>\n"),
            ("<script>\nalert(1)\n</script>", ""),
            ("<img src=x onerror=alert(1)>", ""),
            ("[a](javascript:alert(1))", "<p><a href=\"#\">a</a></p>\n"),
            ("[a](https://example.com)", "<p><a href=\"https://example.com\">a</a></p>\n"),
            ("[a](../secret)", "<p><a href=\"#\">a</a></p>\n"),
            ("![plot](img/a b.png)", "<p>![plot](img/a b.png)</p>\n"),
            ("![plot](img/plot.png)", "<p><img src=\"/f/img/plot.png\" alt=\"plot\" /></p>\n"),
            ("![plot](./a%20b.png)", "<p><img src=\"/f/a%20b.png\" alt=\"plot\" /></p>\n"),
            ("![spy](https://example.com/x.png)", "<p>spy</p>\n"),
            ("![spy](//example.com/x.png)", "<p>spy</p>\n"),
        ];
        for (markdown, html) in rows {
            assert_eq!(render(markdown, "/f").html, html, "{markdown}");
        }
        assert_eq!(render("text\n\n## A `b`\n# C", "/f").title.as_deref(), Some("A b"));
    }

    #[test]
    fn paths() {
        assert_eq!(inside("a/./b.png"), Some(PathBuf::from("a/b.png")));
        for bad in ["", ".", "..", "a/../../b", "/etc/passwd"] {
            assert_eq!(inside(bad), None, "{bad}");
        }
        assert_eq!(image(Path::new("a.PNG")), Some("image/png"));
        assert_eq!(image(Path::new("a.html")), None);
    }
}
