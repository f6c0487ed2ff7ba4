//! Reads the text of a file as its own tool does.

use crate::error::Error;
use krt_model::text::{Decoded, decode};
use regex::bytes::Regex;
use std::{fs, path::Path, sync::LazyLock};

/// An encoding declaration in one of the first two lines (PEP 263), by pip's rules.
static CODING: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"^#.*coding[:=]\s*([-\w.]+)").expect("the pattern is valid"));

const AS_UTF8: &str = "save it as UTF-8";
const AS_UTF8_OR_NAMED: &str =
    "save it as UTF-8, or name its encoding in the first line: `# -*- coding: latin-1 -*-`";

/// The text of a TOML or JSON file: UTF-8, or as its byte order mark says.
pub(super) fn read(path: &Path, named_by: Option<&Path>) -> Result<String, Error> {
    let bytes = bytes(path, named_by)?;
    decode(&bytes).map(|decoded| decoded.text).map_err(|problem| Error::NotText {
        file: path.to_owned(),
        problem: problem.to_string(),
        hint: AS_UTF8,
    })
}

/// The text of a list of requirements: decoded by a byte order mark, else by a comment in the first two
/// lines, else as UTF-8.
pub(super) fn read_requirements(path: &Path, named_by: Option<&Path>) -> Result<Decoded, Error> {
    let bytes = bytes(path, named_by)?;
    let failed = |problem: String| Error::NotText { file: path.to_owned(), problem, hint: AS_UTF8_OR_NAMED };
    let has_mark = [&b"\xef\xbb\xbf"[..], b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff"]
        .iter()
        .any(|mark| bytes.starts_with(mark));
    match coding(&bytes).filter(|_| !has_mark) {
        None => decode(&bytes).map_err(|problem| failed(problem.to_string())),
        Some(name) => {
            let encoding = encoding_rs::Encoding::for_label(label(&name).as_bytes())
                .ok_or_else(|| failed(format!("names the encoding `{name}`, which is not known (line 1)")))?;
            let (text, _, is_wrong) = encoding.decode(&bytes);
            if is_wrong {
                return Err(failed(format!("is not in `{name}`, as it says")));
            }
            Ok(Decoded { is_plain: text.as_bytes() == bytes, text: text.into_owned() })
        }
    }
}

fn bytes(path: &Path, named_by: Option<&Path>) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        named_by: named_by.map(Path::to_owned),
        source,
    })
}

/// The encoding that a comment declares.
fn coding(bytes: &[u8]) -> Option<String> {
    let named = |line: &[u8]| Some(String::from_utf8_lossy(&CODING.captures(line)?[1]).into_owned());
    bytes.split(|&byte| byte == b'\n').take(2).find_map(named)
}

/// The web's name of an encoding that Python names differently.
fn label(name: &str) -> String {
    let name = name.to_ascii_lowercase().replace('_', "-");
    match name.as_str() {
        "latin-1" | "latin" | "l1" | "iso8859-1" | "8859" => "latin1".to_owned(),
        "utf8" | "u8" | "utf-8-sig" => "utf-8".to_owned(),
        name => match name.strip_prefix("cp125") {
            Some(rest) => format!("windows-125{rest}"),
            None => name.to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requirements_are_read_as_pip_reads_them() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("requirements.txt");
        let utf16: Vec<u8> = "\u{feff}six # ä".encode_utf16().flat_map(u16::to_le_bytes).collect();
        for (bytes, text, is_plain) in [
            (&b"six # \xc3\xa4"[..], "six # ä", true),
            (b"\xef\xbb\xbfsix # \xc3\xa4", "six # ä", false),
            (&utf16, "six # ä", false),
            (b"# -*- coding: latin-1 -*-\nsix # \xe4", "# -*- coding: latin-1 -*-\nsix # ä", false),
            (
                b"#\n# vim: set fileencoding=cp1252 :\nsix # \x80",
                "#\n# vim: set fileencoding=cp1252 :\nsix # €",
                false,
            ),
            (b"# coding: latin-1\nsix", "# coding: latin-1\nsix", true),
        ] {
            fs::write(&path, bytes).unwrap();
            let decoded = read_requirements(&path, None).unwrap();
            assert_eq!((decoded.text.as_str(), decoded.is_plain), (text, is_plain));
        }
        for (bytes, words) in [
            (&b"a\nsix # \xe4"[..], "line 2"),
            (b"# coding: klingon\nsix", "klingon"),
            (b"a\nb\n# coding: latin-1\nsix \xe4", "line 4"),
        ] {
            fs::write(&path, bytes).unwrap();
            let error = krt_model::hint::line(&read_requirements(&path, None).unwrap_err());
            assert!(error.contains(words) && error.contains("; hint: "), "{error}");
        }
    }
}
