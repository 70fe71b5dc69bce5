#!/usr/bin/env python3
# Called by: bench/measures.py.
"""hostile.py PORT COUNT: clients of an HTTP port that mean no good, so many at a time, until its parent dies: some say nothing, some a byte
now and then, some rubbish, some a head without an end, some close their half. Each that is closed is followed by another one."""

import ctypes
import selectors
import signal
import socket
import sys
import time

OPENED_A_TURN, PAUSE = 10, 0.01  # at most a thousand a second: the clients are to be a nuisance, not to take the processors
WORDS = [b"", b"G", b"\x00\xff\x16\x03rubbish\r\n\r\n", b"GET /metrics HTTP/1.1\r\nX: " + b"y" * 4000, b"POST / HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\nz"]


def main(port, count):
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
    waiting, number = selectors.DefaultSelector(), 0
    while True:
        for _ in range(min(OPENED_A_TURN, count - len(waiting.get_map()))):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
            waiting.register(client, selectors.EVENT_WRITE, WORDS[number % len(WORDS)])
            number += 1
        for key, events in waiting.select(0):
            client = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    client.send(key.data)
                    if number % 7 == 0:
                        client.shutdown(socket.SHUT_WR)
                    waiting.modify(client, selectors.EVENT_READ)
                    continue
                if client.recv(65536):
                    continue
            except OSError:
                pass
            waiting.unregister(client)
            client.close()
        time.sleep(PAUSE)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
