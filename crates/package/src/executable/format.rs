//! The first bytes of an executable: its format and platform.

use std::{env::consts, fmt};

/// A required platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct System {
    os: &'static str,
    /// The processor, by Rust's name; `None` for any.
    processor: Option<&'static str>,
}

impl System {
    /// This machine.
    pub const HERE: Self = Self { os: consts::OS, processor: Some(consts::ARCH) };
    /// A cluster: Linux on any processor.
    pub const CLUSTER: Self = Self { os: "linux", processor: None };
}

/// An executable for another platform.
#[derive(Debug, PartialEq, Eq)]
pub struct Foreign {
    /// Its platform, for messages.
    pub is_for: String,
    /// The required platform, for messages.
    pub needed: String,
    /// The variables that make `go build` target it.
    pub hint: String,
}

/// The platform of an executable, by Rust's names.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Format {
    os: &'static str,
    /// Several for a universal file of macOS.
    processors: Vec<&'static str>,
}

impl Format {
    /// Parses the first bytes; `None` for an unknown format, such as a script.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        match bytes.first_chunk()? {
            [0x7f, b'E', b'L', b'F'] => elf(bytes),
            [0xcf | 0xce, 0xfa, 0xed, 0xfe] => Some(Self::macos(bytes, 4, u32::from_le_bytes)),
            [0xfe, 0xed, 0xfa, 0xcf | 0xce] => Some(Self::macos(bytes, 4, u32::from_be_bytes)),
            [0xca, 0xfe, 0xba, 0xbe | 0xbf] => universal(bytes),
            [b'M', b'Z', ..] => windows(bytes),
            _ => None,
        }
    }

    fn macos(bytes: &[u8], at: usize, read: fn([u8; 4]) -> u32) -> Self {
        let processor = bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(read);
        Self { os: "macos", processors: vec![processor.map_or("unknown", apple_processor)] }
    }

    /// The mismatch with a required platform.
    pub(super) fn foreign(&self, system: System) -> Option<Foreign> {
        let runs = |processor: &&str| {
            system.processor.is_none_or(|here| {
                here == *processor || *processor == "unknown" || (here, *processor) == ("x86_64", "x86")
            })
        };
        if self.os == system.os && self.processors.iter().any(runs) {
            return None;
        }
        let processor = system.processor.unwrap_or("x86_64");
        Some(Foreign {
            is_for: PlatformName(self.os, &self.processors).to_string(),
            needed: PlatformName(system.os, &system.processor.into_iter().collect::<Vec<_>>()).to_string(),
            hint: format!("GOOS={} GOARCH={} go build", go_system(system.os), go_processor(processor)),
        })
    }
}

/// Linux and its relatives (System V ABI, "ELF Header").
fn elf(bytes: &[u8]) -> Option<Format> {
    const FREEBSD: u8 = 9;
    let number: [u8; 2] = bytes.get(18..20)?.try_into().ok()?;
    let number = if bytes[5] == 2 { u16::from_be_bytes(number) } else { u16::from_le_bytes(number) };
    let processor = match (number, bytes[4]) {
        (3, _) => "x86",
        (8, _) => "mips",
        (20, _) => "powerpc",
        (21, _) => "powerpc64",
        (22, _) => "s390x",
        (40, _) => "arm",
        (62, _) => "x86_64",
        (183, _) => "aarch64",
        (243, 1) => "riscv32",
        (243, _) => "riscv64",
        (258, _) => "loongarch64",
        _ => "unknown",
    };
    let os = if bytes[7] == FREEBSD { "freebsd" } else { "linux" };
    Some(Format { os, processors: vec![processor] })
}

/// A universal file of macOS. Java class files start alike, with a version in place of the number of parts.
fn universal(bytes: &[u8]) -> Option<Format> {
    let number = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let parts = number(4).filter(|parts| (1..20).contains(parts))?;
    let step = if bytes[3] == 0xbf { 32 } else { 20 };
    let processors = (0..parts as usize).map_while(|part| number(8 + part * step)).map(apple_processor);
    Some(Format { os: "macos", processors: processors.collect() })
}

fn apple_processor(number: u32) -> &'static str {
    match number {
        7 => "x86",
        12 => "arm",
        0x0100_0007 => "x86_64",
        0x0100_000c => "aarch64",
        _ => "unknown",
    }
}

/// Windows ("PE Format": the offset of the header is at 0x3c).
fn windows(bytes: &[u8]) -> Option<Format> {
    let start = u32::from_le_bytes(bytes.get(0x3c..0x40)?.try_into().ok()?) as usize;
    let header = bytes.get(start..start.checked_add(6)?)?;
    let processor = match (header.strip_prefix(b"PE\0\0")?, ()) {
        ([0x64, 0x86], ()) => "x86_64",
        ([0x4c, 0x01], ()) => "x86",
        ([0x64, 0xaa], ()) => "aarch64",
        _ => "unknown",
    };
    Some(Format { os: "windows", processors: vec![processor] })
}

