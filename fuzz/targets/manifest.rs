//! Whatever a `krt.yml` holds, it is read or refused, and problems can be shown.

#![no_main]

use krt_package::{Target, manifest, problem::Source, render::Style};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let source = Source::new("krt.yml", text);
    for target in [Target::Local, Target::Cluster] {
        let (manifest, mut report) = manifest::parse(&source, target);
        assert!(report.has_errors() || manifest.into_version().is_some());
        report.add_source(source.clone());
        report.render(&Style::default());
    }
});
