//! The syntax of a container image's name: `HOST:PORT/PATH:TAG@DIGEST`.
//!
//! The grammar is that of the distribution project (<https://pkg.go.dev/github.com/distribution/reference>),
//! which container runtimes and Kubernetes use. Does not check whether an image exists.

/// The longest path of a repository, in bytes.
const MAX_PATH: usize = 255;
/// The longest tag, in bytes.
const MAX_TAG: usize = 128;
/// The number of hexadecimal digits of a digest, by algorithm.
const DIGESTS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];
/// The fewest digits of any other algorithm.
const MIN_DIGITS: usize = 32;

/// Why a text is not an image name.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Error {
    #[error("`{image}` is not an image: it holds {what}")]
    Character { image: String, what: &'static str },
    #[error("`{image}` is not an image: it is an address")]
    Scheme { image: String, scheme: &'static str },
    #[error("`{image}` is not an image: its path has upper-case letters")]
    Upper { image: String },
    #[error("`{image}` is not an image: `{host}` is not a registry")]
    Host { image: String, host: String },
    #[error("`{image}` is not an image: `{part}` is not a part of a path")]
    Part { image: String, part: String },
    #[error("`{image}` is not an image: `{tag}` is not a tag")]
    Tag { image: String, tag: String },
    #[error("`{image}` is not an image: `{digest}` is not a digest")]
    Digest { image: String, digest: String },
    #[error("an image's path of {length} bytes is too long")]
    Long { length: usize },
    #[error("`{image}` is not an image: it is 64 hexadecimal digits, as an image's id")]
    Id { image: String },
}

impl Error {
    /// The hint for the author.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Character { .. } => "write it as `registry.example.com/team/name:tag`".to_owned(),
            Self::Scheme { image, scheme } => format!("leave out `{scheme}`: `{}`", &image[scheme.len()..]),
            Self::Upper { image } => format!("write it in lower case: `{}`", lowered(image)),
            Self::Host { .. } => "a registry is a host name or an address, and a port if it has one: \
                `registry.example.com:5000`"
                .to_owned(),
            Self::Part { .. } => {
                "the parts between `/` are letters in lower case and digits, joined by `.`, `_`, `__` \
                or `-`"
                    .to_owned()
            }
            Self::Tag { .. } => format!(
                "after `:` come at most {MAX_TAG} letters, digits, `_`, `.` and `-`; the first is a letter, a digit or `_`"
            ),
            Self::Digest { .. } => {
                "after `@` comes an algorithm and its hexadecimal digits: `sha256:` and 64 of them".to_owned()
            }
            Self::Long { .. } => format!("it may have {MAX_PATH}"),
            Self::Id { .. } => "name its repository, and the id as a digest: `name@sha256:…`".to_owned(),
        }
    }
}

/// Checks the name of an image.
pub(crate) fn check(image: &str) -> Result<(), Error> {
    refuse_others(image)?;
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let (name, tag) = split_tag(rest);
    let (host, path) = split_host(name);
    let image = || image.to_owned();
    if let Some(host) = host.filter(|host| !is_host(host)) {
        return Err(Error::Host { image: image(), host: host.to_owned() });
    }
    check_path(path, &image)?;
    if host.is_none() && is_id(path) {
        return Err(Error::Id { image: image() });
    }
    if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
        return Err(Error::Tag { image: image(), tag: tag.to_owned() });
    }
    match digest.filter(|digest| !is_digest(digest)) {
        Some(digest) => Err(Error::Digest { image: image(), digest: digest.to_owned() }),
        None => Ok(()),
    }
}

/// Refuses other things than image names.
fn refuse_others(image: &str) -> Result<(), Error> {
    let schemes = ["https://", "http://", "docker://", "oci://"];
    if let Some(scheme) = schemes.into_iter().find(|scheme| image.starts_with(scheme)) {
        return Err(Error::Scheme { image: image.to_owned(), scheme });
    }
    let what = |c: char| match c {
        c if c.is_whitespace() => Some("a space"),
        '\\' => Some("a backslash"),
        c if !c.is_ascii() || c.is_control() => Some("a character that is not ASCII"),
        _ => None,
    };
    match image.chars().find_map(what) {
        Some(what) => Err(Error::Character { image: image.to_owned(), what }),
        None => Ok(()),
    }
}

/// A tag follows the last `:`, unless that precedes a port.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// The first part is a registry if it cannot be part of a path.
fn split_host(name: &str) -> (Option<&str>, &str) {
    match name.split_once('/') {
        Some((first, path)) if is_like_host(first) => (Some(first), path),
        _ => (None, name),
    }
}

fn is_like_host(first: &str) -> bool {
    first.contains(['.', ':', '[']) || first == "localhost"
}

fn is_host(text: &str) -> bool {
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (text, None),
    };
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_name = match address {
        Some(address) => {
            !address.is_empty() && address.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b':')
        }
        None => host.split('.').all(is_label),
    };
    is_name && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()))
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn check_path(path: &str, image: &impl Fn() -> String) -> Result<(), Error> {
    if path.len() > MAX_PATH {
        return Err(Error::Long { length: path.len() });
    }
    match path.split('/').find(|part| !is_part(part)) {
        None => Ok(()),
        Some(part) if is_part(&part.to_ascii_lowercase()) => Err(Error::Upper { image: image() }),
        Some(part) => Err(Error::Part { image: image(), part: part.to_owned() }),
    }
}

/// Letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn is_part(part: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [part.bytes().next(), part.bytes().last()];
    let joints = part.split(|c: char| c.is_ascii() && is_word(c as u8)).filter(|joint| !joint.is_empty());
    ends.into_iter().all(|end| end.is_some_and(is_word))
        && joints
            .into_iter()
            .all(|joint| matches!(joint, "." | "_" | "__") || joint.bytes().all(|byte| byte == b'-'))
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let first = tag.bytes().next().is_some_and(is_word);
    first && tag.len() <= MAX_TAG && tag.bytes().all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(digest: &str) -> bool {
    let Some((algorithm, digits)) = digest.split_once(':') else { return false };
    let is_hex = |lower: bool| {
        digits.bytes().all(|byte| byte.is_ascii_hexdigit() && !(lower && byte.is_ascii_uppercase()))
    };
    if let Some((_, length)) = DIGESTS.iter().find(|(name, _)| *name == algorithm) {
        return digits.len() == *length && is_hex(true);
    }
    let is_component = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphabetic())
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    algorithm.split(['+', '.', '-', '_']).all(is_component) && digits.len() >= MIN_DIGITS && is_hex(false)
}

fn is_id(path: &str) -> bool {
    path.len() == 64 && path.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The image with its path in lower case.
fn lowered(image: &str) -> String {
    let end = image.find('@').unwrap_or(image.len());
    let (name, _) = split_tag(&image[..end]);
    let (_, path) = split_host(name);
    let start = name.len() - path.len();
    format!("{}{}{}", &image[..start], path.to_ascii_lowercase(), &image[name.len()..])
}

#[cfg(test)]
mod tests;
