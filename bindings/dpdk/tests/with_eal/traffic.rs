//! Frames through ports.

use crate::support::{self, numbered, numbers};
use dpdk::{
    Burst, Configured, Eal, MAX_BURST, Mbuf, Mempool, Port, PortConfig, Stamps, Started, free_burst,
};

fn started<'eal>(
    eal: &'eal Eal,
    name: &str,
    config: &PortConfig,
    pool: Mempool<'eal>,
) -> Port<'eal, Started> {
    let port: Port<'_, Configured> = eal.port(name).unwrap().configure(config, |_| pool).unwrap();
    port.start().unwrap()
}

#[test]
fn frames_of_every_length_pass_unchanged_and_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("in.pcap"), dir.path().join("out.pcap"));
    // Beyond 2048 bytes a frame takes more than one buffer.
    let frames: Vec<_> = (0..400u32).map(|n| numbered(n, 18 + (n as usize * 37) % 6000)).collect();
    support::write_pcap(&input, &frames);
    let vdev = format!("net_pcap0,rx_pcap={},tx_pcap={}", input.display(), output.display());
    let eal = support::eal(&[&vdev]);
    let pool = support::pool(&eal, "frames");
    let config = PortConfig { mtu: 9000, ..Default::default() };
    let mut port = started(&eal, "net_pcap0", &config, pool);
    let observer = port.observer();
    let mut queues = port.split();
    let (mut burst, mut segments, mut most) = (Burst::new(), 0, 0);
    while queues.rx[0].recv(&mut burst, 32) > 0 {
        most = most.max(burst.len());
        segments += burst.iter().map(|frame| u32::from(frame.segment_count())).sum::<u32>();
        queues.tx[0].send(&mut burst);
        assert!(burst.is_empty(), "net_pcap takes everything");
    }
    assert_eq!(most, 32);
    assert!(segments > 400, "some frames had several segments");
    let bytes: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
    let stats = observer.stats().unwrap();
    assert_eq!((stats.ipackets, stats.ibytes), (400, bytes), "{stats:?}");
    assert_eq!((stats.opackets, stats.obytes), (400, bytes), "{stats:?}");
    let xstats = observer.xstats().unwrap();
    let named = |name| xstats.iter().find(|x| x.name == name).map(|x| x.value);
    assert_eq!(named("rx_good_packets"), Some(400), "{xstats:?}");
    observer.reset_stats().unwrap();
    assert_eq!(observer.stats().unwrap().ipackets, 0);
    port.stop().unwrap().close().unwrap();
    assert_eq!(support::read_pcap(&output), frames);
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn what_a_full_queue_does_not_take_stays_in_the_burst_in_order() {
    let eal = support::eal(&["net_ring0"]);
    let pool = support::pool(&eal, "frames");
    // net_ring gives back on receive what was sent: a loop that holds a bounded number of frames.
    let mut port = started(&eal, "net_ring0", &PortConfig::default(), pool);
    let mut queues = port.split();
    let (rx, tx) = (&mut queues.rx[0], &mut queues.tx[0]);
    let (mut next, mut taken, mut burst) = (0, 0, Burst::new());
    while burst.is_empty() {
        burst.extend((0..MAX_BURST).map(|_| {
            next += 1;
            Mbuf::copy_from(&pool, &numbered(next - 1, 60)).unwrap()
        }));
        taken += tx.send(&mut burst);
        assert_eq!(taken + burst.len(), next as usize, "none is lost");
    }
    assert_eq!(tx.send(&mut burst), 0, "the queue is full");
    let left = numbers(&burst);
    assert_eq!(left, (u32::try_from(taken).unwrap()..next).collect::<Vec<_>>());
    // Room for some of them: they go from the front.
    let (mut first, mut got) = (Burst::new(), Vec::new());
    assert_eq!(rx.recv(&mut first, 1), 1);
    got.extend(numbers(&first));
    assert_eq!(tx.send(&mut burst), 1);
    assert_eq!(numbers(&burst), left[1..]);
    let mut others = Burst::new();
    while rx.recv(&mut others, 32) > 0 {
        got.extend(numbers(&others));
        free_burst(&mut others);
        tx.send(&mut burst);
    }
    assert_eq!(got, (0..next).collect::<Vec<_>>());
    drop((first, burst));
    assert_eq!(pool.in_use(), 0);
}

