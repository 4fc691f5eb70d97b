//! What the kernel says about interfaces and routes that were made for the question, in a network namespace of its own.

use std::{
    collections::BTreeMap,
    io::Read as _,
    net::IpAddr,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use linux::{
    ethtool,
    packet::{BURST, PacketSocket},
    route,
};

/// Runs something in a new network namespace, on a thread that ends with it; says so where that is not allowed.
fn in_namespace(test: &str, body: impl FnOnce() + Send) {
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            // SAFETY: unshare(2) with CLONE_NEWNET moves only the calling thread, which ends with this closure, to a new
            // network namespace; it touches no memory.
            if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
                let why = std::io::Error::last_os_error();
                eprintln!("SKIPPED: {test}: no network namespace: {why}");
                return;
            }
            body();
        });
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// `ip` with the words of one line; children are in the namespace of the thread that starts them.
fn ip(line: &str) {
    let output = Command::new("ip").args(line.split(' ')).output().expect("iproute2 is installed");
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Asks until there is an answer. The kernel hands frames over in a software interrupt, and on a busy machine a thread of
/// its own does that, when its turn comes.
fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "still waiting for {what}");
        thread::yield_now();
    }
}

/// A veth pair with a socket at each end, and frames pass. What is sent while the kernel has only begun to bring a link up
/// is lost without a word, and nothing that can be asked says when that is over.
fn joined(receive_buffer: usize) -> [PacketSocket; 2] {
    const HELLO: [u8; 2] = [0x88, 0xb6];
    ip("link add name north type veth peer name south");
    ip("link set north up");
    ip("link set south up");
    let north = PacketSocket::open("north", 1 << 20).expect("north is there");
    let south = PacketSocket::open("south", receive_buffer).expect("south is there");
    let mut hello = [0; 60];
    hello[12..14].copy_from_slice(&HELLO);
    until("a frame that passes", || {
        north.send(&hello).expect("north is up");
        let mut into = [0; 2048];
        south.receive(&mut into).expect("south is up")?;
        (into[12..14] == HELLO).then_some(())
    });
    [north, south]
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

#[test]
fn default_routes_of_every_table_and_both_families_are_found() {
    in_namespace("default_routes_of_every_table_and_both_families_are_found", || {
        ip("link add name north type veth peer name south");
        ip("link set north up");
        ip("link set south up");
        ip("addr add 192.0.2.1/24 dev north");
        ip("addr add 2001:db8::1/64 dev south nodad");
        ip("route add default via 192.0.2.254 dev north");
        ip("route add default via 192.0.2.253 dev north table 1000");
        ip("-6 route add default via 2001:db8::254 dev south");
        ip("route add blackhole default table 77");

        let mut found: Vec<_> = route::routes()
            .unwrap()
            .into_iter()
            .filter(route::Route::is_default)
            .map(|route| (route.table, route.ways[0].interface.clone(), route.ways[0].via))
            .collect();
        found.sort();

        assert_eq!(
            found,
            [
                (254, "north".to_owned(), Some(address("192.0.2.254"))),
                (254, "south".to_owned(), Some(address("2001:db8::254"))),
                (1000, "north".to_owned(), Some(address("192.0.2.253"))),
            ]
        );
    });
}

#[test]
fn several_ways_and_next_hop_objects_lead_to_their_interfaces() {
    in_namespace("several_ways_and_next_hop_objects_lead_to_their_interfaces", || {
        ip("link add name north type veth peer name south");
        ip("link set north up");
        ip("link set south up");
        ip("addr add 192.0.2.1/25 dev north");
        ip("addr add 192.0.2.129/25 dev south");
        ip(
            "route add 198.51.100.0/24 nexthop via 192.0.2.2 dev north nexthop via 192.0.2.130 dev south",
        );
        ip("nexthop add id 1 via 192.0.2.2 dev north");
        ip("nexthop add id 2 via 192.0.2.130 dev south");
        ip("nexthop add id 3 group 1/2");
        ip("route add 203.0.113.0/24 nhid 3");

        for network in ["198.51.100.0", "203.0.113.0"] {
            let routes = route::routes().unwrap();
            let route = routes.iter().find(|route| route.to == address(network)).unwrap();
            let ways: Vec<_> = route.ways.iter().map(|way| way.interface.as_str()).collect();
            assert_eq!(ways, ["north", "south"], "{network}");
        }
    });
}

#[test]
fn the_route_to_a_peer_follows_the_policy_rules() {
    in_namespace("the_route_to_a_peer_follows_the_policy_rules", || {
        ip("link add name north type veth peer name south");
        ip("link set north up");
        ip("link set south up");
        ip("addr add 192.0.2.1/24 dev north");
        ip("addr add 198.51.100.1/24 dev south");
        ip("route add 203.0.113.0/24 dev north");
        ip("route add 203.0.113.7/32 dev south table 200");
        ip("rule add to 203.0.113.7/32 lookup 200");

        assert_eq!(route::route_to(address("203.0.113.6")).unwrap().ways[0].interface, "north");
        assert_eq!(route::route_to(address("203.0.113.7")).unwrap().ways[0].interface, "south");
        assert!(route::route_to(address("8.8.8.8")).is_err());
    });
}

#[test]
fn links_say_what_they_stand_on() {
    let test = "links_say_what_they_stand_on";
    in_namespace(test, || {
        ip("link add name north type veth peer name south");
        ip("link add name bridge0 type bridge");
        ip("link set south master bridge0");
        // Kernels are built without some of them.
        let kinds =
            ["vlan id 5", "macvlan", "ipvlan"].into_iter().enumerate().filter(|(at, kind)| {
                let line = format!("link add link north name over{at} type {kind}");
                let is_made =
                    Command::new("ip").args(line.split(' ')).output().unwrap().status.success();
                if !is_made {
                    eprintln!("SKIPPED: {test}, for {kind}: this kernel has none");
                }
                is_made
            });
        let kinds: Vec<_> = kinds.collect();

        let links = route::links().unwrap();
        let link = |name: &str| links.iter().find(|link| link.name == name).unwrap();

        assert_eq!(link("bridge0").kind.as_deref(), Some("bridge"));
        assert_eq!(link("south").master, Some(link("bridge0").index));
        assert_eq!(link("north").kind.as_deref(), Some("veth"));
        assert_eq!(link("north").parent, Some(link("south").index));
        assert_eq!(link("north").parent_namespace, None);
        for (at, kind) in kinds {
            let over = link(&format!("over{at}"));
            assert_eq!(over.kind.as_deref(), kind.split(' ').next());
            assert_eq!(over.parent, Some(link("north").index));
        }
    });
}

#[test]
fn a_container_that_stands_on_an_interface_of_ours_is_found() {
    let test = "a_container_that_stands_on_an_interface_of_ours_is_found";
    in_namespace(test, || {
        ip("link add name north type veth peer name south");
        let line = "link add link north name over type macvlan";
        if !Command::new("ip").args(line.split(' ')).output().unwrap().status.success() {
            eprintln!("SKIPPED: {test}: this kernel has no macvlan");
            return;
        }
        // It says that it is in its own namespace by writing a line, and stays until its input ends.
        let mut container = Command::new("unshare")
            .args(["-n", "sh", "-c", "echo; read line"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        container.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let process = container.id();
        assert_eq!(route::links_standing_on_ours(process).unwrap(), []);
        ip(&format!("link set over netns {process}"));
        ip(&format!("link set south netns {process}"));

        let found = route::links_standing_on_ours(process).unwrap();
        let links = route::links().unwrap();

        container.stdin.take();
        container.wait().unwrap();
        let north = links.iter().find(|link| link.name == "north").unwrap().index;
        assert_eq!(found, [("over".to_owned(), north)]);
    });
}

#[test]
fn addresses_are_global_or_not() {
    in_namespace("addresses_are_global_or_not", || {
        ip("link add name north type veth peer name south");
        ip("link set north up");
        ip("addr add 192.0.2.1/24 dev north");
        ip("addr add 198.51.100.9/24 scope link dev north");
        ip("addr add fe80::7/64 dev north nodad");

        let mut found: Vec<_> = route::addresses()
            .unwrap()
            .into_iter()
            .filter(|one| {
                ["192.0.2.1", "198.51.100.9", "fe80::7"].contains(&&*one.address.to_string())
            })
            .map(|one| (one.address.to_string(), one.is_global))
            .collect();
        found.sort();

        let wanted = [("192.0.2.1", true), ("198.51.100.9", false), ("fe80::7", false)];
        assert_eq!(found, wanted.map(|(address, is_global)| (address.to_owned(), is_global)));
    });
}

#[test]
fn a_feature_that_is_set_reads_back() {
    in_namespace("a_feature_that_is_set_reads_back", || {
        ip("link add name north type veth peer name south");
        let is_on = |name: &str| ethtool::features("north").unwrap()[name].is_on;

        for wanted in [true, false] {
            ethtool::set_features("north", &BTreeMap::from([("gro".to_owned(), wanted)])).unwrap();
            assert_eq!(is_on("rx-gro"), wanted);
            ethtool::set_features("north", &BTreeMap::from([("tso".to_owned(), wanted)])).unwrap();
            assert_eq!(is_on("tx-tcp-segmentation"), wanted);
            assert_eq!(is_on("tx-tcp6-segmentation"), wanted);
        }
        let error = ethtool::set_features("north", &BTreeMap::from([("no-such".to_owned(), true)]));
        assert_eq!(error.unwrap_err().to_string(), "north has no feature \"no-such\"");
    });
}

#[test]
fn a_veth_names_its_driver_its_counters_and_its_channels() {
    in_namespace("a_veth_names_its_driver_its_counters_and_its_channels", || {
        ip("link add name north numrxqueues 4 numtxqueues 4 type veth peer name south");

        assert_eq!(ethtool::driver("north").unwrap().name, "veth");
        assert!(ethtool::statistics("north").unwrap().contains_key("peer_ifindex"));
        let channels = ethtool::channels("north").unwrap();
        assert_eq!(channels.rx.max, Some(4), "{channels:?}");
        let error = ethtool::set_channels("north", 2).unwrap_err();
        assert!(!matches!(error, ethtool::EthtoolError::NoInterface { .. }), "{error}");
        assert!(!ethtool::timestamping("north").unwrap().has_hardware_rx());
        assert!(ethtool::coalesce("north").unwrap_err().is_unsupported());
    });
}

#[test]
fn an_interface_of_another_namespace_is_not_here() {
    in_namespace("an_interface_of_another_namespace_is_not_here", || {
        assert!(matches!(
            ethtool::features("eth0").unwrap_err(),
            ethtool::EthtoolError::NoInterface { .. }
        ));
    });
}

#[test]
fn a_packet_socket_carries_whole_frames_and_does_not_see_its_own() {
    in_namespace("a_packet_socket_carries_whole_frames_and_does_not_see_its_own", || {
        let [north, south] = joined(1 << 20);
        // Not what the kernel itself, or a first frame, says when a link comes up.
        let mut frame = vec![0xb7_u8; 60];
        frame[12..14].copy_from_slice(&[0x88, 0xb5]);
        let next = |socket: &PacketSocket| {
            let mut into = [0; 2048];
            loop {
                let length = socket.receive(&mut into).unwrap()?;
                if into[12..14] == [0x88, 0xb5] {
                    return Some(into[..length].to_vec());
                }
            }
        };

        assert!(north.send(&frame).unwrap());

        assert_eq!(until("the frame", || next(&south)), frame);
        assert_eq!(next(&south), None);
        assert_eq!(next(&north), None);
        let statistics = south.statistics().unwrap();
        assert!(statistics.frames >= 1 && statistics.dropped == 0, "{statistics:?}");
    });
}

#[test]
fn a_burst_of_frames_goes_and_comes_with_one_call_each_and_in_order() {
    in_namespace("a_burst_of_frames_goes_and_comes_with_one_call_each_and_in_order", || {
        let [north, south] = joined(1 << 20);
        // Of different lengths, the last one longer than a buffer.
        let frames: Vec<Vec<u8>> = (0..40_u8)
            .map(|number| {
                let mut frame = vec![number; 60 + usize::from(number)];
                frame[12..14].copy_from_slice(&[0x88, 0xb5]);
                frame
            })
            .collect();

        let sent = north.send_burst(frames.iter().map(Vec::as_slice)).unwrap();

        assert_eq!(sent, BURST);
        let mut buffers = vec![vec![0; 80]; 5];
        let mut seen: Vec<Vec<u8>> = Vec::new();
        until("all of them", || {
            let mut taken = 0;
            let received = south.receive_burst(&mut buffers, &mut |frame| {
                taken += 1;
                // The kernel itself says something when a link comes up.
                if frame[12..14] == [0x88, 0xb5] {
                    seen.push(frame.to_vec());
                }
            });
            assert_eq!(received.unwrap(), taken);
            assert!(taken <= buffers.len());
            (seen.len() >= sent).then_some(())
        });
        let expected: Vec<&[u8]> =
            frames[..sent].iter().map(|it| &it[..it.len().min(80)]).collect();
        assert_eq!(seen, expected);
        ip("link set north down");
        assert!(north.send_burst(frames.iter().map(Vec::as_slice)).is_err());
    });
}

#[test]
fn frames_that_nobody_took_are_counted_as_dropped() {
    in_namespace("frames_that_nobody_took_are_counted_as_dropped", || {
        let [north, south] = joined(4096);
        south.statistics().unwrap();
        for _ in 0..1000 {
            assert!(north.send(&[0xff; 60]).unwrap());
        }

        // Reading the counts sets them to zero.
        let (mut frames, mut dropped) = (0, 0);
        until("all of them", || {
            let since = south.statistics().unwrap();
            frames += since.frames;
            dropped += since.dropped;
            (frames >= 1000).then_some(())
        });

        assert!(dropped > 0, "{dropped} of {frames}");
        let gone = PacketSocket::open("east", 4096).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ENODEV));
    });
}

#[test]
fn a_process_with_several_threads_does_not_leave_by_half() {
    // The test harness runs each test on a thread beside the main one.
    let root = linux::Root::system().unwrap();

    let refused = linux::namespace::leave_network_and_mounts(&root);

    assert!(matches!(refused, Err(linux::namespace::LeaveError::Threads { .. })), "{refused:?}");
}
