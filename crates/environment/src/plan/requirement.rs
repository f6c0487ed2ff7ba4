//! A requirement, as the line that installers read (PEP 508).

/// A package with its origin and conditions.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(super) struct Requirement {
    pub(super) name: String,
    pub(super) extras: Vec<String>,
    pub(super) origin: Origin,
    /// Conditions on platform and interpreter, all of which must hold.
    pub(super) markers: Vec<String>,
}

/// The origin of a package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// An index, with version specifiers; empty for any version.
    Index(String),
    /// The URL of an archive.
    Address(String),
    /// A repository.
    Git { address: String, revision: Option<String>, folder: Option<String> },
    /// A project or an archive on disk, relative to the deciding file's folder.
    Path { path: String, editable: bool },
}

impl Default for Origin {
    fn default() -> Self {
        Self::Index(String::new())
    }
}

impl Requirement {
    /// The requirement as a line.
    pub(super) fn line(&self) -> String {
        let (name, extras) = (&self.name, self.extras());
        let subject = match &self.origin {
            Origin::Index(version) => format!("{name}{extras}{version}"),
            Origin::Address(address) => format!("{name}{extras} @ {address}"),
            Origin::Git { address, revision, folder } => {
                let revision = revision.as_ref().map(|text| format!("@{text}")).unwrap_or_default();
                let folder = folder.as_ref().map(|text| format!("#subdirectory={text}")).unwrap_or_default();
                format!("{name}{extras} @ {}{revision}{folder}", git(address))
            }
            Origin::Path { path, editable: true } => format!("-e {}{extras}", dotted(path)),
            Origin::Path { path, editable: false } => format!("{}{extras}", dotted(path)),
        };
        match self.conditions() {
            Some(conditions) => format!("{subject} ; {conditions}"),
            None => subject,
        }
    }

    fn extras(&self) -> String {
        if self.extras.is_empty() { String::new() } else { format!("[{}]", self.extras.join(",")) }
    }

    fn conditions(&self) -> Option<String> {
        match self.markers.as_slice() {
            [] => None,
            [one] => Some(one.clone()),
            several => {
                Some(several.iter().map(|marker| format!("({marker})")).collect::<Vec<_>>().join(" and "))
            }
        }
    }
}

/// The URL of a repository in the form for installers: `git+https://…`, `git+ssh://…`.
fn git(address: &str) -> String {
    if address.starts_with("git+") {
        return address.to_owned();
    }
    match address.split_once(':') {
        Some((host, path)) if host.contains('@') && !path.starts_with("//") => {
            format!("git+ssh://{host}/{path}")
        }
        _ => format!("git+{address}"),
    }
}

/// A relative path that starts with a dot, so that installers do not take it for a name.
fn dotted(path: &str) -> String {
    if path.starts_with(['.', '/']) { path.to_owned() } else { format!("./{path}") }
}
