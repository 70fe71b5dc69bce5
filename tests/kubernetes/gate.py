# Called by: tests/kubernetes/story.py.
"""Where the apps of the test image ask whether they may go on with their boot: tests/kubernetes/server.js."""

import threading
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import node


class Gate:
    """Shut for the generations that `held` says yes to. Who has asked, and how often, is known at once."""

    def __init__(self):
        self.lock = threading.Condition()
        self.held = lambda script, generation: False
        # How many have asked so far, by script and generation; and how many of those wait.
        self.asked, self.waiting = {}, {}
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.path).query)
                gate.wait_for_it(query["script"][0], int(query["generation"][0]))
                try:
                    self.send_response(204)
                    self.end_headers()
                except OSError:
                    # It has been stopped meanwhile.
                    pass

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((node.ADDRESS, node.GATE_PORT), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def wait_for_it(self, script, generation):
        key = (script, generation)
        with self.lock:
            self.asked[key] = self.asked.get(key, 0) + 1
            self.waiting[key] = self.waiting.get(key, 0) + 1
            self.lock.wait_for(lambda: not self.held(script, generation))
            self.waiting[key] -= 1

    def hold(self, held):
        with self.lock:
            self.held = held
            self.lock.notify_all()

    def open(self):
        self.hold(lambda script, generation: False)

    def waits(self, script, generation):
        with self.lock:
            return self.waiting.get((script, generation), 0) > 0
