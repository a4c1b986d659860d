"""Long histories drawn from a seed, each followed to its rest; a broken one is told in brief."""

import dataclasses
from random import Random

from tests.billing.exploration import moves, truth
from tests.billing.exploration.actors import Actors
from tests.billing.exploration.search import Broken, Told, retell, shortened
from tests.billing.exploration.stage import Stage

# How a history begins, so that not each has to find its way into trouble by itself.
BEGINNINGS: tuple[Told, ...] = (
    (),
    ("checkout key-1", "pay"),
    ("checkout key-1, dies after the call", "pay"),
    ("checkout key-1", "pay", "post everything backwards", "a second subscription"),
    ("checkout key-1, 0 lost there and 10 back",),
    ("checkout key-1", "86400 s pass", "86400 s pass", "checkout key-2"),
)


@dataclasses.dataclass
class Walker:
    """Draws histories and tells them."""

    stage: Stage
    seed: int
    length: int

    def __post_init__(self) -> None:
        self.random = Random(self.seed)
        self.letters = Actors(self.stage).many_letters()
        self.names = sorted(self.letters)

    def draw(self) -> Told:
        """Draw a beginning and what follows; its length varies up to ours."""
        beginning = self.random.choice(BEGINNINGS)
        count = self.random.randint(1, self.length)
        return (*beginning, *self.random.choices(self.names, k=count))

    def tell(self, story: Told) -> None:
        """Tell a story to its rest; raises Broken."""
        retell(self.stage, story, self.letters, at_the_end=self.rest)

    def tell_many(self, count: int) -> None:
        """Tell that many stories; raises Broken with the shortest story that still breaks."""
        for _ in range(count):
            story = self.draw()
            try:
                self.tell(story)
            except Broken as broken:
                raise self.shortened(broken) from broken

    def shortened(self, broken: Broken) -> Broken:
        """Leave out of a broken story what it breaks without."""
        return shortened(self.stage, broken.story, self.letters, at_the_end=self.rest) or broken

    def rest(self, _story: Told) -> None:
        """Let everything come to rest and compare with the provider."""
        moves.come_to_rest(self.stage)
        truth.require(self.stage)
        truth.is_at_rest(self.stage)
