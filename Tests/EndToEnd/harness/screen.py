"""A terminal as a person sees it: the bytes of a master side become cells, with two screens and the modes that decide what is seen."""
import codecs, os, re, select, threading, time

SEQUENCE = re.compile(r"\x1b\[([<-?]?)([0-9;]*)([ -/]*)([@-~])")
STRING = re.compile(r"\x1b[\]PX^_](.*?)(?:\x07|\x1b\\|[\x18\x1a])", re.S)
SHORT = re.compile(r"\x1b[ -/]*[0-~]")


class Screen:
    """Cells are (letter, style); style is what SGR set, as it was written."""

    def __init__(self, rows=30, columns=100):
        self.modes, self.region, self.title, self.titles, self.bells = {7: True, 25: True}, "", "", [], 0
        self.alternate, self.style, self.rest, self.log = False, "", "", ""
        self.decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self.size(rows, columns)

    def size(self, rows, columns):
        self.rows, self.columns = rows, columns
        self.main, self.other = self._blank(), self._blank()
        self.y = self.x = 0
        self.saved = (0, 0, "")

    def _blank(self):
        return [[(" ", "")] * self.columns for _ in range(self.rows)]

    @property
    def cells(self):
        return self.other if self.alternate else self.main

    @property
    def lines(self):
        return ["".join(letter for letter, _ in row).rstrip() for row in self.cells]

    @property
    def text(self):
        return "\n".join(self.lines)

    def feed(self, data):
        text = self.rest + self.decode(data)
        self.rest, at = "", 0
        self.log += text
        while at < len(text):
            if text[at] != "\x1b":
                self._letter(text[at])
                at += 1
                continue
            for pattern, act in ((SEQUENCE, self._sequence), (STRING, self._string), (SHORT, self._short)):
                if pattern is SHORT and text[at + 1:at + 2] in tuple("[]PX^_"):
                    break
                if found := pattern.match(text, at):
                    act(found)
                    at = found.end()
                    break
            else:
                found = None
            if found is None:
                cancelled = re.search(r"[\x18\x1a]", text[at:])
                if not cancelled:
                    self.rest = text[at:]
                    return
                at += cancelled.end()

    def _letter(self, letter):
        if letter == "\r":
            self.x = 0
        elif letter == "\n":
            self._down()
        elif letter == "\b":
            self.x = max(0, self.x - 1)
        elif letter == "\a":
            self.bells += 1
        elif letter >= " ":
            if self.x >= self.columns:
                if not self.modes.get(7):
                    return
                self.x = 0
                self._down()
            self.cells[self.y][self.x] = (letter, self.style)
            self.x += 1

    def _down(self):
        if self.y < self.rows - 1:
            self.y += 1
        else:
            del self.cells[0]
            self.cells.append([(" ", "")] * self.columns)

    def _string(self, found):
        if found[0].startswith("\x1b]0;"):
            self.title = found[1][2:]

    def _short(self, found):
        if found[0] == "\x1b7":
            self.saved = (self.y, self.x, self.style)
        elif found[0] == "\x1b8":
            self.y, self.x, self.style = self.saved

    def _sequence(self, found):
        prefix, numbers, between, final = found.groups()
        values = [int(value or 0) for value in numbers.split(";")]
        if prefix == "?" and final in "hl":
            for mode in values:
                self._mode(mode, final == "h")
        elif not prefix and not between:
            self._plain(final, values, numbers)

    def _mode(self, mode, on):
        self.modes[mode] = on
        # What is on the other screen stays there: 1049 alone makes it blank when it is entered, 1047 when it is left.
        if mode in (47, 1047, 1049) and on != self.alternate:
            if not on and mode == 1047:
                self.other = self._blank()
            if on and mode == 1049:
                self.saved, self.other = (self.y, self.x, self.style), self._blank()
            self.alternate = on
            if not on and mode == 1049:
                self.y, self.x, self.style = self.saved

    def _plain(self, final, values, numbers):
        first, second = values[0], values[1] if len(values) > 1 else 0
        if final in "Hf":
            self.y, self.x = min(max(first, 1), self.rows) - 1, min(max(second, 1), self.columns) - 1
        elif final == "J" and first == 2:
            self.cells[:] = self._blank()
        elif final == "K":
            self.cells[self.y][self.x:] = [(" ", "")] * (self.columns - self.x)
        elif final == "m":
            self.style = "" if numbers in ("", "0") else numbers
        elif final == "r":
            self.region, self.y, self.x = numbers, 0, 0
        elif final == "t" and first == 22:
            self.titles.append(self.title)
        elif final == "t" and first == 23 and self.titles:
            self.title = self.titles.pop()
        elif final == "A":
            self.y = max(0, self.y - max(1, first))


class Watch:
    """Reads a master side in a thread into a screen, so that nobody waits for whoever looks."""

    def __init__(self, master, rows=30, columns=100):
        self.master, self.screen, self.lock, self.reads = master, Screen(rows, columns), threading.Lock(), True
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while self.reads:
            try:
                if not select.select([self.master], [], [], 0.1)[0]:
                    continue
                data = os.read(self.master, 65536)
            except (OSError, ValueError):
                return
            if not data:
                return
            with self.lock:
                self.screen.feed(data)

    def look(self, what):
        with self.lock:
            return what(self.screen)

    def until(self, what, seconds=20, why=""):
        deadline = time.monotonic() + seconds
        while not (found := self.look(what)):
            assert time.monotonic() < deadline, f"{why}\n{self.look(lambda screen: screen.text)}\n{self.look(lambda screen: screen.log[-3000:])!r}"
            time.sleep(0.02)
        return found

    def close(self):
        self.reads = False
        self.thread.join(5)
