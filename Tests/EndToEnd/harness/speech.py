"""What a program says while it runs."""

import threading


class Speech:
    """The lines of a process's output, as a thread hears them."""

    def __init__(self, process):
        self.lines, self._process, self._is_over, self._heard = [], process, False, threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        for line in self._process.stdout:
            with self._heard:
                self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))
                self._heard.notify_all()
        with self._heard:
            self._is_over = True
            self._heard.notify_all()

    def wait_for(self, words, seconds, after=0):
        """Until it has said them, from that line on; an end without them is an error at once."""
        has_said = lambda: any(words in line for line in self.lines[after:])
        with self._heard:
            self._heard.wait_for(lambda: has_said() or self._is_over, seconds)
        assert has_said(), f"{words!r} expected, said {self.lines}"

    def wait_for_end(self, seconds):
        """How it ended, when what it said to its end has been heard."""
        status = self._process.wait(seconds)
        with self._heard:
            assert self._heard.wait_for(lambda: self._is_over, 5), f"something of it goes on; said {self.lines}"
        return status
