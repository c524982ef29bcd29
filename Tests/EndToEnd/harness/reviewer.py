"""The person who is asked: follows the gate's questions in `gw`, as the command line does, and answers them."""
import json, subprocess, threading, time

from .gate import BINARY, QUIET, eventually


class Reviewer:
    """Holds `exitgate pending --follow --json` open, so that somebody can be asked."""

    def __init__(self, gate):
        self.gate, self.events, self._heard = gate, [], threading.Condition()
        self.process = subprocess.Popen([BINARY, "pending", "--follow", "--json", "--control", str(gate.control)],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=QUIET, text=True)
        threading.Thread(target=self._listen, daemon=True).start()
        # It is attached once a listing from behind it has come back: requests of the control socket are taken in order.
        eventually(lambda: self.gate.tell("pending", "--json").returncode == 0)
        time.sleep(0.2)

    def _listen(self):
        for line in self.process.stdout:
            with self._heard:
                self.events.append(json.loads(line))
                self._heard.notify_all()

    def questions(self):
        done = self.gate.tell("pending", "--json")
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def question(self, host, seconds=10, **wanted):
        """The question about this host, once it waits."""
        def look():
            return next((one for one in self.questions() if one["host"] == host and all(one[key] == value for key, value in wanted.items())), None)
        return eventually(look, seconds, f"no question about {host}")

    def approve(self, question, *scope, **options):
        return self._say("approve", question, *scope, **options)

    def refuse(self, question, *scope, **options):
        return self._say("refuse", question, *scope, **options)

    def _say(self, verb, question, *scope, status=0):
        done = self.gate.tell(verb, question if isinstance(question, str) else question["id"], *scope)
        assert done.returncode == status, done
        return done.stdout + done.stderr

    def always(self, host, verb="approve", *scope):
        """Answers every question about `host` from now on, in a thread, until `close`."""
        def answer():
            seen = 0
            while self.process.poll() is None:
                with self._heard:
                    self._heard.wait_for(lambda: len(self.events) > seen, 1)
                    fresh, seen = self.events[seen:], len(self.events)
                for event in fresh:
                    if event["event"] == "asked" and event["question"]["host"] == host:
                        self.gate.tell(verb, event["question"]["id"], *scope)
        threading.Thread(target=answer, daemon=True).start()

    def close(self):
        self.process.terminate()
        self.process.wait(5)
