"""TRex's side of `barewire-bench trex`: what to send comes as a line of JSON, what came of it goes as one for each trial."""

import json
import sys
import time

from trex.stl.api import *

GROUP = 1
# Frames that are timed take a slower way through TRex.
TIMED_MOST = 1000.0


def say(**what):
    print(json.dumps(what), flush=True)


def connected(plan):
    client = STLClient(server="127.0.0.1")
    deadline = time.monotonic() + plan["connect_s"]
    while True:
        try:
            client.connect()
            return client
        except STLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def packet(plan, size):
    # Without a UDP checksum, which would be another one in each flow.
    headers = Ether(dst=plan["mac"])
    headers = headers / IP(src=plan["source"], dst=plan["destination"])
    headers = headers / UDP(sport=plan["first_port"], dport=plan["port"], chksum=0)
    filling = b"\0" * max(0, size - 4 - len(headers))
    last = plan["first_port"] + plan["flows"] - 1
    flows = STLScVmRaw(
        [
            STLVmFlowVar(
                name="flow", min_value=plan["first_port"], max_value=last, size=2, op="inc"
            ),
            STLVmWrFlowVar(fv_name="flow", pkt_offset="UDP.sport"),
        ]
    )
    return STLPktBuilder(pkt=headers / filling, vm=flows)


def trial(client, plan, load, size):
    out, back = plan["ports"]
    client.reset(ports=[out, back])
    timed = min(TIMED_MOST, load / 10)
    frames = packet(plan, size)
    streams = [
        STLStream(packet=frames, mode=STLTXCont(pps=load - timed)),
        STLStream(
            packet=frames,
            mode=STLTXCont(pps=timed),
            flow_stats=STLFlowLatencyStats(pg_id=GROUP),
        ),
    ]
    client.add_streams(streams, ports=[out])
    client.clear_stats()
    client.start(ports=[out], duration=plan["seconds"], force=True)
    client.wait_on_traffic(ports=[out], rx_delay_ms=plan["drain_ms"])
    stats = client.get_stats()
    found = stats["latency"][GROUP]
    times, errors = found["latency"], found["err_cntrs"]
    say(
        load=load,
        size=size,
        seconds=plan["seconds"],
        sent=stats[out]["opackets"],
        returned=stats[back]["ipackets"],
        average_us=times["average"],
        least_us=times["total_min"],
        most_us=times["total_max"],
        jitter_us=times["jitter"],
        timed_lost=errors["dropped"],
        timed_reordered=errors["out_of_order"],
        timed_twice=errors["dup"],
    )


def main():
    plan = json.loads(sys.stdin.readline())
    client = connected(plan)
    try:
        say(version=str(client.get_server_version())[:200])
        client.acquire(ports=sorted(set(plan["ports"])), force=True)
        for size in plan["sizes"]:
            for load in plan["loads"]:
                trial(client, plan, load, size)
    finally:
        client.disconnect()


main()