#[test]
fn receiving_keeps_to_the_room_and_to_what_was_asked_for() {
    let eal = support::eal(&["net_null0"]);
    let pool = support::pool(&eal, "frames");
    let mut port = started(&eal, "net_null0", &PortConfig::default(), pool);
    let mut queues = port.split();
    let mut burst = Burst::new();
    assert_eq!(queues.rx[0].recv(&mut burst, 0), 0);
    assert_eq!(queues.rx[0].recv(&mut burst, 8), 8);
    assert_eq!(queues.rx[0].recv(&mut burst, 48), 48);
    assert_eq!(queues.rx[0].recv(&mut burst, usize::MAX), 8, "there was room for 8");
    assert_eq!(queues.rx[0].recv(&mut burst, 32), 0, "there was room for none");
    assert_eq!((burst.len(), pool.in_use()), (MAX_BURST, 64));
    assert_eq!(queues.tx[0].send(&mut burst), MAX_BURST);
    assert_eq!(queues.tx[0].send(&mut burst), 0);
    assert_eq!((burst.len(), pool.in_use()), (0, 0));
}

#[test]
fn stopping_returns_every_frame_to_its_pool() {
    let eal = support::eal(&["net_ring0"]);
    let pool = support::pool(&eal, "frames");
    let mut port = started(&eal, "net_ring0", &PortConfig::default(), pool);
    let mut burst: Burst<'_> =
        (0..10).map(|n| Mbuf::copy_from(&pool, &numbered(n, 60)).unwrap()).collect();
    let mut queues = port.split();
    assert_eq!(queues.tx[0].send(&mut burst), 10);
    // The ring of net_ring is the test's wire: it keeps frames when the port stops, so they are
    // taken out first.
    while queues.rx[0].recv(&mut burst, 32) > 0 {}
    assert_eq!((burst.len(), pool.in_use()), (10, 10));
    drop(burst);
    port.stop().unwrap().close().unwrap();
    assert_eq!((pool.in_use(), pool.available()), (0, pool.capacity()));
}

#[test]
fn stamps_and_bytes_survive_the_way_through_another_thread() {
    let eal = support::eal(&["net_ring0"]);
    let pool = support::pool(&eal, "frames");
    let stamps = Stamps::register(&eal).unwrap();
    let mut port = started(&eal, "net_ring0", &PortConfig::default(), pool);
    let mut queues = port.split();
    let (mut rx, mut tx) = (queues.rx.remove(0), queues.tx.remove(0));
    const COUNT: u32 = 20_000;
    std::thread::scope(|scope| {
        let eal = &eal;
        scope.spawn(move || {
            let _registered = eal.register_thread().unwrap();
            let (mut next, mut burst) = (0, Burst::new());
            while next < COUNT || !burst.is_empty() {
                while next < COUNT && !burst.is_full() {
                    let Ok(mut frame) = Mbuf::copy_from(&pool, &numbered(next, 60)) else { break };
                    stamps.set(&mut frame, u64::from(next), u64::from(next) * 3);
                    burst.push(frame);
                    next += 1;
                }
                if tx.send(&mut burst) == 0 {
                    std::thread::yield_now();
                }
            }
        });
        scope.spawn(move || {
            let _registered = eal.register_thread().unwrap();
            let (mut expected, mut burst) = (0, Burst::new());
            while expected < COUNT {
                if rx.recv(&mut burst, 32) == 0 {
                    std::thread::yield_now();
                }
                for frame in burst.drain(..) {
                    assert_eq!(frame.head(), numbered(expected, 60));
                    let stamped = u64::from(expected);
                    assert_eq!(stamps.of(&frame), (stamped, stamped * 3));
                    expected += 1;
                }
            }
        });
    });
    assert_eq!(pool.in_use(), 0);
}
