//! The paths of a `google.protobuf.FieldMask`: `address.zip_code` on the wire, `address.zipCode` in JSON.

/// Converts a path from JSON to the wire; `None` if it is invalid in JSON.
pub(super) fn to_path(camel: &str) -> Option<String> {
    let mut path = String::with_capacity(camel.len() + 4);
    for character in camel.chars() {
        match character {
            '_' => return None,
            upper if upper.is_uppercase() => {
                path.push('_');
                path.extend(upper.to_lowercase());
            }
            other => path.push(other),
        }
    }
    Some(path)
}

/// Converts a path from the wire to JSON; `None` if converting back gives another path.
pub(super) fn to_camel(path: &str) -> Option<String> {
    let mut camel = String::with_capacity(path.len());
    let mut characters = path.chars();
    while let Some(character) = characters.next() {
        match character {
            '_' => camel.extend(characters.next().filter(|next| next.is_lowercase())?.to_uppercase()),
            ',' => return None,
            upper if upper.is_uppercase() => return None,
            other => camel.push(other),
        }
    }
    Some(camel)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_convert_both_ways() {
        for (path, camel) in
            [("a", "a"), ("zip_code", "zipCode"), ("a.b_c.d", "a.bC.d"), ("a1.b", "a1.b"), ("", "")]
        {
            assert_eq!((to_path(camel).as_deref(), to_camel(path).as_deref()), (Some(path), Some(camel)));
        }
        for path in ["zipCode", "a_", "a__b", "a_1", "a,b", "_"] {
            assert_eq!(to_camel(path), None, "{path}");
        }
        assert_eq!((to_path("zip_code"), to_path("Ab").as_deref()), (None, Some("_ab")));
    }
}
