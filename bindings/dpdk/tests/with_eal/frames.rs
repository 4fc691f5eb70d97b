//! Pools, frames and bursts.

use dpdk::{
    Burst, CopyError, Errno, HEADROOM, MAX_BURST, Mbuf, Mempool, MempoolConfig, MempoolError,
    PoolEmpty, PortConfig, PortError, Reuse, RxTimestamps, Stamps, free_burst, total_len,
};

use crate::support;

#[test]
fn a_pool_says_what_it_was_made_with() {
    let eal = support::eal(&[]);
    let config = MempoolConfig { buffers: 511, cache: 64, data_room: 4096, ..Default::default() };
    let pool = Mempool::create(&eal, "frames", config).unwrap();
    assert_eq!((pool.name(), pool.capacity(), pool.data_room()), ("frames", 511, 4096));
    assert_eq!((pool.available(), pool.in_use()), (511, 0));
}

#[test]
fn a_pool_that_can_not_be_made_is_an_error_that_names_it() {
    let eal = support::eal(&[]);
    let make = |name: &str, config| Mempool::create(&eal, name, config).unwrap_err();
    let good = MempoolConfig { buffers: 255, cache: 0, ..Default::default() };
    Mempool::create(&eal, "twice", good).unwrap();
    for (error, word) in [
        (make("twice", good), "twice"),
        (make("a name that is longer than DPDK takes", good), "longer"),
        (make("zero\0byte", good), "zero byte"),
        (make("cache", MempoolConfig { cache: 256, ..good }), "more than 170"),
        (make("room", MempoolConfig { data_room: HEADROOM, ..good }), "headroom"),
        (make("huge", MempoolConfig { buffers: 1 << 24, ..good }), "16777216 buffers on any node"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
    let node = make("node", MempoolConfig { socket: Some(7), ..good });
    assert!(matches!(node, MempoolError::Create { socket: Some(7), .. }), "{node:?}");
}

#[test]
fn buffers_in_ordinary_pages_do_not_start_at_the_same_place_of_every_page() {
    let eal = support::eal(&[]);
    let pool = support::pool(&eal, "frames");
    let mut burst = Burst::new();
    pool.alloc_bulk(&mut burst, 32).unwrap();
    let places: std::collections::BTreeSet<usize> =
        burst.drain(..).map(|frame| frame.into_raw().addr().get() % 4096).collect();
    // A burst's headers in one set of the first-level cache push each other out.
    assert!(places.len() >= 16, "{places:?}");
}

#[test]
fn a_dropped_frame_goes_back_to_its_pool() {
    let eal = support::eal(&[]);
    let pool = support::pool(&eal, "frames");
    let frame = Mbuf::copy_from(&pool, b"some bytes").unwrap();
    assert_eq!((frame.head(), frame.pkt_len()), (&b"some bytes"[..], 10));
    assert_eq!((pool.in_use(), pool.available()), (1, pool.capacity() - 1));
    let raw = frame.into_raw();
    assert_eq!(pool.in_use(), 1);
    // SAFETY: it was given away just now, by its owner.
    drop(unsafe { Mbuf::from_raw(raw) });
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn a_frame_holds_as_many_bytes_as_its_buffer_and_no_more() {
    let eal = support::eal(&[]);
    let pool = support::pool(&eal, "frames");
    let room = usize::from(pool.data_room() - HEADROOM);
    assert_eq!(Mbuf::copy_from(&pool, &vec![7; room]).unwrap().pkt_len(), room);
    let refused = Mbuf::copy_from(&pool, &vec![7; room + 1]).unwrap_err();
    assert!(matches!(refused, CopyError::TooLong(e) if e.room == room && e.len == room + 1));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn resizing_never_shows_what_an_earlier_frame_left_in_the_buffer() {
    let eal = support::eal(&[]);
    let config = MempoolConfig { buffers: 1, cache: 0, ..Default::default() };
    let pool = Mempool::create(&eal, "single", config).unwrap();
    drop(Mbuf::copy_from(&pool, &[0xFF; 200]).unwrap());
    let mut frame = Mbuf::copy_from(&pool, b"x").unwrap();
    frame.resize(200).unwrap();
    assert_eq!(frame.head()[..2], *b"x\0");
    assert!(frame.head()[1..].iter().all(|byte| *byte == 0));
}

#[test]
fn an_empty_pool_is_an_error_and_takes_nothing() {
    let eal = support::eal(&[]);
    let config = MempoolConfig { buffers: 10, cache: 0, ..Default::default() };
    let pool = Mempool::create(&eal, "small", config).unwrap();
    let mut burst = Burst::new();
    assert_eq!(pool.alloc_bulk(&mut burst, 11), Err(PoolEmpty));
    assert_eq!((burst.len(), pool.in_use()), (0, 0));
    pool.alloc_bulk(&mut burst, 10).unwrap();
    assert_eq!(Mbuf::alloc(&pool).unwrap_err(), PoolEmpty);
    assert!(matches!(Mbuf::copy_from(&pool, b""), Err(CopyError::PoolEmpty(_))));
    drop(burst);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn bursts_are_allocated_and_freed_as_a_whole() {
    let eal = support::eal(&[]);
    let pool = support::pool(&eal, "frames");
    let mut burst = Burst::new();
    pool.alloc_bulk(&mut burst, 40).unwrap();
    assert_eq!(pool.alloc_bulk(&mut burst, MAX_BURST), Err(PoolEmpty), "there is room for 24");
    pool.alloc_bulk(&mut burst, 24).unwrap();
    for (index, frame) in burst.iter_mut().enumerate() {
        frame.resize(index).unwrap();
    }
    assert_eq!(total_len(&burst), (0..64).sum());
    assert_eq!(pool.in_use(), 64);
    free_burst(&mut burst);
    assert_eq!((burst.len(), pool.in_use()), (0, 0));
    free_burst(&mut burst);
}

#[test]
fn frames_of_several_segments_and_pools_are_freed_as_a_whole() {
    let eal = support::eal(&[]);
    let (one, two) = (support::pool(&eal, "one"), support::pool(&eal, "two"));
    let chain = || {
        let mut frame = Mbuf::copy_from(&one, b"head ").unwrap();
        frame.append(Mbuf::copy_from(&two, b"middle ").unwrap()).unwrap();
        frame.append(Mbuf::copy_from(&one, b"tail").unwrap()).unwrap();
        frame
    };
    let mut frame = chain();
    assert_eq!((frame.segment_count(), frame.pkt_len(), frame.head()), (3, 16, &b"head "[..]));
    assert_eq!(frame.segments().collect::<Vec<_>>().concat(), b"head middle tail");
    assert!(frame.resize(3).is_err());
    assert_eq!((one.in_use(), two.in_use()), (2, 1));
    drop(frame);
    assert_eq!((one.in_use(), two.in_use()), (0, 0));

    let mut burst: Burst<'_> = (0..MAX_BURST).map(|_| chain()).collect();
    assert_eq!(total_len(&burst), 64 * 16);
    assert_eq!((one.in_use(), two.in_use()), (128, 64));
    free_burst(&mut burst);
    assert_eq!((one.in_use(), two.in_use()), (0, 0));
}

#[test]
fn stamps_travel_with_their_frame() {
    let eal = support::eal(&[]);
    let pool = support::pool(&eal, "frames");
    let stamps = Stamps::register(&eal).unwrap();
    let again = Stamps::register(&eal).expect("the same field, found again");
    let timestamps = RxTimestamps::register(&eal).unwrap();
    let mut burst = Burst::new();
    pool.alloc_bulk(&mut burst, 64).unwrap();
    for (frame, n) in burst.iter_mut().zip(0u64..) {
        frame.resize(60).unwrap();
        stamps.set(frame, u64::MAX - n, n);
    }
    for (frame, n) in burst.iter().zip(0u64..) {
        assert_eq!(again.of(frame), (u64::MAX - n, n));
        assert_eq!(timestamps.of(frame), None, "no device stamped it");
        assert_eq!((frame.pkt_len(), frame.ol_flags(), frame.rss_hash()), (60, 0, None));
    }
}

#[test]
fn a_lcores_cache_counts_as_available() {
    let eal = support::eal(&[]);
    let config = MempoolConfig { buffers: 1023, cache: 128, ..Default::default() };
    let pool = Mempool::create(&eal, "cached", config).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _registered = eal.register_thread().unwrap();
            let mut burst = Burst::new();
            pool.alloc_bulk(&mut burst, 32).unwrap();
            assert_eq!((pool.in_use(), pool.available()), (32, 991));
            free_burst(&mut burst);
        });
    });
    assert_eq!((pool.in_use(), pool.available()), (0, 1023));
}

#[test]
fn a_pool_gives_out_the_buffer_that_came_back_last_if_asked_to() {
    let eal = support::eal(&[]);
    let bytes = |frame: &Mbuf<'_>| frame.head().as_ptr();
    let first_after = |name, reuse| {
        let config = MempoolConfig { buffers: 63, cache: 0, reuse, ..Default::default() };
        let pool = Mempool::create(&eal, name, config).unwrap();
        let mut burst = Burst::new();
        pool.alloc_bulk(&mut burst, 8).unwrap();
        let last = bytes(&burst[7]);
        free_burst(&mut burst);
        let next = Mbuf::alloc(&pool).unwrap();
        (bytes(&next), last)
    };
    let (next, last) = first_after("last", Reuse::Last);
    assert_eq!(next, last);
    let (next, last) = first_after("usual", Reuse::Usual);
    assert_ne!(next, last, "a ring gives out one that has not been out yet");
}

#[test]
fn a_driver_may_stamp_frames_that_it_does_not_offer_to_stamp_with_a_clock_nobody_can_read() {
    let dir = tempfile::tempdir().unwrap();
    let capture = dir.path().join("frames.pcap");
    support::write_pcap(&capture, &[support::numbered(1, 60)]);
    let eal = support::eal(&[&format!("net_pcap0,rx_pcap={}", capture.display())]);
    let timestamps = RxTimestamps::register(&eal).unwrap();
    let pool = support::pool(&eal, "frames");
    let port = eal.port("net_pcap0").unwrap();
    assert!(!port.info().unwrap().offers_rx_timestamps());
    let asked = PortConfig { rx_timestamps: true, ..PortConfig::default() };
    let port = port.configure(&asked, |_| pool).unwrap();
    assert!(!port.settings().rx_timestamps(), "what is not offered is not asked for");
    let mut port = port.start().unwrap();
    let observer = port.observer();
    let mut burst = Burst::new();
    assert_eq!(port.split().rx[0].recv(&mut burst, 8), 1);
    // The capture says that the frame was taken at the beginning of 1970.
    assert_eq!(timestamps.of(&burst[0]), Some(0));
    let error = observer.read_clock().unwrap_err();
    assert!(matches!(error, PortError::Driver { source: Errno::NOT_SUPPORTED, .. }), "{error:?}");
    free_burst(&mut burst);
}
