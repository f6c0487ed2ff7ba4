//! Image names that container runtimes accept and refuse.

use super::*;
use proptest::prelude::*;

#[test]
fn images() {
    let sha256 = "a".repeat(64);
    for good in [
        "nginx",
        "nginx:1.27",
        "konstellation/kre-py:latest",
        "localhost/name",
        "localhost:5000/name",
        "registry.example.com/team/sub/name:v1.2-rc_3",
        "registry.example.com:5000/team/name",
        "Registry.Example.com/name",
        "192.168.0.1:5000/name:tag",
        "[2001:db8::1]:5000/name",
        "a/b__c/d-e---f.g_h",
        "name:_tag",
        "name:5000",
        &format!("name@sha256:{sha256}"),
        &format!("host.example:443/name:tag@sha256:{sha256}"),
        &format!("name@sha512:{}", "0".repeat(128)),
        &format!("name@multihash+base58:{}", "A".repeat(46)),
        &format!("name:{}", "t".repeat(128)),
        &"n".repeat(255),
        &format!("docker.io/{sha256}"),
        &format!("name:{sha256}"),
    ] {
        assert_eq!(check(good), Ok(()), "{good}");
    }
    for (bad, expected) in [
        ("", "`` is not a part of a path"),
        (" nginx", "it holds a space"),
        ("nginx latest", "it holds a space"),
        ("naïve", "it holds a character that is not ASCII"),
        ("team\\name", "it holds a backslash"),
        ("https://example.com/name", "it is an address"),
        ("Nginx", "its path has upper-case letters"),
        ("registry.example.com/Team/name", "its path has upper-case letters"),
        ("Team/name", "its path has upper-case letters"),
        ("team/name!", "`name!` is not a part of a path"),
        ("-host.example/name", "`-host.example` is not a registry"),
        ("host.example:port/name", "`host.example:port` is not a registry"),
        ("host.example:/name", "`host.example:` is not a registry"),
        ("host..example/name", "`host..example` is not a registry"),
        ("[2001:db8::1/name", "`[2001:db8::1` is not a registry"),
        ("/name", "`` is not a part of a path"),
        ("team//name", "`` is not a part of a path"),
        ("team/name/", "`` is not a part of a path"),
        ("_name", "`_name` is not a part of a path"),
        ("name-", "`name-` is not a part of a path"),
        ("a..b", "`a..b` is not a part of a path"),
        ("a___b", "`a___b` is not a part of a path"),
        ("a._b", "`a._b` is not a part of a path"),
        ("name:", "`` is not a tag"),
        ("name:.tag", "`.tag` is not a tag"),
        ("name:-tag", "`-tag` is not a tag"),
        ("name:a:b", "`name:a` is not a part of a path"),
        ("name:${TAG}", "`${TAG}` is not a tag"),
        ("name@", "`` is not a digest"),
        ("name@sha256:abc", "`sha256:abc` is not a digest"),
        ("name@latest", "`latest` is not a digest"),
        (&format!("name@sha256:{}", "A".repeat(64)), "is not a digest"),
        (&format!("name@sha256:{}", "g".repeat(64)), "is not a digest"),
        (&format!("name@1md:{sha256}"), "is not a digest"),
        (&format!("name@sha256:{sha256}:tag"), "is not a digest"),
        (&format!("name:{}", "t".repeat(129)), "is not a tag"),
        (&"n".repeat(256), "an image's path of 256 bytes is too long"),
        (&sha256, "it is 64 hexadecimal digits, as an image's id"),
    ] {
        let said = check(bad).unwrap_err().to_string();
        assert!(said.ends_with(expected), "{bad}: {said}");
    }
    for (bad, expected) in [
        (
            "Registry.example:5000/Team/Name:V1",
            "write it in lower case: `Registry.example:5000/team/name:V1`",
        ),
        ("docker://example.com/name", "leave out `docker://`: `example.com/name`"),
    ] {
        assert_eq!(check(bad).unwrap_err().hint(), expected, "{bad}");
    }
}

proptest! {
    #[test]
    fn generated_image_names_are_valid(
        image in "([a-zA-Z0-9]([a-zA-Z0-9-]{0,8}[a-zA-Z0-9])?\\.[a-z]{2,5}(:[0-9]{1,5})?/)?\
            [a-z0-9]{1,8}((_|__|-{1,3})[a-z0-9]{1,5}){0,3}(/[a-z0-9]{1,8}((\\.|_|__|-{1,3})[a-z0-9]{1,5}){0,3}){0,3}\
            (:[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127})?(@sha256:[a-f0-9]{64})?"
    ) {
        prop_assert_eq!(check(&image), Ok(()));
    }

    #[test]
    fn invalid_names_have_a_hint(image in "\\PC{0,60}") {
        if let Err(error) = check(&image) {
            prop_assert!(!error.hint().is_empty());
        }
    }
}
