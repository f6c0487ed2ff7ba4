use super::*;

#[test]
fn a_pool_is_never_over_its_limit() {
    let pool = Pool::new(100);
    let (mut one, mut two) = (pool.reserve(), pool.reserve());
    one.try_grow(60).unwrap();
    assert_eq!(two.try_grow(41), Err(Full { limit: 100 }));
    assert_eq!((pool.used(), pool.check(40), pool.check(41)), (60, Ok(()), Err(Full { limit: 100 })));
    two.try_grow(40).unwrap();
    assert_eq!(one.try_grow(usize::MAX), Err(Full { limit: 100 }));
    one.try_resize(10).unwrap();
    assert_eq!((one.size(), pool.used()), (10, 50));
    one.shrink(1000);
    drop(two);
    assert_eq!(pool.used(), 0);
}

#[test]
fn bytes_count_until_their_last_reference_is_dropped() {
    let pool = Pool::new(100);
    let mut reservation = pool.reserve();
    reservation.try_grow(8).unwrap();
    let bytes = reservation.take().hold(Bytes::from_static(b"12345678"));
    assert_eq!(reservation.size(), 0);
    let part = bytes.slice(2..4);
    drop(bytes);
    assert_eq!((&part[..], pool.used()), (&b"34"[..], 8));
    drop(part);
    assert_eq!(pool.used(), 0);
}

#[test]
fn a_buffer_reserves_memory_for_its_content() {
    let pool = Pool::new(40_000);
    let mut buffer = Buffer::new(pool.reserve(), 20_000);
    for _ in 0..20 {
        // A sender that announces much and sends little holds little.
        buffer.extend(&[7; 1000], 1 << 30).unwrap();
        assert!((buffer.len()..=2 * buffer.len().max(2 << 10)).contains(&pool.used()), "{}", pool.used());
    }
    assert_eq!(buffer.extend(b"1", 0), Err(Refused::TooLarge { limit: 20_000 }));
    let bytes = buffer.freeze();
    assert_eq!(bytes.len(), 20_000);
    drop(bytes);
    assert_eq!(pool.used(), 0);
}

#[test]
fn a_buffer_stops_at_a_full_pool() {
    let pool = Pool::new(10_000);
    let mut buffer = Buffer::new(pool.reserve(), 1 << 20);
    buffer.extend(&[7; 5000], 5000).unwrap();
    assert_eq!(pool.used(), 5000);
    // The old memory counts while it is being copied.
    assert_eq!(buffer.extend(&[7; 1000], 6000), Err(Refused::Full(Full { limit: 10_000 })));
    assert_eq!((buffer.len(), pool.used()), (5000, 5000));
}
