"""Agents with the rights of a1 and a listener each, so that a denial is told apart from every other in the log."""
import collections, time

from .client import Agent

FIRST = 4000  # the port of the first one's listener
REST = 12.0  # seconds until a kind of denial is forgotten: the log's ten, its tick of one, and one to spare
JOINED = "agents: { a1: { listen: 10.66.0.1:3128 }", "agents: [a1]"  # where they stand in a policy beside a1


class Doubles:
    """`refused` counts for each how often it was to be refused; when the gate ends the log has to say the same."""

    def __init__(self, bench, policy, count):
        names = [f"d{number}" for number in range(count if JOINED[0] in policy else 0)]
        self._resting = collections.deque((0.0, Agent(bench, port=FIRST + number), name) for number, name in enumerate(names))
        self._agents = "".join(f"{name}: {{ listen: 10.66.0.1:{FIRST + number} }}, " for number, name in enumerate(names))
        self._names = "".join(f", {name}" for name in names)
        self.refused = collections.Counter()

    def __len__(self):
        return len(self._resting)

    def joined_to(self, policy):
        """The policy in which each has its listener and stands wherever a1 does, on the same lines."""
        agents, rule = JOINED
        return policy.replace(agents, agents.replace("a1", self._agents + "a1", 1), 1).replace(rule, rule.replace("a1", "a1" + self._names))

    def take(self):
        """The one that has rested longest, and its name; it is denied something exactly once from here on."""
        rested, agent, name = self._resting.popleft()
        time.sleep(max(0.0, rested + REST - time.monotonic()))
        self._resting.append((time.monotonic(), agent, name))
        self.refused[name] += 1
        return agent, name

    def were_each_counted_once(self, log):
        """Whether the log of a gate that has ended counts the denials of each, record and roll-ups together."""
        counted = collections.Counter()
        for entry in log.entries() if self.refused else ():
            if entry.verdict == "deny" and entry.agent in self.refused:
                counted[entry.agent] += entry.count
        assert counted == self.refused, {name: (number, counted[name]) for name, number in self.refused.items() if counted[name] != number}
