use std::io::Read;

use proptest::prelude::*;

use super::*;

fn compressor(compression: Compression, level: Option<u32>) -> Compressor {
    Compressor::new(compression, level).unwrap().unwrap()
}

fn all() -> Vec<(Compression, u32)> {
    let mut all = Vec::new();
    #[cfg(feature = "gzip")]
    all.extend((0..=9).map(|level| (Compression::Gzip, level)));
    #[cfg(feature = "zstd")]
    all.extend((1..=19).map(|level| (Compression::Zstd, level)));
    all
}

/// Without the levels that need seconds.
fn quick() -> impl Iterator<Item = (Compression, u32)> {
    all().into_iter().filter(|(_, level)| *level <= 6)
}

/// Readers of the libraries, which check the sums: of gzip in the trailer, of zstd the frame's length.
fn decoded(compression: Compression, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match compression {
        Compression::None => plain.extend_from_slice(body),
        #[cfg(feature = "gzip")]
        Compression::Gzip => {
            let mut decoder = flate2::read::GzDecoder::new(body);
            decoder.read_to_end(&mut plain).unwrap();
            let mut sum = flate2::Crc::new();
            sum.update(&plain);
            let trailer = body.last_chunk::<8>().unwrap();
            let expected = (u64::from(sum.amount()) << 32) | u64::from(sum.sum());
            assert_eq!(u64::from_le_bytes(*trailer), expected);
            assert!(
                decoder.into_inner().is_empty(),
                "nothing behind the trailer"
            );
        }
        #[cfg(feature = "zstd")]
        Compression::Zstd => {
            zstd::Decoder::new(body)
                .unwrap()
                .read_to_end(&mut plain)
                .unwrap();
        }
        #[allow(unreachable_patterns, reason = "depends on the features")]
        _ => {}
    }
    plain
}

/// Something like spans: a few words, over and over, and ids.
fn like_spans(length: usize, mut seed: u64) -> Bytes {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        seed = seed
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&seed.to_le_bytes());
        bytes.extend_from_slice(b"GET /cart http.request.method http.response.status_code");
    }
    bytes.truncate(length);
    bytes.into()
}

