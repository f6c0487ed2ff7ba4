use super::*;
use proptest::prelude::*;

const LIMIT: usize = 1 << 20;

fn text() -> Vec<u8> {
    (0..300_u32).flat_map(|number| (number * number).to_string().into_bytes()).collect()
}

#[test]
fn damaged_and_oversized_data_is_refused() {
    let text = text();
    for codec in Codec::ALL {
        let packed = codec.compress(&text).unwrap();
        assert_eq!(Codec::of(&packed), Some(codec));
        let (half, rest) = text.split_at(700);
        let members =
            [codec.compress(half).unwrap(), codec.compress(b"").unwrap(), codec.compress(rest).unwrap()];
        for (name, bytes) in [("one", packed.clone()), ("several", members.concat())] {
            assert_eq!(codec.decompress(&bytes, LIMIT).unwrap(), text, "{codec:?}, {name}");
            assert_eq!(
                codec.decompress(&bytes, text.len()).unwrap(),
                text,
                "{codec:?}, {name}, at its limit"
            );
            let large = codec.decompress(&bytes, text.len() - 1).unwrap_err();
            assert!(matches!(large, Error::TooLarge { .. }), "{codec:?}, {name}: {large}");
            for garbage in
                [&b"\0"[..], &[0; 64], b"g", b"gar", b"garbage of some length", &packed[..2], &packed[..9]]
            {
                let result = codec.decompress(&[&bytes[..], garbage].concat(), LIMIT);
                assert!(result.is_err(), "{codec:?}, {name}: {garbage:?} follows");
            }
        }
        for length in 0..packed.len() {
            assert!(codec.decompress(&packed[..length], LIMIT).is_err(), "{codec:?}: {length} bytes");
        }
        assert!(codec.decompress(b"plain text", LIMIT).is_err());
    }
}

#[test]
fn damaged_ends_are_detected() {
    let text = text();
    let gzip = Codec::Gzip.compress(&text).unwrap();
    for back in 1..=8 {
        let mut wrong = gzip.clone();
        let at = wrong.len() - back;
        wrong[at] ^= 0x10;
        let result = Codec::Gzip.decompress(&wrong, LIMIT).unwrap_err();
        assert!(matches!(result, Error::Damaged { .. }), "checksum or length, {back} from the end: {result}");
    }
}

#[test]
fn a_bomb_is_refused_early() {
    for codec in Codec::ALL {
        let bomb = codec.compress(&vec![0; 4 << 20]).unwrap();
        assert!(matches!(codec.decompress(&bomb, 1000), Err(Error::TooLarge { limit: 1000 })));
    }
}

proptest! {
    /// With any one bit flipped, decompression fails or returns the original.
    #[test]
    fn flipped_bits_never_change_the_data(plain: Vec<u8>, position: prop::sample::Index, bit in 0..8_u32) {
        for codec in Codec::ALL {
            let mut packed = codec.compress(&plain).unwrap();
            let at = position.index(packed.len());
            packed[at] ^= 1_u8 << bit;
            if let Ok(read) = codec.decompress(&packed, LIMIT) {
                prop_assert_eq!(&read, &plain, "{:?}", codec);
            }
        }
    }

    #[test]
    fn any_input_is_handled(bytes: Vec<u8>) {
        for codec in Codec::ALL {
            let _ = codec.decompress(&bytes, LIMIT);
            let _ = codec.decompress(&[codec.magic(), &bytes].concat(), LIMIT);
        }
    }
}