/// A platform in prose.
struct PlatformName<'a>(&'a str, &'a [&'a str]);

impl fmt::Display for PlatformName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            "linux" => "Linux",
            "macos" => "macOS",
            "windows" => "Windows",
            "freebsd" => "FreeBSD",
            other => other,
        })?;
        match self.1 {
            [] => Ok(()),
            processors => write!(f, " ({})", processors.join(", ")),
        }
    }
}

fn go_system(os: &str) -> &str {
    if os == "macos" { "darwin" } else { os }
}

fn go_processor(processor: &str) -> &str {
    match processor {
        "x86_64" => "amd64",
        "x86" => "386",
        "aarch64" => "arm64",
        "powerpc64" => "ppc64le",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LINUX: System = System { os: "linux", processor: Some("x86_64") };

    fn elf(class: u8, abi: u8, machine: u16) -> Vec<u8> {
        let mut bytes = vec![0x7f, b'E', b'L', b'F', class, 1, 1, abi];
        bytes.resize(18, 0);
        bytes.extend(machine.to_le_bytes());
        bytes
    }

    fn windows() -> Vec<u8> {
        let mut bytes = b"MZ".to_vec();
        bytes.resize(0x3c, 0);
        bytes.extend(0x40_u32.to_le_bytes());
        bytes.extend(b"PE\0\0\x64\x86");
        bytes
    }

    /// A system and its processors.
    type Expected = Option<(&'static str, &'static [&'static str])>;

    #[test]
    fn formats() {
        let rows: [(Vec<u8>, Expected); 11] = [
            (elf(2, 0, 62), Some(("linux", &["x86_64"]))),
            (elf(2, 3, 183), Some(("linux", &["aarch64"]))),
            (elf(1, 0, 3), Some(("linux", &["x86"]))),
            (elf(1, 0, 243), Some(("linux", &["riscv32"]))),
            (elf(2, 9, 62), Some(("freebsd", &["x86_64"]))),
            (b"\xcf\xfa\xed\xfe\x0c\0\0\x01".to_vec(), Some(("macos", &["aarch64"]))),
            (b"\xca\xfe\xba\xbe\0\0\0\x01\x01\0\0\x07".to_vec(), Some(("macos", &["x86_64"]))),
            (b"\xca\xfe\xba\xbe\0\0\0\x34\0\0\0\0".to_vec(), None),
            (windows(), Some(("windows", &["x86_64"]))),
            (b"#!/usr/bin/env python3\n".to_vec(), None),
            (b"".to_vec(), None),
        ];
        for (bytes, expected) in rows {
            let expected = expected.map(|(os, processors)| Format { os, processors: processors.to_vec() });
            assert_eq!(Format::of(&bytes), expected, "{bytes:x?}");
        }
    }

    #[test]
    fn platforms_of_executables() {
        let arm = System { processor: Some("aarch64"), ..LINUX };
        for (bytes, system, is_for) in [
            (elf(2, 0, 62), LINUX, None),
            (elf(1, 0, 3), LINUX, None),
            (elf(2, 0, 999), LINUX, None),
            (elf(2, 0, 183), LINUX, Some("Linux (aarch64)")),
            (elf(2, 0, 183), arm, None),
            (elf(2, 0, 183), System::CLUSTER, None),
            (elf(2, 0, 62), arm, Some("Linux (x86_64)")),
            (b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec(), LINUX, Some("macOS (x86_64)")),
            (b"\xcf\xfa\xed\xfe\x07\0\0\x01".to_vec(), System::CLUSTER, Some("macOS (x86_64)")),
            (windows(), LINUX, Some("Windows (x86_64)")),
        ] {
            let foreign = Format::of(&bytes).unwrap().foreign(system);
            assert_eq!(foreign.as_ref().map(|foreign| &*foreign.is_for), is_for, "{bytes:x?} {system:?}");
        }
        let foreign = Format::of(&windows()).unwrap().foreign(arm).unwrap();
        assert_eq!(
            (&*foreign.needed, &*foreign.hint),
            ("Linux (aarch64)", "GOOS=linux GOARCH=arm64 go build")
        );
    }

    proptest! {
        #[test]
        fn never_panics(start in 0..6_usize, rest in proptest::collection::vec(any::<u8>(), 0..100)) {
            let starts: [&[u8]; 6] = [b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xca\xfe\xba\xbe", b"MZ", b"\xfe\xed\xfa\xcf", b""];
            let _ = Format::of(&[starts[start], &rest].concat());
        }
    }
}
