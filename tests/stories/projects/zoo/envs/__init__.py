"""Worlds to learn in."""


class Corridor:
    """Walk right to the end; each step costs."""

    length = 8

    def reset(self):
        self.at = 0
        return self.at

    def step(self, right):
        self.at = max(0, self.at + (1 if right else -1))
        done = self.at == self.length
        return self.at, (1.0 if done else -0.01), done


WORLDS = {"Corridor-v0": Corridor}