fn noise(length: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(7);
    (0..length).map(|_| random.u8(..)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn spec_2_15_what_is_compressed_is_what_was_given(
        requests in proptest::collection::vec(
            proptest::collection::vec((0_usize..40_000, any::<bool>()), 0..4), 1..4),
        which in any::<prop::sample::Index>(),
    ) {
        let all = all();
        prop_assume!(!all.is_empty());
        let (compression, level) = all[which.index(all.len())];
        let mut compressor = compressor(compression, Some(level));
        for request in requests {
            let part = |&(length, regular): &(usize, bool)| if regular { like_spans(length, 3) } else { noise(length) };
            let parts: Vec<Bytes> = request.iter().map(part).collect();
            let body = compressor.compress(&parts).unwrap();
            prop_assert_eq!(decoded(compression, &body), parts.concat());
        }
    }
}

#[test]
fn every_level_gives_what_was_given() {
    let parts = [
        like_spans(100_000, 1),
        Bytes::new(),
        noise(50_000),
        like_spans(33, 2),
    ];
    let largest = |(compression, level): &(Compression, u32)| match compression {
        Compression::Zstd => *level == 19,
        _ => true,
    };
    for (compression, level) in all().into_iter().filter(largest) {
        let mut compressor = compressor(compression, Some(level));
        for parts in [&parts[..], &[], &[Bytes::new()]] {
            let body = compressor.compress(parts).unwrap();
            assert_eq!(
                decoded(compression, &body),
                parts.concat(),
                "{compression:?} {level}"
            );
        }
    }
}

#[test]
fn a_level_out_of_range_is_the_nearest_one() {
    for (compression, _) in all() {
        for level in [0, u32::MAX] {
            let body = compressor(compression, Some(level)).compress(&[like_spans(99, 1)]);
            assert_eq!(decoded(compression, &body.unwrap()), like_spans(99, 1));
        }
    }
}

#[test]
fn what_cannot_be_made_smaller_grows_by_little_and_so_does_its_buffer() {
    for (compression, level) in quick() {
        let mut compressor = compressor(compression, Some(level));
        let body = compressor.compress(&[noise(1 << 20)]).unwrap();
        assert_eq!(decoded(compression, &body), noise(1 << 20));
        let most = (1 << 20) / 8 * 9 + 3 * STEP;
        assert!(
            body.len() < most && compressor.capacity < most,
            "{compression:?} {level}: {} {}",
            body.len(),
            compressor.capacity
        );
    }
}

#[test]
fn a_message_of_grpc_has_the_flag_and_its_length_before_it() {
    for (compression, level) in quick() {
        let mut compressor = compressor(compression, Some(level));
        for length in [0, 5, 200_000] {
            let message = compressor
                .compress_message(&[like_spans(length, 1)])
                .unwrap();
            let (prefix, body) = message.split_first_chunk::<5>().unwrap();
            let length_of_body = u32::try_from(body.len()).unwrap().to_be_bytes();
            assert_eq!((prefix[0], &prefix[1..]), (1, &length_of_body[..]));
            assert_eq!(decoded(compression, body), like_spans(length, 1));
        }
    }
}

#[test]
fn a_hundred_equal_requests_use_one_buffer() {
    for (compression, level) in quick() {
        let mut compressor = compressor(compression, Some(level));
        let parts = [like_spans(50_000, 1)];
        let first = compressor.compress_message(&parts).unwrap();
        let (at, capacity) = (first.as_ptr(), compressor.capacity);
        let at_first = held(&compressor);
        drop(first);
        for _ in 0..100 {
            let body = compressor.compress_message(&parts).unwrap();
            assert_eq!(body.as_ptr(), at, "{compression:?} {level}");
            assert_eq!(compressor.capacity, capacity);
        }
        assert_eq!(held(&compressor), at_first);
    }
}

/// The buffer, and the tables as far as their codec tells.
fn held(compressor: &Compressor) -> usize {
    let tables = match &compressor.codec {
        #[cfg(feature = "gzip")]
        Codec::Gzip(_) => 272 << 10,
        #[cfg(feature = "zstd")]
        Codec::Zstd(context) => context.sizeof(),
    };
    compressor.capacity + tables
}

#[test]
fn p_5_what_compression_holds_is_what_the_budget_sets_aside_for_it() {
    let largest = |(compression, level): &(Compression, u32)| match compression {
        Compression::Zstd => *level == 19,
        _ => true,
    };
    for (compression, level) in all().into_iter().filter(largest) {
        let mut compressor = compressor(compression, Some(level));
        for parts in [[like_spans(1 << 20, 1)], [noise(1 << 20)]] {
            compressor.compress_message(&parts).unwrap();
            let most = footprint(compression, 1 << 20);
            assert!(
                held(&compressor) <= most,
                "{compression:?} {level}: {}",
                held(&compressor)
            );
        }
    }
}

#[test]
fn a_body_that_is_still_being_sent_is_left_alone() {
    for (compression, level) in quick() {
        let mut compressor = compressor(compression, Some(level));
        let held = compressor.compress(&[like_spans(9_000, 1)]).unwrap();
        let next = compressor.compress(&[noise(9_000)]).unwrap();
        assert_eq!(decoded(compression, &held), like_spans(9_000, 1));
        assert_eq!(decoded(compression, &next), noise(9_000));
    }
}

#[test]
fn nothing_of_a_larger_request_is_in_the_next_one() {
    for (compression, level) in quick() {
        let mut used = compressor(compression, Some(level));
        used.compress(&[Bytes::from("a secret ".repeat(10_000))])
            .unwrap();
        let parts = [Bytes::from_static(b"small")];
        let fresh = compressor(compression, Some(level)).compress_message(&parts);
        let same = used.compress_message(&parts).unwrap() == fresh.unwrap();
        assert!(same, "{compression:?} {level}");
    }
}

#[test]
fn a_buffer_that_is_no_longer_needed_is_given_back() {
    for (compression, level) in quick() {
        let mut compressor = compressor(compression, Some(level));
        compressor.compress(&[noise(1 << 20)]).unwrap();
        assert!(compressor.capacity >= 1 << 20);
        for _ in 0..40 {
            compressor.compress(&[like_spans(1_000, 1)]).unwrap();
        }
        assert!(
            compressor.capacity <= TOO_LARGE * STEP,
            "{}",
            compressor.capacity
        );
    }
}

#[test]
fn no_compression_needs_no_compressor_and_a_missing_feature_is_named() {
    assert!(
        Compressor::new(Compression::None, Some(3))
            .unwrap()
            .is_none()
    );
    for (compression, present) in [
        (Compression::Gzip, cfg!(feature = "gzip")),
        (Compression::Zstd, cfg!(feature = "zstd")),
    ] {
        match Compressor::new(compression, None) {
            Ok(made) => assert!(made.is_some() && present),
            Err(error) => assert!(!present && error.to_string().contains(compression.name())),
        }
    }
}

#[cfg(feature = "gzip")]
mod responses {
    use super::*;

    fn gzip(plain: &[u8]) -> Bytes {
        let plain = Bytes::copy_from_slice(plain);
        compressor(Compression::Gzip, Some(9))
            .compress(&[plain])
            .unwrap()
    }

    #[test]
    fn spec_2_18_the_limit_holds_for_what_is_decompressed() {
        for length in [0, 1, 4_095, 4_096, 4_097, 100_000] {
            let plain = vec![7; length];
            let body = gzip(&plain);
            for name in ["gzip", "GZIP", " x-gzip "] {
                let same = decompress_limited(name, &body, length);
                assert_eq!(same.as_ref(), Ok(&plain));
                assert!(same.unwrap().capacity() <= length.max(4 * body.len()));
            }
            if let Some(less) = length.checked_sub(1) {
                let cut = decompress_limited("gzip", &body, less);
                assert_eq!(cut, Err(Undecompressed::TooLarge));
            }
        }
    }

    #[test]
    fn f_15_a_bomb_stops_at_the_limit() {
        // 64 MiB of nothing, five times over.
        let bomb = gzip(&vec![0; 64 << 20]).repeat(5);
        assert!(bomb.len() < 512 << 10);
        let mut reader = flate2::bufread::MultiGzDecoder::new(&bomb[..]);
        let mut first = [0; 1];
        reader.read_exact(&mut first).unwrap();
        assert_eq!(
            decompress_limited("gzip", &bomb, 64 << 10),
            Err(Undecompressed::TooLarge)
        );
    }

    #[test]
    fn f_15_what_is_no_gzip_or_is_cut_is_malformed() {
        let body = gzip(b"some text that is long enough to be cut");
        for length in 0..body.len() {
            let cut = decompress_limited("gzip", &body[..length], 1 << 20);
            assert_eq!(cut, Err(Undecompressed::Malformed), "{length}");
        }
        let mut wrong_sum = body.to_vec();
        wrong_sum[body.len() - 8] ^= 1;
        let sum = decompress_limited("gzip", &wrong_sum, 1 << 20);
        assert_eq!(sum, Err(Undecompressed::Malformed));
        let other = decompress_limited("br", b"x", 9);
        assert_eq!(other, Err(Undecompressed::Malformed));
    }

    #[test]
    fn several_members_are_one_body() {
        let body = [&gzip(b"one ")[..], &gzip(b"two")].concat();
        assert_eq!(
            decompress_limited("gzip", &body, 99),
            Ok(b"one two".to_vec())
        );
    }

    #[test]
    fn a_body_without_encoding_is_limited_too() {
        assert_eq!(
            decompress_limited("identity", b"abc", 3),
            Ok(b"abc".to_vec())
        );
        assert_eq!(
            decompress_limited("", b"abc", 2),
            Err(Undecompressed::TooLarge)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(body in proptest::collection::vec(any::<u8>(), 0..400), limit in 0_usize..500) {
            if let Ok(plain) = decompress_limited("gzip", &body, limit) {
                prop_assert!(plain.len() <= limit);
            }
        }
    }
}
