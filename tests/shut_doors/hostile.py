# Called by: tests/it/shut_doors.rs.
"""An app that means ill: it speaks Node's wire to whoever holds the other end of its channel, and asks for what it may not have.

    hostile.py ask PORT        asks for that port once; says `granted` or `refused ERRNO`
    hostile.py fuzz SEED COUNT waits for a line, then sends so many lines, says what it got for them, and ends at another

It says what happened on standard output, a line each. Knows nothing of restartinit but the wire.
"""

import array
import json
import os
import random
import select
import socket
import sys

channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"]))
handles: list[socket.socket] = []
heard = b""


def say(line: str):
    os.write(1, f"{line}\n".encode())


def receive():
    """Reads what is there; keeps the sockets that came with it."""
    global heard
    room = socket.CMSG_SPACE(8 * array.array("i").itemsize)
    data, ancillary, _, _ = channel.recvmsg(1 << 16, room, socket.MSG_DONTWAIT)
    if not data:
        say("the channel was closed")
        sys.exit(3)
    heard += data
    for level, kind, payload in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            numbers = array.array("i", payload[: len(payload) - len(payload) % 4])
            handles.extend(socket.socket(fileno=number) for number in numbers)


def send(data: bytes):
    while data:
        readable, writable, _ = select.select([channel], [channel], [])
        if readable:
            receive()
        elif writable:
            try:
                data = data[channel.send(data, socket.MSG_DONTWAIT) :]
            except BlockingIOError:
                pass


def line_of(**fields) -> bytes:
    return json.dumps(fields, separators=(",", ":")).encode() + b"\n"


def query(seq: int, **fields) -> bytes:
    wanted = {"cmd": "NODE_CLUSTER", "act": "queryServer", "index": 0, "data": None, "address": None, "addressType": 4, "backlog": 0}
    return line_of(**(wanted | {"seq": seq} | fields))


def ask(port: int):
    global heard
    send(query(1, port=port, address="127.0.0.1"))
    while True:
        select.select([channel], [], [])
        receive()
        for line in heard.split(b"\n")[:-1]:
            answer = json.loads(line)
            answer = answer.get("msg", answer)
            if answer.get("ack") == 1:
                say(f"refused {-answer['errno']}" if answer.get("errno") else "granted")
                return
        heard = heard[heard.rfind(b"\n") + 1 :]


def a_lie(rng: random.Random, seq: int) -> bytes:
    """One line or a piece of one: a question nearly as Node asks it, something mutated, or noise."""
    kind = rng.randrange(8)
    port = rng.choice([0, 1, 22, 80, 443, 1023, -1, 65536, 1 << 40, 1.5, "80", None, True, [80], {"port": 80}])
    address = rng.choice([None, "", "127.0.0.1", "::1", "0.0.0.0", "fe80::1%lo", "/etc/passwd", "/tmp/../root/x", "\0abstract", "x" * 5000, 7])
    if kind == 0:
        return query(seq, port=port, address=address, addressType=rng.choice([4, 6, -1, "udp4", "udp6", "x", None]))
    if kind == 1:
        path = rng.choice(["/root/hostile.sock", "/etc/hostile.sock", "/proc/1/fd/2", "/run/hostile\0x", "hostile.sock", "../x"])
        return query(seq, port=-1, addressType=-1, address=path)
    if kind == 2:
        return query(seq, port=0, fd=rng.choice([0, 1, 2, 3, 4, 5, 9, 255, -1, -100, 1 << 31, "3"]), flags=rng.randrange(-2, 1 << 33))
    if kind == 3:
        act = rng.choice(["online", "listening", "close", "disconnect", "exec", "suicide", "kill", "queryServer", "", None, 7])
        return line_of(cmd="NODE_CLUSTER", act=act, key=f"{address}:{port}:4:null:0", seq=seq, pid=1, signal="SIGKILL")
    if kind == 4:
        cmd = rng.choice(["NODE_HANDLE", "NODE_HANDLE_ACK", "NODE_HANDLE_NACK", "NODE_DEBUG_ENABLED", "NODE_", "NODE_CLUSTER", "restart"])
        return line_of(cmd=cmd, type=rng.choice(["net.Native", "net.Socket", "dgram.Native", "ready", 1]), ack=seq, msg={"cmd": cmd})
    if kind == 5:
        return rng.choice([b'"shutdown"\n', b'"restart"\n', b"[" * 3000 + b"\n", b"{" * 3000 + b"\n", b"\n\n\n", b'{"type":"restart"}\n'])
    if kind == 6:
        return rng.randbytes(rng.randrange(1, 400))
    # A true question in which a few bytes are wrong.
    line = bytearray(query(seq, port=80))
    for _ in range(rng.randrange(1, 6)):
        line[rng.randrange(len(line))] = rng.randrange(256)
    return bytes(line) + b"\n"


def fuzz(seed: int, count: int):
    global heard
    rng = random.Random(seed)
    sys.stdin.readline()
    got = []
    for seq in range(1, count + 1):
        send(a_lie(rng, seq))
        heard = heard[-4096:]
        # Who takes a handle says so, or says that it got none, or nothing at all.
        for handle in handles:
            got.append(handle.getsockname())
            handle.close()
            send(line_of(cmd=rng.choice(["NODE_HANDLE_ACK", "NODE_HANDLE_ACK", "NODE_HANDLE_NACK"])))
        handles.clear()
    ports = [name[1] for name in got if isinstance(name, tuple)]
    say(f"sent {count}, got {len(got)} sockets, {len([port for port in ports if 0 < port < 1024])} low, {len(got) - len(ports)} paths")
    sys.stdin.readline()


if __name__ == "__main__":
    if sys.argv[1] == "ask":
        ask(int(sys.argv[2]))
    else:
        fuzz(int(sys.argv[2]), int(sys.argv[3]))
